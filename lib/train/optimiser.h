/* Optimisers: what a step does to parameters, given their gradient. One row each in optimiser.c. */
#ifndef NDI_OPTIMISER_H
#define NDI_OPTIMISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/status.h"

struct optimiser_job;

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
    void (*block)(const struct optimiser_job *j, size_t first, size_t n);            /* float32, some of the parameters */
    void (*number)(const rule *r, double g, double *x, double moments[NDI_MOMENTS]); /* the same without decay for a single number, in double */
} optimiser;

nd_status ndi_optimiser_find(int32_t code, const optimiser **kind); /* ND_OPTIMISER_... */

/* One pass over n parameters p with gradient scale g, `scale` being the clip factor. */
void ndi_optimise(pool *threads, const rule *r, float scale, const float *g, float *p, float *const moments[NDI_MOMENTS], size_t n);

/* Sum of squares of g, in double, fixed order. `blocks` is room for ndi_norm_blocks(n) numbers. */
size_t ndi_norm_blocks(size_t n);
double ndi_squares(pool *threads, const float *g, size_t n, double *blocks);

#endif
