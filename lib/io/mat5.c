/* MAT-files of versions 5, 6 and 7 ("MAT-File Format", The MathWorks): 128 bytes of header, then elements of a tag (type, bytes) and data, filled up to
 * 8 bytes. A variable is an element of type MATRIX, which holds elements in turn: flags, extents, name, numbers or further matrices. In version 7 each
 * variable is zlib data. */
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "io/mat.h"
#include "io/stream_kind.h"

enum {
    HEADER = 128,
    MI_INT8 = 1,
    MI_UINT8 = 2,
    MI_INT32 = 5,
    MI_UINT32 = 6,
    MI_MATRIX = 14,
    MI_COMPRESSED = 15,
    MI_UTF8 = 16,
    MI_UTF32 = 18,
    MI_COUNT
};
enum { MX_CELL = 1, MX_STRUCT, MX_OBJECT, MX_CHAR, MX_SPARSE, MX_DOUBLE, MX_UINT64 = 15, MX_FUNCTION, MX_OPAQUE };
enum { IS_COMPLEX = 8, IS_LOGICAL = 2, MOST_FIELD_NAME = 255 };

/* How the types of elements are stored; DTYPE_COUNT for what holds no numbers. */
static const dtype storage[MI_COUNT] = {
    DTYPE_COUNT, DTYPE_I8,    DTYPE_U8,  DTYPE_I16, DTYPE_U16,   DTYPE_I32,   DTYPE_U32, DTYPE_F32, DTYPE_COUNT, DTYPE_F64,
    DTYPE_COUNT, DTYPE_COUNT, DTYPE_I64, DTYPE_U64, DTYPE_COUNT, DTYPE_COUNT, DTYPE_U8,  DTYPE_U16, DTYPE_U32,
};

/* What is read at present: the elements from `at` to `end` of a stream. */
typedef struct cursor {
    mat_file *f;
    stream *in;
    bool big_endian;
    uint64_t at, end;
} cursor;

typedef struct element {
    uint32_t type;
    uint64_t at, n; /* its data */
} element;

bool ndi_mat5_probe(const uint8_t *head, size_t n)
{
    return n >= HEADER && ((memcmp(head + 124, "\0\1IM", 4) == 0) || (memcmp(head + 124, "\1\0MI", 4) == 0));
}

static uint32_t number(const cursor *c, const uint8_t *p) { return c->big_endian ? ndi_be32(p) : ndi_le32(p); }

/* The tag at c->at, which moves behind the element. Up to four bytes of data stand in the tag itself. */
static nd_status next_element(cursor *c, element *e)
{
    uint8_t tag[8];
    CHECK(c->end - c->at >= sizeof tag, ND_ERR_FORMAT, "%s: ends inside of a tag at %llu", c->f->name, (unsigned long long)c->at);
    TRY(ndi_stream_read(c->in, c->at, tag, sizeof tag));
    const uint32_t first = number(c, tag);
    const bool small = first >> 16;
    *e = small ? (element){ first & 0xffff, c->at + 4, first >> 16 } : (element){ first, c->at + 8, number(c, tag + 4) };
    CHECK(e->type > 0 && e->type < MI_COUNT && (!small || e->n <= 4), ND_ERR_FORMAT,
          "%s: element of type %u and %llu bytes at %llu, expected types 1 to %d", c->f->name, e->type, (unsigned long long)e->n,
          (unsigned long long)c->at, MI_COUNT - 1);
    const uint64_t left = c->end - c->at - sizeof tag;
    CHECK(small || e->n <= left, ND_ERR_FORMAT, "%s: element at %llu is said to have %llu bytes, got %llu", c->f->name, (unsigned long long)c->at,
          (unsigned long long)e->n, (unsigned long long)left);
    c->at += sizeof tag;
    if (small) return ND_OK;
    const uint64_t filled = e->type == MI_COMPRESSED ? e->n : (e->n + 7) / 8 * 8;
    c->at += filled < left ? filled : left; /* the last one need not be filled up */
    return ND_OK;
}

/* An element that holds numbers, as an array of one dimension. */
static nd_status next_numbers(cursor *c, const char *what, array *a)
{
    element e;
    TRY(next_element(c, &e));
    CHECK(storage[e.type] != DTYPE_COUNT, ND_ERR_FORMAT, "%s: %s are of the type %u, expected numbers", c->f->name, what, e.type);
    *a = (array){ .name = "", .type = storage[e.type], .big_endian = c->big_endian, .in = c->in, .at = e.at, .n_dims = 1 };
    a->n = a->shape[0] = (size_t)(e.n / ndi_dtype_size(a->type));
    return ND_OK;
}

