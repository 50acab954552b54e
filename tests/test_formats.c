/* Walks the table of formats: what a row writes it reads back, and nothing that happens to its bytes or to the memory does harm. Then each
 * format's own rules. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "check.h"
#include "fault.h"
#include "golden.h"
#include "io/format.h"
#include "neurodecode/file.h"
#include "temp.h"

/* ---- a sample for each row that writes ---- */

static const float floats[6] = {0, 1.5f, -2.25f, 1e30f, 0.1f, 7};
static const double doubles[4] = {3.5, 1e-300, -0.25, 1 / 3.0};
static const int64_t integers[3] = {1, -2, 1 << 20};
static const uint8_t truths[2] = {1, 0};
static const uint16_t halves[2] = {0x3c00, 0xfc00};
static const char *const words[] = {"one", "", "très \"long\", really"};
static const char *const title[] = {"a single text"};
static const char metadata[] = "{\"neurodecode.kind\":\"dataset\",\"rate\":\"250\"}";

static const put_array arrays[] = {
    {.name = "data", .type = DTYPE_F32, .n_dims = 2, .shape = {2, 3}, .data = floats},
    {.name = "wide", .type = DTYPE_F64, .n_dims = 1, .shape = {4}, .data = doubles},
    {.name = "whole", .type = DTYPE_I64, .n_dims = 3, .shape = {1, 3, 1}, .data = integers},
    {.name = "true", .type = DTYPE_BOOL, .n_dims = 1, .shape = {2}, .data = truths},
    {.name = "half", .type = DTYPE_F16, .n_dims = 1, .shape = {2}, .data = halves},
    {.name = "scalar", .type = DTYPE_F32, .data = floats + 1},
    {.name = "nothing", .type = DTYPE_F64, .n_dims = 2, .shape = {3, 0}},
};
static const put_texts lists[] = {{"words", words, 3, true}, {"title", title, 1, false}, {"no words", NULL, 0, true}};
static const put_texts columns[] = {{"columns", words, 3, true}};

static const put everything = {arrays, COUNT(arrays), lists, COUNT(lists), metadata};
static const put one_table = {arrays, 1, columns, 1, NULL};

static const put *sample_of(const format *f) { return strcmp(f->name, "csv") == 0 ? &one_table : &everything; }

static const char *first_extension(const format *f)
{
    static char word[16];
    size_t n = strcspn(f->extensions, " ");
    snprintf(word, sizeof word, "%.*s", (int)n, f->extensions);
    return word;
}

static void expect_array(const content *c, const put_array *wanted)
{
    const array *a = ndi_content_array(c, wanted->name);
    double x[8], y[8];
    if (!a) fail_msg("%s: '%s' is missing", c->format, wanted->name);
    assert_int_equal(a->n_dims, wanted->n_dims);
    assert_memory_equal(a->shape, wanted->shape, a->n_dims * sizeof *a->shape);
    assert_true(a->type == wanted->type || strcmp(c->format, "csv") == 0);
    stream *s;
    array copy = {.name = "copy", .type = wanted->type, .n = a->n};
    OK(ndi_stream_open_memory(&s, wanted->data, a->n * ndi_dtype_size(wanted->type), "copy"));
    copy.in = s;
    OK(ndi_array_read_f64(a, 0, a->n, x));
    OK(ndi_array_read_f64(&copy, 0, a->n, y));
    for (size_t i = 0; i < a->n; i++) assert_true(x[i] == y[i] || (float)x[i] == (float)y[i]);
    ndi_stream_close(s);
}

static void expect_content(const content *c, const put *wanted)
{
    assert_int_equal(c->n_arrays, wanted->n_arrays);
    assert_int_equal(c->n_texts, wanted->n_texts);
    for (size_t i = 0; i < wanted->n_arrays; i++) expect_array(c, &wanted->arrays[i]);
    for (size_t i = 0; i < wanted->n_texts; i++) {
        const texts *t = ndi_content_texts(c, wanted->texts[i].name);
        assert_non_null(t);
        assert_int_equal(t->n, wanted->texts[i].n);
        assert_int_equal(t->list, wanted->texts[i].list);
        for (size_t k = 0; k < t->n; k++)
            if (*wanted->texts[i].items[k]) assert_string_equal(t->items[k], wanted->texts[i].items[k]);
    }
    if (wanted->metadata)
        assert_string_equal(c->metadata, wanted->metadata);
    else
        assert_null(c->metadata);
}

static void rows_are_sound(void **state)
{
    (void)state;
    nd_format_info info = {.size = sizeof info}, other = {.size = sizeof other};
    size_t n = 0;
    for (; nd_format_get_info(n, &info) == ND_OK; n++) {
        assert_true(info.can_read || info.can_write);
        assert_true(*info.name && *info.title && *info.extensions);
        for (size_t i = 0; i < n; i++) {
            OK(nd_format_get_info(i, &other));
            assert_string_not_equal(info.name, other.name);
        }
    }
    assert_true(n >= 6);
    FAILS(ND_ERR_ARGUMENT, "formats", nd_format_get_info(n, &info));
    FAILS(ND_ERR_ARGUMENT, "NULL", nd_format_get_info(0, NULL));
}

