/* The measurement information of a FIF file: rate, date and channels. */
#ifndef NDI_FIF_INFO_H
#define NDI_FIF_INFO_H

#include "io/fif.h"
#include "io/signals.h"

enum { FIF_CHANNEL_BYTES = 96 };

typedef struct fif_kind_of_channel {
    const char *type;
    int32_t kind, coil; /* coil: what is written for it */
} fif_kind_of_channel;

const fif_kind_of_channel *ndi_fif_kind_of(const char *type); /* that of `misc` for types that FIF does not know */
const char *ndi_fif_type_of(int32_t kind, int32_t unit);      /* the unit tells magnetometers and gradiometers apart */
int32_t ndi_fif_unit_of(const char *name);                    /* -1 = none */
const char *ndi_fif_unit_name(int32_t unit);                  /* "" = none of V, T and T/m */

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
