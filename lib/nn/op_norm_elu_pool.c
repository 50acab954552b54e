/* Batch normalisation, ELU and mean over windows of samples in one, x (M x H x T) -> y (M x H x P): a row at a time, so that what stands between them never leaves the cache. Only x is kept; on
 * the way down the units are computed again. Tensors are those of the normalisation.
 *
 * ELU leaves (ELU + 1) log2(e), see math/tile.h; the log2(e) of its argument goes into the normalisation. */
#include <string.h>

#include "math/tile.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { WIDTH, STRIDE };
static const float log2_e = 1.44269504f, ln_2 = 0.69314718f;

static size_t padded(size_t T) { return (T + NDI_TILE_RUN - 1) / NDI_TILE_RUN * NDI_TILE_RUN; }
static size_t map_of(const node *n, size_t row) { return row / n->x.rows % n->x.maps; }

/* What elu leaves of a row. */
static void units(const pass *p, const node *n, size_t row, float *h)
{
    norm_line l = ndi_norm_line(p, n, map_of(n, row));
    ndi_vec->scale_shift(log2_e * l.scale, log2_e * l.shift, ndi_x(p, n, 0) + row * n->x.samples, h, n->x.samples);
    ndi_tile->elu(h, padded(n->x.samples));
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    size_t rows = n->x.maps * n->x.rows, P = n->out.samples;
    float *h = ndi_scratch(p, worker);
    memset(h, 0, n->scratch * sizeof *h);
    for (size_t r = first * rows; r < (first + count) * rows; r++) {
        float *y = ndi_y(p, n) + r * P;
        units(p, n, r, h);
        ndi_pool_means(h, n->a[WIDTH], n->a[STRIDE], y, P);
        ndi_vec->scale_shift(ln_2, -1, y, y, P);
    }
}

static void forward(const pass *p, const node *n)
{
    ndi_norm_statistics(p, n);
    ndi_for_chunks(p, n, forward_chunk);
}

/* The gradient in front of ELU, which goes to dx, and its sums. */
static void grad_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    size_t rows = n->x.maps * n->x.rows, T = n->x.samples, P = n->out.samples;
    float *h = ndi_scratch(p, worker), *g = h + padded(T), *dx = ndi_dx(p, n, 0);
    double *sums = ndi_norm_sums(p, n, chunk);
    memset(h, 0, n->scratch * sizeof *h);
    for (size_t r = first * rows; r < (first + count) * rows; r++) {
        units(p, n, r, h);
        ndi_pool_means_grad(ndi_dy(p, n) + r * P, n->a[WIDTH], n->a[STRIDE], P, g, T);
        ndi_tile->elu_grad(h, g, padded(T));
        ndi_vec->scale_shift(ln_2, 0, g, g, T);
        ndi_vec->sum_dot(g, ndi_x(p, n, 0) + r * T, T, sums + 2 * map_of(n, r));
        if (dx) memcpy(dx + r * T, g, T * sizeof *dx);
    }
}

static void backward(const pass *p, const node *n)
{
    ndi_for_chunks(p, n, grad_chunk);
    ndi_norm_grads(p, n);
    if (ndi_dx(p, n, 0)) ndi_norm_input_grad(p, n, ndi_dx(p, n, 0));
}

static const op norm_elu_pool = { "norm_elu_pool", forward, backward };

bool ndi_fuse_norm_elu_pool(node *last, const node *chain)
{
    const node *norm = &chain[0];
    last->op = &norm_elu_pool;
    last->x = norm->x;
    last->saved = norm->saved;
    last->partial = norm->partial;
    last->scratch = 2 * padded(norm->x.samples);
    return true;
}
