/* For formats that write: the elements of an array, wherever they come from. */
#ifndef NDI_PUT_H
#define NDI_PUT_H

#include "io/format.h"

/* Where a format without a place for metadata keeps it: a text of this name, which ndi_content_open() turns back into metadata. */
#define NDI_METADATA_NAME "__metadata__"

/* Number of elements and bytes, checked for overflow. */
nd_status ndi_put_size(const out *o, const put_array *a, size_t *n, size_t *bytes);

/* All elements, little endian, in slices of bounded memory. `crc` (may be NULL) goes on with the CRC-32 of what is written. */
nd_status ndi_put_elements(out *o, const put_array *a, uint32_t *crc);
nd_status ndi_put_bytes(out *o, const void *bytes, size_t n, uint32_t *crc);

#endif
