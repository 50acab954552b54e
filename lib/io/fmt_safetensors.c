/* safetensors: the length of a JSON header, the header (name -> dtype, shape, data_offsets), then the tensors' bytes, little endian in C order.
 * Texts are tensors of bytes, each text ended by a NUL, and named in the metadata entry "neurodecode.texts". */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "io/json.h"
#include "io/put.h"

static const char texts_key[] = "neurodecode.texts";
static const size_t max_header = 100000000; /* the limit of the reference implementation */
enum { ALIGNMENT = 64, LENGTH_BYTES = 8 };

static const char *const names[DTYPE_COUNT] = {
    [DTYPE_BOOL] = "BOOL", [DTYPE_I8] = "I8",   [DTYPE_U8] = "U8",   [DTYPE_I16] = "I16", [DTYPE_U16] = "U16",
    [DTYPE_I32] = "I32",   [DTYPE_U32] = "U32", [DTYPE_I64] = "I64", [DTYPE_U64] = "U64", [DTYPE_F16] = "F16",
    [DTYPE_BF16] = "BF16", [DTYPE_F32] = "F32", [DTYPE_F64] = "F64", [DTYPE_C64] = "C64",
};

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    if (n < LENGTH_BYTES + 2 || head[LENGTH_BYTES] != '{' || ndi_le64(head) > max_header) return 0;
    return strcmp(extension, "safetensors") == 0 ? 95 : 80;
}

/* ---- reading ---- */

static nd_status bad(const char *file, const char *tensor, const char *what)
{
    return ndi_fail(ND_ERR_FORMAT, "%s: tensor '%s': %s", file, tensor, what);
}

static bool as_size(const json_t *j, size_t *n)
{
    if (!json_is_integer(j) || json_integer_value(j) < 0) return false;
    *n = (size_t)json_integer_value(j);
    return true;
}

static nd_status read_type(const char *file, const char *name, const json_t *entry, dtype *type)
{
    const char *said = json_string_value(json_object_get(entry, "dtype"));
    if (!said) return bad(file, name, "'dtype' is missing");
    for (size_t i = 0; i < DTYPE_COUNT; i++) {
        *type = (dtype)i;
        if (names[i] && strcmp(said, names[i]) == 0) return ND_OK;
    }
    return ndi_fail(ND_ERR_UNSUPPORTED, "%s: tensor '%s': type %s is not supported", file, name, said);
}

static nd_status read_shape(const char *file, const json_t *shape, array *a)
{
    if (!json_is_array(shape)) return bad(file, a->name, "'shape' is missing");
    a->n_dims = json_array_size(shape);
    CHECK(a->n_dims <= NDI_MAX_DIMS, ND_ERR_UNSUPPORTED, "%s: tensor '%s': %zu dimensions, expected at most %d", file, a->name, a->n_dims,
          NDI_MAX_DIMS);
    for (size_t i = 0; i < a->n_dims; i++)
        if (!as_size(json_array_get(shape, i), &a->shape[i])) return bad(file, a->name, "an extent is no length");
    return ND_OK;
}

/* The bytes the offsets span must be just those that shape and type take. */
static nd_status read_tensor(content *c, stream *s, uint64_t data, const char *name, const json_t *entry)
{
    const char *file = ndi_stream_name(s);
    array a = { .name = name, .in = s };
    size_t begin, end, bytes;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    TRY(read_type(file, name, entry, &a.type));
    TRY(read_shape(file, json_object_get(entry, "shape"), &a));
    if (json_array_size(offsets) != 2 || !as_size(json_array_get(offsets, 0), &begin) || !as_size(json_array_get(offsets, 1), &end) || begin > end)
        return bad(file, name, "'data_offsets' are no range");
    bytes = ndi_dtype_size(a.type);
    bool fits = true;
    for (size_t i = 0; i < a.n_dims; i++) fits = fits && ndi_mul(bytes, a.shape[i], &bytes);
    CHECK(fits && bytes == end - begin, ND_ERR_FORMAT, "%s: tensor '%s': shape and type take %zu bytes, got %zu", file, name, bytes, end - begin);
    if (__builtin_add_overflow(data, begin, &a.at)) return bad(file, name, "'data_offsets' lie outside");
    return ndi_content_add_array(c, &a);
}

