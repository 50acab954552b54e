/* y = r x. */
#include "math/vec.h"
#include "nn/ops.h"

static void forward_block(const pass *p, const node *n, size_t first, size_t count)
{
    ndi_vec->scale_shift(n->r, 0, ndi_x(p, n, 0) + first, ndi_y(p, n) + first, count);
}

static void forward(const pass *p, const node *n) { ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), forward_block); }

static void backward_block(const pass *p, const node *n, size_t first, size_t count)
{
    ndi_vec->scale_shift(n->r, 0, ndi_dy(p, n) + first, ndi_dx(p, n, 0) + first, count);
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), backward_block);
}

static const op scale = { "scale", forward, backward };

int ndi_scale(graph *g, int x, double factor)
{
    node *n = ndi_node_add(g, &scale, "scale", x);
    if (!n) return -1;
    n->r = (float)factor;
    n->in_place = true;
    return ndi_node_done(g, n);
}
