/* Linear layer over the N = maps x rows channels of a trial at every sample, with a deviation for each person (subject layers of Defossez et al. 2023, with a part that all share): for
 * X (N x T) of person s
 *   Y = W X + b + [W_s X + b_s where s is known],   W (N, N), b (N), W_s of (S, N, N), b_s of (S, N).
 * Deviations start at 0. In training a trial counts as one of an unknown person with probability r, by a number that depends on seed, step and trial alone: all such layers agree.
 *
 * Trials are taken in order of person, up to PANEL at a time side by side as N x (count T), so that a person's weights meet several short trials in one product. dW_s = sum of dY X' over
 * the trials of s; dW, the same over all trials, is what the unknown give plus all dW_s. */
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "math/gemm.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { WEIGHT, BIAS, SUBJECT_WEIGHT, SUBJECT_BIAS };
enum { SUBJECTS, PANEL };
enum { COLUMNS = 16, ROWS = 32 };

static size_t width(const node *n) { return n->x.maps * n->x.rows; }

static size_t person(const pass *p, const node *n, size_t trial)
{
    int32_t s = ndi_subject(p, trial);
    if (s <= 0 || (size_t)s > n->a[SUBJECTS]) return 0;
    bool dropped = p->training && ndi_uniform(p->seed, NDI_RANDOM_SUBJECT, p->step, trial) < (double)n->r;
    return dropped ? 0 : (size_t)s;
}

/* Kept from forward: trials by person, those of s from first[s] to first[s + 1]. */
static uint32_t *first_of(const pass *p, const node *n) { return (uint32_t *)(void *)ndi_saved(p, n); }
static uint32_t *trials_of(const pass *p, const node *n) { return first_of(p, n) + n->a[SUBJECTS] + 2; }

static void sort_trials(const pass *p, const node *n)
{
    size_t S = n->a[SUBJECTS];
    uint32_t *first = first_of(p, n), *trials = trials_of(p, n);
    memset(first, 0, (S + 2) * sizeof *first);
    for (size_t i = 0; i < p->B; i++) first[person(p, n, i) + 1]++;
    for (size_t s = 0; s <= S; s++) first[s + 1] += first[s];
    for (size_t i = 0; i < p->B; i++) trials[first[person(p, n, i)]++] = (uint32_t)i;
    memmove(first + 1, first, (S + 1) * sizeof *first); /* each had moved on to the next person's */
    first[0] = 0;
}

/* The trials' blocks side by side. A single one stays where it is. */
static const float *beside(const node *n, const float *x, const uint32_t *trials, size_t count, float *to)
{
    size_t N = width(n), T = n->x.samples;
    if (count == 1) return x + trials[0] * N * T;
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < N; i++) memcpy(to + (i * count + k) * T, x + (trials[k] * N + i) * T, T * sizeof *to);
    return to;
}

static void apart(const node *n, const float *from, const uint32_t *trials, size_t count, float *y)
{
    size_t N = width(n), T = n->x.samples;
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < N; i++) memcpy(y + (trials[k] * N + i) * T, from + (i * count + k) * T, T * sizeof *y);
}

typedef struct job {
    const pass *p;
    const node *n;
    bool back; /* dX from dY instead of Y from X */
} job;

/* Trials of one person. */
static void multiply(const job *j, size_t s, const uint32_t *trials, size_t count, float *scratch)
{
    const pass *p = j->p;
    const node *n = j->n;
    size_t N = width(n), L = count * n->x.samples;
    float *to = j->back ? ndi_dx(p, n, 0) : ndi_y(p, n), *y = count == 1 ? to + trials[0] * N * L : scratch + N * L;
    const float *x = beside(n, j->back ? ndi_dy(p, n) : ndi_x(p, n, 0), trials, count, scratch), *b = ndi_w(p, n, BIAS);
    for (size_t i = 0; i < N; i++) {
        float start = j->back ? 0 : s > 0 ? b[i] + ndi_w(p, n, SUBJECT_BIAS)[(s - 1) * N + i] : b[i];
        for (size_t t = 0; t < L; t++) y[i * L + t] = start;
    }
    ndi_gemm(j->back, false, N, L, N, 1, ndi_w(p, n, WEIGHT), N, x, L, 1, y, L);
    if (s > 0) ndi_gemm(j->back, false, N, L, N, 1, ndi_w(p, n, SUBJECT_WEIGHT) + (s - 1) * N * N, N, x, L, 1, y, L);
    if (count > 1) apart(n, y, trials, count, to);
}

