/* Zero-phase filters of a whole signal in double: Butterworth in second-order sections, forwards and backwards, and symmetric finite responses. */
#ifndef NDI_FILTER_H
#define NDI_FILTER_H

#include <stddef.h>

#include "base/status.h"

/* ---- Butterworth ---- */

enum { NDI_MAX_ORDER = 16 };

typedef struct section {
    double b[3], a[3]; /* a[0] = 1 */
    double start[2];   /* state that a constant 1 leads to */
} section;

typedef struct sections {
    section s[2 * NDI_MAX_ORDER];
    size_t n, edge; /* sections; samples of odd reflection at each end, 3 (poles + 1) */
} sections;

/* Edges as fractions of the rate, 0 < low < high < 1/2; 0 = no such edge. */
nd_status ndi_butterworth(sections *f, int32_t order, double low, double high);

/* In place; needs n > edge and scratch for n + 2 edge numbers. */
void ndi_sections_apply(const sections *f, double *x, size_t n, double *scratch);

/* ---- finite response ---- */

typedef struct fir fir;

/* A filter that passes (gain 1) or stops (gain 0) at the given frequencies, fractions of the rate in ascending order from 0 to 1/2, with straight lines
 * between: each step is a sinc under a Hamming window of round(3.3 / width) taps, made odd (mne.filter, design "firwin"). */
nd_status ndi_fir_create(fir **f, const double *frequency, const int32_t *gain, size_t n);
void ndi_fir_free(fir *f);
size_t ndi_fir_taps(const fir *f);
size_t ndi_fir_scratch(const fir *f, size_t n);                         /* numbers of scratch for a signal of n */
void ndi_fir_apply(const fir *f, double *x, size_t n, double *scratch); /* in place, ends reflected */

#endif
