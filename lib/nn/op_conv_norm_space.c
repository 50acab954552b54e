/* Temporal convolution, batch normalisation and depthwise spatial convolution in one, as EEGNet begins: x (1 x C x T) -> z (F D x 1 x T), as many samples as came in, between l zeros on the
 * left and K - 1 - l on the right. With w (F, 1, 1, K), b (F); gamma, beta (F); W (F D, 1, C, 1), b2 (F D), and f the filter of map j:
 *
 *   y_f[c][t] = b_f + sum_k w_f[k] x[c][t + k - l];  z_j[t] = b2_j + sum_c W_jc (a_f (y_f[c][t] - mean_f) + beta_f),  a_f = gamma_f / sqrt(var_f + eps).
 *
 * All of it is linear in x once mean and variance are known, so the channels go first: u_j = W_j x, then z_j[t] = a_f sum_k w_f[k] u_j[t + k - l] + shift_j: C times fewer products and no
 * F x C x T maps. The statistics follow from the data: with m[k] the mean of x over the k-th samples of all windows and A their K x K covariance, mean_f = b_f + w_f m and var_f = w_f A w_f.
 * The second moments are those of pairs of samples d apart; windows that reach into the zeros miss some pairs at the edges, which the products of the edges' samples tell.
 *
 * On the way down, with g = dz: h_j[k] = sum_t g_j[t] u_j[t + k - l] gives the gradients of a and w, e_j = a_f (w_f against g_j) those of W and x. That of b is 0 in training, and exactly so. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/tile.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { FILTERS, KERNEL };
enum { W_TIME, B_TIME, GAMMA, BETA, RUNNING_MEAN, RUNNING_VAR, COUNT_BATCHES, W_SPACE, B_SPACE };
static const double eps = 1e-5, momentum = 0.1;

typedef struct sizes {
    size_t C, T, F, J, D, K, left, right; /* J = F D maps; zeros on either side */
    size_t front, back;                   /* samples at the edges whose pairs some windows miss */
} sizes;

static size_t fewer(size_t a, size_t b) { return a < b ? a : b; }

static sizes sizes_of(const node *n)
{
    size_t K = n->a[KERNEL], F = n->a[FILTERS], J = n->out.maps, T = n->x.samples, left = (K - 1) / 2, right = K - 1 - left;
    return (sizes){ n->x.rows, T, F, J, J / F, K, left, right, fewer(right, T), fewer(left, T) };
}

/* What forward keeps: of the batch, and u of each trial. */
typedef struct kept {
    float *mean, *covariance_w;   /* m[K]; A w_f, F x K */
    float *scale, *rstd, *offset; /* per filter: a_f, its part without gamma, and what takes the place of w_f m */
    float *grad_mean, *grad_var;  /* on the way down: the gradients of w_f m and of the variance */
    float *w, *shift;             /* the filters times a_f, on the way down turned around; what stands before them, per map */
    float *grad_space;            /* on the way down: sums of x e', C x columns */
    float *g_sums, *h;            /* and of g, J; J x K padded */
    float *u;                     /* B x J rows between zeros */
} kept;

/* Of a row between zeros, l of them in front, with what kernels read beyond. */
static size_t row_size(const sizes *s) { return ndi_tiled(s->T) + ndi_tiled(s->K); }
static size_t columns(const sizes *s) { return (s->J + NDI_TILE_COLUMNS - 1) / NDI_TILE_COLUMNS * NDI_TILE_COLUMNS; }

/* The sums of a chunk on the way down: x e', g and h as in `kept`. */
static size_t sums_size(const sizes *s) { return s->C * columns(s) + s->J * (1 + ndi_tiled(s->K)); }
static size_t kept_size(const sizes *s) { return s->K + s->F * (2 * s->K + 5) + s->J + sums_size(s); }

static kept kept_of(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    float *filters = ndi_saved(p, n) + s.K + s.F * s.K, *w = filters + 5 * s.F, *grad_space = w + s.F * s.K + s.J;
    return (kept){ .mean = ndi_saved(p, n),
                   .covariance_w = ndi_saved(p, n) + s.K,
                   .scale = filters,
                   .rstd = filters + s.F,
                   .offset = filters + 2 * s.F,
                   .grad_mean = filters + 3 * s.F,
                   .grad_var = filters + 4 * s.F,
                   .w = w,
                   .shift = w + s.F * s.K,
                   .grad_space = grad_space,
                   .g_sums = grad_space + s.C * columns(&s),
                   .h = grad_space + s.C * columns(&s) + s.J,
                   .u = ndi_saved(p, n) + kept_size(&s) };
}

