/* A simulated session as the amplifier saw it: continuous, at 1000 Hz. */
#ifndef NDI_SIMULATE_RAW_H
#define NDI_SIMULATE_RAW_H

#include <stdbool.h>

#include "data/simulate_brain.h"

/* How often an image is shown in each session that it is in; false where the repetitions cannot be dealt out evenly. */
bool ndi_simulate_shown(const nd_simulate_options *o, partition p, uint32_t *times);

/* Trials of a session, targets left out. */
uint64_t ndi_simulate_session_trials(const world *w, partition p, uint32_t session);

nd_status ndi_simulate_session(const char *path, brain *b, pool *workers, const world *w, partition p, uint32_t person, uint32_t session);

#endif
