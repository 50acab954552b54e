#include "io/mat_value.h"

#include <math.h>
#include <string.h>
#include <utf8proc.h>

#include "base/log.h"
#include "base/text.h"

static const size_t most_in_memory = (size_t)1 << 26;

bool ndi_mat_measure(mat_value *v)
{
    v->n = 1;
    for (size_t i = 0; i < v->n_dims; i++)
        if (!ndi_mul(v->n, v->shape[i], &v->n)) return false;
    return true;
}

static nd_status take(mat_file *f, size_t count, size_t size, void *to)
{
    size_t bytes;
    void *block = ndi_mul(count, size, &bytes) ? ndi_arena_alloc(&f->c->memory, bytes) : NULL;
    CHECK(block, ND_ERR_MEMORY, "%s: out of memory for %zu values", f->name, count);
    *(void **)to = block;
    return ND_OK;
}

nd_status ndi_mat_make_items(mat_file *f, mat_value *v)
{
    size_t n = v->n;
    CHECK((v->kind != MAT_STRUCT || ndi_mul(n, v->n_fields, &n)) && n <= NDI_MAT_VALUES - f->n_values, ND_ERR_UNSUPPORTED,
          "%s: holds more than %d values in cells and structs", f->name, NDI_MAT_VALUES);
    f->n_values += n;
    return take(f, n, sizeof *v->items, &v->items);
}

nd_status ndi_mat_set_numbers(mat_file *f, mat_value *v, const array *given)
{
    array *a;
    TRY(take(f, 1, sizeof *a, &a));
    *a = *given;
    a->name = "";
    a->fortran = true;
    a->n_dims = v->n_dims;
    memcpy(a->shape, v->shape, sizeof a->shape);
    a->n = v->n;
    v->kind = MAT_NUMBERS;
    v->numbers = a;
    v->scalar = (double)NAN;
    return v->n == 1 && a->type != DTYPE_C64 && a->type != DTYPE_C128 ? ndi_array_read_f64(a, 0, 1, &v->scalar) : ND_OK;
}

nd_status ndi_mat_copy_numbers(mat_file *f, mat_value *v, size_t width, double **numbers)
{
    size_t bytes;
    array a = { .type = width == 2 ? DTYPE_C128 : DTYPE_F64, .big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ };
    *numbers = NULL;
    if (!ndi_mul(v->n, width * sizeof **numbers, &bytes) || bytes > most_in_memory - f->in_memory)
        return ndi_mat_set_other(f, v, "a sparse or complex matrix", "that is too large to be unpacked in memory");
    f->in_memory += bytes;
    double *made;
    TRY(take(f, 1, bytes, &made));
    TRY(ndi_stream_open_memory(&a.in, made, bytes, f->name));
    TRY(ndi_content_add_stream(f->c, a.in));
    TRY(ndi_mat_set_numbers(f, v, &a));
    *numbers = made;
    return ND_OK;
}

nd_status ndi_mat_set_other(mat_file *f, mat_value *v, const char *what, const char *detail)
{
    char line[160];
    ndi_format(line, sizeof line, "%s%s%s", what, *detail ? " " : "", detail);
    v->kind = MAT_OTHER;
    return ndi_content_text(f->c, line, strlen(line), &v->what);
}

/* ---- text ---- */

/* The character at `at`, of n that are `step` apart, and how many units it takes: two for a surrogate pair of UTF-16. */
static utf8proc_int32_t character(const double *units, size_t step, size_t n, size_t at, size_t *taken)
{
    const double x = units[at * step];
    utf8proc_int32_t point = x >= 0 && x <= 0x10ffff ? (utf8proc_int32_t)x : 0xfffd;
    *taken = 1;
    if (point < 0xd800 || point > 0xdfff) return point;
    const double y = at + 1 < n ? units[(at + 1) * step] : 0;
    if (point > 0xdbff || !(y >= 0xdc00 && y <= 0xdfff)) return 0xfffd;
    *taken = 2;
    return 0x10000 + ((point - 0xd800) << 10) + ((utf8proc_int32_t)y - 0xdc00);
}

static nd_status add_row(mat_file *f, const double *units, size_t step, size_t n, bool bytes, char *line, const char **row)
{
    size_t length = 0;
    for (size_t at = 0, taken = 1; at < n; at += taken) {
        if (bytes)
            line[length++] = (char)(units[at * step] >= 0 && units[at * step] <= 255 ? (uint8_t)units[at * step] : '?');
        else
            length += (size_t)utf8proc_encode_char(character(units, step, n, at, &taken), (utf8proc_uint8_t *)line + length);
    }
    while (step > 1 && length > 0 && line[length - 1] == ' ') length--; /* the rows of a matrix are filled up with blanks */
    return ndi_content_text(f->c, line, length, row);
}

nd_status ndi_mat_set_text(mat_file *f, mat_value *v, const double *characters, size_t n, bool bytes)
{
    const size_t rows = v->n_dims > 0 && v->shape[0] > 0 && v->n > 0 ? v->shape[0] : 1, columns = rows > 1 ? v->n / rows : n;
    if (v->n_dims > 2 && rows > 1) return ndi_mat_set_other(f, v, "a text", "of more than two dimensions");
    CHECK(rows == 1 || n == v->n, ND_ERR_FORMAT, "%s: a text of %zu x %zu has %zu characters", f->name, rows, columns, n);
    char *line;
    v->kind = MAT_TEXT;
    v->n_rows = rows;
    TRY(take(f, rows, sizeof *v->rows, &v->rows));
    TRY(NEW(line, 4 * columns + 1));
    nd_status status = ND_OK;
    for (size_t r = 0; r < rows && status == ND_OK; r++) status = add_row(f, characters + r, rows, columns, bytes, line, &v->rows[r]);
    ndi_free(line);
    return status;
}

