/* Convolution along samples by products of spectra, for one group of maps and filters of many taps.
 *
 * A line is cut into tiles of N samples that overlap by the filter's length, or where it can be stands in a single one that wraps around into the zeros beside it. Every tile is transformed, and
 * at every frequency the filters meet the maps in one matrix product of all tiles: Y = X conj(W), with M x F numbers for K taps instead of M x F x K. On the way down dW = conj(dY)' X, summed
 * over the tiles, and dX = dY W'. A complex product is three real ones, each on planes of its own (fft_kernels), so that all the work is real matrix products of one shape.
 *
 * A stride s makes of each map s maps, its samples q, q + s, ..., and of K taps K / s: below, M and K count these; map q `phase` + m is that of map m. In a plane the tiles are rows and the maps
 * stand side by side, so that transforms take NDI_COLUMNS maps as they stand and products read what they need without copies. Of the filters few taps are not 0 and all planes are wanted: they
 * are transformed by a matrix product. Lines go through in groups, the planes of which stay in the cache. */
#include <math.h>
#include <string.h>

#include "math/tile.h"
#include "math/vec.h"
#include "nn/conv1d.h"

enum { GROUP_FLOATS = 3 << 20, WEIGHT_COLUMNS = 512, LINE = 16 };

typedef struct sizes {
    conv1d_sizes c;
    size_t K, N, step, tiles, planes; /* step: outputs of a tile */
    size_t phase, M, F;               /* padded */
    size_t rows;                      /* samples of a line between its zeros */
    size_t group, columns;            /* lines; tiles of a group */
    size_t plane_x, plane_y, plane_w; /* numbers from plane to plane */
} sizes;

