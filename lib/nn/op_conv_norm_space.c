/* Temporal convolution, batch normalisation and depthwise spatial convolution in one, as EEGNet begins: x (1 x C x T) -> z (F D x 1 x T), as many samples as came in, between l zeros on the
 * left and K - 1 - l on the right. With w (F, 1, 1, K), b (F); gamma, beta (F); W (F D, 1, C, 1), b2 (F D), and f the filter of map j:
 *
 *   y_f[c][t] = b_f + sum_k w_f[k] x[c][t + k - l];  z_j[t] = b2_j + sum_c W_jc (a_f (y_f[c][t] - mean_f) + beta_f),  a_f = gamma_f / sqrt(var_f + eps).
 *
 * All of it is linear in x once mean and variance are known, so the channels go first: u_j = W_j x, then z_j[t] = a_f sum_k w_f[k] u_j[t + k - l] + shift_j: C times fewer products and no
 * F x C x T maps. The statistics follow from the data: with m[k] the mean of x over the k-th samples of all windows and A their K x K covariance, mean_f = b_f + w_f m and var_f = w_f A w_f.
 * The second moments are those of pairs of samples d apart, which the power spectrum of all rows tells; windows that reach into the zeros miss some pairs at the edges, which the products
 * of the edges' samples tell.
 *
 * Rows are filtered by their Fourier transforms, of N samples so that nothing comes around: z is the product of u's and that of v_f, v_f[l - k] = a_f w_f[k], e that of g's and v_f's conjugate,
 * h that of u's and g's conjugate. Two maps of a filter are real and imaginary part of a complex column; the real part of what their h become is the sum of both, which is all that is asked for.
 *
 * On the way down, with g = dz: h_j[k] = sum_t g_j[t] u_j[t + k - l] gives the gradients of a and w, e_j = a_f (w_f against g_j) those of W and x. That of b is 0 in training, and exactly so. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/tile.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { FILTERS, KERNEL, LENGTH };
enum { W_TIME, B_TIME, GAMMA, BETA, RUNNING_MEAN, RUNNING_VAR, COUNT_BATCHES, W_SPACE, B_SPACE };
static const double eps = 1e-5, momentum = 0.1, pi = 3.14159265358979323846;

typedef struct sizes {
    size_t C, T, F, J, D, K, left, right; /* J = F D maps; zeros on either side */
    size_t front, back;                   /* samples at the edges whose pairs some windows miss */
    size_t N;                             /* of the transforms */
    size_t pairs, columns;                /* complex columns of a filter; numbers in a row of all columns, whole groups of NDI_PAIRS complex ones */
} sizes;

static size_t fewer(size_t a, size_t b) { return a < b ? a : b; }
static size_t more(size_t a, size_t b) { return a > b ? a : b; }
static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static sizes sizes_of(const node *n)
{
    sizes s = { .C = n->x.rows, .T = n->x.samples, .F = n->a[FILTERS], .J = n->out.maps, .K = n->a[KERNEL], .N = n->a[LENGTH] };
    s.D = s.J / s.F;
    s.left = (s.K - 1) / 2;
    s.right = s.K - 1 - s.left;
    s.front = fewer(s.right, s.T);
    s.back = fewer(s.left, s.T);
    s.pairs = (s.D + 1) / 2;
    s.columns = round_up(s.F * s.pairs, NDI_PAIRS) * 2;
    return s;
}

/* Where map j stands in a row of all columns. */
static size_t column_of(const sizes *s, size_t j)
{
    size_t pair = j / s->D * s->pairs + j % s->D / 2;
    return pair / NDI_PAIRS * NDI_PAIR_ROW + j % s->D % 2 * NDI_PAIRS + pair % NDI_PAIRS;
}

/* Where tap k stands among N samples. */
static size_t place_of(const sizes *s, size_t k) { return (s->left + s->N - k) % s->N; }

/* A number of samples that transforms have steps for. */
static size_t length_of(size_t least)
{
    for (size_t N = more(least, 2);; N++) {
        size_t rest = N;
        while (rest % 2 == 0) rest /= 2;
        while (rest % 3 == 0) rest /= 3;
        while (rest % 5 == 0) rest /= 5;
        if (rest == 1) return N;
    }
}