/* Those of a sparse matrix. MATLAB says float64 of logical ones and writes bytes. */
static nd_status next_sparse_numbers(cursor *c, bool logical, size_t n, double **values)
{
    array a;
    cursor before = *c;
    element e;
    TRY(next_element(&before, &e));
    TRY(next_numbers(c, "the numbers of a sparse matrix", &a));
    if (logical && e.n == n) {
        a.type = DTYPE_U8;
        a.n = n;
    }
    return ndi_mat_load(c->f, &a, n, values);
}

/* A few whole numbers. */
static nd_status next_integers(cursor *c, const char *what, size_t most, uint32_t *values, size_t *n)
{
    element e;
    uint8_t bytes[4 * NDI_MAX_DIMS];
    TRY(next_element(c, &e));
    CHECK((e.type == MI_INT32 || e.type == MI_UINT32) && e.n % 4 == 0, ND_ERR_FORMAT, "%s: %s are %llu bytes of the type %u, expected int32",
          c->f->name, what, (unsigned long long)e.n, e.type);
    CHECK(e.n / 4 <= most, ND_ERR_UNSUPPORTED, "%s: %llu %s, expected at most %zu", c->f->name, (unsigned long long)(e.n / 4), what, most);
    *n = (size_t)e.n / 4;
    TRY(ndi_stream_read(c->in, e.at, bytes, (size_t)e.n));
    for (size_t i = 0; i < *n; i++) values[i] = number(c, bytes + 4 * i);
    return ND_OK;
}

/* ---- parts of a matrix ---- */

static nd_status next_name(cursor *c, const char **name)
{
    char bytes[MOST_FIELD_NAME];
    element e;
    TRY(next_element(c, &e));
    CHECK((e.type == MI_INT8 || e.type == MI_UINT8 || e.type == MI_UTF8) && e.n <= sizeof bytes, ND_ERR_FORMAT,
          "%s: a name of %llu bytes and the type %u, expected at most %zu of int8", c->f->name, (unsigned long long)e.n, e.type, sizeof bytes);
    TRY(ndi_stream_read(c->in, e.at, bytes, (size_t)e.n));
    return ndi_content_text(c->f->c, bytes, (size_t)e.n, name);
}

static nd_status next_extents(cursor *c, mat_value *v)
{
    uint32_t extents[NDI_MAX_DIMS];
    TRY(next_integers(c, "extents", NDI_MAX_DIMS, extents, &v->n_dims));
    for (size_t i = 0; i < v->n_dims; i++) {
        CHECK(extents[i] <= INT32_MAX, ND_ERR_FORMAT, "%s: extent %d, expected 0 or more", c->f->name, (int32_t)extents[i]);
        v->shape[i] = extents[i];
    }
    CHECK(v->n_dims > 0 && ndi_mat_measure(v), ND_ERR_FORMAT, "%s: a matrix of %zu dimensions whose size is too large", c->f->name, v->n_dims);
    return ND_OK;
}

/* ---- what a matrix holds ---- */

static nd_status next_matrix(cursor *c, mat_value *v, const char **name, int depth);

static nd_status read_numbers(cursor *c, mat_value *v, uint32_t flags)
{
    array real, imaginary;
    TRY(next_numbers(c, "the numbers", &real));
    CHECK(real.n == v->n, ND_ERR_FORMAT, "%s: a matrix of %zu elements has %zu numbers", c->f->name, v->n, real.n);
    if (!(flags & IS_COMPLEX)) {
        if (flags & IS_LOGICAL && ndi_dtype_size(real.type) == 1) real.type = DTYPE_BOOL;
        return ndi_mat_set_numbers(c->f, v, &real);
    }
    TRY(next_numbers(c, "the imaginary parts", &imaginary));
    CHECK(imaginary.n == v->n, ND_ERR_FORMAT, "%s: a matrix of %zu elements has %zu imaginary parts", c->f->name, v->n, imaginary.n);
    return ndi_mat_set_complex(c->f, v, &real, &imaginary);
}

static nd_status read_characters(cursor *c, mat_value *v)
{
    array a;
    double *characters;
    TRY(next_numbers(c, "characters", &a));
    TRY(ndi_mat_load(c->f, &a, a.n, &characters));
    nd_status status = ndi_mat_set_text(c->f, v, characters, a.n, a.type == DTYPE_U8 || a.type == DTYPE_I8);
    ndi_free(characters);
    return status;
}

