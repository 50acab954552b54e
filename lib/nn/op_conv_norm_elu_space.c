/* The front end of NICE in one: temporal convolution with mean pooling, batch normalisation, ELU and spatial convolution, x (1 x C x T) -> y (D x 1 x P), so that the F x C x P maps between
 * them never leave the cache. Tensors are those of the four nodes it replaces.
 *
 * - With r the running mean of x, channels side by side, the convolution is c[f][p] = w[f] . r[stride p ..]: see op_conv_time.c.
 * - The batch statistics of c follow from those of the windows of r, mean m (K) and covariance V (K x K), before c is computed: mean_f = w_f . m, var_f = w_f' V w_f. Window sums S[k][l] are
 *   summed directly for k < stride; S[k + stride][l + stride] differs from S[k][l] by the first and the last window. All in double.
 * - So the normalisation is folded into w and ELU follows at once. It leaves h = (ELU + 1) log2(e), see math/tile.h; the factor goes into the spatial weights v, the 1 is taken away from sums.
 * - On the way down h is computed again. With g the gradient before ELU, G = sum of g times window and s = sum of g are enough for the normalisation and the filters:
 *   sum of g xhat = rstd (w . G - s mean), dw = weight rstd (G - s m - (sum of g xhat) rstd V w). In front of batch statistics a bias has gradient 0.
 *
 * Maps are computed a slab at a time, up to 5 filters x 64 channels x P: h[p][filter][channel]. Going down, a task is a slab over a group of trials, so that its spatial gradient stays in
 * the cache. */
#include <math.h>
#include <string.h>

#include "math/tile.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { MAPS, KERNEL, POOL, STRIDE };                                 /* attributes, those of conv_time */
enum { TIME_WEIGHT, TIME_BIAS, NORM, SPACE_WEIGHT = 7, SPACE_BIAS }; /* tensors */
enum { SLAB_FILTERS = 5, SLAB_CHANNELS = 64, TOGETHER = 4 /* trials */, GROUP_TASKS = 32, MAX_KERNEL = 64 };

static const float ln_2 = 0.69314718f, log2_e = 1.44269504f;

typedef struct sizes {
    size_t C, T, F, K, P, D;
    size_t channels, columns;    /* C and D padded to whole vectors */
    size_t rows;                 /* of r that are read */
    size_t bands, strips, slabs; /* slabs: bands of channels x strips of filters */
    size_t stride;
} sizes;

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static sizes sizes_of(const node *n)
{
    sizes s = {
        .C = n->x.rows, .T = n->x.samples, .F = n->a[MAPS], .K = n->a[KERNEL], .P = n->out.samples, .D = n->out.maps, .stride = n->a[STRIDE]
    };
    s.channels = round_up(s.C, NDI_TILE_RUN);
    s.columns = round_up(s.D, NDI_TILE_COLUMNS);
    s.rows = (s.P - 1) * s.stride + s.K;
    s.bands = (s.channels + SLAB_CHANNELS - 1) / SLAB_CHANNELS;
    s.strips = (s.F + SLAB_FILTERS - 1) / SLAB_FILTERS;
    s.slabs = s.bands * s.strips;
    return s;
}

typedef struct slab {
    size_t band, f, filters, c, channels; /* first and number of both */
    size_t width;                         /* filters x channels */
    size_t at;                            /* of its weights among the packed ones */
} slab;

static slab slab_of(const sizes *s, size_t i)
{
    size_t band = i / s->strips, strip = i % s->strips, runs = s->channels / NDI_TILE_RUN;
    slab b = { .band = band, .f = s->F * strip / s->strips, .c = runs * band / s->bands * NDI_TILE_RUN };
    b.filters = s->F * (strip + 1) / s->strips - b.f;
    b.channels = runs * (band + 1) / s->bands * NDI_TILE_RUN - b.c;
    b.width = b.filters * b.channels;
    b.at = s->columns * (b.c * s->F + b.f * b.channels);
    return b;
}

