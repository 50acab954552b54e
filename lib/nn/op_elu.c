/* Exponential linear unit (Clevert et al. 2016), alpha = 1: y = x for x > 0, exp(x) - 1 otherwise; dy/dx = 1 or y + 1. In place. */
#include "math/vec.h"
#include "nn/ops.h"

static void forward_block(const pass *p, const node *n, size_t first, size_t count) { ndi_vec->elu(ndi_x(p, n, 0) + first, ndi_y(p, n) + first, count); }

static void forward(const pass *p, const node *n) { ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), forward_block); }

static void backward_block(const pass *p, const node *n, size_t first, size_t count)
{
    const float *y = ndi_y(p, n) + first, *dy = ndi_dy(p, n) + first;
    float *dx = ndi_dx(p, n, 0) + first;
    for (size_t i = 0; i < count; i++) dx[i] = dy[i] * (y[i] > 0 ? 1.0f : y[i] + 1.0f);
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), backward_block);
}

static const op elu = { "elu", forward, backward };

int ndi_elu(graph *g, int x)
{
    node *n = ndi_node_add(g, &elu, "elu", x);
    if (!n) return -1;
    n->in_place = n->keeps_y = true;
    return ndi_node_done(g, n);
}
