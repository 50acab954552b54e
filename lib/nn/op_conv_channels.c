/* Temporal convolution and, right behind it, spatial convolution over all rows: x (1 x C x T) -> y (G x 1 x P), P = T - K + 1, w (F, 1, 1, K), b (F), W (G, F, C, 1), b2 (G).
 * Both are linear, so they are one convolution, y[g][p] = b2_g + sum_f b_f sum_c W_gfc + sum_{c,k} V[g][c][k] x[c][p + k] with V[g][c][k] = sum_f W_gfc w[f][k], F times fewer products than
 * through F x C x P maps. Given dV, dW_gfc = sum_k w[f][k] dV[g][c][k] and dw[f][k] = sum_{g,c} W_gfc dV[g][c][k]. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/vec.h"
#include "nn/conv1d.h"

enum { W_TIME, B_TIME, W_SPACE, B_SPACE };

typedef struct sizes {
    size_t C, F, K, G;
} sizes;

static sizes sizes_of(const pass *p, const node *n)
{
    size_t F = p->w->g->tensors[n->first_tensor].n / n->a[CONV1D_KERNEL];
    return (sizes){ n->x.rows, F, n->a[CONV1D_KERNEL], n->out.maps };
}

static void compose_filter(void *context, size_t g, size_t worker)
{
    (void)worker;
    const conv1d_job *j = context;
    sizes s = sizes_of(j->p, j->n);
    const float *w_space = ndi_w(j->p, j->n, W_SPACE) + g * s.F * s.C;
    conv1d_composed v = ndi_conv1d_composed(j->p, j->n);
    double shift = (double)ndi_w(j->p, j->n, B_SPACE)[g];
    ndi_gemm(true, false, s.C, s.K, s.F, 1, w_space, s.C, ndi_w(j->p, j->n, W_TIME), s.K, 0, v.w + g * s.C * s.K, s.K);
    for (size_t f = 0; f < s.F; f++) shift += (double)ndi_w(j->p, j->n, B_TIME)[f] * ndi_sum_f64(w_space + f * s.C, s.C);
    v.b[g] = (float)shift;
}

static void forward(const pass *p, const node *n)
{
    conv1d_job j = { p, n };
    ndi_pool_run(p->w->threads, n->out.maps, compose_filter, &j);
    ndi_conv1d_kind(n)->op.forward(p, n);
}

static void grad_space(void *context, size_t g, size_t worker)
{
    (void)worker;
    const conv1d_job *j = context;
    sizes s = sizes_of(j->p, j->n);
    conv1d_composed v = ndi_conv1d_composed(j->p, j->n);
    float *dw = ndi_dw(j->p, j->n, W_SPACE) + g * s.F * s.C;
    ndi_gemm(false, true, s.F, s.C, s.K, 1, ndi_w(j->p, j->n, W_TIME), s.K, v.dw + g * s.C * s.K, s.K, 1, dw, s.C);
    for (size_t f = 0; f < s.F; f++)
        for (size_t c = 0; c < s.C; c++) dw[f * s.C + c] += ndi_w(j->p, j->n, B_TIME)[f] * v.db[g];
    ndi_dw(j->p, j->n, B_SPACE)[g] += v.db[g];
}

static void backward(const pass *p, const node *n)
{
    conv1d_job j = { p, n };
    sizes s = sizes_of(p, n);
    conv1d_composed v = ndi_conv1d_composed(p, n);
    memset(v.dw, 0, s.G * s.C * s.K * sizeof *v.dw);
    memset(v.db, 0, s.G * sizeof *v.db);
    ndi_conv1d_kind(n)->op.backward(p, n);
    ndi_pool_run(p->w->threads, s.G, grad_space, &j);
    for (size_t g = 0; g < s.G; g++) {
        const float *w_space = ndi_w(p, n, W_SPACE) + g * s.F * s.C;
        ndi_gemm(false, false, s.F, s.K, s.C, 1, w_space, s.C, v.dw + g * s.C * s.K, s.K, 1, ndi_dw(p, n, W_TIME), s.K);
        for (size_t f = 0; f < s.F; f++) ndi_dw(p, n, B_TIME)[f] += v.db[g] * ndi_vec->sum(w_space + f * s.C, s.C);
    }
}

static const op conv_channels = { "conv_channels", forward, backward };

int ndi_conv_channels(graph *g, int x, const char *name, conv_channels_names layers, size_t maps, size_t kernel)
{
    node *n = ndi_node_add(g, &conv_channels, name, x);
    if (!n) return -1;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    if (n->x.samples < kernel) return ndi_graph_fail(g, n, "kernel of %zu samples is longer than the input", kernel);
    size_t C = n->x.rows;
    n->out = (shape){ maps, 1, n->x.samples - kernel + 1 };
    n->a[CONV1D_KERNEL] = kernel;
    n->a[CONV1D_STRIDE] = n->a[CONV1D_GROUPS] = n->a[CONV1D_COMPOSED] = 1;
    n->saved = 2 * maps * (C * kernel + 1);
    ndi_conv1d_kind(n)->plan(n);
    n->multiply_adds += (uint64_t)maps * maps * C * kernel;
    float time = 1.0f / sqrtf((float)kernel), space = 1.0f / sqrtf((float)(maps * C));
    ndi_tensor_of_layer(g, n, layers.time, "weight", true, 0, time, 4, (size_t[]){ maps, 1, 1, kernel });
    ndi_tensor_of_layer(g, n, layers.time, "bias", true, 0, time, 1, &maps);
    ndi_tensor_of_layer(g, n, layers.space, "weight", true, 0, space, 4, (size_t[]){ maps, maps, C, 1 });
    ndi_tensor_of_layer(g, n, layers.space, "bias", true, 0, space, 1, &maps);
    return ndi_node_done(g, n);
}
