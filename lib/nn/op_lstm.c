/* Long short-term memory (Hochreiter and Schmidhuber 1997), one layer from a zero state: x (T x C) -> h (T x H), for every step t the gates i, f, g, o, H rows each of the weights
 * w_ih (4H, C), w_hh (4H, H), b_ih, b_hh (4H):
 * i, f, o = sigmoid, g = tanh of w_ih x_t + b_ih + w_hh h_{t-1} + b_hh;  c_t = f c_{t-1} + i g;  h_t = o tanh(c_t).
 *
 * What does not recur is one product over all trials and steps: the inputs' part of the gates and, on the way down, the gradients of weights and input. What recurs runs in groups of trials,
 * each through all its steps. The gates are kept, and on the way down overwritten by their gradients. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { W_IH, W_HH, B_IH, B_HH };
enum { GROUP = 24 /* trials: fewer leave the products too thin, more leave threads idle */ };

/* The pass as a group of trials sees it: `n` trials from `first` on, rows of T steps. */
typedef struct steps {
    const pass *p;
    const node *n;
    size_t T, H;
    const float *w_hh;
    float *gates, *c, *tanh_c; /* B x T x 4H, B x T x H twice */
} steps;

static steps steps_of(const pass *p, const node *n)
{
    size_t T = n->x.rows, H = n->out.samples, cells = p->B * T * H;
    float *saved = ndi_saved(p, n);
    return (steps){ p, n, T, H, ndi_w(p, n, W_HH), saved, saved + 4 * cells, saved + 5 * cells };
}

/* One trial, one step, `at` among all of them; the gates hold their sums. The first step of a trial follows on zeros. */
static void cell(const steps *s, size_t at, const float *zeros)
{
    size_t H = s->H;
    const float *c_before = at % s->T > 0 ? s->c + (at - 1) * H : zeros;
    ndi_vec->gate->lstm_forward(s->gates + at * 4 * H, H, c_before, s->c + at * H, s->tanh_c + at * H, ndi_y(s->p, s->n) + at * H);
}

/* w_hh as the kernel wants it: turned on the way up, where h meets every row of it. */
static void pack(const steps *s, bool turned)
{
    size_t H = s->H, rows = turned ? H : 4 * H, cols = turned ? 4 * H : H;
    float *to = ndi_shared(s->p);
    for (size_t first = 0; first < cols; first += NDI_TILE)
        for (size_t k = 0; k < rows; k++)
            for (size_t j = first; j < first + NDI_TILE; j++) *to++ = j >= cols ? 0 : turned ? s->w_hh[j * H + k] : s->w_hh[k * H + j];
}

static void forward_group(void *context, size_t task, size_t worker)
{
    const steps *s = context;
    size_t T = s->T, H = s->H, first = task * GROUP, count = s->p->B - first < GROUP ? s->p->B - first : GROUP;
    float *zeros = ndi_scratch(s->p, worker);
    memset(zeros, 0, H * sizeof *zeros);
    for (size_t t = 0; t < T; t++) {
        size_t at = first * T + t;
        if (t > 0)
            ndi_vec->gate->multiply(count, 4 * H, H, ndi_y(s->p, s->n) + (at - 1) * H, T * H, ndi_shared(s->p), s->gates + at * 4 * H, T * 4 * H);
        for (size_t i = first; i < first + count; i++) cell(s, i * T + t, zeros);
    }
}

static void bias_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t T = n->x.rows, width = 4 * n->out.samples;
    const float *b_ih = ndi_w(p, n, B_IH), *b_hh = ndi_w(p, n, B_HH);
    float *gates = ndi_saved(p, n);
    for (size_t i = first * T; i < (first + count) * T; i++)
        for (size_t k = 0; k < width; k++) gates[i * width + k] = b_ih[k] + b_hh[k];
}

static void run_groups(steps *s, void (*fn)(void *context, size_t task, size_t worker))
{
    ndi_pool_run(s->p->w->threads, (s->p->B + GROUP - 1) / GROUP, fn, s);
}

