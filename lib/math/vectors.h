/* Rows brought to length 1, minus their own mean before where `centred`; and the way back for a gradient with respect to the normalised row. Shared by losses, retrieval and ensembles. */
#ifndef NDI_VECTORS_H
#define NDI_VECTORS_H

#include <stdbool.h>

#include "base/pool.h"

void ndi_normalise_rows(pool *threads, bool centred, const float *x, size_t n, size_t dim, float *y, float *norm); /* norm may be NULL */
void ndi_normalise_rows_back(pool *threads, bool centred, const float *y, const float *norm, const float *dy, size_t n, size_t dim, float *dx);

#endif
