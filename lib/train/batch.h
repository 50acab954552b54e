/* The trials of a step: gathered from the dataset, and the next ones fetched ahead from a file that memory does not hold. */
#ifndef NDI_BATCH_H
#define NDI_BATCH_H

#include "train/trainer.h"

typedef struct batch {
    const size_t *trials;
    size_t n, left; /* of these; in all, to the end of the epoch */
} batch;

void ndi_gather(nd_trainer *t, batch b, bool training); /* into t->x, z, subjects and images; in training they are augmented */

#endif
