/* Resampling of a whole signal by way of its spectrum, as MNE does it: the signal is padded to a power of two, transformed, its spectrum cut or filled with zeros,
 * transformed back, and what the padding became is cut off.
 *   n' = round(ratio n); padding to N = 2^ceil(log2(n + 2 min(n / 8, 100))), floor((N - n) / 2) before; N' = round(ratio N);
 *   round(ratio before) outputs are cut off at the front. Where ratio x before is not whole, the outputs stand a fraction of a sample away from their nominal times. */
#ifndef NDI_RESAMPLE_H
#define NDI_RESAMPLE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

typedef struct resampler resampler;

typedef enum padding {
    PADDING_EDGE,   /* the first and the last value, as for epochs */
    PADDING_REFLECT /* odd reflection around them, zeros beyond, as for continuous recordings */
} padding;

nd_status ndi_resampler_create(resampler **r, size_t n, double ratio, padding pad);
void ndi_resampler_free(resampler *r);
size_t ndi_resampler_length(const resampler *r);  /* of the result */
size_t ndi_resampler_scratch(const resampler *r); /* numbers of scratch; each thread needs its own */
void ndi_resample(const resampler *r, const double *x, double *y, double *scratch);

/* Many signals at once with padding at the edges, row k at x + k x step, after subtracting shift[k] (NULL = 0); results one behind the other. */
void ndi_resample_rows(const resampler *r, const double *x, size_t step, size_t n_rows, const double *shift, double *y, double *scratch);
size_t ndi_resampler_rows_scratch(const resampler *r);

/* before + n + after numbers with odd reflection: 2 x_0 - x_k and 2 x_{n-1} - x_{n-1-k}; zeros where there is nothing to reflect. */
void ndi_pad_reflect(const double *x, size_t n, size_t before, size_t after, double *to);

#endif
