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
    float *g_sums, *h;            /* on the way down: J; J x K padded */
    float *u;                     /* B x J x T */
} kept;

static kept kept_of(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    float *filters = ndi_saved(p, n) + s.K + s.F * s.K, *g_sums = filters + 5 * s.F, *h = g_sums + s.J;
    return (kept){ .mean = ndi_saved(p, n),
                   .covariance_w = ndi_saved(p, n) + s.K,
                   .scale = filters,
                   .rstd = filters + s.F,
                   .offset = filters + 2 * s.F,
                   .grad_mean = filters + 3 * s.F,
                   .grad_var = filters + 4 * s.F,
                   .g_sums = g_sums,
                   .h = h,
                   .u = h + s.J * ndi_tiled(s.K) };
}

static size_t kept_size(const sizes *s) { return s->K + s->F * (s->K + 5) + s->J * (1 + ndi_tiled(s->K)); }

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

/* Of one row; `padded` has room for the row between zeros, `lags` for K. */
static void add_row(const sizes *s, const moments *to, const float *x, float *padded, float *lags)
{
    memcpy(padded, x, s->T * sizeof *x);
    memset(lags, 0, ndi_tiled(s->K) * sizeof *lags);
    ndi_vec->conv->correlate(padded, padded, s->T, s->K, lags);
    add_floats(lags, to->lags, s->K);
    add_floats(x, to->samples, s->T);
}

/* Room for a row of samples between zeros, and what kernels read and write beyond. */
static size_t padded_size(const sizes *s) { return s->K + ndi_tiled(s->T) + ndi_tiled(s->K); }

static void moments_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    moments to = moments_of(p, &s, chunk);
    size_t rows = count * s.C;
    const float *x = ndi_x(p, n, 0) + first * s.C * s.T, *end = x + s.T - s.back;
    float *padded = ndi_scratch(p, worker), *lags = padded + padded_size(&s);
    memset(to.lags, 0, (s.K + s.T) * sizeof *to.lags);
    memset(padded, 0, padded_size(&s) * sizeof *padded);
    for (size_t r = 0; r < rows; r++) add_row(&s, &to, x + r * s.T, padded, lags);
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
    float *padded = ndi_scratch(p, worker), *w = padded + padded_size(&s), *out = w + s.K;
    memset(padded, 0, padded_size(&s) * sizeof *padded);
    for (size_t i = first; i < first + count; i++) {
        float *u = k.u + i * s.J * s.T;
        ndi_gemm(false, false, s.J, s.T, s.C, 1, ndi_w(p, n, W_SPACE), s.C, ndi_x(p, n, 0) + i * s.C * s.T, s.T, 0, u, s.T);
        for (size_t j = 0; j < s.J; j++) {
            size_t f = j / s.D;
            float shift = level(p, n, &k, f) * ndi_vec->sum(ndi_w(p, n, W_SPACE) + j * s.C, s.C) + ndi_w(p, n, B_SPACE)[j];
            ndi_vec->scale_shift(k.scale[f], 0, ndi_w(p, n, W_TIME) + f * s.K, w, s.K);
            memcpy(padded + s.left, u + j * s.T, s.T * sizeof *u);
            ndi_vec->conv->fir(padded, w, s.K, shift, out, s.T);
            memcpy(ndi_y(p, n) + (i * s.J + j) * s.T, out, s.T * sizeof *out);
        }
    }
}

static void forward(const pass *p, const node *n)
{
    kept k = kept_of(p, n);
    if (p->training) {
        ndi_for_chunks(p, n, moments_chunk);
        statistics(p, n);
    } else {
        running_statistics(p, n);
    }
    for (size_t f = 0; f < n->a[FILTERS]; f++) k.scale[f] = ndi_w(p, n, GAMMA)[f] * k.rstd[f];
    ndi_for_chunks(p, n, forward_chunk);
}

/* ---- backward ---- */

/* The sums of a chunk: of e x' (J x C), of g (J), h (J x tiled K). */
static size_t sums_size(const sizes *s) { return s->J * (s->C + 1 + ndi_tiled(s->K)); }

/* e of one trial, J x T, and its part of the sums of g and h. */
static void grad_maps(const pass *p, const node *n, size_t i, float *room, float *e, float *g_sums, float *h)
{
    sizes s = sizes_of(n);
    kept k = kept_of(p, n);
    float *padded = room, *w = room + padded_size(&s), *out = w + s.K;
    for (size_t j = 0; j < s.J; j++) {
        const float *g = ndi_dy(p, n) + (i * s.J + j) * s.T, *w_time = ndi_w(p, n, W_TIME) + j / s.D * s.K;
        memset(padded, 0, padded_size(&s) * sizeof *padded);
        memcpy(padded + s.left, k.u + (i * s.J + j) * s.T, s.T * sizeof *g);
        ndi_vec->conv->correlate(g, padded, s.T, s.K, h + j * ndi_tiled(s.K));
        g_sums[j] += ndi_vec->sum(g, s.T);
        memset(padded, 0, padded_size(&s) * sizeof *padded);
        memcpy(padded + s.right, g, s.T * sizeof *g);
        for (size_t t = 0; t < s.K; t++) w[t] = k.scale[j / s.D] * w_time[s.K - 1 - t];
        ndi_vec->conv->fir(padded, w, s.K, 0, out, s.T);
        memcpy(e + j * s.T, out, s.T * sizeof *e);
    }
}

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    float *dw_space = ndi_partial(p, chunk), *g_sums = dw_space + s.J * s.C, *h = g_sums + s.J, *dx = ndi_dx(p, n, 0);
    float *e = ndi_scratch(p, worker), *room = e + s.J * s.T;
    memset(dw_space, 0, sums_size(&s) * sizeof *dw_space);
    for (size_t i = first; i < first + count; i++) {
        grad_maps(p, n, i, room, e, g_sums, h);
        ndi_gemm(false, true, s.J, s.C, s.T, 1, e, s.T, ndi_x(p, n, 0) + i * s.C * s.T, s.T, 1, dw_space, s.C);
        if (dx) ndi_gemm(true, false, s.C, s.T, s.J, 1, ndi_w(p, n, W_SPACE), s.C, e, s.T, 0, dx + i * s.C * s.T, s.T);
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
        for (size_t c = 0; c < s.C; c++) dw_space[c] += each;
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
    float N = (float)(p->B * s.C * s.T), *x = ndi_scratch(p, worker), *v = x + padded_size(&s), *turned = v + padded_size(&s), *out = turned + s.K;
    for (size_t r = first * s.C * s.F; r < (first + count) * s.C * s.F; r++) {
        size_t f = r % s.F, at = r / s.F * s.T;
        const float *w = ndi_w(p, n, W_TIME) + f * s.K;
        memset(x, 0, 2 * padded_size(&s) * sizeof *x);
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
    size_t weights = s.J * s.C, sums = s.J * (1 + ndi_tiled(s.K));
    ndi_for_chunks(p, n, backward_chunk);
    memset(k.g_sums, 0, sums * sizeof *k.g_sums);
    ndi_add_partials(p, 0, weights, ndi_dw(p, n, W_SPACE));
    ndi_add_partials(p, weights, sums, k.g_sums);
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
    size_t row = padded_size(&s) + s.K;
    n->multiply_adds = (uint64_t)s.J * s.T * (s.C + s.K);
    n->saved = kept_size(&s);
    n->saved_each = s.J * s.T;
    n->scratch = most(most(padded_size(&s) + ndi_tiled(s.K), statistics_size(&s)), s.J * s.T + row + padded_size(&s) + ndi_tiled(s.T));
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
