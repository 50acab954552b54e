/* Augmentation of the trials of a training batch. All that is random is a function of (seed, step, place in the batch). */
#ifndef NDI_AUGMENT_H
#define NDI_AUGMENT_H

#include "base/params.h"
#include "base/pool.h"

enum augmentation { NDI_SHIFT, NDI_SMOOTH, NDI_SMOOTH_WIDTH, NDI_NOISE, NDI_CHANNEL_DROPOUT, NDI_MIXCO, NDI_AUGMENTATIONS };

extern const param ndi_augmentations[NDI_AUGMENTATIONS];

typedef struct augment {
    double values[NDI_AUGMENTATIONS];
    uint64_t seed;
    size_t channels, samples; /* of a trial */
} augment;

nd_status ndi_augment_parse(augment *a, const char *list); /* "shift=5 noise=0.1"; NULL = none */

bool ndi_augment_any(const augment *a); /* is anything switched on? */

/* Changes the trial x at `place` of the batch of `step` by everything but mixing. `row` is room for its samples of one channel. */
void ndi_augment_trial(const augment *a, uint32_t step, size_t place, float *x, float *row);

/* mixed[i] = share[i] x[i] + (1 - share[i]) x[partner[i]] for n trials. */
void ndi_augment_mix(const augment *a, pool *threads, uint32_t step, size_t n, const float *x, float *mixed, size_t *partner, float *share);

#endif
