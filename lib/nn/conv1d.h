/* What the kinds of convolution along samples share: op_conv1d.c computes all, its siblings some of them faster, with the same parameters and the same formula.
 *
 * x (g M x H x T) -> y (g F x H x P), w (g F, M, K), b (g F), in g groups that see nothing of each other: y[f][h][p] = b[f] + sum_{m,k} w[f][m][k] x[m][h][s p + k - l], s the stride,
 * with l zeros before the row and as many behind it as asked for. A line is one row of one trial, in all maps. */
#ifndef NDI_CONV1D_H
#define NDI_CONV1D_H

#include "nn/ops.h"

enum { CONV1D_KERNEL, CONV1D_STRIDE, CONV1D_LEFT, CONV1D_GROUPS };
enum { CONV1D_WEIGHT, CONV1D_BIAS };

typedef struct conv1d_sizes {
    size_t g, M, H, T, F, P, K, W; /* W = M K weights of a filter */
    size_t stride, left;
} conv1d_sizes;

static inline conv1d_sizes ndi_conv1d_sizes(const node *n)
{
    size_t g = n->a[CONV1D_GROUPS], H = n->out.rows, M = n->x.maps * n->x.rows / H / g, K = n->a[CONV1D_KERNEL];
    return (conv1d_sizes){ g, M, H, n->x.samples, n->out.maps / g, n->out.samples, K, M * K, n->a[CONV1D_STRIDE], n->a[CONV1D_LEFT] };
}

/* The samples of map m (of all maps) in a line; and of a filter. */
static inline size_t ndi_conv1d_input(const conv1d_sizes *s, size_t line, size_t m) { return ((line / s->H * s->g * s->M + m) * s->H + line % s->H) * s->T; }
static inline size_t ndi_conv1d_output(const conv1d_sizes *s, size_t line, size_t f) { return ((line / s->H * s->g * s->F + f) * s->H + line % s->H) * s->P; }

static inline const float *ndi_conv1d_bias(const pass *p, const node *n) { return n->n_tensors > CONV1D_BIAS ? ndi_w(p, n, CONV1D_BIAS) : NULL; }

/* op_conv1d_depthwise.c: one map in each group, stride 1. */
extern const op ndi_conv1d_depthwise;
void ndi_conv1d_depthwise_plan(node *n);

/* op_conv1d_spectral.c: one group, where products of spectra cost less than the convolution. */
extern const op ndi_conv1d_spectral;
bool ndi_conv1d_spectral_pays(const node *n);
void ndi_conv1d_spectral_plan(node *n);

#endif
