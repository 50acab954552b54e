/* Sigmoid loss: every pair for itself. With l_ij = S_ij + bias and y_ij = 1 for partners, -1 for others,
 *   L = -1/n sum_ij log sigma(y_ij l_ij),   dL/dl_ij = -y_ij sigma(-y_ij l_ij) / n.
 * With e = exp(-|l|): -log sigma(x) = max(0, -x) + log(1 + e), sigma(-x) = (x < 0 ? 1 : e) / (1 + e). */
#include <math.h>

#include "loss/loss.h"
#include "math/vec.h"

typedef struct job {
    const nd_loss_options *o;
    loss_space *s;
    loss_call *c;
} job;

/* sum_k log(1 + e_k), 0 <= e_k <= 1: the logarithm of a product, taken before it can overflow. */
static double sum_log1p(const float *e, size_t n)
{
    enum { BLOCK = 512 };
    double sum = 0;
    for (size_t first = 0; first < n; first += BLOCK) {
        double product = 1;
        for (size_t k = first; k < n && k < first + BLOCK; k++) product *= 1 + (double)e[k];
        sum += log(product);
    }
    return sum;
}

/* Row i of dL/dl in the place of S; sums_i = its part of n L, sums_n+i = its part of dL/dbias. */
static void pair_row(void *context, size_t i, size_t worker)
{
    const job *j = context;
    const loss_space *s = j->s;
    size_t n = j->c->n;
    float *row = s->logits + i * n, *e = s->scratch + worker * 2 * s->n, bias = (float)j->c->bias, weight = 1 / (float)n;
    double hinge = 0;
    for (size_t k = 0; k < n; k++) {
        row[k] = (k == i ? -1.0f : 1.0f) * (row[k] + bias); /* -x */
        if (ndi_masked(j->o, j->c, i, k)) row[k] = -INFINITY;
        e[k] = -fabsf(row[k]);
        hinge += row[k] > 0 ? (double)row[k] : 0;
    }
    ndi_vec->exp(e, e, n);
    s->sums[i] = hinge + sum_log1p(e, n);
    for (size_t k = 0; k < n; k++) row[k] = (k == i ? -weight : weight) * ((row[k] > 0 ? 1 : e[k]) / (1 + e[k]));
    s->sums[n + i] = ndi_sum_f64(row, n);
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    job j = { o, s, c };
    ndi_similarities(o, s, c);
    ndi_pool_run(s->threads, c->n, pair_row, &j);
    c->value = ndi_add_up(s->sums, c->n) / (double)c->n;
    c->grad_bias = ndi_add_up(s->sums + c->n, c->n);
    ndi_similarities_back(o, s, c, NULL);
}

const loss_kind ndi_loss_siglip = {
    .name = "siglip",
    .title = "pairwise sigmoid loss with a bias",
    .source = "SigLIP, Zhai et al. 2023",
    .temperature = 0.1,
    .masks = true,
    .biased = true,
    .evaluate = evaluate,
};
