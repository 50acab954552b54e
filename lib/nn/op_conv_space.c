/* Spatial convolution over all rows: x (M x H x T) -> y (F x 1 x T), w (F, M, H, 1), b (F): y[f][t] = b[f] + sum_{m,h} w[f][m][h] x[m][h][t]. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t F = n->out.maps, MH = n->x.maps * n->x.rows, T = n->x.samples;
    const float *w = ndi_w(p, n, 0), *b = ndi_w(p, n, 1);
    for (size_t i = first; i < first + count; i++) {
        float *y = ndi_y(p, n) + i * F * T;
        for (size_t f = 0; f < F; f++)
            for (size_t t = 0; t < T; t++) y[f * T + t] = b[f];
        ndi_gemm(false, false, F, T, MH, 1, w, MH, ndi_x(p, n, 0) + i * MH * T, T, 1, y, T);
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

/* to[c][r] += from[r][c] */
static void add_transposed(const float *from, float *to, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) to[c * rows + r] += from[r * cols + c];
}

/* The gradient of w is summed transposed, M H x F = x dy', because that product runs twice as fast in BLIS as F x M H. */
static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    size_t F = n->out.maps, MH = n->x.maps * n->x.rows, T = n->x.samples;
    float *dw = ndi_partial(p, chunk), *db = dw + F * MH, *dx = ndi_dx(p, n, 0), *turned = ndi_scratch(p, worker);
    memset(dw, 0, n->partial * sizeof *dw);
    for (size_t i = first; i < first + count; i++) {
        const float *dy = ndi_dy(p, n) + i * F * T;
        memset(turned, 0, T * F * sizeof *turned);
        add_transposed(dy, turned, F, T);
        ndi_gemm(false, false, MH, F, T, 1, ndi_x(p, n, 0) + i * MH * T, T, turned, F, 1, dw, F);
        for (size_t f = 0; f < F; f++) db[f] += ndi_vec->sum(dy + f * T, T);
        if (dx) ndi_gemm(true, false, MH, T, F, 1, ndi_w(p, n, 0), MH, dy, T, 0, dx + i * MH * T, T);
    }
}

static void backward(const pass *p, const node *n)
{
    size_t F = n->out.maps, MH = n->x.maps * n->x.rows;
    float *turned = ndi_saved(p, n);
    ndi_for_chunks(p, n, backward_chunk);
    memset(turned, 0, F * MH * sizeof *turned);
    ndi_add_partials(p, 0, F * MH, turned);
    add_transposed(turned, ndi_dw(p, n, 0), MH, F);
    ndi_add_partials(p, F * MH, F, ndi_dw(p, n, 1));
}

static const op conv_space = { "conv_space", forward, backward };

int ndi_conv_space(graph *g, int x, const char *name, size_t maps)
{
    node *n = ndi_node_add(g, &conv_space, name, x);
    if (!n) return -1;
    size_t fan_in = n->x.maps * n->x.rows;
    n->out = (shape){ maps, 1, n->x.samples };
    n->multiply_adds = (uint64_t)maps * fan_in * n->x.samples;
    n->partial = maps * fan_in + maps;
    n->saved = maps * fan_in;              /* the gradient of w, transposed */
    n->scratch = maps * n->x.samples;
    float bound = 1.0f / sqrtf((float)fan_in);
    ndi_tensor_add(g, n, "weight", true, 0, bound, 4, (size_t[]){ maps, n->x.maps, n->x.rows, 1 });
    ndi_tensor_add(g, n, "bias", true, 0, bound, 1, (size_t[]){ maps });
    return ndi_node_done(g, n);
}
