/* The trials of several sessions (raw_session.h) become those of one person. The repetitions of an image are those of its sessions one after the other, then in a random order; each
 * session's trials are whitened by a covariance of its own. Streamed: memory holds a batch of trials. */
#ifndef NDI_MERGE_SESSIONS_H
#define NDI_MERGE_SESSIONS_H

#include "base/log.h"
#include "base/pool.h"
#include "data/images.h"

enum { MERGE_MOST_SESSIONS = 4 };

typedef struct merge_plan {
    const char *trials[MERGE_MOST_SESSIONS];  /* files */
    const char *fits[2][MERGE_MOST_SESSIONS]; /* files whose mean covariance whitens them; NULL = none */
    size_t n_sessions;
    const image_list *images;
    const char *const *channels;
    size_t n_channels, n_samples;
    double rate, start;
    uint32_t seed;
    bool per_time; /* covariances over repetitions at each sample */
    bool average;  /* the repetitions of an image become one trial */
    bool complete; /* all images must be there */
    int32_t subject;
} merge_plan;

nd_status ndi_merge_to_store(const merge_plan *plan, const char *to, pool *workers, nd_progress_fn fn, void *user);

/* A dict of preprocessed_eeg_data (images, repetitions, channels, samples) float64, ch_names and times, where `n_cut` samples before the first count: a bare pickle, or boxed as numpy.save()
 * writes it. */
nd_status ndi_merge_to_pickle(const merge_plan *plan, size_t n_cut, bool boxed, const char *to, pool *workers, nd_progress_fn fn, void *user);

#endif
