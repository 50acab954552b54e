/* Cross-entropy in both directions. With S (n x n), R and C its softmax over rows and over columns, and targets T and U (n x n), all in the places of S:
 *   L = (mean_i sum_j -T_ij log R_ij + mean_j sum_i -U_ij log C_ij) / 2,   dL/dS_ij = (t_i R_ij + u_j C_ij - T_ij - U_ij) / (2 n)
 * with t_i = sum_j T_ij and u_j = sum_i U_ij, which are 1 for true distributions. S is kept until its gradient takes its place: R and C are computed twice, never stored. */
#include <math.h>
#include <string.h>

#include "loss/loss.h"
#include "math/vec.h"

enum { COLUMNS = 64 };
static const float masked = -1e30f; /* its exponential is 0, and so is 0 times it */

static double weight_of(const float *weights, size_t i) { return weights ? (double)weights[i] : 1.0; }

double ndi_cross_entropy_factor(const nd_loss_options *o, size_t n) { return (o->sum_directions ? 1 : 0.5) / (double)n; }

/* Row i: masks it, top and factor of R_ij = factor_i exp(S_ij - top_i); sums_i = t_i log sum_j exp(S_ij). */
static void row_softmax(void *context, size_t i, size_t worker)
{
    const cross_entropy *x = context;
    const loss_space *s = x->s;
    size_t n = x->c->n;
    float *row = s->logits + i * n, *scratch = s->scratch + worker * 2 * s->n;
    if (x->o->mask_same_image)
        for (size_t k = 0; k < n; k++)
            if (ndi_masked(x->o, x->c, i, k)) row[k] = masked;
    float top = ndi_vec->max(row, n);
    double sum = (double)ndi_vec->exp_sum(row, top, scratch, n), weight = weight_of(x->row_weight, i);
    s->row_top[i] = top;
    s->row_factor[i] = (float)(weight / sum);
    s->sums[i] = weight * ((double)top + log(sum));
}

/* The same for up to COLUMNS columns. */
static void col_softmax(void *context, size_t task, size_t worker)
{
    (void)worker;
    const cross_entropy *x = context;
    const loss_space *s = x->s;
    size_t n = x->c->n, first = task * COLUMNS, width = n - first < COLUMNS ? n - first : COLUMNS;
    float *top = s->col_top + first, e[COLUMNS];
    double sum[COLUMNS] = { 0 };
    memcpy(top, s->logits + first, width * sizeof *top);
    for (size_t i = 1; i < n; i++) {
        const float *row = s->logits + i * n + first;
        for (size_t j = 0; j < width; j++) top[j] = row[j] > top[j] ? row[j] : top[j];
    }
    for (size_t i = 0; i < n; i++) {
        const float *row = s->logits + i * n + first;
        for (size_t j = 0; j < width; j++) e[j] = row[j] - top[j];
        ndi_vec->exp(e, e, width);
        for (size_t j = 0; j < width; j++) sum[j] += (double)e[j];
    }
    for (size_t j = 0; j < width; j++) {
        double weight = weight_of(x->col_weight, first + j);
        s->col_factor[first + j] = (float)(weight / sum[j]);
        s->sums[n + first + j] = weight * ((double)top[j] + log(sum[j]));
    }
}

/* Row i of dL/dS in the place of S; sums_i -= sum_j (T_ij + U_ij) S_ij. */
static void gradient_row(void *context, size_t i, size_t worker)
{
    const cross_entropy *x = context;
    const loss_space *s = x->s;
    size_t n = x->c->n;
    float *row = s->logits + i * n, *w = s->scratch + worker * 2 * s->n, *e = w + n;
    memset(w, 0, n * sizeof *w);
    x->targets(x, i, w);
    s->sums[i] -= ndi_dot_f64(w, row, n);
    for (size_t k = 0; k < n; k++) e[k] = row[k] - s->col_top[k];
    ndi_vec->exp(e, e, n);
    ndi_vec->exp_sum(row, s->row_top[i], row, n);
    float factor = (float)ndi_cross_entropy_factor(x->o, n), row_factor = s->row_factor[i];
    for (size_t k = 0; k < n; k++) row[k] = factor * (row_factor * row[k] + s->col_factor[k] * e[k] - w[k]);
}

void ndi_cross_entropy(const cross_entropy *x)
{
    size_t n = x->c->n;
    pool *threads = x->s->threads;
    ndi_pool_run(threads, n, row_softmax, (void *)x);
    ndi_pool_run(threads, (n + COLUMNS - 1) / COLUMNS, col_softmax, (void *)x);
    ndi_pool_run(threads, n, gradient_row, (void *)x);
    x->c->value = ndi_cross_entropy_factor(x->o, n) * ndi_add_up(x->s->sums, 2 * n);
    ndi_similarities_back(x->o, x->s, x->c, x->within);
}
