/* The bytes of a pickle, taken one after the other through a buffer; bytes of arrays are passed over. */
#ifndef NDI_PICKLE_INPUT_H
#define NDI_PICKLE_INPUT_H

#include "io/stream.h"

enum { NDI_PICKLE_BUFFER = 32768, NDI_PICKLE_LINE = 4096 };

typedef struct pickle_input {
    stream *s;
    uint64_t at, size;  /* position of the next byte to take, and of the end */
    uint64_t buffer_at; /* what the buffer holds: buffer_n bytes from here */
    size_t buffer_n;
    uint8_t buffer[NDI_PICKLE_BUFFER];
} pickle_input;

/* "file: pickle: what, at byte n" */
nd_status ndi_pickle_bad(const pickle_input *in, const char *what);

nd_status ndi_pickle_take(pickle_input *in, void *bytes, size_t n);

/* A little-endian length of `width` bytes that what is left of the file can hold. */
nd_status ndi_pickle_take_length(pickle_input *in, int width, size_t *n);

/* A line of text as the oldest protocols use, without its newline. */
nd_status ndi_pickle_take_line(pickle_input *in, char line[NDI_PICKLE_LINE], size_t *n);

#endif
