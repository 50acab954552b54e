/* Batch normalisation (Ioffe and Szegedy 2015) per map m over trials, rows and samples: y = weight (x - mean) rstd + bias, rstd = 1 / sqrt(var + eps). Evaluation uses the running
 * statistics, which training moves by a tenth of the way towards those of the batch (the variance without bias), as PyTorch does. */
#include <math.h>
#include <string.h>

#include "math/vec.h"
#include "nn/ops.h"

enum { WEIGHT = NDI_NORM_WEIGHT, BIAS = NDI_NORM_BIAS, RUNNING_MEAN = NDI_NORM_MEAN, RUNNING_VAR = NDI_NORM_VAR, COUNT_BATCHES = NDI_NORM_COUNT };
static const double eps = 1e-5, momentum = 0.1;

/* Where the chunks leave two sums per map, in double. */
static double *sums_of(const pass *p, size_t chunk) { return (double *)(void *)ndi_partial(p, chunk); }

/* Adds the chunks' sums in order. */
static double total(const pass *p, size_t at)
{
    double sum = 0;
    for (size_t c = 0; c < ndi_chunks(p->B); c++) sum += sums_of(p, c)[at];
    return sum;
}

static void moments_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    size_t M = n->x.maps, L = n->x.rows * n->x.samples;
    double *s = sums_of(p, chunk);
    memset(s, 0, 2 * M * sizeof *s);
    for (size_t i = first; i < first + count; i++) {
        const float *x = ndi_x(p, n, 0) + i * M * L;
        for (size_t m = 0; m < M; m++, x += L) {
            s[2 * m] += ndi_sum_f64(x, L);
            s[2 * m + 1] += ndi_dot_f64(x, x, L);
        }
    }
}

float ndi_batch_norm_train(const pass *p, const node *n, int from, size_t m, double N, double mu, double var)
{
    float *running_mean = ndi_new_state(p, n, from + RUNNING_MEAN), *running_var = ndi_new_state(p, n, from + RUNNING_VAR);
    if (var < 0) var = 0;
    if (running_mean) {
        running_mean[m] = (float)((1 - momentum) * (double)running_mean[m] + momentum * mu);
        running_var[m] = (float)((1 - momentum) * (double)running_var[m] + momentum * var * (N > 1 ? N / (N - 1) : 1));
        if (m == 0) ndi_new_state(p, n, from + COUNT_BATCHES)[0] += 1;
    }
    return (float)(1 / sqrt(var + eps));
}

float ndi_batch_norm_rstd(const pass *p, const node *n, int from, size_t m)
{
    return (float)(1 / sqrt((double)ndi_state(p, n, from + RUNNING_VAR)[m] + eps));
}

/* mean and rstd of each map into the saved floats. */
static void statistics(const pass *p, const node *n)
{
    size_t M = n->x.maps;
    double N = (double)(p->B * n->x.rows * n->x.samples);
    float *mean = ndi_saved(p, n), *rstd = mean + M;
    for (size_t m = 0; m < M; m++) {
        double mu = total(p, 2 * m) / N;
        mean[m] = (float)mu;
        rstd[m] = ndi_batch_norm_train(p, n, 0, m, N, mu, total(p, 2 * m + 1) / N - mu * mu);
    }
}

static void running_statistics(const pass *p, const node *n)
{
    size_t M = n->x.maps;
    float *mean = ndi_saved(p, n), *rstd = mean + M;
    memcpy(mean, ndi_state(p, n, RUNNING_MEAN), M * sizeof *mean);
    for (size_t m = 0; m < M; m++) rstd[m] = ndi_batch_norm_rstd(p, n, 0, m);
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t M = n->x.maps, L = n->x.rows * n->x.samples;
    const float *mean = ndi_saved(p, n), *rstd = mean + M, *w = ndi_w(p, n, WEIGHT), *b = ndi_w(p, n, BIAS);
    for (size_t i = first; i < first + count; i++)
        for (size_t m = 0; m < M; m++) {
            size_t at = (i * M + m) * L;
            float scale = w[m] * rstd[m];
            ndi_vec->scale_shift(scale, b[m] - scale * mean[m], ndi_x(p, n, 0) + at, ndi_y(p, n) + at, L);
        }
}