/* The next PANEL trials in order of person, one person after the other. */
static void multiply_panel(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const uint32_t *first = first_of(j->p, j->n), *trials = trials_of(j->p, j->n);
    size_t at = task * j->n->a[PANEL], end = at + j->n->a[PANEL] < j->p->B ? at + j->n->a[PANEL] : j->p->B;
    for (size_t s = 0; at < end; s++) {
        size_t stop = first[s + 1] < end ? first[s + 1] : end;
        if (stop <= at) continue;
        multiply(j, s, trials + at, stop - at, ndi_scratch(j->p, worker));
        at = stop;
    }
}

static void multiply_all(const pass *p, const node *n, bool back)
{
    job j = { p, n, back };
    ndi_pool_run(p->w->threads, (p->B + n->a[PANEL] - 1) / n->a[PANEL], multiply_panel, &j);
}

static void forward(const pass *p, const node *n)
{
    sort_trials(p, n);
    multiply_all(p, n, false);
}

static size_t row_blocks(const node *n) { return (width(n) + ROWS - 1) / ROWS; }

/* Some rows of dW_s and db_s; the unknown give theirs to dW and db. */
static void weight_rows(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const pass *p = j->p;
    const node *n = j->n;
    const uint32_t *first = first_of(p, n), *trials = trials_of(p, n);
    size_t N = width(n), s = task / row_blocks(n), row = task % row_blocks(n) * ROWS, rows = N - row < ROWS ? N - row : ROWS, count;
    float *dw = s > 0 ? ndi_dw(p, n, SUBJECT_WEIGHT) + (s - 1) * N * N : ndi_dw(p, n, WEIGHT);
    float *db = s > 0 ? ndi_dw(p, n, SUBJECT_BIAS) + (s - 1) * N : ndi_dw(p, n, BIAS);
    for (size_t at = first[s]; at < first[s + 1]; at += count) {
        count = first[s + 1] - at < n->a[PANEL] ? first[s + 1] - at : n->a[PANEL];
        size_t L = count * n->x.samples;
        float *scratch = ndi_scratch(p, worker);
        const float *x = beside(n, ndi_x(p, n, 0), trials + at, count, scratch), *dy = beside(n, ndi_dy(p, n), trials + at, count, scratch + N * L);
        ndi_gemm(false, true, rows, N, L, 1, dy + row * L, L, x, L, 1, dw + row * N, N);
        for (size_t i = row; i < row + rows; i++) db[i] += ndi_vec->sum(dy + i * L, L);
    }
}

static void add_block(const pass *p, const node *n, size_t at, size_t count)
{
    const uint32_t *first = first_of(p, n);
    for (size_t s = 1; s <= n->a[SUBJECTS]; s++) {
        const float *dw = ndi_dw(p, n, SUBJECT_WEIGHT) + (s - 1) * width(n) * width(n);
        if (first[s] < first[s + 1]) ndi_vec->axpy(1, dw + at, ndi_dw(p, n, WEIGHT) + at, count);
    }
}

static void backward(const pass *p, const node *n)
{
    size_t N = width(n), S = n->a[SUBJECTS];
    job j = { p, n, true };
    ndi_pool_run(p->w->threads, (S + 1) * row_blocks(n), weight_rows, &j);
    ndi_for_blocks(p, n, N * N, add_block);
    for (size_t s = 0; s < S; s++) ndi_vec->axpy(1, ndi_dw(p, n, SUBJECT_BIAS) + s * N, ndi_dw(p, n, BIAS), N);
    if (ndi_dx(p, n, 0)) multiply_all(p, n, true);
}

static const op subject_linear = { "subject_linear", forward, backward };

int ndi_subject_linear(graph *g, int x, const char *name, size_t subjects, double dropout)
{
    node *n = ndi_node_add(g, &subject_linear, name, x);
    if (!n) return -1;
    if (subjects == 0) return ndi_graph_fail(g, n, "subjects: got 0, expected how many people there are; a dataset tells if it knows their ids");
    size_t N = width(n), T = n->x.samples;
    n->a[SUBJECTS] = subjects;
    n->a[PANEL] = T < COLUMNS ? COLUMNS : 1;
    n->r = (float)dropout;
    n->multiply_adds = 2 * (uint64_t)N * N * T;
    n->saved = subjects + 2;
    n->saved_each = 1;
    n->scratch = n->a[PANEL] > 1 ? 2 * N * n->a[PANEL] * T : 0;
    float bound = 1.0f / sqrtf((float)N);
    ndi_tensor_add(g, n, "weight", true, 0, bound, 2, (size_t[]){ N, N });
    ndi_tensor_add(g, n, "bias", true, 0, bound, 1, &N);
    ndi_tensor_add(g, n, "subject.weight", true, 0, 0, 3, (size_t[]){ subjects, N, N });
    ndi_tensor_add(g, n, "subject.bias", true, 0, 0, 2, (size_t[]){ subjects, N });
    return ndi_node_done(g, n);
}
