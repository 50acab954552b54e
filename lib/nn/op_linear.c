/* Linear layer on the vector of each trial: Y (B x D) = X (B x N) W' + b, w (D, N), b (D). dW = dY' X, db = sum dY, dX = dY W. */
#include <math.h>

#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

static void forward(const pass *p, const node *n)
{
    size_t N = ndi_shape_size(n->x), D = n->out.maps;
    const float *b = ndi_w(p, n, 1);
    float *y = ndi_y(p, n);
    for (size_t i = 0; i < p->B; i++)
        for (size_t d = 0; d < D; d++) y[i * D + d] = b[d];
    ndi_gemm_parallel(p->w->threads, false, true, p->B, D, N, 1, ndi_x(p, n, 0), N, ndi_w(p, n, 0), N, 1, y, D);
}

static void backward(const pass *p, const node *n)
{
    size_t N = ndi_shape_size(n->x), D = n->out.maps;
    const float *dy = ndi_dy(p, n);
    float *dx = ndi_dx(p, n, 0), *db = ndi_dw(p, n, 1);
    ndi_gemm_parallel(p->w->threads, true, false, D, N, p->B, 1, dy, D, ndi_x(p, n, 0), N, 1, ndi_dw(p, n, 0), N);
    for (size_t i = 0; i < p->B; i++) ndi_vec->axpy(1, dy + i * D, db, D);
    if (dx) ndi_gemm_parallel(p->w->threads, false, false, p->B, N, D, 1, dy, D, ndi_w(p, n, 0), N, 0, dx, N);
}

static const op linear = { "linear", forward, backward };

int ndi_linear(graph *g, int x, const char *name, size_t dim)
{
    node *n = ndi_node_add(g, &linear, name, x);
    if (!n) return -1;
    size_t N = ndi_shape_size(n->x);
    n->out = (shape){ dim, 1, 1 };
    n->multiply_adds = (uint64_t)N * dim;
    float bound = 1.0f / sqrtf((float)N);
    ndi_tensor_add(g, n, "weight", true, 0, bound, 2, (size_t[]){ dim, N });
    ndi_tensor_add(g, n, "bias", true, 0, bound, 1, &dim);
    return ndi_node_done(g, n);
}
