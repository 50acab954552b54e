/* Strings of HDF5, of fixed and of variable length, and scalar attributes. */
#include <math.h>
#include <string.h>

#include "io/hdf5.h"

enum { BATCH = 256, MOST_WIDTH = 1 << 20 };
static const size_t most_strings = (size_t)1 << 22;

/* ---- datasets ---- */

typedef struct strings {
    content *c;
    const hdf5_file *f;
    hid_t dataset, type;
    bool variable;
    size_t width; /* bytes of one of fixed length */
    size_t n_dims;
    hsize_t shape[NDI_MAX_DIMS], n;
} strings;

/* Index `at` of the elements in C order, for libhdf5. */
static void find_index(const strings *s, hsize_t at, hsize_t *index)
{
    for (size_t i = s->n_dims; i-- > 0; at /= s->shape[i]) index[i] = at % s->shape[i];
}

/* n elements from `first` on, or all of a dataset without dimensions. */
static bool select_batch(const strings *s, hid_t space, hsize_t first, size_t n)
{
    hsize_t indices[BATCH * NDI_MAX_DIMS];
    if (s->n_dims == 0) return true;
    for (size_t i = 0; i < n; i++) find_index(s, first + i, indices + i * s->n_dims);
    return H5Sselect_elements(space, H5S_SELECT_SET, n, indices) >= 0;
}

static nd_status copy_batch(const strings *s, const void *bytes, size_t n, const char **items)
{
    for (size_t i = 0; i < n; i++) {
        const char *item = s->variable ? ((char *const *)bytes)[i] : (const char *)bytes + i * s->width;
        const size_t length = !item ? 0 : s->variable ? strlen(item) : strnlen(item, s->width);
        TRY(ndi_content_text(s->c, item ? item : "", length, &items[i]));
    }
    return ND_OK;
}

static nd_status read_batch(const strings *s, hid_t space, hsize_t first, size_t n, void *bytes, const char **items)
{
    const hsize_t count = n;
    const hid_t memory = H5Screate_simple(1, &count, NULL);
    bool good = memory >= 0 && select_batch(s, space, first, n);
    good = good && H5Dread(s->dataset, s->type, memory, space, H5P_DEFAULT, bytes) >= 0;
    nd_status status = good ? copy_batch(s, bytes, n, items) : ndi_hdf5_fail(s->f, "strings cannot be read");
    if (good && s->variable) H5Dvlen_reclaim(s->type, memory, H5P_DEFAULT, bytes);
    if (memory >= 0) H5Sclose(memory);
    return status;
}

static nd_status read_strings(const strings *s, hid_t space, const char **items)
{
    char *bytes;
    const size_t element = s->variable ? sizeof(char *) : s->width, most = s->n_dims == 0 || element > 4096 ? 1 : BATCH;
    TRY(NEW(bytes, most * element));
    nd_status status = ND_OK;
    for (size_t first = 0, n; first < s->n && status == ND_OK; first += n) {
        n = s->n - first < most ? (size_t)s->n - first : most;
        memset(bytes, 0, most * element);
        status = read_batch(s, space, first, n, bytes, items + first);
    }
    ndi_free(bytes);
    return status;
}

static nd_status add_strings(strings *s, hid_t space, const char *name, const char **why)
{
    const char **items;
    hsize_t shape[H5S_MAX_RANK];
    const H5S_class_t class = H5Sget_simple_extent_type(space);
    const int n_dims = class == H5S_SCALAR || class == H5S_SIMPLE ? H5Sget_simple_extent_dims(space, shape, NULL) : -1;
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    s->variable = H5Tis_variable_str(s->type) > 0;
    s->width = H5Tget_size(s->type);
    *why = n_dims < 0 || n_dims > NDI_MAX_DIMS || n < 0 ? "text of a damaged shape" : NULL;
    if (!*why && ((size_t)n > most_strings || s->width > MOST_WIDTH || (size_t)n * s->width > NDI_HDF5_CHUNKS)) *why = "too much text";
    if (*why) return ND_OK;
    s->n = (hsize_t)n;
    s->n_dims = (size_t)n_dims;
    memcpy(s->shape, shape, s->n_dims * sizeof *shape);
    TRY(ndi_content_add_texts(s->c, name, (size_t)n, n_dims > 0, &items));
    for (size_t i = 0; i < s->n; i++) items[i] = "";
    return read_strings(s, space, items);
}

/* As in a dataset of numbers, other files are never opened. */
static bool is_here(hid_t dataset)
{
    const hid_t plan = H5Dget_create_plist(dataset);
    const bool here = plan >= 0 && H5Pget_external_count(plan) == 0 && H5Pget_layout(plan) >= 0 && H5Pget_layout(plan) <= H5D_CHUNKED;
    if (plan >= 0) H5Pclose(plan);
    return here;
}

nd_status ndi_hdf5_texts(content *c, const hdf5_file *f, hid_t dataset, const char *name, const char **why)
{
    strings s = { .c = c, .f = f, .dataset = dataset, .type = H5Dget_type(dataset) };
    const hid_t space = H5Dget_space(dataset);
    nd_status status = ND_OK;
    *why = is_here(dataset) ? NULL : "kept in other files";
    if (s.type < 0 || space < 0)
        status = ndi_hdf5_fail(f, "a dataset is damaged");
    else if (!*why)
        status = add_strings(&s, space, name, why);
    if (s.type >= 0) H5Tclose(s.type);
    if (space >= 0) H5Sclose(space);
    return status;
}

/* ---- attributes ---- */

static bool is_single(hid_t attribute)
{
    const hid_t space = H5Aget_space(attribute);
    const bool single = space >= 0 && H5Sget_simple_extent_type(space) != H5S_NULL && H5Sget_simple_extent_npoints(space) == 1;
    if (space >= 0) H5Sclose(space);
    return single;
}

bool ndi_hdf5_number(hid_t attribute, double *value)
{
    const hid_t type = H5Aget_type(attribute);
    const H5T_class_t class = type >= 0 ? H5Tget_class(type) : H5T_NO_CLASS;
    if (type >= 0) H5Tclose(type);
    return (class == H5T_INTEGER || class == H5T_FLOAT) && is_single(attribute) && H5Aread(attribute, H5T_NATIVE_DOUBLE, value) >= 0;
}

static nd_status read_fixed(content *c, hid_t attribute, hid_t type, const char **value)
{
    char *bytes;
    const size_t n = H5Tget_size(type);
    if (n > MOST_WIDTH) return ND_OK;
    TRY(NEW(bytes, n + 1));
    nd_status status = H5Aread(attribute, type, bytes) >= 0 ? ndi_content_text(c, bytes, strnlen(bytes, n), value) : ND_OK;
    ndi_free(bytes);
    return status;
}

static nd_status read_variable(content *c, hid_t attribute, hid_t type, const char **value)
{
    char *item = NULL;
    if (H5Aread(attribute, type, &item) < 0 || !item) return ND_OK;
    nd_status status = ndi_content_text(c, item, strlen(item), value);
    H5free_memory(item);
    return status;
}

nd_status ndi_hdf5_string(content *c, hid_t attribute, const char **value)
{
    nd_status status = ND_OK;
    const hid_t type = H5Aget_type(attribute);
    *value = NULL;
    if (type >= 0 && H5Tget_class(type) == H5T_STRING && is_single(attribute))
        status = H5Tis_variable_str(type) > 0 ? read_variable(c, attribute, type, value) : read_fixed(c, attribute, type, value);
    if (type >= 0) H5Tclose(type);
    return status;
}
