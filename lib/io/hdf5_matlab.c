/* MAT-files of version 7.3: HDF5 with the conventions of MATLAB. A dataset or group says in its attribute MATLAB_class what it is. Extents are in the
 * opposite order. A cell is a dataset of references, a struct a group of its fields, an array of structs a group of datasets of references. An empty
 * variable has its extents for data (MATLAB_empty), a sparse one is a group with MATLAB_sparse, an object has MATLAB_object_decode. */
#include <string.h>

#include "base/text.h"
#include "io/hdf5.h"
#include "io/mat.h"

typedef struct reader {
    mat_file *m;
    hdf5_file *f;
} reader;

static nd_status read_object(reader *r, hid_t object, mat_value *v, int depth);

static bool has(hid_t object, const char *attribute) { return H5Aexists(object, attribute) > 0; }

static nd_status class_of(reader *r, hid_t object, const char **class)
{
    nd_status status = ND_OK;
    const hid_t attribute = has(object, "MATLAB_class") ? H5Aopen(object, "MATLAB_class", H5P_DEFAULT) : -1;
    *class = NULL;
    if (attribute < 0) return ND_OK;
    status = ndi_hdf5_string(r->m->c, attribute, class);
    H5Aclose(attribute);
    return status;
}

static double number_of(hid_t object, const char *name)
{
    double value = 0;
    const hid_t attribute = has(object, name) ? H5Aopen(object, name, H5P_DEFAULT) : -1;
    if (attribute < 0) return 0;
    if (!ndi_hdf5_number(attribute, &value)) value = 0;
    H5Aclose(attribute);
    return value;
}

/* ---- datasets ---- */

/* MATLAB's extents of an array of HDF5. */
static void set_shape(mat_value *v, const array *a)
{
    v->n_dims = a->n_dims < 2 ? 2 : a->n_dims;
    v->shape[0] = v->shape[1] = 1;
    for (size_t i = 0; i < a->n_dims; i++) v->shape[i] = a->shape[a->n_dims - 1 - i];
    v->n = a->n;
}

/* The extents of an empty variable are its data. */
static nd_status set_empty(reader *r, const array *a, bool is_text, mat_value *v)
{
    double extents[NDI_MAX_DIMS];
    CHECK(a->n <= NDI_MAX_DIMS, ND_ERR_UNSUPPORTED, "%s: an empty variable of %zu dimensions, expected at most %d", r->m->name, a->n, NDI_MAX_DIMS);
    TRY(ndi_array_read_f64(a, 0, a->n, extents));
    v->n_dims = a->n;
    for (size_t i = 0; i < a->n; i++) v->shape[i] = extents[i] >= 0 && extents[i] <= INT32_MAX ? (size_t)extents[i] : 0;
    CHECK(v->n_dims > 0 && ndi_mat_measure(v) && v->n == 0, ND_ERR_FORMAT, "%s: a variable is said to be empty and to have %zu elements", r->m->name,
          v->n);
    if (is_text) return ndi_mat_set_text(r->m, v, extents, 0, true);
    array nothing = { .type = DTYPE_F64, .in = a->in, .at = a->at };
    return ndi_mat_set_numbers(r->m, v, &nothing);
}

static nd_status set_characters(reader *r, const array *a, mat_value *v)
{
    double *characters;
    array flat = *a;
    flat.n_dims = 1;
    TRY(ndi_mat_load(r->m, &flat, a->n, &characters));
    nd_status status = ndi_mat_set_text(r->m, v, characters, a->n, ndi_dtype_size(a->type) == 1);
    ndi_free(characters);
    return status;
}

static nd_status read_numbers(reader *r, hid_t dataset, const char *class, mat_value *v)
{
    array a;
    const char *why = NULL;
    const bool is_text = class && strcmp(class, "char") == 0;
    TRY(ndi_hdf5_array(r->m->c, r->f, dataset, &a, &why));
    if (why) return ndi_mat_set_other(r->m, v, "a dataset", why);
    if (number_of(dataset, "MATLAB_empty") != 0) return set_empty(r, &a, is_text, v);
    set_shape(v, &a);
    if (is_text) return set_characters(r, &a, v);
    if (class && strcmp(class, "logical") == 0 && ndi_dtype_size(a.type) == 1) a.type = DTYPE_BOOL;
    return ndi_mat_set_numbers(r->m, v, &a);
}

/* ---- references ---- */

