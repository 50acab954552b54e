/* Linear layer on R vectors of each trial, the whole of it (R = 1) or its rows: Y (B R x D) = X (B R x N) W' + b, w (D, N) or, as that of a 1 x 1 convolution, (D, N, 1), b (D). dW = dY' X, db = sum dY, dX = dY W. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "nn/ops.h"

enum { DIM };

/* N inputs, D outputs, n vectors in the batch. */
static size_t vectors_of(const pass *p, const node *n) { return p->B * (ndi_shape_size(n->out) / n->a[DIM]); }
static size_t inputs_of(const node *n) { return ndi_shape_size(n->x) / (ndi_shape_size(n->out) / n->a[DIM]); }

static void bias_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t D = n->a[DIM], R = ndi_shape_size(n->out) / D;
    for (size_t i = first * R; i < (first + count) * R; i++) memcpy(ndi_y(p, n) + i * D, ndi_w(p, n, 1), D * sizeof(float));
}

static void forward(const pass *p, const node *n)
{
    size_t N = inputs_of(n), D = n->a[DIM], rows = vectors_of(p, n);
    ndi_for_chunks(p, n, bias_chunk);
    ndi_gemm_parallel(p->w->threads, false, true, rows, D, N, 1, ndi_x(p, n, 0), N, ndi_w(p, n, 0), N, 1, ndi_y(p, n), D);
}

static void backward(const pass *p, const node *n)
{
    size_t N = inputs_of(n), D = n->a[DIM], rows = vectors_of(p, n);
    const float *dy = ndi_dy(p, n);
    float *dx = ndi_dx(p, n, 0);
    ndi_outer(p, n, dy, D, ndi_x(p, n, 0), N, rows, ndi_dw(p, n, 0));
    ndi_add_columns(p, dy, rows, D, ndi_dw(p, n, 1));
    if (dx) ndi_gemm_parallel(p->w->threads, false, false, rows, N, D, 1, dy, D, ndi_w(p, n, 0), N, 0, dx, N);
}

static const op linear = { "linear", forward, backward };

static int add(graph *g, int x, const char *name, size_t dim, bool rows, size_t n_dims)
{
    node *n = ndi_node_add(g, &linear, name, x);
    if (!n) return -1;
    if (dim == 0) return ndi_graph_fail(g, n, "got 0 outputs, expected at least 1");
    size_t N = rows ? n->x.samples : ndi_shape_size(n->x);
    n->out = rows ? (shape){ n->x.maps, n->x.rows, dim } : (shape){ dim, 1, 1 };
    n->a[DIM] = dim;
    n->multiply_adds = (uint64_t)ndi_shape_size(n->x) * dim;
    if (rows) n->shared = ndi_outer_size(dim, N);
    float bound = 1.0f / sqrtf((float)N);
    ndi_tensor_add(g, n, "weight", true, 0, bound, n_dims, (size_t[]){ dim, N, 1 });
    ndi_tensor_set_whole(g);
    ndi_tensor_add(g, n, "bias", true, 0, bound, 1, &dim);
    return ndi_node_done(g, n);
}

int ndi_linear(graph *g, int x, const char *name, size_t dim) { return add(g, x, name, dim, false, 2); }
int ndi_linear_rows(graph *g, int x, const char *name, size_t dim) { return add(g, x, name, dim, true, 2); }
int ndi_conv_rows(graph *g, int x, const char *name, size_t dim) { return add(g, x, name, dim, true, 3); }