/* What forward keeps. Groups of NDI_PAIRS columns stand one behind the other, each N rows. */
typedef struct kept {
    float *filters;               /* transforms of v_f / N */
    float *w_space;               /* C x columns */
    float *grad_space, *g_sums;   /* on the way down: sums of x e', C x columns; of g, columns */
    float *h;                     /* and the transforms of h */
    float *roots;                 /* N pairs, for the transforms */
    float *mean, *covariance_w;   /* m[K]; A w_f, F x K */
    float *scale, *rstd, *offset; /* per filter: a_f, its part without gamma, and what takes the place of w_f m */
    float *grad_mean, *grad_var;  /* on the way down: the gradients of w_f m and of the variance */
    float *shift;                 /* per map */
    float *u;                     /* the transforms of u of each trial */
} kept;

/* The sums of a chunk on the way down: grad_space, g_sums and h as in `kept`. */
static size_t sums_size(const sizes *s) { return (s->C + 1 + s->N) * s->columns; }
static size_t spectra_size(const sizes *s) { return s->N * s->columns; }

static kept kept_of(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k = { .filters = ndi_saved(p, n) };
    k.w_space = k.filters + spectra_size(&s);
    k.grad_space = k.w_space + s.C * s.columns;
    k.g_sums = k.grad_space + s.C * s.columns;
    k.h = k.g_sums + s.columns;
    k.roots = k.h + spectra_size(&s);
    k.mean = k.roots + 2 * s.N;
    k.covariance_w = k.mean + s.K;
    k.scale = k.covariance_w + s.F * s.K;
    k.rstd = k.scale + s.F;
    k.offset = k.rstd + s.F;
    k.grad_mean = k.offset + s.F;
    k.grad_var = k.grad_mean + s.F;
    k.shift = k.grad_var + s.F;
    k.u = ndi_saved(p, n) + n->saved;
    return k;
}

static size_t kept_size(const sizes *s)
{
    return round_up(spectra_size(s) + s->C * s->columns + sums_size(s) + 2 * s->N + s->K + s->F * (s->K + 5) + s->J, NDI_TILE_RUN);
}

/* ---- transforms ---- */

static void make_roots(const sizes *s, float *roots)
{
    for (size_t k = 0; k < s->N; k++) {
        double angle = 2 * pi * (double)k / (double)s->N;
        roots[2 * k] = (float)cos(angle);
        roots[2 * k + 1] = (float)sin(angle);
    }
}

static void make_filters(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    memset(k.filters, 0, spectra_size(&s) * sizeof *k.filters);
    for (size_t j = 0; j < s.F * s.pairs; j++)
        for (size_t t = 0, f = j / s.pairs; t < s.K; t++)
            k.filters[(j / NDI_PAIRS * s.N + place_of(&s, t)) * NDI_PAIR_ROW + j % NDI_PAIRS] =
                k.scale[f] * ndi_w(p, n, W_TIME)[f * s.K + t] / (float)s.N;
    for (size_t at = 0; at < spectra_size(&s); at += s.N * NDI_PAIR_ROW) ndi_vec->dft->forward(k.filters + at, s.N, k.roots);
}

static void turn_space(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    float *to = kept_of(p, n).w_space;
    memset(to, 0, s.C * s.columns * sizeof *to);
    for (size_t j = 0; j < s.J; j++)
        for (size_t c = 0; c < s.C; c++) to[c * s.columns + column_of(&s, j)] = ndi_w(p, n, W_SPACE)[j * s.C + c];
}

/* u of a trial. */
static void mix_channels(const pass *p, const node *n, size_t i)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    product mix = { .m = s.T, .n = NDI_PAIR_ROW, .k = s.C, .a_row = 1, .a_step = s.T, .b_row = s.columns, .c_row = NDI_PAIR_ROW, .times = 1 };
    mix.a = ndi_x(p, n, 0) + i * s.C * s.T;
    for (size_t at = 0; at < s.columns; at += NDI_PAIR_ROW) {
        mix.b = k.w_space + at;
        mix.c = k.u + i * spectra_size(&s) + at * s.N;
        ndi_tile->product(&mix);
        memset(mix.c + s.T * NDI_PAIR_ROW, 0, (s.N - s.T) * NDI_PAIR_ROW * sizeof *mix.c);
        ndi_vec->dft->forward(mix.c, s.N, k.roots);
    }
}

