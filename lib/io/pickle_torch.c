/* The calls that pickles of PyTorch tensors are made of: views of storages, which lie outside of the pickle; see PyTorch's torch/_utils.py and
 * torch/serialization.py. */
#include <string.h>

#include "io/pickle_value.h"

static const torch_type types[] = {
    { "torch.bool", false, DTYPE_BOOL },
    { "torch.uint8", false, DTYPE_U8 },
    { "torch.uint16", false, DTYPE_U16 },
    { "torch.uint32", false, DTYPE_U32 },
    { "torch.uint64", false, DTYPE_U64 },
    { "torch.int8", false, DTYPE_I8 },
    { "torch.int16", false, DTYPE_I16 },
    { "torch.int32", false, DTYPE_I32 },
    { "torch.int64", false, DTYPE_I64 },
    { "torch.float16", false, DTYPE_F16 },
    { "torch.bfloat16", false, DTYPE_BF16 },
    { "torch.float32", false, DTYPE_F32 },
    { "torch.float64", false, DTYPE_F64 },
    { "torch.complex64", false, DTYPE_C64 },
    { "torch.complex128", false, DTYPE_C128 },
    { "torch.BoolStorage", true, DTYPE_BOOL },
    { "torch.ByteStorage", true, DTYPE_U8 },
    { "torch.CharStorage", true, DTYPE_I8 },
    { "torch.ShortStorage", true, DTYPE_I16 },
    { "torch.IntStorage", true, DTYPE_I32 },
    { "torch.LongStorage", true, DTYPE_I64 },
    { "torch.HalfStorage", true, DTYPE_F16 },
    { "torch.BFloat16Storage", true, DTYPE_BF16 },
    { "torch.FloatStorage", true, DTYPE_F32 },
    { "torch.DoubleStorage", true, DTYPE_F64 },
    { "torch.ComplexFloatStorage", true, DTYPE_C64 },
    { "torch.ComplexDoubleStorage", true, DTYPE_C128 },
    { "torch.UntypedStorage", true, DTYPE_U8 },
    { "torch.storage.UntypedStorage", true, DTYPE_U8 },
};

const torch_type *ndi_pickle_torch_type(const char *module, const char *name)
{
    char dotted[64]; /* longer than any of them, also when cut */
    ndi_format(dotted, sizeof dotted, "%s.%s", module, name);
    for (size_t i = 0; i < COUNT(types); i++)
        if (strcmp(types[i].name, dotted) == 0) return &types[i];
    return NULL;
}

static nd_status bad(stream *s, const char *what) { return ndi_fail(ND_ERR_FORMAT, "%s: pickle: %s", ndi_stream_name(s), what); }

static nd_status new_array(arena *memory, stream *s, value_kind kind, value *result)
{
    array *a = ndi_arena_alloc(memory, sizeof *a);
    CHECK(a, ND_ERR_MEMORY, "%s: pickle: out of memory", ndi_stream_name(s));
    a->name = "a tensor";
    result->kind = kind;
    result->tensor = a;
    return ND_OK;
}

/* ('storage', class, key, device, elements) */
nd_status ndi_pickle_storage(arena *memory, stream *s, const pickle_outside *outside, const value *id, value *result)
{
    const value *word = id->list.n > 0 ? id->list.items[0] : NULL, *class = ndi_pickle_item(id, 1, VALUE_TORCH);
    const value *key = id->list.n > 2 ? id->list.items[2] : NULL, *elements = ndi_pickle_item(id, 4, VALUE_INT);
    const bool storage = ndi_pickle_is_text(word) && strcmp(word->bytes.s, "storage") == 0 && class && class->torch->storage;
    if (!storage || !ndi_pickle_is_text(key) || !elements || elements->i < 0) return bad(s, "refers to something outside that is no storage");
    TRY(new_array(memory, s, VALUE_STORAGE, result));
    array *a = result->tensor;
    uint64_t size, bytes;
    TRY(outside->find(outside->context, key->bytes.s, &a->in));
    TRY(ndi_stream_size(a->in, &size));
    a->type = class->torch->type;
    a->big_endian = outside->big_endian;
    CHECK(!__builtin_mul_overflow((uint64_t)elements->i, ndi_dtype_size(a->type), &bytes) && bytes == size, ND_ERR_FORMAT,
          "%s: is said to hold %lld elements of %s, got %llu bytes", ndi_stream_name(a->in), (long long)elements->i, ndi_dtype_name(a->type),
          (unsigned long long)size);
    a->n_dims = 1;
    a->shape[0] = (size_t)elements->i;
    return ND_OK;
}

