/* The row of NSD in the table of preparations. */
#ifndef NDI_PREPARE_NSD_H
#define NDI_PREPARE_NSD_H

#include "data/preparation.h"

extern const preparation_kind ndi_prepare_nsd;

#endif
