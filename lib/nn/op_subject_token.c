/* A learnt row in front of the others, by which a network knows whose trial it is: x (1 x R x E) -> y (1 x (R + 1) x E), y[0] = a row of `subject_embedding.weight` (N, E) or
 * `shared_embedding` (1, E), y[r + 1] = x[r].
 *
 * The shared row serves subjects without a row: unknown ones and, with probability r in training, any, so that it learns to. Raw is the rule of the reference system: the row is the subject's
 * number itself, the first row serves nobody, and one subject without a row gives the shared row to the whole batch. */
#include <string.h>

#include "base/random.h"
#include "math/vec.h"
#include "nn/ops.h"

enum { SHARED, TABLE };
enum { SUBJECTS, RAW };

static bool has_row(const node *n, int32_t subject) { return subject > 0 && (size_t)subject < n->a[SUBJECTS] + !n->a[RAW]; }

/* May the batch use the table? */
static bool use_table(const pass *p, const node *n)
{
    for (size_t i = 0; i < p->B && n->a[RAW]; i++)
        if (!has_row(n, ndi_subject(p, i))) return false;
    return true;
}

static bool drawn_as_unknown(const pass *p, const node *n, size_t trial)
{
    return p->training && n->r > 0 && ndi_uniform(p->seed, NDI_RANDOM_DROPOUT, p->step, (uint64_t)n->index << 48 | trial) < (double)n->r;
}

/* The trial's row of the table, or -1 for the shared one. */
static int32_t row_of(const pass *p, const node *n, size_t trial, bool table)
{
    int32_t subject = ndi_subject(p, trial);
    return table && has_row(n, subject) && !drawn_as_unknown(p, n, trial) ? subject - !n->a[RAW] : -1;
}

static void forward_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t E = n->x.samples, size = n->x.rows * E;
    bool table = use_table(p, n);
    for (size_t i = first; i < first + count; i++) {
        int32_t row = row_of(p, n, i, table);
        float *y = ndi_y(p, n) + i * (size + E);
        memcpy(y, row < 0 ? ndi_w(p, n, SHARED) : ndi_w(p, n, TABLE) + (size_t)row * E, E * sizeof *y);
        memcpy(y + E, ndi_x(p, n, 0) + i * size, size * sizeof *y);
    }
}

static void forward(const pass *p, const node *n) { ndi_for_chunks(p, n, forward_chunk); }

static void dx_chunk(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker)
{
    (void)chunk;
    (void)worker;
    size_t E = n->x.samples, size = n->x.rows * E;
    float *dx = ndi_dx(p, n, 0);
    for (size_t i = first; i < first + count; i++) memcpy(dx + i * size, ndi_dy(p, n) + i * (size + E) + E, size * sizeof *dx);
}

/* One row per trial: not worth the threads. */
static void backward(const pass *p, const node *n)
{
    size_t E = n->x.samples;
    bool table = use_table(p, n);
    for (size_t i = 0; i < p->B; i++) {
        int32_t row = row_of(p, n, i, table);
        ndi_vec->axpy(1, ndi_dy(p, n) + i * (n->x.rows + 1) * E, row < 0 ? ndi_dw(p, n, SHARED) : ndi_dw(p, n, TABLE) + (size_t)row * E, E);
    }
    if (ndi_dx(p, n, 0)) ndi_for_chunks(p, n, dx_chunk);
}

static const op subject_token = { "subject_token", forward, backward };

int ndi_subject_token(graph *g, int x, const char *name, size_t subjects, bool raw, double dropout)
{
    node *n = ndi_node_add(g, &subject_token, name, x);
    if (!n) return -1;
    if (n->x.maps != 1) return ndi_graph_fail(g, n, "expects a single map");
    n->a[SUBJECTS] = subjects;
    n->a[RAW] = raw;
    n->r = (float)dropout;
    n->out.rows = n->x.rows + 1;
    ndi_tensor_add(g, n, "shared_embedding", true, 0, 0, 2, (size_t[]){ 1, n->x.samples });
    ndi_tensor_normal(g, 0, 1);
    ndi_tensor_add(g, n, "subject_embedding.weight", true, 0, 0, 2, (size_t[]){ subjects, n->x.samples });
    ndi_tensor_normal(g, 0, 1);
    return ndi_node_done(g, n);
}
