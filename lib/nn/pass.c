/* Running a graph: the memory of a pass, the loop up, the loop down, and what ops use to cut their work. */
#include "nn/graph.h"

#include <string.h>

#include "math/gemm.h"
#include "math/vec.h"

enum { MAX_CHUNKS = 32, BLOCK = 16384, LINE = 16 /* floats in a cache line */ };

static size_t padded(size_t n) { return (n + LINE - 1) / LINE * LINE; }

size_t ndi_chunks(size_t B)
{
    size_t each = (B + MAX_CHUNKS - 1) / MAX_CHUNKS;
    return each ? (B + each - 1) / each : 0;
}

/* May the node take over its input's buffer? Only where nobody else reads it. */
static bool sole_reader(const workspace *w, const node *n) { return n->n_in == 1 && n->in[0] > 0 && w->nodes[n->in[0]].n_consumers == 1; }

/* Gives out consecutive parts of the block; run once without a block to measure it. */
static float *part(workspace *w, size_t *used, size_t n)
{
    float *p = w->block ? w->block + *used : NULL;
    *used += padded(n);
    return p;
}

static size_t lay_out(workspace *w)
{
    const graph *g = w->g;
    size_t used = 0, scratch = 0, shared = 0, partial = 0, detour = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        const node *n = &w->nodes[i];
        size_t size = w->capacity * ndi_shape_size(n->out);
        bool in_place = n->in_place && sole_reader(w, n) && !w->nodes[n->in[0]].keeps_y;
        if (i > 0) w->y[i] = in_place ? w->y[n->in[0]] : part(w, &used, size);
        w->saved[i] = part(w, &used, n->saved + w->capacity * n->saved_each);
        if (n->scratch > scratch) scratch = n->scratch;
        size_t together = n->shared + w->capacity * n->shared_each;
        if (together > shared) shared = together;
        if (n->partial > partial) partial = n->partial;
        if (!w->backward || (i == 0 && !w->input_grad)) continue;
        bool in_place_grad = (n->in_place || n->grad_in_place) && sole_reader(w, n);
        w->dy[i] = in_place_grad ? w->dy[n->in[0]] : part(w, &used, size);
        if (n->n_consumers > 1 && size > detour) detour = size;
    }
    w->scratch_stride = padded(scratch);
    w->partial_stride = padded(partial);
    w->scratch = part(w, &used, w->scratch_stride * ndi_pool_threads(w->threads));
    w->shared = part(w, &used, shared);
    size_t chunks = w->capacity < MAX_CHUNKS ? w->capacity : MAX_CHUNKS; /* a smaller batch may have more chunks than the largest */
    w->partial = part(w, &used, w->partial_stride * chunks);
    w->detour_stride = padded(detour);
    w->detour = part(w, &used, NDI_MAX_INPUTS * w->detour_stride);
    return used;
}

nd_status ndi_workspace_create(workspace **out, const graph *g, size_t capacity, bool backward, bool input_grad, pool *threads)
{
    workspace *w;
    nd_status status = NEW(w, 1);
    if (status != ND_OK) return status;
    w->g = g;
    w->threads = threads;
    w->capacity = capacity;
    w->backward = backward;
    w->input_grad = input_grad;
    size_t n = (size_t)g->n_nodes;
    GO(NEW(w->nodes, n));
    memcpy(w->nodes, g->nodes, n * sizeof *w->nodes);
    if (!g->plain) ndi_fuse(g, w->nodes);
    GO(NEW(w->y, n));
    GO(NEW(w->dy, n));
    GO(NEW(w->saved, n));
    GO(NEW(w->block, lay_out(w)));
    lay_out(w);
    *out = w;
    return ND_OK;
done:
    ndi_workspace_free(w);
    return status;
}

void ndi_workspace_free(workspace *w)
{
    if (!w) return;
    ndi_free(w->nodes);
    ndi_free(w->y);
    ndi_free(w->dy);
    ndi_free(w->saved);
    ndi_free(w->block);
    ndi_free(w);
}