/* ---- statistics ---- */

enum { ROWS = NDI_PAIR_ROW /* transformed together */, SUMMED = 16 /* groups of them whose powers are added up in float */ };

/* The sums of a chunk of trials, for the statistics. */
typedef struct moments {
    double *powers, *samples; /* the power spectrum, in the transform's order; the sum of x[t] */
    float *front, *back;      /* of x[s] x[t] at the edges */
} moments;

static moments moments_of(const pass *p, const sizes *s, size_t chunk)
{
    double *powers = (double *)(void *)ndi_partial(p, chunk), *samples = powers + s->N;
    float *front = (float *)(samples + s->T);
    return (moments){ powers, samples, front, front + s->front * s->front };
}

static size_t moments_size(const sizes *s) { return 2 * (s->N + s->T) + s->front * s->front + s->back * s->back; }
static size_t moments_room(const sizes *s) { return s->N * (ROWS + NDI_PAIRS) + s->T; }

/* Of some rows. */
static void add_moments(const sizes *s, const float *roots, const float *x, size_t rows, float *room, const moments *to)
{
    float *powers = room + s->N * ROWS, *samples = powers + s->N * NDI_PAIRS;
    memset(powers, 0, (s->N * NDI_PAIRS + s->T) * sizeof *powers);
    for (size_t count; rows > 0; rows -= count, x += count * s->T) {
        count = fewer(ROWS, rows);
        for (size_t r = 0; r < count; r++) ndi_vec->axpy(1, x + r * s->T, samples, s->T);
        size_t filled = count < ROWS ? 0 : s->T;
        memset(room + filled * ROWS, 0, (s->N - filled) * ROWS * sizeof *room);
        ndi_tile->turn(x, s->T, count, s->T, room, ROWS);
        ndi_vec->dft->power(room, s->N, roots, powers);
    }
    for (size_t k = 0; k < s->N * NDI_PAIRS; k++) to->powers[k / NDI_PAIRS] += (double)powers[k];
    for (size_t t = 0; t < s->T; t++) to->samples[t] += (double)samples[t];
}

/* Mixes the channels too, while the trials are in the cache. */
static void moments_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    moments to = moments_of(p, &s, chunk);
    size_t rows = count * s.C;
    const float *x = ndi_x(p, n, 0) + first * s.C * s.T, *end = x + s.T - s.back;
    float *room = ndi_scratch(p, worker);
    memset(to.powers, 0, (s.N + s.T) * sizeof *to.powers);
    for (size_t r = 0, some; r < rows; r += some) {
        some = fewer(SUMMED * ROWS, rows - r);
        add_moments(&s, kept_of(p, n).roots, x + r * s.T, some, room, &to);
    }
    for (size_t i = 0; i < count; i++) mix_channels(p, n, first + i);
    ndi_gemm(true, false, s.front, s.front, rows, 1, x, s.T, x, s.T, 0, to.front, s.front);
    ndi_gemm(true, false, s.back, s.back, rows, 1, end, s.T, end, s.T, 0, to.back, s.back);
}

/* Adds the sums of the later chunks to those of the first, in order. */
static moments add_chunks(const pass *p, const sizes *s)
{
    moments all = moments_of(p, s, 0);
    for (size_t c = 1; c < ndi_chunks(p->B); c++) {
        moments more = moments_of(p, s, c);
        for (size_t k = 0; k < s->N + s->T; k++) all.powers[k] += more.powers[k];
        for (size_t k = 0; k < s->front * s->front + s->back * s->back; k++) all.front[k] += more.front[k];
    }
    return all;
}

