/* Channels as mixtures of channels: Y (H x T) = A X with A (H x H) and X (H x T), both of the trial. dA = dY X', dX = A' dY. */
#include "math/gemm.h"
#include "nn/ops.h"

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t H = n->out.rows, T = n->out.samples;
    for (size_t i = first; i < first + count; i++)
        ndi_gemm(false, false, H, T, H, 1, ndi_x(p, n, 0) + i * H * H, H, ndi_x(p, n, 1) + i * H * T, T, 0, ndi_y(p, n) + i * H * T, T);
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t H = n->out.rows, T = n->out.samples;
    float *da = ndi_dx(p, n, 0), *dx = ndi_dx(p, n, 1);
    for (size_t i = first; i < first + count; i++) {
        const float *dy = ndi_dy(p, n) + i * H * T;
        if (da) ndi_gemm(false, true, H, H, T, 1, dy, T, ndi_x(p, n, 1) + i * H * T, T, 0, da + i * H * H, H);
        if (dx) ndi_gemm(true, false, H, T, H, 1, ndi_x(p, n, 0) + i * H * H, H, dy, T, 0, dx + i * H * T, T);
    }
}

static void backward(const pass *p, const node *n) { ndi_for_chunks(p, n, backward_chunk); }

static const op channel_mix = { "channel_mix", forward, backward };

int ndi_channel_mix(graph *g, int a, int x)
{
    node *n = ndi_node_add(g, &channel_mix, "mix", a);
    if (!n) return -1;
    shape s = g->nodes[x].out;
    if (a == x || s.maps != 1 || n->x.maps != 1 || n->x.rows != s.rows || n->x.samples != s.rows)
        return ndi_graph_fail(g, n, "expects a square of %zu channels", s.rows);
    n->out = s;
    n->multiply_adds = (uint64_t)s.rows * s.rows * s.samples;
    n->in[1] = x;
    n->n_in = 2;
    return ndi_node_done(g, n);
}
