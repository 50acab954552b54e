/* Operations on the samples of whole datasets that need each other's trials or their spectra. */
#ifndef NDI_WHITEN_H
#define NDI_WHITEN_H

#include "data/view.h"

nd_status ndi_dataset_resample(nd_dataset **d, const nd_dataset *source, double rate, nd_progress_fn fn, void *user);
nd_status ndi_dataset_whiten(nd_dataset **d, const nd_dataset *source, const nd_dataset *const *fits, size_t n_fits, int32_t per, nd_progress_fn fn,
                             void *user);

#endif
