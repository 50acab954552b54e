/* Matrix products. gemm.c is the only file that includes blis.h. Row-major; leading dimensions are row lengths. */
#ifndef NDI_GEMM_H
#define NDI_GEMM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/pool.h"

/* C (m x n) = alpha op(A) op(B) + beta C on this thread; op transposes where its flag is set: A is then stored k x m, B n x k. beta = 0 ignores what C held. */
void ndi_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);
void ndi_gemm_f64(bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda, const double *b, size_t ldb, double beta, double *c,
                  size_t ldc);

/* The same over the pool: same bits for any number of threads. */
void ndi_gemm_parallel(pool *threads, bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb, float beta,
                       float *c, size_t ldc);
void ndi_gemm_parallel_f64(pool *threads, bool ta, bool tb, size_t m, size_t n, size_t k, double alpha, const double *a, size_t lda, const double *b, size_t ldb, double beta,
                           double *c, size_t ldc);

const char *ndi_blis_version(void);
const char *ndi_blis_kernels(void); /* name of the BLIS configuration in use, such as "zen3" */

#endif
