/* Banks from and to single files. */
#include <string.h>

#include "base/text.h"
#include "base/bf16.h"
#include "data/bank_layers.h"
#include "data/images.h"
#include "data/storage.h"
#include "data/store.h"
#include "io/format.h"
#include "io/json.h"

/* ---- what the arrays of a file are ---- */

typedef struct source {
    const char *path;
    const nd_bank_options *o;
    content *file;
    const array **arrays; /* one layer each, images x dim, images x 1 x dim or, where image ids are given, concepts x images x dim */
    size_t n;
    bool by_image; /* instead: one vector for each image, under its id */
    bool own;      /* written by nd_bank_save(): array names are layer names */
} source;

static bool is_number(const array *a) { return a->type != DTYPE_C64 && a->type != DTYPE_C128; }
static bool is_matrix(const source *s, const array *a)
{
    return is_number(a) && a->n > 0 && (a->n_dims == 2 || (a->n_dims == 3 && (a->shape[1] == 1 || s->o->images)));
}
static size_t images_of(const array *a) { return a->n / a->shape[a->n_dims - 1]; }

/* A dict of ids: several arrays, all of them vectors of one length. */
static bool is_dict_of_vectors(const content *c)
{
    for (size_t i = 0; i < c->n_arrays; i++) {
        const array *a = &c->arrays[i];
        bool vector = is_number(a) && a->n > 0 && (a->n_dims == 1 || (a->n_dims == 2 && a->shape[0] == 1));
        if (!vector || a->n != c->arrays[0].n) return false;
    }
    return c->n_arrays > 1;
}

static nd_status find_kind(source *s)
{
    if (!s->file->metadata) return ND_OK;
    json_t *o;
    TRY(ndi_json_parse(&o, s->file->metadata, strlen(s->file->metadata), s->path));
    const char *kind = json_string_value(json_object_get(o, "neurodecode.kind"));
    s->own = kind && strcmp(kind, "bank") == 0;
    json_decref(o);
    return ND_OK;
}

