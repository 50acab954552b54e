/* y = a + b, two different nodes of the same shape. */
#include <string.h>

#include "nn/ops.h"

static void forward_block(const pass *p, const node *n, size_t first, size_t count)
{
    const float *a = ndi_x(p, n, 0) + first, *b = ndi_x(p, n, 1) + first;
    float *y = ndi_y(p, n) + first;
    for (size_t i = 0; i < count; i++) y[i] = a[i] + b[i];
}

static void forward(const pass *p, const node *n) { ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), forward_block); }

static void backward_block(const pass *p, const node *n, size_t first, size_t count)
{
    for (int k = 0; k < 2; k++)
        if (ndi_dx(p, n, k)) memcpy(ndi_dx(p, n, k) + first, ndi_dy(p, n) + first, count * sizeof(float));
}

static void backward(const pass *p, const node *n) { ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), backward_block); }

static const op add = { "add", forward, backward };

int ndi_add(graph *g, int a, int b)
{
    node *n = ndi_node_add(g, &add, "add", a);
    if (!n) return -1;
    if (a == b || ndi_shape_size(g->nodes[b].out) != ndi_shape_size(n->x)) return ndi_graph_fail(g, n, "expects two different nodes of one shape");
    n->in[1] = b;
    n->n_in = 2;
    return ndi_node_done(g, n);
}
