/* The names of THINGS-MEG (Hebart et al., eLife 2023), of which recordings and embeddings must make the same image ids. */
#ifndef NDI_THINGS_MEG_H
#define NDI_THINGS_MEG_H

#include "base/text.h"

/* Writes the id of the image that a path names, `concept/file` without suffix: `images_meg/dog/dog_01b.jpg` is `dog/dog_01b`, and `images_test_meg/dog_22s.jpg`,
 * which is in no folder of its concept, is `dog/dog_22s`. Other paths stay as they are. */
nd_status ndi_things_meg_id(text *id, const char *path);

#endif
