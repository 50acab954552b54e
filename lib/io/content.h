/* What is in a file, whatever its format: named arrays (left where they are until read), named lists of text, and a JSON object of metadata. */
#ifndef NDI_CONTENT_H
#define NDI_CONTENT_H

#include "base/mem.h"
#include "io/stream.h"

enum { NDI_MAX_DIMS = 8 };

typedef enum dtype {
    DTYPE_BOOL,
    DTYPE_I8,
    DTYPE_U8,
    DTYPE_I16,
    DTYPE_U16,
    DTYPE_I32,
    DTYPE_U32,
    DTYPE_I64,
    DTYPE_U64,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_F32,
    DTYPE_F64,
    DTYPE_C64,
    DTYPE_C128, /* complex: listed and described, not read as numbers */
    DTYPE_COUNT
} dtype;

size_t ndi_dtype_size(dtype type);
const char *ndi_dtype_name(dtype type); /* "float32" */

/* An array inside a stream. */
typedef struct array {
    const char *name;
    dtype type;
    bool big_endian;
    bool fortran; /* first index fastest */
    bool strided; /* neither order: index i of dimension d stands i * strides[d] elements further; any strides, 0 and overlap included */
    size_t n_dims, shape[NDI_MAX_DIMS], strides[NDI_MAX_DIMS];
    size_t n; /* elements; all of them lie inside the stream */
    stream *in;
    uint64_t at;
    const double *scale; /* value = number x scale[index in dimension scaled_dim] + intercept; NULL = as it stands. one scale for all: scaled_dim = NDI_MAX_DIMS */
    size_t scaled_dim;
    double intercept;
} array;

/* Of the values: scaled numbers become float64, but for float32 and complex ones. */
static inline dtype ndi_array_value_type(const array *a) { return a->scale && a->type < DTYPE_F32 ? DTYPE_F64 : a->type; }

/* The elements stand in the order in which they are read. */
static inline bool ndi_array_is_c_order(const array *a) { return !a->strided && (!a->fortran || a->n_dims < 2); }

typedef struct texts {
    const char *name;
    const char **items;
    size_t n;
    bool list; /* false: a single text */
} texts;

typedef struct content {
    const char *format; /* name of the row that read it */
    array *arrays;
    size_t n_arrays;
    texts *texts;
    size_t n_texts;
    const char *metadata; /* JSON object or NULL */
    struct signals *signals; /* a continuous recording, or NULL; see io/signals.h */
    /* private from here */
    arena memory;
    size_t arrays_capacity, texts_capacity;
    stream **streams; /* closed with the content, last first */
    size_t n_streams, streams_capacity;
} content;

/* Recognises and reads the structure of a file. No array is loaded. */
nd_status ndi_content_open(content **c, const char *path);
nd_status ndi_content_open_stream(content **c, stream *s, const char *extension); /* takes the stream, also on failure */
void ndi_content_free(content *c);

const array *ndi_content_array(const content *c, const char *name); /* NULL if absent */
const texts *ndi_content_texts(const content *c, const char *name);

/* The array called `name`, or, for NULL, the only numeric one; errors list what there is. */
nd_status ndi_content_pick(const content *c, const char *name, const array **a);

/* Elements first .. first + count - 1 in C order, converted. Works in slices of bounded memory; concurrent where the stream is. */
nd_status ndi_array_read_f32(const array *a, size_t first, size_t count, float *values);
nd_status ndi_array_read_f64(const array *a, size_t first, size_t count, double *values);
nd_status ndi_array_read_native(const array *a, size_t first, size_t count, void *elements); /* as ndi_array_value_type(), in the byte order of this machine */

/* The whole array in place, if it is of this type, native, in C order and aligned, in a stream that maps; NULL otherwise. */
const void *ndi_array_map(const array *a, dtype type);

/* For formats: build the content. */
nd_status ndi_content_add_array(content *c, const array *a); /* copies name; checks extents against the stream */
nd_status ndi_content_add_texts(content *c, const char *name, size_t n, bool list,
                                const char ***items); /* *items: room for n, to be filled with texts from ndi_content_text */
nd_status ndi_content_text(content *c, const char *s, size_t n, const char **copy); /* UTF-8, or else taken for Latin-1; ends at a NUL */
nd_status ndi_content_add_stream(content *c, stream *s);                            /* closed with the content; closed at once on failure */
nd_status ndi_content_add_numbers(content *c, const char *name, dtype type, size_t n_dims, const size_t *shape,
                                  const void *numbers); /* copies native numbers */

#endif
