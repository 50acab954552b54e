/* Which events of a recording become trials, and the image ids they get. */
#ifndef NDI_EPOCH_EVENTS_H
#define NDI_EPOCH_EVENTS_H

#include "base/ids.h"
#include "data/recording.h"

typedef struct epoch_event {
    uint64_t sample;
    size_t image;
} epoch_event;

typedef struct epoch_events {
    epoch_event *items; /* in the order of time */
    size_t n;
    ids images;
} epoch_events;

/* By `events`, `drop`, `images` and `partition` of the options. None left is an error. Free in any case. */
nd_status ndi_epoch_events(epoch_events *e, const nd_recording *r, const nd_epoch_options *o);
void ndi_epoch_events_free(epoch_events *e);

#endif
