/* A graph ready to run, for tests of operations: parameters away from their initial ones and zeros, so that every term counts. */
#ifndef ND_TEST_RIG_H
#define ND_TEST_RIG_H

#include "nn/graph.h"

typedef struct rig {
    graph *g;
    workspace *w;
    pass p;
    float *params, *state, *new_state, *grads, *x, *weight; /* the objective is sum(weight * output) */
    size_t n_x, n_out;
} rig;

graph *start(size_t maps, size_t rows, size_t samples);                  /* an empty graph with this input */
void rig_up(rig *r, graph *g, size_t B, bool training, int32_t threads); /* takes the graph */
void tear_down(rig *r);
double objective(rig *r);  /* runs forward */
void run_backward(rig *r); /* runs forward and backward */

/* Gradients of the objective against central differences: of the input and of every parameter. Frees the graph. */
void check_gradients(graph *g, size_t B, bool training);

/* Forward and backward in training mode give the same bits with one, two and three threads. */
void check_same_bits(graph *(*make)(void));

int32_t person_of(size_t trial); /* whose trial it is, up to trial 127 */
float *random_block(size_t n, uint32_t stream); /* in (-1, 1), to be freed with ndi_free */

#endif
