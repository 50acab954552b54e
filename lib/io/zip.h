/* ZIP archives: .npz files, and whatever else comes in them. Members are stored or deflated, zip64 included. */
#ifndef NDI_ZIP_H
#define NDI_ZIP_H

#include "base/text.h"
#include "io/content.h"
#include "io/out.h"

typedef struct zip_entry {
    const char *name;
    uint64_t at;               /* of its local header */
    uint64_t packed, unpacked; /* bytes */
    uint32_t crc;
    uint16_t method, flags;
} zip_entry;

typedef struct zip {
    stream *in;
    zip_entry *entries;
    size_t n;
    arena names;
} zip;

/* Reads the list of members. Start from {0}; free in any case. */
nd_status ndi_zip_read(zip *z, stream *s);
void ndi_zip_free(zip *z);

/* The bytes of one member as a stream, to be closed before the archive's. Deflated ones have their checksum tested when read to their end. */
nd_status ndi_zip_open(const zip *z, const zip_entry *e, stream **s);

bool ndi_zip_probe(const uint8_t *head, size_t n);

/* Writing: members are stored, each aligned to 64 bytes. Between begin and end exactly `size` bytes are written to `o`. Start from {.o = o}. */
typedef struct zip_out {
    out *o;
    text directory;
    size_t n;
    zip_entry now; /* the member being written; its name is kept in `name` */
    text name;
} zip_out;

nd_status ndi_zip_begin(zip_out *z, const char *name, const char *suffix, uint64_t size);
nd_status ndi_zip_end(zip_out *z, uint32_t crc);
nd_status ndi_zip_finish(zip_out *z);
void ndi_zip_out_free(zip_out *z);

#endif