/* ---- memory ---- */

/* What is kept for the whole batch. */
typedef struct kept {
    double *mean, *covariance; /* m, V */
    float *centre, *rstd;      /* of each filter: mean of the convolution without its bias, 1 / deviation */
    float *w, *start;          /* the filters with the normalisation folded in, times log2(e) */
    float *ones;               /* as many as there are channels */
    float *down, *up;          /* spatial weights times ln 2, slab by slab: [filter][channel][column] for y, [map of y][filter][channel] for dh */
    float *offset;             /* of each map of y */
    float *across, *level;     /* K x K and K: from windows to their part of dr, see add_statistics() */
    float *r, *dy;             /* of each trial: running mean (rows x channels), gradient of y turned (P x columns) */
} kept;

static size_t lay_out(const sizes *s, size_t capacity, float *block, kept *k)
{
    size_t used = 0, packed = s->columns * s->channels * s->F;
    struct {
        float **to;
        size_t n;
    } parts[] = { { &k->centre, s->F },
                  { &k->rstd, s->F },
                  { &k->w, s->F * s->K },
                  { &k->start, s->F },
                  { &k->ones, s->channels },
                  { &k->down, packed },
                  { &k->up, packed },
                  { &k->offset, s->D },
                  { &k->across, s->K * s->K },
                  { &k->level, s->K },
                  { &k->r, capacity * s->rows * s->channels },
                  { &k->dy, capacity * s->P * s->columns } };
    double *doubles = (double *)(void *)block;
    k->mean = doubles;
    k->covariance = doubles ? doubles + s->K : NULL;
    used = round_up(2 * (s->K + s->K * s->K), NDI_TILE_RUN);
    for (size_t i = 0; i < COUNT(parts); i++) {
        *parts[i].to = block ? block + used : NULL;
        used += round_up(parts[i].n, NDI_TILE_RUN);
    }
    return used;
}

static kept kept_of(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k;
    lay_out(&s, p->w->capacity, ndi_saved(p, n), &k);
    return k;
}

/* What a task going down adds up, by group of trials: spatial gradient packed as `up`, then for each band G (F x K) and s (F). */
static size_t sums_size(const sizes *s) { return s->F * s->K + s->F; }
static float *sums_of(const pass *p, const sizes *s, size_t group, size_t band)
{
    return ndi_partial(p, group) + s->columns * s->channels * s->F + band * sums_size(s);
}

/* ---- statistics ---- */

/* Sums over the windows of some trials: mean (K), then products (K x K). */
static void window_sums(const node *n, const kept *k, const float *r, double *mean, double *products, double *room)
{
    sizes s = sizes_of(n);
    size_t direct = s.stride < s.K ? s.stride : s.K, rest = s.K - direct;
    double *row_sums = room, *first = room + s.rows, *last = first + rest * rest;
    memset(room, 0, (s.rows + 2 * rest * rest) * sizeof *room);
    dots d = { .m = direct, .n = s.K, .steps = s.P, .run = s.channels, .x = r, .y = r, .x_row = s.channels, .y_row = s.channels, .c_row = s.K };
    d.x_step = d.y_step = s.stride * s.channels;
    ndi_tile->dots_f64(&d, products);
    d.m = d.n = d.c_row = rest;
    d.steps = 1;
    if (rest) ndi_tile->dots_f64(&d, first);
    d.x = d.y = r + s.P * s.stride * s.channels;
    if (rest) ndi_tile->dots_f64(&d, last);
    for (size_t i = 0; i < rest * rest; i++) products[s.K * s.K + i] += last[i] - first[i];
    dots sum = { .m = s.rows, .n = 1, .steps = 1, .run = s.channels, .x = r, .y = k->ones, .x_row = s.channels, .c_row = 1 };
    ndi_tile->dots_f64(&sum, row_sums);
    for (size_t q = 0; q < s.P; q++)
        for (size_t j = 0; j < s.K; j++) mean[j] += row_sums[q * s.stride + j];
}

