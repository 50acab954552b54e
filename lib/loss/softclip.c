/* SoftCLIP: how similar the images are among themselves says how far each may be taken for another. With Q = scale B B', P its softmax over rows and S = scale A B':
 *   targets of the rows of S (by brain i, image j) T = P, of its columns U = P', so that with H = S + S'
 *   L = (mean_i lse_i of rows + mean_j lse_j of columns - mean_i sum_j P_ij H_ij) / 2.
 * Gradients go through the targets too: dL/dQ_ij = -P_ij (H_ij - h_i) / (2 n), h_i = sum_j P_ij H_ij, and dL/dlog(scale) gains sum_ij dL/dQ_ij Q_ij. Q is symmetric: P' is its
 * softmax over columns, with the same top and factor. */
#include "loss/loss.h"
#include "math/gemm.h"
#include "math/vec.h"

/* p = row i of P. */
static void target_row(const loss_space *s, size_t n, size_t i, float *p)
{
    ndi_vec->exp_sum(s->targets + i * n, s->target_top[i], p, n);
    ndi_vec->scale_shift(s->target_factor[i], 0, p, p, n);
}

/* p = row i of P'. */
static void target_col(const loss_space *s, size_t n, size_t i, float *p)
{
    const float *q = s->targets + i * n;
    for (size_t k = 0; k < n; k++) p[k] = q[k] - s->target_top[k];
    ndi_vec->exp(p, p, n);
    for (size_t k = 0; k < n; k++) p[k] *= s->target_factor[k];
}

static void softmax_row(void *context, size_t i, size_t worker)
{
    const cross_entropy *x = context;
    const loss_space *s = x->s;
    size_t n = x->c->n;
    float *q = s->targets + i * n, *scratch = s->scratch + worker * 2 * s->n;
    s->target_top[i] = ndi_vec->max(q, n);
    s->target_factor[i] = 1 / ndi_vec->exp_sum(q, s->target_top[i], scratch, n);
}

/* mirror = row i of H; sums_i = h_i. */
static void expect_row(void *context, size_t i, size_t worker)
{
    const cross_entropy *x = context;
    const loss_space *s = x->s;
    size_t n = x->c->n;
    float *h = s->mirror + i * n, *p = s->scratch + worker * 2 * s->n;
    ndi_vec->axpy(1, s->logits + i * n, h, n);
    target_row(s, n, i, p);
    s->sums[i] = ndi_dot_f64(p, h, n);
}

/* mirror = row i of dL/dQ + its transpose; sums_n+i = its part of sum_ij dL/dQ_ij Q_ij. */
static void within_row(void *context, size_t i, size_t worker)
{
    const cross_entropy *x = context;
    const loss_space *s = x->s;
    size_t n = x->c->n;
    float *h = s->mirror + i * n, *p = s->scratch + worker * 2 * s->n, *p_col = p + n, factor = (float)ndi_cross_entropy_factor(x->o, n);
    target_row(s, n, i, p);
    target_col(s, n, i, p_col);
    for (size_t k = 0; k < n; k++) h[k] = -factor * (p[k] * (h[k] - (float)s->sums[i]) + p_col[k] * (h[k] - (float)s->sums[k]));
    s->sums[n + i] = ndi_dot_f64(h, s->targets + i * n, n) / 2;
}

static void targets(const cross_entropy *x, size_t i, float *w)
{
    size_t n = x->c->n;
    target_row(x->s, n, i, w);
    target_col(x->s, n, i, w + n);
    ndi_vec->axpy(1, w + n, w, n);
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    size_t n = c->n, dim = c->dim;
    float scale = (float)c->scale;
    cross_entropy x = { .o = o, .s = s, .c = c, .targets = targets, .within = s->mirror };
    ndi_similarities(o, s, c);
    ndi_gemm_parallel(s->threads, false, true, n, n, dim, scale, s->b, dim, s->b, dim, 0, s->targets, n);
    ndi_gemm_parallel(s->threads, false, true, n, n, dim, scale, s->b, dim, s->a, dim, 0, s->mirror, n);
    ndi_pool_run(s->threads, n, softmax_row, &x);
    ndi_pool_run(s->threads, n, expect_row, &x);
    ndi_pool_run(s->threads, n, within_row, &x);
    double within = ndi_add_up(s->sums + n, n);
    ndi_cross_entropy(&x);
    c->grad_log_scale += within;
}

const loss_kind ndi_loss_softclip = {
    .name = "softclip",
    .title = "SoftCLIP: targets softened by the similarity of the images",
    .source = "MindEye, Scotti et al. 2023",
    .temperature = 0.04,
    .directions = true,
    .evaluate = evaluate,
};
