/* Convolution along samples by products of spectra, for one group of maps and filters of many taps.
 *
 * A line is cut into tiles of N samples that overlap by the filter's length, every tile is transformed, and at every frequency the filters meet the maps in one matrix product of all tiles:
 * Y = conj(W) X, with F x M numbers for K taps instead of F x M x K. On the way down dW = conj(dY) X, summed over the tiles, and dX = W dY. A complex product is three real ones, each on
 * planes of its own (fft_kernels), so that all the work is real matrix products of one shape.
 *
 * A stride s makes of each map s maps, its samples q, q + s, ..., and of K taps K / s: below, M and K count these. Columns are the tiles of all lines, numbered line by line. */
#include <string.h>

#include "math/gemm.h"
#include "math/vec.h"
#include "nn/conv1d.h"

typedef struct sizes {
    conv1d_sizes c;
    size_t M, K, N, step, tiles, planes; /* step: outputs of a tile */
    size_t lines, columns, weights;      /* the last two padded for the transforms */
} sizes;

static size_t fewer(size_t a, size_t b) { return a < b ? a : b; }
static size_t padded(size_t n) { return (n + NDI_COLUMNS - 1) / NDI_COLUMNS * NDI_COLUMNS; }

/* Of one line, in multiply-adds. A transform takes as long as some 40 of them for each sample. */
static double cost_of(const sizes *s) { return (double)s->tiles * (double)(s->planes * s->c.F * s->M + 40 * s->N * (s->c.F + s->M)); }

static sizes sizes_of(const node *n, size_t B)
{
    sizes best = { .N = 0 }, s = { .c = ndi_conv1d_sizes(n) };
    s.M = s.c.M * s.c.stride;
    s.K = (s.c.K + s.c.stride - 1) / s.c.stride;
    s.lines = B * s.c.H;
    s.weights = padded(s.c.F * s.M);
    for (s.N = 16; s.N <= NDI_MAX_SPECTRUM; s.N *= 2) {
        if (s.N < 2 * s.K - 1) continue;
        s.step = s.N - s.K + 1;
        s.tiles = (s.c.P + s.step - 1) / s.step;
        s.planes = ndi_planes(s.N);
        s.columns = padded(s.lines * s.tiles);
        if (best.N == 0 || cost_of(&s) < cost_of(&best)) best = s;
    }
    return best;
}

static bool serves(const node *n)
{
    sizes s = sizes_of(n, 1);
    return s.N > 0 && s.c.g == 1 && cost_of(&s) < 0.7 * (double)(s.c.F * s.c.W) * (double)s.c.P;
}

static void plan(node *n)
{
    sizes s = sizes_of(n, 1);
    n->shared = s.planes * (2 * s.weights + (s.M + s.c.F) * NDI_COLUMNS);
    n->shared_each = s.planes * (s.M + s.c.F) * s.tiles * s.c.H;
    n->scratch = 2 * s.N * NDI_COLUMNS;
    n->multiply_adds = (uint64_t)s.planes * s.c.F * s.M * s.tiles * s.c.H;
}

/* One pass up or down. */
typedef struct job {
    const pass *p;
    const node *n;
    sizes s;
    float *x, *y, *w, *dw; /* planes of M x columns, F x columns, F x M and F x M numbers */
} job;

static job job_of(const pass *p, const node *n)
{
    sizes s = sizes_of(n, p->B);
    float *x = ndi_shared(p), *y = x + s.planes * s.M * s.columns, *w = y + s.planes * s.c.F * s.columns;
    return (job){ p, n, s, x, y, w, w + s.planes * s.weights };
}

/* ---- transforms ---- */

/* The samples of map m in a tile, each `stride` apart; those from `begin` to `end` exist. */
typedef struct tile {
    size_t line, begin, end;
    ptrdiff_t at; /* of sample 0 in the line */
} tile;

static tile tile_of(const sizes *s, size_t column, size_t m)
{
    size_t stride = s->c.stride, first = column % s->tiles * s->step * stride + m % stride;
    tile t = { .line = column / s->tiles, .at = (ptrdiff_t)first - (ptrdiff_t)s->c.left };
    if (first < s->c.left) t.begin = fewer((s->c.left - first + stride - 1) / stride, s->N);
    t.end = s->c.left + s->c.T > first ? fewer((s->c.left + s->c.T - first + stride - 1) / stride, s->N) : 0;
    return t;
}