static size_t window_doubles(const sizes *s) { return s->K + 2 * s->K * s->K; }

static void windows_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    double *sums = (double *)(void *)ndi_partial(p, chunk);
    memset(sums, 0, window_doubles(&s) * sizeof *sums);
    for (size_t i = first; i < first + count; i++) {
        float *r = k.r + i * s.rows * s.channels;
        ndi_tile->running_mean(ndi_x(p, n, 0) + i * s.C * s.T, s.C, s.T, n->a[POOL], r, s.rows, s.channels);
        if (p->training) window_sums(n, &k, r, sums, sums + s.K, (double *)(void *)ndi_scratch(p, worker));
    }
}

/* m and V from the sums of the chunks: rows below the stride as they are, the others from those before them. */
static void windows(const pass *p, const node *n, const kept *k)
{
    sizes s = sizes_of(n);
    size_t K = s.K, direct = s.stride < K ? s.stride : K, rest = K - direct;
    double N = (double)(p->B * s.C * s.P), *V = k->covariance, edges[MAX_KERNEL * MAX_KERNEL] = { 0 };
    memset(k->mean, 0, K * sizeof *k->mean);
    memset(V, 0, K * K * sizeof *V);
    for (size_t c = 0; c < ndi_chunks(p->B); c++) {
        const double *sums = (double *)(void *)ndi_partial(p, c);
        for (size_t i = 0; i < K; i++) k->mean[i] += sums[i] / N;
        for (size_t i = 0; i < direct * K; i++) V[i] += sums[K + i];
        for (size_t i = 0; i < rest * rest; i++) edges[i] += sums[K + K * K + i];
    }
    for (size_t i = direct; i < K; i++)
        for (size_t j = 0; j < K; j++)
            V[i * K + j] = j < direct ? V[j * K + i] : V[(i - direct) * K + j - direct] + edges[(i - direct) * rest + j - direct];
    for (size_t i = 0; i < K; i++)
        for (size_t j = 0; j < K; j++) V[i * K + j] = V[i * K + j] / N - k->mean[i] * k->mean[j];
}

