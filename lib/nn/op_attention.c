/* Multi-head scaled dot-product attention (Vaswani et al. 2017) among the R rows of a single map. q, k, v (R x E); head h has the columns h d .. (h + 1) d - 1, d = E / heads, of each:
 * A = softmax(scale q k') over rows, y = dropout(A) v. A is kept, with a minus where it was dropped; on the way down
 * dv = dropout(A)' dy, dA = dy v', dS = dropout(A) dA - A sum(dropout(A) dA) by rows, dq = scale dS k, dk = scale dS' q.
 *
 * A task is a trial, head after head: what a product has on its right is copied first, in rows as wide as the kernels want them. */
#include <string.h>

#include "math/tile.h"
#include "nn/ops.h"

enum { HEADS };

typedef struct sizes {
    size_t R, E, d, heads;
    size_t across, wide; /* R and d filled up: the rows of A and those of copies of q, k, v */
} sizes;

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static sizes sizes_of(const node *n)
{
    sizes s = { .R = n->x.rows, .E = n->x.samples, .heads = n->a[HEADS] };
    s.d = s.E / s.heads;
    s.across = round_up(s.R, NDI_TILE_RUN);
    s.wide = round_up(s.d, NDI_TILE_COLUMNS);
    return s;
}

/* One head of one trial: where its columns start in q, k, v and y, and its weights among those of the batch. */
typedef struct head {
    size_t at, weights;
    float *A;
} head;

static head head_of(const pass *p, const node *n, const sizes *s, size_t trial, size_t i)
{
    size_t weights = (trial * s->heads + i) * s->R * s->across;
    return (head){ trial * s->R * s->E + i * s->d, weights, ndi_saved(p, n) + weights };
}

/* Scratch of a worker. */
typedef struct room {
    float *dropped, *scores; /* R x across */
    float *right, *result;   /* R x wide or d x across, R x wide */
} room;

static size_t copy_size(const sizes *s) { return s->R * s->wide > s->d * s->across ? s->R * s->wide : s->d * s->across; }

static room room_of(const pass *p, const sizes *s, size_t worker)
{
    float *first = ndi_scratch(p, worker);
    size_t weights = s->R * s->across;
    return (room){ first, first + weights, first + 2 * weights, first + 2 * weights + copy_size(s) };
}

/* The columns of a head, R x wide. */
static void copy(const sizes *s, const float *from, float *to)
{
    for (size_t r = 0; r < s->R; r++) memcpy(to + r * s->wide, from + r * s->E, s->d * sizeof *to);
}

/* The same turned, d x across. */
static void copy_turned(const sizes *s, const float *from, float *to)
{
    ndi_tile->turn(from, s->E, s->R, s->d, to, s->across);
    for (size_t c = 0; c < s->d; c++) memset(to + c * s->across + s->R, 0, (s->across - s->R) * sizeof *to);
}

/* C (R x across) = rows of a head times a turned copy. */
static void multiply_across(const sizes *s, const float *rows, const float *turned, float *c)
{
    ndi_tile->product(&(product){ .m = s->R,
                                  .n = s->across,
                                  .k = s->d,
                                  .a = rows,
                                  .a_row = s->E,
                                  .a_step = 1,
                                  .b = turned,
                                  .b_row = s->across,
                                  .c = c,
                                  .c_row = s->across,
                                  .times = 1 });
}

/* To the columns of a head: W or W' (R x R) times a copy. */
static void multiply_weights(const sizes *s, const float *weights, bool turned, const room *r, float *to)
{
    ndi_tile->product(&(product){ .m = s->R,
                                  .n = s->wide,
                                  .k = s->R,
                                  .a = weights,
                                  .a_row = turned ? 1 : s->across,
                                  .a_step = turned ? s->across : 1,
                                  .b = r->right,
                                  .b_row = s->wide,
                                  .c = r->result,
                                  .c_row = s->wide,
                                  .times = 1 });
    for (size_t i = 0; i < s->R; i++) memcpy(to + i * s->E, r->result + i * s->wide, s->d * sizeof *to);
}

static bool drops(const pass *p, const node *n) { return p->training && n->r > 0; }

/* The weights behind dropout, those dropped marked in A. */
static const float *drop(const pass *p, const node *n, const sizes *s, const head *h, float *to)
{
    if (!drops(p, n)) return h->A;
    size_t count = s->R * s->across;
    ndi_mask(p, n, h->weights, count, h->A, to);
    ndi_tile->softmax_mark(to, h->A, count);
    return to;
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    const float *q = ndi_x(p, n, 0), *k = ndi_x(p, n, 1), *v = ndi_x(p, n, 2);
    sizes s = sizes_of(n);
    room r = room_of(p, &s, worker);
    for (size_t i = first * s.heads; i < (first + count) * s.heads; i++) {
        head h = head_of(p, n, &s, i / s.heads, i % s.heads);
        copy_turned(&s, k + h.at, r.right);
        multiply_across(&s, q + h.at, r.right, h.A);
        ndi_tile->softmax(h.A, s.R, s.R, s.across, n->scale);
        copy(&s, v + h.at, r.right);
        multiply_weights(&s, drop(p, n, &s, &h, r.dropped), false, &r, ndi_y(p, n) + h.at);
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

/* The weights behind dropout again. */
static const float *dropped(const pass *p, const node *n, const sizes *s, const head *h, float *to)
{
    if (!drops(p, n)) return h->A;
    ndi_tile->softmax_kept(h->A, 1.0f / (1.0f - n->r), to, s->R * s->across);
    return to;
}

static void backward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    const float *q = ndi_x(p, n, 0), *k = ndi_x(p, n, 1), *v = ndi_x(p, n, 2), *dy = ndi_dy(p, n);
    float *dq = ndi_dx(p, n, 0), *dk = ndi_dx(p, n, 1), *dv = ndi_dx(p, n, 2);
    sizes s = sizes_of(n);
    room r = room_of(p, &s, worker);
    for (size_t i = first * s.heads; i < (first + count) * s.heads; i++) {
        head h = head_of(p, n, &s, i / s.heads, i % s.heads);
        const float *weights = dropped(p, n, &s, &h, r.dropped);
        copy(&s, dy + h.at, r.right);
        if (dv) multiply_weights(&s, weights, true, &r, dv + h.at);
        copy_turned(&s, v + h.at, r.right);
        multiply_across(&s, dy + h.at, r.right, r.scores);
        ndi_tile->softmax_grad(h.A, weights, r.scores, s.R, s.across, n->scale);
        copy(&s, k + h.at, r.right);
        if (dq) multiply_weights(&s, r.scores, false, &r, dq + h.at);
        copy(&s, q + h.at, r.right);
        if (dk) multiply_weights(&s, r.scores, true, &r, dk + h.at);
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
    sizes s = sizes_of(n);
    size_t weights;
    if (!ndi_mul(s.R, s.across, &weights) || !ndi_mul(weights, heads, &n->saved_each) || n->saved_each > UINT32_MAX)
        return ndi_graph_fail(g, n, "too many rows");
    n->scratch = 2 * weights + copy_size(&s) + s.R * s.wide;
    n->multiply_adds = 2 * (uint64_t)(s.R * s.R) * s.E;
    return ndi_node_done(g, n);
}
