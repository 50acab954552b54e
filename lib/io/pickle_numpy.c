/* The list of all functions and classes that a pickle may name, and the calls that pickles of NumPy arrays are made of. Arguments come as values and are checked as such; see NumPy's ndarray.__reduce__,
 * dtype.__reduce__ and numpy/_core/numeric.py. */
#include <string.h>
#include <utf8proc.h>

#include "io/pickle_value.h"

static const struct {
    const char *module, *name;
    known_global global;
} globals[] = {
    { "numpy.core.multiarray", "_reconstruct", GLOBAL_RECONSTRUCT },
    { "numpy._core.multiarray", "_reconstruct", GLOBAL_RECONSTRUCT },
    { "numpy.core._internal", "_reconstruct", GLOBAL_RECONSTRUCT },
    { "numpy", "ndarray", GLOBAL_NDARRAY },
    { "numpy", "dtype", GLOBAL_DTYPE },
    { "numpy.core.multiarray", "scalar", GLOBAL_SCALAR },
    { "numpy._core.multiarray", "scalar", GLOBAL_SCALAR },
    { "numpy.core.numeric", "_frombuffer", GLOBAL_FROMBUFFER },
    { "numpy._core.numeric", "_frombuffer", GLOBAL_FROMBUFFER },
    { "_codecs", "encode", GLOBAL_ENCODE },
    { "builtins", "bytearray", GLOBAL_BYTES },
    { "__builtin__", "bytearray", GLOBAL_BYTES },
    { "builtins", "bytes", GLOBAL_BYTES },
    { "__builtin__", "bytes", GLOBAL_BYTES },
    { "collections", "OrderedDict", GLOBAL_DICT },
    { "torch._utils", "_rebuild_tensor", GLOBAL_REBUILD_TENSOR },
    { "torch._utils", "_rebuild_tensor_v2", GLOBAL_REBUILD_TENSOR },
    { "torch._utils", "_rebuild_tensor_v3", GLOBAL_REBUILD_TENSOR_V3 },
    { "torch._utils", "_rebuild_parameter", GLOBAL_REBUILD_PARAMETER },
    { "torch", "Size", GLOBAL_SIZE },
    { "torch", "device", GLOBAL_DEVICE },
};

nd_status ndi_pickle_global(const char *file, const char *module, const char *name, value *found)
{
    found->kind = VALUE_GLOBAL;
    for (size_t i = 0; i < COUNT(globals); i++) {
        if (strcmp(module, globals[i].module) || strcmp(name, globals[i].name)) continue;
        found->global = globals[i].global;
        return ND_OK;
    }
    found->kind = VALUE_TORCH;
    found->torch = ndi_pickle_torch_type(module, name);
    CHECK(found->torch, ND_ERR_UNSUPPORTED, "%s: pickle: refuses %.200s.%.200s: only plain data and arrays are read", file, module, name);
    return ND_OK;
}

static nd_status bad(stream *s, const char *what) { return ndi_fail(ND_ERR_FORMAT, "%s: pickle: %s", ndi_stream_name(s), what); }
static nd_status no_memory(stream *s) { return ndi_fail(ND_ERR_MEMORY, "%s: pickle: out of memory", ndi_stream_name(s)); }

nd_status ndi_pickle_shape(stream *s, const value *shape, size_t *n_dims, size_t *extents)
{
    if (!shape) return bad(s, "the shape of an array is no tuple");
    *n_dims = shape->list.n;
    CHECK(*n_dims <= NDI_MAX_DIMS, ND_ERR_UNSUPPORTED, "%s: pickle: an array of %zu dimensions, expected at most %d", ndi_stream_name(s), *n_dims,
          NDI_MAX_DIMS);
    for (size_t i = 0; i < *n_dims; i++) {
        const value *extent = ndi_pickle_item(shape, i, VALUE_INT);
        if (!extent || extent->i < 0 || (uint64_t)extent->i > SIZE_MAX) return bad(s, "an extent of an array is no length");
        extents[i] = (size_t)extent->i;
    }
    return ND_OK;
}

/* dtype('f8', align, copy) */
static nd_status call_dtype(stream *s, const value *arguments, value *result)
{
    const value *descr = arguments->list.n ? arguments->list.items[0] : NULL;
    if (!ndi_pickle_is_text(descr)) return bad(s, "numpy.dtype is called without a name");
    result->kind = VALUE_TYPE;
    return ndi_prefix(ndi_numpy_type(&result->type, descr->bytes.s, descr->bytes.n), "%s: pickle", ndi_stream_name(s));
}

