#include "io/feed.h"

#include <stdint.h>
#include <string.h>

static nd_status load(feed *f, size_t row)
{
    f->first = row;
    f->count = 0;
    const size_t count = f->n_rows - row < f->batch ? f->n_rows - row : f->batch;
    TRY(f->read(f->context, row, count, f->buffer));
    f->count = count;
    return ND_OK;
}

nd_status ndi_feed_fill(void *context, size_t at, size_t count, void *elements)
{
    feed *f = context;
    uint8_t *to = elements;
    while (count > 0) {
        const size_t row = at / f->row_elements;
        if (row < f->first || row >= f->first + f->count) TRY(load(f, row));
        const size_t in_buffer = at - f->first * f->row_elements, left = f->count * f->row_elements - in_buffer, n = count < left ? count : left;
        memcpy(to, (const uint8_t *)f->buffer + in_buffer * f->element_size, n * f->element_size);
        to += n * f->element_size;
        at += n;
        count -= n;
    }
    return ND_OK;
}
