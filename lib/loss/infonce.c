/* Symmetric InfoNCE. S = scale A B' with the normalised rows A of v and B of z; R and C' its softmax over rows and over columns:
 *   L = ((mean_i -log R_ii) + (mean_i -log C_ii)) / 2,   dL/dS = (R + C - 2 I) / (2 n),
 *   dL/dA = scale dL/dS B,   dL/dB = scale (dL/dS)' A,   dL/dlog(scale) = sum dL/dS S.
 * The paper's equation is the sum of the two directions instead of their mean: twice all of it. */
#include "loss/loss.h"
#include "math/gemm.h"
#include "math/vec.h"

typedef struct job {
    loss_space *s;
    size_t n;
    float weight;
} job;

/* Row i of S and of S': log-sum-exp kept, softmax left in place, the diagonal of S kept. Task 0 .. n - 1 is a row, n .. 2 n - 1 a column. */
static void softmax_row(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    float *row = (task < j->n ? j->s->rows : j->s->cols) + task % j->n * j->n;
    if (task < j->n) j->s->dots[task] = row[task];
    j->s->lse[task] = ndi_softmax(row, j->n);
}

/* rows = weight (R + C - 2 I). */
static void gradient_row(void *context, size_t i, size_t worker)
{
    (void)worker;
    const job *j = context;
    float *row = j->s->rows + i * j->n;
    for (size_t k = 0; k < j->n; k++) row[k] = j->weight * (row[k] + j->s->cols[k * j->n + i]);
    row[i] -= 2 * j->weight;
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    size_t n = c->n, dim = c->dim;
    bool centred = o->vectors == ND_VECTOR_CENTRED_L2;
    double factor = o->sum_directions ? 1 : 0.5;
    job j = { .s = s, .n = n, .weight = (float)(factor / (double)n) };
    ndi_normalise_rows(s->threads, centred, c->v, n, dim, s->a, s->a_norm);
    ndi_normalise_rows(s->threads, centred, c->z, n, dim, s->b, s->b_norm);
    ndi_gemm_parallel(s->threads, false, true, n, n, dim, (float)c->scale, s->a, dim, s->b, dim, 0, s->rows, n);
    ndi_gemm_parallel(s->threads, false, true, n, n, dim, (float)c->scale, s->b, dim, s->a, dim, 0, s->cols, n);
    ndi_pool_run(s->threads, 2 * n, softmax_row, &j);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)s->lse[i] - (double)s->dots[i]) + ((double)s->lse[n + i] - (double)s->dots[i]);
    c->value = factor * sum / (double)n;
    ndi_pool_run(s->threads, n, gradient_row, &j);
    /* dL/dlog(scale) = sum_i a_i . dL/da_i, since S is linear in both. */
    ndi_gemm_parallel(s->threads, false, false, n, dim, n, (float)c->scale, s->rows, n, s->b, dim, 0, s->da, dim);
    c->grad_log_scale = 0;
    for (size_t i = 0; i < n; i++) c->grad_log_scale += ndi_dot_f64(s->a + i * dim, s->da + i * dim, dim);
    if (c->grad_v) ndi_normalise_rows_back(s->threads, centred, s->a, s->a_norm, s->da, n, dim, c->grad_v);
    if (!c->grad_z) return;
    ndi_gemm_parallel(s->threads, true, false, n, dim, n, (float)c->scale, s->rows, n, s->a, dim, 0, s->da, dim);
    ndi_normalise_rows_back(s->threads, centred, s->b, s->b_norm, s->da, n, dim, c->grad_z);
}

const loss_kind ndi_loss_infonce = { .name = "infonce", .title = "symmetric InfoNCE", .evaluate = evaluate };
