#include "neurodecode/file.h"

#include <string.h>

#include "api/handle.h"
#include "io/format.h"

nd_status nd_format_get_info(size_t index, nd_format_info *info)
{
    REQUIRE(info);
    size_t n = 0;
    while (ndi_formats[n]) n++;
    CHECK(index < n, ND_ERR_ARGUMENT, "nd_format_get_info: index %zu, there are %zu formats", index, n);
    const format *f = ndi_formats[index];
    nd_format_info known = { .size = sizeof known,
                             .name = f->name,
                             .title = f->title,
                             .extensions = f->extensions,
                             .can_read = f->read != NULL,
                             .can_write = f->write != NULL };
    return ndi_struct_out(info, &known, sizeof known, "nd_format_info");
}

/* ---- arrays ---- */

static nd_status copy_out(const array *a, const char *path, size_t *shape, size_t *n_dims, float *values, size_t capacity)
{
    const bool shape_only = !values && capacity == 0;
    CHECK(*n_dims >= a->n_dims, ND_ERR_BUFFER, "%s: array '%s' has %zu dimensions, got room for %zu", path, a->name, a->n_dims, *n_dims);
    CHECK(values || shape_only, ND_ERR_ARGUMENT, "nd_array_read: values is NULL with a capacity of %zu", capacity);
    CHECK(shape_only || capacity >= a->n, ND_ERR_BUFFER, "%s: array '%s' has %zu elements, got room for %zu", path, a->name, a->n, capacity);
    if (!shape_only) TRY(ndi_array_read_f32(a, 0, a->n, values));
    memcpy(shape, a->shape, a->n_dims * sizeof *shape);
    *n_dims = a->n_dims;
    return ND_OK;
}

nd_status nd_array_read(const char *path, const char *variable, size_t *shape, size_t *n_dims, float *values, size_t capacity)
{
    REQUIRE(path);
    REQUIRE(shape);
    REQUIRE(n_dims);
    content *c;
    const array *a;
    TRY(ndi_content_open(&c, path));
    nd_status status = ndi_content_pick(c, variable, &a);
    if (status == ND_OK) status = copy_out(a, path, shape, n_dims, values, capacity);
    ndi_content_free(c);
    return status;
}

nd_status nd_array_write(const char *path, const float *values, const size_t *shape, size_t n_dims)
{
    REQUIRE(path);
    REQUIRE(values);
    CHECK(shape || n_dims == 0, ND_ERR_ARGUMENT, "nd_array_write: shape is NULL");
    CHECK(n_dims <= NDI_MAX_DIMS, ND_ERR_ARGUMENT, "nd_array_write: %zu dimensions, expected at most %d", n_dims, NDI_MAX_DIMS);
    put_array a = { .name = "data", .type = DTYPE_F32, .n_dims = n_dims, .data = values };
    if (n_dims) memcpy(a.shape, shape, n_dims * sizeof *shape);
    return ndi_format_write(path, NULL, &(put){ .arrays = &a, .n_arrays = 1 });
}

/* ---- nd_file_convert ---- */

static nd_status read_elements(void *a, size_t first, size_t count, void *elements) { return ndi_array_read_native(a, first, count, elements); }
static nd_status read_scaled(void *a, size_t first, size_t count, void *elements) { return ndi_array_read_f64(a, first, count, elements); }

static nd_status write_all(const content *c, put_array *arrays, put_texts *lists, const char *from, const char *to)
{
    for (size_t i = 0; i < c->n_arrays; i++) {
        array *a = &c->arrays[i];
        CHECK(ndi_content_array(c, a->name) == a, ND_ERR_FORMAT, "%s: two arrays are called '%s'", from, a->name);
        arrays[i] = (put_array){ .name = a->name, .type = a->type, .n_dims = a->n_dims, .fill = read_elements, .context = a };
        if (a->scaled) arrays[i].type = DTYPE_F64;
        if (a->scaled) arrays[i].fill = read_scaled;
        memcpy(arrays[i].shape, a->shape, a->n_dims * sizeof *a->shape);
    }
    for (size_t i = 0; i < c->n_texts; i++) lists[i] = (put_texts){ c->texts[i].name, c->texts[i].items, c->texts[i].n, c->texts[i].list };
    return ndi_format_write(to, NULL, &(put){ arrays, c->n_arrays, lists, c->n_texts, c->metadata });
}

nd_status nd_file_convert(const char *from, const char *to)
{
    REQUIRE(from);
    REQUIRE(to);
    content *c;
    put_array *arrays = NULL;
    put_texts *lists = NULL;
    TRY(ndi_content_open(&c, from));
    nd_status status = NEW(arrays, c->n_arrays);
    if (status == ND_OK) status = NEW(lists, c->n_texts);
    if (status == ND_OK) status = write_all(c, arrays, lists, from, to);
    ndi_free(arrays);
    ndi_free(lists);
    ndi_content_free(c);
    return status;
}
