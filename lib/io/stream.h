/* Bytes to read, wherever they are: a file, memory, a section of another stream, or what a gzip or deflated section unpacks to. One primitive:
 * read at a position. */
#ifndef NDI_STREAM_H
#define NDI_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct stream stream;

/* Opened streams are freed by ndi_stream_close(), which takes NULL. Messages begin with the stream's name (the path). */
nd_status ndi_stream_open_file(stream **s, const char *path);                                             /* un-gzips by content, not by name */
nd_status ndi_stream_open_memory(stream **s, const void *bytes, size_t n, const char *name);              /* bytes must outlive the stream */
nd_status ndi_stream_open_section(stream **s, stream *parent, uint64_t at, uint64_t n, const char *name); /* the parent must outlive it */
nd_status ndi_stream_open_inflate(stream **s, stream *parent, uint64_t at, uint64_t packed, uint64_t unpacked,
                                  const char *name); /* raw deflate, as in a zip entry */
nd_status ndi_stream_open_zlib(stream **s, stream *parent, uint64_t at, uint64_t packed, uint64_t unpacked,
                               const char *name); /* zlib data, whose checksum is compared when the last byte is read */
nd_status ndi_stream_open_beside(stream **s, const stream *of, const char *name, size_t n); /* the file called `name`, folders in it ignored, where `of` lies */
void ndi_stream_close(stream *s);

const char *ndi_stream_name(const stream *s);
nd_status ndi_stream_size(stream *s, uint64_t *size); /* of a gzip stream: unpacks it once to find out */
nd_status ndi_stream_bound(stream *s, uint64_t *most); /* the size or, of a gzip stream not yet unpacked, the most it can be: costs nothing */

/* Exactly n bytes or an error that names position and size. Plain files, memory and sections of them may be read from several threads at once
 * (`concurrent`); packed streams unpack forward and start over when asked for something earlier, so read them in order and from one thread. */
nd_status ndi_stream_read(stream *s, uint64_t at, void *buffer, size_t n);
nd_status ndi_stream_read_some(stream *s, uint64_t at, void *buffer, size_t n, size_t *got); /* stops at the end: got < n */
bool ndi_stream_concurrent(const stream *s);

/* The bytes in place, where the stream can map them (plain files, memory, stored zip entries): NULL otherwise. Valid until the stream is closed. */
const void *ndi_stream_map(stream *s, uint64_t at, uint64_t n);

#endif
