/* Epochs and averages in FIF files, as MNE writes them: trials x channels x samples, which may go on in further files, with events, names and a table. */
#ifndef NDI_FIF_TRIALS_H
#define NDI_FIF_TRIALS_H

#include "io/fif_info.h"
#include "io/fif_metadata.h"

/* Samples from `first` to `last` of the numbering, or n of them from `start` seconds on. */
typedef struct fif_window {
    int32_t first, last, n;
    double start;
    bool numbered, timed;
} fif_window;

typedef struct fif_trials {
    stream_part *parts; /* of the samples */
    size_t n_parts, parts_capacity;
    uint64_t n_bytes; /* of all parts */
    dtype type;
    fif_window window, now; /* of all trials; of the epochs or average at hand */
    double baseline[2];     /* seconds, NaN = none */
    bool averages;
    const char **names; /* of each trial: of its event or of the average */
    const char **kinds; /* of averages: "average", "standard_error" */
    int32_t *counts;    /* of averages: of how many trials */
    int32_t *events;    /* of epochs: sample, value before, value; three for each */
    size_t n, names_capacity, kinds_capacity, counts_capacity, events_capacity;
    const char *comment; /* of the average at hand */
    char *event_id;      /* of the file at hand: "name:code;name:code" */
    size_t n_named;      /* trials of the files before */
    fif_metadata metadata;
} fif_trials;

/* Takes in what a tag says of epochs and averages; ndi_fif_trials_end_file() follows the last tag of each file. */
nd_status ndi_fif_trials_read(fif_trials *t, content *c, const fif_cursor *at, const fif_tag *tag);
nd_status ndi_fif_trials_end_file(fif_trials *t, content *c, const char *file);

/* Gives the content its arrays and texts: "data" (trials x channels x samples), "times", "ch_names", "ch_types", "ch_units", "baseline" where there is one; of
 * epochs "events" (3 int32 each), "event_names" (one for each epoch) and "metadata/<column>"; of averages "conditions", "kinds" and "n_averaged". */
nd_status ndi_fif_trials_settle(fif_trials *t, content *c, const fif_info *info, const char *file);

void ndi_fif_trials_free(fif_trials *t); /* what is not in the memory of the content */

#endif
