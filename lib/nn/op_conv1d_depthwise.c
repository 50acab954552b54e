/* Convolution along samples with one map in each group (depthwise) and stride 1: every filter is a short filter over one row, computed where it stands. With K taps,
 * dw[k] = sum_p dy[p] x[p + k - l] and dx is dy under the filter turned around. */
#include <string.h>

#include "math/vec.h"
#include "nn/conv1d.h"

typedef conv1d_sizes sizes;

/* Room for l zeros, a row and what kernels read beyond; T + K - 1 = P + zeros, whichever is longer. */
static size_t padded_size(const sizes *s) { return 2 * s->K + s->left + ndi_tiled(s->T) + ndi_tiled(s->P) + ndi_tiled(s->K); }

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    sizes s = ndi_conv1d_sizes(n);
    const float *w = ndi_conv1d_w(p, n), *b = ndi_conv1d_b(p, n);
    float *padded = ndi_scratch(p, worker), *out = padded + padded_size(&s);
    memset(padded, 0, padded_size(&s) * sizeof *padded);
    for (size_t line = first * s.H; line < (first + count) * s.H; line++)
        for (size_t f = 0; f < s.g * s.F; f++) {
            memcpy(padded + s.left, ndi_x(p, n, 0) + ndi_conv1d_input(&s, line, f / s.F), s.T * sizeof *padded);
            ndi_vec->conv->fir(padded, w + f * s.K, s.K, b ? b[f] : 0, out, s.P);
            memcpy(ndi_y(p, n) + ndi_conv1d_output(&s, line, f), out, s.P * sizeof *out);
        }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

/* Adds what one filter's dy passes to its row of dx: sample t sees dy[t + l - k]. */
static void add_input_grad(const sizes *s, const float *w, const float *dy, float *room, float *dx)
{
    float *padded = room, *turned = padded + padded_size(s), *out = turned + s->K;
    memset(padded, 0, padded_size(s) * sizeof *padded);
    memcpy(padded + s->K - 1, dy, s->P * sizeof *dy);
    for (size_t k = 0; k < s->K; k++) turned[k] = w[s->K - 1 - k];
    ndi_vec->conv->fir(padded + s->left, turned, s->K, 0, out, s->T);
    ndi_vec->axpy(1, out, dx, s->T);
}

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = ndi_conv1d_sizes(n);
    size_t filters = s.g * s.F, trial = ndi_shape_size(n->x), each = ndi_tiled(s.K);
    float *dw = ndi_partial(p, chunk), *db = dw + filters * each, *dx = ndi_dx(p, n, 0), *padded = ndi_scratch(p, worker),
          *room = padded + padded_size(&s);
    memset(dw, 0, n->partial * sizeof *dw);
    memset(padded, 0, padded_size(&s) * sizeof *padded);
    if (dx) memset(dx + first * trial, 0, count * trial * sizeof *dx);
    for (size_t line = first * s.H; line < (first + count) * s.H; line++)
        for (size_t f = 0; f < filters; f++) {
            size_t at = ndi_conv1d_input(&s, line, f / s.F);
            const float *dy = ndi_dy(p, n) + ndi_conv1d_output(&s, line, f);
            memcpy(padded + s.left, ndi_x(p, n, 0) + at, s.T * sizeof *padded);
            ndi_vec->conv->correlate(dy, padded, s.P, s.K, dw + f * each);
            db[f] += ndi_vec->sum(dy, s.P);
            if (dx) add_input_grad(&s, ndi_conv1d_w(p, n) + f * s.K, dy, room, dx + at);
        }
}

static void backward(const pass *p, const node *n)
{
    sizes s = ndi_conv1d_sizes(n);
    size_t filters = s.g * s.F, each = ndi_tiled(s.K);
    ndi_for_chunks(p, n, backward_chunk);
    for (size_t f = 0; f < filters; f++) ndi_add_partials(p, f * each, s.K, ndi_conv1d_dw(p, n) + f * s.K);
    if (ndi_conv1d_db(p, n)) ndi_add_partials(p, filters * each, filters, ndi_conv1d_db(p, n));
}

static bool serves(const node *n)
{
    sizes s = ndi_conv1d_sizes(n);
    return s.M == 1 && s.stride == 1;
}

static void plan(node *n)
{
    sizes s = ndi_conv1d_sizes(n);
    n->multiply_adds = (uint64_t)s.g * s.F * s.K * s.H * s.P;
    n->scratch = 2 * padded_size(&s) + s.K + ndi_tiled(s.P) + ndi_tiled(s.T);
    n->partial = s.g * s.F * (ndi_tiled(s.K) + 1);
}

const conv1d_kind ndi_conv1d_depthwise = { { "conv1d", forward, backward }, serves, plan };
