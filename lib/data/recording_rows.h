/* Work on the channels of a recording from end to end, some at a time so that the caller hears of it and can stop it. The samples are copied to rows first
 * (io/rows.h): however long the recording is, each worker holds one channel of it and what the work takes besides. */
#ifndef NDI_RECORDING_ROWS_H
#define NDI_RECORDING_ROWS_H

#include "data/recording.h"

typedef struct row_work {
    const char *stage; /* for progress */
    void (*apply)(const void *plan, double *x, size_t n, double *y, double *scratch);
    const void *plan;
    size_t n_scratch; /* numbers */
    uint64_t length;  /* of y; work in place changes x */
    double rate;      /* after it */
    int32_t n_threads;
} row_work;

/* Work in place, on channels of signals only; `length` and `rate` do not count. */
nd_status ndi_recording_change_rows(nd_recording **out, const nd_recording *from, const row_work *w, nd_progress_fn fn, void *user);

/* Rows of another length at another rate; triggers take the first value other than zero of each new sample's span, events move. */
nd_status ndi_recording_resample_rows(nd_recording **out, const nd_recording *from, const row_work *w, nd_progress_fn fn, void *user);

#endif
