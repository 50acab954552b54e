/* The values a pickle is made of, between the machine that builds them (pickle.c) and the content they become (pickle_content.c). */
#ifndef NDI_PICKLE_VALUE_H
#define NDI_PICKLE_VALUE_H

#include "io/numpy.h"
#include "io/pickle.h"

typedef enum value_kind {
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_TEXT,    /* UTF-8 */
    VALUE_BYTES,   /* left in the stream */
    VALUE_LIST,    /* list or tuple */
    VALUE_DICT,    /* items: key, value, key, value */
    VALUE_GLOBAL,  /* one of the few functions and classes that are known */
    VALUE_TYPE,    /* numpy.dtype */
    VALUE_ARRAY,   /* numpy.ndarray */
    VALUE_TORCH,   /* torch.dtype, or a class of storages */
    VALUE_STORAGE, /* all elements of one, which lie outside */
    VALUE_TENSOR   /* torch.Tensor: a view of a storage */
} value_kind;

typedef enum known_global {
    GLOBAL_RECONSTRUCT,
    GLOBAL_NDARRAY,
    GLOBAL_DTYPE,
    GLOBAL_SCALAR,
    GLOBAL_FROMBUFFER,
    GLOBAL_ENCODE,
    GLOBAL_BYTES,
    GLOBAL_DICT,
    GLOBAL_REBUILD_TENSOR,
    GLOBAL_REBUILD_TENSOR_V3,
    GLOBAL_REBUILD_PARAMETER,
    GLOBAL_SIZE,
    GLOBAL_DEVICE
} known_global;

typedef struct torch_type {
    const char *name; /* "torch.float32", "torch.FloatStorage" */
    bool storage;
    dtype type;
} torch_type;

typedef struct value value;

typedef struct value_array {
    numpy_type type;
    size_t n_dims, shape[NDI_MAX_DIMS];
    bool fortran;
    const value *data; /* bytes, or a list for objects; NULL until built */
} value_array;

struct value {
    value_kind kind;
    union {
        int64_t i;
        double f;
        known_global global;
        numpy_type type;
        value_array *array;
        const torch_type *torch;
        array *tensor; /* of VALUE_STORAGE, too */
        struct {
            const char *s; /* `n` bytes; of VALUE_BYTES only when short, else NULL */
            size_t n;
            stream *in; /* of VALUE_BYTES: where they are */
            uint64_t at;
            bool text; /* a str of Python 2: text unless it turns out to be the bytes of an array */
        } bytes;
        struct {
            value **items;
            size_t n, capacity;
            bool attributes; /* an OrderedDict may be given some: they are passed over */
        } list;
    };
};

/* Item i of a list, if it is there and of this kind. */
static inline const value *ndi_pickle_item(const value *list, size_t i, value_kind kind)
{
    return i < list->list.n && list->list.items[i]->kind == kind ? list->list.items[i] : NULL;
}

/* Text, or the short bytes that Python 2 had for text. */
static inline bool ndi_pickle_is_text(const value *v) { return v && (v->kind == VALUE_TEXT || v->kind == VALUE_BYTES) && v->bytes.s; }

/* The function or class a pickle names, into a fresh value; an unknown one is refused by its dotted name. */
nd_status ndi_pickle_global(const char *file, const char *module, const char *name, value *found);

/* What calling one of them gives, into `result`, which is a fresh value. Never runs anything: each is understood here. Bytes it makes belong to
 * the content. */
nd_status ndi_pickle_call(content *c, arena *memory, stream *s, known_global function, const value *arguments, value *result);

/* object.__setstate__(state) of arrays, types and OrderedDicts. */
nd_status ndi_pickle_build(stream *s, value *object, const value *state);

/* A tuple of lengths, at most NDI_MAX_DIMS of them. */
nd_status ndi_pickle_shape(stream *s, const value *shape, size_t *n_dims, size_t *extents);

/* pickle_torch.c: the same for PyTorch. */
const torch_type *ndi_pickle_torch_type(const char *module, const char *name); /* NULL if there is none */
nd_status ndi_pickle_torch_call(arena *memory, stream *s, known_global function, const value *arguments, value *result);
nd_status ndi_pickle_storage(arena *memory, stream *s, const pickle_outside *outside, const value *id, value *result); /* by its persistent id */

/* Adds what a finished pickle holds; `separator` joins names. `work` bounds how many values are visited: values may be shared, and sharing inside
 * sharing would multiply without end. */
nd_status ndi_pickle_content(content *c, const value *top, const char *file, const char *name, const char *separator, size_t work);

#endif
