/* L = 1/(n D) sum_ij (v_ij - z_ij)^2 of the raw vectors; dL/dv = 2 (v - z) / (n D) = -dL/dz. */
#include "loss/loss.h"

typedef struct job {
    loss_space *s;
    loss_call *c;
} job;

static void error_row(void *context, size_t i, size_t worker)
{
    (void)worker;
    const job *j = context;
    const loss_call *c = j->c;
    double sum = 0, weight = 1 / ((double)c->n * (double)c->dim);
    for (size_t k = i * c->dim; k < (i + 1) * c->dim; k++) {
        double error = (double)c->v[k] - (double)c->z[k];
        sum += error * error;
        if (c->grad_v) c->grad_v[k] = (float)(2 * weight * error);
        if (c->grad_z) c->grad_z[k] = (float)(-2 * weight * error);
    }
    j->s->sums[i] = weight * sum;
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    (void)o;
    job j = { s, c };
    ndi_pool_run(s->threads, c->n, error_row, &j);
    c->value = ndi_add_up(s->sums, c->n);
}

const loss_kind ndi_loss_mse = {
    .name = "mse",
    .title = "mean squared error of the raw vectors, no negatives",
    .source = "regression",
    .evaluate = evaluate,
};
