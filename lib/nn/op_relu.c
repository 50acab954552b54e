/* Rectified linear unit: y = max(x, 0); dy/dx = 1 for y > 0, else 0. In place. */
#include "nn/ops.h"

static void forward_block(const pass *p, const node *n, size_t first, size_t count)
{
    const float *x = ndi_x(p, n, 0) + first;
    float *y = ndi_y(p, n) + first;
    for (size_t i = 0; i < count; i++) y[i] = x[i] > 0 ? x[i] : 0;
}

static void forward(const pass *p, const node *n) { ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), forward_block); }

static void backward_block(const pass *p, const node *n, size_t first, size_t count)
{
    const float *y = ndi_y(p, n) + first, *dy = ndi_dy(p, n) + first;
    float *dx = ndi_dx(p, n, 0) + first;
    for (size_t i = 0; i < count; i++) {
        float d = dy[i]; /* read in any case, so that there is no branch */
        dx[i] = y[i] > 0 ? d : 0;
    }
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), backward_block);
}

static const op relu = { "relu", forward, backward };

int ndi_relu(graph *g, int x)
{
    node *n = ndi_node_add(g, &relu, "relu", x);
    if (!n) return -1;
    n->in_place = n->keeps_y = true;
    return ndi_node_done(g, n);
}
