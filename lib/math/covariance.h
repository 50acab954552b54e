/* Covariances of few observations, and whitening by their inverse square root. */
#ifndef NDI_COVARIANCE_H
#define NDI_COVARIANCE_H

#include <stddef.h>

#include "base/status.h"

/* Adds weight x the covariance of p features over n observations, shrunk after Ledoit and Wolf (2004) with standardised features. With z standardised, G = z z' / n:
 *   m = tr(G) / p,  d = (|G|^2 - 2 m tr(G) + p m^2) / p,  b = (sum over t of |z_t|^4 / n - |G|^2) / (p n),  a = min(b, d) / d
 *   S_ij = sd_i ((1 - a) G_ij + a m [i = j]) sd_j
 * z: p x n, replaced. sum: p x p. scratch: ndi_shrunk_scratch(p, n) numbers. */
void ndi_shrunk_covariance(double *z, size_t p, size_t n, double weight, double *sum, double *scratch);
size_t ndi_shrunk_scratch(size_t p, size_t n);

/* V diag(w^(-1/2)) V' in place of a covariance V diag(w) V'. ND_ERR_NUMERIC where it is singular. */
nd_status ndi_inverse_root(double *a, size_t p);

#endif
