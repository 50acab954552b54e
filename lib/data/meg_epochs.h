/* The epochs of one person as THINGS-MEG publishes them: a FIF file, or several, whose metadata say of each trial what was shown. */
#ifndef NDI_MEG_EPOCHS_H
#define NDI_MEG_EPOCHS_H

#include "io/content.h"

enum { MEG_TRAINING = 0, MEG_TEST, MEG_EXTENDED, N_MEG_PARTITIONS };

typedef struct meg_epochs {
    const char *path;
    content *file;
    const array *data; /* trials x channels x samples */
    size_t n_trials;
    size_t *sensors; /* the channels that are kept: magnetometers and gradiometers */
    const char **names;
    size_t n_sensors;
    double rate, start;       /* of the samples kept */
    size_t first, n_samples;  /* the samples kept */
    const char **types;       /* of each trial: "exp", "test" or "catch" */
    const char **images;      /* paths */
    int64_t *categories;      /* numbers of the concepts; 0 for catch trials */
    int32_t *codes;           /* of the events */
    size_t n_exp, n_test, n_catch;
} meg_epochs;

/* Opens the first file, checks what the metadata say and keeps the samples from `start` to `end` seconds, both included. To be closed in any case. */
nd_status ndi_meg_open(meg_epochs *m, const char *path, double start, double end);
void ndi_meg_close(meg_epochs *m);

/* The trials of a partition in the order of their event codes, then of the file; to be freed. Training trials are those of the type "exp", with `zero_shot` only of
 * concepts no test image has; MEG_EXTENDED holds the test trials and the training trials left out for that. */
nd_status ndi_meg_partition(const meg_epochs *m, int partition, bool zero_shot, size_t **trials, size_t *n);

/* The samples kept of a trial, sensors x samples; `whole` has room for all of them. */
nd_status ndi_meg_read(const meg_epochs *m, size_t trial, double *whole, double *x);

#endif
