/* Batch normalisation (Ioffe and Szegedy 2015) per map m over trials, rows and samples: y = weight (x - mean) rstd + bias, rstd = 1 / sqrt(var + eps). Evaluation uses the running
 * statistics, which training moves by a tenth of the way towards those of the batch (the variance without bias), as PyTorch does. */
#include <math.h>
#include <string.h>

#include "math/vec.h"
#include "nn/ops.h"

enum { WEIGHT = NDI_NORM_WEIGHT, BIAS = NDI_NORM_BIAS, RUNNING_MEAN = NDI_NORM_MEAN, RUNNING_VAR = NDI_NORM_VAR, COUNT_BATCHES = NDI_NORM_COUNT };
static const double eps = 1e-5, momentum = 0.1;

/* Two sums of each map. */
double *ndi_norm_sums(const pass *p, const node *n, size_t chunk)
{
    double *sums = (double *)(void *)ndi_partial(p, chunk);
    memset(sums, 0, 2 * n->x.maps * sizeof *sums);
    return sums;
}

/* Adds those of the chunks in order. */
static double total(const pass *p, size_t at)
{
    double sum = 0;
    for (size_t c = 0; c < ndi_chunks(p->B); c++) sum += ((const double *)(const void *)ndi_partial(p, c))[at];
    return sum;
}

static void moments_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    size_t M = n->x.maps, L = n->x.rows * n->x.samples;
    double *sums = ndi_norm_sums(p, n, chunk);
    for (size_t i = first * M; i < (first + count) * M; i++) ndi_vec->sum_dot(ndi_x(p, n, 0) + i * L, ndi_x(p, n, 0) + i * L, L, sums + 2 * (i % M));
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

static void batch_statistics(const pass *p, const node *n)
{
    size_t M = n->x.maps;
    double N = (double)(p->B * n->x.rows * n->x.samples);
    float *mean = ndi_saved(p, n), *rstd = mean + M;
    ndi_for_chunks(p, n, moments_chunk);
    for (size_t m = 0; m < M; m++) {
        double mu = total(p, 2 * m) / N;
        mean[m] = (float)mu;
        rstd[m] = ndi_batch_norm_train(p, n, 0, m, N, mu, total(p, 2 * m + 1) / N - mu * mu);
    }
}

void ndi_norm_statistics(const pass *p, const node *n)
{
    size_t M = n->x.maps;
    float *mean = ndi_saved(p, n), *rstd = mean + M;
    if (p->training) {
        batch_statistics(p, n);
        return;
    }
    memcpy(mean, ndi_state(p, n, RUNNING_MEAN), M * sizeof *mean);
    for (size_t m = 0; m < M; m++) rstd[m] = ndi_batch_norm_rstd(p, n, 0, m);
}

norm_line ndi_norm_line(const pass *p, const node *n, size_t m)
{
    const float *mean = ndi_saved(p, n), *rstd = mean + n->x.maps;
    float scale = ndi_w(p, n, WEIGHT)[m] * rstd[m];
    return (norm_line){ scale, ndi_w(p, n, BIAS)[m] - scale * mean[m] };
}

float *ndi_norm_map(const pass *p, const node *n, size_t i)
{
    size_t L = n->x.rows * n->x.samples;
    norm_line l = ndi_norm_line(p, n, i % n->x.maps);
    float *y = ndi_y(p, n) + i * L;
    ndi_vec->scale_shift(l.scale, l.shift, ndi_x(p, n, 0) + i * L, y, L);
    return y;
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    for (size_t i = first * n->x.maps; i < (first + count) * n->x.maps; i++) ndi_norm_map(p, n, i);
}

static void forward(const pass *p, const node *n)
{
    ndi_norm_statistics(p, n);
    ndi_for_chunks(p, n, forward_chunk);
}

static void grad_sums_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)worker;
    size_t M = n->x.maps, L = n->x.rows * n->x.samples;
    double *sums = ndi_norm_sums(p, n, chunk);
    for (size_t i = first * M; i < (first + count) * M; i++) ndi_vec->sum_dot(ndi_dy(p, n) + i * L, ndi_x(p, n, 0) + i * L, L, sums + 2 * (i % M));
}

/* dx = weight rstd (g - mean(g) - xhat mean(g xhat)); in evaluation the statistics are constants and only the first term stands. Kept as dx = scale g + a x + b with a and b of each map
 * behind mean and rstd. */
void ndi_norm_grads(const pass *p, const node *n)
{
    size_t M = n->x.maps;
    double N = (double)(p->B * n->x.rows * n->x.samples);
    float *mean = ndi_saved(p, n), *rstd = mean + M, *ab = mean + 2 * M, *dw = ndi_dw(p, n, WEIGHT), *db = ndi_dw(p, n, BIAS);
    for (size_t m = 0; m < M; m++) {
        double sum = total(p, 2 * m), sum_xhat = (total(p, 2 * m + 1) - (double)mean[m] * sum) * (double)rstd[m];
        dw[m] += (float)sum_xhat;
        db[m] += (float)sum;
        double scale = (double)ndi_w(p, n, WEIGHT)[m] * (double)rstd[m];
        double a = p->training ? -scale * sum_xhat / N * (double)rstd[m] : 0;
        ab[2 * m] = (float)a;
        ab[2 * m + 1] = p->training ? (float)(-scale * sum / N - a * (double)mean[m]) : 0;
    }
}

typedef struct spread {
    const pass *p;
    const node *n;
    const float *g;
} spread;

static void spread_trial(void *context, size_t i, size_t worker)
{
    (void)worker;
    const spread *j = context;
    size_t M = j->n->x.maps, L = j->n->x.rows * j->n->x.samples;
    const float *ab = ndi_saved(j->p, j->n) + 2 * M;
    for (size_t m = 0; m < M; m++) {
        size_t at = (i * M + m) * L;
        const float *x = ndi_x(j->p, j->n, 0) + at, *g = j->g + at;
        float *dx = ndi_dx(j->p, j->n, 0) + at, scale = ndi_norm_line(j->p, j->n, m).scale, a = ab[2 * m], b = ab[2 * m + 1];
        for (size_t k = 0; k < L; k++) dx[k] = scale * g[k] + (a * x[k] + b);
    }
}

void ndi_norm_input_grad(const pass *p, const node *n, const float *g)
{
    spread j = { p, n, g };
    ndi_pool_run(p->w->threads, p->B, spread_trial, &j);
}

static void backward(const pass *p, const node *n)
{
    ndi_for_chunks(p, n, grad_sums_chunk);
    ndi_norm_grads(p, n);
    if (ndi_dx(p, n, 0)) ndi_norm_input_grad(p, n, ndi_dy(p, n));
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