static double dot(const float *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* V w_f */
static void across_windows(const kept *k, const float *w, size_t K, double *to)
{
    for (size_t i = 0; i < K; i++) to[i] = dot(w, k->covariance + i * K, K);
}

static void statistics(const pass *p, const node *n, const kept *k)
{
    sizes s = sizes_of(n);
    const float *w = ndi_w(p, n, TIME_WEIGHT), *b = ndi_w(p, n, TIME_BIAS), *gain = ndi_w(p, n, NORM + NDI_NORM_WEIGHT);
    if (p->training) windows(p, n, k);
    for (size_t f = 0; f < s.F; f++, w += s.K) {
        if (p->training) {
            double mean = dot(w, k->mean, s.K), to[MAX_KERNEL];
            across_windows(k, w, s.K, to);
            k->centre[f] = (float)mean;
            k->rstd[f] = ndi_batch_norm_train(p, n, NORM, f, (double)(p->B * s.C * s.P), mean + (double)b[f], dot(w, to, s.K));
        } else {
            k->centre[f] = ndi_state(p, n, NORM + NDI_NORM_MEAN)[f] - b[f];
            k->rstd[f] = ndi_batch_norm_rstd(p, n, NORM, f);
        }
        float scale = log2_e * gain[f] * k->rstd[f];
        for (size_t i = 0; i < s.K; i++) k->w[f * s.K + i] = scale * w[i];
        k->start[f] = log2_e * ndi_w(p, n, NORM + NDI_NORM_BIAS)[f] - scale * k->centre[f];
    }
}

/* ---- forward ---- */

typedef struct job {
    const pass *p;
    const node *n;
    size_t groups;
} job;

static void pack_slab(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    sizes s = sizes_of(j->n);
    kept k = kept_of(j->p, j->n);
    slab b = slab_of(&s, task);
    size_t real = b.c + b.channels <= s.C ? b.channels : s.C - b.c;
    float *up = k.up + b.at, *down = k.down + b.at;
    for (size_t d = 0; d < s.D; d++)
        for (size_t f = 0; f < b.filters; f++) {
            const float *v = ndi_w(j->p, j->n, SPACE_WEIGHT) + (d * s.F + b.f + f) * s.C + b.c;
            float *row = up + d * b.width + f * b.channels, *column = down + f * b.channels * s.columns + d;
            for (size_t c = 0; c < real; c++) column[c * s.columns] = ln_2 * v[c];
            for (size_t c = 0; c < real && j->p->w->backward; c++) row[c] = ln_2 * v[c];
        }
}

/* Of each map of y: its bias, less the weights times the 1 in ELU + 1. */
static void offsets(const pass *p, const node *n, const kept *k)
{
    sizes s = sizes_of(n);
    const float *v = ndi_w(p, n, SPACE_WEIGHT), *bias = ndi_w(p, n, SPACE_BIAS);
    for (size_t d = 0; d < s.D; d++) k->offset[d] = bias[d] - (float)ndi_sum_f64(v + d * s.F * s.C, s.F * s.C);
}

/* h of one trial in one slab. */
static void maps_of(const sizes *s, const kept *k, const slab *b, size_t trial, float *h)
{
    product c = { .m = b->filters, .n = b->channels, .k = s->K, .times = s->P };
    c.a = k->w + b->f * s->K;
    c.a_row = s->K;
    c.a_step = 1;
    c.start = k->start + b->f;
    c.b = k->r + trial * s->rows * s->channels + b->c;
    c.b_row = s->channels;
    c.b_next = s->stride * s->channels;
    c.c = h;
    c.c_row = b->channels;
    c.c_next = b->width;
    ndi_tile->product(&c);
    ndi_tile->elu(h, s->P * b->width);
}

/* y (P x columns) += the part of a slab. */
static void add_to_output(const sizes *s, const kept *k, const slab *b, const float *h, float *y)
{
    product c = { .m = s->P, .n = s->columns, .k = b->channels, .add = true, .times = b->filters };
    c.a = h;
    c.a_row = b->width;
    c.a_step = 1;
    c.a_next = b->channels;
    c.b = k->down + b->at;
    c.b_row = s->columns;
    c.b_next = b->channels * s->columns;
    c.c = y;
    c.c_row = s->columns;
    ndi_tile->product(&c);
}

static void turn_output(const sizes *s, const kept *k, const float *turned, float *y)
{
    for (size_t d = 0; d < s->D; d++)
        for (size_t q = 0; q < s->P; q++) y[d * s->P + q] = turned[q * s->columns + d] + k->offset[d];
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    size_t size = s.P * s.columns;
    float *y = ndi_scratch(p, worker), *h = y + TOGETHER * size;
    for (size_t end = first + count, these; first < end; first += these) {
        these = end - first < TOGETHER ? end - first : TOGETHER;
        memset(y, 0, these * size * sizeof *y);
        for (size_t i = 0; i < s.slabs; i++) {
            slab b = slab_of(&s, i);
            for (size_t t = 0; t < these; t++) {
                maps_of(&s, &k, &b, first + t, h);
                add_to_output(&s, &k, &b, h, y + t * size);
            }
        }
        for (size_t t = 0; t < these; t++) turn_output(&s, &k, y + t * size, ndi_y(p, n) + (first + t) * s.D * s.P);
    }
}

/* All that follows from the parameters and, in training, the statistics of the batch. */
static void prepare(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    job j = { .p = p, .n = n };
    statistics(p, n, &k);
    ndi_pool_run(p->w->threads, s.slabs, pack_slab, &j);
    offsets(p, n, &k);
}

static void forward(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    for (size_t c = 0; c < s.channels; c++) k.ones[c] = 1;
    ndi_for_chunks(p, n, windows_chunk);
    if (!ndi_prepared(p)) prepare(p, n);
    ndi_for_chunks(p, n, forward_chunk);
}

/* ---- backward ---- */

/* dy turned, and its sums for the bias of the spatial convolution. */
static void turn_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    float *db = ndi_partial(p, chunk);
    memset(db, 0, s.D * sizeof *db);
    for (size_t i = first; i < first + count; i++)
        for (size_t d = 0; d < s.D; d++) {
            const float *dy = ndi_dy(p, n) + (i * s.D + d) * s.P;
            float *to = k.dy + i * s.P * s.columns + d;
            for (size_t q = 0; q < s.P; q++) to[q * s.columns] = dy[q];
            db[d] += ndi_vec->sum(dy, s.P);
        }
}

