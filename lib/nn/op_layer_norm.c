/* Layer normalisation (Ba et al. 2016) over R vectors of each trial, the whole of it (R = 1) or its rows: y = weight xhat + bias, xhat = (x - mean) rstd, rstd = 1 / sqrt(var + eps). */
#include <math.h>
#include <string.h>

#include "math/vec.h"
#include "nn/ops.h"

static const double eps = 1e-5;

enum { VECTORS, DIM };

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t D = n->a[DIM], R = n->a[VECTORS];
    const float *w = ndi_w(p, n, 0), *b = ndi_w(p, n, 1);
    for (size_t i = first * R; i < (first + count) * R; i++) {
        const float *x = ndi_x(p, n, 0) + i * D;
        float *y = ndi_y(p, n) + i * D, *saved = ndi_saved(p, n) + 2 * i;
        double mean = ndi_sum_f64(x, D) / (double)D, var = 0;
        for (size_t k = 0; k < D; k++) var += ((double)x[k] - mean) * ((double)x[k] - mean);
        float mu = saved[0] = (float)mean, rstd = saved[1] = (float)(1 / sqrt(var / (double)D + eps));
        for (size_t k = 0; k < D; k++) y[k] = (x[k] - mu) * rstd * w[k] + b[k];
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    size_t D = n->a[DIM], R = n->a[VECTORS];
    const float *w = ndi_w(p, n, 0);
    float *dw = ndi_partial(p, chunk), *db = dw + D;
    memset(dw, 0, n->partial * sizeof *dw);
    for (size_t i = first * R; i < (first + count) * R; i++) {
        const float *x = ndi_x(p, n, 0) + i * D, *dy = ndi_dy(p, n) + i * D, *saved = ndi_saved(p, n) + 2 * i;
        float mu = saved[0], rstd = saved[1], *dx = ndi_dx(p, n, 0);
        double sum = 0, sum_xhat = 0;
        for (size_t k = 0; k < D; k++) {
            float xhat = (x[k] - mu) * rstd, g = dy[k] * w[k];
            dw[k] += dy[k] * xhat;
            db[k] += dy[k];
            sum += (double)g;
            sum_xhat += (double)g * (double)xhat;
        }
        if (!dx) continue;
        float a = (float)(sum / (double)D), b = (float)(sum_xhat / (double)D);
        for (size_t k = 0; k < D; k++) dx[i * D + k] = rstd * (dy[k] * w[k] - a - (x[k] - mu) * rstd * b);
    }
}

static void backward(const pass *p, const node *n)
{
    size_t D = n->a[DIM];
    ndi_for_chunks(p, n, backward_chunk);
    ndi_add_partials(p, 0, D, ndi_dw(p, n, 0));
    ndi_add_partials(p, D, D, ndi_dw(p, n, 1));
}

static const op layer_norm = { "layer_norm", forward, backward };

static int add(graph *g, int x, const char *name, bool rows)
{
    node *n = ndi_node_add(g, &layer_norm, name, x);
    if (!n) return -1;
    size_t D = rows ? n->x.samples : ndi_shape_size(n->x);
    n->a[DIM] = D;
    n->a[VECTORS] = ndi_shape_size(n->x) / D;
    n->saved_each = 2 * n->a[VECTORS];
    n->partial = 2 * D;
    ndi_tensor_add(g, n, "weight", true, 1, 0, 1, &D);
    ndi_tensor_add(g, n, "bias", true, 0, 0, 1, &D);
    return ndi_node_done(g, n);
}

int ndi_layer_norm(graph *g, int x, const char *name) { return add(g, x, name, false); }
int ndi_layer_norm_rows(graph *g, int x, const char *name) { return add(g, x, name, true); }