/* u of a trial. */
static void mix_channels(const pass *p, const node *n, size_t i)
{
    sizes s = sizes_of(n);
    size_t row = row_size(&s), behind = s.left + s.T;
    float *u = kept_of(p, n).u + i * s.J * row;
    ndi_gemm(false, false, s.J, s.T, s.C, 1, ndi_w(p, n, W_SPACE), s.C, ndi_x(p, n, 0) + i * s.C * s.T, s.T, 0, u + s.left, row);
    for (size_t j = 0; j < s.J; j++, u += row) {
        memset(u, 0, s.left * sizeof *u);
        memset(u + behind, 0, (row - behind) * sizeof *u);
    }
}

/* Asks for what comes next while something else is computed. */
static void fetch(const float *x, size_t n)
{
    for (size_t t = 0; t < n; t += 16) __builtin_prefetch(x + t);
}

/* ---- statistics ---- */

/* The sums of a chunk of trials, for the statistics. */
typedef struct moments {
    double *lags, *samples; /* sum of x[t] x[t + d]; of x[t] */
    float *front, *back;    /* of x[s] x[t] at the edges */
} moments;

static moments moments_of(const pass *p, const sizes *s, size_t chunk)
{
    double *lags = (double *)(void *)ndi_partial(p, chunk), *samples = lags + s->K;
    float *front = (float *)(samples + s->T);
    return (moments){ lags, samples, front, front + s->front * s->front };
}

static size_t moments_size(const sizes *s) { return 2 * (s->K + s->T) + s->front * s->front + s->back * s->back; }

static void add_floats(const float *from, double *to, size_t n)
{
    for (size_t i = 0; i < n; i++) to[i] += (double)from[i];
}

/* Of one trial. In `room`, a row between zeros and float sums. */
static void add_trial(const sizes *s, const moments *to, const float *x, float *room)
{
    float *row = room, *lags = row + row_size(s), *samples = lags + ndi_tiled(s->K);
    memset(samples, 0, s->T * sizeof *samples);
    for (size_t c = 0; c < s->C; c++, x += s->T) {
        memcpy(row, x, s->T * sizeof *x);
        fetch(x + s->T, s->T);
        memset(lags, 0, ndi_tiled(s->K) * sizeof *lags);
        ndi_vec->conv->correlate(row, row, s->T, s->K, lags);
        add_floats(lags, to->lags, s->K);
        ndi_vec->axpy(1, row, samples, s->T);
    }
    add_floats(samples, to->samples, s->T);
}

/* Mixes the channels too, as long as the trials are in the cache. */
static void moments_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    moments to = moments_of(p, &s, chunk);
    size_t rows = count * s.C;
    const float *x = ndi_x(p, n, 0) + first * s.C * s.T, *end = x + s.T - s.back;
    float *room = ndi_scratch(p, worker);
    memset(to.lags, 0, (s.K + s.T) * sizeof *to.lags);
    memset(room, 0, row_size(&s) * sizeof *room);
    for (size_t i = 0; i < count; i++) {
        add_trial(&s, &to, x + i * s.C * s.T, room);
        mix_channels(p, n, first + i);
    }
    ndi_gemm(true, false, s.front, s.front, rows, 1, x, s.T, x, s.T, 0, to.front, s.front);
    ndi_gemm(true, false, s.back, s.back, rows, 1, end, s.T, end, s.T, 0, to.back, s.back);
}

