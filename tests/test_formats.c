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
#include "io/format.h"
#include "neurodecode/file.h"
#include "temp.h"

/* ---- a sample for each row that writes ---- */

static const float floats[6] = { 0, 1.5f, -2.25f, 1e30f, 0.1f, 7 };
static const double doubles[4] = { 3.5, 1e-300, -0.25, 1 / 3.0 };
static const int64_t integers[3] = { 1, -2, 1 << 20 };
static const uint8_t truths[2] = { 1, 0 };
static const uint16_t halves[2] = { 0x3c00, 0xfc00 };
static const char *const words[] = { "one", "", "très \"long\", really" };
static const char *const title[] = { "a single text" };
static const char metadata[] = "{\"neurodecode.kind\":\"dataset\",\"rate\":\"250\"}";

static const put_array arrays[] = {
    { .name = "data", .type = DTYPE_F32, .n_dims = 2, .shape = { 2, 3 }, .data = floats },
    { .name = "wide", .type = DTYPE_F64, .n_dims = 1, .shape = { 4 }, .data = doubles },
    { .name = "whole", .type = DTYPE_I64, .n_dims = 3, .shape = { 1, 3, 1 }, .data = integers },
    { .name = "true", .type = DTYPE_BOOL, .n_dims = 1, .shape = { 2 }, .data = truths },
    { .name = "half", .type = DTYPE_F16, .n_dims = 1, .shape = { 2 }, .data = halves },
    { .name = "scalar", .type = DTYPE_F32, .data = floats + 1 },
    { .name = "nothing", .type = DTYPE_F64, .n_dims = 2, .shape = { 3, 0 } },
};
static const put_texts lists[] = { { "words", words, 3, true, false }, { "title", title, 1, false, false }, { "no words", NULL, 0, true, false } };
static const put_texts columns[] = { { "columns", words, 3, true, false } };

static const put everything = { arrays, COUNT(arrays), lists, COUNT(lists), metadata };
static const put one_table = { arrays, 1, columns, 1, NULL };

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
    array copy = { .name = "copy", .type = wanted->type, .n = a->n };
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
    nd_format_info info = { .size = sizeof info }, other = { .size = sizeof other };
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
        { ND_ERR_UNSUPPORTED, "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,), }", "records, type [('a', '<i4')], expected" },
        { ND_ERR_UNSUPPORTED, "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (1,), }", "<M8[ns]" },
        { ND_ERR_UNSUPPORTED, "{'descr': '|V8', 'fortran_order': False, 'shape': (1,), }", "|V8" },
        { ND_ERR_UNSUPPORTED, "{'descr': '<f3', 'fortran_order': False, 'shape': (1,), }", "<f3" },
        { ND_ERR_UNSUPPORTED, "{'descr': '<i4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }", "dimensions" },
        { ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", "3 x 4 bytes" },
        { ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }", "data" },
        { ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "too large" },
        { ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (-2,), }", "no number" },
        { ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': 0, 'shape': (2,), }", "fortran_order" },
        { ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, }", "lacks" },
        { ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,), 'more': 1}", "unknown key" },
        { ND_ERR_FORMAT, "{'descr': '<i4', 'fortran_order': False, 'shape': (2,)", "does not end" },
        { ND_ERR_FORMAT, "'descr'", "dict" },
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
        double last; /* last number */
    } cases[] = {
        { "1,2\n3,4\n", 2, 2, 0, NULL, NULL, 4 },
        { "x,y\r\n1,2\r\n3,4.5", 2, 2, 1, "columns", "x", 4.5 },
        { "\xef\xbb\xbfx;y\n1;2\n\n", 1, 2, 1, "columns", "x", 2 },
        { "name,x\n\"a \"\"q\"\", b\",1\nc,NA\n", 2, 1, 2, "name", "a \"q\", b", NAN },
        { ",0,1\n0,5,6\n1,7,8\n", 2, 2, 1, "columns", "0", 8 },
        { ",0,1\na,5,6\nb,7,8\n", 2, 2, 2, "column0", "a", 8 },
        { "n01,0.5\nn02,1.5\n", 2, 1, 1, "column0", "n01", 1.5 },
        { "# made by hand\n 1.0 2e0\n 3.0   -4\n", 2, 2, 0, NULL, NULL, -4 },
        { "a\tb c\n1\t\n2\t 3 \n", 2, 2, 1, "columns", "a", 3 },
        { "\"multi\nline\",2\nx,3\n", 2, 1, 1, "column0", "multi\nline", 3 },
        { "id\naardvark\nabacus\n", 0, 0, 1, "id", "aardvark", 0 },
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
    static const char file[] = "\xef\xbb\xbf"
                               "one\r\n\ncaf\xe9\nlast";
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
        { ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}}", "take 8 bytes, got 12" },
        { ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[9],\"data_offsets\":[0,36]}}", "got" },
        { ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "no range" },
        { ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", "no range" },
        { ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", "extent" },
        { ND_ERR_FORMAT, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9223372036854775799,9223372036854775807]}}", "a" },
        { ND_ERR_FORMAT,
          "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
          "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
          "overlaps" },
        { ND_ERR_FORMAT,
          "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
          "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
          "JSON" },
        { ND_ERR_UNSUPPORTED, "{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", "F8_E4M3" },
        { ND_ERR_FORMAT, "{\"a\":{\"shape\":[2],\"data_offsets\":[0,2]}}", "dtype" },
        { ND_ERR_FORMAT, "{\"__metadata__\":{\"a\":1}}", "not a string" },
        { ND_ERR_FORMAT, "{\"__metadata__\":{\"neurodecode.texts\":\"{\\\"x\\\":\\\"list\\\"}\"}}", "text" },
        { ND_ERR_FORMAT, "{\"a\":", "JSON" },
    };
    char file[1024];
    for (size_t i = 0; i < COUNT(wrong); i++) {
        const size_t n = make_safetensors(file, wrong[i].header, 16);
        FAILS(wrong[i].status, wrong[i].part, try_bytes(file, n, "safetensors"));
    }
    put_array big = { .name = "a", .type = DTYPE_C128, .n_dims = 1, .shape = { 1 }, .data = doubles };
    FAILS(ND_ERR_UNSUPPORTED, "complex128", ndi_format_write(nd_test_temp("c.safetensors"), NULL, &(put){ .arrays = &big, .n_arrays = 1 }));
}

