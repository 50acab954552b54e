/* A file that appears whole or not at all: written under a temporary name beside its place, renamed at commit. */
#ifndef NDI_OUT_H
#define NDI_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct out out;

nd_status ndi_out_open(out **o, const char *path);
nd_status ndi_out_write(out *o, const void *bytes, size_t n);                 /* buffered; errors stick */
nd_status ndi_out_write_at(out *o, uint64_t at, const void *bytes, size_t n); /* overwrites earlier bytes, such as a length known at the end */
uint64_t ndi_out_position(const out *o);
nd_status ndi_out_commit(out **o); /* flushes, syncs, renames; frees *o in any case and sets it NULL */
void ndi_out_discard(out **o);     /* removes the temporary file; frees *o and sets it NULL; NULL allowed */
const char *ndi_out_name(const out *o);

#endif
