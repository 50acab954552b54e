/* Matrix products in single precision where BLIS, which copies both matrices first, is not the fastest: few rows or columns, a short inner side, or B turned. */
#ifndef NDI_GEMM_TILES_H
#define NDI_GEMM_TILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/pool.h"

/* C (m x n) = alpha op(A) op(B) + beta C, as in gemm.h. */
typedef struct gemm {
    bool ta, tb;
    size_t m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b;
    float *c;
} gemm;

bool ndi_suits_tiles(const gemm *g);
void ndi_gemm_tiles(pool *threads, const gemm *g); /* NULL = on this thread */

#endif