static size_t fewer(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t up(size_t n, size_t d) { return (n + d - 1) / d; }

/* Maps that transforms and products can take. */
static size_t padded(size_t maps) { return most(NDI_COLUMNS, up(maps, NDI_TILE_COLUMNS) * NDI_TILE_COLUMNS); }

/* Of one line, in multiply-adds. A transform takes as long as some 25 of them for each sample. */
static double cost_of(const sizes *s) { return (double)s->tiles * (double)(s->planes * s->F * s->M + 25 * s->N * (s->F + s->M)); }

/* Of the samples that a line's outputs see, the last ones and as many of the first are 0 for sure and may be the same. */
static size_t shared_zeros(const sizes *s)
{
    size_t seen = s->c.P + s->K - 1, filled = up(s->c.T + s->c.left, s->c.stride);
    return fewer(s->c.left / s->c.stride, seen > filled ? seen - filled : 0);
}

static sizes sizes_of(const node *n)
{
    static const size_t lengths[] = { 16, 20, 24, 32, 36, 40, 48, 64, 72, 80, 96, 108, 120, 128, 144 };
    sizes best = { .N = 0 }, s = { .c = ndi_conv1d_sizes(n) };
    s.K = up(s.c.K, s.c.stride);
    s.phase = padded(s.c.M);
    s.M = s.phase * s.c.stride;
    s.F = padded(s.c.F);
    for (size_t i = 0; i < COUNT(lengths); i++) {
        s.N = lengths[i];
        if (s.N < 2 * s.K - 1) continue;
        bool whole = s.c.P + s.K - 1 <= s.N + shared_zeros(&s);
        s.step = whole ? s.c.P : s.N - s.K + 1;
        s.tiles = up(s.c.P, s.step);
        s.planes = ndi_planes(s.N);
        if (best.N == 0 || cost_of(&s) < cost_of(&best)) best = s;
    }
    s = best;
    if (s.N == 0) return s;
    s.rows = most(((s.tiles - 1) * s.step + s.N) * s.c.stride, s.c.left + s.c.T);
    s.group = most(1, GROUP_FLOATS / (s.planes * s.tiles * (s.M + s.F)));
    s.columns = s.group * s.tiles;
    s.plane_x = s.columns * s.M + LINE; /* not a power of two, whose planes would stand in each other's way in the cache */
    s.plane_y = s.columns * s.F + LINE;
    s.plane_w = s.M * s.F + LINE;
    return s;
}

static bool serves(const node *n)
{
    sizes s = sizes_of(n);
    return s.N > 0 && s.c.g == 1 && cost_of(&s) < 0.7 * (double)(s.c.F * s.c.W) * (double)s.c.P;
}

/* One pass up or down, over a group of lines from `first` on. */
typedef struct job {
    const pass *p;
    const node *n;
    sizes s;
    size_t first, lines;
    float *roots, *to_planes, *to_taps; /* N pairs; planes x K; K x planes */
    float *x, *y, *dw, *taps;           /* planes of columns x M, columns x F, F x M; K of M x F or F x M */
} job;

/* Taps to planes, with 1 / N for the way back, and planes to taps. */
static void make_matrices(const job *j)
{
    const sizes *s = &j->s;
    const double part = 1 / (double)s->N;
    for (size_t k = 0; k < s->N; k++) {
        double angle = 2 * 3.14159265358979323846 * (double)k * part;
        j->roots[2 * k] = (float)cos(angle);
        j->roots[2 * k + 1] = (float)sin(angle);
    }
    for (size_t k = 0; k < s->K; k++) {
        float sign = k % 2 ? -1 : 1, one = (float)part, *from = j->to_taps + k * s->planes, *to = j->to_planes + k;
        to[0] = from[0] = one;
        to[s->K] = from[1] = sign * one;
        for (size_t f = 1; f < s->N / 2; f++) {
            float c = one * j->roots[2 * (f * k % s->N)], d = one * j->roots[2 * (f * k % s->N) + 1];
            float *planes = to + (3 * f - 1) * s->K, *back = from + 3 * f - 1;
            planes[0] = c;
            planes[s->K] = -d;
            planes[2 * s->K] = c + d;
            back[0] = 2 * (c + d);
            back[1] = 2 * (c - d);
            back[2] = -2 * d;
        }
    }
}

static job job_of(const pass *p, const node *n)
{
    job j = { .p = p, .n = n, .s = sizes_of(n) };
    const sizes *s = &j.s;
    j.roots = ndi_saved(p, n) + n->saved - 2 * s->N - 2 * s->planes * s->K;
    j.to_planes = j.roots + 2 * s->N;
    j.to_taps = j.to_planes + s->planes * s->K;
    j.x = ndi_shared(p);
    j.y = j.x + s->planes * s->plane_x;
    j.dw = j.y + s->planes * s->plane_y;
    j.taps = j.dw + s->planes * s->plane_w;
    return j;
}

static void run(job *j, size_t n, void (*fn)(void *context, size_t task, size_t worker)) { ndi_pool_run(j->p->w->threads, n, fn, j); }

/* The first of NDI_COLUMNS maps that contain map number `at` and following ones: the last of a phase overlap those before. */
static size_t block_at(size_t at, size_t maps) { return fewer(at, maps - NDI_COLUMNS); }

/* ---- lines to planes and back ---- */

static void transform_line(void *context, size_t i, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *turned = ndi_scratch(j->p, worker);
    memset(turned, 0, s->rows * s->phase * sizeof *turned);
    ndi_tile->turn(ndi_x(j->p, j->n, 0) + ndi_conv1d_input(&s->c, j->first + i, 0), s->c.H * s->c.T, s->c.M, s->c.T, turned + s->c.left * s->phase,
                   s->phase);
    for (size_t tile = 0; tile < s->tiles; tile++)
        for (size_t q = 0; q < s->c.stride; q++)
            for (size_t m = 0; m < s->phase; m += NDI_COLUMNS) {
                size_t block = block_at(m, s->phase);
                ndi_vec->fft->spectrum(turned + (tile * s->step * s->c.stride + q) * s->phase + block, s->c.stride * s->phase, s->N, j->roots, 1,
                                       j->x + (i * s->tiles + tile) * s->M + q * s->phase + block, s->plane_x);
            }
}

static void restore_line(void *context, size_t i, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *turned = ndi_scratch(j->p, worker), *z = turned + s->c.P * s->F, *y = ndi_y(j->p, j->n) + ndi_conv1d_output(&s->c, j->first + i, 0);
    const float *b = ndi_conv1d_b(j->p, j->n);
    for (size_t tile = 0; tile < s->tiles; tile++)
        for (size_t f = 0; f < s->F; f += NDI_COLUMNS) {
            size_t block = block_at(f, s->F), first = tile * s->step, count = fewer(s->step, s->c.P - first);
            ndi_vec->fft->samples(j->y + (i * s->tiles + tile) * s->F + block, s->plane_y, s->N, j->roots, 1, z);
            for (size_t k = 0; k < count; k++) memcpy(turned + (first + k) * s->F + block, z + k * NDI_COLUMNS, NDI_COLUMNS * sizeof *z);
        }
    ndi_tile->turn(turned, s->F, s->c.P, s->c.F, y, s->c.H * s->c.P);
    for (size_t f = 0; b && f < s->c.F; f++) ndi_vec->scale_shift(1, b[f], y + f * s->c.H * s->c.P, y + f * s->c.H * s->c.P, s->c.P);
}

static void transform_output_grad(void *context, size_t i, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *turned = ndi_scratch(j->p, worker);
    const float *dy = ndi_dy(j->p, j->n) + ndi_conv1d_output(&s->c, j->first + i, 0);
    memset(turned, 0, s->tiles * s->N * s->F * sizeof *turned);
    for (size_t tile = 0; tile < s->tiles; tile++) {
        float *rows = turned + tile * s->N * s->F;
        size_t first = tile * s->step, count = fewer(s->step, s->c.P - first);
        ndi_tile->turn(dy + first, s->c.H * s->c.P, s->c.F, count, rows, s->F);
        for (size_t f = 0; f < s->F; f += NDI_COLUMNS) {
            size_t block = block_at(f, s->F);
            ndi_vec->fft->spectrum(rows + block, s->F, s->N, j->roots, -1, j->y + (i * s->tiles + tile) * s->F + block, s->plane_y);
        }
    }
}

/* Adds NDI_COLUMNS columns of a tile, less those that the block before had; tiles overlap. */
static void add_tile(const sizes *s, size_t tile, size_t q, size_t m, const float *z, float *turned)
{
    size_t block = block_at(m, s->phase), before = m - block;
    for (size_t k = 0; k < s->N; k++)
        ndi_vec->axpy(1, z + k * NDI_COLUMNS + before, turned + ((tile * s->step + k) * s->c.stride + q) * s->phase + m, NDI_COLUMNS - before);
}

static void restore_input_grad(void *context, size_t i, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *turned = ndi_scratch(j->p, worker), *z = turned + s->rows * s->phase;
    memset(turned, 0, s->rows * s->phase * sizeof *turned);
    for (size_t tile = 0; tile < s->tiles; tile++)
        for (size_t q = 0; q < s->c.stride; q++)
            for (size_t m = 0; m < s->phase; m += NDI_COLUMNS) {
                ndi_vec->fft->samples(j->x + (i * s->tiles + tile) * s->M + q * s->phase + block_at(m, s->phase), s->plane_x, s->N, j->roots, -1, z);
                add_tile(s, tile, q, m, z, turned);
            }
    ndi_tile->turn(turned + s->c.left * s->phase, s->phase, s->c.T, s->c.M, ndi_dx(j->p, j->n, 0) + ndi_conv1d_input(&s->c, j->first + i, 0),
                   s->c.H * s->c.T);
}

/* ---- weights ---- */

/* Tap k of phase q of map m of a filter is its number m K + k stride + q; how many there are. */
static size_t taps_of(const sizes *s, size_t q) { return (s->c.K - q + s->c.stride - 1) / s->c.stride; }

/* Filter f for all maps, F x M for each tap. */
static void spread_filter(void *context, size_t f, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    const float *w = ndi_conv1d_w(j->p, j->n) + f * s->c.W;
    float *room = ndi_scratch(j->p, worker);
    for (size_t q = 0; q < s->c.stride; q++) {
        size_t taps = taps_of(s, q);
        for (size_t m = 0; m < s->c.M; m++)
            for (size_t k = 0; k < taps; k++) room[m * s->K + k] = w[m * s->c.K + k * s->c.stride + q];
        ndi_tile->turn(room, s->K, s->c.M, taps, j->taps + f * s->M + q * s->phase, s->plane_w);
    }
}

/* Map m for all filters, M x F for each tap. */
static void spread_map(void *context, size_t m, size_t worker)
{
    (void)worker;
    const job *j = context;
    const sizes *s = &j->s;
    const float *w = ndi_conv1d_w(j->p, j->n) + m * s->c.K;
    for (size_t k = 0; k < s->c.K; k++) {
        float *to = j->taps + k / s->c.stride * s->plane_w + (k % s->c.stride * s->phase + m) * s->F;
        for (size_t f = 0; f < s->c.F; f++) to[f] = w[f * s->c.W + k];
    }
}

static void collect_filter(void *context, size_t f, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    float *room = ndi_scratch(j->p, worker), *dw = ndi_conv1d_dw(j->p, j->n) + f * s->c.W;
    for (size_t q = 0; q < s->c.stride; q++) {
        size_t taps = taps_of(s, q);
        ndi_tile->turn(j->taps + f * s->M + q * s->phase, s->plane_w, taps, s->c.M, room, s->K);
        for (size_t m = 0; m < s->c.M; m++)
            for (size_t k = 0; k < taps; k++) dw[m * s->c.K + k * s->c.stride + q] += room[m * s->K + k];
    }
}

/* c (m x count) = a (m x k) b, some of the weights. */
static void multiply_weights(const sizes *s, size_t m, size_t count, size_t k, const float *a, const float *b, float *c)
{
    ndi_tile->product(&(product){
        .m = m, .n = count, .k = k, .a = a, .a_row = k, .a_step = 1, .b = b, .b_row = s->plane_w, .c = c, .c_row = s->plane_w, .times = 1 });
}

static void grads_to_taps(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    size_t first = task * WEIGHT_COLUMNS, count = fewer(WEIGHT_COLUMNS, j->s.M * j->s.F - first);
    multiply_weights(&j->s, j->s.K, count, j->s.planes, j->to_taps, j->dw + first, j->taps + first);
}

static void spread(job *j, size_t n, void (*fn)(void *context, size_t task, size_t worker))
{
    memset(j->taps, 0, j->s.K * j->s.plane_w * sizeof *j->taps);
    run(j, n, fn);
}

/* ---- products, some planes in a task ---- */

enum { PLANES_AT_ONCE = 6 };

/* The weights of the planes that follow `first`: computed where they are used, they never leave the cache. */
static const float *weights_of(const job *j, size_t first, size_t count, size_t worker)
{
    const sizes *s = &j->s;
    float *w = ndi_scratch(j->p, worker);
    multiply_weights(s, count, s->M * s->F, s->K, j->to_planes + first * s->K, j->taps, w);
    return w;
}

/* to (lines x n) = from (lines x k) w of one plane. */
static void multiply_plane(const job *j, const float *from, size_t k, const float *w, size_t n, float *to)
{
    ndi_tile->product(&(product){
        .m = j->lines * j->s.tiles, .n = n, .k = k, .a = from, .a_row = k, .a_step = 1, .b = w, .b_row = n, .c = to, .c_row = n, .times = 1 });
}

static void multiply_planes(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    size_t first = task * PLANES_AT_ONCE, count = fewer(PLANES_AT_ONCE, s->planes - first);
    const float *w = weights_of(j, first, count, worker);
    for (size_t i = 0; i < count; i++)
        multiply_plane(j, j->x + (first + i) * s->plane_x, s->M, w + i * s->plane_w, s->F, j->y + (first + i) * s->plane_y);
}

static void add_weight_grad(const job *j, size_t plane)
{
    const sizes *s = &j->s;
    ndi_tile->product(&(product){ .m = s->F,
                                  .n = s->M,
                                  .k = j->lines * s->tiles,
                                  .a = j->y + plane * s->plane_y,
                                  .a_row = 1,
                                  .a_step = s->F,
                                  .b = j->x + plane * s->plane_x,
                                  .b_row = s->M,
                                  .c = j->dw + plane * s->plane_w,
                                  .c_row = s->M,
                                  .add = j->first > 0,
                                  .times = 1 });
}

/* dX takes the place of X. */
static void grad_planes(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    size_t first = task * PLANES_AT_ONCE, count = fewer(PLANES_AT_ONCE, s->planes - first);
    for (size_t i = 0; i < count; i++) add_weight_grad(j, first + i);
    if (!ndi_dx(j->p, j->n, 0)) return;
    const float *w = weights_of(j, first, count, worker);
    for (size_t i = 0; i < count; i++)
        multiply_plane(j, j->y + (first + i) * s->plane_y, s->F, w + i * s->plane_w, s->M, j->x + (first + i) * s->plane_x);
}

/* ---- few lines ----
 *
 * The spectra of the filters, which take as long as some 40 multiply-adds for each number besides their product, would serve too few of them: each tap meets the samples as they stand. */

enum { FILTERS_AT_ONCE = 6 };

static bool few_lines(const job *j)
{
    const sizes *s = &j->s;
    double lines = (double)(j->p->B * s->c.H), weights = (double)(s->planes * (s->K + 40) * s->F * s->M);
    return 1.2 * lines * (double)(s->c.F * s->c.W * s->c.P) < weights + lines * cost_of(s);
}

static size_t direct_outputs(const sizes *s) { return up(s->c.P, NDI_TILE_COLUMNS) * NDI_TILE_COLUMNS; }
static size_t direct_row(const sizes *s) { return most(direct_outputs(s) + s->K, up(s->c.left + s->c.T, s->c.stride)); }

/* The samples of each phase of a map side by side, between zeros. */
static void separate_map(void *context, size_t m, size_t worker)
{
    (void)worker;
    const job *j = context;
    const sizes *s = &j->s;
    const float *x = ndi_x(j->p, j->n, 0) + ndi_conv1d_input(&s->c, j->first, m);
    float *to = j->x + m * s->c.stride * direct_row(s);
    memset(to, 0, s->c.stride * direct_row(s) * sizeof *to);
    for (size_t t = 0, at = s->c.left; t < s->c.T; t++, at++) to[at % s->c.stride * direct_row(s) + at / s->c.stride] = x[t];
}

static void filter_line(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const sizes *s = &j->s;
    size_t tasks = up(s->c.F, FILTERS_AT_ONCE), first = s->c.F * task / tasks, row = direct_row(s), outputs = direct_outputs(s);
    float *out = ndi_scratch(j->p, worker);
    product c = { .m = s->c.F * (task + 1) / tasks - first, .n = outputs, .add = true, .times = s->c.M };
    memset(out, 0, FILTERS_AT_ONCE * outputs * sizeof *out);
    c.a_row = s->c.W;
    c.a_step = s->c.stride;
    c.a_next = s->c.K;
    c.b_row = 1;
    c.b_next = s->c.stride * row;
    c.c = out;
    c.c_row = outputs;
    for (size_t q = 0; q < s->c.stride; q++) {
        c.k = taps_of(s, q);
        c.a = ndi_conv1d_w(j->p, j->n) + first * s->c.W + q;
        c.b = j->x + q * row;
        ndi_tile->product(&c);
    }
    const float *b = ndi_conv1d_b(j->p, j->n);
    for (size_t f = 0; f < c.m; f++) {
        float *y = ndi_y(j->p, j->n) + ndi_conv1d_output(&s->c, j->first, first + f);
        ndi_vec->scale_shift(1, b ? b[first + f] : 0, out + f * outputs, y, s->c.P);
    }
}

static void forward_directly(job *j)
{
    for (; j->first < j->p->B * j->s.c.H; j->first++) {
        run(j, j->s.c.M, separate_map);
        run(j, up(j->s.c.F, FILTERS_AT_ONCE), filter_line);
    }
}

/* ---- passes ---- */

/* Goes to the next group of lines; all are of nearly the same size. */
static bool next_group(job *j)
{
    size_t all = j->p->B * j->s.c.H, groups = up(all, j->s.group);
    j->first += j->lines;
    j->lines = fewer(up(all, groups), all - j->first);
    return j->lines > 0;
}

static void forward(const pass *p, const node *n)
{
    job j = job_of(p, n);
    if (few_lines(&j)) {
        forward_directly(&j);
        return;
    }
    make_matrices(&j);
    spread(&j, j.s.c.M, spread_map);
    while (next_group(&j)) {
        run(&j, j.lines, transform_line);
        run(&j, up(j.s.planes, PLANES_AT_ONCE), multiply_planes);
        run(&j, j.lines, restore_line);
    }
}

static void bias_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    conv1d_sizes c = ndi_conv1d_sizes(n);
    float *db = ndi_partial(p, chunk);
    memset(db, 0, c.F * sizeof *db);
    for (size_t line = first * c.H; line < (first + count) * c.H; line++)
        for (size_t f = 0; f < c.F; f++) db[f] += ndi_vec->sum(ndi_dy(p, n) + ndi_conv1d_output(&c, line, f), c.P);
}

