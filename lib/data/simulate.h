/* Writes a simulated THINGS-EEG2; see the public header. */
#ifndef NDI_SIMULATE_H
#define NDI_SIMULATE_H

#include "neurodecode/simulate.h"

extern const nd_simulate_options ndi_simulate_defaults;

nd_status ndi_simulate(const char *folder, const nd_simulate_options *options, nd_progress_fn progress, void *user);

#endif