static nd_status choose_arrays(source *s)
{
    content *c = s->file;
    TRY(NEW(s->arrays, c->n_arrays + 1));
    if (s->o->variable) {
        TRY(ndi_content_pick(c, s->o->variable, &s->arrays[0]));
        s->n = 1;
    } else if (is_dict_of_vectors(c)) {
        s->by_image = true;
        return ND_OK;
    } else {
        for (size_t i = 0; i < c->n_arrays; i++)
            if (is_matrix(s, &c->arrays[i])) s->arrays[s->n++] = &c->arrays[i];
        if (s->n == 0) {
            TRY(ndi_content_pick(c, NULL, &s->arrays[0]));
            s->n = 1;
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        const array *a = s->arrays[i];
        CHECK(is_matrix(s, a), ND_ERR_FORMAT, "%s: array '%s' has %zu dimensions and %zu numbers, expected images x dim", s->path, a->name, a->n_dims,
              a->n);
        CHECK(images_of(a) == images_of(s->arrays[0]), ND_ERR_FORMAT, "%s: array '%s' has %zu images, '%s' %zu: say which with the option variable",
              s->path, a->name, images_of(a), s->arrays[0]->name, images_of(s->arrays[0]));
    }
    return ND_OK;
}

/* ---- ids ---- */

/* The ids a file brings: texts called image_ids, or the only column of text in a table. */
static const texts *own_ids(const source *s, size_t n)
{
    const texts *named = ndi_content_texts(s->file, "image_ids"), *only = NULL;
    if (named) return named;
    for (size_t i = 0; i < s->file->n_texts; i++) {
        const texts *t = &s->file->texts[i];
        if (strcmp(t->name, "columns") == 0 || !t->list || t->n != n) continue;
        if (only) return NULL;
        only = t;
    }
    return only;
}

static nd_status add_ids(const source *s, nd_bank *b, size_t n)
{
    const texts *own = own_ids(s, n);
    image_list list = { 0 };
    const char *const *names = NULL;
    nd_status status = ND_OK;
    if (s->o->images) {
        GO(ndi_images_open(&list, s->o->images, s->o->partition, n, s->path));
        names = list.items;
    } else if (own) {
        if (own->n != n) GO(ndi_fail(ND_ERR_FORMAT, "%s: %zu images in the array, %zu in '%s'", s->path, n, own->n, own->name));
        names = own->items;
    }
    for (size_t i = 0; i < n; i++) {
        size_t index;
        GO(ndi_prefix(names ? ndi_bank_add_image(b, names[i]) : ndi_add_number(&b->images, i, &index), "%s", s->path));
    }
done:
    ndi_images_free(&list);
    return status;
}

/* ---- layers ---- */

/* The file's name without folder and suffixes. */
static nd_status file_stem(text *t, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strcspn(name + (*name == '.'), ".") + (*name == '.');
    ndi_text_add_bytes(t, name, n);
    return ndi_text_status(t);
}

static nd_status name_layer(const source *s, const array *a, text *name)
{
    const char *given = s->o->layer ? s->o->layer : s->o->suffix;
    if (s->n > 1 || (s->own && !given)) given = a->name;
    if (!given) return file_stem(name, s->path);
    ndi_text_add(name, "%s", given);
    return ndi_text_status(name);
}

static nd_status read_layer(const source *s, nd_bank *b, const array *a)
{
    text name = { 0 };
    float *to;
    nd_status status = name_layer(s, a, &name);
    if (status == ND_OK) status = ndi_prefix(ndi_bank_add_layer(b, name.s, a->shape[a->n_dims - 1], &to), "%s", s->path);
    if (status == ND_OK) status = ndi_array_read_f32(a, 0, a->n, to);
    ndi_text_free(&name);
    return status;
}

static nd_status read_by_image(const source *s, nd_bank *b)
{
    const content *c = s->file;
    text name = { 0 };
    float *to;
    nd_status status = ND_OK;
    for (size_t i = 0; i < c->n_arrays; i++) GO(ndi_prefix(ndi_bank_add_image(b, c->arrays[i].name), "%s", s->path));
    GO(name_layer(s, &c->arrays[0], &name));
    GO(ndi_bank_add_layer(b, name.s, c->arrays[0].n, &to));
    for (size_t i = 0; i < c->n_arrays; i++, to += c->arrays[0].n) GO(ndi_array_read_f32(&c->arrays[i], 0, c->arrays[i].n, to));
done:
    ndi_text_free(&name);
    return status;
}

static nd_status read_bank(source *s, nd_bank **made)
{
    nd_bank *b = NULL;
    nd_status status;
    GO(find_kind(s));
    GO(choose_arrays(s));
    GO(ndi_bank_new(&b, s->n + 1));
    if (s->by_image) {
        GO(read_by_image(s, b));
    } else {
        GO(add_ids(s, b, images_of(s->arrays[0])));
        for (size_t i = 0; i < s->n; i++) GO(read_layer(s, b, s->arrays[i]));
    }
    GO(ndi_bank_check_finite(b, s->path));
    *made = b;
    b = NULL;
done:
    ndi_bank_free(b);
    return status;
}

nd_status ndi_bank_open_file(nd_bank **b, const char *path, const nd_bank_options *o)
{
    source s = { .path = path, .o = o };
    nd_status status = ndi_content_open(&s.file, path);
    if (status == ND_OK) status = read_bank(&s, b);
    ndi_free(s.arrays);
    ndi_content_free(s.file);
    return status;
}

/* ---- writing ---- */

static nd_status fill_brief(void *context, size_t at, size_t count, void *elements)
{
    const layer *l = context;
    for (size_t i = 0; i < count; i++) ((uint16_t *)elements)[i] = ndi_bf16_nearest(l->vectors[at + i]);
    return ND_OK;
}

nd_status ndi_bank_save(const nd_bank *b, const char *path, int32_t precision)
{
    TRY(ndi_precision_check(precision));
    put_array *arrays;
    TRY(NEW(arrays, b->n_layers));
    for (size_t i = 0; i < b->n_layers; i++) {
        layer *l = &b->layers[i];
        arrays[i] = (put_array){ .name = l->name, .type = DTYPE_F32, .n_dims = 2, .shape = { b->images.n, l->dim }, .data = l->vectors };
        if (precision == ND_PRECISION_BFLOAT16) {
            arrays[i].type = DTYPE_BF16;
            arrays[i].data = NULL;
            arrays[i].fill = fill_brief;
            arrays[i].context = l;
        }
    }
    const put_texts lists[] = { { .name = "image_ids", .items = b->images.items, .n = b->images.n, .list = true } };
    const put all = { .arrays = arrays,
                      .n_arrays = b->n_layers,
                      .texts = lists,
                      .n_texts = 1,
                      .metadata = "{\"neurodecode.kind\": \"bank\", \"neurodecode.version\": \"1\"}" };
    nd_status status = ndi_format_write(path, "safetensors", &all);
    ndi_free(arrays);
    return status;
}
