/* Reads elements of an array that lies in a stream: any numeric type, either byte order, C or Fortran order, into float32 or float64 in C order.
 * Everything goes through slices on the stack, so that reading allocates nothing and may be done by several threads at once. */
#include <string.h>

#include "io/content.h"

enum { SLICE_BYTES = 32768 };
static const bool host_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

/* ---- one slice: byte order, then type ---- */

static void swap_bytes(void *bytes, size_t n, size_t size)
{
    if (size == 2)
        for (uint16_t *p = bytes, *end = p + n; p < end; p++) *p = __builtin_bswap16(*p);
    if (size == 4)
        for (uint32_t *p = bytes, *end = p + n; p < end; p++) *p = __builtin_bswap32(*p);
    if (size == 8)
        for (uint64_t *p = bytes, *end = p + n; p < end; p++) *p = __builtin_bswap64(*p);
}

static inline float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float bf16_value(uint16_t h) { return from_bits((uint32_t)h << 16); }

/* Binary16. Shifted into the fields of binary32 its value is too small by 2^112, which one exact product mends, denormals included; the exponent
 * of infinity and NaN is put in by hand. No branch: the loop vectorises. */
static inline float f16_value(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = (uint32_t)(h & 0x7fff) << 13;
    uint32_t special = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    uint32_t bits;
    float value = from_bits(magnitude) * 0x1p112f;
    memcpy(&bits, &value, sizeof bits);
    return from_bits(sign | bits | special);
}

static inline uint8_t truth(uint8_t b) { return b != 0; }
#define AS_IS(x) (x)

/* Every numeric type: its tag, its storage, how storage becomes a value. */
#define NUMERIC_TYPES(X) \
    X(DTYPE_BOOL, uint8_t, truth) \
    X(DTYPE_I8, int8_t, AS_IS) X(DTYPE_U8, uint8_t, AS_IS) X(DTYPE_I16, int16_t, AS_IS) X(DTYPE_U16, uint16_t, AS_IS) X(DTYPE_I32, int32_t, AS_IS) \
        X(DTYPE_U32, uint32_t, AS_IS) X(DTYPE_I64, int64_t, AS_IS) X(DTYPE_U64, uint64_t, AS_IS) X(DTYPE_F16, uint16_t, f16_value) \
            X(DTYPE_BF16, uint16_t, bf16_value) X(DTYPE_F32, float, AS_IS) X(DTYPE_F64, double, AS_IS)

#define CONVERT(tag, storage, value) \
    case tag: { \
        const storage *x = from; \
        if (wide) \
            for (size_t i = 0; i < n; i++) ((double *)to)[i] = (double)value(x[i]); \
        else \
            for (size_t i = 0; i < n; i++) ((float *)to)[i] = (float)value(x[i]); \
        break; \
    }

/* n native elements to double (wide) or float. */
static void convert(dtype type, const void *restrict from, size_t n, void *restrict to, bool wide)
{
    switch (type) {
        NUMERIC_TYPES(CONVERT)
    default: break;
    }
}

/* ---- C order ---- */

/* Elements that follow each other in the file. */
static nd_status read_run(const array *a, size_t first, size_t count, void *values, bool wide)
{
    _Alignas(64) char slice[SLICE_BYTES];
    const size_t size = ndi_dtype_size(a->type), most = SLICE_BYTES / size, out_size = wide ? sizeof(double) : sizeof(float);
    const bool direct = a->type == (wide ? DTYPE_F64 : DTYPE_F32), swap = a->big_endian != host_big_endian;
    while (count > 0) {
        size_t n = count < most || (direct && !swap) ? count : most;
        void *to = direct ? values : slice;
        TRY(ndi_stream_read(a->in, a->at + (uint64_t)first * size, to, n * size));
        if (swap) swap_bytes(to, n, size);
        if (!direct) convert(a->type, slice, n, values, wide);
        values = (char *)values + n * out_size;
        first += n;
        count -= n;
    }
    return ND_OK;
}

/* ---- Fortran order ---- */

/* The array as a matrix of shape[0] rows, whose columns lie one after the other in the file; a column is one choice of the other indices. */
typedef struct columns {
    const array *a;
    size_t rows, n;             /* n columns */
    size_t index[NDI_MAX_DIMS]; /* of the present column; [0] is not used */
    size_t place;               /* of the present column in C order */
    size_t from, till;          /* elements of the file in `window`, converted */
    double window[SLICE_BYTES / sizeof(double)];
} columns;

