/* The simulated brain of one person: evoked responses to images, and noise. */
#ifndef NDI_SIMULATE_BRAIN_H
#define NDI_SIMULATE_BRAIN_H

#include "base/pool.h"
#include "data/simulate_world.h"

static const double SIMULATE_RATE = 250, SIMULATE_START = 0;

typedef struct brain brain;

/* Makes the brain of a person, counted from 0. The world must outlive it. */
nd_status ndi_brain_create(brain **b, const world *w, uint32_t person);
void ndi_brain_free(brain *b);

/* All repetitions of images first .. first + count - 1: count x repetitions x channels x samples. */
nd_status ndi_brain_record(brain *b, pool *workers, partition p, size_t first, size_t count, float *data);

/* What images evoke, count x channels x samples, valid until the next call. NDI_NO_IMAGE evokes what all images have in common. */
#define NDI_NO_IMAGE SIZE_MAX
nd_status ndi_brain_evoke(brain *b, pool *workers, partition p, const size_t *images, size_t count, const float **evoked);

/* Noise of a whole session: channels x n_samples at SIMULATE_RATE. */
nd_status ndi_brain_noise(brain *b, pool *workers, partition p, uint32_t session, size_t n_samples, float *x);

const char *ndi_brain_channel(const world *w, size_t channel);

#endif
