/* Resampling by a ratio of small whole numbers: zeros between the samples, a low-pass, every so manyth kept; only what is kept is computed. As
 * scipy.signal.resample_poly with its defaults: 20 max(up, down) + 1 taps of a sinc with the cut-off at half the lower rate under a Kaiser window (beta 5), zeros beyond the ends.
 *   y_j = sum over i of h[j down - i up + half] x_i */
#ifndef NDI_POLYPHASE_H
#define NDI_POLYPHASE_H

#include <stddef.h>

#include "base/status.h"

typedef struct polyphase polyphase;

nd_status ndi_polyphase_create(polyphase **p, double rate, double new_rate); /* their ratio must be one of whole numbers up to 10000 */
void ndi_polyphase_free(polyphase *p);
size_t ndi_polyphase_length(const polyphase *p, size_t n); /* ceil(n up / down) */
void ndi_polyphase_apply(const polyphase *p, const double *x, size_t n, double *y);

#endif
