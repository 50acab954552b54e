/* Builds and searches the list of what is in a file. Reading numbers is in array.c. */
#include "io/content.h"

#include <string.h>
#include <utf8proc.h>

#include "base/text.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[DTYPE_COUNT] = {
    [DTYPE_BOOL] = { "bool", 1 },   [DTYPE_I8] = { "int8", 1 },       [DTYPE_U8] = { "uint8", 1 },         [DTYPE_I16] = { "int16", 2 },
    [DTYPE_U16] = { "uint16", 2 },  [DTYPE_I32] = { "int32", 4 },     [DTYPE_U32] = { "uint32", 4 },       [DTYPE_I64] = { "int64", 8 },
    [DTYPE_U64] = { "uint64", 8 },  [DTYPE_F16] = { "float16", 2 },   [DTYPE_BF16] = { "bfloat16", 2 },    [DTYPE_F32] = { "float32", 4 },
    [DTYPE_F64] = { "float64", 8 }, [DTYPE_C64] = { "complex64", 8 }, [DTYPE_C128] = { "complex128", 16 },
};

size_t ndi_dtype_size(dtype type) { return dtypes[type].size; }
const char *ndi_dtype_name(dtype type) { return dtypes[type].name; }

void ndi_content_free(content *c)
{
    if (!c) return;
    for (size_t i = c->n_streams; i-- > 0;) ndi_stream_close(c->streams[i]);
    ndi_free(c->streams);
    ndi_free(c->arrays);
    ndi_free(c->texts);
    ndi_arena_free(&c->memory);
    ndi_free(c);
}

const array *ndi_content_array(const content *c, const char *name)
{
    for (size_t i = 0; i < c->n_arrays; i++)
        if (strcmp(c->arrays[i].name, name) == 0) return &c->arrays[i];
    return NULL;
}

const texts *ndi_content_texts(const content *c, const char *name)
{
    for (size_t i = 0; i < c->n_texts; i++)
        if (strcmp(c->texts[i].name, name) == 0) return &c->texts[i];
    return NULL;
}

static bool is_number(dtype type) { return type != DTYPE_C64 && type != DTYPE_C128; }

/* "a, b and 12 more" */
static void list_arrays(const content *c, char *line, size_t capacity)
{
    static const size_t most = 12;
    size_t n = 0;
    ndi_format(line, capacity, "%s", c->n_arrays ? "" : "no arrays");
    for (size_t i = 0; i < c->n_arrays && i < most; i++, n = strlen(line))
        ndi_format(line + n, capacity - n, "%s%s", i ? ", " : "", c->arrays[i].name);
    if (c->n_arrays > most) ndi_format(line + n, capacity - n, " and %zu more", c->n_arrays - most);
}

nd_status ndi_content_pick(const content *c, const char *name, const array **a)
{
    char there[512];
    const char *file = c->n_streams ? ndi_stream_name(c->streams[0]) : c->format;
    list_arrays(c, there, sizeof there);
    const array *found = NULL;
    CHECK(c->n_arrays || !c->signals, ND_ERR_UNSUPPORTED, "%s: is a continuous recording, expected arrays: open it as a recording", file);
    if (name) {
        found = ndi_content_array(c, name);
        CHECK(found, ND_ERR_FORMAT, "%s: has no array '%s', got %s", file, name, there);
    }
    for (size_t i = 0; !name && i < c->n_arrays; i++) {
        if (!is_number(c->arrays[i].type)) continue;
        CHECK(!found, ND_ERR_FORMAT, "%s: which array is meant? got %s", file, there);
        found = &c->arrays[i];
    }
    CHECK(found, ND_ERR_FORMAT, "%s: has no array of numbers, got %s", file, there);
    *a = found;
    return ND_OK;
}

/* Room for one more in a list of things of `size` bytes. */
static nd_status make_room(void **list, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) return ND_OK;
    size_t more = *capacity ? 2 * *capacity : 8;
    void *bigger = ndi_realloc(*list, *capacity * size, more * size);
    CHECK(bigger, ND_ERR_MEMORY, "out of memory");
    *list = bigger;
    *capacity = more;
    return ND_OK;
}

/* Elements of an array and elements of the stream that it spans, false on overflow. They differ only with strides. */
static bool measure(const array *a, size_t *n, size_t *span)
{
    size_t step, end = 1;
    bool fits = true;
    *n = 1;
    *span = 0;
    for (size_t i = 0; i < a->n_dims; i++)
        if (a->shape[i] == 0) *n = 0;
    if (*n == 0) return true;
    for (size_t i = 0; fits && i < a->n_dims; i++) {
        fits = ndi_mul(*n, a->shape[i], n);
        if (a->strided) fits = fits && ndi_mul(a->shape[i] - 1, a->strides[i], &step) && !__builtin_add_overflow(end, step, &end);
    }
    *span = a->strided ? end : *n;
    return fits;
}

/* The rows of a strided array that are already in C order need no strides; extents of 1 have any. */
static void drop_strides(array *a)
{
    size_t expected = 1;
    for (size_t i = a->n_dims; i-- > 0; expected *= a->shape[i])
        if (a->shape[i] != 1 && a->strides[i] != expected) return;
    a->strided = false;
}

