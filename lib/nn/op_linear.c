/* Linear layer on R vectors of each trial, the whole of it (R = 1) or its rows: Y (B R x D) = X (B R x N) W' + b, w (D, N) or, as that of a 1 x 1 convolution, (D, N, 1), b (D). dW = dY' X, db = sum dY, dX = dY W. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/tile.h"
#include "nn/ops.h"

enum { DIM };

/* N inputs, D outputs, n vectors in the batch. */
static size_t vectors_of(const pass *p, const node *n) { return p->B * (ndi_shape_size(n->out) / n->a[DIM]); }
static size_t inputs_of(const node *n) { return ndi_shape_size(n->x) / (ndi_shape_size(n->out) / n->a[DIM]); }

static void bias_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t D = n->a[DIM], R = ndi_shape_size(n->out) / D;
    for (size_t i = first * R; i < (first + count) * R; i++) memcpy(ndi_y(p, n) + i * D, ndi_w(p, n, 1), D * sizeof(float));
}

static void forward(const pass *p, const node *n)
{
    size_t N = inputs_of(n), D = n->a[DIM], rows = vectors_of(p, n);
    ndi_for_chunks(p, n, bias_chunk);
    ndi_gemm_parallel(p->w->threads, false, true, rows, D, N, 1, ndi_x(p, n, 0), N, ndi_w(p, n, 0), N, 1, ndi_y(p, n), D);
}

static void backward(const pass *p, const node *n)
{
    size_t N = inputs_of(n), D = n->a[DIM], rows = vectors_of(p, n);
    const float *dy = ndi_dy(p, n);
    float *dx = ndi_dx(p, n, 0);
    if (!ndi_in_factors(p, n)) ndi_outer(p, n, dy, D, ndi_x(p, n, 0), N, rows, ndi_dw(p, n, 0));
    ndi_add_columns(p, dy, rows, D, ndi_dw(p, n, 1));
    if (dx) ndi_gemm_parallel(p->w->threads, false, false, rows, N, D, 1, dy, D, ndi_w(p, n, 0), N, 0, dx, N);
}

/* ---- the gradient of the weights in its factors ----
 * The squares of dY' X add up to the products of the elements of dY dY' and X X': little arithmetic for a large layer and a small batch (Goodfellow, "Efficient Per-Example Gradient
 * Computations", 2015, has it for single trials). In double, as large sums may cancel. */

enum { LARGE = 1 << 20, GROUP = 30, STRETCH = 1024, MOST_GROUPS = (NDI_SHORT + GROUP - 1) / GROUP };

/* Arithmetic against memory: four ways of a gradient that no cache holds are saved. */
static bool factors_pay(const pass *p, const node *n)
{
    size_t N = inputs_of(n), D = n->a[DIM], rows = vectors_of(p, n);
    return N * D >= LARGE && rows <= NDI_SHORT && (double)(rows * rows) * (double)(N + D) < 32 * (double)N * (double)D;
}

typedef struct squares {
    const float *dy, *x;
    size_t N, D, rows;
    double sums[MOST_GROUPS * MOST_GROUPS];
} squares;

static size_t group_size(const squares *s, size_t group) { return s->rows - group * GROUP < GROUP ? s->rows - group * GROUP : GROUP; }

/* c (m x n, rows of GROUP) = products of m rows of x with n others. */
static void multiply_rows(const float *x, size_t m, const float *y, size_t n, size_t width, double *c)
{
    size_t rest = width % NDI_TILE_RUN, runs = width - rest;
    memset(c, 0, GROUP * GROUP * sizeof *c);
    for (size_t t = 0; t < runs; t += STRETCH) {
        dots d = { .m = m,
                   .n = n,
                   .steps = 1,
                   .run = runs - t < STRETCH ? runs - t : STRETCH,
                   .x = x + t,
                   .x_row = width,
                   .y = y + t,
                   .y_row = width,
                   .c_row = GROUP };
        ndi_tile->dots_f64(&d, c);
    }
    for (size_t i = 0; i < m && rest; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t t = runs; t < width; t++) c[i * GROUP + j] += (double)x[i * width + t] * (double)y[j * width + t];
}

static void add_group_pair(void *context, size_t task, size_t worker)
{
    (void)worker;
    squares *s = context;
    double of_x[GROUP * GROUP], of_dy[GROUP * GROUP], sum = 0;
    size_t i = task, j = 0;
    while (i > j) i -= ++j; /* pairs of groups i <= j, one after the other */
    size_t m = group_size(s, i), n = group_size(s, j);
    multiply_rows(s->x + i * GROUP * s->N, m, s->x + j * GROUP * s->N, n, s->N, of_x);
    multiply_rows(s->dy + i * GROUP * s->D, m, s->dy + j * GROUP * s->D, n, s->D, of_dy);
    for (size_t e = 0; e < GROUP * GROUP; e++) sum += of_x[e] * of_dy[e];
    s->sums[task] = i < j ? 2 * sum : sum;
}

static double factored_squares(const pass *p, const node *n)
{
    squares s = { .dy = ndi_dy(p, n), .x = ndi_x(p, n, 0), .N = inputs_of(n), .D = n->a[DIM], .rows = vectors_of(p, n) };
    size_t groups = (s.rows + GROUP - 1) / GROUP, pairs = groups * (groups + 1) / 2;
    ndi_pool_run(p->w->threads, pairs, add_group_pair, &s);
    double sum = 0;
    for (size_t i = 0; i < pairs; i++) sum += s.sums[i];
    return sum > 0 ? sum : sum == sum ? 0 : sum; /* of rounding alone it may be negative */
}

static void hand_over(const pass *p, const node *n, const product_taker *taker)
{
    ndi_hand_over_product(p->w->threads, n->a[DIM], inputs_of(n), vectors_of(p, n), ndi_dy(p, n), ndi_x(p, n, 0), taker);
}

static const factored weight = { factors_pay, factored_squares, hand_over };
static const op linear = { "linear", forward, backward };

static int add(graph *g, int x, const char *name, size_t dim, bool rows, size_t n_dims)
{
    node *n = ndi_node_add(g, &linear, name, x);
    if (!n) return -1;
    if (dim == 0) return ndi_graph_fail(g, n, "got 0 outputs, expected at least 1");
    size_t N = rows ? n->x.samples : ndi_shape_size(n->x);
    n->out = rows ? (shape){ n->x.maps, n->x.rows, dim } : (shape){ dim, 1, 1 };
    n->a[DIM] = dim;
    n->weight = &weight;
    n->multiply_adds = (uint64_t)ndi_shape_size(n->x) * dim;
    if (rows) n->shared = ndi_outer_size(dim, N);
    float bound = 1.0f / sqrtf((float)N);
    ndi_tensor_add(g, n, "weight", true, 0, bound, n_dims, (size_t[]){ dim, N, 1 });
    ndi_tensor_set_whole(g);
    ndi_tensor_add(g, n, "bias", true, 0, bound, 1, &dim);
    return ndi_node_done(g, n);
}

int ndi_linear(graph *g, int x, const char *name, size_t dim) { return add(g, x, name, dim, false, 2); }
int ndi_linear_rows(graph *g, int x, const char *name, size_t dim) { return add(g, x, name, dim, true, 2); }
int ndi_conv_rows(graph *g, int x, const char *name, size_t dim) { return add(g, x, name, dim, true, 3); }
