/* Normalisation of one channel of one trial over its samples x_1 .. x_n, as y = (x - shift) scale:
 * z-score:    shift = mean(x), scale = 1 / sd(x), population standard deviation; 0 where sd = 0
 * reference:  shift = mean(x), scale = 1 / ||x||, the norm of the un-centred samples; 0 where x = 0
 * Sums run in double over eight fixed lanes, around the first sample, so that a flat channel gives exactly 0 and an offset costs no digits. */
#ifndef NDI_NORMALISE_H
#define NDI_NORMALISE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

void ndi_normalise_f32(float *x, size_t n, int32_t kind);
void ndi_normalise_f64(double *x, size_t n, int32_t kind);

double ndi_mean_f32(const float *x, size_t n);

/* All samples fit float32: neither NaN nor infinite nor beyond its range. */
bool ndi_finite_f32(const float *x, size_t n);
bool ndi_finite_f64(const double *x, size_t n);

nd_status ndi_normalise_check(int32_t kind); /* ND_ERR_ARGUMENT for an unknown kind */

#endif
