/* Mean pooling over samples, without padding: x (M x H x T) -> y (M x H x P), P = (T - width) / stride + 1: y[p] = mean of x[stride p .. stride p + width - 1]. */
#include <string.h>

#include "nn/ops.h"

enum { WIDTH, STRIDE };

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t rows = n->x.maps * n->x.rows, T = n->x.samples, P = n->out.samples, width = n->a[WIDTH];
    float scale = 1.0f / (float)width;
    for (size_t r = first * rows; r < (first + count) * rows; r++)
        for (size_t k = 0; k < P; k++) {
            const float *x = ndi_x(p, n, 0) + r * T + k * n->a[STRIDE];
            float sum = 0;
            for (size_t j = 0; j < width; j++) sum += x[j];
            ndi_y(p, n)[r * P + k] = sum * scale;
        }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t rows = n->x.maps * n->x.rows, T = n->x.samples, P = n->out.samples, width = n->a[WIDTH];
    float scale = 1.0f / (float)width, *all = ndi_dx(p, n, 0);
    memset(all + first * rows * T, 0, count * rows * T * sizeof *all);
    for (size_t r = first * rows; r < (first + count) * rows; r++)
        for (size_t k = 0; k < P; k++) {
            float *dx = all + r * T + k * n->a[STRIDE], g = ndi_dy(p, n)[r * P + k] * scale;
            for (size_t j = 0; j < width; j++) dx[j] += g;
        }
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, backward_chunk);
}

static const op avg_pool = { "avg_pool", forward, backward };

int ndi_avg_pool(graph *g, int x, size_t width, size_t stride)
{
    node *n = ndi_node_add(g, &avg_pool, "avg_pool", x);
    if (!n) return -1;
    if (n->x.samples < width) return ndi_graph_fail(g, n, "pooling over %zu samples is longer than the input", width);
    n->a[WIDTH] = width;
    n->a[STRIDE] = stride;
    n->out.samples = (n->x.samples - width) / stride + 1;
    n->multiply_adds = (uint64_t)ndi_shape_size(n->out) * width;
    return ndi_node_done(g, n);
}
