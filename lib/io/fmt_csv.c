/* CSV and TSV (RFC 4180, and what programs really write). Columns of numbers become the array "data", rows x columns, and the texts "columns";
 * every other column becomes texts under its name. A first column of numbers without a name is a row index, as pandas and R write it, and is left
 * out. */
#include <string.h>

#include "base/text.h"
#include "io/put.h"
#include "io/table.h"

static bool is_text(const uint8_t *head, size_t n) { return memchr(head, 0, n) == NULL; }

/* Without a name that says so, a file counts as a table only if it holds nothing but numbers. */
static int probe(const uint8_t *head, size_t n, const char *extension)
{
    if (!is_text(head, n)) return 0;
    if (strcmp(extension, "csv") == 0 || strcmp(extension, "tsv") == 0) return 50;
    bool digits = false;
    for (size_t i = 0; i < n; i++) {
        if (!strchr("0123456789+-.eE,;\t\r\n ", head[i])) return 0;
        digits = digits || (head[i] >= '0' && head[i] <= '9');
    }
    return digits ? 20 : 0;
}

/* ---- what the columns hold ---- */

typedef enum cell_kind { CELL_MISSING, CELL_NUMBER, CELL_TEXT } cell_kind;

static cell_kind classify(const cell *x, double *number)
{
    *number = __builtin_nan("");
    if (ndi_cell_is_missing(x)) return CELL_MISSING;
    return ndi_parse_double(x->s, x->s + x->n, number) ? CELL_NUMBER : CELL_TEXT;
}

typedef struct column {
    cell_kind first;                /* kind of the cell in the first row */
    size_t missing, numbers, texts; /* cells below it */
    bool numeric, skipped;
    const char *name, **items; /* `items` of a column of texts */
} column;

typedef struct csv {
    content *c;
    table t;
    column *columns;
    size_t n, n_rows, n_numeric; /* n columns; rows without the header */
    bool has_header;
} csv;

static nd_status survey(csv *f)
{
    cell x;
    double number;
    ndi_table_start(&f->t);
    while (ndi_table_next(&f->t, &x)) {
        column *k = &f->columns[x.column];
        cell_kind kind = classify(&x, &number);
        if (x.row == 0)
            k->first = kind;
        else
            *(kind == CELL_NUMBER ? &k->numbers : kind == CELL_TEXT ? &k->texts : &k->missing) += 1;
        f->n_rows = x.row + 1;
    }
    return f->t.status;
}

/* The first row names the columns if it holds text above numbers, an empty cell above a full first column, or text only. */
static bool find_header(const csv *f)
{
    bool any_number = false, above = false;
    for (size_t i = 0; i < f->n; i++) {
        const column *k = &f->columns[i];
        const bool numbers_below = k->numbers > 0 && k->texts == 0;
        any_number = any_number || k->first == CELL_NUMBER;
        const bool corner = i == 0 && k->first == CELL_MISSING && k->missing == 0 && k->numbers + k->texts > 0;
        above = above || corner || (numbers_below && k->first == CELL_TEXT);
    }
    return above || (!any_number && f->n_rows > 1);
}

static void settle_kinds(csv *f)
{
    f->has_header = find_header(f);
    f->n_rows -= f->has_header;
    for (size_t i = 0; i < f->n; i++) {
        column *k = &f->columns[i];
        k->numeric = k->texts == 0 && (f->has_header ? k->numbers > 0 : k->first != CELL_TEXT && k->numbers + (k->first == CELL_NUMBER) > 0);
        k->skipped = i == 0 && f->has_header && k->numeric && k->first == CELL_MISSING && f->n > 1;
        f->n_numeric += k->numeric && !k->skipped;
    }
}

/* ---- filling ---- */

static nd_status name_columns(csv *f)
{
    char place[32];
    cell x;
    ndi_table_start(&f->t);
    for (size_t i = 0; i < f->n; i++) {
        const bool there = f->has_header && ndi_table_next(&f->t, &x) && x.n > 0;
        ndi_format(place, sizeof place, "column%zu", i);
        TRY(f->t.status);
        TRY(ndi_content_text(f->c, there ? x.s : place, there ? x.n : strlen(place), &f->columns[i].name));
    }
    return ND_OK;
}

static nd_status add_text_columns(csv *f)
{
    const char **names;
    if (f->has_header && f->n_numeric) {
        TRY(ndi_content_add_texts(f->c, "columns", f->n_numeric, true, &names));
        for (size_t i = 0; i < f->n; i++)
            if (f->columns[i].numeric && !f->columns[i].skipped) *names++ = f->columns[i].name;
    }
    for (size_t i = 0; i < f->n; i++)
        if (!f->columns[i].numeric) TRY(ndi_content_add_texts(f->c, f->columns[i].name, f->n_rows, true, &f->columns[i].items));
    return ND_OK;
}

static nd_status fill(csv *f, double *data)
{
    cell x;
    ndi_table_start(&f->t);
    while (ndi_table_next(&f->t, &x)) {
        column *k = &f->columns[x.column];
        if (x.row < (size_t)f->has_header || k->skipped) continue;
        if (k->numeric)
            classify(&x, data++);
        else
            TRY(ndi_content_text(f->c, x.s, x.n, &k->items[x.row - f->has_header]));
    }
    return f->t.status;
}

