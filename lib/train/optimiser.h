/* AdamW on one block of parameters, with clipping to a global norm. */
#ifndef NDI_OPTIMISER_H
#define NDI_OPTIMISER_H

#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"

typedef struct adamw {
    double learning_rate, weight_decay, beta1, beta2, epsilon;
    uint64_t step; /* from 1 */
} adamw;

/* Euclidean norm of g, in double, fixed order. `blocks` is room for ndi_norm_blocks(n) numbers. */
size_t ndi_norm_blocks(size_t n);
double ndi_norm(pool *threads, const float *g, size_t n, double *blocks);

/* p <- p (1 - lr wd); m <- b1 m + (1 - b1) s g; v <- b2 v + (1 - b2) (s g)^2; p <- p - lr m^ / (sqrt(v^) + eps), with s the clip factor and m^, v^ corrected for their start at 0. */
void ndi_adamw(pool *threads, const adamw *a, float scale, const float *g, float *p, float *m, float *v, size_t n);

#endif
