/* What .npy files and pickled arrays have in common: NumPy's names of types, and arrays of strings. */
#ifndef NDI_NUMPY_H
#define NDI_NUMPY_H

#include "base/text.h"
#include "io/format.h"

typedef enum numpy_kind { NUMPY_NUMBER, NUMPY_UNICODE, NUMPY_BYTES, NUMPY_OBJECT } numpy_kind;

typedef struct numpy_type {
    numpy_kind kind;
    dtype number; /* for NUMPY_NUMBER */
    size_t size;  /* bytes of one element, 0 for objects */
    bool big_endian;
} numpy_type;

/* Reads "<f8", "|b1", "U12", "O" and so on. What is not supported is refused by its name. */
nd_status ndi_numpy_type(numpy_type *t, const char *descr, size_t n);

/* The name under which NumPy knows a type as this library writes it (little endian); NULL if it does not. */
const char *ndi_numpy_descr(dtype type);

/* Adds an array of numbers or, for strings, texts. `a` says everything but the element type. */
nd_status ndi_numpy_add(content *c, const numpy_type *t, const array *a);

/* One element of a string type. */
nd_status ndi_numpy_text(content *c, const numpy_type *t, stream *in, uint64_t at, const char **copy);

/* The .npy format inside a stream of its own, such as an entry of an .npz file. `name` "" = a file of its own, whose array is called "data". */
nd_status ndi_npy_read(content *c, stream *s, const char *name);
nd_status ndi_npy_header(text *header, const char *descr, size_t n_dims,
                         const size_t *shape); /* appends magic, version and header, 64-byte aligned */

#endif