/* g (P x width) of one trial in one slab: gradient before ELU, from h. */
static void grad_of(const sizes *s, const kept *k, const slab *b, size_t trial, const float *h, float *g)
{
    product c = { .m = s->P, .n = b->width, .k = s->D, .times = 1 };
    c.a = k->dy + trial * s->P * s->columns;
    c.a_row = s->columns;
    c.a_step = 1;
    c.b = k->up + b->at;
    c.b_row = b->width;
    c.c = g;
    c.c_row = b->width;
    ndi_tile->product(&c);
    ndi_tile->elu_grad(h, g, s->P * b->width);
}

/* to (D x width) += dy' h */
static void add_spatial_grad(const sizes *s, const kept *k, const slab *b, size_t trial, const float *h, float *to)
{
    product c = { .m = s->D, .n = b->width, .k = s->P, .add = true, .times = 1 };
    c.a = k->dy + trial * s->P * s->columns;
    c.a_row = 1;
    c.a_step = s->columns;
    c.b = h;
    c.b_row = b->width;
    c.c = to;
    c.c_row = b->width;
    ndi_tile->product(&c);
}

/* G and s. */
static void add_filter_sums(const sizes *s, const kept *k, const slab *b, size_t trial, const float *g, float *G, float *sums)
{
    dots d = { .m = b->filters, .n = s->K, .steps = s->P, .run = b->channels, .x = g, .x_row = b->channels, .x_step = b->width };
    d.y = k->r + trial * s->rows * s->channels + b->c;
    d.y_row = s->channels;
    d.y_step = s->stride * s->channels;
    d.c_row = s->K;
    ndi_tile->dots(&d, G);
    d.n = d.c_row = 1;
    d.y = k->ones;
    d.y_step = 0;
    ndi_tile->dots(&d, sums);
}

static void down_slab(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const pass *p = j->p;
    sizes s = sizes_of(j->n);
    kept k = kept_of(p, j->n);
    slab b = slab_of(&s, task % s.slabs);
    size_t group = task / s.slabs, end = p->B * (group + 1) / j->groups;
    float *h = ndi_scratch(p, worker), *g = h + s.P * b.width, *dv = ndi_partial(p, group) + b.at;
    float *G = sums_of(p, &s, group, b.band) + b.f * s.K, *sums = sums_of(p, &s, group, b.band) + s.F * s.K + b.f;
    memset(dv, 0, s.D * b.width * sizeof *dv);
    memset(G, 0, b.filters * s.K * sizeof *G);
    memset(sums, 0, b.filters * sizeof *sums);
    for (size_t i = p->B * group / j->groups; i < end; i++) {
        maps_of(&s, &k, &b, i, h);
        add_spatial_grad(&s, &k, &b, i, h, dv);
        grad_of(&s, &k, &b, i, h, g);
        add_filter_sums(&s, &k, &b, i, g, G, sums);
    }
}

