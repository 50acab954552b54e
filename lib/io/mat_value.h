/* What MATLAB keeps in a file, whichever version wrote it: a tree of structs and cells with numbers and texts as leaves. Numbers stay where they are. */
#ifndef NDI_MAT_VALUE_H
#define NDI_MAT_VALUE_H

#include "io/content.h"

enum { NDI_MAT_DEPTH = 32, NDI_MAT_VALUES = 1 << 20 };

typedef enum mat_kind { MAT_OTHER, MAT_NUMBERS, MAT_TEXT, MAT_CELL, MAT_STRUCT } mat_kind;

typedef struct mat_value mat_value;
struct mat_value {
    mat_kind kind;
    size_t n_dims, shape[NDI_MAX_DIMS], n;
    const array *numbers; /* MAT_NUMBERS: without a name */
    double scalar;        /* the value, if there is just one and it is real */
    size_t n_rows;        /* MAT_TEXT: a row is one text */
    const char **rows;
    size_t n_fields; /* MAT_STRUCT */
    const char **fields;
    mat_value *items; /* MAT_CELL: n of them; MAT_STRUCT: n x n_fields, element after element */
    const char *what; /* MAT_OTHER: "a function handle", ... */
};

/* A file while it is read. All values live in the memory of the content. */
typedef struct mat_file {
    content *c;
    stream *in;
    const char *name;
    size_t n_values, in_memory; /* values made, bytes of numbers copied so far */
} mat_file;

/* Sets n from n_dims and shape; false on overflow. */
bool ndi_mat_measure(mat_value *v);

/* Items of a cell or struct whose shape (and fields) are set; more than NDI_MAT_VALUES in one file are refused. */
nd_status ndi_mat_make_items(mat_file *f, mat_value *v);

/* A value of v's shape whose elements lie at a->at; the rest of `a` but type, order and stream is filled in. Reads the element of a scalar. */
nd_status ndi_mat_set_numbers(mat_file *f, mat_value *v, const array *a);

/* Room for count x width float64 numbers in memory, zero; a value whose shape is set gets them as its own, real (width 1) or complex (2). NULL if it
 * would be too much: v then says so. */
nd_status ndi_mat_copy_numbers(mat_file *f, mat_value *v, size_t width, double **numbers);

/* A text from its characters in Fortran order: bytes in UTF-8 or Latin-1, or UTF-16 or UTF-32. */
nd_status ndi_mat_set_text(mat_file *f, mat_value *v, const double *characters, size_t n, bool bytes);

nd_status ndi_mat_set_other(mat_file *f, mat_value *v, const char *what, const char *detail);

/* A field of one element of a struct; NULL if there is none. */
const mat_value *ndi_mat_field(const mat_value *v, size_t element, const char *name);

/* The tree as arrays and texts: "s.field", "cell.0", "structs.0.field". Cells of texts are lists; so are fields that hold a text in every element of
 * a struct array, and those that hold a number are one array. What cannot be read is passed over with a warning. */
nd_status ndi_mat_add(const mat_file *f, const mat_value *root);

/* The variables of a file as the fields of `root`: versions 4 to 7, and 7.3. */
nd_status ndi_mat_read(mat_file *f, mat_value *root);
nd_status ndi_mat_read_hdf5(mat_file *f, mat_value *root);

int ndi_mat_probe(const uint8_t *head, size_t n, const char *extension);
bool ndi_hdf5_probe(const uint8_t *head, size_t n);

#endif