/* lags[d]: the sum of x[t] x[t + d]. */
static void lags_of(const sizes *s, const moments *all, double *cosines, double *lags)
{
    for (size_t k = 0; k < s->N; k++) cosines[k] = cos(2 * pi * (double)k / (double)s->N) / (double)s->N;
    memset(lags, 0, s->K * sizeof *lags);
    for (size_t k = 0; k < s->N; k++)
        for (size_t d = 0, at = 0, step = ndi_frequency(s->N, k); d < s->K; d++) {
            lags[d] += all->powers[k] * cosines[at];
            at += step;
            if (at >= s->N) at -= s->N;
        }
}

/* m[k]: the window's sample k is x[t + k - l] for some of all t. */
static void mean_of_windows(const sizes *s, const moments *all, double N, double *m)
{
    for (size_t k = 0; k < s->K; k++) {
        m[k] = 0;
        for (size_t t = 0; t < s->T; t++)
            if (t + s->left >= k && t + s->left < k + s->T) m[k] += all->samples[t];
        m[k] /= N;
    }
}

/* row[k]: the covariance of the samples k and k + d of a window. From the sum over all pairs, without those that a window's zeros hide. */
static void covariance_at(const sizes *s, const moments *all, const double *lags, const double *m, double N, size_t d, double *row)
{
    double hidden = 0;
    for (size_t k = s->left; k + d < s->K; k++) { /* windows that begin behind the first k - l samples */
        size_t before = k - s->left;
        if (before > 0 && before + d <= s->front) hidden += (double)all->front[(before - 1) * (s->front + 1) + d];
        row[k] = (lags[d] - hidden) / N - m[k] * m[k + d];
    }
    hidden = 0;
    for (size_t k = s->left; k-- > 0;) { /* windows that end before the last l - k */
        size_t behind = s->left - k;
        if (behind > d && behind <= s->back) hidden += (double)all->back[(s->back - behind) * (s->back + 1) + d];
        if (k + d < s->K) row[k] = (lags[d] - hidden) / N - m[k] * m[k + d];
    }
}

/* A w_f of every filter. */
static void multiply_covariance(const sizes *s, const moments *all, const double *lags, const double *m, double N, const float *w, double *row,
                                double *aw)
{
    memset(aw, 0, s->F * s->K * sizeof *aw);
    for (size_t d = 0; d < s->K; d++) {
        covariance_at(s, all, lags, m, N, d, row);
        for (size_t f = 0; f < s->F; f++)
            for (size_t k = 0; k + d < s->K; k++) {
                aw[f * s->K + k] += row[k] * (double)w[f * s->K + k + d];
                if (d > 0) aw[f * s->K + k + d] += row[k] * (double)w[f * s->K + k];
            }
    }
}

static double dot(const double *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * (double)b[i];
    return sum;
}

static size_t statistics_size(const sizes *s) { return 2 * (3 * s->K + s->F * s->K + s->N); }

static void statistics(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept to = kept_of(p, n);
    moments all = add_chunks(p, &s);
    double N = (double)(p->B * s.C * s.T), *m = (double *)(void *)ndi_scratch(p, 0), *lags = m + s.K, *row = lags + s.K, *aw = row + s.K;
    const float *w = ndi_w(p, n, W_TIME), *b = ndi_w(p, n, B_TIME);
    float *running_mean = ndi_new_state(p, n, RUNNING_MEAN), *running_var = ndi_new_state(p, n, RUNNING_VAR);
    mean_of_windows(&s, &all, N, m);
    lags_of(&s, &all, aw + s.F * s.K, lags);
    multiply_covariance(&s, &all, lags, m, N, w, row, aw);
    for (size_t k = 0; k < s.K; k++) to.mean[k] = (float)m[k];
    for (size_t k = 0; k < s.F * s.K; k++) to.covariance_w[k] = (float)aw[k];
    for (size_t f = 0; f < s.F; f++) {
        double mean = dot(m, w + f * s.K, s.K), var = fmax(dot(aw + f * s.K, w + f * s.K, s.K), 0);
        to.rstd[f] = (float)(1 / sqrt(var + eps));
        to.offset[f] = (float)mean;
        if (!running_mean) continue;
        running_mean[f] = (float)((1 - momentum) * (double)running_mean[f] + momentum * (mean + (double)b[f]));
        running_var[f] = (float)((1 - momentum) * (double)running_var[f] + momentum * var * (N > 1 ? N / (N - 1) : 1));
    }
    if (running_mean) ndi_new_state(p, n, COUNT_BATCHES)[0] += 1;
}

