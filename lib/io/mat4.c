/* MAT-files of version 4 ("MAT-File Format", The MathWorks): for each matrix five numbers (type, rows, columns, has imaginary parts, bytes of the name),
 * the name with its NUL, all real parts, all imaginary parts. The decimal digits of the type are MOPT: byte order, 0, precision, sort. */
#include <string.h>

#include "base/bytes.h"
#include "io/mat.h"

enum { HEAD = 20, MOST_NAME = 256, SORT_NUMBERS = 0, SORT_TEXT, SORT_SPARSE };

typedef struct header {
    uint32_t sort, rows, columns, is_complex, name_bytes;
    dtype type;
    bool big_endian;
} header;

static bool parse(const uint8_t *bytes, header *h)
{
    static const dtype types[] = { DTYPE_F64, DTYPE_F32, DTYPE_I32, DTYPE_I16, DTYPE_U16, DTYPE_U8 };
    h->big_endian = ndi_le32(bytes) >= 10000; /* as little endian it would be the type of another machine */
    uint32_t x[5];
    for (size_t i = 0; i < COUNT(x); i++) x[i] = h->big_endian ? ndi_be32(bytes + 4 * i) : ndi_le32(bytes + 4 * i);
    const uint32_t machine = x[0] / 1000, precision = x[0] / 10 % 10;
    h->sort = x[0] % 10;
    h->rows = x[1];
    h->columns = x[2];
    h->is_complex = x[3];
    h->name_bytes = x[4];
    if (machine != h->big_endian || x[0] / 100 % 10 != 0 || precision >= COUNT(types) || h->sort > SORT_SPARSE) return false;
    h->type = types[precision];
    return h->rows <= INT32_MAX && h->columns <= INT32_MAX && h->is_complex <= 1 && h->name_bytes > 0 && h->name_bytes <= MOST_NAME;
}

/* The name has to look like one: there is no other mark. */
bool ndi_mat4_probe(const uint8_t *head, size_t n)
{
    header h;
    if (n < HEAD + 2 || !parse(head, &h) || h.name_bytes < 2) return false;
    const uint8_t first = head[HEAD] | 0x20;
    return first >= 'a' && first <= 'z' && (h.name_bytes > n - HEAD || head[HEAD + h.name_bytes - 1] == 0);
}

/* The three columns row, column (from 1) and value of a sparse matrix, or four; the last row holds its extents. */
static nd_status set_sparse(mat_file *f, mat_value *v, const header *h, const double *x)
{
    double *at;
    const size_t n = h->rows;
    CHECK(n > 0 && (h->columns == 3 || h->columns == 4) && !h->is_complex, ND_ERR_FORMAT,
          "%s: a sparse matrix as %zu x %u numbers, expected 3 or 4 columns", f->name, n, h->columns);
    for (size_t i = 0; i < 2; i++) {
        const double extent = x[i * n + n - 1];
        CHECK(extent >= 0 && extent <= INT32_MAX, ND_ERR_FORMAT, "%s: extent %g of a sparse matrix", f->name, extent);
        v->shape[i] = (size_t)extent;
    }
    CHECK(ndi_mat_measure(v), ND_ERR_FORMAT, "%s: a sparse matrix is too large", f->name);
    TRY(NEW(at, 2 * n));
    for (size_t i = 0; i < 2 * n; i++) at[i] = x[i] - 1;
    nd_status status = ndi_mat_set_sparse(f, v, n - 1, at, at + n, x + 2 * n, h->columns == 4 ? x + 3 * n : NULL);
    ndi_free(at);
    return status;
}

static nd_status set_value(mat_file *f, mat_value *v, const header *h, array *real)
{
    double *x;
    if (h->sort == SORT_NUMBERS && !h->is_complex) return ndi_mat_set_numbers(f, v, real);
    if (h->sort == SORT_NUMBERS) {
        array imaginary = *real;
        imaginary.at += (uint64_t)real->n * ndi_dtype_size(real->type);
        return ndi_mat_set_complex(f, v, real, &imaginary);
    }
    TRY(ndi_mat_load(f, real, real->n, &x));
    nd_status status = h->sort == SORT_TEXT ? ndi_mat_set_text(f, v, x, v->n, false) : set_sparse(f, v, h, x);
    ndi_free(x);
    return status;
}

static nd_status next_variable(mat_file *f, uint64_t *at, uint64_t end, mat_list *list)
{
    uint8_t bytes[HEAD];
    char name[MOST_NAME];
    const char *copy;
    header h;
    size_t size;
    TRY(ndi_stream_read(f->in, *at, bytes, HEAD));
    CHECK(parse(bytes, &h), ND_ERR_FORMAT, "%s: no matrix of version 4 at %llu", f->name, (unsigned long long)*at);
    TRY(ndi_stream_read(f->in, *at + HEAD, name, h.name_bytes));
    TRY(ndi_content_text(f->c, name, h.name_bytes, &copy));
    mat_value v = { .n_dims = 2, .shape = { h.rows, h.columns } };
    *at += HEAD + h.name_bytes;
    CHECK(ndi_mat_measure(&v) && ndi_mul(v.n, ndi_dtype_size(h.type) * (1 + h.is_complex), &size) && size <= end - *at, ND_ERR_FORMAT,
          "%s: matrix '%s' is said to have %u x %u numbers, got %llu bytes", f->name, copy, h.rows, h.columns, (unsigned long long)(end - *at));
    array real = { .name = "", .type = h.type, .big_endian = h.big_endian, .n_dims = 1, .shape = { v.n }, .n = v.n, .in = f->in, .at = *at };
    *at += size;
    TRY(set_value(f, &v, &h, &real));
    return ndi_mat_append(f, list, copy, &v);
}

nd_status ndi_mat4_read(mat_file *f, mat_value *root)
{
    mat_list list = { 0 };
    uint64_t at = 0, end;
    TRY(ndi_stream_size(f->in, &end));
    while (at < end) TRY(next_variable(f, &at, end, &list));
    ndi_mat_finish(&list, root);
    return ND_OK;
}
