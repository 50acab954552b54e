/* A recording is a view: an ordered list of channels and a span of samples over a shared source, in a file or in memory, with events of its own. */
#ifndef NDI_RECORDING_H
#define NDI_RECORDING_H

#include <stdatomic.h>

#include "base/log.h"
#include "base/pool.h"
#include "io/rows.h"
#include "io/signals.h"
#include "neurodecode/recording.h"

/* Where samples come from. Immutable once a recording holds it; read concurrently. */
typedef struct origin {
    atomic_size_t refs;
    content *file; /* or NULL */
    rows *samples; /* of its own, one row for each channel, or NULL */
    arena memory;  /* of names */
    signals s;
    const char *format;
} origin;

typedef struct mark {
    uint64_t sample, duration;
    int32_t code, previous;
    const char *text;
} mark;

struct nd_recording {
    atomic_size_t refs;
    origin *from;
    size_t *channels, n_channels; /* their places in the origin */
    uint64_t first, n_samples;    /* span of the origin */
    mark *marks;                  /* in the order of time; samples count from `first` */
    size_t n_marks;
    arena memory; /* of the marks' texts */
};

extern const nd_recording_options ndi_recording_defaults;
extern const nd_events_options ndi_events_defaults;
extern const nd_filter_options ndi_filter_defaults;
extern const nd_epoch_options ndi_epoch_defaults;

const channel *ndi_recording_channel(const nd_recording *r, size_t index);
double ndi_recording_rate(const nd_recording *r);
bool ndi_recording_is_signal(const nd_recording *r, size_t index); /* not a trigger or a state of the system */

/* All channels, n_channels x count. Concurrent. The caller keeps within the recording. */
nd_status ndi_recording_read(const nd_recording *r, uint64_t first, size_t count, double *values);

/* The chosen ones, by their index in the recording. */
nd_status ndi_recording_read_some(const nd_recording *r, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *values);

/* ---- making ---- */

nd_status ndi_origin_of_content(origin **s, content *c, const signals *about, const char *format); /* takes the content, also on failure */

/* Room for n_samples of the channels of a recording, or of n_channels without names where it is NULL. */
nd_status ndi_origin_of_rows(origin **s, const nd_recording *like, size_t n_channels, uint64_t n_samples, double rate);
void ndi_origin_free(origin *s);

nd_status ndi_recording_of_source(nd_recording **r, origin *s); /* all of it, with its events; takes the source, also on failure */
nd_status ndi_recording_derive(nd_recording **r,
                               const nd_recording *source); /* the same view with the same marks, to be changed before anybody sees it */
nd_status ndi_recording_replace(nd_recording **r, const nd_recording *like, origin *s); /* the marks of `like` over new samples; takes the origin */

enum { NDI_BLOCK_SAMPLES = 1 << 14 };

/* All samples to rows of their own, block by block. `change` (may be NULL) is given each block, channels x n <= NDI_BLOCK_SAMPLES, before it is written. Progress in samples. */
typedef void (*ndi_block_fn)(void *context, double *block, size_t n);
nd_status ndi_recording_copy_samples(origin **s, const nd_recording *r, ndi_block_fn change, void *context, progress *report);
void ndi_recording_free(nd_recording *r);

/* Takes out all marks but those of bad spans and makes room for n more. */
nd_status ndi_recording_clear_marks(nd_recording *r, size_t n);
void ndi_recording_sort_marks(nd_recording *r);
bool ndi_mark_is_bad(const mark *m);

/* ---- operations ---- */

nd_status ndi_recording_open(nd_recording **r, const char *path, const nd_recording_options *o);
nd_status ndi_recording_create(nd_recording **r, const double *data, size_t n_channels, size_t n_samples, const nd_recording_options *o);
nd_status ndi_recording_pick(const nd_recording *r, const char *list, size_t *picked, size_t *n); /* room for all channels in `picked` */
nd_status ndi_recording_select_channels(nd_recording **r, const nd_recording *source, const char *channels);
nd_status ndi_recording_crop(nd_recording **r, const nd_recording *source, double start, double end);
nd_status ndi_recording_find_events(nd_recording **r, const nd_recording *source, const nd_events_options *o);
nd_status ndi_recording_set_events(nd_recording **r, const nd_recording *source, const uint64_t *samples, const int32_t *codes, size_t n);
nd_status ndi_recording_rereference(nd_recording **r, const nd_recording *source, const char *reference);
nd_status ndi_recording_filter(nd_recording **r, const nd_recording *source, const nd_filter_options *o, nd_progress_fn fn, void *user);
nd_status ndi_recording_notch(nd_recording **r, const nd_recording *source, const double *frequencies, size_t n, nd_progress_fn fn, void *user);
nd_status ndi_recording_resample(nd_recording **r, const nd_recording *source, double rate, nd_progress_fn fn, void *user);
nd_status ndi_recording_resample_polyphase(nd_recording **r, const nd_recording *source, double rate, nd_progress_fn fn, void *user);
nd_status ndi_recording_save(const nd_recording *r, const char *path, nd_progress_fn fn, void *user);
nd_status ndi_recording_epoch(nd_dataset **d, const nd_recording *source, const nd_epoch_options *o, nd_epoch_report *report, nd_progress_fn fn,
                              void *user);

#endif