/* The spatial gradient out of the groups' sums, less the 1 in ELU + 1. */
static void unpack_slab(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    sizes s = sizes_of(j->n);
    slab b = slab_of(&s, task);
    size_t real = b.c + b.channels <= s.C ? b.channels : s.C - b.c;
    const float *db = ndi_dw(j->p, j->n, SPACE_BIAS);
    for (size_t d = 0; d < s.D; d++)
        for (size_t f = 0; f < b.filters; f++) {
            float *dv = ndi_dw(j->p, j->n, SPACE_WEIGHT) + (d * s.F + b.f + f) * s.C + b.c;
            for (size_t group = 0; group < j->groups; group++)
                ndi_vec->axpy(ln_2, ndi_partial(j->p, group) + b.at + d * b.width + f * b.channels, dv, real);
            for (size_t c = 0; c < real; c++) dv[c] -= db[d];
        }
}

/* What batch statistics add to the gradient of the convolution c: a c + b for each filter. Of the windows of r that is `across` times window + `level`, summed over the filters. */
static void add_statistics(const kept *k, size_t K, const float *w, double a, double b)
{
    for (size_t i = 0; i < K; i++) {
        k->level[i] += (float)((double)w[i] * b);
        for (size_t l = 0; l < K; l++) k->across[i * K + l] += (float)((double)w[i] * a * (double)w[l]);
    }
}

static void add_up(const pass *p, const sizes *s, size_t groups, size_t f, double *G, double *sum)
{
    memset(G, 0, s->K * sizeof *G);
    *sum = 0;
    for (size_t group = 0; group < groups; group++)
        for (size_t band = 0; band < s->bands; band++) {
            const float *sums = sums_of(p, s, group, band);
            for (size_t i = 0; i < s->K; i++) G[i] += (double)sums[f * s->K + i];
            *sum += (double)sums[s->F * s->K + f];
        }
}

static void filter_grads(const pass *p, const node *n, const kept *k, size_t groups)
{
    sizes s = sizes_of(n);
    double N = (double)(p->B * s.C * s.P), G[MAX_KERNEL], to[MAX_KERNEL] = { 0 }, sum;
    memset(k->across, 0, s.K * s.K * sizeof *k->across);
    memset(k->level, 0, s.K * sizeof *k->level);
    for (size_t f = 0; f < s.F; f++) {
        const float *w = ndi_w(p, n, TIME_WEIGHT) + f * s.K;
        float *dw = ndi_dw(p, n, TIME_WEIGHT) + f * s.K;
        add_up(p, &s, groups, f, G, &sum);
        double rstd = (double)k->rstd[f], scale = (double)ndi_w(p, n, NORM + NDI_NORM_WEIGHT)[f] * rstd,
               along = rstd * (dot(w, G, s.K) - sum * (double)k->centre[f]);
        ndi_dw(p, n, NORM + NDI_NORM_WEIGHT)[f] += (float)along;
        ndi_dw(p, n, NORM + NDI_NORM_BIAS)[f] += (float)sum;
        if (p->training) {
            double a = -scale * along * rstd / N;
            across_windows(k, w, s.K, to);
            add_statistics(k, s.K, w, a, -scale * sum / N - a * (double)k->centre[f]);
            for (size_t i = 0; i < s.K; i++) dw[i] += (float)(scale * (G[i] - sum * k->mean[i] - along * rstd * to[i]));
        } else {
            for (size_t i = 0; i < s.K; i++) dw[i] += (float)(scale * G[i]);
            ndi_dw(p, n, TIME_BIAS)[f] += (float)(scale * sum);
        }
    }
}

/* dr (rows x channels) += across times the windows of r + level, in training. */
static void spread_statistics(const sizes *s, const kept *k, size_t trial, float *dr)
{
    for (size_t q = 0; q < s->P; q++)
        for (size_t i = 0; i < s->K; i++)
            for (size_t c = 0; c < s->channels; c++) dr[(q * s->stride + i) * s->channels + c] += k->level[i];
    product c = { .m = s->K, .n = s->channels, .k = s->K, .add = true, .times = s->P };
    c.a = k->across;
    c.a_row = s->K;
    c.a_step = 1;
    c.b = k->r + trial * s->rows * s->channels;
    c.c = dr;
    c.b_row = c.c_row = s->channels;
    c.b_next = c.c_next = s->stride * s->channels;
    ndi_tile->product(&c);
}