static nd_status call_reconstruct(stream *s, arena *memory, const value *arguments, value *result)
{
    const value *class = ndi_pickle_item(arguments, 0, VALUE_GLOBAL);
    if (!class || class->global != GLOBAL_NDARRAY) return bad(s, "_reconstruct of other than an array");
    result->kind = VALUE_ARRAY;
    result->array = ndi_arena_alloc(memory, sizeof *result->array);
    return result->array ? ND_OK : no_memory(s);
}

/* _frombuffer(bytes, dtype, shape, 'C' or 'F') */
static nd_status call_frombuffer(stream *s, arena *memory, const value *arguments, value *result)
{
    const value *data = ndi_pickle_item(arguments, 0, VALUE_BYTES), *type = ndi_pickle_item(arguments, 1, VALUE_TYPE);
    const value *order = arguments->list.n > 3 ? arguments->list.items[3] : NULL;
    if (!data || !type || type->type.kind == NUMPY_OBJECT || !ndi_pickle_is_text(order))
        return bad(s, "_frombuffer is called with something else than a buffer");
    value_array *a = ndi_arena_alloc(memory, sizeof *a);
    if (!a) return no_memory(s);
    TRY(ndi_pickle_shape(s, ndi_pickle_item(arguments, 2, VALUE_LIST), &a->n_dims, a->shape));
    a->type = type->type;
    a->fortran = order->bytes.s[0] == 'F';
    a->data = data;
    result->kind = VALUE_ARRAY;
    result->array = a;
    return ND_OK;
}

/* multiarray.scalar(dtype, bytes): an element on its own becomes a plain number, or text. */
static nd_status call_scalar(content *c, stream *s, const value *arguments, value *result)
{
    const value *type = ndi_pickle_item(arguments, 0, VALUE_TYPE), *data = ndi_pickle_item(arguments, 1, VALUE_BYTES);
    if (!type || !data || type->type.kind == NUMPY_OBJECT) return bad(s, "a scalar of a type without bytes");
    if (data->bytes.n != type->type.size) return bad(s, "a scalar has a wrong size");
    if (type->type.kind != NUMPY_NUMBER) {
        TRY(ndi_numpy_text(c, &type->type, data->bytes.in, data->bytes.at, &result->bytes.s));
        result->kind = VALUE_TEXT;
        result->bytes.n = strlen(result->bytes.s);
        return ND_OK;
    }
    double f;
    array a = {
        .name = "scalar", .in = data->bytes.in, .at = data->bytes.at, .type = type->type.number, .big_endian = type->type.big_endian, .n = 1
    };
    TRY(ndi_array_read_f64(&a, 0, 1, &f));
    const bool whole = a.type != DTYPE_F16 && a.type != DTYPE_F32 && a.type != DTYPE_F64 && f > -0x1p53 && f < 0x1p53;
    result->kind = a.type == DTYPE_BOOL ? VALUE_BOOL : whole ? VALUE_INT : VALUE_FLOAT;
    if (whole)
        result->i = (int64_t)f;
    else
        result->f = f;
    return ND_OK;
}

/* Bytes that do not lie in the file as they are: kept with the content, as arrays may refer to them. */
static nd_status own_bytes(content *c, stream *s, const char *bytes, size_t n, value *result)
{
    *result = (value){ .kind = VALUE_BYTES, .bytes = { .s = bytes, .n = n } };
    TRY(ndi_stream_open_memory(&result->bytes.in, bytes, n, ndi_stream_name(s)));
    return ndi_content_add_stream(c, result->bytes.in);
}

/* encode(text, 'latin1'): how Python 3 writes bytes into protocols that have none. */
static nd_status call_encode(content *c, stream *s, const value *arguments, value *result)
{
    const value *chars = ndi_pickle_item(arguments, 0, VALUE_TEXT), *codec = arguments->list.n > 1 ? arguments->list.items[1] : NULL;
    if (!chars || !ndi_pickle_is_text(codec) || (strcmp(codec->bytes.s, "latin1") && strcmp(codec->bytes.s, "latin-1")))
        return bad(s, "encode to other than latin1");
    uint8_t *bytes = ndi_arena_alloc(&c->memory, chars->bytes.n + 1);
    if (!bytes) return no_memory(s);
    size_t n = 0;
    for (size_t at = 0; at < chars->bytes.n;) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step = utf8proc_iterate((const uint8_t *)chars->bytes.s + at, (utf8proc_ssize_t)(chars->bytes.n - at), &point);
        if (step <= 0 || point > 255) return bad(s, "encode of a character that is not in latin1");
        bytes[n++] = (uint8_t)point;
        at += (size_t)step;
    }
    return own_bytes(c, s, (const char *)bytes, n, result);
}