static void transform_map(void *context, size_t m, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *z = ndi_scratch(j->p, worker);
    for (size_t block = 0; block < s->columns; block += NDI_COLUMNS) {
        memset(z, 0, s->N * NDI_COLUMNS * sizeof *z);
        for (size_t i = 0; i < NDI_COLUMNS && block + i < s->lines * s->tiles; i++) {
            tile t = tile_of(s, block + i, m);
            const float *x = ndi_x(j->p, j->n, 0) + ndi_conv1d_input(&s->c, t.line, m / s->c.stride);
            for (size_t k = t.begin; k < t.end; k++) z[k * NDI_COLUMNS + i] = x[t.at + (ptrdiff_t)(k * s->c.stride)];
        }
        ndi_vec->fft->spectrum(z, s->N, 1, j->x + m * s->columns + block, s->M * s->columns);
    }
}

/* The outputs of a column, from the first of its tile on. */
static size_t output_of(const sizes *s, size_t column, size_t f, size_t *count)
{
    size_t first = column % s->tiles * s->step;
    *count = fewer(s->step, s->c.P - first);
    return ndi_conv1d_output(&s->c, column / s->tiles, f) + first;
}

static void restore_output(void *context, size_t f, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *z = ndi_scratch(j->p, worker), shift = ndi_conv1d_b(j->p, j->n) ? ndi_conv1d_b(j->p, j->n)[f] : 0;
    for (size_t block = 0; block < s->columns; block += NDI_COLUMNS) {
        ndi_vec->fft->samples(j->y + f * s->columns + block, s->c.F * s->columns, s->N, 1, z);
        for (size_t i = 0; i < NDI_COLUMNS && block + i < s->lines * s->tiles; i++) {
            size_t count;
            float *y = ndi_y(j->p, j->n) + output_of(s, block + i, f, &count);
            for (size_t k = 0; k < count; k++) y[k] = z[k * NDI_COLUMNS + i] + shift;
        }
    }
}

static void transform_output_grad(void *context, size_t f, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *z = ndi_scratch(j->p, worker);
    double sum = 0;
    for (size_t block = 0; block < s->columns; block += NDI_COLUMNS) {
        memset(z, 0, s->N * NDI_COLUMNS * sizeof *z);
        for (size_t i = 0; i < NDI_COLUMNS && block + i < s->lines * s->tiles; i++) {
            size_t count;
            const float *dy = ndi_dy(j->p, j->n) + output_of(s, block + i, f, &count);
            for (size_t k = 0; k < count; k++) z[k * NDI_COLUMNS + i] = dy[k];
            sum += (double)ndi_vec->sum(dy, count);
        }
        ndi_vec->fft->spectrum(z, s->N, -1, j->y + f * s->columns + block, s->c.F * s->columns);
    }
    if (ndi_conv1d_db(j->p, j->n)) ndi_conv1d_db(j->p, j->n)[f] += (float)sum;
}

/* Tiles overlap: what reaches beyond one is added to the next. */
static void restore_input_grad(void *context, size_t m, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *z = ndi_scratch(j->p, worker);
    for (size_t block = 0; block < s->columns; block += NDI_COLUMNS) {
        ndi_vec->fft->samples(j->x + m * s->columns + block, s->M * s->columns, s->N, -1, z);
        for (size_t i = 0; i < NDI_COLUMNS && block + i < s->lines * s->tiles; i++) {
            tile t = tile_of(s, block + i, m);
            float *dx = ndi_dx(j->p, j->n, 0) + ndi_conv1d_input(&s->c, t.line, m / s->c.stride);
            for (size_t k = t.begin; k < t.end; k++) dx[t.at + (ptrdiff_t)(k * s->c.stride)] += z[k * NDI_COLUMNS + i];
        }
    }
}