static void pack(const char *to, const char *by_way_of, const format *f)
{
    size_t n;
    OK(ndi_format_write(by_way_of, f->name, sample_of(f)));
    uint8_t *bytes = nd_test_read(by_way_of, &n);
    gzFile file = gzopen(to, "wb");
    assert_non_null(file);
    assert_int_equal(gzwrite(file, bytes, (unsigned)n), n);
    assert_int_equal(gzclose(file), Z_OK);
    free(bytes);
}

static void round_trip(void **state)
{
    (void)state;
    for (size_t i = 0; ndi_formats[i]; i++) {
        const format *f = ndi_formats[i];
        content *c;
        if (!f->write) continue;
        char name[64];
        snprintf(name, sizeof name, "sample.%s", first_extension(f));
        OK(ndi_format_write(nd_test_temp(name), NULL, sample_of(f)));
        OK(ndi_content_open(&c, nd_test_temp(name)));
        assert_string_equal(c->format, f->name);
        expect_content(c, sample_of(f));
        ndi_content_free(c);
        snprintf(name, sizeof name, "packed.%s.gz", first_extension(f));
        pack(nd_test_temp(name), nd_test_temp("written"), f);
        OK(ndi_content_open(&c, nd_test_temp(name)));
        expect_content(c, sample_of(f));
        ndi_content_free(c);
        OK(ndi_format_write(nd_test_temp("no-extension"), f->name, sample_of(f)));
        OK(ndi_content_open(&c, nd_test_temp("no-extension")));
        if (strcmp(f->name, "csv") != 0) expect_content(c, sample_of(f)); /* without its name a table with a heading is text */
        ndi_content_free(c);
    }
}

/* ---- damage ---- */

static uint8_t *written_by(const format *f, size_t *n)
{
    const char *path = nd_test_temp("written");
    OK(ndi_format_write(path, f->name, sample_of(f)));
    return nd_test_read(path, n);
}

/* Opens and reads all there is. Any outcome is right that does no harm. */
static void read_all(const uint8_t *bytes, size_t n, const char *extension)
{
    static double x[4096];
    stream *s;
    content *c;
    uint8_t *exact = malloc(n ? n : 1); /* of the right size, so that a sanitiser sees every step outside */
    memcpy(exact, bytes, n);
    OK(ndi_stream_open_memory(&s, exact, n, "damaged"));
    nd_status status = ndi_content_open_stream(&c, s, extension);
    assert_true(status == ND_OK || strncmp(nd_last_error(), "damaged", 7) == 0);
    if (status != ND_OK) {
        assert_null(c);
        assert_true(status == ND_ERR_FORMAT || status == ND_ERR_UNSUPPORTED);
    } else {
        for (size_t i = 0; i < c->n_arrays; i++) (void)ndi_array_read_f64(&c->arrays[i], 0, c->arrays[i].n < 4096 ? c->arrays[i].n : 4096, x);
        ndi_content_free(c);
    }
    free(exact);
}

static void truncation(void **state)
{
    (void)state;
    for (size_t i = 0; ndi_formats[i]; i++) {
        size_t n;
        if (!ndi_formats[i]->write) continue;
        uint8_t *bytes = written_by(ndi_formats[i], &n);
        for (size_t cut = 0; cut < n; cut++) read_all(bytes, cut, first_extension(ndi_formats[i]));
        free(bytes);
    }
}

static void flipped_bits(void **state)
{
    (void)state;
    for (size_t i = 0; ndi_formats[i]; i++) {
        size_t n;
        if (!ndi_formats[i]->write) continue;
        uint8_t *bytes = written_by(ndi_formats[i], &n);
        for (size_t at = 0; at < n; at++)
            for (int bit = 0; bit < 8; bit++) {
                bytes[at] ^= (uint8_t)(1 << bit);
                read_all(bytes, n, first_extension(ndi_formats[i]));
                bytes[at] ^= (uint8_t)(1 << bit);
            }
        free(bytes);
    }
}

/* ---- out of memory ---- */

static nd_status open_sample(void *path)
{
    content *c;
    TRY(ndi_content_open(&c, path));
    ndi_content_free(c);
    return ND_OK;
}

static nd_status describe_sample(void *path)
{
    char json[8192];
    return nd_file_describe(path, json, sizeof json, NULL);
}

static nd_status write_sample(void *row) { return ndi_format_write(nd_test_temp("again"), ((const format *)row)->name, sample_of(row)); }

