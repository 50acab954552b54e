/* y = x - log sum exp(x) over the D numbers of a trial; dx = dy - exp(y) sum(dy). */
#include <math.h>

#include "math/vec.h"
#include "nn/ops.h"

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    size_t D = ndi_shape_size(n->x);
    for (size_t i = first; i < first + count; i++) {
        const float *x = ndi_x(p, n, 0) + i * D;
        float top = ndi_vec->max(x, D), total = logf(ndi_vec->exp_sum(x, top, ndi_scratch(p, worker), D));
        float *y = ndi_y(p, n) + i * D;
        for (size_t k = 0; k < D; k++) y[k] = (x[k] - top) - total;
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    size_t D = ndi_shape_size(n->x);
    float *softmax = ndi_scratch(p, worker);
    for (size_t i = first; i < first + count; i++) {
        const float *dy = ndi_dy(p, n) + i * D;
        float *dx = ndi_dx(p, n, 0) + i * D, sum = (float)ndi_sum_f64(dy, D);
        ndi_vec->exp(ndi_y(p, n) + i * D, softmax, D);
        for (size_t k = 0; k < D; k++) dx[k] = dy[k] - softmax[k] * sum;
    }
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, backward_chunk);
}

static const op log_softmax = { "log_softmax", forward, backward };

int ndi_log_softmax(graph *g, int x)
{
    node *n = ndi_node_add(g, &log_softmax, "log_softmax", x);
    if (!n) return -1;
    n->scratch = ndi_shape_size(n->x);
    n->in_place = n->keeps_y = true;
    return ndi_node_done(g, n);
}
