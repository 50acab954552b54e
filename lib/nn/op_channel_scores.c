/* How much each channel attends to each other: from queries Q and keys K (T x H each: a row per sample) A (H x H) = softmax over m of S[h][m] = r sum_t Q[t][h] K[t][m].
 * dS = A (dA - sum_m dA A), dQ = r K dS', dK = r Q dS. */
#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t T = n->x.rows, H = n->x.samples;
    for (size_t i = first; i < first + count; i++) {
        float *a = ndi_y(p, n) + i * H * H;
        ndi_gemm(true, false, H, H, T, n->r, ndi_x(p, n, 0) + i * T * H, H, ndi_x(p, n, 1) + i * T * H, H, 0, a, H);
        for (size_t h = 0; h < H; h++) ndi_softmax(a + h * H, H);
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    size_t T = n->x.rows, H = n->x.samples;
    float *ds = ndi_scratch(p, worker), *dq = ndi_dx(p, n, 0), *dk = ndi_dx(p, n, 1);
    for (size_t i = first; i < first + count; i++) {
        const float *a = ndi_y(p, n) + i * H * H, *da = ndi_dy(p, n) + i * H * H;
        for (size_t h = 0; h < H; h++) {
            float mean = ndi_vec->dot(a + h * H, da + h * H, H);
            for (size_t m = h * H; m < (h + 1) * H; m++) ds[m] = a[m] * (da[m] - mean);
        }
        if (dq) ndi_gemm(false, true, T, H, H, n->r, ndi_x(p, n, 1) + i * T * H, H, ds, H, 0, dq + i * T * H, H);
        if (dk) ndi_gemm(false, false, T, H, H, n->r, ndi_x(p, n, 0) + i * T * H, H, ds, H, 0, dk + i * T * H, H);
    }
}

static void backward(const pass *p, const node *n) { ndi_for_chunks(p, n, backward_chunk); }

static const op channel_scores = { "attention", forward, backward };

int ndi_channel_scores(graph *g, int q, int k, double scale)
{
    node *n = ndi_node_add(g, &channel_scores, "scores", q);
    if (!n) return -1;
    size_t T = n->x.rows, H = n->x.samples;
    if (q == k || n->x.maps != 1 || ndi_shape_size(g->nodes[k].out) != T * H)
        return ndi_graph_fail(g, n, "expects queries and keys of one shape, a single map each");
    n->r = (float)scale;
    n->out = (shape){ 1, H, H };
    n->multiply_adds = (uint64_t)T * H * H;
    n->scratch = H * H;
    n->keeps_y = true;
    n->in[1] = k;
    n->n_in = 2;
    return ndi_node_done(g, n);
}
