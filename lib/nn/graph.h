/* The whole contract of the network layer: an encoder's build() adds nodes to a graph, a workspace holds what a pass over a batch needs, an op computes one kind of node.
 *
 * Letters: B trials in a batch, M maps, H rows (channels), T samples, F filters, K kernel. x input, y output, w weights; dx, dy, dw gradients. Everything is float32, C order, trial
 * first. Nodes stand in topological order; node 0 is the input. */
#ifndef NDI_GRAPH_H
#define NDI_GRAPH_H

#include <stdbool.h>

#include "base/mem.h"
#include "base/pool.h"
#include "math/gemm_tiles.h"

/* What one trial looks like at a node: maps x rows x samples. A vector of n is n x 1 x 1. */
typedef struct shape {
    size_t maps, rows, samples;
} shape;

static inline size_t ndi_shape_size(shape s) { return s.maps * s.rows * s.samples; }

typedef struct tensor {
    char name[112];     /* state-dict name */
    size_t n_dims, shape[4], n;
    size_t at;          /* offset of its values among the graph's parameters or, for a buffer, its state */
    bool trainable;
    bool counter;       /* a buffer that is a whole number without dimensions in files */
    bool set_whole;     /* backward sets its gradient, where others are added to zeros */
    bool unused;        /* a parameter of the reference's files that nothing reads: kept with the buffers, never trained */
    float start, bound; /* initial values: start + U(-bound, bound) */
    float sd;           /* or, where not 0, N(start, sd^2) */
} tensor;

typedef struct graph graph;
typedef struct pass pass;
typedef struct node node;

enum { NDI_MAX_INPUTS = 3 };

/* A weight gradient that is a product of less than it is itself: backward may leave it in its factors. Its squares follow from these, and it is handed over where it is used at once. */
typedef struct factored {
    bool (*pays)(const pass *p, const node *n);
    double (*squares)(const pass *p, const node *n);
    void (*hand_over)(const pass *p, const node *n, const product_taker *taker);
} factored;

/* One kind of operation: one file, one constructor function that adds a node of it. */
typedef struct op {
    const char *name;
    void (*forward)(const pass *p, const node *n);
    void (*backward)(const pass *p, const node *n); /* writes ndi_dx() unless NULL, adds to ndi_dw() or, if that tensor is set_whole, sets it */
} op;

struct node {
    const op *op;
    char name[96];              /* of the layer, prefix of its tensors' names */
    int index, in[NDI_MAX_INPUTS], n_in;
    shape x, out;               /* of the first input; of the result */
    size_t a[5];                /* the op's whole-number attributes */
    float r, scale;             /* its real ones */
    int first_tensor, n_tensors;
    uint64_t multiply_adds;     /* forward, one trial */
    size_t saved;               /* floats kept from forward for backward, per batch */
    size_t saved_each;          /* the same, per trial */
    size_t scratch;             /* floats per worker */
    size_t shared, shared_each; /* floats for all workers together, per batch and per trial; other nodes use them too */
    size_t partial;             /* floats per chunk of trials, for sums over the batch */
    bool in_place;              /* y and dx may stand where x and dy stood */
    bool grad_in_place;         /* only dx may stand where dy stood */
    bool keeps_y;               /* backward reads y: nobody may overwrite it */
    const factored *weight;     /* the gradient of its first tensor may stay in factors; NULL = backward forms it */
    int n_consumers, last_consumer;
};

struct graph {
    char encoder[32];           /* for messages */
    node *nodes;
    int n_nodes, nodes_capacity;
    tensor *tensors;
    int n_tensors, tensors_capacity;
    size_t n_params, n_state;   /* floats */
    size_t n_unused;            /* of the latter, in tensors that nothing reads */
    bool plain;                 /* its operations are run one by one, none fused: for tests */
    nd_status status;           /* sticks at the first failure, as the error flag of stdio does */
};

/* Building. ndi_node_add returns a node to fill, or NULL once the graph has failed; ndi_node_done returns its index. */
nd_status ndi_graph_create(graph **g, const char *encoder, shape input);
void ndi_graph_free(graph *g);
node *ndi_node_add(graph *g, const op *kind, const char *name, int x);
int ndi_node_done(graph *g, node *n);
void ndi_tensor_add(graph *g, node *n, const char *suffix, bool trainable, float start, float bound, size_t n_dims, const size_t *shape);
void ndi_tensor_of_layer(graph *g, node *n, const char *layer, const char *what, bool trainable, float start, float bound, size_t n_dims, const size_t *dims); /* of a node of several layers: "layer.what" */
void ndi_tensor_set_whole(graph *g);                    /* backward sets the gradient of the tensor added last */
void ndi_tensor_normal(graph *g, float mean, float sd); /* the tensor added last starts from N(mean, sd^2) */
void ndi_tensor_uniform(graph *g, float bound);         /* from U(-bound, bound) */
int ndi_graph_fail(graph *g, const node *n, const char *format, ...) __attribute__((format(printf, 3, 4))); /* "encoder: layer (op): …"; returns -1 */
int ndi_graph_append(graph *g, const graph *part, const char *prefix); /* copies its nodes over the same input, with names below `prefix`; the index of the last */
void ndi_graph_normal(graph *g, int first, float sd); /* nodes from `first` on: weights of convolutions and linear layers from N(0, sd^2), of batch normalisations from N(1, sd^2) */
const tensor *ndi_graph_tensor(const graph *g, const char *name);
void ndi_graph_init(const graph *g, uint64_t seed, float *params, float *state);
shape ndi_graph_out(const graph *g);