/* ---- the tree as a content ---- */

const mat_value *ndi_mat_field(const mat_value *v, size_t element, const char *name)
{
    for (size_t i = 0; v && v->kind == MAT_STRUCT && element < v->n && i < v->n_fields; i++)
        if (strcmp(v->fields[i], name) == 0) return &v->items[element * v->n_fields + i];
    return NULL;
}

static bool is_word(const mat_value *v) { return v->kind == MAT_TEXT && v->n_rows == 1; }
static bool is_empty(const mat_value *v) { return v->kind == MAT_NUMBERS && v->n == 0; }
static bool is_scalar(const mat_value *v) { return v->kind == MAT_NUMBERS && v->n == 1 && v->numbers->type < DTYPE_C64; }

/* n values that stand `step` apart are all of one sort, or empty, and at least one is not. */
static bool all(const mat_value *v, size_t step, size_t n, bool (*sort)(const mat_value *))
{
    bool any = false;
    for (size_t i = 0; i < n; i++, v += step) {
        if (!sort(v) && !is_empty(v)) return false;
        any = any || sort(v);
    }
    return any;
}

static nd_status add_words(const mat_file *f, const char *name, const mat_value *v, size_t step, size_t n)
{
    const char **items;
    TRY(ndi_content_add_texts(f->c, name, n, true, &items));
    for (size_t i = 0; i < n; i++) items[i] = is_word(&v[i * step]) ? v[i * step].rows[0] : "";
    return ND_OK;
}

static nd_status add_scalars(const mat_file *f, const char *name, const mat_value *v, size_t step, size_t n)
{
    double *numbers;
    TRY(NEW(numbers, n));
    for (size_t i = 0; i < n; i++) numbers[i] = is_empty(&v[i * step]) ? (double)NAN : v[i * step].scalar;
    nd_status status = ndi_content_add_numbers(f->c, name, DTYPE_F64, 1, &n, numbers);
    ndi_free(numbers);
    return status;
}

static nd_status add_value(const mat_file *f, text *path, const mat_value *v);

/* With the path made longer by ".index" or ".name" meanwhile. */
static nd_status add_below(const mat_file *f, text *path, const char *name, const mat_value *v)
{
    const size_t n = path->n;
    ndi_text_add(path, "%s%s", n ? "." : "", name);
    nd_status status = ndi_text_status(path);
    if (status == ND_OK) status = add_value(f, path, v);
    path->n = n;
    if (path->s) path->s[n] = '\0';
    return status;
}

static nd_status add_text(const mat_file *f, const char *name, const mat_value *v)
{
    const char **items;
    TRY(ndi_content_add_texts(f->c, name, v->n_rows, v->n_rows != 1, &items));
    memcpy(items, v->rows, v->n_rows * sizeof *items);
    return ND_OK;
}

static nd_status add_cell(const mat_file *f, text *path, const mat_value *v)
{
    char index[24];
    if (all(v->items, 1, v->n, is_word)) return add_words(f, path->s, v->items, 1, v->n);
    for (size_t i = 0; i < v->n; i++) {
        ndi_format(index, sizeof index, "%zu", i);
        TRY(add_below(f, path, index, &v->items[i]));
    }
    return ND_OK;
}

static nd_status add_column(const mat_file *f, text *path, const mat_value *v, size_t field)
{
    const mat_value *first = &v->items[field];
    char name[256];
    if (v->n > 1 && (all(first, v->n_fields, v->n, is_word) || all(first, v->n_fields, v->n, is_scalar))) {
        const bool words = all(first, v->n_fields, v->n, is_word);
        ndi_format(name, sizeof name, "%s.%s", path->s, v->fields[field]);
        return words ? add_words(f, name, first, v->n_fields, v->n) : add_scalars(f, name, first, v->n_fields, v->n);
    }
    for (size_t i = 0; i < v->n; i++) {
        if (v->n == 1)
            ndi_format(name, sizeof name, "%s", v->fields[field]);
        else
            ndi_format(name, sizeof name, "%zu.%s", i, v->fields[field]);
        TRY(add_below(f, path, name, &first[i * v->n_fields]));
    }
    return ND_OK;
}

static nd_status add_value(const mat_file *f, text *path, const mat_value *v)
{
    array a;
    switch (v->kind) {
    case MAT_NUMBERS:
        a = *v->numbers;
        a.name = path->s;
        return ndi_content_add_array(f->c, &a);
    case MAT_TEXT: return add_text(f, path->s, v);
    case MAT_CELL: return add_cell(f, path, v);
    case MAT_STRUCT:
        for (size_t i = 0; i < v->n_fields; i++) TRY(add_column(f, path, v, i));
        return ND_OK;
    case MAT_OTHER: ndi_log(ND_LOG_WARNING, "%s: '%s' is %s, passed over", f->name, path->s, v->what);
    }
    return ND_OK;
}

nd_status ndi_mat_add(const mat_file *f, const mat_value *root)
{
    text path = { 0 };
    nd_status status = add_value(f, &path, root);
    ndi_text_free(&path);
    TRY(status);
    for (size_t i = 0; i < root->n_fields && f->c->n_arrays + f->c->n_texts == 0; i++)
        CHECK(root->items[i].kind != MAT_OTHER, ND_ERR_UNSUPPORTED, "%s: '%s' is %s, expected numbers or texts", f->name, root->fields[i],
              root->items[i].what);
    return ND_OK;
}
