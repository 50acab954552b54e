/* Multi-positive InfoNCE: all rows that show the image of row i are its partners in equal parts, T_ij = U_ij = [same image] / (number of rows with it). */
#include "loss/loss.h"

static void targets(const cross_entropy *x, size_t i, float *w)
{
    size_t n = x->c->n, count = 0;
    const size_t *images = x->c->images;
    for (size_t k = 0; k < n; k++) {
        w[k] = k == i || (images && images[k] == images[i]);
        count += w[k] > 0;
    }
    for (size_t k = 0; k < n; k++) w[k] *= 2 / (float)count;
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    ndi_similarities(o, s, c);
    ndi_cross_entropy(&(cross_entropy){ .o = o, .s = s, .c = c, .targets = targets });
}

const loss_kind ndi_loss_multipositive = {
    .name = "multipositive",
    .title = "multi-positive InfoNCE: all rows with the same image are partners",
    .source = "SupCon, Khosla et al. 2020; UniCL, Yang et al. 2022; SynCLR, Tian et al. 2024",
    .temperature = 0.04,
    .directions = true,
    .evaluate = evaluate,
};