static void out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; ndi_formats[i]; i++) {
        char path[1024];
        if (!ndi_formats[i]->write) continue;
        snprintf(path, sizeof path, "%s.%s", nd_test_temp("sample"), first_extension(ndi_formats[i]));
        OK(ndi_format_write(path, NULL, sample_of(ndi_formats[i])));
        assert_true(nd_test_faults(open_sample, path) > 5);
        assert_true(nd_test_faults(describe_sample, path) > 5);
        assert_true(nd_test_faults(write_sample, (void *)(uintptr_t)ndi_formats[i]) > 3);
    }
}

/* ---- reading numbers ---- */

/* Elements first .. first + count - 1 of every small Fortran-ordered array against the definition. */
static void fortran_order(void **state)
{
    (void)state;
    uint8_t stored[60];
    for (size_t i = 0; i < sizeof stored; i++) stored[i] = (uint8_t)(3 * i + 1);
    stream *s;
    OK(ndi_stream_open_memory(&s, stored, sizeof stored, "stored"));
    for (size_t shape = 0; shape < 4 * 5 * 3; shape++) {
        array a = {.name = "a", .type = DTYPE_U8, .fortran = true, .n_dims = 3, .shape = {shape % 4 + 1, shape / 4 % 5 + 1, shape / 20 + 1}, .in = s};
        a.n = a.shape[0] * a.shape[1] * a.shape[2];
        for (size_t first = 0; first <= a.n; first++)
            for (size_t count = 0; count <= a.n - first; count += 1 + count / 7) {
                float x[60];
                OK(ndi_array_read_f32(&a, first, count, x));
                for (size_t i = 0; i < count; i++) {
                    size_t k = (first + i) % a.shape[2], j = (first + i) / a.shape[2] % a.shape[1], r = (first + i) / a.shape[2] / a.shape[1];
                    assert_true(x[i] == stored[r + a.shape[0] * (j + a.shape[1] * k)]);
                }
            }
        float x;
        FAILS(ND_ERR_ARGUMENT, "elements", ndi_array_read_f32(&a, a.n, 1, &x));
        FAILS(ND_ERR_ARGUMENT, "elements", ndi_array_read_f32(&a, SIZE_MAX, 2, &x));
    }
    ndi_stream_close(s);
}

/* Larger than any slice, in both orders: the transposed values must meet. */
static void large_fortran(void **state)
{
    (void)state;
    static const size_t shapes[][2] = {{9000, 3}, {3, 9000}, {170, 170}};
    for (size_t k = 0; k < COUNT(shapes); k++) {
        const size_t rows = shapes[k][0], n_columns = shapes[k][1], n = rows * n_columns;
        int32_t *stored = malloc(n * sizeof *stored);
        double *x = malloc(n * sizeof *x);
        for (size_t i = 0; i < n; i++) stored[i] = (int32_t)i;
        array a = {.name = "a", .type = DTYPE_I32, .fortran = true, .n_dims = 2, .shape = {rows, n_columns}, .n = n};
        OK(ndi_stream_open_memory(&a.in, stored, n * sizeof *stored, "stored"));
        for (size_t first = 0; first < n; first += 7777) {
            OK(ndi_array_read_f64(&a, first, n - first, x));
            for (size_t i = first; i < n; i++) assert_true(x[i - first] == (double)(i / n_columns + i % n_columns * rows));
        }
        ndi_stream_close(a.in);
        free(stored);
        free(x);
    }
}

/* Every half against its definition, both byte orders. */
static void half_precision(void **state)
{
    (void)state;
    static uint16_t h[65536];
    static float x[65536];
    for (int big = 0; big < 2; big++) {
        array a = {.name = "h", .type = DTYPE_F16, .n_dims = 1, .shape = {65536}, .n = 65536, .big_endian = big};
        for (size_t i = 0; i < 65536; i++) h[i] = big == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? (uint16_t)i : __builtin_bswap16((uint16_t)i);
        OK(ndi_stream_open_memory(&a.in, h, sizeof h, "h"));
        OK(ndi_array_read_f32(&a, 0, a.n, x));
        for (unsigned i = 0; i < 65536; i++) {
            const int exponent = (int)(i >> 10 & 31), fraction = (int)(i & 1023);
            double wanted = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
            if (exponent == 31) wanted = fraction ? (double)NAN : (double)INFINITY;
            if (i >> 15) wanted = -wanted;
            assert_true(isnan(wanted) ? isnan(x[i]) : (double)x[i] == wanted);
        }
        ndi_stream_close(a.in);
    }
}