static void running_statistics(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept to = kept_of(p, n);
    for (size_t f = 0; f < s.F; f++) {
        to.rstd[f] = (float)(1 / sqrt((double)ndi_state(p, n, RUNNING_VAR)[f] + eps));
        to.offset[f] = ndi_state(p, n, RUNNING_MEAN)[f] - ndi_w(p, n, B_TIME)[f];
    }
}

/* ---- forward ---- */

/* What stands before sum_c W_jc in z. */
static float level(const pass *p, const node *n, const kept *k, size_t f) { return ndi_w(p, n, BETA)[f] - k->scale[f] * k->offset[f]; }

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    float *z = ndi_scratch(p, worker), *rows = z + s.N * NDI_PAIR_ROW;
    for (size_t i = first; i < first + count; i++) {
        if (!p->training) mix_channels(p, n, i);
        for (size_t at = 0; at < s.columns; at += NDI_PAIR_ROW) {
            ndi_vec->dft->multiply(k.filters + at * s.N, k.u + i * spectra_size(&s) + at * s.N, s.N, z);
            ndi_vec->dft->backward(z, s.N, k.roots);
            ndi_tile->turn(z, NDI_PAIR_ROW, s.T, NDI_PAIR_ROW, rows + at * s.T, s.T);
        }
        for (size_t j = 0; j < s.J; j++) ndi_vec->scale_shift(1, k.shift[j], rows + column_of(&s, j) * s.T, ndi_y(p, n) + (i * s.J + j) * s.T, s.T);
    }
}

/* What changes with the weights alone. */
static void prepare(const pass *p, const node *n)
{
    make_roots(&(sizes){ .N = n->a[LENGTH] }, kept_of(p, n).roots);
    turn_space(p, n);
}

/* What changes with the statistics. */
static void scale_filters(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    for (size_t f = 0; f < s.F; f++) k.scale[f] = ndi_w(p, n, GAMMA)[f] * k.rstd[f];
    for (size_t j = 0; j < s.J; j++)
        k.shift[j] = level(p, n, &k, j / s.D) * ndi_vec->sum(ndi_w(p, n, W_SPACE) + j * s.C, s.C) + ndi_w(p, n, B_SPACE)[j];
    make_filters(p, n);
}

static void forward(const pass *p, const node *n)
{
    if (!ndi_prepared(p)) {
        prepare(p, n);
        if (p->training) {
            ndi_for_chunks(p, n, moments_chunk);
            statistics(p, n);
        } else {
            running_statistics(p, n);
        }
        scale_filters(p, n);
    }
    ndi_for_chunks(p, n, forward_chunk);
}

/* ---- backward ---- */

/* Asks for what comes next while something else is computed. */
static void fetch(const float *x, size_t n)
{
    for (size_t t = 0; t < n; t += 16) __builtin_prefetch(x + t);
}

