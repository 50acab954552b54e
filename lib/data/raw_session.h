/* One raw recording of a session becomes a file of trials: epochs, baseline, resampling, crop, the repetitions of each image in the order of the reference system, and the covariance
 * for noise normalisation. Streamed: memory holds a stretch of the recording and a batch of trials. The file is a pickled dict, whose arrays are written in their order, of
 *   data [trials, channels, samples] float32, image [trials] int32 (from 0), repetition [trials] int32 (after shuffling), covariance [channels, channels] float64
 * trials in the order of time. */
#ifndef NDI_RAW_SESSION_H
#define NDI_RAW_SESSION_H

#include "data/recording.h"

typedef struct session_plan {
    const char *path;            /* of the raw recording */
    const char *const *channels; /* wanted, in this order */
    size_t n_channels;
    size_t n_images;    /* event codes are 1 .. n_images; TARGET_CODE is left out */
    size_t repetitions; /* taken of each image */
    bool all_images;    /* each must be there */
    double start, end;  /* of an epoch, seconds from the event, both ends included; the baseline is what is before 0 */
    double rate, keep;  /* of the trials; seconds from which on samples are kept */
    uint32_t seed;
    bool covariance; /* is wanted; otherwise zeros */
} session_plan;

static const double RAW_RATE = 1000;
enum { TARGET_CODE = 99999 };

/* Samples of a trial. */
nd_status ndi_session_samples(const session_plan *plan, size_t *first_kept, size_t *n_samples);

/* The channels' places in the recording; what is missing is listed. `found`: n_channels indices. */
nd_status ndi_session_channels(const nd_recording *r, const char *path, const char *const *channels, size_t n_channels, size_t *found);

nd_status ndi_session_write(const session_plan *plan, const char *to, pool *workers, nd_progress_fn fn, void *user);

/* Bytes of memory the work takes. */
uint64_t ndi_session_memory(size_t n_channels, size_t n_samples, size_t n_workers);

/* Such a file, opened. */
typedef struct session_trials {
    content *file;
    const array *data;
    size_t n_trials, n_channels, n_samples;
    int32_t *image, *repetition;
} session_trials;

nd_status ndi_session_open(session_trials *t, const char *path);
void ndi_session_close(session_trials *t);
nd_status ndi_session_covariance(const session_trials *t, double *covariance); /* n_channels x n_channels */

#endif