/* The memory of passes over up to `capacity` trials. */
typedef struct workspace {
    const graph *g;
    node *nodes;                /* of g, some of them fused into others (fuse.c) */
    pool *threads;
    size_t capacity;
    bool backward, input_grad;
    uint64_t revision;          /* of the values that ops have prepared for themselves, 0 = none */
    float *block;
    float **y, **dy;            /* per node; shared where in place */
    float **saved;              /* per node */
    float *scratch, *shared, *partial, *detour;
    size_t scratch_stride, partial_stride, detour_stride;
} workspace;

nd_status ndi_workspace_create(workspace **w, const graph *g, size_t capacity, bool backward, bool input_grad, pool *threads);
void ndi_workspace_free(workspace *w);

/* One pass. `new_state` and `grads` are NULL where nothing is trained. */
struct pass {
    workspace *w;
    size_t B;
    bool training;              /* batch statistics, dropout */
    uint64_t seed;
    uint32_t step;              /* of the optimiser: dropout masks follow from seed, step, node and element */
    const float *x;             /* B trials */
    const int32_t *subjects;    /* of each trial, counted from 1, 0 = unknown or unseen; NULL = all unknown */
    const float *params, *state;
    uint64_t revision;          /* of both: a number that changes whenever they do; 0 = none is kept, so that nothing may be prepared from them */
    float *new_state, *grads;
    bool factors;               /* weight gradients may stay in their factors */
};

void ndi_forward(const pass *p);                        /* result in ndi_y of the last node */
float *ndi_output(const pass *p);                       /* B x embedding */
float *ndi_output_grad(const pass *p);                  /* to be filled before ndi_backward */
void ndi_backward(const pass *p);                       /* overwrites grads */
const float *ndi_input_grad(const pass *p);             /* B trials; only with input_grad */

bool ndi_in_factors(const pass *p, const node *n);      /* does backward leave the gradient of its first tensor in factors? */

/* fuse.c: replaces chains of nodes by an op that does all of them at once. The last node of a chain takes it; the others remain, do nothing and need no memory. */
void ndi_fuse(const graph *g, node *nodes);

/* For ops. */
const float *ndi_x(const pass *p, const node *n, int input);
float *ndi_y(const pass *p, const node *n);
const float *ndi_dy(const pass *p, const node *n);
float *ndi_dx(const pass *p, const node *n, int input); /* to overwrite; NULL = not wanted */
const float *ndi_w(const pass *p, const node *n, int tensor);
float *ndi_dw(const pass *p, const node *n, int tensor);
/* In evaluation: what the op has in its saved memory for these parameters and state is still right. */
static inline bool ndi_prepared(const pass *p) { return !p->training && p->revision && p->revision == p->w->revision; }
static inline int32_t ndi_subject(const pass *p, size_t trial) { return p->subjects ? p->subjects[trial] : 0; }
const float *ndi_state(const pass *p, const node *n, int tensor);
float *ndi_new_state(const pass *p, const node *n, int tensor);
float *ndi_saved(const pass *p, const node *n);
float *ndi_scratch(const pass *p, size_t worker);
float *ndi_shared(const pass *p);
float *ndi_partial(const pass *p, size_t chunk);

/* Trials in chunks whose number depends on B alone: fn(p, n, first, count, chunk, worker) on the pool. */
typedef void (*chunk_fn)(const pass *p, const node *n, size_t first, size_t count, size_t chunk, size_t worker);
void ndi_for_chunks(const pass *p, const node *n, chunk_fn fn);
size_t ndi_chunks(size_t B);

/* into[i] += sum over chunks, in order, of ndi_partial(chunk)[at + i]. */
void ndi_add_partials(const pass *p, size_t at, size_t n, float *into);

/* into[c] += sum over the rows of x (rows x cols), in double. */
void ndi_add_columns(const pass *p, const float *x, size_t rows, size_t cols, float *into);

/* into (m x width) = a' b of a (rows x m) and b (rows x width). A node that plans ndi_outer_size() shared floats has a small one of many rows summed in parts of them: in panels of `into`, each
 * would go through all of b again. */
void ndi_outer(const pass *p, const node *n, const float *a, size_t m, const float *b, size_t width, size_t rows, float *into);
size_t ndi_outer_size(size_t m, size_t width);

/* Elements of the whole batch in blocks of fixed size: fn(p, n, first, count). */
typedef void (*block_fn)(const pass *p, const node *n, size_t first, size_t count);
void ndi_for_blocks(const pass *p, const node *n, size_t n_elements, block_fn fn);

#endif
