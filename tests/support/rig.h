/* Running single operations: a graph with random numbers all over, an objective, its gradient against finite differences. */
#ifndef ND_TEST_RIG_H
#define ND_TEST_RIG_H

#include "nn/graph.h"

/* A graph ready to run: parameters away from their initial ones and zeros, so that every term counts. */
typedef struct rig {
    graph *g;
    workspace *w;
    pass p;
    float *params, *state, *new_state, *grads, *x, *weight; /* the objective is sum(weight * output) */
    size_t n_x, n_out;
} rig;

float *random_block(size_t n, uint32_t stream); /* n + 1 numbers in [-1, 1) */
graph *start(size_t maps, size_t rows, size_t samples);
void rig_up(rig *r, graph *g, size_t B, bool training, int32_t threads); /* the graph becomes the rig's */
void tear_down(rig *r);
double objective(rig *r);
void run_backward(rig *r);
void check_gradients(graph *g, size_t B, bool training); /* of the input and of every tensor; frees the graph */

#endif
