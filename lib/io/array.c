/* Reads elements of an array that lies in a stream: any numeric type, either byte order, any order or strides, into C order, as float32, as float64
 * or as they are. Everything goes through slices on the stack, so that reading allocates nothing and may be done by several threads at once. */
#include <string.h>

#include "base/bf16.h"
#include "io/content.h"

enum { SLICE_BYTES = 32768 };
static const bool host_big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

/* ---- one slice: byte order, then type ---- */

/* Complex numbers are two halves, each with its own byte order. */
static void swap_bytes(void *bytes, size_t n, dtype type)
{
    const bool halves = type == DTYPE_C64 || type == DTYPE_C128;
    const size_t size = ndi_dtype_size(type) / (halves ? 2 : 1);
    if (halves) n *= 2;
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

/* Binary16. Shifted into the fields of binary32, the exponent goes up by 112; that of infinity and NaN is put in by hand. A denormal gets the exponent of 2^-14 and is that much too large:
 * no denormal of binary32 comes up, since those may be flushed to zero here. No branch: the loop vectorises. */
static inline float f16_value(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t special = (h & 0x7c00) == 0x7c00 ? 0x7f800000u : 0;
    const float denormal = from_bits(magnitude + (113u << 23)) - 0x1p-14f, normal = from_bits((magnitude + (112u << 23)) | special);
    const float value = (h & 0x7c00) ? normal : denormal;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return from_bits(sign | bits);
}

static inline uint8_t truth(uint8_t b) { return b != 0; }
#define AS_IS(x) (x)

/* Every numeric type: its tag, its storage, how storage becomes a value. */
#define NUMERIC_TYPES(X) \
    X(DTYPE_BOOL, uint8_t, truth) \
    X(DTYPE_I8, int8_t, AS_IS) \
    X(DTYPE_U8, uint8_t, AS_IS) \
    X(DTYPE_I16, int16_t, AS_IS) X(DTYPE_U16, uint16_t, AS_IS) X(DTYPE_I32, int32_t, AS_IS) X(DTYPE_U32, uint32_t, AS_IS) \
        X(DTYPE_I64, int64_t, AS_IS) X(DTYPE_U64, uint64_t, AS_IS) X(DTYPE_F16, uint16_t, f16_value) X(DTYPE_BF16, uint16_t, ndi_bf16_value) \
            X(DTYPE_F32, float, AS_IS) X(DTYPE_F64, double, AS_IS)

#define CONVERT(tag, storage, value) \
    case tag: { \
        const storage *x = from; \
        if (to_type == DTYPE_F64) \
            for (size_t i = 0; i < n; i++) ((double *)to)[i] = (double)value(x[i]); \
        else \
            for (size_t i = 0; i < n; i++) ((float *)to)[i] = (float)value(x[i]); \
        break; \
    }

/* n native elements to float64 or float32. */
static void convert(dtype type, const void *restrict from, size_t n, void *restrict to, dtype to_type)
{
    switch (type) {
        NUMERIC_TYPES(CONVERT)
    default: break;
    }
}

/* n elements of one size, to every step-th place. */
static void spread(void *restrict to, size_t step, const void *restrict from, size_t n, size_t size)
{
#define SPREAD(element) \
    for (size_t i = 0; i < n; i++) ((element *)to)[i * step] = ((const element *)from)[i]
    switch (size) {
    case 1: SPREAD(uint8_t); break;
    case 2: SPREAD(uint16_t); break;
    case 4: SPREAD(uint32_t); break;
    case 8: SPREAD(uint64_t); break;
    default: /* complex128 */
        for (size_t i = 0; i < n; i++) memcpy((char *)to + i * step * size, (const char *)from + i * size, size);
    }
#undef SPREAD
}

/* A slice of raw elements becomes what is wanted; the same place serves for both where the type stays. */
static void finish(const array *a, void *slice, size_t n, void *to, dtype as)
{
    if (a->big_endian != host_big_endian) swap_bytes(slice, n, a->type);
    if (a->type != as) convert(a->type, slice, n, to, as);
}

/* ---- C order ---- */

/* Elements that follow each other in the file. */
static nd_status read_run(const array *a, size_t first, size_t count, void *values, dtype as)
{
    _Alignas(64) char slice[SLICE_BYTES];
    const size_t size = ndi_dtype_size(a->type), most = SLICE_BYTES / size, out_size = ndi_dtype_size(as);
    const bool direct = a->type == as, swap = a->big_endian != host_big_endian;
    while (count > 0) {
        size_t n = count < most || (direct && !swap) ? count : most;
        void *to = direct ? values : slice;
        TRY(ndi_stream_read(a->in, a->at + (uint64_t)first * size, to, n * size));
        finish(a, to, n, values, as);
        values = (char *)values + n * out_size;
        first += n;
        count -= n;
    }
    return ND_OK;
}

/* ---- scale ---- */

/* Scales n values that were read from element `first` (C order) on. Of complex numbers, which have two halves, only the scale counts. */
static void scale_values(const array *a, size_t first, size_t n, void *values, dtype as)
{
    const size_t halves = as == DTYPE_C64 || as == DTYPE_C128 ? 2 : 1, extent = a->scaled_dim < a->n_dims ? a->shape[a->scaled_dim] : 1;
    const bool single = as == DTYPE_F32 || as == DTYPE_C64;
    const double intercept = halves == 1 ? a->intercept : 0;
    size_t inner = 1; /* elements that follow each other with one scale */
    for (size_t d = a->scaled_dim < a->n_dims ? a->scaled_dim + 1 : 0; d < a->n_dims; d++) inner *= a->shape[d];
    for (size_t i = 0, stop; i < n; i = stop) {
        const size_t row = (first + i) / inner;
        const double scale = a->scale[row % extent];
        stop = (row + 1) * inner - first;
        if (stop > n) stop = n;
        for (size_t k = i * halves; k < stop * halves; k++)
            if (single)
                ((float *)values)[k] = (float)((double)((float *)values)[k] * scale + intercept);
            else
                ((double *)values)[k] = ((double *)values)[k] * scale + intercept;
    }
}

/* ---- strides ---- */

/* Where an element in C order stands. */
typedef struct position {
    const array *a;
    size_t index[NDI_MAX_DIMS], place;
} position;

static position position_of(const array *a, size_t element)
{
    position p = { .a = a };
    for (size_t d = a->n_dims; d-- > 0; element /= a->shape[d]) {
        p.index[d] = element % a->shape[d];
        p.place += p.index[d] * a->strides[d];
    }
    return p;
}

static void next_position(position *p)
{
    const array *a = p->a;
    for (size_t d = a->n_dims; d-- > 0;) {
        p->place += a->strides[d];
        if (++p->index[d] < a->shape[d]) return;
        p->place -= a->shape[d] * a->strides[d];
        p->index[d] = 0;
    }
}

/* n elements from the position on, raw: from the mapping `bytes` of the array, or one by one from the stream where there is none. */
static nd_status gather(position *p, const char *bytes, size_t n, char *to)
{
    const size_t size = ndi_dtype_size(p->a->type);
    for (size_t i = 0; i < n; i++, next_position(p), to += size)
        if (bytes)
            memcpy(to, bytes + p->place * size, size);
        else
            TRY(ndi_stream_read(p->a->in, p->a->at + (uint64_t)p->place * size, to, size));
    return ND_OK;
}

static nd_status read_strided(const array *a, size_t first, size_t count, void *values, dtype as)
{
    _Alignas(64) char slice[SLICE_BYTES];
    const size_t most = SLICE_BYTES / ndi_dtype_size(a->type), out_size = ndi_dtype_size(as);
    const char *bytes = ndi_stream_map(a->in, a->at, 0);
    position p = position_of(a, first);
    for (size_t n; count > 0; count -= n, values = (char *)values + n * out_size) {
        n = count < most ? count : most;
        char *to = a->type == as ? values : slice;
        TRY(gather(&p, bytes, n, to));
        finish(a, to, n, values, as);
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
    dtype as;
    _Alignas(64) char window[SLICE_BYTES];
} columns;

static void next_column(columns *m)
{
    size_t i = 1;
    while (i < m->a->n_dims && ++m->index[i] == m->a->shape[i]) m->index[i++] = 0;
    m->place = 0;
    for (i = 1; i < m->a->n_dims; i++) m->place = m->place * m->a->shape[i] + m->index[i];
}

/* Elements from .. till - 1 of the file (no more than a window), converted. Short columns are read many at a time. */
static nd_status look_at(columns *m, size_t from, size_t till, const void **values)
{
    const size_t out_size = ndi_dtype_size(m->as), most = SLICE_BYTES / out_size;
    if (from < m->from || till > m->till) {
        size_t n = m->rows <= most / 4 ? most : till - from;
        if (n > m->a->n - from) n = m->a->n - from;
        m->from = m->till = 0;
        TRY(read_run(m->a, from, n, m->window, m->as));
        m->from = from;
        m->till = from + n;
    }
    *values = m->window + (from - m->from) * out_size;
    return ND_OK;
}

/* Rows row .. row + n_rows - 1 of every column, of which elements first .. first + count - 1 (C order) are wanted. */
static nd_status read_rows(columns *m, size_t row, size_t n_rows, size_t first, size_t count, void *values)
{
    const size_t size = ndi_dtype_size(m->as);
    m->place = 0;
    memset(m->index, 0, sizeof m->index);
    for (size_t column = 0; column < m->n; column++, next_column(m)) {
        size_t start = row, end = row + n_rows; /* the rows of this column that are wanted */
        if (start * m->n + m->place < first) start++;
        if ((end - 1) * m->n + m->place >= first + count) end--;
        if (start >= end) continue;
        const void *x;
        TRY(look_at(m, column * m->rows + start, column * m->rows + end, &x));
        const size_t to = start * m->n + m->place - first;
        spread((char *)values + to * size, m->n, x, end - start, size);
    }
    return ND_OK;
}

static nd_status read_fortran(const array *a, size_t first, size_t count, void *values, dtype as)
{
    columns m = { .a = a, .rows = a->shape[0], .n = a->n / a->shape[0], .as = as };
    const size_t most = SLICE_BYTES / ndi_dtype_size(as), last_row = (first + count - 1) / m.n;
    for (size_t row = first / m.n; row <= last_row; row += most) {
        size_t n = last_row - row + 1;
        m.from = m.till = 0;
        TRY(read_rows(&m, row, n < most ? n : most, first, count, values));
    }
    return ND_OK;
}

/* ---- entry points ---- */

static nd_status read_array(const array *a, size_t first, size_t count, void *values, dtype as)
{
    const bool complex_numbers = a->type == DTYPE_C64 || a->type == DTYPE_C128;
    CHECK(!complex_numbers || a->type == as, ND_ERR_UNSUPPORTED, "%s: array '%s' holds complex numbers, expected real ones", ndi_stream_name(a->in),
          a->name);
    CHECK(first <= a->n && count <= a->n - first, ND_ERR_ARGUMENT, "%s: array '%s' has %zu elements, got a request for %zu from %zu on",
          ndi_stream_name(a->in), a->name, a->n, count, first);
    if (count == 0) return ND_OK;
    if (a->strided)
        TRY(read_strided(a, first, count, values, as));
    else if (ndi_array_is_c_order(a))
        TRY(read_run(a, first, count, values, as));
    else
        TRY(read_fortran(a, first, count, values, as));
    if (a->scale) scale_values(a, first, count, values, as);
    return ND_OK;
}

nd_status ndi_array_read_f32(const array *a, size_t first, size_t count, float *values) { return read_array(a, first, count, values, DTYPE_F32); }
nd_status ndi_array_read_f64(const array *a, size_t first, size_t count, double *values) { return read_array(a, first, count, values, DTYPE_F64); }
nd_status ndi_array_read_native(const array *a, size_t first, size_t count, void *elements)
{
    return read_array(a, first, count, elements, ndi_array_value_type(a));
}

const void *ndi_array_map(const array *a, dtype type)
{
    if (a->scale || a->type != type || a->big_endian != host_big_endian || !ndi_array_is_c_order(a)) return NULL;
    const void *bytes = ndi_stream_map(a->in, a->at, (uint64_t)a->n * ndi_dtype_size(type));
    return (uintptr_t)bytes % ndi_dtype_size(type) == 0 ? bytes : NULL;
}