static int by_place(const void *x, const void *y)
{
    const array *a = *(const array *const *)x, *b = *(const array *const *)y;
    return a->at != b->at ? (a->at > b->at) - (a->at < b->at) : (a->n > b->n) - (a->n < b->n);
}

static nd_status check_overlap(const content *c, const char *file)
{
    const array **order;
    TRY(NEW(order, c->n_arrays));
    for (size_t i = 0; i < c->n_arrays; i++) order[i] = &c->arrays[i];
    qsort(order, c->n_arrays, sizeof *order, by_place);
    nd_status status = ND_OK;
    for (size_t i = 1; i < c->n_arrays && status == ND_OK; i++)
        if (order[i]->at < order[i - 1]->at + order[i - 1]->n * ndi_dtype_size(order[i - 1]->type))
            status = bad(file, order[i]->name, "overlaps another one");
    ndi_free(order);
    return status;
}

static void remove_array(content *c, const array *a)
{
    const size_t i = (size_t)(a - c->arrays);
    memmove(&c->arrays[i], &c->arrays[i + 1], (c->n_arrays - i - 1) * sizeof *a);
    c->n_arrays--;
}

/* Turns the array called `name` into texts. */
static nd_status unpack_texts(content *c, const char *file, const char *name, bool list)
{
    const array *a = ndi_content_array(c, name);
    if (!a || a->type != DTYPE_U8 || a->n_dims != 1) return bad(file, name, "is said to be text, but is not");
    char *bytes;
    size_t n = 0;
    const char **items;
    TRY(NEW(bytes, a->n + 1));
    nd_status status = ndi_stream_read(a->in, a->at, bytes, a->n);
    for (size_t i = 0; i < a->n; i++) n += bytes[i] == '\0';
    if (status == ND_OK && ((a->n && bytes[a->n - 1]) || (!list && n != 1))) status = bad(file, name, "is said to be text, but does not end");
    if (status == ND_OK) status = ndi_content_add_texts(c, name, n, list, &items);
    const char *next = bytes;
    for (size_t i = 0; i < n && status == ND_OK; i++, next += strlen(next) + 1) status = ndi_content_text(c, next, strlen(next), &items[i]);
    ndi_free(bytes);
    remove_array(c, a);
    return status;
}

/* {"name": "list", "other": "text"}, itself a string in the metadata, from which it is taken out. */
static nd_status read_texts(content *c, const char *file, json_t *metadata)
{
    const json_t *said = json_object_get(metadata, texts_key);
    if (!said) return ND_OK;
    json_t *kinds, *kind;
    const char *name;
    TRY(ndi_json_parse(&kinds, json_string_value(said), json_string_length(said), file));
    nd_status status = ND_OK;
    json_object_foreach(kinds, name, kind)
    {
        const char *word = json_string_value(kind);
        if (status == ND_OK) status = unpack_texts(c, file, name, word && strcmp(word, "list") == 0);
    }
    json_decref(kinds);
    json_object_del(metadata, texts_key);
    return status;
}

static nd_status read_metadata(content *c, const char *file, json_t *metadata)
{
    const char *key;
    json_t *entry;
    CHECK(json_is_object(metadata), ND_ERR_FORMAT, "%s: __metadata__ is not an object", file);
    json_object_foreach(metadata, key, entry) CHECK(json_is_string(entry), ND_ERR_FORMAT, "%s: __metadata__ '%s' is not a string", file, key);
    TRY(read_texts(c, file, metadata));
    text t = { 0 };
    nd_status status = ndi_json_dump(metadata, &t);
    if (status == ND_OK) status = ndi_content_text(c, t.s, t.n, &c->metadata);
    ndi_text_free(&t);
    return status;
}

