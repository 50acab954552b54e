/* A dataset is a view: an ordered list of trials and channels over shared storage, plus what is done to a trial when it is read. */
#ifndef NDI_DATASET_H
#define NDI_DATASET_H

#include "base/ids.h"
#include "base/log.h"
#include "base/pool.h"
#include "neurodecode/dataset.h"

/* Sizes (all after selection, as the user sees them). */
size_t ndi_dataset_trials(const nd_dataset *d);
size_t ndi_dataset_channels(const nd_dataset *d);
size_t ndi_dataset_samples(const nd_dataset *d);
double ndi_dataset_rate(const nd_dataset *d);
double ndi_dataset_start(const nd_dataset *d);
int32_t ndi_dataset_normalised(const nd_dataset *d);
const char *ndi_dataset_channel(const nd_dataset *d, size_t index);
const ids *ndi_dataset_images(const nd_dataset *d);                      /* ids that occur, in order of first appearance */
size_t ndi_dataset_image_of(const nd_dataset *d, size_t trial);          /* index into them */
const ids *ndi_dataset_concepts(const nd_dataset *d);
size_t ndi_dataset_concept_of(const nd_dataset *d, size_t trial);
int32_t ndi_dataset_subject_of(const nd_dataset *d, size_t trial);
int32_t ndi_dataset_repetition_of(const nd_dataset *d, size_t trial);
int32_t ndi_dataset_session_of(const nd_dataset *d, size_t trial);
int32_t ndi_dataset_run_of(const nd_dataset *d, size_t trial);

/* One trial, channels x samples, selected and normalised. Concurrent, allocates nothing, cannot fail. */
void ndi_dataset_read(const nd_dataset *d, size_t trial, float *x);
void ndi_dataset_will_read(const nd_dataset *d, size_t trial); /* has it fetched, if it stands in a file; does not wait */

/* Another reference to the same handle; given back with ndi_dataset_free() of data/view.h. */
const nd_dataset *ndi_dataset_ref(const nd_dataset *d);

/* Index of each trial's group ("trial", "image", "concept", "subject", "repetition", "session", "run"), numbered from 0 in order of first
 * appearance. A session is one of a person, a run one of a session. */
nd_status ndi_dataset_groups(const nd_dataset *d, const char *group, size_t *group_of, size_t *n_groups);

/* Checks that all samples are finite; the error names the first bad trial (with its image) and channel. */
nd_status ndi_dataset_check_finite(const nd_dataset *d, pool *p);

#endif
