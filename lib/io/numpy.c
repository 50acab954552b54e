#include "io/numpy.h"

#include <string.h>
#include <utf8proc.h>

#include "base/bytes.h"

static const struct {
    char letter;
    size_t size;
    dtype type;
    const char *descr;
} numbers[] = {
    { 'b', 1, DTYPE_BOOL, "|b1" }, { 'i', 1, DTYPE_I8, "|i1" },     { 'u', 1, DTYPE_U8, "|u1" },  { 'i', 2, DTYPE_I16, "<i2" },
    { 'u', 2, DTYPE_U16, "<u2" },  { 'i', 4, DTYPE_I32, "<i4" },    { 'u', 4, DTYPE_U32, "<u4" }, { 'i', 8, DTYPE_I64, "<i8" },
    { 'u', 8, DTYPE_U64, "<u8" },  { 'f', 2, DTYPE_F16, "<f2" },    { 'f', 4, DTYPE_F32, "<f4" }, { 'f', 8, DTYPE_F64, "<f8" },
    { 'c', 8, DTYPE_C64, "<c8" },  { 'c', 16, DTYPE_C128, "<c16" },
};

const char *ndi_numpy_descr(dtype type)
{
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (numbers[i].type == type) return numbers[i].descr;
    return NULL;
}

/* Decimal digits that fill s .. end; at most nine, which no element size exceeds. */
static bool parse_size(const char *s, const char *end, size_t *value)
{
    if (s == end || end - s > 9) return false;
    for (*value = 0; s < end; s++) {
        if (*s < '0' || *s > '9') return false;
        *value = *value * 10 + (size_t)(*s - '0');
    }
    return true;
}

nd_status ndi_numpy_type(numpy_type *t, const char *descr, size_t n)
{
    const char *s = descr, *end = descr + n;
    const int shown = n < 60 ? (int)n : 60;
    *t = (numpy_type){ .kind = NUMPY_NUMBER, .big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ };
    if (s < end && strchr("<>=|", *s)) {
        if (*s == '<' || *s == '>') t->big_endian = *s == '>';
        s++;
    }
    const char letter = s < end ? *s : '\0';
    if (s < end) s++;
    if (letter == '?' && s == end) return ndi_numpy_type(t, "|b1", 3);
    if (letter == 'O') { /* old versions write the size of a pointer behind it */
        t->kind = NUMPY_OBJECT;
        return ND_OK;
    }
    size_t size;
    if (parse_size(s, end, &size)) {
        if (letter == 'U' || letter == 'S' || letter == 'a') {
            t->kind = letter == 'U' ? NUMPY_UNICODE : NUMPY_BYTES;
            t->size = letter == 'U' ? 4 * size : size;
            return ND_OK;
        }
        for (size_t i = 0; i < COUNT(numbers); i++) {
            if (numbers[i].letter != letter || numbers[i].size != size) continue;
            t->number = numbers[i].type;
            t->size = size;
            return ND_OK;
        }
    }
    return ndi_fail(ND_ERR_UNSUPPORTED, "NumPy type %.*s, expected numbers, booleans or strings", shown, descr);
}

/* One element of type U as UTF-8 into `to` (room for its size in bytes); padding NULs end it. */
static nd_status decode_ucs4(const uint8_t *item, size_t bytes, bool big_endian, char *to, size_t *n)
{
    char *start = to;
    for (size_t i = 0; i + 4 <= bytes; i += 4) {
        uint32_t point = ndi_le32(item + i);
        if (big_endian) point = __builtin_bswap32(point);
        if (point == 0) break;
        CHECK(point <= INT32_MAX && utf8proc_codepoint_valid((utf8proc_int32_t)point), ND_ERR_FORMAT, "character %u is not Unicode", point);
        to += utf8proc_encode_char((utf8proc_int32_t)point, (utf8proc_uint8_t *)to);
    }
    *n = (size_t)(to - start);
    return ND_OK;
}

/* n elements of a string type, in pieces of whole elements. `buffer` holds `room` elements and one decoded element. */
static nd_status read_texts(content *c, const numpy_type *t, const array *a, size_t n, const char **items, uint8_t *buffer, size_t room)
{
    char *decoded = (char *)buffer + room * t->size;
    for (size_t first = 0; first < n; first += room) {
        size_t count = n - first < room ? n - first : room;
        TRY(ndi_stream_read(a->in, a->at + (uint64_t)first * t->size, buffer, count * t->size));
        for (size_t i = 0; i < count; i++) {
            const uint8_t *item = buffer + i * t->size;
            size_t length = t->size;
            if (t->kind == NUMPY_UNICODE)
                TRY(ndi_prefix(decode_ucs4(item, t->size, t->big_endian, decoded, &length), "%s: '%s'", ndi_stream_name(a->in), a->name));
            TRY(ndi_content_text(c, t->kind == NUMPY_UNICODE ? decoded : (const char *)item, length, &items[first + i]));
        }
    }
    return ND_OK;
}

static nd_status add_texts(content *c, const numpy_type *t, const array *a)
{
    static const size_t piece = 65536;
    size_t n = 1, bytes = 0;
    uint64_t size;
    bool fits = true;
    for (size_t i = 0; fits && i < a->n_dims; i++) fits = ndi_mul(n, a->shape[i], &n);
    TRY(ndi_stream_size(a->in, &size));
    fits = fits && ndi_mul(n, t->size ? t->size : 1, &bytes) && a->at <= size && bytes <= size - a->at;
    CHECK(fits, ND_ERR_FORMAT, "%s: '%s' is said to hold %zu strings of %zu bytes, got a file of %llu", ndi_stream_name(a->in), a->name, n, t->size,
          (unsigned long long)size);
    CHECK(!a->fortran || a->n_dims < 2, ND_ERR_UNSUPPORTED, "%s: '%s' holds strings in Fortran order, expected C order", ndi_stream_name(a->in),
          a->name);
    const char **items;
    TRY(ndi_content_add_texts(c, a->name, n, a->n_dims > 0, &items));
    size_t room = t->size && t->size < piece ? piece / t->size : 1;
    if (room > n) room = n ? n : 1;
    uint8_t *buffer;
    TRY(NEW(buffer, (room + 1) * t->size + 1));
    nd_status status = read_texts(c, t, a, n, items, buffer, room);
    ndi_free(buffer);
    return status;
}

nd_status ndi_numpy_text(content *c, const numpy_type *t, stream *in, uint64_t at, const char **copy)
{
    const array a = { .name = "a string", .in = in, .at = at };
    uint8_t *buffer;
    TRY(NEW(buffer, 2 * t->size + 1));
    nd_status status = read_texts(c, t, &a, 1, copy, buffer, 1);
    ndi_free(buffer);
    return status;
}

nd_status ndi_numpy_add(content *c, const numpy_type *t, const array *a)
{
    if (t->kind != NUMPY_NUMBER) return add_texts(c, t, a);
    array numeric = *a;
    numeric.type = t->number;
    numeric.big_endian = t->big_endian;
    return ndi_content_add_array(c, &numeric);
}
