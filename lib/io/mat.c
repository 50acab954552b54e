#include "io/mat.h"

#include <string.h>

nd_status ndi_mat_load(const mat_file *f, const array *numbers, size_t count, double **values)
{
    *values = NULL;
    CHECK(count <= numbers->n, ND_ERR_FORMAT, "%s: a matrix has %zu numbers, expected %zu", f->name, numbers->n, count);
    CHECK(count <= NDI_MAT_LOAD, ND_ERR_UNSUPPORTED, "%s: a text or sparse or complex matrix of %zu numbers, expected at most %d", f->name, count,
          NDI_MAT_LOAD);
    TRY(NEW(*values, count));
    nd_status status = ndi_array_read_f64(numbers, 0, count, *values);
    if (status == ND_OK) return ND_OK;
    ndi_free(*values);
    *values = NULL;
    return status;
}

nd_status ndi_mat_set_complex(mat_file *f, mat_value *v, const array *real, const array *imaginary)
{
    double *x = NULL, *y = NULL, *both;
    nd_status status = ndi_mat_copy_numbers(f, v, 2, &both);
    if (status != ND_OK || !both) return status;
    GO(ndi_mat_load(f, real, v->n, &x));
    GO(ndi_mat_load(f, imaginary, v->n, &y));
    for (size_t i = 0; i < v->n; i++) {
        both[2 * i] = x[i];
        both[2 * i + 1] = y[i];
    }
done:
    ndi_free(x);
    ndi_free(y);
    return status;
}

static bool is_index(double x, size_t n) { return x >= 0 && x < (double)n; }

nd_status ndi_mat_set_sparse(mat_file *f, mat_value *v, size_t n, const double *row, const double *column, const double *real,
                             const double *imaginary)
{
    double *full;
    const size_t width = imaginary ? 2 : 1;
    TRY(ndi_mat_copy_numbers(f, v, width, &full));
    for (size_t k = 0; full && k < n; k++) {
        CHECK(is_index(row[k], v->shape[0]) && is_index(column[k], v->shape[1]), ND_ERR_FORMAT,
              "%s: an element of a sparse matrix at (%g, %g) of %zu x %zu", f->name, row[k], column[k], v->shape[0], v->shape[1]);
        double *to = full + ((size_t)column[k] * v->shape[0] + (size_t)row[k]) * width;
        to[0] = real[k];
        if (imaginary) to[1] = imaginary[k];
        if (v->n == 1 && !imaginary) v->scalar = real[k];
    }
    return ND_OK;
}

nd_status ndi_mat_append(mat_file *f, mat_list *list, const char *name, const mat_value *v)
{
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 8;
        mat_value *values = ndi_arena_alloc(&f->c->memory, capacity * sizeof *values);
        const char **names = ndi_arena_alloc(&f->c->memory, capacity * sizeof *names);
        CHECK(values && names, ND_ERR_MEMORY, "%s: out of memory for %zu variables", f->name, capacity);
        if (list->n) {
            memcpy(values, list->values, list->n * sizeof *values);
            memcpy(names, list->names, list->n * sizeof *names);
        }
        list->values = values;
        list->names = names;
        list->capacity = capacity;
    }
    list->names[list->n] = name;
    list->values[list->n++] = *v;
    return ND_OK;
}

void ndi_mat_finish(mat_list *list, mat_value *root)
{
    *root =
        (mat_value){ .kind = MAT_STRUCT, .n_dims = 2, .shape = { 1, 1 }, .n = 1, .n_fields = list->n, .fields = list->names, .items = list->values };
}
