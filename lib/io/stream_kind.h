/* How a kind of stream is made: four functions over a common head. Private to the files that make kinds (stream.c, inflate.c) and to those that
 * open them. */
#ifndef NDI_STREAM_KIND_H
#define NDI_STREAM_KIND_H

#include "io/stream.h"

typedef struct stream_kind {
    nd_status (*read)(stream *s, uint64_t at, void *buffer, size_t n, size_t *got); /* at most n bytes, fewer only at the end */
    nd_status (*size)(stream *s, uint64_t *size);
    nd_status (*bound)(stream *s, uint64_t *most);          /* NULL: the size, which costs nothing to find out */
    const void *(*map)(stream *s, uint64_t at, uint64_t n); /* NULL: this kind never maps; the range is inside the stream */
    void (*close)(stream *s);                               /* what the kind holds besides its own block */
} stream_kind;

struct stream {
    const stream_kind *kind;
    char *name;
    bool concurrent;
};

/* Allocates `bytes` for a struct that begins with a stream and fills in the head. */
nd_status ndi_stream_new(stream **s, size_t bytes, const stream_kind *kind, const char *name, bool concurrent);

/* What a gzip file unpacks to, all its members. The parent must outlive it unless `own`, then it is closed with it, and at once on failure. */
nd_status ndi_stream_open_gzip(stream **s, stream *parent, bool own, const char *name);

/* For a stream of ndi_stream_open_inflate(): reading its last byte fails unless all bytes have this CRC-32. */
void ndi_stream_expect_crc(stream *s, uint32_t crc);

/* Gives back the memory of a packed stream until it is read again, then from its beginning. Does nothing to the others. */
void ndi_stream_release(stream *s);

#endif
