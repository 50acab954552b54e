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
enum { GROUP = 16 /* trials: fewer leave the products too thin, more leave threads idle */ };

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

static void sigmoid(float *x, size_t n)
{
    ndi_vec->scale_shift(-1, 0, x, x, n);
    ndi_vec->exp(x, x, n);
    for (size_t k = 0; k < n; k++) x[k] = 1 / (1 + x[k]);
}

/* tanh(x) = 2 sigmoid(2x) - 1 */
static void tangent(const float *x, float *y, size_t n)
{
    ndi_vec->scale_shift(-2, 0, x, y, n);
    ndi_vec->exp(y, y, n);
    for (size_t k = 0; k < n; k++) y[k] = 2 / (1 + y[k]) - 1;
}

/* One trial, one step, `at` among all of them; the gates hold their sums. */
static void cell(const steps *s, size_t at, const float *c_before)
{
    size_t H = s->H;
    float *gates = s->gates + at * 4 * H, *c = s->c + at * H, *tanh_c = s->tanh_c + at * H, *h = ndi_y(s->p, s->n) + at * H;
    const float *i = gates, *f = i + H, *g = f + H, *o = g + H;
    sigmoid(gates, 2 * H);
    tangent(g, gates + 2 * H, H);
    sigmoid(gates + 3 * H, H);
    for (size_t k = 0; k < H; k++) c[k] = i[k] * g[k] + (c_before ? f[k] * c_before[k] : 0);
    tangent(c, tanh_c, H);
    for (size_t k = 0; k < H; k++) h[k] = o[k] * tanh_c[k];
}

static void forward_group(void *context, size_t task, size_t worker)
{
    (void)worker;
    const steps *s = context;
    size_t T = s->T, H = s->H, first = task * GROUP, count = s->p->B - first < GROUP ? s->p->B - first : GROUP;
    for (size_t t = 0; t < T; t++) {
        size_t at = first * T + t;
        if (t > 0)
            ndi_gemm(false, true, count, 4 * H, H, 1, ndi_y(s->p, s->n) + (at - 1) * H, T * H, s->w_hh, H, 1, s->gates + at * 4 * H, T * 4 * H);
        for (size_t i = first; i < first + count; i++) cell(s, i * T + t, t > 0 ? s->c + (i * T + t - 1) * H : NULL);
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
    run_groups(&s, forward_group);
}

/* From dh and dc, the gradients of a step's result, to those of its gates' sums (in place of the gates) and dc of the step before. */
static void cell_backward(const steps *s, size_t at, const float *c_before, const float *dh, float *dc)
{
    size_t H = s->H;
    float *i = s->gates + at * 4 * H, *f = i + H, *g = f + H, *o = g + H;
    const float *tanh_c = s->tanh_c + at * H, *dy = ndi_dy(s->p, s->n) + at * H;
    for (size_t k = 0; k < H; k++) {
        float d = dh[k] + dy[k], e = dc[k] + d * o[k] * (1 - tanh_c[k] * tanh_c[k]), before = c_before ? c_before[k] : 0;
        dc[k] = e * f[k];
        o[k] = d * tanh_c[k] * o[k] * (1 - o[k]);
        f[k] = e * before * f[k] * (1 - f[k]);
        float gate = i[k];
        i[k] = e * g[k] * gate * (1 - gate);
        g[k] = e * gate * (1 - g[k] * g[k]);
    }
}

static void backward_group(void *context, size_t task, size_t worker)
{
    const steps *s = context;
    size_t T = s->T, H = s->H, first = task * GROUP, count = s->p->B - first < GROUP ? s->p->B - first : GROUP;
    float *dh = ndi_scratch(s->p, worker), *dc = dh + GROUP * H;
    memset(dh, 0, 2 * GROUP * H * sizeof *dh);
    for (size_t t = T; t-- > 0;) {
        for (size_t i = 0; i < count; i++) {
            size_t at = (first + i) * T + t;
            cell_backward(s, at, t > 0 ? s->c + (at - 1) * H : NULL, dh + i * H, dc + i * H);
        }
        if (t > 0) ndi_gemm(false, false, count, H, 4 * H, 1, s->gates + (first * T + t) * 4 * H, T * 4 * H, s->w_hh, H, 0, dh, H);
    }
}

/* dw_hh = sum over trials and steps of dgates_t' h_{t-1}. In memory h_{t-1} stands one row before h_t, so that one product does it once the first steps, before which there is
 * no h, are zero. */
static void grad_recurrent(const steps *s)
{
    size_t width = 4 * s->H, rows = s->p->B * s->T;
    for (size_t i = 0; i < s->p->B; i++) memset(s->gates + i * s->T * width, 0, width * sizeof *s->gates);
    ndi_gemm_parallel(s->p->w->threads, true, false, width, s->H, rows - 1, 1, s->gates + width, width, ndi_y(s->p, s->n), s->H, 1,
                      ndi_dw(s->p, s->n, W_HH), s->H);
}

static void backward(const pass *p, const node *n)
{
    steps s = steps_of(p, n);
    size_t C = n->x.samples, width = 4 * s.H, rows = p->B * s.T;
    float *dx = ndi_dx(p, n, 0);
    run_groups(&s, backward_group);
    ndi_gemm_parallel(p->w->threads, true, false, width, C, rows, 1, s.gates, width, ndi_x(p, n, 0), C, 1, ndi_dw(p, n, W_IH), C);
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
    n->scratch = 2 * GROUP * hidden;
    n->keeps_y = true;
    float bound = 1.0f / sqrtf((float)hidden);
    add_tensor(g, n, "weight_ih", layer, bound, 2, C);
    add_tensor(g, n, "weight_hh", layer, bound, 2, hidden);
    add_tensor(g, n, "bias_ih", layer, bound, 1, 0);
    add_tensor(g, n, "bias_hh", layer, bound, 1, 0);
    return ndi_node_done(g, n);
}
