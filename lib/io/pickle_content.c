/* What a finished pickle holds becomes content: dicts give names, arrays stay in the file, lists of text become texts, numbers and lists of
 * numbers become arrays. */
#include <string.h>

#include "base/text.h"
#include "io/pickle_value.h"

enum { MAX_DEPTH = 64, MAX_NAME = 1024 };

typedef struct walk {
    content *c;
    const char *file, *separator;
    size_t left; /* values that may still be visited */
} walk;

static nd_status add(walk *w, const value *v, const char *name, size_t depth);

static nd_status visit(walk *w, size_t n)
{
    CHECK(n <= w->left, ND_ERR_FORMAT, "%s: pickle: values are shared so often that they would fill the memory", w->file);
    w->left -= n;
    return ND_OK;
}

/* An array that is one string is what MATLAB's cells of strings become. */
static bool is_string_array(const value *v)
{
    if (v->kind != VALUE_ARRAY || !v->array->data) return false;
    const numpy_type *t = &v->array->type;
    return (t->kind == NUMPY_UNICODE || t->kind == NUMPY_BYTES) && t->size > 0 && v->array->data->bytes.n == t->size;
}

static bool is_text(const value *v) { return v->kind == VALUE_TEXT || (v->kind == VALUE_BYTES && v->bytes.text) || is_string_array(v); }
static bool is_number(const value *v) { return v->kind == VALUE_BOOL || v->kind == VALUE_INT || v->kind == VALUE_FLOAT; }

static bool all(value *const *items, size_t n, bool (*is)(const value *v))
{
    for (size_t i = 0; i < n; i++)
        if (!is(items[i])) return false;
    return n > 0;
}

/* ---- text ---- */

static size_t text_bytes(const value *v) { return v->kind == VALUE_ARRAY ? v->array->data->bytes.n : v->bytes.n; }

static nd_status add_text(walk *w, const value *v, const char **copy)
{
    TRY(visit(w, 1 + text_bytes(v) / 64)); /* a long text that is shared weighs more */
    if (v->kind == VALUE_ARRAY) return ndi_numpy_text(w->c, &v->array->type, v->array->data->bytes.in, v->array->data->bytes.at, copy);
    if (v->bytes.s || v->bytes.n == 0) return ndi_content_text(w->c, v->bytes.s ? v->bytes.s : "", v->bytes.n, copy);
    char *s;
    TRY(NEW(s, v->bytes.n));
    nd_status status = ndi_stream_read(v->bytes.in, v->bytes.at, s, v->bytes.n);
    if (status == ND_OK) status = ndi_content_text(w->c, s, v->bytes.n, copy);
    ndi_free(s);
    return status;
}

static const char *or_data(const char *name) { return *name ? name : "data"; }

static nd_status add_single_text(walk *w, const value *v, const char *name)
{
    const char **copy;
    TRY(ndi_content_add_texts(w->c, or_data(name), 1, false, &copy));
    return add_text(w, v, copy);
}

static nd_status add_type_name(walk *w, const torch_type *t, const char *name)
{
    const char **copy;
    TRY(ndi_content_add_texts(w->c, or_data(name), 1, false, &copy));
    return ndi_content_text(w->c, t->name, strlen(t->name), copy);
}

static nd_status add_texts(walk *w, const value *v, const char *name)
{
    const char **copies;
    TRY(ndi_content_add_texts(w->c, or_data(name), v->list.n, true, &copies));
    for (size_t i = 0; i < v->list.n; i++) TRY(add_text(w, v->list.items[i], &copies[i]));
    return ND_OK;
}

/* ---- numbers ---- */

/* Lists inside lists of numbers, all of one shape. `type` grows from bool over int64 to float64. */
typedef struct table {
    size_t n_dims, shape[NDI_MAX_DIMS];
    dtype type;
    char *to; /* where the next element goes */
} table;

static bool measure(walk *w, table *t, const value *v, size_t depth)
{
    if (w->left == 0) return false;
    w->left--;
    if (is_number(v)) {
        if (depth != t->n_dims) return false;
        dtype type = v->kind == VALUE_BOOL ? DTYPE_BOOL : v->kind == VALUE_INT ? DTYPE_I64 : DTYPE_F64;
        if (type > t->type) t->type = type;
        return true;
    }
    if (v->kind != VALUE_LIST || depth >= t->n_dims || v->list.n != t->shape[depth]) return false;
    for (size_t i = 0; i < v->list.n; i++)
        if (!measure(w, t, v->list.items[i], depth + 1)) return false;
    return true;
}