/* dr += w' g, w with the normalisation folded in; that has log2(e) too much. */
static void spread_grad(const sizes *s, const kept *k, const slab *b, const float *g, float *dr)
{
    product c = { .m = s->K, .n = b->channels, .k = b->filters, .add = true, .times = s->P };
    c.a = k->w + b->f * s->K;
    c.a_row = 1;
    c.a_step = s->K;
    c.b = g;
    c.b_row = b->channels;
    c.b_next = b->width;
    c.c = dr + b->c;
    c.c_row = s->channels;
    c.c_next = s->stride * s->channels;
    ndi_tile->product(&c);
}

/* dx (C x T) from dr: each sample is part of `pool` means. */
static void unpool(const node *n, const float *dr, float *dx)
{
    sizes s = sizes_of(n);
    size_t width = n->a[POOL];
    double scale = 1 / (double)width;
    for (size_t c = 0; c < s.C; c++) {
        double sum = 0;
        for (size_t t = 0; t < s.T; t++) {
            if (t < s.rows) sum += (double)dr[t * s.channels + c];
            if (t >= width && t - width < s.rows) sum -= (double)dr[(t - width) * s.channels + c];
            dx[c * s.T + t] = (float)(sum * scale);
        }
    }
}

static void input_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    float *h = ndi_scratch(p, worker), *g = h + s.P * SLAB_FILTERS * SLAB_CHANNELS, *dr = g + s.P * SLAB_FILTERS * SLAB_CHANNELS;
    for (size_t trial = first; trial < first + count; trial++) {
        memset(dr, 0, s.rows * s.channels * sizeof *dr);
        for (size_t i = 0; i < s.slabs; i++) {
            slab b = slab_of(&s, i);
            maps_of(&s, &k, &b, trial, h);
            grad_of(&s, &k, &b, trial, h, g);
            spread_grad(&s, &k, &b, g, dr);
        }
        for (size_t i = 0; i < s.rows * s.channels; i++) dr[i] *= ln_2;
        if (p->training) spread_statistics(&s, &k, trial, dr);
        unpool(n, dr, ndi_dx(p, n, 0) + trial * s.C * s.T);
    }
}

static void backward(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    size_t groups = (GROUP_TASKS + s.slabs - 1) / s.slabs, chunks = ndi_chunks(p->B);
    job j = { p, n, groups < chunks ? groups : chunks };
    ndi_for_chunks(p, n, turn_chunk);
    ndi_add_partials(p, 0, s.D, ndi_dw(p, n, SPACE_BIAS));
    ndi_pool_run(p->w->threads, j.groups * s.slabs, down_slab, &j);
    ndi_pool_run(p->w->threads, s.slabs, unpack_slab, &j);
    filter_grads(p, n, &k, j.groups);
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, input_chunk);
}

static const op conv_norm_elu_space = { "conv_norm_elu_space", forward, backward };

bool ndi_fuse_conv_norm_elu_space(node *last, const node *chain)
{
    node n = *last;
    n.op = &conv_norm_elu_space;
    n.x = chain[0].x;
    memcpy(n.a, chain[0].a, sizeof n.a);
    sizes s = sizes_of(&n);
    bool depthwise = last->a[0] > 1;
    double packed = (double)s.columns * (double)s.channels * (double)s.F;
    if (depthwise || s.K > MAX_KERNEL || packed > 1e8) return false;
    kept unused;
    size_t slab_size = s.P * SLAB_FILTERS * SLAB_CHANNELS;
    n.saved = lay_out(&s, 0, NULL, &unused);
    n.saved_each = s.rows * s.channels + s.P * s.columns;
    n.scratch = 2 * slab_size + TOGETHER * s.P * s.columns + s.rows * s.channels + 2 * (s.rows + 2 * s.K * s.K);
    n.partial = s.columns * s.channels * s.F + s.bands * sums_size(&s) + 2 * window_doubles(&s);
    *last = n;
    return true;
}
