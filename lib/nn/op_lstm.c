/* Long short-term memory (Hochreiter and Schmidhuber 1997), one layer from a zero state: x (T x C) -> h (T x H), for every step t the gates i, f, g, o, H rows each of the weights
 * w_ih (4H, C), w_hh (4H, H), b_ih, b_hh (4H):
 * i, f, o = sigmoid, g = tanh of w_ih x_t + b_ih + w_hh h_{t-1} + b_hh;  c_t = f c_{t-1} + i g;  h_t = o tanh(c_t).
 *
 * A step is one product: with z_t = (h_{t-1}, x_t, 1) and W = (w_hh, w_ih, b_ih + b_hh) the gates are the functions of W z_t, on the way down dz_t = W' dgates and dW = sum of dgates z_t'.
 * Groups of trials go through all their steps, W staying in the cache; the gates are kept, and on the way down overwritten by their gradients. H is filled up to whole vectors by cells
 * whose weights are 0: they stay 0.
 *
 * Behind tokens the two are one, which takes x as it was, C x T: its samples are turned STRETCH at a time, and where it is the data no gradient of it is computed. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "math/tile.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { W_IH, W_HH, B_IH, B_HH };
enum { BY_CHANNELS };
enum {
    GROUP = 16, /* trials: fewer leave the products too thin, more leave threads idle */
    STEPS = 6,  /* whose part of dW is one product */
    PANEL = 64, /* columns of packed weights that stand together */
    STRETCH = 16
};

typedef struct sizes {
    size_t T, C, H;
    size_t cells, gates; /* H filled up; 4 of them */
    size_t inputs;       /* of z */
    size_t gates_row, inputs_row;
} sizes;

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static sizes sizes_of(const node *n)
{
    sizes s = { .T = n->x.rows, .C = n->x.samples, .H = n->out.samples };
    s.cells = round_up(s.H, NDI_TILE_RUN);
    s.gates = 4 * s.cells;
    s.inputs = s.cells + s.C + 1;
    s.gates_row = s.gates + NDI_TILE_RUN; /* rows a power of two apart would share few places of the cache */
    s.inputs_row = round_up(s.inputs, NDI_TILE_RUN);
    return s;
}

/* ---- memory ---- */

/* Trials from `first` on, a row for each; slot t holds what step t starts from, so that there are T + 1. Where nothing goes down, all steps have the same slot. */
typedef struct group {
    size_t index, first, rows;
    size_t gates_slot, cells_slot, inputs_slot;
    float *gates, *c, *z;
} group;

static size_t packed_size(const sizes *s) { return s->gates * s->inputs_row; }
static size_t kept_size(const sizes *s) { return s->T * s->gates_row + (s->T + 1) * (s->cells + s->inputs_row); }
static size_t groups_of(size_t B) { return (B + GROUP - 1) / GROUP; }

static group group_of(const pass *p, const node *n, const sizes *s, size_t i)
{
    size_t groups = groups_of(p->B), first = p->B * i / groups;
    group g = { .index = i, .first = first, .rows = p->B * (i + 1) / groups - first };
    g.gates = ndi_saved(p, n) + packed_size(s) + first * kept_size(s);
    g.c = g.gates + g.rows * s->T * s->gates_row;
    g.z = g.c + g.rows * (s->T + 1) * s->cells;
    if (p->w->backward) {
        g.gates_slot = g.rows * s->gates_row;
        g.cells_slot = g.rows * s->cells;
        g.inputs_slot = g.rows * s->inputs_row;
    }
    return g;
}

/* ---- weights ---- */

/* A row of W, one gate of one cell. */
static void weights_row(const pass *p, const node *n, const sizes *s, size_t gate, float *to)
{
    size_t cell = gate % s->cells, row = gate / s->cells * s->H + cell;
    memset(to, 0, s->inputs_row * sizeof *to);
    if (cell >= s->H) return;
    memcpy(to, ndi_w(p, n, W_HH) + row * s->H, s->H * sizeof *to);
    memcpy(to + s->cells, ndi_w(p, n, W_IH) + row * s->C, s->C * sizeof *to);
    to[s->cells + s->C] = ndi_w(p, n, B_IH)[row] + ndi_w(p, n, B_HH)[row];
}

/* W' (inputs x gates) for the way up, W (gates x inputs_row) for the way down, PANEL columns after PANEL columns. */
static void pack(const pass *p, const node *n, const sizes *s, bool up, float *to)
{
    float *row = ndi_scratch(p, 0);
    for (size_t gate = 0; gate < s->gates; gate++) {
        weights_row(p, n, s, gate, row);
        for (size_t k = 0; k < s->inputs && up; k++) to[gate / PANEL * PANEL * s->inputs + k * PANEL + gate % PANEL] = row[k];
        for (size_t j = 0; j < s->inputs_row && !up; j += PANEL) {
            size_t width = s->inputs_row - j < PANEL ? s->inputs_row - j : PANEL;
            memcpy(to + j * s->gates + gate * width, row + j, width * sizeof *row);
        }
    }
}