static nd_status read_header(content *c, stream *s, uint64_t data, json_t *header)
{
    const char *name;
    json_t *entry;
    CHECK(json_is_object(header), ND_ERR_FORMAT, "%s: safetensors header is not an object", ndi_stream_name(s));
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, NDI_METADATA_NAME) != 0) TRY(read_tensor(c, s, data, name, entry));
    }
    TRY(check_overlap(c, ndi_stream_name(s)));
    json_t *metadata = json_object_get(header, NDI_METADATA_NAME);
    return metadata ? read_metadata(c, ndi_stream_name(s), metadata) : ND_OK;
}

static nd_status read(content *c, stream *s)
{
    uint8_t length[LENGTH_BYTES];
    uint64_t size;
    TRY(ndi_stream_read(s, 0, length, sizeof length));
    TRY(ndi_stream_size(s, &size));
    const uint64_t n = ndi_le64(length);
    CHECK(n <= max_header && n <= size - LENGTH_BYTES, ND_ERR_FORMAT, "%s: safetensors header of %llu bytes in a file of %llu", ndi_stream_name(s),
          (unsigned long long)n, (unsigned long long)size);
    char *bytes;
    json_t *header = NULL;
    TRY(NEW(bytes, (size_t)n));
    nd_status status = ndi_stream_read(s, LENGTH_BYTES, bytes, (size_t)n);
    if (status == ND_OK) status = ndi_json_parse(&header, bytes, (size_t)n, ndi_stream_name(s));
    ndi_free(bytes);
    if (status == ND_OK) status = read_header(c, s, LENGTH_BYTES + n, header);
    json_decref(header);
    return status;
}

/* ---- writing ---- */

/* What a tensor is written from: an array, or texts joined to one. */
typedef struct tensor {
    put_array array;
    text joined;
} tensor;

typedef struct plan {
    tensor *tensors;
    size_t n;
    json_t *header;
} plan;

static nd_status join_texts(const put_texts *from, tensor *to)
{
    for (size_t i = 0; i < from->n; i++) ndi_text_add_bytes(&to->joined, from->items[i], strlen(from->items[i]) + 1);
    to->array = (put_array){ .name = from->name, .type = DTYPE_U8, .n_dims = 1, .shape = { to->joined.n }, .data = to->joined.n ? to->joined.s : "" };
    return ndi_text_status(&to->joined);
}

/* Wide elements first, so that every tensor is aligned without holes between them. */
static nd_status plan_tensors(plan *p, const put *what)
{
    TRY(NEW(p->tensors, what->n_arrays + what->n_texts));
    for (size_t size = 16; size > 0; size /= 2)
        for (size_t i = 0; i < what->n_arrays; i++)
            if (ndi_dtype_size(what->arrays[i].type) == size) p->tensors[p->n++].array = what->arrays[i];
    for (size_t i = 0; i < what->n_texts; i++) TRY(join_texts(&what->texts[i], &p->tensors[p->n++]));
    return ND_OK;
}

static nd_status describe_tensor(const out *o, json_t *header, const put_array *a, size_t *at)
{
    size_t n, bytes, end;
    TRY(ndi_put_size(o, a, &n, &bytes));
    CHECK(names[a->type], ND_ERR_UNSUPPORTED, "%s: array '%s': safetensors has no %s", ndi_out_name(o), a->name, ndi_dtype_name(a->type));
    CHECK(strcmp(a->name, NDI_METADATA_NAME) && !json_object_get(header, a->name), ND_ERR_ARGUMENT, "%s: two things are called '%s'", ndi_out_name(o),
          a->name);
    CHECK(!__builtin_add_overflow(*at, bytes, &end) && end <= INT64_MAX, ND_ERR_ARGUMENT, "%s: is too large", ndi_out_name(o));
    json_t *entry = json_object();
    TRY(ndi_json_set(header, a->name, entry));
    TRY(ndi_json_set(entry, "dtype", json_string(names[a->type])));
    json_t *shape = json_array();
    TRY(ndi_json_set(entry, "shape", shape));
    for (size_t i = 0; i < a->n_dims; i++) TRY(ndi_json_append(shape, json_integer((json_int_t)a->shape[i])));
    json_t *offsets = json_array();
    TRY(ndi_json_set(entry, "data_offsets", offsets));
    TRY(ndi_json_append(offsets, json_integer((json_int_t)*at)));
    TRY(ndi_json_append(offsets, json_integer((json_int_t)end)));
    *at = end;
    return ND_OK;
}