static void forward(const pass *p, const node *n)
{
    if (p->training) {
        ndi_for_chunks(p, n, moments_chunk);
        statistics(p, n);
    } else {
        running_statistics(p, n);
    }
    ndi_for_chunks(p, n, forward_chunk);
}

static void grad_sums_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    size_t M = n->x.maps, L = n->x.rows * n->x.samples;
    double *s = sums_of(p, chunk);
    memset(s, 0, 2 * M * sizeof *s);
    for (size_t i = first; i < first + count; i++)
        for (size_t m = 0; m < M; m++) {
            size_t at = (i * M + m) * L;
            s[2 * m] += ndi_sum_f64(ndi_dy(p, n) + at, L);
            s[2 * m + 1] += ndi_dot_f64(ndi_dy(p, n) + at, ndi_x(p, n, 0) + at, L);
        }
}

/* dx = weight rstd (dy - mean(dy) - xhat mean(dy xhat)); in evaluation the statistics are constants and only the first term stands. Kept as
 * dx = scale dy + a x + b with a and b of each map behind mean and rstd. */
static void dx_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t M = n->x.maps, L = n->x.rows * n->x.samples;
    const float *rstd = ndi_saved(p, n) + M, *ab = ndi_saved(p, n) + 2 * M;
    for (size_t i = first; i < first + count; i++)
        for (size_t m = 0; m < M; m++) {
            size_t at = (i * M + m) * L;
            const float *x = ndi_x(p, n, 0) + at, *dy = ndi_dy(p, n) + at;
            float *dx = ndi_dx(p, n, 0) + at, scale = ndi_w(p, n, WEIGHT)[m] * rstd[m], a = ab[2 * m], b = ab[2 * m + 1];
            for (size_t k = 0; k < L; k++) dx[k] = scale * dy[k] + (a * x[k] + b);
        }
}

static void backward(const pass *p, const node *n)
{
    size_t M = n->x.maps;
    double N = (double)(p->B * n->x.rows * n->x.samples);
    float *mean = ndi_saved(p, n), *rstd = mean + M, *ab = mean + 2 * M, *dw = ndi_dw(p, n, WEIGHT), *db = ndi_dw(p, n, BIAS);
    ndi_for_chunks(p, n, grad_sums_chunk);
    for (size_t m = 0; m < M; m++) {
        double sum = total(p, 2 * m), sum_xhat = (total(p, 2 * m + 1) - (double)mean[m] * sum) * (double)rstd[m];
        dw[m] += (float)sum_xhat;
        db[m] += (float)sum;
        double scale = (double)ndi_w(p, n, WEIGHT)[m] * (double)rstd[m];
        double a = p->training ? -scale * sum_xhat / N * (double)rstd[m] : 0;
        ab[2 * m] = (float)a;
        ab[2 * m + 1] = p->training ? (float)(-scale * sum / N - a * (double)mean[m]) : 0;
    }
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, dx_chunk);
}

static const op batch_norm = { "batch_norm", forward, backward };

int ndi_batch_norm(graph *g, int x, const char *name)
{
    node *n = ndi_node_add(g, &batch_norm, name, x);
    if (!n) return -1;
    size_t M = n->x.maps;
    n->saved = 4 * M;
    n->partial = 4 * M; /* two doubles per map */
    n->grad_in_place = true;
    ndi_tensor_add(g, n, "weight", true, 1, 0, 1, &M);
    ndi_tensor_add(g, n, "bias", true, 0, 0, 1, &M);
    ndi_tensor_add(g, n, "running_mean", false, 0, 0, 1, &M);
    ndi_tensor_add(g, n, "running_var", false, 1, 0, 1, &M);
    ndi_tensor_add(g, n, "num_batches_tracked", false, 0, 0, 0, NULL);
    return ndi_node_done(g, n);
}
