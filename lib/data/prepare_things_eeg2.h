/* The row of THINGS-EEG2 in the table of preparations. */
#ifndef NDI_PREPARE_THINGS_EEG2_H
#define NDI_PREPARE_THINGS_EEG2_H

#include "data/preparation.h"

extern const preparation_kind ndi_prepare_things_eeg2;

#endif
