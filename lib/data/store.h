/* The store: a safetensors file that is mapped instead of loaded.
 *   tensors   `data` float32 or bfloat16 [trials, channels, samples]; `image` (index into image_ids), `subject`, `repetition`, and, but for older
 *             stores, `session`, `run` int32 [trials]
 *   texts     `image_ids`, `channels`
 *   metadata  neurodecode.kind = "dataset", neurodecode.version, rate, start, normalise, averaged, and neurodecode.source: what it was made from,
 *             so that it can be used again as long as that is the same */
#ifndef NDI_STORE_H
#define NDI_STORE_H

#include "base/log.h"
#include "data/view.h"

/* Samples to be stored, asked for in runs of whole trials from the first to the last. */
typedef struct sample_source {
    nd_status (*read)(void *context, size_t first, size_t count, float *x);
    void *context;
    size_t batch; /* trials worth reading at a time */
} sample_source;

nd_status ndi_precision_check(int32_t precision);

/* Writes labels and timing of `s` (whose own samples are not used) with the samples of `from`; `source` may be NULL. */
nd_status ndi_store_write(const char *path, const storage *s, const sample_source *from, int32_t precision, const char *source);

nd_status ndi_store_is(const content *c, bool *is);
nd_status ndi_store_open(nd_dataset **d, const char *path);
nd_status ndi_store_from_content(nd_dataset **d, content *c, const char *path); /* takes the content, also on failure */

/* Whether the file is a store made from just this source. */
bool ndi_store_is_current(const char *path, const char *source);

nd_status ndi_dataset_save(const nd_dataset *d, const char *path, int32_t precision, nd_progress_fn progress, void *user);

#endif
