/* Elements in any runs, out of a source that gives whole rows: what stands between the two when an array is written as it is made. */
#ifndef NDI_FEED_H
#define NDI_FEED_H

#include <stddef.h>

#include "base/status.h"

typedef struct feed {
    nd_status (*read)(void *context, size_t first, size_t count, void *rows); /* asked for rows in order */
    void *context;
    size_t n_rows, row_elements, element_size;
    size_t batch; /* rows to ask for at a time; the buffer has room for them */
    void *buffer;
    size_t first, count; /* rows in the buffer; 0 at first */
} feed;

/* The `fill` of a put_array whose context is a feed. */
nd_status ndi_feed_fill(void *f, size_t at, size_t count, void *elements);

#endif
