/* Symmetric InfoNCE: the targets of both directions are the identity. The paper's equation is the sum of the two directions instead of their mean: twice all of it. */
#include "loss/loss.h"

static void targets(const cross_entropy *x, size_t i, float *w)
{
    (void)x;
    w[i] = 2;
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    ndi_similarities(o, s, c);
    ndi_cross_entropy(&(cross_entropy){ .o = o, .s = s, .c = c, .targets = targets });
}

const loss_kind ndi_loss_infonce = {
    .name = "infonce",
    .title = "symmetric InfoNCE: each row finds its partner among the batch",
    .source = "van den Oord et al. 2018; CLIP, Radford et al. 2021",
    .temperature = 0.04,
    .directions = true,
    .masks = true,
    .evaluate = evaluate,
};
