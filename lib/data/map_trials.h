/* A new dataset in memory whose trials are made one by one from those of another. */
#ifndef NDI_MAP_TRIALS_H
#define NDI_MAP_TRIALS_H

#include "base/pool.h"
#include "data/view.h"

/* Makes one trial: x (channels x samples as read) into y. `scratch` is the worker's own. */
typedef void (*trial_fn)(const void *context, const float *x, float *y, double *scratch);

typedef struct trial_map {
    trial_fn make;
    const void *context;
    size_t n_samples, n_scratch; /* of the result; numbers of scratch */
    double rate;                 /* of the result */
    const char *stage;           /* for progress */
} trial_map;

nd_status ndi_dataset_map(nd_dataset **d, const nd_dataset *source, const trial_map *m, nd_progress_fn fn, void *user);

#endif
