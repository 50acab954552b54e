#include "io/fif_metadata.h"

#include <math.h>
#include <string.h>

#include "io/fif_info.h"
#include "io/json.h"

/* What a column can hold grows in this order: one text makes all of it text. */
typedef enum cell_kind { CELL_NONE, CELL_BOOL, CELL_INT, CELL_REAL, CELL_TEXT } cell_kind;

typedef struct fif_cell {
    cell_kind kind;
    union {
        int64_t i;
        double f;
        const char *s;
    } is;
} fif_cell;

struct fif_column {
    const char *name;
    cell_kind kind; /* the largest of its cells */
    bool gaps;
    fif_cell *cells;
    size_t n, capacity;
};

/* ---- rows in ---- */

static nd_status add_columns(fif_metadata *m, content *c, json_t *row)
{
    const char *name;
    json_t *value;
    m->columns = ndi_arena_alloc(&c->memory, (json_object_size(row) + 1) * sizeof *m->columns);
    CHECK(m->columns, ND_ERR_MEMORY, "out of memory for %zu columns", json_object_size(row));
    json_object_foreach(row, name, value) TRY(ndi_content_text(c, name, strlen(name), &m->columns[m->n_columns++].name));
    return ND_OK;
}

static nd_status set_cell(fif_cell *cell, content *c, const json_t *value)
{
    switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_NULL: return ND_OK;
    case JSON_TRUE:
    case JSON_FALSE: *cell = (fif_cell){ CELL_BOOL, { .i = json_is_true(value) } }; return ND_OK;
    case JSON_INTEGER: *cell = (fif_cell){ CELL_INT, { .i = json_integer_value(value) } }; return ND_OK;
    case JSON_REAL: *cell = (fif_cell){ CELL_REAL, { .f = json_real_value(value) } }; return ND_OK;
    case JSON_STRING: cell->kind = CELL_TEXT; return ndi_content_text(c, json_string_value(value), json_string_length(value), &cell->is.s);
    default: return ndi_fail(ND_ERR_UNSUPPORTED, "holds a list or an object, expected a number or text");
    }
}

static nd_status add_row(fif_metadata *m, content *c, const json_t *row)
{
    for (size_t k = 0; k < m->n_columns; k++) {
        fif_column *column = &m->columns[k];
        TRY(ndi_fif_make_room(c, &column->cells, column->n, &column->capacity, sizeof *column->cells));
        fif_cell *cell = &column->cells[column->n++];
        TRY(ndi_prefix(set_cell(cell, c, json_object_get(row, column->name)), "metadata, row %zu, column '%s'", m->n_rows, column->name));
        if (cell->kind > column->kind) column->kind = cell->kind;
        column->gaps = column->gaps || cell->kind == CELL_NONE;
    }
    m->n_rows++;
    return ND_OK;
}

static nd_status add_rows(fif_metadata *m, content *c, const json_t *rows)
{
    size_t i;
    json_t *row;
    CHECK(json_is_array(rows), ND_ERR_FORMAT, "metadata: expected a list of rows");
    json_array_foreach(rows, i, row)
    {
        CHECK(json_is_object(row), ND_ERR_FORMAT, "metadata: row %zu: expected an object", i);
        if (!m->columns) TRY(add_columns(m, c, row));
        TRY(add_row(m, c, row));
    }
    return ND_OK;
}

nd_status ndi_fif_metadata_add(fif_metadata *m, content *c, const char *json, size_t n, const char *where)
{
    json_t *rows;
    TRY(ndi_prefix(ndi_json_parse(&rows, json, n, "metadata"), "%s", where));
    nd_status status = ndi_prefix(add_rows(m, c, rows), "%s", where);
    json_decref(rows);
    return status;
}

/* ---- columns out ---- */

static double number_of(const fif_cell *cell)
{
    return cell->kind == CELL_NONE ? (double)NAN : cell->kind == CELL_REAL ? cell->is.f : (double)cell->is.i;
}

static nd_status text_of(const fif_cell *cell, content *c, const char **s)
{
    char digits[40] = "";
    if (cell->kind == CELL_TEXT) {
        *s = cell->is.s;
        return ND_OK;
    }
    if (cell->kind == CELL_REAL) ndi_format(digits, sizeof digits, "%.17g", cell->is.f);
    if (cell->kind == CELL_INT || cell->kind == CELL_BOOL) ndi_format(digits, sizeof digits, "%lld", (long long)cell->is.i);
    return ndi_content_text(c, digits, strlen(digits), s);
}

static nd_status settle_texts(const fif_column *column, content *c, const char *name)
{
    const char **items;
    TRY(ndi_content_add_texts(c, name, column->n, true, &items));
    for (size_t i = 0; i < column->n; i++) TRY(text_of(&column->cells[i], c, &items[i]));
    return ND_OK;
}

static nd_status settle_numbers(const fif_column *column, content *c, const char *name)
{
    const dtype type = column->gaps || column->kind == CELL_REAL ? DTYPE_F64 : column->kind == CELL_BOOL ? DTYPE_BOOL : DTYPE_I64;
    const size_t size = ndi_dtype_size(type);
    char *numbers;
    TRY(NEW(numbers, column->n * size));
    for (size_t i = 0; i < column->n; i++) {
        const fif_cell *cell = &column->cells[i];
        const double f = number_of(cell);
        const uint8_t truth = cell->is.i != 0;
        memcpy(numbers + i * size, type == DTYPE_F64 ? (const void *)&f : type == DTYPE_I64 ? (const void *)&cell->is.i : &truth, size);
    }
    nd_status status = ndi_content_add_numbers(c, name, type, 1, &column->n, numbers);
    ndi_free(numbers);
    return status;
}

nd_status ndi_fif_metadata_settle(const fif_metadata *m, content *c)
{
    for (size_t k = 0; k < m->n_columns; k++) {
        text name = { 0 };
        ndi_text_add(&name, "metadata/%s", m->columns[k].name);
        nd_status status = ndi_text_status(&name);
        if (status == ND_OK) status = (m->columns[k].kind == CELL_TEXT ? settle_texts : settle_numbers)(&m->columns[k], c, name.s);
        ndi_text_free(&name);
        TRY(status);
    }
    return ND_OK;
}
