/* Where the electrodes of the 10-10 system are (Chatrian et al. 1985), on a head that is a sphere of radius 1. */
#ifndef NDI_ELECTRODES_H
#define NDI_ELECTRODES_H

#include <stdbool.h>
#include <stddef.h>

/* The 63 electrodes of THINGS-EEG2 in the order of its files; the last 17 are the occipital and parietal ones. */
enum { NDI_N_ELECTRODES = 63, NDI_N_POSTERIOR = 17 };
extern const char *const ndi_electrodes[NDI_N_ELECTRODES];

/* x to the right ear, y to the nose, z up. False where the name is not one of the system. */
bool ndi_electrode_position(const char *name, double xyz[3]);

#endif
