/* MATLAB, HDF5 and EEGLAB: the small files of tests/data/matlab, what becomes of them when they are cut, changed or read without memory, and rules that
 * those files do not show. tests/test_matlab.py and tests/test_eeglab.py compare with other readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "fault.h"
#include "io/format.h"
#include "io/signals.h"
#include "io/stream_kind.h"
#include "temp.h"

#ifdef ND_HAVE_HDF5
static const bool with_hdf5 = true;
#else
static const bool with_hdf5 = false;
#endif

static const char *const files[] = { "v4.mat", "v5.mat", "v7.mat", "recording.set", "trials.set", "v73.mat", "small.h5" };
enum { FIRST_HDF5 = 5 };

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "tests/data/matlab/%s", name);
    return path;
}

static content *open_file(const char *name)
{
    content *c;
    OK(ndi_content_open(&c, path_of(name)));
    return c;
}

static void expect_numbers(const content *c, const char *name, size_t rows, size_t columns, const double *wanted)
{
    double x[64];
    const array *a = ndi_content_array(c, name);
    if (!a) fail_msg("%s: no array '%s'", c->format, name);
    assert_int_equal(a->n_dims, 2);
    assert_int_equal(a->shape[0], rows);
    assert_int_equal(a->shape[1], columns);
    OK(ndi_array_read_f64(a, 0, a->n, x));
    for (size_t i = 0; i < a->n; i++) assert_true(x[i] == wanted[i]);
}

static void expect_text(const content *c, const char *name, size_t n, const char *first, const char *last)
{
    const texts *t = ndi_content_texts(c, name);
    if (!t) fail_msg("%s: no text '%s'", c->format, name);
    assert_int_equal(t->n, n);
    assert_string_equal(t->items[0], first);
    assert_string_equal(t->items[n - 1], last);
}

static const double six[] = { 0, 1, 2, 3, 4, 5 };

/* ---- what is in them ---- */

static void version_4(void **state)
{
    (void)state;
    content *c = open_file("v4.mat");
    assert_string_equal(c->format, "mat");
    expect_numbers(c, "x", 2, 3, six);
    expect_numbers(c, "sparse", 2, 3, six);
    expect_text(c, "title", 1, "text", "text");
    assert_int_equal(ndi_content_array(c, "z")->type, DTYPE_C128);
    ndi_content_free(c);
}

static void versions_5_and_7(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        content *c = open_file(i ? "v7.mat" : "v5.mat");
        double z[6];
        expect_numbers(c, "x", 2, 3, six);
        expect_numbers(c, "sparse", 2, 3, six);
        expect_numbers(c, "mixed.1", 2, 3, six);
        expect_numbers(c, "many.1.x", 2, 3, six);
        expect_numbers(c, "truth", 1, 2, (const double[]){ 1, 0 });
        expect_numbers(c, "s.a", 1, 1, (const double[]){ 1.5 });
        expect_numbers(c, "i", 1, 1, (const double[]){ -7 });
        expect_text(c, "title", 1, "très", "très");
        expect_text(c, "rows", 2, "one", "three");
        expect_text(c, "cell", 2, "a", "bc");
        expect_text(c, "mixed.0", 1, "a", "a");
        expect_text(c, "s.deep.b", 1, "text", "text");
        expect_text(c, "many.name", 2, "one", "two");
        assert_int_equal(ndi_content_array(c, "truth")->type, DTYPE_BOOL);
        assert_int_equal(ndi_content_array(c, "many.n")->n, 2);
        OK(ndi_array_read_native(ndi_content_array(c, "z"), 0, 3, z));
        for (int k = 0; k < 3; k++) assert_true(z[2 * k] == k && z[2 * k + 1] == 2);
        ndi_content_free(c);
    }
}

static void recording(void **state)
{
    (void)state;
    content *c = open_file("recording.set");
    double x[6];
    const signals *s = c->signals;
    assert_non_null(s);
    assert_int_equal(s->n_channels, 2);
    assert_int_equal(s->n_samples, 10);
    assert_true(s->rate == 100);
    assert_string_equal(s->channels[1].name, "VEOG");
    assert_string_equal(s->channels[1].type, "eog");
    assert_string_equal(s->channels[1].unit, "V");
    OK(ndi_signals_read(s, (const size_t[]){ 1, 0 }, 2, 4, 3, x));
    for (int i = 0; i < 3; i++) {
        assert_true(x[i] == (2 * (4 + i) + 1) * 1e-6);
        assert_true(x[3 + i] == 2 * (4 + i) * 1e-6);
    }
    assert_int_equal(s->n_events, 1);
    assert_int_equal(s->events[0].sample, 4);
    assert_string_equal(s->events[0].text, "a");
    ndi_content_free(c);
}

static void trials(void **state)
{
    (void)state;
    content *c = open_file("trials.set");
    float x[60];
    double times[10];
    const array *a = ndi_content_array(c, "data");
    assert_null(c->signals);
    assert_memory_equal(a->shape, ((const size_t[]){ 3, 2, 10 }), 3 * sizeof(size_t));
    OK(ndi_array_read_f32(a, 0, 60, x));
    for (size_t i = 0; i < 60; i++) assert_true(x[i] == (float)(20 * (i / 20) + 2 * (i % 10) + i / 10 % 2));
    expect_text(c, "ch_names", 2, "Cz", "VEOG");
    expect_text(c, "event_types", 3, "a", "c");
    OK(ndi_array_read_f64(ndi_content_array(c, "times"), 0, 10, times));
    assert_true(times[0] == -0.04 && times[9] == -0.04 + 9 / 100.0);
    ndi_content_free(c);
}