/* Values that are not strings are written as JSON inside one. */
static nd_status set_dumped(json_t *object, const char *key, const json_t *value)
{
    text t = { 0 };
    nd_status status = ndi_json_dump(value, &t);
    if (status == ND_OK) status = ndi_json_set(object, key, json_stringn(t.s, t.n));
    ndi_text_free(&t);
    return status;
}

static nd_status copy_metadata(const out *o, json_t *to, const char *from)
{
    json_t *given, *value;
    const char *key;
    TRY(ndi_json_parse(&given, from, strlen(from), ndi_out_name(o)));
    nd_status status = json_is_object(given) ? ND_OK : ndi_fail(ND_ERR_ARGUMENT, "%s: metadata is not a JSON object", ndi_out_name(o));
    json_object_foreach(given, key, value)
    {
        if (status == ND_OK) status = json_is_string(value) ? ndi_json_set(to, key, json_incref(value)) : set_dumped(to, key, value);
    }
    json_decref(given);
    return status;
}

static nd_status describe_texts(json_t *metadata, const put *what)
{
    json_t *kinds = json_object();
    nd_status status = ND_OK;
    for (size_t i = 0; i < what->n_texts && status == ND_OK; i++)
        status = ndi_json_set(kinds, what->texts[i].name, json_string(what->texts[i].list ? "list" : "text"));
    if (status == ND_OK) status = set_dumped(metadata, texts_key, kinds);
    json_decref(kinds);
    return status;
}

static nd_status plan_header(const out *o, plan *p, const put *what)
{
    size_t at = 0;
    p->header = json_object();
    CHECK(p->header, ND_ERR_MEMORY, "%s: out of memory", ndi_out_name(o));
    if (what->metadata || what->n_texts) {
        json_t *metadata = json_object();
        TRY(ndi_json_set(p->header, NDI_METADATA_NAME, metadata));
        if (what->metadata) TRY(copy_metadata(o, metadata, what->metadata));
        if (what->n_texts) TRY(describe_texts(metadata, what));
    }
    for (size_t i = 0; i < p->n; i++) TRY(describe_tensor(o, p->header, &p->tensors[i].array, &at));
    return ND_OK;
}

static nd_status write_header(out *o, const json_t *header)
{
    text t = { 0 };
    uint8_t length[LENGTH_BYTES];
    nd_status status = ndi_json_dump(header, &t);
    while (!t.failed && (LENGTH_BYTES + t.n) % ALIGNMENT) ndi_text_add_bytes(&t, " ", 1);
    if (status == ND_OK) status = ndi_text_status(&t);
    if (status == ND_OK && t.n > max_header)
        status = ndi_fail(ND_ERR_UNSUPPORTED, "%s: safetensors header of %zu bytes, expected at most %zu", ndi_out_name(o), t.n, max_header);
    ndi_put_le64(length, t.n);
    if (status == ND_OK) status = ndi_out_write(o, length, sizeof length);
    if (status == ND_OK) status = ndi_out_write(o, t.s, t.n);
    ndi_text_free(&t);
    return status;
}

static nd_status write(out *o, const put *what)
{
    plan p = { 0 };
    nd_status status = plan_tensors(&p, what);
    if (status == ND_OK) status = plan_header(o, &p, what);
    if (status == ND_OK) status = write_header(o, p.header);
    for (size_t i = 0; i < p.n && status == ND_OK; i++) status = ndi_put_elements(o, &p.tensors[i].array, NULL);
    for (size_t i = 0; i < p.n; i++) ndi_text_free(&p.tensors[i].joined);
    ndi_free(p.tensors);
    json_decref(p.header);
    return status;
}

const format ndi_format_safetensors = { "safetensors", "safetensors", "safetensors", probe, read, write };