void ndi_forward(const pass *p)
{
    workspace *w = p->w;
    for (int i = 1; i < w->g->n_nodes; i++) w->nodes[i].op->forward(p, &w->nodes[i]);
    w->revision = p->training ? 0 : p->revision;
}

float *ndi_output(const pass *p) { return p->w->y[p->w->g->n_nodes - 1]; }
float *ndi_output_grad(const pass *p) { return p->w->dy[p->w->g->n_nodes - 1]; }
const float *ndi_input_grad(const pass *p) { return p->w->dy[0]; }

const float *ndi_x(const pass *p, const node *n, int k) { return n->in[k] == 0 ? p->x : p->w->y[n->in[k]]; }
float *ndi_y(const pass *p, const node *n) { return p->w->y[n->index]; }
const float *ndi_dy(const pass *p, const node *n) { return p->w->dy[n->index]; }

float *ndi_dx(const pass *p, const node *n, int k)
{
    int from = n->in[k];
    if (!p->w->dy[from]) return NULL;
    return p->w->nodes[from].last_consumer == n->index ? p->w->dy[from] : p->w->detour + (size_t)k * p->w->detour_stride;
}

static const tensor *tensor_of(const pass *p, const node *n, int k) { return &p->w->g->tensors[n->first_tensor + k]; }
const float *ndi_w(const pass *p, const node *n, int k) { return p->params + tensor_of(p, n, k)->at; }
float *ndi_dw(const pass *p, const node *n, int k) { return p->grads + tensor_of(p, n, k)->at; }
const float *ndi_state(const pass *p, const node *n, int k) { return p->state + tensor_of(p, n, k)->at; }
float *ndi_new_state(const pass *p, const node *n, int k) { return p->new_state ? p->new_state + tensor_of(p, n, k)->at : NULL; }
float *ndi_saved(const pass *p, const node *n) { return p->w->saved[n->index]; }
float *ndi_scratch(const pass *p, size_t worker) { return p->w->scratch + worker * p->w->scratch_stride; }
float *ndi_shared(const pass *p) { return p->w->shared; }
float *ndi_partial(const pass *p, size_t chunk) { return p->w->partial + chunk * p->w->partial_stride; }

bool ndi_in_factors(const pass *p, const node *n) { return p->factors && n->weight && n->weight->pays(p, n); }

typedef struct job {
    const pass *p;
    const node *n;
    chunk_fn chunk;
    block_fn block;
    size_t each, total, at;
    float *into;
} job;

static void run_chunk(void *context, size_t task, size_t worker)
{
    const job *j = context;
    size_t first = task * j->each, left = j->total - first;
    j->chunk(j->p, j->n, first, left < j->each ? left : j->each, task, worker);
}

void ndi_for_chunks(const pass *p, const node *n, chunk_fn fn)
{
    job j = { .p = p, .n = n, .chunk = fn, .each = (p->B + MAX_CHUNKS - 1) / MAX_CHUNKS, .total = p->B };
    ndi_pool_run(p->w->threads, ndi_chunks(p->B), run_chunk, &j);
}

static void run_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    size_t first = task * BLOCK, left = j->total - first;
    j->block(j->p, j->n, first, left < BLOCK ? left : BLOCK);
}

void ndi_for_blocks(const pass *p, const node *n, size_t n_elements, block_fn fn)
{
    job j = { .p = p, .n = n, .block = fn, .total = n_elements };
    ndi_pool_run(p->w->threads, (n_elements + BLOCK - 1) / BLOCK, run_block, &j);
}

static void add_partial_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    size_t first = task * BLOCK, left = j->total - first, count = left < BLOCK ? left : BLOCK, chunks = ndi_chunks(j->p->B);
    for (size_t c = 0; c < chunks; c++) ndi_vec->axpy(1.0f, ndi_partial(j->p, c) + j->at + first, j->into + first, count);
}

void ndi_add_partials(const pass *p, size_t at, size_t n, float *into)
{
    job j = { .p = p, .at = at, .total = n, .into = into };
    ndi_pool_run(p->w->threads, (n + BLOCK - 1) / BLOCK, add_partial_block, &j);
}

