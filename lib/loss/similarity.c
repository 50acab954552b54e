/* S = scale A B' with the normalised rows A of v and B of z, and the way back: with G = dL/dS and, where the loss also looks at Q = scale B B', H = dL/dQ + (dL/dQ)',
 *   dL/dA = scale G B,   dL/dB = scale (G' A + H B),   dL/dlog(scale) = sum_ij G_ij S_ij = sum_i a_i . dL/da_i, since S is linear in both. */
#include "loss/loss.h"
#include "math/gemm.h"
#include "math/vec.h"

static bool centred(const nd_loss_options *o) { return o->vectors == ND_VECTOR_CENTRED_L2; }

void ndi_similarities(const nd_loss_options *o, loss_space *s, const loss_call *c)
{
    size_t n = c->n, dim = c->dim;
    ndi_normalise_rows(s->threads, centred(o), c->v, n, dim, s->a, s->a_norm);
    ndi_normalise_rows(s->threads, centred(o), c->z, n, dim, s->b, s->b_norm);
    ndi_gemm_parallel(s->threads, false, true, n, n, dim, (float)c->scale, s->a, dim, s->b, dim, 0, s->logits, n);
}

void ndi_similarities_back(const nd_loss_options *o, loss_space *s, loss_call *c, const float *within)
{
    size_t n = c->n, dim = c->dim;
    float scale = (float)c->scale;
    ndi_gemm_parallel(s->threads, false, false, n, dim, n, scale, s->logits, n, s->b, dim, 0, s->da, dim);
    c->grad_log_scale = 0;
    for (size_t i = 0; i < n; i++) c->grad_log_scale += ndi_dot_f64(s->a + i * dim, s->da + i * dim, dim);
    if (c->grad_v) ndi_normalise_rows_back(s->threads, centred(o), s->a, s->a_norm, s->da, n, dim, c->grad_v);
    if (!c->grad_z) return;
    ndi_gemm_parallel(s->threads, true, false, n, dim, n, scale, s->logits, n, s->a, dim, 0, s->da, dim);
    if (within) ndi_gemm_parallel(s->threads, false, false, n, dim, n, scale, within, n, s->b, dim, 1, s->da, dim);
    ndi_normalise_rows_back(s->threads, centred(o), s->b, s->b_norm, s->da, n, dim, c->grad_z);
}