/* The sums of a group of columns of one trial, from its g in z, which becomes e. `sums`: what is theirs of a chunk's. */
static void grad_group(const pass *p, const node *n, size_t i, size_t at, float *z, const kept *sums)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    ndi_vec->dft->forward(z, s.N, k.roots);
    ndi_vec->axpy(1, z, sums->g_sums + at, NDI_PAIR_ROW); /* the sum is the frequency 0, which stands first */
    ndi_vec->dft->add_conj(z, k.u + i * spectra_size(&s) + at * s.N, s.N, sums->h + at * s.N);
    ndi_vec->dft->multiply_conj(k.filters + at * s.N, z, s.N, z);
    ndi_vec->dft->backward(z, s.N, k.roots);
    ndi_tile->product(&(product){ .m = s.C,
                                  .n = NDI_PAIR_ROW,
                                  .k = s.T,
                                  .a = ndi_x(p, n, 0) + i * s.C * s.T,
                                  .a_row = s.T,
                                  .a_step = 1,
                                  .b = z,
                                  .b_row = NDI_PAIR_ROW,
                                  .c = sums->grad_space + at,
                                  .c_row = s.columns,
                                  .add = true,
                                  .times = 1 });
}

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n), sums = { .grad_space = ndi_partial(p, chunk) };
    float *z = ndi_scratch(p, worker), *rows = z + s.N * NDI_PAIR_ROW, *dx = ndi_dx(p, n, 0);
    sums.g_sums = sums.grad_space + s.C * s.columns;
    sums.h = sums.g_sums + s.columns;
    memset(sums.grad_space, 0, sums_size(&s) * sizeof *sums.grad_space);
    memset(rows, 0, s.columns * s.T * sizeof *rows);
    for (size_t i = first; i < first + count; i++) {
        for (size_t j = 0; j < s.J; j++) memcpy(rows + column_of(&s, j) * s.T, ndi_dy(p, n) + (i * s.J + j) * s.T, s.T * sizeof *rows);
        for (size_t at = 0; at < s.columns; at += NDI_PAIR_ROW) {
            ndi_tile->turn(rows + at * s.T, s.T, NDI_PAIR_ROW, s.T, z, NDI_PAIR_ROW);
            memset(z + s.T * NDI_PAIR_ROW, 0, (s.N - s.T) * NDI_PAIR_ROW * sizeof *z);
            if (at == 0) fetch(ndi_x(p, n, 0) + i * s.C * s.T, s.C * s.T);
            grad_group(p, n, i, at, z, &sums);
            if (dx) ndi_gemm(false, true, s.C, s.T, NDI_PAIR_ROW, 1, k.w_space + at, s.columns, z, NDI_PAIR_ROW, at > 0, dx + i * s.C * s.T, s.T);
        }
    }
}

static void grad_filter(const pass *p, const node *n, size_t f)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    double grad_scale = 0, grad_level = 0, rstd = (double)k.rstd[f], scale = (double)k.scale[f];
    float *dw = ndi_dw(p, n, W_TIME) + f * s.K;
    for (size_t j = f * s.D; j < (f + 1) * s.D; j++) {
        size_t column = column_of(&s, j);
        float *dw_space = ndi_dw(p, n, W_SPACE) + j * s.C, sum = k.g_sums[column], each = level(p, n, &k, f) * sum;
        grad_level += ndi_sum_f64(ndi_w(p, n, W_SPACE) + j * s.C, s.C) * (double)sum;
        for (size_t c = 0; c < s.C; c++) dw_space[c] += k.grad_space[c * s.columns + column] + each;
        ndi_dw(p, n, B_SPACE)[j] += sum;
    }
    for (size_t j = f * s.pairs; j < (f + 1) * s.pairs; j++)
        for (size_t t = 0; t < s.K; t++) {
            double h = (double)k.h[(j / NDI_PAIRS * s.N + (t + s.N - s.left) % s.N) * NDI_PAIR_ROW + j % NDI_PAIRS] / (double)s.N;
            grad_scale += h * (double)ndi_w(p, n, W_TIME)[f * s.K + t];
            dw[t] += (float)(scale * h);
        }
    grad_scale -= (double)k.offset[f] * grad_level;
    ndi_dw(p, n, GAMMA)[f] += (float)(grad_scale * rstd);
    ndi_dw(p, n, BETA)[f] += (float)grad_level;
    if (!p->training) { /* the statistics are constants */
        ndi_dw(p, n, B_TIME)[f] += (float)(scale * grad_level);
        return;
    }
    double grad_mean = -scale * grad_level, grad_var = -0.5 * grad_scale * scale * rstd * rstd;
    for (size_t t = 0; t < s.K; t++) dw[t] += (float)(grad_mean * (double)k.mean[t] + 2 * grad_var * (double)k.covariance_w[f * s.K + t]);
    k.grad_mean[f] = (float)grad_mean;
    k.grad_var[f] = (float)grad_var;
}

/* Of a row between zeros, with what kernels read beyond. */
static size_t row_size(const sizes *s) { return ndi_tiled(s->T) + ndi_tiled(s->K); }
static size_t rows_room(const sizes *s) { return 2 * row_size(s) + s->K + ndi_tiled(s->T); }

