/* Mean and maximum over windows of samples: y[p] = mean or max of x[s p .. s p + width), per map and row. The last window may be cut short by the end of the row. Of equal samples the first
 * is the largest, which is found anew on the way down. */
#include <string.h>

#include "math/vec.h"
#include "nn/ops.h"

enum { WIDTH, STRIDE };
enum { LONG = 64 };

static void forward(const pass *p, const node *n);
static void backward(const pass *p, const node *n);
static const op mean_pool = { "mean_pool", forward, backward }, max_pool = { "max_pool", forward, backward };

static size_t largest(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        if (x[i] > x[best]) best = i;
    return best;
}

/* Windows are mostly short: a call would take longer than the sum. */
static float mean(const float *x, size_t n)
{
    if (n > LONG) return ndi_vec->sum(x, n) / (float)n;
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (float)n;
}

void ndi_pool_means(const float *x, size_t width, size_t stride, float *y, size_t P)
{
    for (size_t k = 0; k < P; k++) y[k] = mean(x + k * stride, width);
}

void ndi_pool_means_grad(const float *dy, size_t width, size_t stride, size_t P, float *dx, size_t T)
{
    memset(dx, 0, T * sizeof *dx);
    for (size_t k = 0; k < P; k++, dx += stride) {
        float part = dy[k] / (float)width;
        for (size_t i = 0; i < width; i++) dx[i] += part;
    }
}

/* Of window k. */
static size_t largest_of(const node *n, const float *x, size_t k)
{
    size_t begin = k * n->a[STRIDE], left = n->x.samples - begin;
    return begin + largest(x + begin, left < n->a[WIDTH] ? left : n->a[WIDTH]);
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t rows = n->x.maps * n->x.rows, P = n->out.samples;
    for (size_t r = first * rows; r < (first + count) * rows; r++) {
        const float *x = ndi_x(p, n, 0) + r * n->x.samples;
        float *y = ndi_y(p, n) + r * P;
        if (n->op == &mean_pool)
            ndi_pool_means(x, n->a[WIDTH], n->a[STRIDE], y, P);
        else
            for (size_t k = 0; k < P; k++) y[k] = x[largest_of(n, x, k)];
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t rows = n->x.maps * n->x.rows, T = n->x.samples, P = n->out.samples;
    for (size_t r = first * rows; r < (first + count) * rows; r++) {
        const float *x = ndi_x(p, n, 0) + r * T, *dy = ndi_dy(p, n) + r * P;
        float *dx = ndi_dx(p, n, 0) + r * T;
        if (n->op == &mean_pool) {
            ndi_pool_means_grad(dy, n->a[WIDTH], n->a[STRIDE], P, dx, T);
        } else {
            memset(dx, 0, T * sizeof *dx);
            for (size_t k = 0; k < P; k++) dx[largest_of(n, x, k)] += dy[k];
        }
    }
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, backward_chunk);
}

int ndi_mean_pool(graph *g, int x, const char *name, size_t width, size_t stride)
{
    node *n = ndi_node_add(g, &mean_pool, name, x);
    if (!n) return -1;
    if (n->x.samples < width) return ndi_graph_fail(g, n, "pooling over %zu samples is longer than the input", width);
    n->a[WIDTH] = width;
    n->a[STRIDE] = stride;
    n->out.samples = (n->x.samples - width) / stride + 1;
    return ndi_node_done(g, n);
}

int ndi_max_pool(graph *g, int x, const char *name, size_t width)
{
    node *n = ndi_node_add(g, &max_pool, name, x);
    if (!n) return -1;
    n->a[WIDTH] = n->a[STRIDE] = width;
    n->out.samples = (n->x.samples + width - 1) / width;
    return ndi_node_done(g, n);
}
