/* Log lines to the caller's function, and progress of long work. */
#ifndef NDI_LOG_H
#define NDI_LOG_H

#include "base/status.h"

void ndi_log(int32_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));
nd_status ndi_log_set(int32_t level, nd_log_fn fn, void *user);

/* One long operation. `report` holds what is told; callers may set its training fields. */
typedef struct progress {
    nd_progress report;
    nd_progress_fn fn;
    void *user;
    double began, last;
    uint64_t first; /* units done when the stage began, for the rate */
} progress;

void ndi_progress_begin(progress *p, nd_progress_fn fn, void *user, const char *stage, const char *unit, uint64_t done, uint64_t total);

/* Tells the caller: at first, at most ten times a second, and always when done = total. ND_ERR_CANCELLED when the caller asks to stop. */
nd_status ndi_progress_at(progress *p, uint64_t done);

double ndi_seconds(void); /* monotonic clock */

#endif