/* C (+)= A B for `columns` columns of the packed B, which has `all`. */
static void multiply(product c, const float *packed, size_t columns, size_t all)
{
    float *to = c.c;
    c.a_step = c.times = 1;
    for (size_t j = 0; j < columns; j += PANEL) {
        c.n = columns - j < PANEL ? columns - j : PANEL;
        c.b_row = all - j < PANEL ? all - j : PANEL;
        c.b = packed + j * c.k;
        c.c = to + j;
        ndi_tile->product(&c);
    }
}

/* ---- the way up ---- */

/* STRETCH samples of all channels of each trial, in steps. */
static void turn_inputs(const pass *p, const node *n, const sizes *s, const group *g, size_t t, float *to)
{
    size_t steps = s->T - t < STRETCH ? s->T - t : STRETCH;
    for (size_t i = 0; i < g->rows; i++)
        ndi_tile->turn(ndi_x(p, n, 0) + (g->first + i) * s->C * s->T + t, s->T, s->C, steps, to + i * s->C, g->rows * s->C);
}

/* x of step t, trials `row` numbers apart. */
static const float *inputs_of(const pass *p, const node *n, const sizes *s, const group *g, size_t t, float *room, size_t *row)
{
    *row = n->a[BY_CHANNELS] ? s->C : s->T * s->C;
    if (!n->a[BY_CHANNELS]) return ndi_x(p, n, 0) + (g->first * s->T + t) * s->C;
    if (t % STRETCH == 0) turn_inputs(p, n, s, g, t, room);
    return room + t % STRETCH * g->rows * s->C;
}

static void step_up(const pass *p, const node *n, const sizes *s, const group *g, size_t t, float *room)
{
    float *gates = g->gates + t * g->gates_slot, *c = g->c + t * g->cells_slot, *z = g->z + t * g->inputs_slot;
    size_t row;
    const float *x = inputs_of(p, n, s, g, t, room, &row);
    for (size_t i = 0; i < g->rows; i++) {
        memcpy(z + i * s->inputs_row + s->cells, x + i * row, s->C * sizeof *z);
        z[i * s->inputs_row + s->cells + s->C] = 1;
    }
    product sums = { .m = g->rows, .k = s->inputs, .a = z, .a_row = s->inputs_row, .c = gates, .c_row = s->gates_row };
    multiply(sums, ndi_saved(p, n), s->gates, s->gates);
    for (size_t i = 0; i < g->rows; i++) {
        float *h = z + g->inputs_slot + i * s->inputs_row, *before = c + i * s->cells;
        ndi_vec->gate->lstm_forward(gates + i * s->gates_row, s->cells, before, before + g->cells_slot, h);
        memcpy(ndi_y(p, n) + ((g->first + i) * s->T + t) * s->H, h, s->H * sizeof *h);
    }
}

typedef struct job {
    const pass *p;
    const node *n;
} job;

static void forward_group(void *context, size_t task, size_t worker)
{
    const job *j = context;
    sizes s = sizes_of(j->n);
    group g = group_of(j->p, j->n, &s, task);
    memset(g.c, 0, g.rows * s.cells * sizeof *g.c);
    memset(g.z, 0, g.rows * s.inputs_row * sizeof *g.z);
    for (size_t t = 0; t < s.T; t++) step_up(j->p, j->n, &s, &g, t, ndi_scratch(j->p, worker));
}

static void forward(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    if (!ndi_prepared(p)) pack(p, n, &s, true, ndi_saved(p, n));
    ndi_pool_run(p->w->threads, groups_of(p->B), forward_group, &(job){ p, n });
}

/* ---- the way down ---- */

/* In shared memory: W packed, then dW of each group (gates x inputs_row). */
static float *sums_of(const pass *p, const sizes *s, size_t index) { return ndi_shared(p) + (1 + index) * packed_size(s); }

/* dh of step t, in the first cells of dz, gets what comes from outside. */
static void begin_grad(const pass *p, const node *n, const sizes *s, const group *g, size_t t, float *dz)
{
    for (size_t i = 0; i < g->rows; i++, dz += s->inputs_row) {
        memset(dz + s->H, 0, (s->inputs_row - s->H) * sizeof *dz);
        memcpy(dz, ndi_dy(p, n) + ((g->first + i) * s->T + t) * s->H, s->H * sizeof *dz);
    }
}

/* dx of step t, from dz. */
static void put_input_grad(const pass *p, const node *n, const sizes *s, const group *g, size_t t, const float *dz)
{
    for (size_t i = 0; i < g->rows; i++) {
        const float *from = dz + i * s->inputs_row + s->cells;
        float *dx = ndi_dx(p, n, 0) + (g->first + i) * s->T * s->C;
        if (n->a[BY_CHANNELS])
            for (size_t c = 0; c < s->C; c++) dx[c * s->T + t] = from[c];
        else
            memcpy(dx + t * s->C, from, s->C * sizeof *dx);
    }
}