static void every_type(void **state)
{
    (void)state;
    static const struct {
        dtype type;
        uint8_t bytes[8]; /* big endian */
        double value;
    } cases[] = {
        {DTYPE_BOOL, {2}, 1},
        {DTYPE_I8, {0xfe}, -2},
        {DTYPE_U8, {0xfe}, 254},
        {DTYPE_I16, {0xff, 0x00}, -256},
        {DTYPE_U16, {0xff, 0x00}, 65280},
        {DTYPE_I32, {0xff, 0xff, 0xff, 0x00}, -256},
        {DTYPE_U32, {0xff, 0, 0, 0}, 4278190080.0},
        {DTYPE_I64, {0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0}, -16777216},
        {DTYPE_U64, {0x80, 0, 0, 0, 0, 0, 0, 0}, 9223372036854775808.0},
        {DTYPE_F16, {0xc1, 0x00}, -2.5},
        {DTYPE_BF16, {0xc0, 0x20}, -2.5},
        {DTYPE_F32, {0xc0, 0x20, 0, 0}, -2.5},
        {DTYPE_F64, {0xc0, 0x04, 0, 0, 0, 0, 0, 0}, -2.5},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int big = 0; big < 2; big++) {
            uint8_t bytes[8];
            const size_t size = ndi_dtype_size(cases[i].type);
            for (size_t k = 0; k < size; k++) bytes[k] = cases[i].bytes[big ? k : size - 1 - k];
            array a = {.name = "a", .type = cases[i].type, .n = 1, .big_endian = big};
            double wide;
            float narrow;
            OK(ndi_stream_open_memory(&a.in, bytes, size, "a"));
            OK(ndi_array_read_f64(&a, 0, 1, &wide));
            OK(ndi_array_read_f32(&a, 0, 1, &narrow));
            assert_true(wide == cases[i].value && narrow == (float)cases[i].value);
            ndi_stream_close(a.in);
        }
    stream *s;
    OK(ndi_stream_open_memory(&s, doubles, 16, "z"));
    array z = {.name = "z", .type = DTYPE_C128, .n = 1, .in = s};
    float x;
    FAILS(ND_ERR_UNSUPPORTED, "complex", ndi_array_read_f32(&z, 0, 1, &x));
    ndi_stream_close(s);
}

/* ---- the formats' own rules ---- */

static content *open_bytes(const char *bytes, size_t n, const char *extension)
{
    stream *s;
    content *c;
    OK(ndi_stream_open_memory(&s, bytes, n, "bytes"));
    OK(ndi_content_open_stream(&c, s, extension));
    return c;
}

static nd_status try_bytes(const char *bytes, size_t n, const char *extension)
{
    stream *s;
    content *c;
    OK(ndi_stream_open_memory(&s, bytes, n, "bytes"));
    nd_status status = ndi_content_open_stream(&c, s, extension);
    ndi_content_free(c);
    return status;
}

/* A .npy file of a version, with a header and eight bytes of data. */
static size_t make_npy(char file[512], int version, const char *header)
{
    const size_t n = strlen(header), start = version == 1 ? 10 : 12;
    memcpy(file, "\x93NUMPY", 6);
    memset(file + 6, 0, 6);
    file[6] = (char)version;
    file[8] = (char)n;
    memcpy(file + start, header, n);
    memcpy(file + start + n, "\1\0\0\0\2\0\0\0", 8);
    return start + n + 8;
}