static nd_status read_columns(csv *f)
{
    double *data;
    TRY(survey(f));
    settle_kinds(f);
    TRY(name_columns(f));
    TRY(add_text_columns(f));
    size_t n;
    CHECK(ndi_mul(f->n_rows, f->n_numeric, &n), ND_ERR_MEMORY, "%s: is too large", f->t.file);
    TRY(NEW(data, n));
    nd_status status = fill(f, data);
    if (status == ND_OK && f->n_numeric) status = ndi_content_add_numbers(f->c, "data", DTYPE_F64, 2, (size_t[]){ f->n_rows, f->n_numeric }, data);
    ndi_free(data);
    return status;
}

static nd_status read(content *c, stream *s)
{
    csv f = { .c = c };
    nd_status status = ndi_table_open(&f.t, s);
    f.n = f.t.n_columns;
    if (status == ND_OK) status = NEW(f.columns, f.n);
    if (status == ND_OK) status = read_columns(&f);
    ndi_free(f.columns);
    ndi_table_close(&f.t);
    return status;
}

/* ---- writing: one table of numbers, with the names of its columns if there are any ---- */

/* The shortest of the usual lengths that reads back as the same number. */
static void add_number(text *t, double x, bool single)
{
    char digits[40];
    double back;
    for (int precision = single ? 6 : 15; precision <= 17; precision++) {
        ndi_format(digits, sizeof digits, "%.*g", precision, x);
        if (!ndi_parse_double(digits, digits + strlen(digits), &back) || x != x) break;
        if (back == x || (single && (float)back == (float)x)) break;
    }
    ndi_text_add_bytes(t, digits, strlen(digits));
}

static void add_cell(text *t, const char *s)
{
    const bool plain = strcspn(s, ",;\t\"\r\n") == strlen(s) && *s != ' ' && *s != '#';
    if (!plain) ndi_text_add_bytes(t, "\"", 1);
    for (; *s; s++) {
        if (*s == '"') ndi_text_add_bytes(t, "\"", 1);
        ndi_text_add_bytes(t, s, 1);
    }
    if (!plain) ndi_text_add_bytes(t, "\"", 1);
}

static nd_status flush(out *o, text *t)
{
    TRY(ndi_text_status(t));
    TRY(ndi_out_write(o, t->s, t->n));
    t->n = 0;
    return ND_OK;
}

/* One row at a time; `row` holds n elements as they are, `numbers` as doubles. */
static nd_status write_rows(out *o, const put_array *a, size_t n_rows, size_t n, char separator, text *t, double *numbers, char *row)
{
    const size_t size = ndi_dtype_size(a->type);
    const bool single = a->type == DTYPE_F32 || a->type == DTYPE_F16 || a->type == DTYPE_BF16;
    array one = { .name = a->name, .type = a->type, .big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, .n = n };
    TRY(ndi_stream_open_memory(&one.in, row, n * size, ndi_out_name(o)));
    nd_status status = ND_OK;
    for (size_t i = 0; i < n_rows && status == ND_OK; i++) {
        if (a->data)
            memcpy(row, (const char *)a->data + i * n * size, n * size);
        else
            status = a->fill(a->context, i * n, n, row);
        if (status == ND_OK) status = ndi_array_read_f64(&one, 0, n, numbers);
        for (size_t k = 0; k < n && status == ND_OK; k++) {
            add_number(t, numbers[k], single);
            ndi_text_add_bytes(t, k + 1 < n ? &separator : "\n", 1);
        }
        if (status == ND_OK) status = flush(o, t);
    }
    ndi_stream_close(one.in);
    return status;
}

static nd_status write_table(out *o, const put_array *a, const put_texts *columns, text *t)
{
    size_t n_elements, bytes;
    const char *name = ndi_out_name(o), separator = strlen(name) > 4 && strcmp(name + strlen(name) - 4, ".tsv") == 0 ? '\t' : ',';
    TRY(ndi_put_size(o, a, &n_elements, &bytes));
    const size_t n = a->n_dims == 2 ? a->shape[1] : 1, n_rows = n ? n_elements / n : 0;
    CHECK(!columns || columns->n == n, ND_ERR_ARGUMENT, "%s: %zu names for %zu columns", name, columns->n, n);
    for (size_t i = 0; columns && i < n; i++) {
        add_cell(t, columns->items[i]);
        ndi_text_add_bytes(t, i + 1 < n ? &separator : "\n", 1);
    }
    TRY(flush(o, t));
    double *numbers;
    char *row = NULL;
    TRY(NEW(numbers, n));
    nd_status status = NEW(row, n * ndi_dtype_size(a->type));
    if (status == ND_OK) status = write_rows(o, a, n_rows, n, separator, t, numbers, row);
    ndi_free(numbers);
    ndi_free(row);
    return status;
}

static nd_status write(out *o, const put *what)
{
    const put_array *a = what->arrays;
    const bool titled = what->n_texts == 1 && strcmp(what->texts[0].name, "columns") == 0;
    CHECK(what->n_arrays == 1 && a->n_dims <= 2 && !what->metadata && (titled || what->n_texts == 0), ND_ERR_UNSUPPORTED,
          "%s: a table holds one array of at most two dimensions and the texts 'columns'", ndi_out_name(o));
    text t = { 0 };
    nd_status status = write_table(o, a, titled ? what->texts : NULL, &t);
    ndi_text_free(&t);
    return status;
}

const format ndi_format_csv = { "csv", "Table of numbers and text", "csv tsv", probe, read, write };