/* What a dataset of references points at, from item `first` on every `step`-th item. */
static nd_status follow(reader *r, hid_t dataset, mat_value *items, size_t n, size_t step, int depth)
{
    hobj_ref_t *references;
    TRY(NEW(references, n));
    nd_status status = ND_OK;
    if (H5Dread(dataset, H5T_STD_REF_OBJ, H5S_ALL, H5S_ALL, H5P_DEFAULT, references) < 0) status = ndi_hdf5_fail(r->f, "references cannot be read");
    for (size_t i = 0; i < n && status == ND_OK; i++) {
        const hid_t object = H5Rdereference2(dataset, H5P_DEFAULT, H5R_OBJECT, &references[i]);
        status = object >= 0 ? read_object(r, object, &items[i * step], depth + 1) : ndi_hdf5_fail(r->f, "a reference leads nowhere");
        if (object >= 0) H5Oclose(object);
    }
    ndi_free(references);
    return status;
}

static bool is_reference(hid_t dataset)
{
    const hid_t type = H5Dget_type(dataset);
    const bool is = type >= 0 && H5Tequal(type, H5T_STD_REF_OBJ) > 0;
    if (type >= 0) H5Tclose(type);
    return is;
}

/* Extents of a dataset of references that lies in this file. */
static nd_status shape_of(reader *r, hid_t dataset, mat_value *v)
{
    hsize_t shape[H5S_MAX_RANK];
    array a = { .n = 1 };
    const hid_t space = H5Dget_space(dataset), plan = H5Dget_create_plist(dataset);
    const int n_dims = space >= 0 && H5Sget_simple_extent_type(space) != H5S_NULL ? H5Sget_simple_extent_dims(space, shape, NULL) : -1;
    const bool here = plan >= 0 && H5Pget_external_count(plan) == 0 && H5Pget_layout(plan) <= H5D_CHUNKED;
    if (space >= 0) H5Sclose(space);
    if (plan >= 0) H5Pclose(plan);
    CHECK(here && n_dims >= 0 && n_dims <= NDI_MAX_DIMS, ND_ERR_FORMAT, "%s: references in %d dimensions", r->m->name, n_dims);
    a.n_dims = (size_t)n_dims;
    for (size_t i = 0; i < a.n_dims; i++) {
        a.shape[i] = (size_t)shape[i];
        CHECK(ndi_mul(a.n, a.shape[i], &a.n), ND_ERR_FORMAT, "%s: too many references", r->m->name);
    }
    set_shape(v, &a);
    return ND_OK;
}

static nd_status read_cell(reader *r, hid_t dataset, mat_value *v, int depth)
{
    array a;
    const char *why = NULL;
    v->kind = MAT_CELL;
    if (number_of(dataset, "MATLAB_empty") != 0) {
        TRY(ndi_hdf5_array(r->m->c, r->f, dataset, &a, &why));
        return why ? ndi_mat_set_other(r->m, v, "a dataset", why) : set_empty(r, &a, false, v);
    }
    TRY(shape_of(r, dataset, v));
    TRY(ndi_mat_make_items(r->m, v));
    return follow(r, dataset, v->items, v->n, 1, depth);
}

/* ---- groups ---- */

typedef struct links {
    reader *r;
    const char **names;
    size_t n, capacity;
    nd_status status;
} links;

static herr_t keep_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    links *l = context;
    (void)group;
    if (info->type != H5L_TYPE_HARD || name[0] == '#') return 0; /* "#refs#" is where references lead to */
    if (l->n == l->capacity) {
        const size_t capacity = l->capacity ? 2 * l->capacity : 16;
        const char **more = ndi_arena_alloc(&l->r->m->c->memory, capacity * sizeof *more);
        if (!more) {
            l->status = ndi_fail(ND_ERR_MEMORY, "%s: out of memory for %zu fields", l->r->m->name, capacity);
            return 1;
        }
        if (l->n) memcpy(more, l->names, l->n * sizeof *more);
        l->names = more;
        l->capacity = capacity;
    }
    l->status = ndi_content_text(l->r->m->c, name, strlen(name), &l->names[l->n]);
    if (l->status != ND_OK) return 1;
    l->n++;
    return 0;
}

static nd_status list_links(reader *r, hid_t group, mat_value *v)
{
    links l = { .r = r };
    const herr_t listed = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, keep_link, &l);
    if (l.status != ND_OK) return l.status;
    if (listed < 0) return ndi_hdf5_fail(r->f, "a group cannot be read");
    v->kind = MAT_STRUCT;
    v->n_fields = l.n;
    v->fields = l.names;
    return ND_OK;
}

