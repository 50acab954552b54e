/* The values a pickle is made of, between the machine that builds them (pickle.c) and the content they become (pickle_content.c). */
#ifndef NDI_PICKLE_VALUE_H
#define NDI_PICKLE_VALUE_H

#include "io/numpy.h"

typedef enum value_kind {
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_TEXT,   /* UTF-8 */
    VALUE_BYTES,  /* left in the stream */
    VALUE_LIST,   /* list or tuple */
    VALUE_DICT,   /* items: key, value, key, value */
    VALUE_GLOBAL, /* one of the few functions and classes that are known */
    VALUE_TYPE,   /* numpy.dtype */
    VALUE_ARRAY   /* numpy.ndarray */
} value_kind;

typedef enum known_global {
    GLOBAL_RECONSTRUCT,
    GLOBAL_NDARRAY,
    GLOBAL_DTYPE,
    GLOBAL_SCALAR,
    GLOBAL_FROMBUFFER,
    GLOBAL_ENCODE,
    GLOBAL_BYTES,
    GLOBAL_DICT
} known_global;

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
        } list;
    };
};

/* The function or class a pickle names; an unknown one is refused by its dotted name. */
nd_status ndi_pickle_global(const char *file, const char *module, const char *name, known_global *found);

/* What calling one of them gives, into `result`, which is a fresh value. Never runs anything: each is understood here. Bytes it makes belong to
 * the content. */
nd_status ndi_pickle_call(content *c, arena *memory, stream *s, known_global function, const value *arguments, value *result);

/* object.__setstate__(state) of arrays and types. */
nd_status ndi_pickle_build(stream *s, value *object, const value *state);

/* Adds what a finished pickle holds. `work` bounds how many values are visited: values may be shared, and sharing inside sharing would multiply
 * without end. */
nd_status ndi_pickle_content(content *c, const value *top, const char *file, const char *name, size_t work);

#endif
