/* Matrix products in single precision. */
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

void ndi_gemm_tiles(pool *threads, const gemm *g); /* NULL = on this thread */

/* A product C = A' B of short columns (A is k x m, B k x n, k <= NDI_SHORT) that is stored nowhere but handed over while it is in the cache: take(context, at, c, count) gets `count` of its
 * m n elements from `at` on, each once, on any thread, in any order. What take does with them it does along with the same places of other arrays, which are fetched while it is computed. */
enum { NDI_SHORT = 256, NDI_ALONG = 3 };
typedef struct product_taker {
    void (*take)(void *context, size_t at, const float *c, size_t count);
    void *context;
    const float *along[NDI_ALONG]; /* NULL behind the last */
} product_taker;
void ndi_hand_over_product(pool *threads, size_t m, size_t n, size_t k, const float *a, const float *b, const product_taker *taker);

#endif