nd_status ndi_content_add_array(content *c, const array *given)
{
    static const size_t most_repeated = (size_t)1 << 26;
    array a = *given;
    const char *file = ndi_stream_name(a.in);
    CHECK(a.n_dims <= NDI_MAX_DIMS, ND_ERR_UNSUPPORTED, "%s: array '%s' has %zu dimensions, expected at most %d", file, a.name, a.n_dims,
          NDI_MAX_DIMS);
    size_t span, bytes = 0;
    uint64_t size;
    TRY(ndi_stream_bound(a.in, &size));
    const bool fits = measure(&a, &a.n, &span) && ndi_mul(span, ndi_dtype_size(a.type), &bytes);
    CHECK(fits && a.at <= size && bytes <= size - a.at, ND_ERR_FORMAT, "%s: array '%s' is said to take %zu x %zu bytes at %llu, got %llu in all",
          file, a.name, span, ndi_dtype_size(a.type), (unsigned long long)a.at, (unsigned long long)size);
    CHECK(a.n <= span || a.n <= most_repeated, ND_ERR_UNSUPPORTED, "%s: array '%s' makes %zu elements of %zu by repeating them, expected at most %zu",
          file, a.name, a.n, span, most_repeated);
    if (a.strided) drop_strides(&a);
    CHECK(!a.strided || ndi_stream_concurrent(a.in), ND_ERR_UNSUPPORTED, "%s: array '%s' is not in C order inside of a packed file: unpack it first",
          file, a.name);
    TRY(make_room((void **)&c->arrays, c->n_arrays, &c->arrays_capacity, sizeof *c->arrays));
    TRY(ndi_content_text(c, given->name, strlen(given->name), &a.name));
    c->arrays[c->n_arrays++] = a;
    return ND_OK;
}

nd_status ndi_content_add_texts(content *c, const char *name, size_t n, bool list, const char ***items)
{
    TRY(make_room((void **)&c->texts, c->n_texts, &c->texts_capacity, sizeof *c->texts));
    texts made = { .n = n, .list = list };
    TRY(ndi_content_text(c, name, strlen(name), &made.name));
    size_t bytes;
    made.items = ndi_mul(n, sizeof *made.items, &bytes) ? ndi_arena_alloc(&c->memory, bytes) : NULL;
    CHECK(made.items, ND_ERR_MEMORY, "%s: out of memory for %zu texts", name, n);
    c->texts[c->n_texts++] = made;
    *items = made.items;
    return ND_OK;
}

static bool is_utf8(const uint8_t *s, size_t n)
{
    utf8proc_int32_t point;
    for (size_t at = 0; at < n;) {
        if (s[at] < 0x80) {
            at++;
            continue;
        }
        utf8proc_ssize_t step = utf8proc_iterate(s + at, (utf8proc_ssize_t)(n - at), &point);
        if (step <= 0) return false;
        at += (size_t)step;
    }
    return true;
}

/* Text ends at its first NUL. What is not UTF-8 is taken for Latin-1, the habit of older tools. */
nd_status ndi_content_text(content *c, const char *s, size_t n, const char **copy)
{
    const char *end = n ? memchr(s, 0, n) : NULL;
    if (end) n = (size_t)(end - s);
    bool utf8 = is_utf8((const uint8_t *)s, n);
    char *made = utf8 ? ndi_arena_text(&c->memory, s, n) : n < SIZE_MAX / 2 ? ndi_arena_alloc(&c->memory, 2 * n + 1) : NULL;
    CHECK(made, ND_ERR_MEMORY, "out of memory for a text of %zu bytes", n);
    *copy = made;
    for (size_t i = 0; !utf8 && i < n; i++) made += utf8proc_encode_char((uint8_t)s[i], (utf8proc_uint8_t *)made);
    return ND_OK;
}

nd_status ndi_content_add_stream(content *c, stream *s)
{
    nd_status status = make_room((void **)&c->streams, c->n_streams, &c->streams_capacity, sizeof(stream *));
    if (status == ND_OK)
        c->streams[c->n_streams++] = s;
    else
        ndi_stream_close(s);
    return status;
}

nd_status ndi_content_add_numbers(content *c, const char *name, dtype type, size_t n_dims, const size_t *shape, const void *numbers)
{
    array a = { .name = name, .type = type, .n_dims = n_dims, .big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ };
    size_t bytes = ndi_dtype_size(type);
    for (size_t i = 0; i < n_dims; i++) {
        a.shape[i] = shape[i];
        bytes *= shape[i]; /* the numbers are in memory: it cannot overflow */
    }
    void *copy = ndi_arena_alloc(&c->memory, bytes);
    CHECK(copy, ND_ERR_MEMORY, "%s: out of memory for %zu bytes", name, bytes);
    if (bytes) memcpy(copy, numbers, bytes);
    TRY(ndi_stream_open_memory(&a.in, copy, bytes, name));
    TRY(ndi_content_add_stream(c, a.in));
    return ndi_content_add_array(c, &a);
}
