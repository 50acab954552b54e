/* Gaussian error linear unit (Hendrycks and Gimpel 2016), the exact form: y = x Phi(x). */
#include "math/vec.h"
#include "nn/ops.h"

static void forward_block(const pass *p, const node *n, size_t first, size_t count) { ndi_vec->gelu(ndi_x(p, n, 0) + first, ndi_y(p, n) + first, count); }

static void forward(const pass *p, const node *n) { ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), forward_block); }

static void backward_block(const pass *p, const node *n, size_t first, size_t count)
{
    ndi_vec->gelu_grad(ndi_x(p, n, 0) + first, ndi_dy(p, n) + first, ndi_dx(p, n, 0) + first, count);
}

static void backward(const pass *p, const node *n)
{
    if (ndi_dx(p, n, 0)) ndi_for_blocks(p, n, p->B * ndi_shape_size(n->out), backward_block);
}

static const op gelu = { "gelu", forward, backward };

int ndi_gelu(graph *g, int x)
{
    node *n = ndi_node_add(g, &gelu, "gelu", x);
    if (!n) return -1;
    n->grad_in_place = true;
    return ndi_node_done(g, n);
}
