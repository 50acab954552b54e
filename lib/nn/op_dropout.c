/* Dropout (Srivastava et al. 2014): in training each element is 0 with probability r, else x / (1 - r). The mask is a function of seed, step, node and element and is computed anew on
 * the way down instead of being kept. */
#include <string.h>

#include "base/random.h"
#include "math/vec.h"
#include "nn/ops.h"

void ndi_mask(const pass *p, const node *n, size_t first, size_t count, const float *from, float *to)
{
    vec_mask m = { p->seed, (uint64_t)n->index << 48 | first / 4,    NDI_RANDOM_DROPOUT,
                   p->step, (uint32_t)((double)n->r * 4294967296.0), 1.0f / (1.0f - n->r) };
    size_t before = first % 4, head = before == 0 ? 0 : 4 - before < count ? 4 - before : count;
    if (head > 0) { /* the rest of the counter that the elements before `first` began */
        float four[4] = { 0 };
        memcpy(four + before, from, head * sizeof *four);
        ndi_vec->mask(&m, four, four, before + head);
        memcpy(to, four + before, head * sizeof *four);
        m.index++;
    }
    ndi_vec->mask(&m, from + head, to + head, count - head);
}

static void forward_block(const pass *p, const node *n, size_t first, size_t count)
{
    ndi_mask(p, n, first, count, ndi_x(p, n, 0) + first, ndi_y(p, n) + first);
}

static void forward(const pass *p, const node *n)
{
    size_t size = p->B * ndi_shape_size(n->out);
    if (p->training && n->r > 0)
        ndi_for_blocks(p, n, size, forward_block);
    else if (ndi_y(p, n) != ndi_x(p, n, 0))
        memcpy(ndi_y(p, n), ndi_x(p, n, 0), size * sizeof(float));
}

static void backward_block(const pass *p, const node *n, size_t first, size_t count)
{
    ndi_mask(p, n, first, count, ndi_dy(p, n) + first, ndi_dx(p, n, 0) + first);
}

static void backward(const pass *p, const node *n)
{
    size_t size = p->B * ndi_shape_size(n->out);
    float *dx = ndi_dx(p, n, 0);
    if (!dx) return;
    if (p->training && n->r > 0)
        ndi_for_blocks(p, n, size, backward_block);
    else if (dx != ndi_dy(p, n))
        memcpy(dx, ndi_dy(p, n), size * sizeof(float));
}

static const op dropout = { "dropout", forward, backward };

int ndi_dropout(graph *g, int x, double rate)
{
    node *n = ndi_node_add(g, &dropout, "dropout", x);
    if (!n) return -1;
    n->r = (float)rate;
    n->in_place = true;
    return ndi_node_done(g, n);
}