/* Where tap 0 of weight number `at`, filter by filter, stands among the parameters, and how many taps follow, each `stride` apart. */
static size_t taps_of(const sizes *s, size_t at, size_t *taps)
{
    size_t stride = s->c.stride, q = at % s->M % stride;
    *taps = (s->c.K - q + stride - 1) / stride;
    return at / stride * s->c.K + q;
}

static void transform_weights(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *z = ndi_scratch(j->p, worker);
    memset(z, 0, s->N * NDI_COLUMNS * sizeof *z);
    for (size_t i = 0, at = task * NDI_COLUMNS; i < NDI_COLUMNS && at < s->c.F * s->M; i++, at++) {
        size_t taps;
        const float *w = ndi_conv1d_w(j->p, j->n) + taps_of(s, at, &taps);
        for (size_t k = 0; k < taps; k++) z[k * NDI_COLUMNS + i] = w[k * s->c.stride];
    }
    ndi_vec->fft->spectrum(z, s->N, -1, j->w + task * NDI_COLUMNS, s->weights);
}

static void restore_weight_grad(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *z = ndi_scratch(j->p, worker);
    ndi_vec->fft->samples(j->dw + task * NDI_COLUMNS, s->weights, s->N, 1, z);
    for (size_t i = 0, at = task * NDI_COLUMNS; i < NDI_COLUMNS && at < s->c.F * s->M; i++, at++) {
        size_t taps;
        float *dw = ndi_conv1d_dw(j->p, j->n) + taps_of(s, at, &taps);
        for (size_t k = 0; k < taps; k++) dw[k * s->c.stride] += z[k * NDI_COLUMNS + i];
    }
}

/* ---- products, plane by plane ---- */

static void multiply_plane(void *context, size_t plane, size_t worker)
{
    (void)worker;
    const job *j = context;
    const sizes *s = &j->s;
    ndi_gemm(false, false, s->c.F, s->columns, s->M, 1, j->w + plane * s->weights, s->M, j->x + plane * s->M * s->columns, s->columns, 0,
             j->y + plane * s->c.F * s->columns, s->columns);
}

/* dX takes the place of X. */
static void grad_plane(void *context, size_t plane, size_t worker)
{
    (void)worker;
    const job *j = context;
    const sizes *s = &j->s;
    float *x = j->x + plane * s->M * s->columns, *dy = j->y + plane * s->c.F * s->columns;
    float *dw = j->dw + plane * s->weights;
    size_t used = s->c.F * s->M;
    ndi_gemm(false, true, s->c.F, s->M, s->columns, 1, dy, s->columns, x, s->columns, 0, dw, s->M);
    memset(dw + used, 0, (s->weights - used) * sizeof *dw); /* transformed together with the others, to which rounding would carry it */
    if (ndi_dx(j->p, j->n, 0)) ndi_gemm(true, false, s->M, s->columns, s->c.F, 1, j->w + plane * s->weights, s->M, dy, s->columns, 0, x, s->columns);
}

static void run(job *j, size_t n, void (*fn)(void *context, size_t task, size_t worker)) { ndi_pool_run(j->p->w->threads, n, fn, j); }

static void forward(const pass *p, const node *n)
{
    job j = job_of(p, n);
    run(&j, j.s.weights / NDI_COLUMNS, transform_weights);
    run(&j, j.s.M, transform_map);
    run(&j, j.s.planes, multiply_plane);
    run(&j, j.s.c.F, restore_output);
}

static void clear_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t trial = ndi_shape_size(n->x);
    memset(ndi_dx(p, n, 0) + first * trial, 0, count * trial * sizeof(float));
}

static void backward(const pass *p, const node *n)
{
    job j = job_of(p, n);
    bool grad_input = ndi_dx(p, n, 0) != NULL;
    run(&j, j.s.M, transform_map);
    run(&j, j.s.c.F, transform_output_grad);
    if (grad_input) run(&j, j.s.weights / NDI_COLUMNS, transform_weights);
    run(&j, j.s.planes, grad_plane);
    run(&j, j.s.weights / NDI_COLUMNS, restore_weight_grad);
    if (!grad_input) return;
    ndi_for_chunks(p, n, clear_chunk);
    run(&j, j.s.M, restore_input_grad);
}

const conv1d_kind ndi_conv1d_spectral = { { "conv1d", forward, backward }, serves, plan };