static void npy_headers(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }\n",
        "{'shape': (2L,), \"fortran_order\": True, 'descr': \"<i4\"}",
        "  {'descr':'<i4','fortran_order':False,'shape':(2)}",
        "{'descr': '=i4', 'fortran_order': False, 'shape': ( 1 , 2 ) , }",
    };
    static const struct {
        nd_status status;
        const char *header, *part;
    } wrong[] = {
        {ND_ERR_UNSUPPORTED, "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,), }", "records, type [('a', '<i4')], expected"},
        {ND_ERR_UNSUPPORTED, "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,), }", "<M8[ns]"},
        {ND_ERR_UNSUPPORTED, "{'descr': '|V8', 'fortran_order': False, 'shape': (1,), }", "|V8"},
        {ND_ERR_UNSUPPORTED, "{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }", "<f3"},
        {ND_ERR_UNSUPPORTED, "{'descr': '<i4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }", "dimensions"},
        {ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", "3 x 4 bytes"},
        {ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }", "data"},
        {ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "too large"},
        {ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (-2,), }", "no number"},
        {ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': 0, 'shape': (2,), }", "fortran_order"},
        {ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, }", "lacks"},
        {ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "unknown key"},
        {ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,)", "does not end"},
        {ND_ERR_FORMAT, "'descr'", "dict"},
    };
    char file[512];
    for (int version = 1; version <= 3; version++)
        for (size_t i = 0; i < COUNT(good); i++) {
            float x[2];
            content *c = open_bytes(file, make_npy(file, version, good[i]), "");
            assert_int_equal(c->n_arrays, 1);
            OK(ndi_array_read_f32(&c->arrays[0], 0, 2, x));
            assert_true(x[0] == 1 && x[1] == 2);
            ndi_content_free(c);
        }
    for (size_t i = 0; i < COUNT(wrong); i++) FAILS(wrong[i].status, wrong[i].part, try_bytes(file, make_npy(file, 1, wrong[i].header), "npy"));
    FAILS(ND_ERR_UNSUPPORTED, "version", try_bytes(file, make_npy(file, 4, good[0]), "npy"));
    content *c = open_bytes(file, make_npy(file, 1, "{'descr': '<U2', 'fortran_order': False, 'shape': (), }"), "npy");
    assert_string_equal(ndi_content_texts(c, "data")->items[0], "\1\2");
    ndi_content_free(c);
    FAILS(ND_ERR_FORMAT, "not Unicode", try_bytes(file, make_npy(file, 1, "{'descr': '>U2', 'fortran_order': False, 'shape': (), }"), "npy"));
    FAILS(ND_ERR_FORMAT, "strings", try_bytes(file, make_npy(file, 1, "{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000,), }"), "npy"));
}

static void csv_tables(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        size_t rows, n_columns, n_texts; /* texts include "columns" */
        const char *name;                /* one of the columns of texts, and its first item */
        const char *item;
        double last;                     /* last number */
    } cases[] = {
        {"1,2\n3,4\n", 2, 2, 0, NULL, NULL, 4},
        {"x,y\r\n1,2\r\n3,4.5", 2, 2, 1, "columns", "x", 4.5},
        {"\xef\xbb\xbfx;y\n1;2\n\n", 1, 2, 1, "columns", "x", 2},
        {"name,x\n\"a \"\"q\"\", b\",1\nc,NA\n", 2, 1, 2, "name", "a \"q\", b", NAN},
        {",0,1\n0,5,6\n1,7,8\n", 2, 2, 1, "columns", "0", 8},
        {",0,1\na,5,6\nb,7,8\n", 2, 2, 2, "column0", "a", 8},
        {"n01,0.5\nn02,1.5\n", 2, 1, 1, "column0", "n01", 1.5},
        {"# made by hand\n 1.0 2e0\n 3.0   -4\n", 2, 2, 0, NULL, NULL, -4},
        {"a\tb c\n1\t\n2\t 3 \n", 2, 2, 1, "columns", "a", 3},
        {"\"multi\nline\",2\nx,3\n", 2, 1, 1, "column0", "multi\nline", 3},
        {"id\naardvark\nabacus\n", 0, 0, 1, "id", "aardvark", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        content *c = open_bytes(cases[i].file, strlen(cases[i].file), "csv");
        const array *a = ndi_content_array(c, "data");
        double x[8];
        assert_int_equal(c->n_texts, cases[i].n_texts);
        if (cases[i].rows) {
            assert_non_null(a);
            assert_int_equal(a->n_dims, 2);
            assert_int_equal(a->shape[0], cases[i].rows);
            assert_int_equal(a->shape[1], cases[i].n_columns);
            OK(ndi_array_read_f64(a, 0, a->n, x));
            assert_true(x[a->n - 1] == cases[i].last || (isnan(x[a->n - 1]) && isnan(cases[i].last)));
        } else {
            assert_null(a);
        }
        if (cases[i].name) {
            assert_non_null(ndi_content_texts(c, cases[i].name));
            assert_string_equal(ndi_content_texts(c, cases[i].name)->items[0], cases[i].item);
        }
        ndi_content_free(c);
    }
    FAILS(ND_ERR_FORMAT, "row 2", try_bytes("1,2\n3\n", 6, "csv"));
    FAILS(ND_ERR_FORMAT, "row 2", try_bytes("1,2\n3,4,5\n", 10, "csv"));
    FAILS(ND_ERR_FORMAT, "quotes", try_bytes("\"a", 2, "csv"));
    FAILS(ND_ERR_FORMAT, "no table", try_bytes("\n\n", 2, "csv"));
}

static void plain_text(void **state)
{
    (void)state;
    static const char file[] = "\xef\xbb\xbf" "one\r\n\ncaf\xe9\nlast";
    content *c = open_bytes(file, sizeof file - 1, "txt");
    assert_string_equal(c->format, "text");
    const texts *t = ndi_content_texts(c, "lines");
    assert_int_equal(t->n, 4);
    assert_string_equal(t->items[0], "one");
    assert_string_equal(t->items[1], "");
    assert_string_equal(t->items[2], "caf\xc3\xa9"); /* Latin-1 */
    assert_string_equal(t->items[3], "last");
    ndi_content_free(c);
    FAILS(ND_ERR_UNSUPPORTED, "no known format", try_bytes("a\0b", 3, "txt"));
    FAILS(ND_ERR_FORMAT, "empty", try_bytes("", 0, "txt"));
}

static size_t make_safetensors(char file[1024], const char *header, size_t data)
{
    const size_t n = strlen(header);
    memset(file, 0, 8 + n + data);
    file[0] = (char)n;
    file[1] = (char)(n >> 8);
    memcpy(file + 8, header, n);
    return 8 + n + data;
}

static void safetensors_headers(void **state)
{
    (void)state;
    static const struct {
        nd_status status;
        const char *header, *part;
    } wrong[] = {
        {ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}}", "take 8 bytes, got 12"},
        {ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[9],\"data_offsets\":[0,36]}}", "got"},
        {ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "no range"},
        {ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", "no range"},
        {ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", "extent"},
        {ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9223372036854775799,9223372036854775807]}}", "a"},
        {ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                        "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", "overlaps"},
        {ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                        "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}", "JSON"},
        {ND_ERR_UNSUPPORTED, "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", "F8_E4M3"},
        {ND_ERR_FORMAT, "{\"a\":{\"shape\":[2],\"data_offsets\":[0,2]}}", "dtype"},
        {ND_ERR_FORMAT, "{\"__metadata__\":{\"a\":1}}", "not a string"},
        {ND_ERR_FORMAT, "{\"__metadata__\":{\"neurodecode.texts\":\"{\\\"x\\\":\\\"list\\\"}\"}}", "text"},
        {ND_ERR_FORMAT, "{\"a\":", "JSON"},
    };
    char file[1024];
    for (size_t i = 0; i < COUNT(wrong); i++) {
        const size_t n = make_safetensors(file, wrong[i].header, 16);
        FAILS(wrong[i].status, wrong[i].part, try_bytes(file, n, "safetensors"));
    }
    put_array big = {.name = "a", .type = DTYPE_C128, .n_dims = 1, .shape = {1}, .data = doubles};
    FAILS(ND_ERR_UNSUPPORTED, "complex128", ndi_format_write(nd_test_temp("c.safetensors"), NULL, &(put){.arrays = &big, .n_arrays = 1}));
}