/* Elements jc[i] .. jc[i + 1] - 1 are those of column i. */
static nd_status expand_columns(const cursor *c, const double *starts, size_t n_columns, size_t n, double *column)
{
    for (size_t i = 0, k = 0; i < n_columns; i++) {
        CHECK(starts[i] >= 0 && starts[i] <= starts[i + 1] && starts[i + 1] <= (double)n, ND_ERR_FORMAT,
              "%s: column %zu of a sparse matrix ends at element %g of %zu", c->f->name, i, starts[i + 1], n);
        for (; k < (size_t)starts[i + 1]; k++) column[k] = (double)i;
    }
    return ND_OK;
}

static nd_status read_sparse(cursor *c, mat_value *v, uint32_t flags)
{
    array rows, columns;
    double *row = NULL, *start = NULL, *column = NULL, *x = NULL, *y = NULL;
    size_t n = 0;
    nd_status status;
    CHECK(v->n_dims == 2, ND_ERR_FORMAT, "%s: a sparse matrix of %zu dimensions, expected 2", c->f->name, v->n_dims);
    TRY(next_numbers(c, "the rows of a sparse matrix", &rows));
    TRY(next_numbers(c, "the columns of a sparse matrix", &columns));
    CHECK(columns.n == v->shape[1] + 1, ND_ERR_FORMAT, "%s: %zu columns of a sparse matrix, expected %zu", c->f->name, columns.n, v->shape[1] + 1);
    GO(ndi_mat_load(c->f, &rows, rows.n, &row));
    GO(ndi_mat_load(c->f, &columns, columns.n, &start));
    n = start[v->shape[1]] >= 0 && start[v->shape[1]] <= (double)rows.n ? (size_t)start[v->shape[1]] : rows.n; /* there may be room for more */
    GO(NEW(column, n));
    GO(expand_columns(c, start, v->shape[1], n, column));
    GO(next_sparse_numbers(c, flags & IS_LOGICAL, n, &x));
    if (flags & IS_COMPLEX) GO(next_sparse_numbers(c, false, n, &y));
    status = ndi_mat_set_sparse(c->f, v, n, row, column, x, y);
done:
    ndi_free(row);
    ndi_free(start);
    ndi_free(column);
    ndi_free(x);
    ndi_free(y);
    return status;
}

static nd_status read_items(cursor *c, mat_value *v, int depth)
{
    const char *name;
    CHECK(depth < NDI_MAT_DEPTH, ND_ERR_UNSUPPORTED, "%s: cells and structs nested deeper than %d", c->f->name, NDI_MAT_DEPTH);
    size_t n = v->n;
    const bool fits = v->kind != MAT_STRUCT || ndi_mul(n, v->n_fields, &n);
    CHECK(fits && n <= (c->end - c->at) / 8, ND_ERR_FORMAT, "%s: a cell or struct of %zu values in %llu bytes", c->f->name, n,
          (unsigned long long)(c->end - c->at));
    TRY(ndi_mat_make_items(c->f, v));
    for (size_t i = 0; i < n; i++) TRY(next_matrix(c, &v->items[i], &name, depth + 1));
    return ND_OK;
}

static nd_status read_struct(cursor *c, mat_value *v, int depth)
{
    uint32_t width = 0;
    size_t one;
    element e;
    char name[MOST_FIELD_NAME];
    TRY(next_integers(c, "lengths of field names", 1, &width, &one));
    TRY(next_element(c, &e));
    CHECK(one == 1 && width > 0 && width <= sizeof name, ND_ERR_FORMAT, "%s: field names of %u bytes, expected 1 to %zu", c->f->name, width,
          sizeof name);
    CHECK(e.type == MI_INT8 || e.type == MI_UINT8 || e.type == MI_UTF8, ND_ERR_FORMAT, "%s: field names of the type %u, expected int8", c->f->name,
          e.type);
    v->kind = MAT_STRUCT;
    v->n_fields = (size_t)e.n / width;
    CHECK(v->n_fields <= NDI_MAT_VALUES, ND_ERR_UNSUPPORTED, "%s: a struct of %zu fields", c->f->name, v->n_fields);
    v->fields = ndi_arena_alloc(&c->f->c->memory, v->n_fields * sizeof *v->fields);
    CHECK(v->fields, ND_ERR_MEMORY, "%s: out of memory for %zu fields", c->f->name, v->n_fields);
    for (size_t i = 0; i < v->n_fields; i++) {
        TRY(ndi_stream_read(c->in, e.at + i * width, name, width));
        TRY(ndi_content_text(c->f->c, name, width, &v->fields[i]));
    }
    return read_items(c, v, depth);
}

/* Objects of MATLAB's classes: the name of the variable, of the system of classes and of the class. */
static nd_status read_opaque(cursor *c, mat_value *v, const char **name)
{
    const char *system, *class;
    TRY(next_name(c, name));
    TRY(next_name(c, &system));
    TRY(next_name(c, &class));
    return ndi_mat_set_other(c->f, v, "an object of class", class);
}