/* bytes(), bytearray(), bytearray(bytes), bytearray(text, 'latin-1') */
static nd_status call_bytes(content *c, stream *s, const value *arguments, value *result)
{
    if (arguments->list.n == 0) return own_bytes(c, s, "", 0, result);
    if (arguments->list.n == 2) return call_encode(c, s, arguments, result);
    const value *bytes = ndi_pickle_item(arguments, 0, VALUE_BYTES);
    if (!bytes) return bad(s, "bytearray of other than bytes");
    *result = *bytes;
    return ND_OK;
}

nd_status ndi_pickle_call(content *c, arena *memory, stream *s, known_global function, const value *arguments, value *result)
{
    switch (function) {
    case GLOBAL_RECONSTRUCT: return call_reconstruct(s, memory, arguments, result);
    case GLOBAL_DTYPE: return call_dtype(s, arguments, result);
    case GLOBAL_SCALAR: return call_scalar(c, s, arguments, result);
    case GLOBAL_FROMBUFFER: return call_frombuffer(s, memory, arguments, result);
    case GLOBAL_ENCODE: return call_encode(c, s, arguments, result);
    case GLOBAL_BYTES: return call_bytes(c, s, arguments, result);
    case GLOBAL_DICT:
        result->kind = VALUE_DICT;
        result->list.attributes = true;
        return arguments->list.n == 0
                   ? ND_OK
                   : ndi_fail(ND_ERR_UNSUPPORTED, "%s: pickle: an OrderedDict of Python 2, expected one of Python 3", ndi_stream_name(s));
    case GLOBAL_NDARRAY: break;
    default: return ndi_pickle_torch_call(memory, s, function, arguments, result);
    }
    return ndi_fail(ND_ERR_UNSUPPORTED, "%s: pickle: refuses to call numpy.ndarray: only plain data and arrays are read", ndi_stream_name(s));
}

/* (3, '<', subarray, names, fields, size, alignment, flags, ...) */
static nd_status build_type(stream *s, value *type, const value *state)
{
    const value *order = state->list.n >= 5 ? state->list.items[1] : NULL;
    if (!ndi_pickle_is_text(order)) return bad(s, "the state of a numpy.dtype lacks its byte order");
    const bool simple = ndi_pickle_item(state, 2, VALUE_NONE) && ndi_pickle_item(state, 3, VALUE_NONE) && ndi_pickle_item(state, 4, VALUE_NONE);
    CHECK(simple, ND_ERR_UNSUPPORTED, "%s: pickle: records of several fields, expected arrays of numbers or strings", ndi_stream_name(s));
    if (order->bytes.s[0] == '<' || order->bytes.s[0] == '>') type->type.big_endian = order->bytes.s[0] == '>';
    return ND_OK;
}

/* (version, shape, dtype, is Fortran, bytes or list of objects); the oldest had no version. */
static nd_status build_array(stream *s, value_array *a, const value *state)
{
    const size_t skip = state->list.n == 5 ? 1 : 0;
    const value *type = ndi_pickle_item(state, skip + 1, VALUE_TYPE), *fortran = ndi_pickle_item(state, skip + 2, VALUE_BOOL);
    if (!fortran) fortran = ndi_pickle_item(state, skip + 2, VALUE_INT);
    if (state->list.n != skip + 4 || !type || !fortran) return bad(s, "the state of an array is not what NumPy writes");
    if (a->data) return bad(s, "an array gets its state twice");
    TRY(ndi_pickle_shape(s, ndi_pickle_item(state, skip, VALUE_LIST), &a->n_dims, a->shape));
    a->type = type->type;
    a->fortran = fortran->i != 0;
    a->data = ndi_pickle_item(state, skip + 3, type->type.kind == NUMPY_OBJECT ? VALUE_LIST : VALUE_BYTES);
    return a->data ? ND_OK : bad(s, "the elements of an array are missing");
}

nd_status ndi_pickle_build(stream *s, value *object, const value *state)
{
    if (state->kind == VALUE_LIST && object->kind == VALUE_TYPE) return build_type(s, object, state);
    if (state->kind == VALUE_LIST && object->kind == VALUE_ARRAY) return build_array(s, object->array, state);
    if (state->kind == VALUE_DICT && object->kind == VALUE_DICT && object->list.attributes) return ND_OK;
    return ndi_fail(ND_ERR_UNSUPPORTED, "%s: pickle: an object with a state of its own: only plain data and arrays are read", ndi_stream_name(s));
}
