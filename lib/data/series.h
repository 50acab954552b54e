/* Changing each channel over the trials, group by group: a copy of a dataset in memory, and its trials in the order of their groups. */
#ifndef NDI_SERIES_H
#define NDI_SERIES_H

#include "data/view.h"

typedef struct series {
    nd_dataset *d; /* the copy, to be given away or freed */
    float *x;      /* its trials x columns, a column being one sample of one channel */
    size_t n_columns;
    size_t *trials; /* group g has trials[begin[g]] .. trials[begin[g + 1] - 1], in their order */
    size_t *begin, n_groups, largest;
} series;

/* `group` as in ndi_dataset_groups(), NULL = all trials are one. Close in any case. */
nd_status ndi_series_open(series *s, const nd_dataset *source, const char *group);
void ndi_series_close(series *s);

/* Some columns of one group: element (i, c) at x[trials[i] x stride + c]. */
typedef struct series_block {
    float *x;
    size_t stride, n_columns, n_trials;
    const size_t *trials;
} series_block;

enum { NDI_SERIES_COLUMNS = 256 };

/* Calls `change` for all blocks of at most NDI_SERIES_COLUMNS columns, several at once; `scratch` has n_scratch numbers of each worker's own. */
nd_status ndi_series_change(series *s, void (*change)(const void *context, const series_block *b, double *scratch), const void *context,
                            size_t n_scratch);

#endif
