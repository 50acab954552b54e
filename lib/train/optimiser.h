/* Optimisers: what a step does to parameters, given their gradient. One row each in optimiser.c. */
#ifndef NDI_OPTIMISER_H
#define NDI_OPTIMISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/status.h"
#include "math/vec.h"

struct update;

/* A step in numbers; each optimiser reads what it needs. */
typedef struct rule {
    const struct optimiser *kind;
    double learning_rate, weight_decay, beta1, beta2, epsilon, momentum;
    bool nesterov;
    uint64_t step; /* from 1 */
} rule;

enum { NDI_MOMENTS = 2 };

typedef struct optimiser {
    const char *name;
    const char *moments[NDI_MOMENTS];                                                /* names of what it keeps for each parameter, NULL = nothing */
    bool decoupled;                                                                  /* weight decay acts on the parameters, not on their gradient */
    void (*block)(const struct update *u, size_t at, const float *g, size_t n);      /* float32, the n parameters from `at` on with their gradients g */
    void (*number)(const rule *r, double g, double *x, double moments[NDI_MOMENTS]); /* the same without decay for a single number, in double */
} optimiser;

nd_status ndi_optimiser_find(int32_t code, const optimiser **kind); /* ND_OPTIMISER_... */

/* A step of some parameters p, worked out: their gradients may come at once or in pieces, on any thread. */
typedef struct update {
    const optimiser *kind;
    float *p, *first, *second; /* and the moments it keeps */
    vec_adam adam;
    vec_sgd sgd;
} update;

update ndi_update(const rule *r, float scale, float *p, float *const moments[NDI_MOMENTS]); /* `scale`: of gradients, the clip factor */
void ndi_optimise(pool *threads, const update *u, const float *g, size_t n);                /* one pass over n parameters */

/* Sum of squares of g, in double, fixed order. `blocks` is room for ndi_norm_blocks(n) numbers. */
size_t ndi_norm_blocks(size_t n);
double ndi_squares(pool *threads, const float *g, size_t n, double *blocks);

#endif