/* The data of the first tensor, and of stored members of an archive, lie where they can be used in place. */
static void maps(void **state)
{
    (void)state;
    static const char *const names[] = {"m.safetensors", "m.npz", "m.npy"};
    for (size_t i = 0; i < COUNT(names); i++) {
        content *c;
        const array *a;
        OK(ndi_format_write(nd_test_temp(names[i]), NULL, &(put){.arrays = arrays, .n_arrays = 1}));
        OK(ndi_content_open(&c, nd_test_temp(names[i])));
        OK(ndi_content_pick(c, NULL, &a));
        const float *map = ndi_array_map_f32(a);
        assert_non_null(map);
        assert_true((uintptr_t)map % 64 == 0);
        assert_memory_equal(map, floats, sizeof floats);
        ndi_content_free(c);
    }
}

static nd_status count_up(void *context, size_t first, size_t count, void *elements)
{
    size_t *next = context;
    if (first != *next) return ndi_fail(ND_ERR_INTERNAL, "asked out of order");
    for (size_t i = 0; i < count; i++) ((float *)elements)[i] = (float)(first + i);
    *next += count;
    return first > 2000000 ? ndi_fail(ND_ERR_CANCELLED, "enough") : ND_OK;
}

/* Elements that are made while the file is written; when that fails nothing appears. */
static void filled_arrays(void **state)
{
    (void)state;
    for (size_t i = 0; ndi_formats[i]; i++) {
        const char *path = nd_test_temp("filled");
        size_t next = 0;
        if (!ndi_formats[i]->write) continue;
        const bool slow = strcmp(ndi_formats[i]->name, "csv") == 0;
        put_array a = {.name = "data", .type = DTYPE_F32, .n_dims = 2, .shape = {slow ? 100 : 100000, 7}, .fill = count_up, .context = &next};
        OK(ndi_format_write(path, ndi_formats[i]->name, &(put){.arrays = &a, .n_arrays = 1}));
        content *c;
        float last;
        OK(ndi_content_open(&c, path));
        OK(ndi_array_read_f32(&c->arrays[0], a.shape[0] * 7 - 1, 1, &last));
        assert_true(last == (float)(a.shape[0] * 7 - 1));
        ndi_content_free(c);
        if (slow) continue;
        nd_test_temp_clear();
        next = 0;
        a.shape[0] = 400000;
        FAILS(ND_ERR_CANCELLED, "enough", ndi_format_write(nd_test_temp("filled"), ndi_formats[i]->name, &(put){.arrays = &a, .n_arrays = 1}));
        assert_int_equal(nd_test_temp_count(), 0);
    }
}

/* ---- the public functions ---- */

