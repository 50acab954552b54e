/* The vectors of two nodes one behind the other: a (N), b (M) -> y (N + M). */
#include <string.h>

#include "nn/ops.h"

enum { FIRST }; /* N */

static void forward(const pass *p, const node *n)
{
    size_t D = n->out.maps, N = n->a[FIRST];
    const float *a = ndi_x(p, n, 0), *b = ndi_x(p, n, 1);
    float *y = ndi_y(p, n);
    for (size_t i = 0; i < p->B; i++) {
        memcpy(y + i * D, a + i * N, N * sizeof *y);
        memcpy(y + i * D + N, b + i * (D - N), (D - N) * sizeof *y);
    }
}

static void backward(const pass *p, const node *n)
{
    size_t D = n->out.maps, N = n->a[FIRST];
    const float *dy = ndi_dy(p, n);
    float *da = ndi_dx(p, n, 0), *db = ndi_dx(p, n, 1);
    for (size_t i = 0; i < p->B; i++) {
        if (da) memcpy(da + i * N, dy + i * D, N * sizeof *da);
        if (db) memcpy(db + i * (D - N), dy + i * D + N, (D - N) * sizeof *db);
    }
}

static const op concat_vectors = { "concat", forward, backward };

int ndi_concat_vectors(graph *g, int a, int b)
{
    node *n = ndi_node_add(g, &concat_vectors, "concat", a);
    if (!n) return -1;
    if (a == b) return ndi_graph_fail(g, n, "expects two different nodes");
    n->a[FIRST] = ndi_shape_size(n->x);
    n->out = (shape){ n->a[FIRST] + ndi_shape_size(g->nodes[b].out), 1, 1 };
    n->in[1] = b;
    n->n_in = 2;
    return ndi_node_done(g, n);
}