static void forward(const pass *p, const node *n)
{
    steps s = steps_of(p, n);
    size_t C = n->x.samples, width = 4 * s.H;
    ndi_for_chunks(p, n, bias_chunk);
    ndi_gemm_parallel(p->w->threads, false, true, p->B * s.T, width, C, 1, ndi_x(p, n, 0), C, ndi_w(p, n, W_IH), C, 1, s.gates, width);
    pack(&s, true);
    run_groups(&s, forward_group);
}

static void backward_group(void *context, size_t task, size_t worker)
{
    const steps *s = context;
    size_t T = s->T, H = s->H, first = task * GROUP, count = s->p->B - first < GROUP ? s->p->B - first : GROUP;
    float *zeros = ndi_scratch(s->p, worker), *dh = zeros + H, *dc = dh + GROUP * H;
    memset(zeros, 0, (1 + 2 * GROUP) * H * sizeof *zeros);
    for (size_t t = T; t-- > 0;) {
        for (size_t i = 0; i < count; i++) {
            size_t at = (first + i) * T + t;
            ndi_vec->gate->lstm_backward(s->gates + at * 4 * H, H, t > 0 ? s->c + (at - 1) * H : zeros, s->tanh_c + at * H, dh + i * H,
                                         ndi_dy(s->p, s->n) + at * H, dc + i * H);
        }
        memset(dh, 0, GROUP * H * sizeof *dh);
        if (t > 0) ndi_vec->gate->multiply(count, H, 4 * H, s->gates + (first * T + t) * 4 * H, T * 4 * H, ndi_shared(s->p), dh, H);
    }
}

/* dw_hh = sum over trials and steps of dgates_t' h_{t-1}. In memory h_{t-1} stands one row before h_t, so that one product does it once the first steps, before which there is
 * no h, are zero. */
static void grad_recurrent(const steps *s)
{
    size_t width = 4 * s->H, rows = s->p->B * s->T;
    for (size_t i = 0; i < s->p->B; i++) memset(s->gates + i * s->T * width, 0, width * sizeof *s->gates);
    ndi_outer(s->p, s->n, s->gates + width, width, ndi_y(s->p, s->n), s->H, rows - 1, true, ndi_dw(s->p, s->n, W_HH));
}

static void backward(const pass *p, const node *n)
{
    steps s = steps_of(p, n);
    size_t C = n->x.samples, width = 4 * s.H, rows = p->B * s.T;
    float *dx = ndi_dx(p, n, 0);
    pack(&s, false);
    run_groups(&s, backward_group);
    ndi_outer(p, n, s.gates, width, ndi_x(p, n, 0), C, rows, true, ndi_dw(p, n, W_IH));
    if (dx) ndi_gemm_parallel(p->w->threads, false, false, rows, C, width, 1, s.gates, width, ndi_w(p, n, W_IH), C, 0, dx, C);
    ndi_add_columns(p, s.gates, rows, width, ndi_dw(p, n, B_IH));
    ndi_vec->axpy(1, ndi_dw(p, n, B_IH), ndi_dw(p, n, B_HH), width);
    grad_recurrent(&s);
}

static const op lstm = { "lstm", forward, backward };

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
    n->saved_each = 6 * T * hidden;
    n->scratch = (1 + 2 * GROUP) * hidden;
    size_t packed = 4 * hidden * ndi_tiled(hidden), outer = ndi_outer_size(4 * hidden, hidden > C ? hidden : C);
    n->shared = packed > outer ? packed : outer;
    n->keeps_y = true;
    float bound = 1.0f / sqrtf((float)hidden);
    add_tensor(g, n, "weight_ih", layer, bound, 2, C);
    add_tensor(g, n, "weight_hh", layer, bound, 2, hidden);
    add_tensor(g, n, "bias_ih", layer, bound, 1, 0);
    add_tensor(g, n, "bias_hh", layer, bound, 1, 0);
    return ndi_node_done(g, n);
}
