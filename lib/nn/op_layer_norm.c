/* Layer normalisation (Ba et al. 2016) over R vectors of each trial, the whole of it (R = 1) or its rows: y = weight xhat + bias, xhat = (x - mean) rstd, rstd = 1 / sqrt(var + eps). */
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
    for (size_t i = first * R; i < (first + count) * R; i++)
        ndi_vec->layer_norm(ndi_x(p, n, 0) + i * D, D, ndi_w(p, n, 0), ndi_w(p, n, 1), eps, ndi_saved(p, n) + 2 * i, ndi_y(p, n) + i * D);
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    size_t D = n->a[DIM], R = n->a[VECTORS];
    float *dw = ndi_partial(p, chunk), *dx = ndi_dx(p, n, 0);
    memset(dw, 0, n->partial * sizeof *dw);
    for (size_t i = first * R; i < (first + count) * R; i++)
        ndi_vec->layer_norm_grad(ndi_x(p, n, 0) + i * D, D, ndi_w(p, n, 0), ndi_saved(p, n) + 2 * i, ndi_dy(p, n) + i * D, dw, dw + D,
                                 dx ? dx + i * D : NULL);
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
