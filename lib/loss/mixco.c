/* MixCo-NCE. Row i of v embeds a mixture: beta_i of trial i and 1 - beta_i of trial p_i. Targets of both directions: M_ii = beta_i, M_i,p_i = 1 - beta_i; a trial mixed with
 * itself has M_ii = 1. Columns of M need not sum to 1. The reference code overwrites instead: a trial mixed with itself has M_ii = 1 - beta_i, none at all where it is not mixed. */
#include <string.h>

#include "loss/loss.h"

/* Row i of M: `own` at i, `other` at `partner`. */
typedef struct mixture {
    size_t partner;
    float own, other;
} mixture;

static mixture mixture_of(const nd_loss_options *o, const loss_call *c, size_t i)
{
    if (!c->partner) return (mixture){ i, 1, 0 };
    if (c->partner[i] != i) return (mixture){ c->partner[i], c->share[i], 1 - c->share[i] };
    return (mixture){ i, o->reference ? 1 - c->share[i] : 1, 0 };
}

static void targets(const cross_entropy *x, size_t i, float *w)
{
    mixture m = mixture_of(x->o, x->c, i);
    w[i] += 2 * m.own;
    w[m.partner] += 2 * m.other;
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    memset(s->col_weight, 0, c->n * sizeof *s->col_weight);
    for (size_t i = 0; i < c->n; i++) {
        mixture m = mixture_of(o, c, i);
        s->row_weight[i] = m.own + m.other;
        s->col_weight[i] += m.own;
        s->col_weight[m.partner] += m.other;
    }
    ndi_similarities(o, s, c);
    ndi_cross_entropy(&(cross_entropy){ .o = o, .s = s, .c = c, .targets = targets, .row_weight = s->row_weight, .col_weight = s->col_weight });
}

const loss_kind ndi_loss_mixco = {
    .name = "mixco",
    .title = "MixCo-NCE: InfoNCE for mixtures of two trials",
    .source = "MixCo, Kim et al. 2020; MindEye, Scotti et al. 2023",
    .temperature = 0.1,
    .directions = true,
    .masks = true,
    .mixes = true,
    .evaluate = evaluate,
};
