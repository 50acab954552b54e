/* What datasets and banks share of the folder layout of THINGS-EEG2. */
#ifndef NDI_THINGS_EEG2_H
#define NDI_THINGS_EEG2_H

#include "base/text.h"

nd_status ndi_things_metadata(text *path, const char *folder); /* path of image_metadata.npy */
nd_status ndi_things_partition(const char *partition);         /* checks that it is "training" or "test" */

#endif