/* (storage, offset, shape, strides, ...): whether it stays inside of the storage is seen when it gets its name. */
static nd_status call_tensor(arena *memory, stream *s, const value *arguments, const torch_type *type, value *result)
{
    const value *storage = ndi_pickle_item(arguments, 0, VALUE_STORAGE), *offset = ndi_pickle_item(arguments, 1, VALUE_INT);
    size_t n_strides;
    if (!storage || !offset || offset->i < 0) return bad(s, "a tensor is made of other than a storage and an offset");
    TRY(new_array(memory, s, VALUE_TENSOR, result));
    array *a = result->tensor;
    *a = *storage->tensor;
    if (type) a->type = type->type;
    TRY(ndi_pickle_shape(s, ndi_pickle_item(arguments, 2, VALUE_LIST), &a->n_dims, a->shape));
    TRY(ndi_pickle_shape(s, ndi_pickle_item(arguments, 3, VALUE_LIST), &n_strides, a->strides));
    if (n_strides != a->n_dims) return bad(s, "a tensor has not as many strides as extents");
    if (__builtin_mul_overflow((uint64_t)offset->i, ndi_dtype_size(a->type), &a->at)) return bad(s, "a tensor lies outside of its storage");
    a->strided = true;
    return ND_OK;
}

/* (storage, offset, shape, strides, requires gradient, hooks, type, ...) of an untyped storage */
static nd_status call_tensor_v3(arena *memory, stream *s, const value *arguments, value *result)
{
    const value *type = ndi_pickle_item(arguments, 6, VALUE_TORCH);
    if (!type || type->torch->storage) return bad(s, "a tensor has no type");
    return call_tensor(memory, s, arguments, type->torch, result);
}

/* (type[, index]) becomes text: "cuda:0" */
static nd_status call_device(arena *memory, stream *s, const value *arguments, value *result)
{
    const value *type = arguments->list.n ? arguments->list.items[0] : NULL, *index = ndi_pickle_item(arguments, 1, VALUE_INT);
    char name[64];
    if (!ndi_pickle_is_text(type)) return bad(s, "torch.device is called without a name");
    if (index)
        ndi_format(name, sizeof name, "%.32s:%lld", type->bytes.s, (long long)index->i);
    else
        ndi_format(name, sizeof name, "%.60s", type->bytes.s);
    result->kind = VALUE_TEXT;
    result->bytes.n = strlen(name);
    result->bytes.s = ndi_arena_text(memory, name, result->bytes.n);
    CHECK(result->bytes.s, ND_ERR_MEMORY, "%s: pickle: out of memory", ndi_stream_name(s));
    return ND_OK;
}

nd_status ndi_pickle_torch_call(arena *memory, stream *s, known_global function, const value *arguments, value *result)
{
    const value *only = NULL;
    switch (function) {
    case GLOBAL_REBUILD_TENSOR: return call_tensor(memory, s, arguments, NULL, result);
    case GLOBAL_REBUILD_TENSOR_V3: return call_tensor_v3(memory, s, arguments, result);
    case GLOBAL_DEVICE: return call_device(memory, s, arguments, result);
    case GLOBAL_REBUILD_PARAMETER: only = ndi_pickle_item(arguments, 0, VALUE_TENSOR); break;
    default: only = ndi_pickle_item(arguments, 0, VALUE_LIST); /* torch.Size */
    }
    if (!only) return bad(s, "a torch.Size of other than a tuple, or a parameter of other than a tensor");
    *result = *only;
    return ND_OK;
}
