/* The row of THINGS-MEG in the table of preparations. */
#ifndef NDI_PREPARE_THINGS_MEG_H
#define NDI_PREPARE_THINGS_MEG_H

#include "data/preparation.h"

extern const preparation_kind ndi_prepare_things_meg;

#endif
