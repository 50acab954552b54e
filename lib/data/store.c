#include "data/store.h"

#include <math.h>
#include <string.h>

#include "base/bf16.h"
#include "io/feed.h"
#include "io/format.h"
#include "io/json.h"

static const char version[] = "1";

/* ---- writing ---- */

typedef struct rows {
    const sample_source *from;
    size_t row_elements;
    float *room; /* where they are written in 16 bits */
} rows;

static nd_status read_rows(void *context, size_t first, size_t count, void *to)
{
    const rows *r = context;
    return r->from->read(r->from->context, first, count, to);
}

static nd_status read_brief_rows(void *context, size_t first, size_t count, void *to)
{
    const rows *r = context;
    TRY(r->from->read(r->from->context, first, count, r->room));
    for (size_t i = 0; i < count * r->row_elements; i++) ((uint16_t *)to)[i] = ndi_bf16_nearest(r->room[i]);
    return ND_OK;
}

static nd_status set_text(json_t *o, const char *key, const char *value) { return ndi_json_set(o, key, json_string(value)); }

static nd_status set_number(json_t *o, const char *key, double value)
{
    char digits[40];
    ndi_format(digits, sizeof digits, "%.17g", value);
    return set_text(o, key, digits);
}

static nd_status describe(text *metadata, const storage *s, const char *source)
{
    json_t *o = json_object();
    CHECK(o, ND_ERR_MEMORY, "out of memory");
    nd_status status;
    GO(set_text(o, "neurodecode.kind", "dataset"));
    GO(set_text(o, "neurodecode.version", version));
    GO(set_number(o, "neurodecode.rate", s->rate));
    GO(set_number(o, "neurodecode.start", s->start));
    GO(set_number(o, "neurodecode.normalise", s->normalise));
    GO(set_number(o, "neurodecode.averaged", s->averaged));
    if (source) GO(set_text(o, "neurodecode.source", source));
    GO(ndi_json_dump(o, metadata));
    status = ndi_text_status(metadata);
done:
    json_decref(o);
    return status;
}

nd_status ndi_precision_check(int32_t precision)
{
    CHECK(precision == ND_PRECISION_FLOAT32 || precision == ND_PRECISION_BFLOAT16, ND_ERR_ARGUMENT,
          "precision: got %d, expected ND_PRECISION_FLOAT32 or ND_PRECISION_BFLOAT16", (int)precision);
    return ND_OK;
}

nd_status ndi_store_write(const char *path, const storage *s, const sample_source *from, int32_t precision, const char *source)
{
    const bool brief = precision == ND_PRECISION_BFLOAT16;
    rows r = { .from = from, .row_elements = s->n_channels * s->n_samples };
    feed f = { .read = brief ? read_brief_rows : read_rows,
               .context = &r,
               .n_rows = s->n_trials,
               .row_elements = r.row_elements,
               .element_size = brief ? sizeof(uint16_t) : sizeof(float),
               .batch = from->batch };
    text metadata = { 0 };
    nd_status status;
    TRY(ndi_precision_check(precision));
    f.buffer = ndi_alloc(f.batch * f.row_elements, f.element_size);
    if (!f.buffer) GO(ndi_fail(ND_ERR_MEMORY, "out of memory"));
    if (brief) GO(NEW(r.room, f.batch * f.row_elements));
    GO(describe(&metadata, s, source));
    const put_array arrays[] = {
        { .name = "data",
          .type = brief ? DTYPE_BF16 : DTYPE_F32,
          .n_dims = 3,
          .shape = { s->n_trials, s->n_channels, s->n_samples },
          .fill = ndi_feed_fill,
          .context = &f },
        { .name = "image", .type = DTYPE_I32, .n_dims = 1, .shape = { s->n_trials }, .data = s->image },
        { .name = "subject", .type = DTYPE_I32, .n_dims = 1, .shape = { s->n_trials }, .data = s->subject },
        { .name = "repetition", .type = DTYPE_I32, .n_dims = 1, .shape = { s->n_trials }, .data = s->repetition },
        { .name = "session", .type = DTYPE_I32, .n_dims = 1, .shape = { s->n_trials }, .data = s->session },
        { .name = "run", .type = DTYPE_I32, .n_dims = 1, .shape = { s->n_trials }, .data = s->run },
    };
    const put_texts lists[] = {
        { .name = "image_ids", .items = s->images.items, .n = s->images.n, .list = true },
        { .name = "channels", .items = s->channels.items, .n = s->channels.n, .list = true },
    };
    const put all = { .arrays = arrays, .n_arrays = COUNT(arrays), .texts = lists, .n_texts = COUNT(lists), .metadata = metadata.s };
    status = ndi_format_write(path, "safetensors", &all);
done:
    ndi_free(f.buffer);
    ndi_free(r.room);
    ndi_text_free(&metadata);
    return status;
}