/* What reaches x through the statistics: with v = w_f over a row, dx += w_f against (2 dvar (v - mean) + dmean) / N. */
static void statistics_grad_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    float N = (float)(p->B * s.C * s.T), *x = ndi_scratch(p, worker), *v = x + row_size(&s), *turned = v + row_size(&s), *out = turned + s.K;
    memset(x, 0, 2 * row_size(&s) * sizeof *x);
    for (size_t r = first * s.C * s.F; r < (first + count) * s.C * s.F; r++) {
        size_t f = r % s.F, at = r / s.F * s.T;
        const float *w = ndi_w(p, n, W_TIME) + f * s.K;
        memcpy(x + s.left, ndi_x(p, n, 0) + at, s.T * sizeof *x);
        ndi_vec->conv->fir(x, w, s.K, 0, out, s.T);
        ndi_vec->scale_shift(2 * k.grad_var[f] / N, (k.grad_mean[f] - 2 * k.grad_var[f] * k.offset[f]) / N, out, v + s.right, s.T);
        for (size_t t = 0; t < s.K; t++) turned[t] = w[s.K - 1 - t];
        ndi_vec->conv->fir(v, turned, s.K, 0, out, s.T);
        ndi_vec->axpy(1, out, ndi_dx(p, n, 0) + at, s.T);
    }
}

static void backward(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    ndi_for_chunks(p, n, backward_chunk);
    memset(k.grad_space, 0, sums_size(&s) * sizeof *k.grad_space);
    ndi_add_partials(p, 0, sums_size(&s), k.grad_space);
    for (size_t at = 0; at < spectra_size(&s); at += s.N * NDI_PAIR_ROW) ndi_vec->dft->backward(k.h + at, s.N, k.roots);
    for (size_t f = 0; f < s.F; f++) grad_filter(p, n, f);
    if (p->training && ndi_dx(p, n, 0)) ndi_for_chunks(p, n, statistics_grad_chunk);
}

static const op conv_norm_space = { "conv_norm_space", forward, backward };

int ndi_conv_norm_space(graph *g, int x, const char *name, conv_norm_space_names layers, size_t filters, size_t kernel, size_t depth)
{
    node *n = ndi_node_add(g, &conv_norm_space, name, x);
    if (!n) return -1;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    n->a[FILTERS] = filters;
    n->a[KERNEL] = kernel;
    n->a[LENGTH] = length_of(n->x.samples + kernel - 1);
    n->out = (shape){ filters * depth, 1, n->x.samples };
    sizes s = sizes_of(n);
    size_t room = s.N * NDI_PAIR_ROW + s.columns * s.T;
    n->multiply_adds = (uint64_t)s.J * s.T * (s.C + s.K);
    n->saved = kept_size(&s);
    n->saved_each = spectra_size(&s);
    n->scratch = more(more(room, rows_room(&s)), more(statistics_size(&s), moments_room(&s)));
    n->partial = more(moments_size(&s), sums_size(&s));
    float time = 1.0f / sqrtf((float)s.K), space = 1.0f / sqrtf((float)s.C);
    ndi_tensor_of_layer(g, n, layers.time, "weight", true, 0, time, 4, (size_t[]){ s.F, 1, 1, s.K });
    ndi_tensor_of_layer(g, n, layers.time, "bias", true, 0, time, 1, &s.F);
    ndi_tensor_of_layer(g, n, layers.norm, "weight", true, 1, 0, 1, &s.F);
    ndi_tensor_of_layer(g, n, layers.norm, "bias", true, 0, 0, 1, &s.F);
    ndi_tensor_of_layer(g, n, layers.norm, "running_mean", false, 0, 0, 1, &s.F);
    ndi_tensor_of_layer(g, n, layers.norm, "running_var", false, 1, 0, 1, &s.F);
    ndi_tensor_of_layer(g, n, layers.norm, "num_batches_tracked", false, 0, 0, 0, NULL);
    ndi_tensor_of_layer(g, n, layers.space, "weight", true, 0, space, 4, (size_t[]){ s.J, 1, s.C, 1 });
    ndi_tensor_of_layer(g, n, layers.space, "bias", true, 0, space, 1, &s.J);
    return ndi_node_done(g, n);
}
