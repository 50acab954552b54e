#include "data/sidecar.h"

#include <string.h>
#include <unistd.h>

#include "io/json.h"
#include "io/table.h"

/* "train" or "test" for a file of that name, else NULL. */
static const char *partition_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    return strcmp(name, "train.npy") == 0 ? "train" : strcmp(name, "test.npy") == 0 ? "test" : NULL;
}

nd_status ndi_sidecar_find(text *info, const char *path)
{
    static const char *const places[] = { "", "../" };
    const char *slash = strrchr(path, '/');
    const int folder = slash ? (int)(slash - path) + 1 : 0;
    for (size_t i = 0; partition_of(path) && i < COUNT(places); i++) {
        ndi_text_free(info);
        ndi_text_add(info, "%.*s%sinfo.json", folder, path, places[i]);
        TRY(ndi_text_status(info));
        if (access(info->s, R_OK) == 0) return ND_OK;
    }
    ndi_text_free(info);
    return ND_OK;
}

static nd_status read_json(json_t **o, const char *path)
{
    stream *s;
    char *bytes = NULL;
    size_t n;
    TRY(ndi_stream_open_file(&s, path));
    nd_status status = ndi_text_load(s, &bytes, &n);
    if (status == ND_OK) status = ndi_json_parse(o, bytes, n, path);
    ndi_free(bytes);
    ndi_stream_close(s);
    return status;
}

static nd_status add_channels(content *c, const json_t *o, const char *info)
{
    const json_t *list = json_object_get(o, "ch_names");
    const char **items;
    if (!list || ndi_content_texts(c, "ch_names")) return ND_OK;
    CHECK(json_is_array(list), ND_ERR_FORMAT, "%s: ch_names: expected a list of texts", info);
    const size_t n = json_array_size(list);
    if (n == 0) return ND_OK;
    TRY(ndi_content_add_texts(c, "ch_names", n, true, &items));
    for (size_t i = 0; i < n; i++) {
        const json_t *name = json_array_get(list, i);
        CHECK(json_is_string(name), ND_ERR_FORMAT, "%s: ch_names: entry %zu is no text", info, i);
        TRY(ndi_content_text(c, json_string_value(name), json_string_length(name), &items[i]));
    }
    return ND_OK;
}

static nd_status add_times(content *c, const json_t *o, const char *info)
{
    const json_t *list = json_object_get(o, "times");
    double *times;
    if (!list || ndi_content_array(c, "times")) return ND_OK;
    const size_t n = json_array_size(list);
    CHECK(n > 0, ND_ERR_FORMAT, "%s: times: expected a list of seconds", info);
    TRY(NEW(times, n));
    nd_status status = ND_OK;
    for (size_t i = 0; i < n && status == ND_OK; i++) {
        const json_t *t = json_array_get(list, i);
        if (!json_is_number(t)) status = ndi_fail(ND_ERR_FORMAT, "%s: times: entry %zu is no number", info, i);
        times[i] = json_number_value(t);
    }
    if (status == ND_OK) status = ndi_content_add_numbers(c, "times", DTYPE_F64, 1, &n, times);
    ndi_free(times);
    return status;
}

static bool has_shape(const array *a, const json_t *shape)
{
    bool same = json_array_size(shape) == a->n_dims;
    for (size_t i = 0; same && i < a->n_dims; i++) same = json_integer_value(json_array_get(shape, i)) == (json_int_t)a->shape[i];
    return same;
}

static nd_status check_shape(const content *c, const json_t *o, const char *path, const char *info)
{
    char key[32];
    ndi_format(key, sizeof key, "%s_data_shape", partition_of(path));
    const json_t *shape = json_object_get(o, key);
    const array *a;
    if (!shape) return ND_OK;
    TRY(ndi_content_pick(c, NULL, &a));
    if (has_shape(a, shape)) return ND_OK;
    text got = { 0 }, expected = { 0 };
    for (size_t i = 0; i < a->n_dims; i++) ndi_text_add(&got, "%s%zu", i ? " x " : "", a->shape[i]);
    nd_status status = ndi_json_dump(shape, &expected);
    if (status == ND_OK)
        status = ndi_fail(ND_ERR_FORMAT, "%s: has shape (%s), expected %s by %s of %s", path, got.s ? got.s : "", expected.s, key, info);
    ndi_text_free(&got);
    ndi_text_free(&expected);
    return status;
}

nd_status ndi_sidecar_add(content *c, const char *path)
{
    text info = { 0 };
    json_t *o = NULL;
    nd_status status;
    GO(ndi_sidecar_find(&info, path));
    if (!info.s || ndi_content_texts(c, "ch_names")) goto done;
    GO(read_json(&o, info.s));
    GO(check_shape(c, o, path, info.s));
    GO(add_channels(c, o, info.s));
    GO(add_times(c, o, info.s));
done:
    json_decref(o);
    ndi_text_free(&info);
    return status;
}