typedef struct columns {
    const float *x;
    size_t rows, cols;
    float *into;
} columns;

enum { STRIPE = 64 };

static void add_stripe(void *context, size_t task, size_t worker)
{
    (void)worker;
    const columns *c = context;
    size_t first = task * STRIPE, count = c->cols - first < STRIPE ? c->cols - first : STRIPE;
    double sums[STRIPE] = { 0 };
    ndi_vec->add_rows(c->x + first, c->rows, c->cols, count, sums);
    for (size_t k = 0; k < count; k++) c->into[first + k] += (float)sums[k];
}

void ndi_add_columns(const pass *p, const float *x, size_t rows, size_t cols, float *into)
{
    columns c = { x, rows, cols, into };
    ndi_pool_run(p->w->threads, (cols + STRIPE - 1) / STRIPE, add_stripe, &c);
}

enum { PARTS = 8, MANY_ROWS = 2048, SMALL_OUTER = 1 << 18 };

size_t ndi_outer_size(size_t m, size_t width) { return m < SMALL_OUTER && m * width <= SMALL_OUTER ? PARTS * m * width : 0; }

typedef struct outer {
    const float *a, *b;
    size_t m, width, rows, each;
    float *parts;
} outer;

static void multiply_part(void *context, size_t task, size_t worker)
{
    (void)worker;
    const outer *o = context;
    size_t first = task * o->each, count = o->rows - first < o->each ? o->rows - first : o->each;
    ndi_gemm(true, false, o->m, o->width, count, 1, o->a + first * o->m, o->m, o->b + first * o->width, o->width, 0,
             o->parts + task * o->m * o->width, o->width);
}

void ndi_outer(const pass *p, const node *n, const float *a, size_t m, const float *b, size_t width, size_t rows, float *into)
{
    size_t size = m * width;
    if (rows < MANY_ROWS || n->shared < PARTS * size || ndi_outer_size(m, width) == 0) {
        ndi_gemm_parallel(p->w->threads, true, false, m, width, rows, 1, a, m, b, width, 0, into, width);
        return;
    }
    outer o = { a, b, m, width, rows, (rows + PARTS - 1) / PARTS, p->w->shared };
    ndi_pool_run(p->w->threads, PARTS, multiply_part, &o);
    memset(into, 0, size * sizeof *into);
    for (size_t i = 0; i < PARTS; i++) ndi_vec->axpy(1, o.parts + i * size, into, size);
}

static void add_detour_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    size_t first = task * BLOCK, left = j->total - first;
    ndi_vec->axpy(1.0f, j->p->w->detour + j->at + first, j->into + first, left < BLOCK ? left : BLOCK);
}

/* What an op left in the detour of its input k, to the gradient of that node. */
static void add_detour(const pass *p, const node *from, int k)
{
    job j = { .p = p, .at = (size_t)k * p->w->detour_stride, .total = p->B * ndi_shape_size(from->out), .into = p->w->dy[from->index] };
    ndi_pool_run(p->w->threads, (j.total + BLOCK - 1) / BLOCK, add_detour_block, &j);
}

/* Those of large layers are set anyway: zeroing them would be another way through memory. */
static void clear_gradients(const pass *p)
{
    const graph *g = p->w->g;
    for (const tensor *t = g->tensors; t < g->tensors + g->n_tensors; t++)
        if (t->trainable && !t->set_whole) memset(p->grads + t->at, 0, t->n * sizeof *p->grads);
}

/* An op always overwrites its dx. The last consumer of a node comes first on the way down and writes in place; the others write to a detour that is added here. */
void ndi_backward(const pass *p)
{
    const workspace *w = p->w;
    clear_gradients(p);
    for (int i = w->g->n_nodes - 1; i > 0; i--) {
        const node *n = &w->nodes[i];
        n->op->backward(p, n);
        for (int k = 0; k < n->n_in; k++) {
            const node *from = &w->nodes[n->in[k]];
            if (from->last_consumer != i && w->dy[n->in[k]]) add_detour(p, from, k);
        }
    }
}
