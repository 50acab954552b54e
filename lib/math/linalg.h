/* Symmetric matrices in double precision: Cholesky and eigen-decomposition. */
#ifndef NDI_LINALG_H
#define NDI_LINALG_H

#include <stddef.h>

#include "base/pool.h"

/* A = L L' in place (n x n, row-major, lower triangle used and overwritten). Blocked over ndi_gemm_f64. ND_ERR_NUMERIC names the pivot where A is not positive definite. */
nd_status ndi_cholesky(pool *p, double *a, size_t n);

/* Solves A X = B for X in place of B (n x m, row-major), given L from ndi_cholesky. */
void ndi_cholesky_solve(pool *p, const double *l, size_t n, double *b, size_t m);

/* A = V diag(w) V': A (n x n) is replaced by V (eigenvectors in columns), w ascending. Householder tridiagonalisation and implicit QL. `work` holds n. ND_ERR_NUMERIC if it does not converge. */
nd_status ndi_eigen_symmetric(double *a, size_t n, double *w, double *work);

#endif