/* ---- saving a view ---- */

typedef struct save {
    const nd_dataset *d;
    progress p;
} save;

static nd_status save_read(void *context, size_t first, size_t count, float *x)
{
    save *v = context;
    size_t per_trial = v->d->n_channels * v->d->n_samples;
    for (size_t i = 0; i < count; i++) ndi_dataset_read(v->d, first + i, x + i * per_trial);
    return ndi_progress_at(&v->p, first + count);
}

nd_status ndi_dataset_save(const nd_dataset *d, const char *path, int32_t precision, nd_progress_fn fn, void *user)
{
    storage *s;
    TRY(ndi_storage_like(&s, d, d->n_trials));
    ndi_storage_label(s, d);
    save v = { .d = d };
    ndi_progress_begin(&v.p, fn, user, "write", "trials", 0, d->n_trials);
    const sample_source from = { save_read, &v, ((size_t)1 << 20) / (d->n_channels * d->n_samples * sizeof(float)) + 1 };
    nd_status status = ndi_store_write(path, s, &from, precision, NULL);
    ndi_storage_free(s);
    return status;
}

/* ---- opening ---- */

static nd_status read_metadata(json_t **o, const content *c, const char *path)
{
    CHECK(c->metadata, ND_ERR_FORMAT, "%s: has no metadata, expected those of a dataset", path);
    return ndi_json_parse(o, c->metadata, strlen(c->metadata), path);
}

/* Whether a metadata entry equals a text. */
static nd_status says(const content *c, const char *key, const char *expected, bool *same)
{
    json_t *o;
    *same = false;
    if (!c->metadata) return ND_OK;
    TRY(ndi_json_parse(&o, c->metadata, strlen(c->metadata), "metadata"));
    const char *value = json_string_value(json_object_get(o, key));
    *same = value && strcmp(value, expected) == 0;
    json_decref(o);
    return ND_OK;
}

nd_status ndi_store_is(const content *c, bool *is) { return says(c, "neurodecode.kind", "dataset", is); }

static nd_status number(const json_t *o, const char *key, const char *path, double *value)
{
    const char *s = json_string_value(json_object_get(o, key));
    CHECK(s && ndi_parse_double(s, s + strlen(s), value) && isfinite(*value), ND_ERR_FORMAT, "%s: metadata '%s': got %s, expected a number", path,
          key, s ? s : "nothing");
    return ND_OK;
}

static nd_status read_timing(storage *s, const content *c, const char *path)
{
    json_t *o;
    double normalise, averaged;
    TRY(read_metadata(&o, c, path));
    nd_status status;
    const char *made = json_string_value(json_object_get(o, "neurodecode.version"));
    if (!made || strcmp(made, version) != 0)
        GO(ndi_fail(ND_ERR_UNSUPPORTED, "%s: is a store of version %s, expected %s", path, made ? made : "?", version));
    GO(number(o, "neurodecode.rate", path, &s->rate));
    GO(number(o, "neurodecode.start", path, &s->start));
    GO(number(o, "neurodecode.normalise", path, &normalise));
    GO(number(o, "neurodecode.averaged", path, &averaged));
    if (s->rate <= 0 || averaged < 1 || averaged > INT32_MAX || normalise < ND_NORMALISE_NONE || normalise > ND_NORMALISE_REFERENCE)
        GO(ndi_fail(ND_ERR_FORMAT, "%s: metadata: rate %g, averaged %g, normalise %g cannot be", path, s->rate, averaged, normalise));
    s->normalise = (int32_t)normalise;
    s->averaged = (int32_t)averaged;
done:
    json_decref(o);
    return status;
}

