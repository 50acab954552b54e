/* The measurement information of a FIF file: rate, date and channels. */
#ifndef NDI_FIF_INFO_H
#define NDI_FIF_INFO_H

#include "io/fif.h"
#include "io/signals.h"

typedef struct fif_channel {
    channel is;         /* its scale is range x calibration, as recordings have it */
    double calibration; /* alone, as epochs and averages have it */
} fif_channel;

typedef struct fif_info {
    fif_channel *channels;
    size_t n_channels, capacity, n_named;
    double rate, date;        /* date: seconds since 1970, NaN = not said */
    double highpass, lowpass; /* of the recording system, 0 = not said */
} fif_info;

/* Takes in what a tag says of the measurement. */
nd_status ndi_fif_info_read(fif_info *info, content *c, const fif_cursor *at, const fif_tag *tag);

nd_status ndi_fif_date(const fif_cursor *at, const fif_tag *tag, double *date); /* left alone where the tag is too short */

/* Room in the memory of the content for one more in a list; `list` points to the pointer. */
nd_status ndi_fif_make_room(content *c, void *list, size_t n, size_t *capacity, size_t size);

#endif