static void version_73(void **state)
{
    (void)state;
    if (!with_hdf5) {
        content *c;
        FAILS(ND_ERR_UNSUPPORTED, "unsupported: built without hdf5", ndi_content_open(&c, path_of("v73.mat")));
        skip();
    }
    content *c = open_file("v73.mat");
    assert_string_equal(c->format, "hdf5");
    expect_numbers(c, "x", 2, 3, six);
    expect_numbers(c, "many.1.x", 2, 3, six);
    expect_text(c, "title", 1, "très", "très");
    expect_text(c, "cell", 2, "a", "bc");
    assert_int_equal(ndi_content_array(c, "nothing")->n, 0);
    assert_non_null(ndi_stream_map(ndi_content_array(c, "x")->in, ndi_content_array(c, "x")->at, 48));
    ndi_content_free(c);
}

static void hdf5(void **state)
{
    (void)state;
    if (!with_hdf5) skip();
    content *c = open_file("small.h5");
    double sixty[60], x[13];
    for (size_t i = 0; i < 60; i++) sixty[i] = (double)i;
    expect_numbers(c, "g/x", 2, 3, six);
    expect_numbers(c, "packed", 10, 6, sixty);
    expect_numbers(c, "half", 2, 3, six);
    OK(ndi_array_read_f64(ndi_content_array(c, "packed"), 9, 13, x));
    for (size_t i = 0; i < 13; i++) assert_true(x[i] == (double)(9 + i));
    expect_text(c, "words", 3, "one", "três");
    expect_text(c, "fixed", 2, "ab", "cde");
    assert_null(ndi_content_array(c, "record"));
    assert_string_equal(c->metadata, "{\"name\":\"test\",\"rate\":250.0}");
    ndi_content_free(c);
}

/* ---- damage ---- */

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
    assert_true(status == ND_OK || strstr(nd_last_error(), "damaged"));
    assert_true(status == ND_OK || status == ND_ERR_FORMAT || status == ND_ERR_UNSUPPORTED);
    for (size_t i = 0; c && i < c->n_arrays; i++) (void)ndi_array_read_f64(&c->arrays[i], 0, c->arrays[i].n < 4096 ? c->arrays[i].n : 4096, x);
    if (c && c->signals)
        (void)ndi_signals_read(c->signals, (const size_t[]){ 0 }, 1, 0, c->signals->n_samples < 4096 ? c->signals->n_samples : 4096, x);
    ndi_content_free(c);
    free(exact);
}

static void damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(files); i++) {
        size_t n;
        const char *extension = strrchr(files[i], '.') + 1;
        uint8_t *bytes = nd_test_read(path_of(files[i]), &n);
        assert_non_null(bytes);
        for (size_t cut = 0; cut < n; cut++) read_all(bytes, cut, extension);
        for (size_t at = 0; at < n && i < FIRST_HDF5; at++) /* libhdf5 1.10 does not bear it: it reads outside of its memory */
            for (int bit = 0; bit < 8; bit++) {
                bytes[at] ^= (uint8_t)(1 << bit);
                read_all(bytes, n, extension);
                bytes[at] ^= (uint8_t)(1 << bit);
            }
        free(bytes);
    }
}

static nd_status open_and_read(void *name)
{
    static double x[4096];
    content *c;
    TRY(ndi_content_open(&c, path_of(name)));
    nd_status status = ND_OK;
    for (size_t i = 0; i < c->n_arrays && status == ND_OK; i++)
        if (c->arrays[i].type < DTYPE_C64) status = ndi_array_read_f64(&c->arrays[i], 0, c->arrays[i].n, x);
    ndi_content_free(c);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < (with_hdf5 ? COUNT(files) : FIRST_HDF5); i++) assert_true(nd_test_faults(open_and_read, (void *)(uintptr_t)files[i]) > 5);
}

/* ---- zlib data ---- */

/* The checksum of a packed variable is compared by whoever reads its last number, also when they step back. */
static void checksum(void **state)
{
    (void)state;
    size_t n;
    content *c;
    double x[6];
    uint8_t *bytes = nd_test_read(path_of("v7.mat"), &n);
    const size_t packed = 8 + (bytes[132] | (size_t)bytes[133] << 8); /* x is the first variable */
    bytes[128 + packed - 1] ^= 1;
    for (size_t from = 0; from < 6; from += 5) {
        stream *s;
        OK(ndi_stream_open_memory(&s, bytes, n, "bytes"));
        nd_status status = ndi_content_open_stream(&c, s, "mat");
        if (status == ND_OK) {
            status = ndi_array_read_f64(ndi_content_array(c, "x"), from, 6 - from, x);
            ndi_content_free(c);
        }
        assert_int_equal(status, ND_ERR_FORMAT);
        assert_non_null(strstr(nd_last_error(), "packed data"));
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_4), cmocka_unit_test(versions_5_and_7), cmocka_unit_test(recording),
        cmocka_unit_test(trials),    cmocka_unit_test(version_73),       cmocka_unit_test(hdf5),
        cmocka_unit_test(damage),    cmocka_unit_test(out_of_memory),    cmocka_unit_test(checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
