/* What is in an HDF5 file: its datasets by their paths, and its scalar attributes as metadata. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "io/hdf5.h"
#include "io/json.h"

enum { MOST_ATTRIBUTES = 4096 };

typedef struct walk {
    content *c;
    hdf5_file *f;
    json_t *attributes;
    const char *object; /* whose attributes are read, "" for the root */
    nd_status status;
} walk;

/* ---- attributes ---- */

static nd_status keep_attribute(walk *w, hid_t attribute, const char *name)
{
    double number;
    const char *key, *string;
    text path = { 0 };
    ndi_text_add(&path, "%s%s%s", w->object, *w->object ? "/" : "", name);
    nd_status status = ndi_text_status(&path);
    if (status == ND_OK) status = ndi_content_text(w->c, path.s, path.n, &key);
    ndi_text_free(&path);
    TRY(status);
    if (ndi_hdf5_number(attribute, &number)) return isfinite(number) ? ndi_json_set(w->attributes, key, json_real(number)) : ND_OK;
    TRY(ndi_hdf5_string(w->c, attribute, &string));
    return string ? ndi_json_set(w->attributes, key, json_string(string)) : ND_OK;
}

static herr_t visit_attribute(hid_t object, const char *name, const H5A_info_t *info, void *context)
{
    walk *w = context;
    (void)info;
    const hid_t attribute = json_object_size(w->attributes) < MOST_ATTRIBUTES ? H5Aopen(object, name, H5P_DEFAULT) : -1;
    if (attribute < 0) return 0;
    w->status = keep_attribute(w, attribute, name);
    H5Aclose(attribute);
    return w->status == ND_OK ? 0 : 1;
}

/* ---- datasets ---- */

static nd_status add_dataset(walk *w, hid_t dataset, const char *name)
{
    array a;
    const char *why = NULL;
    const hid_t type = H5Dget_type(dataset);
    const bool strings = type >= 0 && H5Tget_class(type) == H5T_STRING;
    if (type >= 0) H5Tclose(type);
    if (strings) {
        TRY(ndi_hdf5_texts(w->c, w->f, dataset, name, &why));
    } else {
        TRY(ndi_hdf5_array(w->c, w->f, dataset, &a, &why));
        a.name = name;
        if (!why) TRY(ndi_content_add_array(w->c, &a));
    }
    if (why) ndi_log(ND_LOG_WARNING, "%s: dataset '%s' is %s, passed over", w->f->head.name, name, why);
    return ND_OK;
}

static herr_t visit_object(hid_t root, const char *name, const H5O_info_t *info, void *context)
{
    walk *w = context;
    const hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    if (object < 0) {
        w->status = ndi_hdf5_fail(w->f, "an object cannot be opened");
        return 1;
    }
    w->object = strcmp(name, ".") == 0 ? "" : name;
    if (info->type == H5O_TYPE_DATASET) w->status = add_dataset(w, object, name);
    if (w->status == ND_OK) H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, NULL, visit_attribute, w);
    H5Oclose(object);
    return w->status == ND_OK ? 0 : 1;
}

static nd_status set_metadata(const walk *w)
{
    text t = { 0 };
    if (json_object_size(w->attributes) == 0) return ND_OK;
    nd_status status = ndi_json_dump(w->attributes, &t);
    if (status == ND_OK) status = ndi_content_text(w->c, t.s, t.n, &w->c->metadata);
    ndi_text_free(&t);
    return status;
}

static nd_status read_objects(content *c, hdf5_file *f)
{
    walk w = { .c = c, .f = f, .attributes = json_object() };
    CHECK(w.attributes, ND_ERR_MEMORY, "%s: out of memory", f->head.name);
    const herr_t visited = H5Ovisit(f->id, H5_INDEX_NAME, H5_ITER_INC, visit_object, &w);
    if (visited < 0 && w.status == ND_OK) w.status = ndi_hdf5_fail(f, "its groups cannot be read");
    if (w.status == ND_OK) w.status = set_metadata(&w);
    json_decref(w.attributes);
    return w.status;
}

static nd_status read_variables(content *c, hdf5_file *f)
{
    mat_file m = { .c = c, .in = f->in, .name = f->head.name };
    mat_value root = { 0 };
    TRY(ndi_hdf5_matlab(&m, f, &root));
    return ndi_mat_add(&m, &root);
}

nd_status ndi_mat_read_hdf5(mat_file *m, mat_value *root)
{
    hdf5_file *f;
    hdf5_quiet before = ndi_hdf5_enter();
    nd_status status = ndi_hdf5_open(m->c, m->in, &f);
    if (status == ND_OK) status = ndi_hdf5_matlab(m, f, root);
    ndi_hdf5_leave(before);
    return status;
}

nd_status ndi_hdf5_read(content *c, stream *in)
{
    hdf5_file *f;
    hdf5_quiet before = ndi_hdf5_enter();
    nd_status status = ndi_hdf5_open(c, in, &f);
    if (status == ND_OK) status = ndi_hdf5_is_matlab(f) ? read_variables(c, f) : read_objects(c, f);
    ndi_hdf5_leave(before);
    return status;
}
