/* Folders of plain arrays: `sub-01/train.npy`, `sub-01/test.npy` (concept x image x repetition x channel x sample) and above them an `info.json` with `ch_names`, `times` and the
 * shapes, `train_data_shape` and `test_data_shape`, as NeuroBridge (https://github.com/feroooooo/NeuroBridge) and what follows it write THINGS-EEG2. */
#ifndef NDI_SIDECAR_H
#define NDI_SIDECAR_H

#include "base/text.h"
#include "io/content.h"

/* The info.json of an array called train.npy or test.npy: in its folder or in the one above. Left empty where there is none. */
nd_status ndi_sidecar_find(text *info, const char *path);

/* Adds to the content of the array what it says and checks the shape. Does nothing without an info.json, or for a file that brings names of its own. */
nd_status ndi_sidecar_add(content *c, const char *path);

#endif
