/* Keeps `count` rows of a single map: x (1 x R x E) -> y (1 x count x E), y[r] = x[first + r]. */
#include <string.h>

#include "nn/ops.h"

enum { FIRST };

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t from = ndi_shape_size(n->x), to = ndi_shape_size(n->out), skip = n->a[FIRST] * n->x.samples;
    for (size_t i = first; i < first + count; i++) memcpy(ndi_y(p, n) + i * to, ndi_x(p, n, 0) + i * from + skip, to * sizeof(float));
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t from = ndi_shape_size(n->x), to = ndi_shape_size(n->out), skip = n->a[FIRST] * n->x.samples;
    float *dx = ndi_dx(p, n, 0);
    memset(dx + first * from, 0, count * from * sizeof *dx);
    for (size_t i = first; i < first + count; i++) memcpy(dx + i * from + skip, ndi_dy(p, n) + i * to, to * sizeof *dx);
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, backward_chunk);
}

static const op rows = { "rows", forward, backward };

int ndi_rows(graph *g, int x, size_t first, size_t count)
{
    node *n = ndi_node_add(g, &rows, "rows", x);
    if (!n) return -1;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    if (count == 0 || first > n->x.rows || count > n->x.rows - first)
        return ndi_graph_fail(g, n, "there are no %zu rows from row %zu on", count, first);
    n->a[FIRST] = first;
    n->out.rows = count;
    return ndi_node_done(g, n);
}
