/* From files to datasets. */
#ifndef NDI_IMPORT_H
#define NDI_IMPORT_H

#include "base/text.h"
#include "data/view.h"

nd_status ndi_dataset_open(nd_dataset **d, const char *path, const nd_dataset_options *o, nd_progress_fn fn, void *user);
nd_status ndi_dataset_import(nd_dataset **d, const char *source, const char *path, const nd_dataset_options *o, nd_progress_fn fn, void *user);
nd_status ndi_dataset_open_things_eeg2(nd_dataset **d, const char *folder, int32_t subject, const char *partition, const char *store_dir,
                                       const nd_dataset_options *o, nd_progress_fn fn, void *user);

/* The array that holds trials: the one called `variable`, or for NULL one of the usual names or the only one. */
nd_status ndi_import_pick(const content *c, const char *variable, const array **a);

/* Names the files (with size and time of change) and options that a dataset is read from: equal texts, equal datasets. */
nd_status ndi_import_identity(text *t, const char *path, const nd_dataset_options *o);

#endif
