/* What the kinds of convolution along samples share: op_conv1d.c computes all, its siblings some of them faster, with the same parameters and the same formula.
 *
 * x (g M x H x T) -> y (g F x H x P), w (g F, M, K), b (g F), in g groups that see nothing of each other: y[f][h][p] = b[f] + sum_{m,k} w[f][m][k] x[m][h][s p + k - l], s the stride,
 * with l zeros before the row and as many behind it as asked for. A line is one row of one trial, in all maps. */
#ifndef NDI_CONV1D_H
#define NDI_CONV1D_H

#include "nn/ops.h"

enum { CONV1D_KERNEL, CONV1D_STRIDE, CONV1D_LEFT, CONV1D_GROUPS, CONV1D_COMPOSED };
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

/* Weights made of the parameters of several layers, and their gradients, instead of parameters; among what the node keeps. */
typedef struct conv1d_composed {
    float *w, *b, *dw, *db;
} conv1d_composed;

static inline conv1d_composed ndi_conv1d_composed(const pass *p, const node *n)
{
    conv1d_sizes s = ndi_conv1d_sizes(n);
    float *w = ndi_saved(p, n), *b = w + s.g * s.F * s.W, *dw = b + s.g * s.F;
    return (conv1d_composed){ w, b, dw, dw + s.g * s.F * s.W };
}

static inline const float *ndi_conv1d_w(const pass *p, const node *n)
{
    return n->a[CONV1D_COMPOSED] ? ndi_conv1d_composed(p, n).w : ndi_w(p, n, CONV1D_WEIGHT);
}

static inline float *ndi_conv1d_dw(const pass *p, const node *n) { return n->a[CONV1D_COMPOSED] ? ndi_conv1d_composed(p, n).dw : ndi_dw(p, n, CONV1D_WEIGHT); }

/* NULL without a bias. */
static inline const float *ndi_conv1d_b(const pass *p, const node *n)
{
    if (n->a[CONV1D_COMPOSED]) return ndi_conv1d_composed(p, n).b;
    return n->n_tensors > CONV1D_BIAS ? ndi_w(p, n, CONV1D_BIAS) : NULL;
}

static inline float *ndi_conv1d_db(const pass *p, const node *n)
{
    if (n->a[CONV1D_COMPOSED]) return ndi_conv1d_composed(p, n).db;
    return n->n_tensors > CONV1D_BIAS ? ndi_dw(p, n, CONV1D_BIAS) : NULL;
}

/* A way to compute it. */
typedef struct conv1d_kind {
    op op;
    bool (*serves)(const node *n); /* can do it, and faster than the kinds behind */
    void (*plan)(node *n);         /* memory and multiply-adds, once sizes stand */
} conv1d_kind;

extern const conv1d_kind ndi_conv1d_depthwise; /* one map in each group, stride 1 */
extern const conv1d_kind ndi_conv1d_spectral;  /* one group, where products of spectra cost less than the convolution */
extern const conv1d_kind ndi_conv1d_windows;   /* all; op_conv1d.c */

/* The first that serves. */
const conv1d_kind *ndi_conv1d_kind(const node *n);

/* For work over the pool. */
typedef struct conv1d_job {
    const pass *p;
    const node *n;
} conv1d_job;

#endif