/* Adds the sums of the later chunks to those of the first, in order. */
static moments add_chunks(const pass *p, const sizes *s)
{
    moments all = moments_of(p, s, 0);
    for (size_t c = 1; c < ndi_chunks(p->B); c++) {
        moments more = moments_of(p, s, c);
        for (size_t k = 0; k < s->K + s->T; k++) all.lags[k] += more.lags[k];
        for (size_t k = 0; k < s->front * s->front + s->back * s->back; k++) all.front[k] += more.front[k];
    }
    return all;
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
static void covariance_at(const sizes *s, const moments *all, const double *m, double N, size_t d, double *row)
{
    double hidden = 0;
    for (size_t k = s->left; k + d < s->K; k++) { /* windows that begin behind the first k - l samples */
        size_t before = k - s->left;
        if (before > 0 && before + d <= s->front) hidden += (double)all->front[(before - 1) * (s->front + 1) + d];
        row[k] = (all->lags[d] - hidden) / N - m[k] * m[k + d];
    }
    hidden = 0;
    for (size_t k = s->left; k-- > 0;) { /* windows that end before the last l - k */
        size_t behind = s->left - k;
        if (behind > d && behind <= s->back) hidden += (double)all->back[(s->back - behind) * (s->back + 1) + d];
        if (k + d < s->K) row[k] = (all->lags[d] - hidden) / N - m[k] * m[k + d];
    }
}

/* A w_f of every filter. */
static void multiply_covariance(const sizes *s, const moments *all, const double *m, double N, const float *w, double *row, double *aw)
{
    memset(aw, 0, s->F * s->K * sizeof *aw);
    for (size_t d = 0; d < s->K; d++) {
        covariance_at(s, all, m, N, d, row);
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

static size_t statistics_size(const sizes *s) { return 2 * (2 * s->K + s->F * s->K); }

static void statistics(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept to = kept_of(p, n);
    moments all = add_chunks(p, &s);
    double N = (double)(p->B * s.C * s.T), *m = (double *)(void *)ndi_scratch(p, 0), *row = m + s.K, *aw = row + s.K;
    const float *w = ndi_w(p, n, W_TIME), *b = ndi_w(p, n, B_TIME);
    float *running_mean = ndi_new_state(p, n, RUNNING_MEAN), *running_var = ndi_new_state(p, n, RUNNING_VAR);
    mean_of_windows(&s, &all, N, m);
    multiply_covariance(&s, &all, m, N, w, row, aw);
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
    float *out = ndi_scratch(p, worker);
    for (size_t i = first; i < first + count; i++) {
        if (!p->training) mix_channels(p, n, i);
        for (size_t j = 0; j < s.J; j++) {
            ndi_vec->conv->fir(k.u + (i * s.J + j) * row_size(&s), k.w + j / s.D * s.K, s.K, k.shift[j], out, s.T);
            memcpy(ndi_y(p, n) + (i * s.J + j) * s.T, out, s.T * sizeof *out);
        }
    }
}

static void forward(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    if (p->training) {
        ndi_for_chunks(p, n, moments_chunk);
        statistics(p, n);
    } else {
        running_statistics(p, n);
    }
    for (size_t f = 0; f < s.F; f++) {
        k.scale[f] = ndi_w(p, n, GAMMA)[f] * k.rstd[f];
        ndi_vec->scale_shift(k.scale[f], 0, ndi_w(p, n, W_TIME) + f * s.K, k.w + f * s.K, s.K);
    }
    for (size_t j = 0; j < s.J; j++)
        k.shift[j] = level(p, n, &k, j / s.D) * ndi_vec->sum(ndi_w(p, n, W_SPACE) + j * s.C, s.C) + ndi_w(p, n, B_SPACE)[j];
    ndi_for_chunks(p, n, forward_chunk);
}

/* ---- backward ---- */

/* e of one trial, J rows, and its part of the sums of g and h. `row` is zero but for g between l on the right and the others on the left. */
static void grad_maps(const pass *p, const node *n, size_t i, float *row, float *e, float *g_sums, float *h)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    for (size_t j = 0; j < s.J; j++) {
        const float *g = ndi_dy(p, n) + (i * s.J + j) * s.T;
        fetch(ndi_x(p, n, 0) + (i * s.J + j) * s.C * s.T / s.J, s.C * s.T / s.J);
        ndi_vec->conv->correlate(g, k.u + (i * s.J + j) * row_size(&s), s.T, s.K, h + j * ndi_tiled(s.K));
        g_sums[j] += ndi_vec->sum(g, s.T);
        memcpy(row + s.right, g, s.T * sizeof *g);
        ndi_vec->conv->fir(row, k.w + j / s.D * s.K, s.K, 0, e + j * ndi_tiled(s.T), s.T);
    }
}

/* to (C x columns) += x e' of one trial; `turned` has room for T x columns. */
static void add_space_grad(const sizes *s, const float *x, const float *e, float *turned, float *to)
{
    ndi_tile->turn(e, ndi_tiled(s->T), s->J, s->T, turned, columns(s));
    ndi_tile->product(&(product){ .m = s->C,
                                  .n = columns(s),
                                  .k = s->T,
                                  .a = x,
                                  .a_row = s->T,
                                  .a_step = 1,
                                  .b = turned,
                                  .b_row = columns(s),
                                  .c = to,
                                  .c_row = columns(s),
                                  .add = true,
                                  .times = 1 });
}

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    float *grad_space = ndi_partial(p, chunk), *g_sums = grad_space + s.C * columns(&s), *h = g_sums + s.J, *dx = ndi_dx(p, n, 0);
    float *row = ndi_scratch(p, worker), *turned = row + row_size(&s), *e = turned + s.T * columns(&s);
    memset(grad_space, 0, sums_size(&s) * sizeof *grad_space);
    memset(row, 0, (row_size(&s) + s.T * columns(&s)) * sizeof *row);
    for (size_t i = first; i < first + count; i++) {
        const float *x = ndi_x(p, n, 0) + i * s.C * s.T;
        grad_maps(p, n, i, row, e, g_sums, h);
        add_space_grad(&s, x, e, turned, grad_space);
        if (dx) ndi_gemm(true, false, s.C, s.T, s.J, 1, ndi_w(p, n, W_SPACE), s.C, e, ndi_tiled(s.T), 0, dx + i * s.C * s.T, s.T);
    }
}

static void grad_filter(const pass *p, const node *n, size_t f)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    double grad_scale = 0, grad_level = 0, rstd = (double)k.rstd[f], scale = (double)k.scale[f];
    float *dw = ndi_dw(p, n, W_TIME) + f * s.K;
    for (size_t j = f * s.D; j < (f + 1) * s.D; j++) {
        const float *h = k.h + j * ndi_tiled(s.K), *w_space = ndi_w(p, n, W_SPACE) + j * s.C;
        float *dw_space = ndi_dw(p, n, W_SPACE) + j * s.C, each = level(p, n, &k, f) * k.g_sums[j];
        grad_level += ndi_sum_f64(w_space, s.C) * (double)k.g_sums[j];
        grad_scale += ndi_dot_f64(ndi_w(p, n, W_TIME) + f * s.K, h, s.K);
        for (size_t c = 0; c < s.C; c++) dw_space[c] += k.grad_space[c * columns(&s) + j] + each;
        ndi_vec->axpy(k.scale[f], h, dw, s.K);
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
    for (size_t i = 0; i < s.F * s.K; i++) k.w[i] = k.scale[i / s.K] * ndi_w(p, n, W_TIME)[i / s.K * s.K + s.K - 1 - i % s.K];
    ndi_for_chunks(p, n, backward_chunk);
    memset(k.grad_space, 0, sums_size(&s) * sizeof *k.grad_space);
    ndi_add_partials(p, 0, sums_size(&s), k.grad_space);
    ndi_vec->axpy(1, k.g_sums, ndi_dw(p, n, B_SPACE), s.J);
    for (size_t f = 0; f < s.F; f++) grad_filter(p, n, f);
    if (p->training && ndi_dx(p, n, 0)) ndi_for_chunks(p, n, statistics_grad_chunk);
}

static const op conv_norm_space = { "conv_norm_space", forward, backward };

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

int ndi_conv_norm_space(graph *g, int x, const char *name, conv_norm_space_names layers, size_t filters, size_t kernel, size_t depth)
{
    node *n = ndi_node_add(g, &conv_norm_space, name, x);
    if (!n) return -1;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    n->a[FILTERS] = filters;
    n->a[KERNEL] = kernel;
    n->out = (shape){ filters * depth, 1, n->x.samples };
    sizes s = sizes_of(n);
    size_t row = row_size(&s), down = row + s.T * columns(&s) + s.J * ndi_tiled(s.T);
    n->multiply_adds = (uint64_t)s.J * s.T * (s.C + s.K);
    n->saved = kept_size(&s);
    n->saved_each = s.J * row;
    n->scratch = most(most(2 * row + s.K + ndi_tiled(s.T), down), statistics_size(&s)); /* moments take less than either */
    n->partial = most(moments_size(&s), sums_size(&s));
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