static void array_functions(void **state)
{
    (void)state;
    static const char *const names[] = {"a.npy", "a.npz", "a.safetensors", "a.csv", "a.tsv"};
    const size_t shape[2] = {3, 2};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *path = nd_test_temp(names[i]);
        size_t got[8], n_dims = 8;
        float x[6];
        OK(nd_array_write(path, floats, shape, 2));
        OK(nd_array_read(path, NULL, got, &n_dims, NULL, 0));
        assert_int_equal(n_dims, 2);
        assert_memory_equal(got, shape, sizeof shape);
        OK(nd_array_read(path, "data", got, &n_dims, x, 6));
        assert_memory_equal(x, floats, sizeof x);
        FAILS(ND_ERR_BUFFER, "room for 5", nd_array_read(path, NULL, got, &n_dims, x, 5));
        n_dims = 1;
        FAILS(ND_ERR_BUFFER, "dimensions", nd_array_read(path, NULL, got, &n_dims, x, 6));
        n_dims = 2;
        FAILS(ND_ERR_FORMAT, "no array 'other', got data", nd_array_read(path, "other", got, &n_dims, x, 6));
    }
    FAILS(ND_ERR_UNSUPPORTED, "xyz", nd_array_write(nd_test_temp("a.xyz"), floats, shape, 2));
    FAILS(ND_ERR_UNSUPPORTED, "txt", nd_array_write(nd_test_temp("a.txt"), floats, shape, 2));
    FAILS(ND_ERR_ARGUMENT, "NULL", nd_array_write(NULL, floats, shape, 2));
    FAILS(ND_ERR_ARGUMENT, "dimensions", nd_array_write(nd_test_temp("a.npy"), floats, shape, 9));
    OK(ndi_format_write(nd_test_temp("several.npz"), NULL, &everything));
    size_t got[8], n_dims = 8;
    FAILS(ND_ERR_FORMAT, "which array is meant? got data, wide", nd_array_read(nd_test_temp("several.npz"), NULL, got, &n_dims, NULL, 0));
}

static void describe(void **state)
{
    (void)state;
    char json[4096];
    size_t needed;
    const char *path = nd_test_temp("d.safetensors");
    OK(ndi_format_write(path, NULL, &everything));
    OK(nd_file_describe(path, NULL, 0, &needed));
    FAILS(ND_ERR_BUFFER, "need", nd_file_describe(path, json, needed - 1, NULL));
    OK(nd_file_describe(path, json, needed, NULL));
    assert_int_equal(strlen(json) + 1, needed);
    static const char *const parts[] = {"\"format\":\"safetensors\"", "{\"name\":\"data\",\"dtype\":\"float32\",\"shape\":[2,3],\"order\":\"C\"}",
                                        "\"title\":\"a single text\"", "\"words\":[\"one\",\"\",\"très \\\"long\\\", really\"]", "\"kind\":\"dataset\"", "\"rate\":\"250\"", "\"bytes\":"};
    for (size_t i = 0; i < COUNT(parts); i++)
        if (!strstr(json, parts[i])) fail_msg("%s lacks %s", json, parts[i]);
    FAILS(ND_ERR_IO, "absent", nd_file_describe(nd_test_temp("absent"), json, sizeof json, NULL));
}

/* ---- files of other programs ---- */