static void fill(table *t, const value *v)
{
    if (v->kind == VALUE_LIST) {
        for (size_t i = 0; i < v->list.n; i++) fill(t, v->list.items[i]);
        return;
    }
    const double f = v->kind == VALUE_FLOAT ? v->f : (double)v->i;
    const char truth = (char)v->i;
    const size_t size = ndi_dtype_size(t->type);
    memcpy(t->to, t->type == DTYPE_F64 ? (const void *)&f : t->type == DTYPE_I64 ? (const void *)&v->i : &truth, size);
    t->to += size;
}

/* Tries to make one array of a number or of nested lists; *made tells whether it could. */
static nd_status add_table(walk *w, const value *v, const char *name, bool *made)
{
    table t = { .type = DTYPE_BOOL };
    for (const value *x = v; x->kind == VALUE_LIST && t.n_dims < NDI_MAX_DIMS; x = x->list.items[0]) {
        t.shape[t.n_dims++] = x->list.n;
        if (x->list.n == 0) break;
    }
    *made = measure(w, &t, v, 0);
    if (!*made) return w->left ? ND_OK : visit(w, 1);
    size_t n = 1;
    for (size_t i = 0; i < t.n_dims; i++) n *= t.shape[i]; /* each has been visited: no overflow */
    if (n == 0) t.type = DTYPE_F64;
    char *numbers;
    TRY(NEW(numbers, n * ndi_dtype_size(t.type)));
    t.to = numbers;
    fill(&t, v);
    nd_status status = ndi_content_add_numbers(w->c, or_data(name), t.type, t.n_dims, t.shape, numbers);
    ndi_free(numbers);
    return status;
}

/* ---- arrays ---- */

static nd_status add_objects(walk *w, const value_array *a, const char *name, size_t depth)
{
    const value *list = a->data;
    size_t n = 1;
    bool fits = true;
    for (size_t i = 0; fits && i < a->n_dims; i++) fits = ndi_mul(n, a->shape[i], &n);
    CHECK(fits && n == list->list.n, ND_ERR_FORMAT, "%s: pickle: array '%s' of objects holds %zu, expected %zu", w->file, name, list->list.n, n);
    if (a->n_dims == 0) return add(w, list->list.items[0], name, depth);
    CHECK(!a->fortran || a->n_dims == 1, ND_ERR_UNSUPPORTED, "%s: pickle: array '%s' holds objects in Fortran order, expected C order", w->file,
          name);
    if (!all(list->list.items, n, is_number)) return add(w, list, name, depth);
    TRY(add(w, list, name, depth));
    array *made = &w->c->arrays[w->c->n_arrays - 1];
    made->n_dims = a->n_dims;
    memcpy(made->shape, a->shape, sizeof a->shape);
    return ND_OK;
}

static nd_status add_array(walk *w, const value_array *a, const char *name, size_t depth)
{
    CHECK(a->data, ND_ERR_FORMAT, "%s: pickle: array '%s' has no state", w->file, name);
    if (a->type.kind == NUMPY_OBJECT) return add_objects(w, a, name, depth);
    array made = { .name = or_data(name), .fortran = a->fortran, .n_dims = a->n_dims, .in = a->data->bytes.in, .at = a->data->bytes.at };
    size_t bytes = a->type.size;
    bool fits = true;
    for (size_t i = 0; i < a->n_dims; i++) {
        made.shape[i] = a->shape[i];
        fits = fits && ndi_mul(bytes, a->shape[i], &bytes);
    }
    CHECK(fits && bytes == a->data->bytes.n, ND_ERR_FORMAT, "%s: pickle: array '%s' has %zu bytes, which its shape does not take", w->file, name,
          a->data->bytes.n);
    if (a->type.kind != NUMPY_NUMBER) TRY(visit(w, a->data->bytes.n / 16));
    return ndi_numpy_add(w->c, &a->type, &made);
}

