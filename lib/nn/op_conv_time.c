/* Temporal convolution with mean pooling: x (1 x C x T) -> y (F x C x P), w (F, 1, 1, K), b (F).
 *
 * Both are linear in time, so the pooling goes first: with r the running mean of x over `pool` samples, y[f][c][p] = b[f] + sum_k w[f][k] r[c][stride p + k]. That is a product of w with the
 * windows of r, a K x C P matrix, and for NICE six times fewer multiplications than convolving first. */
#include <math.h>
#include <string.h>

#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { MAPS, KERNEL, POOL, STRIDE };

typedef struct sizes {
    size_t C, T, F, K, P, R; /* R samples of the running mean */
} sizes;

static sizes sizes_of(const node *n)
{
    return (sizes){ n->x.rows, n->x.samples, n->a[MAPS], n->a[KERNEL], n->out.samples, n->x.samples - n->a[POOL] + 1 };
}

static void running_mean(const float *x, float *r, size_t R, size_t width)
{
    double sum = 0;
    for (size_t t = 0; t + 1 < width; t++) sum += (double)x[t];
    double scale = 1 / (double)width;
    for (size_t t = 0; t < R; t++) {
        sum += (double)x[t + width - 1];
        r[t] = (float)(sum * scale);
        sum -= (double)x[t];
    }
}

/* phases[q][j] = r[stride j + q]: every stride-th sample, so that a row of windows is a run of them. */
static void split_phases(const float *r, size_t R, size_t stride, size_t length, float *phases)
{
    for (size_t t = 0; t < R; t++) phases[t % stride * length + t / stride] = r[t];
}

/* Windows of one trial, K x (C P): windows[k][c P + p] = r_c[stride p + k]. `room` holds one channel's running mean and its phases. */
static void gather(const node *n, const float *x, float *room, float *windows)
{
    sizes s = sizes_of(n);
    size_t stride = n->a[STRIDE], length = s.R / stride + 1;
    float *phases = room + s.T;
    for (size_t c = 0; c < s.C; c++) {
        running_mean(x + c * s.T, room, s.R, n->a[POOL]);
        split_phases(room, s.R, stride, length, phases);
        for (size_t k = 0; k < s.K; k++) memcpy(windows + (k * s.C + c) * s.P, phases + k % stride * length + k / stride, s.P * sizeof *windows);
    }
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    sizes s = sizes_of(n);
    float *windows = ndi_scratch(p, worker), *room = windows + s.C * s.P * s.K;
    const float *w = ndi_w(p, n, 0), *b = ndi_w(p, n, 1);
    for (size_t i = first; i < first + count; i++) {
        float *y = ndi_y(p, n) + i * s.F * s.C * s.P;
        gather(n, ndi_x(p, n, 0) + i * s.C * s.T, room, windows);
        for (size_t f = 0; f < s.F; f++)
            for (size_t k = 0; k < s.C * s.P; k++) y[f * s.C * s.P + k] = b[f];
        ndi_gemm(false, false, s.F, s.C * s.P, s.K, 1, w, s.K, windows, s.C * s.P, 1, y, s.C * s.P);
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

/* dx of one trial from the gradient of its windows. */
static void scatter(const node *n, const float *dwindows, float *dr, float *dx)
{
    sizes s = sizes_of(n);
    float scale = 1.0f / (float)n->a[POOL];
    for (size_t c = 0; c < s.C; c++) {
        memset(dr, 0, s.R * sizeof *dr);
        for (size_t k = 0; k < s.K; k++)
            for (size_t p = 0; p < s.P; p++) dr[n->a[STRIDE] * p + k] += dwindows[(k * s.C + c) * s.P + p];
        memset(dx + c * s.T, 0, s.T * sizeof *dx);
        for (size_t t = 0; t < s.R; t++)
            for (size_t j = 0; j < n->a[POOL]; j++) dx[c * s.T + t + j] += scale * dr[t];
    }
}

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    sizes s = sizes_of(n);
    size_t size = s.C * s.P;
    float *windows = ndi_scratch(p, worker), *room = windows + size * s.K, *dw = ndi_partial(p, chunk), *db = dw + s.F * s.K, *dx = ndi_dx(p, n, 0);
    memset(dw, 0, n->partial * sizeof *dw);
    for (size_t i = first; i < first + count; i++) {
        const float *dy = ndi_dy(p, n) + i * s.F * size;
        gather(n, ndi_x(p, n, 0) + i * s.C * s.T, room, windows);
        ndi_gemm(false, true, s.F, s.K, size, 1, dy, size, windows, size, 1, dw, s.K);
        for (size_t f = 0; f < s.F; f++) db[f] += ndi_vec->sum(dy + f * size, size);
        if (!dx) continue;
        ndi_gemm(true, false, s.K, size, s.F, 1, ndi_w(p, n, 0), s.K, dy, size, 0, windows, size);
        scatter(n, windows, room, dx + i * s.C * s.T);
    }
}

static void backward(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    ndi_for_chunks(p, n, backward_chunk);
    ndi_add_partials(p, 0, s.F * s.K, ndi_dw(p, n, 0));
    ndi_add_partials(p, s.F * s.K, s.F, ndi_dw(p, n, 1));
}

static const op conv_time = { "conv_time", forward, backward };

int ndi_conv_time(graph *g, int x, const char *name, size_t maps, size_t kernel, size_t width, size_t stride)
{
    node *n = ndi_node_add(g, &conv_time, name, x);
    if (!n) return -1;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    if (n->x.samples < kernel) return ndi_graph_fail(g, n, "kernel of %zu samples is longer than the input", kernel);
    if (n->x.samples - kernel + 1 < width) return ndi_graph_fail(g, n, "pooling over %zu samples is longer than the %zu that a kernel of %zu leaves", width, n->x.samples - kernel + 1, kernel);
    n->a[MAPS] = maps;
    n->a[KERNEL] = kernel;
    n->a[POOL] = width;
    n->a[STRIDE] = stride;
    n->out = (shape){ maps, n->x.rows, (n->x.samples - kernel + 1 - width) / stride + 1 };
    size_t windows = n->x.rows * n->out.samples * kernel;
    n->multiply_adds = (uint64_t)windows * maps;
    n->scratch = windows + 2 * (n->x.samples + stride); /* windows; a running mean; its phases */
    n->partial = maps * kernel + maps;
    float bound = 1.0f / sqrtf((float)kernel);
    ndi_tensor_add(g, n, "weight", true, 0, bound, 4, (size_t[]){ maps, 1, 1, kernel });
    ndi_tensor_add(g, n, "bias", true, 0, bound, 1, (size_t[]){ maps });
    return ndi_node_done(g, n);
}
