/* L = mean_i (1 - a_i . b_i) with the normalised rows a of v and b of z; dL/da = -b / n, dL/db = -a / n. */
#include "loss/loss.h"
#include "math/vec.h"

/* dx from dy = -partner / n. */
static void back(const loss_space *s, const loss_call *c, bool centred, const float *y, const float *norm, const float *partner, float *dx)
{
    if (!dx) return;
    ndi_vec->scale_shift(-1 / (float)c->n, 0, partner, s->da, c->n * c->dim);
    ndi_normalise_rows_back(s->threads, centred, y, norm, s->da, c->n, c->dim, dx);
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    bool centred = o->vectors == ND_VECTOR_CENTRED_L2;
    ndi_normalise_rows(s->threads, centred, c->v, c->n, c->dim, s->a, s->a_norm);
    ndi_normalise_rows(s->threads, centred, c->z, c->n, c->dim, s->b, s->b_norm);
    for (size_t i = 0; i < c->n; i++) s->sums[i] = 1 - ndi_dot_f64(s->a + i * c->dim, s->b + i * c->dim, c->dim);
    c->value = ndi_add_up(s->sums, c->n) / (double)c->n;
    back(s, c, centred, s->a, s->a_norm, s->b, c->grad_v);
    back(s, c, centred, s->b, s->b_norm, s->a, c->grad_z);
}

const loss_kind ndi_loss_cosine = {
    .name = "cosine",
    .title = "1 - cosine similarity of partners, no negatives",
    .source = "regression on the direction; BYOL, Grill et al. 2020, has twice it",
    .evaluate = evaluate,
};