static void next_column(columns *m)
{
    size_t i = 1;
    while (i < m->a->n_dims && ++m->index[i] == m->a->shape[i]) m->index[i++] = 0;
    m->place = 0;
    for (i = 1; i < m->a->n_dims; i++) m->place = m->place * m->a->shape[i] + m->index[i];
}

/* Elements from .. till - 1 of the file (no more than a window) as doubles or floats. Short columns are read many at a time. */
static nd_status look_at(columns *m, size_t from, size_t till, bool wide, const void **values)
{
    const size_t most = COUNT(m->window), out_size = wide ? sizeof(double) : sizeof(float);
    if (from < m->from || till > m->till) {
        size_t n = m->rows <= most / 4 ? most : till - from;
        if (n > m->a->n - from) n = m->a->n - from;
        m->from = m->till = 0;
        TRY(read_run(m->a, from, n, m->window, wide));
        m->from = from;
        m->till = from + n;
    }
    *values = (const char *)m->window + (from - m->from) * out_size;
    return ND_OK;
}

/* Rows row .. row + n_rows - 1 of every column, of which elements first .. first + count - 1 (C order) are wanted. */
static nd_status read_rows(columns *m, size_t row, size_t n_rows, size_t first, size_t count, void *values, bool wide)
{
    m->place = 0;
    memset(m->index, 0, sizeof m->index);
    for (size_t column = 0; column < m->n; column++, next_column(m)) {
        size_t start = row, end = row + n_rows; /* the rows of this column that are wanted */
        if (start * m->n + m->place < first) start++;
        if ((end - 1) * m->n + m->place >= first + count) end--;
        if (start >= end) continue;
        const void *x;
        TRY(look_at(m, column * m->rows + start, column * m->rows + end, wide, &x));
        size_t to = start * m->n + m->place - first;
        if (wide)
            for (size_t i = 0; i < end - start; i++) ((double *)values)[to + i * m->n] = ((const double *)x)[i];
        else
            for (size_t i = 0; i < end - start; i++) ((float *)values)[to + i * m->n] = ((const float *)x)[i];
    }
    return ND_OK;
}

static nd_status read_fortran(const array *a, size_t first, size_t count, void *values, bool wide)
{
    columns m = { .a = a, .rows = a->shape[0], .n = a->n / a->shape[0] };
    const size_t most = COUNT(m.window), last_row = (first + count - 1) / m.n;
    for (size_t row = first / m.n; row <= last_row; row += most) {
        size_t n = last_row - row + 1;
        m.from = m.till = 0;
        TRY(read_rows(&m, row, n < most ? n : most, first, count, values, wide));
    }
    return ND_OK;
}

/* ---- entry points ---- */

static nd_status read_array(const array *a, size_t first, size_t count, void *values, bool wide)
{
    CHECK(a->type != DTYPE_C64 && a->type != DTYPE_C128, ND_ERR_UNSUPPORTED, "%s: array '%s' holds complex numbers, expected real ones",
          ndi_stream_name(a->in), a->name);
    CHECK(first <= a->n && count <= a->n - first, ND_ERR_ARGUMENT, "%s: array '%s' has %zu elements, got a request for %zu from %zu on",
          ndi_stream_name(a->in), a->name, a->n, count, first);
    if (count == 0) return ND_OK;
    return a->fortran && a->n_dims > 1 ? read_fortran(a, first, count, values, wide) : read_run(a, first, count, values, wide);
}

nd_status ndi_array_read_f32(const array *a, size_t first, size_t count, float *values) { return read_array(a, first, count, values, false); }
nd_status ndi_array_read_f64(const array *a, size_t first, size_t count, double *values) { return read_array(a, first, count, values, true); }

const float *ndi_array_map_f32(const array *a)
{
    if (a->type != DTYPE_F32 || a->big_endian != host_big_endian || (a->fortran && a->n_dims > 1)) return NULL;
    const void *bytes = ndi_stream_map(a->in, a->at, (uint64_t)a->n * sizeof(float));
    return (uintptr_t)bytes % _Alignof(float) == 0 ? bytes : NULL;
}
