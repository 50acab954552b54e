/* The tables that BIDS puts beside a recording. */
#ifndef NDI_BIDS_H
#define NDI_BIDS_H

#include "io/signals.h"

/* Takes events from <stem>_events.tsv and names, types, units and states of the channels from <stem>_channels.tsv beside `path`, whichever there are; the stem
 * is the name up to its last "_", or up to its extension. */
nd_status ndi_bids_apply(content *c, signals *s, const char *path);

#endif