static nd_status read_class(cursor *c, mat_value *v, uint32_t flags, int depth)
{
    const char *class;
    const uint32_t kind = flags & 0xff, bits = flags >> 8;
    switch (kind) {
    case MX_CELL: v->kind = MAT_CELL; return read_items(c, v, depth);
    case MX_OBJECT: TRY(next_name(c, &class)); return read_struct(c, v, depth);
    case MX_STRUCT: return read_struct(c, v, depth);
    case MX_CHAR: return read_characters(c, v);
    case MX_SPARSE: return read_sparse(c, v, bits);
    case MX_FUNCTION: return ndi_mat_set_other(c->f, v, "a function handle", "");
    default: break;
    }
    CHECK(kind >= MX_DOUBLE && kind <= MX_UINT64, ND_ERR_FORMAT, "%s: a matrix of class %u, expected 1 to %d", c->f->name, kind, MX_OPAQUE);
    return read_numbers(c, v, bits);
}

static nd_status read_matrix(cursor *c, mat_value *v, const char **name, int depth)
{
    uint32_t flags[2];
    size_t n;
    TRY(next_integers(c, "flags", 2, flags, &n));
    CHECK(n == 2, ND_ERR_FORMAT, "%s: %zu flags of a matrix, expected 2", c->f->name, n);
    if ((flags[0] & 0xff) == MX_OPAQUE) return read_opaque(c, v, name);
    TRY(next_extents(c, v));
    TRY(next_name(c, name));
    return read_class(c, v, flags[0], depth);
}

/* The matrix at c->at, which moves behind it. An element without data is an empty matrix. */
static nd_status next_matrix(cursor *c, mat_value *v, const char **name, int depth)
{
    element e;
    TRY(next_element(c, &e));
    CHECK(e.type == MI_MATRIX, ND_ERR_FORMAT, "%s: element of type %u where a matrix is due", c->f->name, e.type);
    if (e.n > 0) {
        cursor inside = *c;
        inside.at = e.at;
        inside.end = e.at + e.n;
        return read_matrix(&inside, v, name, depth);
    }
    *name = "";
    v->n_dims = 2;
    return ndi_mat_set_numbers(c->f, v, &(array){ .type = DTYPE_F64, .in = c->in, .at = e.at });
}

/* ---- the file ---- */

/* A variable as zlib data: how long it is stands in the tag of the matrix inside. */
static nd_status next_packed(cursor *c, element e, mat_value *v, const char **name)
{
    stream *s;
    uint8_t tag[8];
    TRY(ndi_stream_open_zlib(&s, c->in, e.at, e.n, 3 * sizeof tag, c->f->name)); /* more than is read, so that its end is not looked for */
    nd_status status = ndi_stream_read(s, 0, tag, sizeof tag);
    ndi_stream_close(s);
    TRY(status);
    const uint64_t size = sizeof tag + (uint64_t)number(c, tag + 4);
    TRY(ndi_stream_open_zlib(&s, c->in, e.at, e.n, size, c->f->name));
    TRY(ndi_content_add_stream(c->f->c, s));
    cursor inside = { c->f, s, c->big_endian, 0, size };
    TRY(next_matrix(&inside, v, name, 0));
    ndi_stream_release(s);
    return ND_OK;
}

static nd_status next_variable(cursor *c, mat_value *v, const char **name)
{
    cursor before = *c;
    element e;
    TRY(next_element(c, &e));
    if (e.type == MI_COMPRESSED) return next_packed(c, e, v, name);
    CHECK(e.type == MI_MATRIX, ND_ERR_FORMAT, "%s: element of type %u where a variable is due", c->f->name, e.type);
    return next_matrix(&before, v, name, 0);
}

nd_status ndi_mat5_read(mat_file *f, mat_value *root)
{
    uint8_t head[HEADER];
    cursor c = { .f = f, .in = f->in, .at = HEADER };
    mat_list list = { 0 };
    nd_status status = ND_OK;
    TRY(ndi_stream_size(f->in, &c.end));
    TRY(ndi_stream_read(f->in, 0, head, HEADER));
    c.big_endian = head[126] == 'M';
    while (c.at < c.end && status == ND_OK) {
        mat_value v = { 0 };
        const char *name = "";
        status = next_variable(&c, &v, &name);
        if (status == ND_OK && *name) status = ndi_mat_append(f, &list, name, &v); /* without a name: MATLAB's own bookkeeping of objects */
    }
    if (status == ND_OK) ndi_mat_finish(&list, root);
    return status;
}