/* The data of the first tensor, and of stored members of an archive, lie where they can be used in place. */
static void maps(void **state)
{
    (void)state;
    static const char *const names[] = { "m.safetensors", "m.npz", "m.npy" };
    for (size_t i = 0; i < COUNT(names); i++) {
        content *c;
        const array *a;
        OK(ndi_format_write(nd_test_temp(names[i]), NULL, &(put){ .arrays = arrays, .n_arrays = 1 }));
        OK(ndi_content_open(&c, nd_test_temp(names[i])));
        OK(ndi_content_pick(c, NULL, &a));
        const float *map = ndi_array_map(a, DTYPE_F32);
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
        put_array a = { .name = "data", .type = DTYPE_F32, .n_dims = 2, .shape = { slow ? 100 : 100000, 7 }, .fill = count_up, .context = &next };
        OK(ndi_format_write(path, ndi_formats[i]->name, &(put){ .arrays = &a, .n_arrays = 1 }));
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
        FAILS(ND_ERR_CANCELLED, "enough", ndi_format_write(nd_test_temp("filled"), ndi_formats[i]->name, &(put){ .arrays = &a, .n_arrays = 1 }));
        assert_int_equal(nd_test_temp_count(), 0);
    }
}

/* ---- the public functions ---- */

static void array_functions(void **state)
{
    (void)state;
    static const char *const names[] = { "a.npy", "a.npz", "a.safetensors", "a.csv", "a.tsv" };
    const size_t shape[2] = { 3, 2 };
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
    static const char *const parts[] = { "\"format\":\"safetensors\"",
                                         "{\"name\":\"data\",\"dtype\":\"float32\",\"shape\":[2,3],\"order\":\"C\"}",
                                         "\"title\":\"a single text\"",
                                         "\"words\":[\"one\",\"\",\"très \\\"long\\\", really\"]",
                                         "\"kind\":\"dataset\"",
                                         "\"rate\":\"250\"",
                                         "\"bytes\":" };
    for (size_t i = 0; i < COUNT(parts); i++)
        if (!strstr(json, parts[i])) fail_msg("%s lacks %s", json, parts[i]);
    FAILS(ND_ERR_IO, "absent", nd_file_describe(nd_test_temp("absent"), json, sizeof json, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sound), cmocka_unit_test(round_trip),    cmocka_unit_test(truncation),
        cmocka_unit_test(flipped_bits),   cmocka_unit_test(out_of_memory), cmocka_unit_test(npy_headers),
        cmocka_unit_test(csv_tables),     cmocka_unit_test(plain_text),    cmocka_unit_test(safetensors_headers),
        cmocka_unit_test(maps),           cmocka_unit_test(filled_arrays), cmocka_unit_test(array_functions),
        cmocka_unit_test(describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
