/* The two layouts of MAT-files before version 7.3. */
#ifndef NDI_MAT_H
#define NDI_MAT_H

#include "io/mat_value.h"

bool ndi_mat4_probe(const uint8_t *head, size_t n);
bool ndi_mat5_probe(const uint8_t *head, size_t n);
nd_status ndi_mat4_read(mat_file *f, mat_value *root);
nd_status ndi_mat5_read(mat_file *f, mat_value *root);

/* `count` numbers as float64, in memory of at most NDI_MAT_LOAD numbers; freed with ndi_free(). */
enum { NDI_MAT_LOAD = 1 << 23 };
nd_status ndi_mat_load(const mat_file *f, const array *numbers, size_t count, double **values);

/* Complex numbers, whose parts a file keeps apart, put together in memory. */
nd_status ndi_mat_set_complex(mat_file *f, mat_value *v, const array *real, const array *imaginary);

/* Element k of a sparse matrix stands at (row[k], column[k]), both from 0; `imaginary` may be NULL. It becomes a full one. */
nd_status ndi_mat_set_sparse(mat_file *f, mat_value *v, size_t n, const double *row, const double *column, const double *real,
                             const double *imaginary);

/* Variables are collected until their number is known. */
typedef struct mat_list {
    mat_value *values;
    const char **names;
    size_t n, capacity;
} mat_list;

nd_status ndi_mat_append(mat_file *f, mat_list *list, const char *name, const mat_value *v);
void ndi_mat_finish(mat_list *list, mat_value *root);

#endif
