#include "io/put.h"

#include <string.h>
#include <zlib.h>

enum { SLICE_BYTES = 1 << 20 };
static const bool host_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

nd_status ndi_put_size(const out *o, const put_array *a, size_t *n, size_t *bytes)
{
    *n = 1;
    bool fits = a->n_dims <= NDI_MAX_DIMS;
    for (size_t i = 0; fits && i < a->n_dims; i++) fits = ndi_mul(*n, a->shape[i], n);
    CHECK(fits && ndi_mul(*n, ndi_dtype_size(a->type), bytes), ND_ERR_ARGUMENT, "%s: array '%s' is too large", ndi_out_name(o), a->name);
    CHECK(*n == 0 || a->data || a->fill, ND_ERR_ARGUMENT, "%s: array '%s' has no elements to write", ndi_out_name(o), a->name);
    return ND_OK;
}

/* Complex numbers are two halves, each with its own byte order. */
static size_t unit_size(dtype type)
{
    const size_t size = ndi_dtype_size(type);
    return type == DTYPE_C64 || type == DTYPE_C128 ? size / 2 : size;
}

static void reverse_units(uint8_t *bytes, size_t n, size_t unit)
{
    for (size_t at = 0; at + unit <= n; at += unit)
        for (size_t i = 0; i < unit / 2; i++) {
            uint8_t b = bytes[at + i];
            bytes[at + i] = bytes[at + unit - 1 - i];
            bytes[at + unit - 1 - i] = b;
        }
}

nd_status ndi_put_bytes(out *o, const void *bytes, size_t n, uint32_t *crc)
{
    if (crc) *crc = (uint32_t)crc32_z(*crc, bytes, n);
    return ndi_out_write(o, bytes, n);
}

static nd_status put_slices(out *o, const put_array *a, size_t n, uint8_t *slice, uint32_t *crc)
{
    const size_t size = ndi_dtype_size(a->type), most = SLICE_BYTES / size;
    for (size_t first = 0; first < n; first += most) {
        const size_t count = n - first < most ? n - first : most, bytes = count * size;
        const uint8_t *from = a->data ? (const uint8_t *)a->data + first * size : slice;
        if (!a->data) TRY(a->fill(a->context, first, count, slice));
        if (host_big_endian) {
            if (a->data) memcpy(slice, from, bytes);
            reverse_units(slice, bytes, unit_size(a->type));
            from = slice;
        }
        TRY(ndi_put_bytes(o, from, bytes, crc));
    }
    return ND_OK;
}

nd_status ndi_put_elements(out *o, const put_array *a, uint32_t *crc)
{
    size_t n, bytes;
    uint8_t *slice;
    TRY(ndi_put_size(o, a, &n, &bytes));
    TRY(NEW(slice, bytes < SLICE_BYTES ? bytes : SLICE_BYTES));
    nd_status status = put_slices(o, a, n, slice, crc);
    ndi_free(slice);
    return status;
}