static nd_status add_bytes(walk *w, const value *v, const char *name)
{
    array a = { .name = or_data(name), .type = DTYPE_U8, .n_dims = 1, .shape = { v->bytes.n }, .in = v->bytes.in, .at = v->bytes.at };
    return ndi_content_add_array(w->c, &a);
}

static nd_status add_tensor(walk *w, const array *tensor, const char *name)
{
    array a = *tensor;
    a.name = or_data(name);
    return ndi_content_add_array(w->c, &a);
}

/* ---- names ---- */

static nd_status key_name(walk *w, const value *key, const char *prefix, char name[MAX_NAME])
{
    const char *separator = *prefix ? w->separator : "";
    const bool short_text = (key->kind == VALUE_TEXT || key->kind == VALUE_BYTES) && key->bytes.s;
    CHECK(short_text || key->kind == VALUE_INT || key->kind == VALUE_BOOL, ND_ERR_UNSUPPORTED,
          "%s: pickle: a dict has a key that is neither text nor an integer", w->file);
    CHECK(!short_text || strlen(prefix) + key->bytes.n + 2 <= MAX_NAME, ND_ERR_UNSUPPORTED, "%s: pickle: a dict has a key of more than %d bytes",
          w->file, MAX_NAME);
    if (short_text)
        ndi_format(name, MAX_NAME, "%s%s%.*s", prefix, separator, (int)key->bytes.n, key->bytes.s);
    else
        ndi_format(name, MAX_NAME, "%s%s%lld", prefix, separator, (long long)key->i);
    return ND_OK;
}

static nd_status add_dict(walk *w, const value *v, const char *prefix, size_t depth)
{
    char name[MAX_NAME];
    for (size_t i = 0; i + 1 < v->list.n; i += 2) {
        TRY(key_name(w, v->list.items[i], prefix, name));
        TRY(add(w, v->list.items[i + 1], name, depth));
    }
    return ND_OK;
}

static nd_status add_list(walk *w, const value *v, const char *prefix, size_t depth)
{
    bool made;
    if (v->list.n == 0 || all(v->list.items, v->list.n, is_text)) return add_texts(w, v, prefix);
    TRY(add_table(w, v, prefix, &made));
    if (made) return ND_OK;
    char name[MAX_NAME];
    for (size_t i = 0; i < v->list.n; i++) {
        CHECK(strlen(prefix) < MAX_NAME - 24, ND_ERR_UNSUPPORTED, "%s: pickle: names are longer than %d bytes", w->file, MAX_NAME);
        ndi_format(name, sizeof name, "%s%s%zu", prefix, *prefix ? w->separator : "", i);
        TRY(add(w, v->list.items[i], name, depth));
    }
    return ND_OK;
}

static nd_status add(walk *w, const value *v, const char *name, size_t depth)
{
    TRY(visit(w, 1));
    CHECK(depth < MAX_DEPTH, ND_ERR_UNSUPPORTED, "%s: pickle: more than %d containers inside each other", w->file, MAX_DEPTH);
    bool made;
    switch (v->kind) {
    case VALUE_NONE: return ND_OK;
    case VALUE_BOOL:
    case VALUE_INT:
    case VALUE_FLOAT: return add_table(w, v, name, &made);
    case VALUE_TEXT: return add_single_text(w, v, name);
    case VALUE_BYTES: return v->bytes.text ? add_single_text(w, v, name) : add_bytes(w, v, name);
    case VALUE_LIST: return add_list(w, v, name, depth + 1);
    case VALUE_DICT: return add_dict(w, v, name, depth + 1);
    case VALUE_ARRAY: return add_array(w, v->array, name, depth + 1);
    case VALUE_STORAGE:
    case VALUE_TENSOR: return add_tensor(w, v->tensor, name);
    case VALUE_TORCH: return add_type_name(w, v->torch, name);
    case VALUE_GLOBAL:
    case VALUE_TYPE: break;
    }
    return ndi_fail(ND_ERR_UNSUPPORTED, "%s: pickle: '%s' is a function or a type, expected data", w->file, name);
}

nd_status ndi_pickle_content(content *c, const value *top, const char *file, const char *name, const char *separator, size_t work)
{
    static const size_t sharing = 16, always = 65536;
    walk w = { .c = c, .file = file, .separator = separator, .left = work < SIZE_MAX / (2 * sharing) ? work * sharing + always : SIZE_MAX };
    return add(&w, top, name, 0);
}
