/* To a vector per trial, or to tokens. In storage order nothing moves; samples first is the order of the reference system's Rearrange, and that of tokens: y[t M + m] = x[m][t]. */
#include <string.h>

#include "math/tile.h"
#include "nn/ops.h"

enum { SAMPLES_FIRST };

static void transpose(const float *from, float *to, size_t rows, size_t cols) { ndi_tile->turn(from, cols, rows, cols, to, rows); }

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t size = ndi_shape_size(n->x);
    const float *x = ndi_x(p, n, 0);
    float *y = ndi_y(p, n);
    if (n->a[SAMPLES_FIRST])
        for (size_t i = first; i < first + count; i++) transpose(x + i * size, y + i * size, n->x.maps * n->x.rows, n->x.samples);
    else if (x != y)
        memcpy(y + first * size, x + first * size, count * size * sizeof *y);
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t size = ndi_shape_size(n->x);
    const float *dy = ndi_dy(p, n);
    float *dx = ndi_dx(p, n, 0);
    if (n->a[SAMPLES_FIRST])
        for (size_t i = first; i < first + count; i++) transpose(dy + i * size, dx + i * size, n->x.samples, n->x.maps * n->x.rows);
    else if (dx != dy)
        memcpy(dx + first * size, dy + first * size, count * size * sizeof *dx);
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, backward_chunk);
}

static const op flatten = { "flatten", forward, backward }, tokens = { "tokens", forward, backward };

int ndi_flatten(graph *g, int x, bool samples_first)
{
    node *n = ndi_node_add(g, &flatten, "flatten", x);
    if (!n) return -1;
    if (samples_first && n->x.rows != 1) return ndi_graph_fail(g, n, "samples first expects a single row");
    n->a[SAMPLES_FIRST] = samples_first;
    n->in_place = !samples_first;
    n->out = (shape){ ndi_shape_size(n->x), 1, 1 };
    return ndi_node_done(g, n);
}

int ndi_tokens(graph *g, int x)
{
    node *n = ndi_node_add(g, &tokens, "tokens", x);
    if (!n) return -1;
    n->a[SAMPLES_FIRST] = true;
    n->out = (shape){ 1, n->x.samples, n->x.maps * n->x.rows };
    return ndi_node_done(g, n);
}
