/* Multi-head scaled dot-product attention (Vaswani et al. 2017) among the R rows of a single map. q, k, v (R x E); head h has the columns h d .. (h + 1) d - 1, d = E / heads, of each:
 * A = softmax(scale q k') over rows, y = dropout(A) v. A is kept, the dropout's mask computed anew on the way down:
 * dv = dropout(A)' dy, dA = dropout(dy v'), dS = A (dA - sum(A dA)) by rows, dq = scale dS k, dk = scale dS' q. */
#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { HEADS };

/* One head of one trial. */
typedef struct head {
    size_t R, E, d, at, weights; /* where its columns start in q, k, v and y; where its R x R weights are among those of the batch */
    float *A;
} head;

static head head_of(const pass *p, const node *n, size_t i)
{
    size_t heads = n->a[HEADS], R = n->x.rows, E = n->x.samples, d = E / heads;
    return (head){ R, E, d, i / heads * R * E + i % heads * d, i * R * R, ndi_saved(p, n) + i * R * R };
}

/* The weights behind dropout; `room` holds them where they differ. */
static const float *dropped(const pass *p, const node *n, const head *h, float *room)
{
    if (!p->training || n->r == 0) return h->A;
    ndi_mask(p, n, h->weights, h->R * h->R, h->A, room);
    return room;
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    const float *q = ndi_x(p, n, 0), *k = ndi_x(p, n, 1), *v = ndi_x(p, n, 2);
    for (size_t i = first * n->a[HEADS]; i < (first + count) * n->a[HEADS]; i++) {
        head h = head_of(p, n, i);
        ndi_gemm(false, true, h.R, h.R, h.d, n->scale, q + h.at, h.E, k + h.at, h.E, 0, h.A, h.R);
        for (size_t r = 0; r < h.R; r++) ndi_softmax(h.A + r * h.R, h.R);
        ndi_gemm(false, false, h.R, h.d, h.R, 1, dropped(p, n, &h, ndi_scratch(p, worker)), h.R, v + h.at, h.E, 0, ndi_y(p, n) + h.at, h.E);
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

/* The gradient of the scores from that of the dropped weights, in its place. */
static void grad_scores(const pass *p, const node *n, const head *h, float *g)
{
    if (p->training && n->r > 0) ndi_mask(p, n, h->weights, h->R * h->R, g, g);
    for (size_t r = 0; r < h->R; r++) {
        const float *a = h->A + r * h->R;
        float *row = g + r * h->R, sum = ndi_vec->dot(a, row, h->R);
        for (size_t c = 0; c < h->R; c++) row[c] = a[c] * (row[c] - sum);
    }
}

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    const float *q = ndi_x(p, n, 0), *k = ndi_x(p, n, 1), *v = ndi_x(p, n, 2), *dy = ndi_dy(p, n);
    float *dq = ndi_dx(p, n, 0), *dk = ndi_dx(p, n, 1), *dv = ndi_dx(p, n, 2);
    for (size_t i = first * n->a[HEADS]; i < (first + count) * n->a[HEADS]; i++) {
        head h = head_of(p, n, i);
        float *g = ndi_scratch(p, worker), *room = g + h.R * h.R;
        if (dv) ndi_gemm(true, false, h.R, h.d, h.R, 1, dropped(p, n, &h, room), h.R, dy + h.at, h.E, 0, dv + h.at, h.E);
        ndi_gemm(false, true, h.R, h.R, h.d, 1, dy + h.at, h.E, v + h.at, h.E, 0, g, h.R);
        grad_scores(p, n, &h, g);
        if (dq) ndi_gemm(false, false, h.R, h.d, h.R, n->scale, g, h.R, k + h.at, h.E, 0, dq + h.at, h.E);
        if (dk) ndi_gemm(true, false, h.R, h.d, h.R, n->scale, g, h.R, q + h.at, h.E, 0, dk + h.at, h.E);
    }
}

static void backward(const pass *p, const node *n) { ndi_for_chunks(p, n, backward_chunk); }

static const op attention = { "attention", forward, backward };

static bool same_shape(shape a, shape b) { return a.maps == b.maps && a.rows == b.rows && a.samples == b.samples; }

int ndi_attention(graph *g, int queries, int keys, int values, size_t heads, double scale, double dropout)
{
    node *n = ndi_node_add(g, &attention, "attention", queries);
    if (!n) return -1;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    if (queries == keys || queries == values || keys == values || !same_shape(n->x, g->nodes[keys].out) || !same_shape(n->x, g->nodes[values].out))
        return ndi_graph_fail(g, n, "expects three different nodes of one shape");
    if (heads == 0 || n->x.samples % heads != 0) return ndi_graph_fail(g, n, "%zu features do not divide among %zu heads", n->x.samples, heads);
    n->in[1] = keys;
    n->in[2] = values;
    n->n_in = 3;
    n->a[HEADS] = heads;
    n->scale = (float)scale;
    n->r = (float)dropout;
    size_t R = n->x.rows, weights;
    if (!ndi_mul(R, R, &weights) || !ndi_mul(weights, heads, &n->saved_each) || n->saved_each > UINT32_MAX)
        return ndi_graph_fail(g, n, "too many rows");
    n->scratch = 2 * weights;
    n->multiply_adds = 2 * (uint64_t)weights * n->x.samples;
    return ndi_node_done(g, n);
}