static nd_status read_ids(ids *set, const content *c, const char *name, const char *path)
{
    const texts *t = ndi_content_texts(c, name);
    CHECK(t, ND_ERR_FORMAT, "%s: has no texts '%s', expected those of a dataset", path, name);
    for (size_t i = 0; i < t->n; i++) {
        size_t index;
        TRY(ndi_prefix(ndi_add_id(set, t->items[i], name, &index), "%s", path));
        CHECK(index == i, ND_ERR_FORMAT, "%s: %s: '%s' stands twice", path, name, t->items[i]);
    }
    return ND_OK;
}

/* One whole number per trial, each from `least` to `most`. */
static nd_status read_labels(const content *c, const char *name, const char *path, size_t n, double least, double most, int32_t *to)
{
    const array *a;
    double *values;
    TRY(ndi_content_pick(c, name, &a));
    CHECK(a->n == n && a->n_dims == 1, ND_ERR_FORMAT, "%s: array '%s' has %zu entries, expected one for each of %zu trials", path, name, a->n, n);
    TRY(NEW(values, n));
    nd_status status = ndi_array_read_f64(a, 0, n, values);
    for (size_t i = 0; i < n && status == ND_OK; i++) {
        if (!(values[i] >= least && values[i] <= most) || values[i] != floor(values[i]))
            status = ndi_fail(ND_ERR_FORMAT, "%s: array '%s': entry %zu is %g, expected a whole number from %g to %g", path, name, i, values[i],
                              least, most);
        else
            to[i] = (int32_t)values[i];
    }
    ndi_free(values);
    return status;
}

static nd_status read_samples(storage *s, const array *data)
{
    s->data = ndi_array_map(data, DTYPE_F32);
    s->brief = ndi_array_map(data, DTYPE_BF16);
    if (s->data || s->brief) return ND_OK;
    TRY(ndi_storage_alloc(s));
    return ndi_array_read_f32(data, 0, data->n, s->owned);
}

static nd_status fill_storage(storage *s, const content *c, const array *data, const char *path)
{
    TRY(read_timing(s, c, path));
    TRY(read_ids(&s->channels, c, "channels", path));
    CHECK(s->channels.n == s->n_channels, ND_ERR_FORMAT, "%s: names %zu channels, the data have %zu", path, s->channels.n, s->n_channels);
    TRY(read_ids(&s->images, c, "image_ids", path));
    int32_t *image;
    TRY(NEW(image, s->n_trials));
    nd_status status = read_labels(c, "image", path, s->n_trials, 0, (double)s->images.n - 1, image);
    for (size_t i = 0; i < s->n_trials && status == ND_OK; i++) s->image[i] = (uint32_t)image[i];
    ndi_free(image);
    TRY(status);
    TRY(read_labels(c, "subject", path, s->n_trials, INT32_MIN, INT32_MAX, s->subject));
    TRY(read_labels(c, "repetition", path, s->n_trials, 0, INT32_MAX, s->repetition));
    if (ndi_content_array(c, "session")) TRY(read_labels(c, "session", path, s->n_trials, INT32_MIN, INT32_MAX, s->session));
    if (ndi_content_array(c, "run")) TRY(read_labels(c, "run", path, s->n_trials, INT32_MIN, INT32_MAX, s->run));
    return read_samples(s, data);
}

nd_status ndi_store_from_content(nd_dataset **d, content *c, const char *path)
{
    const array *data;
    storage *s = NULL;
    nd_status status;
    GO(ndi_content_pick(c, "data", &data));
    if (data->n_dims != 3)
        GO(ndi_fail(ND_ERR_FORMAT, "%s: array 'data' has %zu dimensions, expected trials x channels x samples", path, data->n_dims));
    GO(ndi_prefix(ndi_storage_create(&s, data->shape[0], data->shape[1], data->shape[2]), "%s", path));
    GO(fill_storage(s, c, data, path));
    s->file = c;
    return ndi_dataset_of_storage(d, s);
done:
    ndi_storage_free(s);
    ndi_content_free(c);
    return status;
}

nd_status ndi_store_open(nd_dataset **d, const char *path)
{
    content *c;
    TRY(ndi_content_open(&c, path));
    return ndi_store_from_content(d, c, path);
}

bool ndi_store_is_current(const char *path, const char *source)
{
    content *c;
    bool is = false, same = false;
    if (ndi_content_open(&c, path) != ND_OK) return false;
    bool current = ndi_store_is(c, &is) == ND_OK && is && says(c, "neurodecode.source", source, &same) == ND_OK && same;
    ndi_content_free(c);
    return current;
}