/* Sums by NumPy; a status below 0 says how the file must be refused, with the words of `name` in the message. */
static const struct {
    const char *file;
    nd_status status;
    const char *name;
    size_t n_dims, shape[4];
    double sum;
} fixtures[] = {
    {"fixtures/npy/test.npy", ND_OK, NULL, 1, {10}, 330.0},
    {"fixtures/npy/test.npz", ND_OK, "x_plus_one", 1, {10}, 385.0},
    {"fixtures/npy/astype_copy.pkl", ND_OK, NULL, 1, {73}, 64364.23955356482},
    {"fixtures/npy/py2-objarr.npy", ND_ERR_UNSUPPORTED, "refuses __builtin__.xrange", 0, {0}, 0},
    {"fixtures/npy/py2-np0-objarr.npy", ND_ERR_UNSUPPORTED, "refuses __builtin__.xrange", 0, {0}, 0},
    {"fixtures/npy/py2-objarr.npz", ND_ERR_UNSUPPORTED, "refuses __builtin__.xrange", 0, {0}, 0},
    {"fixtures/npy/py3-objarr.npy", ND_ERR_UNSUPPORTED, "refuses builtins.range", 0, {0}, 0},
    {"fixtures/npy/py3-objarr.npz", ND_ERR_UNSUPPORTED, "x.npy: pickle: refuses builtins.range", 0, {0}, 0},
    {"fixtures/safetensors/B_unsigned.safetensors", ND_OK, "B", 1, {6}, 1543.0},
    {"fixtures/safetensors/H_unsigned.safetensors", ND_OK, "H", 1, {6}, 393223.0},
    {"fixtures/safetensors/I_unsigned.safetensors", ND_OK, "I", 1, {6}, 25769803783.0},
    {"fixtures/safetensors/b.safetensors", ND_OK, "b", 1, {6}, 7.0},
    {"fixtures/safetensors/d.safetensors", ND_OK, "d", 1, {6}, 7.0},
    {"fixtures/safetensors/e.safetensors", ND_OK, "e", 1, {6}, 7.0},
    {"fixtures/safetensors/f.safetensors", ND_OK, "f", 1, {6}, 7.0},
    {"fixtures/safetensors/h.safetensors", ND_OK, "h", 1, {6}, 7.0},
    {"fixtures/safetensors/i.safetensors", ND_OK, "i", 1, {6}, 7.0},
    {"fixtures/safetensors/jfk-codes.safetensors", ND_OK, "codes", 3, {1, 2, 828}, 47190286.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "B", 1, {6}, 1543.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "H", 1, {6}, 393223.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "I", 1, {6}, 25769803783.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "b", 1, {6}, 7.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "d", 1, {6}, 7.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "e", 1, {6}, 7.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "f", 1, {6}, 7.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "h", 1, {6}, 7.0},
    {"fixtures/safetensors/overall.safetensors", ND_OK, "i", 1, {6}, 7.0},
    {"object2vec_81/python_roi_data.pickle", ND_OK, "betas", 2, {81, 696}, 8738.312320088502},
    {"object2vec_81/python_roi_data.pickle", ND_OK, "indices", 2, {1, 696}, 133876.0},
    {"things_embeddings/THINGSDecisions_spose_embedding_14d_sorted.npy", ND_OK, NULL, 2, {1854, 14}, 346174.15698678023},
    {"things_embeddings/THINGSDecisions_spose_embedding_82d_sorted.npy", ND_OK, NULL, 2, {1854, 82}, 965924.3052294833},
    {"kriegeskorte_92/118_animate_RDM.npy", ND_OK, NULL, 2, {118, 118}, 645605.0},
    {"clip_features/center_clip.npy", ND_OK, NULL, 2, {200, 768}, 1072.634141088845},
    {"glocal/dino-vit-base-p16_norm.npz", ND_OK, "weights", 2, {768, 768}, 2630.3612251868294},
    {"glocal/dino-vit-base-p16_norm.npz", ND_OK, "mean", 0, {0}, -0.0021408777683973312},
    {"../golden/losses.npz", ND_OK, "z", 2, {11, 24}, -23.09374401540947},
    {"things_embeddings/spose_embedding66d_rescaled.csv", ND_OK, NULL, 2, {1854, 66}, 34175864.46557848},
    {"things_embeddings/spose_embedding66d_rescaled_48val_reordered.csv", ND_OK, NULL, 2, {48, 66}, 909354.2542654744},
    {"things_embeddings/THINGSdata_animacy.csv", ND_OK, NULL, 2, {1854, 23}, 8671765.381299999},
    {"things_embeddings/things_fmri_stimulus_metadata_720_images.csv", ND_OK, NULL, 2, {720, 4}, 14591391.0},
    {"haxby2001/openfmri_sub001/sub001/BOLD/task001_run001/bold_events.tsv", ND_OK, NULL, 2, {8, 2}, 13615.0},
    {"haxby2001/attributes.txt", ND_OK, NULL, 2, {1452, 2}, 578435.0},
};

static void other_programs(void **state)
{
    (void)state;
    size_t n_read = 0;
    for (size_t i = 0; i < COUNT(fixtures); i++) {
        const char *path = nd_test_data_path(fixtures[i].file);
        content *c;
        const array *a;
        if (!path) {
            print_message("%s: skipped, not below ND_DATA\n", fixtures[i].file);
            continue;
        }
        n_read++;
        if (fixtures[i].status != ND_OK) {
            FAILS(fixtures[i].status, fixtures[i].name, ndi_content_open(&c, path));
            continue;
        }
        OK(ndi_content_open(&c, path));
        OK(ndi_content_pick(c, fixtures[i].name, &a));
        assert_int_equal(a->n_dims, fixtures[i].n_dims);
        assert_memory_equal(a->shape, fixtures[i].shape, a->n_dims * sizeof *a->shape);
        double *x = malloc(a->n * sizeof *x), sum = 0;
        OK(ndi_array_read_f64(a, 0, a->n, x));
        for (size_t k = 0; k < a->n; k++) sum += x[k] * (double)(k % 97 + 1); /* order matters */
        if (fabs(sum - fixtures[i].sum) > 1e-9 * fabs(fixtures[i].sum) + 1e-9)
            fail_msg("%s: sum %.17g, expected %.17g", fixtures[i].file, sum, fixtures[i].sum);
        free(x);
        ndi_content_free(c);
    }
    if (n_read == 0) skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sound), cmocka_unit_test(round_trip),    cmocka_unit_test(truncation),          cmocka_unit_test(flipped_bits),
        cmocka_unit_test(out_of_memory),  cmocka_unit_test(fortran_order), cmocka_unit_test(large_fortran),       cmocka_unit_test(half_precision),
        cmocka_unit_test(every_type),     cmocka_unit_test(npy_headers),   cmocka_unit_test(csv_tables),          cmocka_unit_test(plain_text),
        cmocka_unit_test(safetensors_headers), cmocka_unit_test(maps),     cmocka_unit_test(filled_arrays),       cmocka_unit_test(array_functions),
        cmocka_unit_test(describe),       cmocka_unit_test(other_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