/* In an array of structs each field is a dataset of references that is no cell; the first one tells the extents. */
static nd_status struct_shape(reader *r, hid_t group, mat_value *v, bool *is_array)
{
    nd_status status = ND_OK;
    const hid_t first = v->n_fields ? H5Oopen(group, v->fields[0], H5P_DEFAULT) : -1;
    *is_array = first >= 0 && H5Iget_type(first) == H5I_DATASET && is_reference(first) && !has(first, "MATLAB_class");
    if (*is_array)
        status = shape_of(r, first, v);
    else
        *v = (mat_value){ .kind = MAT_STRUCT, .n_dims = 2, .shape = { 1, 1 }, .n = 1, .n_fields = v->n_fields, .fields = v->fields };
    if (first >= 0) H5Oclose(first);
    return status;
}

static nd_status read_field(reader *r, hid_t group, size_t field, mat_value *v, bool is_array, int depth)
{
    mat_value own = { 0 };
    nd_status status;
    const hid_t object = H5Oopen(group, v->fields[field], H5P_DEFAULT);
    if (object < 0) return ndi_hdf5_fail(r->f, "a field cannot be opened");
    if (!is_array)
        status = read_object(r, object, &v->items[field], depth + 1);
    else if (H5Iget_type(object) != H5I_DATASET || !is_reference(object))
        status = ndi_fail(ND_ERR_FORMAT, "%s: field '%s' of an array of structs holds no references", r->m->name, v->fields[field]);
    else
        status = shape_of(r, object, &own);
    if (status == ND_OK && is_array)
        status = own.n == v->n ? follow(r, object, v->items + field, v->n, v->n_fields, depth)
                               : ndi_fail(ND_ERR_FORMAT, "%s: field '%s' has %zu elements, expected %zu", r->m->name, v->fields[field], own.n, v->n);
    H5Oclose(object);
    return status;
}

static nd_status read_struct(reader *r, hid_t group, mat_value *v, int depth)
{
    bool is_array;
    if (has(group, "MATLAB_sparse")) return ndi_mat_set_other(r->m, v, "a sparse matrix", "of version 7.3");
    TRY(list_links(r, group, v));
    TRY(struct_shape(r, group, v, &is_array));
    TRY(ndi_mat_make_items(r->m, v));
    for (size_t i = 0; i < v->n_fields; i++) TRY(read_field(r, group, i, v, is_array, depth));
    return ND_OK;
}

/* ---- the whole ---- */

static nd_status read_object(reader *r, hid_t object, mat_value *v, int depth)
{
    const char *class;
    CHECK(depth < NDI_MAT_DEPTH, ND_ERR_UNSUPPORTED, "%s: cells and structs nested deeper than %d", r->m->name, NDI_MAT_DEPTH);
    TRY(class_of(r, object, &class));
    const H5I_type_t type = H5Iget_type(object);
    if (has(object, "MATLAB_object_decode")) return ndi_mat_set_other(r->m, v, "an object of class", class ? class : "?");
    if (class && strcmp(class, "function_handle") == 0) return ndi_mat_set_other(r->m, v, "a function handle", "");
    if (type == H5I_GROUP) return read_struct(r, object, v, depth);
    if (type != H5I_DATASET) return ndi_mat_set_other(r->m, v, "neither a dataset nor a group", "");
    const bool is_cell = class && strcmp(class, "cell") == 0;
    return is_cell && (is_reference(object) || has(object, "MATLAB_empty")) ? read_cell(r, object, v, depth) : read_numbers(r, object, class, v);
}

static herr_t find_class(hid_t group, const char *name, const H5L_info_t *info, void *found)
{
    if (info->type != H5L_TYPE_HARD) return 0;
    *(bool *)found = H5Aexists_by_name(group, name, "MATLAB_class", H5P_DEFAULT) > 0;
    return *(bool *)found;
}

bool ndi_hdf5_is_matlab(const hdf5_file *f)
{
    bool found = false;
    H5Literate(f->id, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, find_class, &found);
    return found;
}

nd_status ndi_hdf5_matlab(mat_file *m, hdf5_file *f, mat_value *root)
{
    reader r = { m, f };
    const hid_t group = H5Gopen2(f->id, "/", H5P_DEFAULT);
    if (group < 0) return ndi_hdf5_fail(f, "has no root");
    nd_status status = read_struct(&r, group, root, 0);
    H5Gclose(group);
    return status;
}
