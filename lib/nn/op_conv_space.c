/* Spatial convolution over all rows: x (g M x H x T) -> y (g F x 1 x T), w (g F, M, H, 1), b (g F), in g groups that see nothing of each other:
 * y[f][t] = b[f] + sum_{m,h} w[f][m][h] x[m][h][t]. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { GROUPS };

typedef struct sizes {
    size_t g, F, N, T; /* groups; of each its filters and its inputs, M H */
} sizes;

static sizes sizes_of(const node *n)
{
    size_t g = n->a[GROUPS];
    return (sizes){ g, n->out.maps / g, n->x.maps * n->x.rows / g, n->x.samples };
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    sizes s = sizes_of(n);
    const float *w = ndi_w(p, n, 0), *b = ndi_w(p, n, 1);
    for (size_t i = first * s.g; i < (first + count) * s.g; i++) {
        size_t j = i % s.g * s.F;
        float *y = ndi_y(p, n) + i * s.F * s.T;
        for (size_t f = 0; f < s.F; f++)
            for (size_t t = 0; t < s.T; t++) y[f * s.T + t] = b[j + f];
        ndi_gemm(false, false, s.F, s.T, s.N, 1, w + j * s.N, s.N, ndi_x(p, n, 0) + i * s.N * s.T, s.T, 1, y, s.T);
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

/* to[c][r] += from[r][c] */
static void add_transposed(const float *from, float *to, size_t rows, size_t cols)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++) to[c * rows + r] += from[r * cols + c];
}

/* The gradient of w is summed transposed in each group, N x F = x dy': so it is the few rows of dy that have to be turned. */
static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    float *dw = ndi_partial(p, chunk), *db = dw + s.g * s.F * s.N, *dx = ndi_dx(p, n, 0), *turned = ndi_scratch(p, worker);
    memset(dw, 0, n->partial * sizeof *dw);
    for (size_t i = first * s.g; i < (first + count) * s.g; i++) {
        size_t j = i % s.g * s.F;
        const float *dy = ndi_dy(p, n) + i * s.F * s.T;
        memset(turned, 0, s.T * s.F * sizeof *turned);
        add_transposed(dy, turned, s.F, s.T);
        ndi_gemm(false, false, s.N, s.F, s.T, 1, ndi_x(p, n, 0) + i * s.N * s.T, s.T, turned, s.F, 1, dw + j * s.N, s.F);
        for (size_t f = 0; f < s.F; f++) db[j + f] += ndi_vec->sum(dy + f * s.T, s.T);
        if (dx) ndi_gemm(true, false, s.N, s.T, s.F, 1, ndi_w(p, n, 0) + j * s.N, s.N, dy, s.T, 0, dx + i * s.N * s.T, s.T);
    }
}

static void backward(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    size_t weights = s.g * s.F * s.N;
    float *turned = ndi_saved(p, n);
    ndi_for_chunks(p, n, backward_chunk);
    memset(turned, 0, weights * sizeof *turned);
    ndi_add_partials(p, 0, weights, turned);
    for (size_t j = 0; j < s.g; j++) add_transposed(turned + j * s.F * s.N, ndi_dw(p, n, 0) + j * s.F * s.N, s.N, s.F);
    ndi_add_partials(p, weights, s.g * s.F, ndi_dw(p, n, 1));
}

static const op conv_space = { "conv_space", forward, backward };

int ndi_conv_space_grouped(graph *g, int x, const char *name, size_t maps, size_t groups)
{
    node *n = ndi_node_add(g, &conv_space, name, x);
    if (!n) return -1;
    if (n->x.maps % groups || maps % groups) return ndi_graph_fail(g, n, "%zu groups do not divide %zu maps and %zu filters", groups, n->x.maps, maps);
    size_t M = n->x.maps / groups, fan_in = M * n->x.rows;
    n->a[GROUPS] = groups;
    n->out = (shape){ maps, 1, n->x.samples };
    n->multiply_adds = (uint64_t)maps * fan_in * n->x.samples;
    n->partial = maps * fan_in + maps;
    n->saved = maps * fan_in;              /* the gradient of w, transposed */
    n->scratch = maps / groups * n->x.samples;
    float bound = 1.0f / sqrtf((float)fan_in);
    ndi_tensor_add(g, n, "weight", true, 0, bound, 4, (size_t[]){ maps, M, n->x.rows, 1 });
    ndi_tensor_add(g, n, "bias", true, 0, bound, 1, (size_t[]){ maps });
    return ndi_node_done(g, n);
}

int ndi_conv_space(graph *g, int x, const char *name, size_t maps) { return ndi_conv_space_grouped(g, x, name, maps, 1); }