/* From dz, of which the first cells are dh, and dc to those of the step before; dx on the way. */
static void step_down(const pass *p, const node *n, const sizes *s, const group *g, size_t t, float *dz, float *dc)
{
    float *gates = g->gates + t * g->gates_slot, *c = g->c + t * g->cells_slot;
    const bool inputs_too = ndi_dx(p, n, 0);
    for (size_t i = 0; i < g->rows; i++) {
        float *before = c + i * s->cells;
        ndi_vec->gate->lstm_backward(gates + i * s->gates_row, s->cells, before, before + g->cells_slot, dz + i * s->inputs_row, dc + i * s->cells);
    }
    if (t == 0 && !inputs_too) return;
    if (t > 0)
        begin_grad(p, n, s, g, t - 1, dz);
    else
        memset(dz, 0, g->rows * s->inputs_row * sizeof *dz);
    product back = { .m = g->rows, .k = s->gates, .a = gates, .a_row = s->gates_row, .c = dz, .c_row = s->inputs_row, .add = true };
    multiply(back, ndi_shared(p), inputs_too ? s->inputs_row : s->cells, s->inputs_row);
    if (inputs_too) put_input_grad(p, n, s, g, t, dz);
}

/* dW += dgates' z of some steps. */
static void grad_weights(const pass *p, const sizes *s, const group *g, size_t first, size_t steps)
{
    product sum = { .m = s->gates, .n = s->inputs_row, .k = steps * g->rows, .a_row = 1, .add = true, .times = 1 };
    sum.a = g->gates + first * g->gates_slot;
    sum.a_step = s->gates_row;
    sum.b = g->z + first * g->inputs_slot;
    sum.b_row = sum.c_row = s->inputs_row;
    sum.c = sums_of(p, s, g->index);
    ndi_tile->product(&sum);
}

static void backward_group(void *context, size_t task, size_t worker)
{
    const job *j = context;
    sizes s = sizes_of(j->n);
    group g = group_of(j->p, j->n, &s, task);
    float *dz = ndi_scratch(j->p, worker), *dc = dz + GROUP * s.inputs_row;
    memset(sums_of(j->p, &s, task), 0, packed_size(&s) * sizeof *dz);
    memset(dc, 0, g.rows * s.cells * sizeof *dc);
    begin_grad(j->p, j->n, &s, &g, s.T - 1, dz);
    for (size_t t = s.T; t-- > 0;) {
        step_down(j->p, j->n, &s, &g, t, dz, dc);
        if (t % STEPS == 0) grad_weights(j->p, &s, &g, t, s.T - t < STEPS ? s.T - t : STEPS);
    }
}

static void add_row(float *to, const float *from, size_t n) { ndi_vec->axpy(1, from, to, n); }

static void backward(const pass *p, const node *n)
{
    sizes s = sizes_of(n);
    pack(p, n, &s, false, ndi_shared(p));
    ndi_pool_run(p->w->threads, groups_of(p->B), backward_group, &(job){ p, n });
    for (size_t g = 0; g < groups_of(p->B); g++)
        for (size_t row = 0; row < 4 * s.H; row++) {
            const float *sum = sums_of(p, &s, g) + (row / s.H * s.cells + row % s.H) * s.inputs_row;
            add_row(ndi_dw(p, n, W_HH) + row * s.H, sum, s.H);
            add_row(ndi_dw(p, n, W_IH) + row * s.C, sum + s.cells, s.C);
            ndi_dw(p, n, B_IH)[row] += sum[s.cells + s.C];
        }
    add_row(ndi_dw(p, n, B_HH), ndi_dw(p, n, B_IH), 4 * s.H);
}

static const op lstm = { "lstm", forward, backward };

bool ndi_fuse_tokens_lstm(node *last, const node *chain)
{
    (void)chain;
    size_t room = (size_t)GROUP * STRETCH * last->x.samples;
    last->a[BY_CHANNELS] = true;
    if (last->scratch < room) last->scratch = room;
    return true;
}

static void add_tensor(graph *g, node *n, const char *what, size_t layer, float bound, size_t n_dims, size_t inputs)
{
    char suffix[32];
    ndi_format(suffix, sizeof suffix, "%s_l%zu", what, layer);
    ndi_tensor_add(g, n, suffix, true, 0, bound, n_dims, (size_t[]){ 4 * n->out.samples, inputs });
}

int ndi_lstm(graph *g, int x, const char *name, size_t layer, size_t hidden)
{
    node *n = ndi_node_add(g, &lstm, name, x);
    if (!n) return -1;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    size_t T = n->x.rows, C = n->x.samples;
    n->out.samples = hidden;
    n->multiply_adds = (uint64_t)T * 4 * hidden * (C + hidden);
    sizes s = sizes_of(n);
    n->saved = packed_size(&s);
    n->saved_each = kept_size(&s);
    n->scratch = GROUP * (s.inputs_row + s.cells);
    n->shared = 2 * packed_size(&s);
    n->shared_each = (packed_size(&s) + GROUP - 1) / GROUP;
    float bound = 1.0f / sqrtf((float)hidden);
    add_tensor(g, n, "weight_ih", layer, bound, 2, C);
    add_tensor(g, n, "weight_hh", layer, bound, 2, hidden);
    add_tensor(g, n, "bias_ih", layer, bound, 1, 0);
    add_tensor(g, n, "bias_hh", layer, bound, 1, 0);
    return ndi_node_done(g, n);
}