static void backward(const pass *p, const node *n)
{
    job j = job_of(p, n);
    bool grad_input = ndi_dx(p, n, 0) != NULL;
    if (ndi_conv1d_db(p, n)) {
        ndi_for_chunks(p, n, bias_chunk);
        ndi_add_partials(p, 0, j.s.c.F, ndi_conv1d_db(p, n));
    }
    make_matrices(&j);
    if (grad_input) spread(&j, j.s.c.F, spread_filter);
    while (next_group(&j)) {
        run(&j, j.lines, transform_line);
        run(&j, j.lines, transform_output_grad);
        run(&j, up(j.s.planes, PLANES_AT_ONCE), grad_planes);
        if (grad_input) run(&j, j.lines, restore_input_grad);
    }
    run(&j, up(j.s.M * j.s.F, WEIGHT_COLUMNS), grads_to_taps);
    run(&j, j.s.c.F, collect_filter);
}

static void plan(node *n)
{
    sizes s = sizes_of(n);
    n->saved += 2 * s.N + 2 * s.planes * s.K;
    n->shared = s.planes * (s.plane_x + s.plane_y + s.plane_w) + s.K * s.plane_w + s.M * direct_row(&s);
    n->scratch = most(s.rows * s.phase, most(s.c.P, s.tiles * s.N) * s.F) + s.N * NDI_COLUMNS + s.phase * s.K + FILTERS_AT_ONCE * direct_outputs(&s);
    n->scratch = most(n->scratch, PLANES_AT_ONCE * s.plane_w);
    n->partial = s.c.F;
    n->multiply_adds = (uint64_t)(s.planes * s.F * s.M * s.tiles * s.c.H);
}

const conv1d_kind ndi_conv1d_spectral = { { "conv1d", forward, backward }, serves, plan };
