/* Batch normalisation, rectified linear unit and dropout in one, a row at a time. On the way down y tells what both let through: it is not 0 there. Tensors are those of the normalisation. */
#include "math/vec.h"
#include "nn/ops.h"

static bool drops(const pass *p, const node *n) { return p->training && n->r > 0; }

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t M = n->x.maps, L = n->x.rows * n->x.samples;
    for (size_t i = first * M; i < (first + count) * M; i++) {
        float *y = ndi_norm_map(p, n, i);
        for (size_t k = 0; k < L; k++) y[k] = y[k] > 0 ? y[k] : 0;
        if (drops(p, n)) ndi_mask(p, n, i * L, L, y, y);
    }
}

static void forward(const pass *p, const node *n)
{
    ndi_norm_statistics(p, n);
    ndi_for_chunks(p, n, forward_chunk);
}

/* The gradient behind the normalisation takes the place of dy. */
static void grad_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    size_t M = n->x.maps, L = n->x.rows * n->x.samples;
    double *sums = ndi_norm_sums(p, n, chunk);
    float keep = drops(p, n) ? 1 / (1 - n->r) : 1;
    for (size_t i = first * M; i < (first + count) * M; i++) {
        const float *y = ndi_y(p, n) + i * L, *dy = ndi_dy(p, n) + i * L;
        float *g = ndi_dx(p, n, 0) + i * L;
        for (size_t k = 0; k < L; k++) {
            float through = keep * dy[k]; /* in any case, so that there is no branch */
            g[k] = y[k] > 0 ? through : 0;
        }
        ndi_vec->sum_dot(g, ndi_x(p, n, 0) + i * L, L, sums + 2 * (i % M));
    }
}

static void backward(const pass *p, const node *n)
{
    ndi_for_chunks(p, n, grad_chunk);
    ndi_norm_grads(p, n);
    ndi_norm_input_grad(p, n, ndi_dx(p, n, 0));
}

static const op norm_relu_dropout = { "norm_relu_dropout", forward, backward };

/* Not of the input, whose gradient may not be asked for. */
bool ndi_fuse_norm_relu_dropout(node *last, const node *chain)
{
    const node *norm = &chain[0];
    if (norm->in[0] == 0) return false;
    last->op = &norm_relu_dropout;
    last->x = norm->x;
    last->saved = norm->saved;
    last->partial = norm->partial;
    last->in_place = false;
    last->grad_in_place = true;
    last->keeps_y = true;
    return true;
}
