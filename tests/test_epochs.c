/* Epochs and averages in FIF files: every type of samples, files that go on in others, metadata, damage; as datasets, with image ids. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check.h"
#include "fault.h"
#include "fif.h"
#include "golden.h"
#include "io/format.h"
#include "neurodecode/bank.h"
#include "neurodecode/dataset.h"
#include "neurodecode/file.h"
#include "neurodecode/recording.h"
#include "temp.h"

enum { TRIALS = 7, SAMPLES = 5, CHANNELS = ND_TEST_MEG_CHANNELS, TOTAL = TRIALS * CHANNELS * SAMPLES };

static const int codes[TRIALS] = { 3, 1, 2, 1, 9, 2, 3 };

static const char *row(size_t i)
{
    static char text[256];
    char time[16];
    snprintf(time, sizeof time, i % 2 ? "null" : "0.%zu5", i);
    snprintf(text, sizeof text, "{\"index\":%zu,\"image_path\":\"images_%smeg/%sdog_%02zub.jpg\",\"RT\":%s,\"ok\":%s,\"mixed\":%s,\"nothing\":null}",
             i, i < 4 ? "" : "test_", i < 4 ? "dog/" : "", i, time, i % 2 ? "true" : "false", i % 2 ? "\"\\u00e9\"" : "4.5");
    return text;
}

static nd_test_epochs epochs(void)
{
    return (nd_test_epochs){
        .n_trials = TRIALS, .n_samples = SAMPLES, .type = ND_TEST_FIF_F32, .first = -2, .codes = codes, .event_id = "a:b:1;c:2;d:3", .metadata = row
    };
}

static int setup(void **state)
{
    (void)state;
    return nd_test_temp_folder() ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    nd_test_temp_clear();
    return 0;
}

static content *open_file(const char *name)
{
    content *c;
    OK(ndi_content_open(&c, nd_test_temp(name)));
    return c;
}

static const array *array_of(const content *c, const char *name)
{
    const array *a = ndi_content_array(c, name);
    if (!a) fail_msg("no array '%s'", name);
    return a;
}

static void expect_texts(const content *c, const char *name, size_t n, const char *const *items)
{
    const texts *t = ndi_content_texts(c, name);
    if (!t) fail_msg("no texts '%s'", name);
    assert_int_equal(t->n, n);
    for (size_t i = 0; i < n; i++) assert_string_equal(t->items[i], items[i]);
}

static void expect_numbers(const content *c, const char *name, dtype type, size_t n, const double *numbers)
{
    const array *a = array_of(c, name);
    double x[64];
    assert_int_equal(a->type, type);
    assert_int_equal(a->n, n);
    OK(ndi_array_read_f64(a, 0, n, x));
    for (size_t i = 0; i < n; i++) assert_true(x[i] == numbers[i] || (isnan(x[i]) && isnan(numbers[i])));
}

/* Every run of every length of the data has the values it should. */
static void expect_data(const content *c, size_t n_trials)
{
    const array *a = array_of(c, "data");
    double x[TOTAL];
    float y[TOTAL];
    assert_int_equal(a->n_dims, 3);
    assert_int_equal(a->shape[0], n_trials);
    assert_int_equal(a->shape[1], CHANNELS);
    assert_int_equal(a->shape[2], SAMPLES);
    for (size_t first = 0; first < a->n; first++)
        for (size_t n = 1; n <= a->n - first; n += 13) {
            OK(ndi_array_read_f64(a, first, n, x));
            OK(ndi_array_read_f32(a, first, n, y));
            for (size_t i = 0; i < n; i++) {
                const size_t k = first + i;
                const double expected = nd_test_meg_value(k / (CHANNELS * SAMPLES), k / SAMPLES % CHANNELS, k % SAMPLES);
                assert_true(x[i] == expected && y[i] == (float)expected);
            }
        }
}

/* ---- content ---- */

static void one_file(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    nd_test_write_epochs("one-epo.fif", &e);
    content *c = open_file("one-epo.fif");
    double events[3 * TRIALS];
    for (size_t i = 0; i < TRIALS; i++) {
        events[3 * i] = 100 * (double)i;
        events[3 * i + 1] = 0;
        events[3 * i + 2] = codes[i];
    }
    expect_data(c, TRIALS);
    expect_numbers(c, "events", DTYPE_I32, 3 * TRIALS, events);
    expect_numbers(c, "times", DTYPE_F64, SAMPLES, (const double[]){ -0.01, -0.005, 0, 0.005, 0.01 });
    expect_numbers(c, "baseline", DTYPE_F64, 2, (const double[]){ (double)-0.1f, 0 });
    expect_texts(c, "ch_names", 3, (const char *const[]){ "MLC11-1609", "MLC12-1609", "UPPT001" });
    expect_texts(c, "ch_types", 3, (const char *const[]){ "mag", "grad", "stim" });
    expect_texts(c, "ch_units", 3, (const char *const[]){ "T", "T/m", "V" });
    expect_texts(c, "event_names", TRIALS, (const char *const[]){ "d", "a:b", "c", "a:b", "9", "c", "d" });
    ndi_content_free(c);
}

static void metadata(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    e.per_file = 3;
    nd_test_write_epochs("meta-epo.fif", &e);
    content *c = open_file("meta-epo.fif");
    expect_numbers(c, "metadata/index", DTYPE_I64, TRIALS, (const double[]){ 0, 1, 2, 3, 4, 5, 6 });
    expect_numbers(c, "metadata/RT", DTYPE_F64, TRIALS, (const double[]){ 0.05, NAN, 0.25, NAN, 0.45, NAN, 0.65 });
    expect_numbers(c, "metadata/ok", DTYPE_BOOL, TRIALS, (const double[]){ 0, 1, 0, 1, 0, 1, 0 });
    expect_numbers(c, "metadata/nothing", DTYPE_F64, TRIALS, (const double[]){ NAN, NAN, NAN, NAN, NAN, NAN, NAN });
    expect_texts(c, "metadata/mixed", TRIALS, (const char *const[]){ "4.5", "é", "4.5", "é", "4.5", "é", "4.5" });
    assert_string_equal(ndi_content_texts(c, "metadata/image_path")->items[6], "images_test_meg/dog_06b.jpg");
    ndi_content_free(c);
}

static void types(void **state)
{
    (void)state;
    static const int real[] = { ND_TEST_FIF_I16, ND_TEST_FIF_I32, ND_TEST_FIF_F32, ND_TEST_FIF_F64 };
    nd_test_epochs e = epochs();
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) {
        e.type = real[i];
        nd_test_write_epochs("typed-epo.fif", &e);
        content *c = open_file("typed-epo.fif");
        expect_data(c, TRIALS);
        assert_int_equal(ndi_array_value_type(array_of(c, "data")), real[i] == ND_TEST_FIF_F32 ? DTYPE_F32 : DTYPE_F64);
        ndi_content_free(c);
        OK(nd_file_convert(nd_test_temp("typed-epo.fif"), nd_test_temp("typed.npz")));
        c = open_file("typed.npz");
        expect_data(c, TRIALS);
        ndi_content_free(c);
    }
}

static void complex_samples(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    for (int k = 0; k < 2; k++) {
        double x[2 * TOTAL];
        float y[2 * TOTAL];
        e.type = k ? ND_TEST_FIF_C128 : ND_TEST_FIF_C64;
        e.per_file = 2;
        nd_test_write_epochs("complex-epo.fif", &e);
        OK(nd_file_convert(nd_test_temp("complex-epo.fif"), nd_test_temp("complex.npz")));
        content *c = open_file("complex.npz");
        const array *a = array_of(c, "data");
        assert_int_equal(a->type, k ? DTYPE_C128 : DTYPE_C64);
        OK(ndi_array_read_native(a, 0, a->n, k ? (void *)x : (void *)y));
        for (size_t i = 0; i < TOTAL; i++) {
            const double expected = nd_test_meg_value(i / (CHANNELS * SAMPLES), i / SAMPLES % CHANNELS, i % SAMPLES);
            assert_true((k ? x[2 * i] : (double)y[2 * i]) == expected && (k ? x[2 * i + 1] : (double)y[2 * i + 1]) == -expected);
        }
        FAILS(ND_ERR_UNSUPPORTED, "array 'data' holds complex numbers, expected real ones", ndi_array_read_f64(a, 0, 1, x));
        ndi_content_free(c);
    }
}

static void several_files(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    for (e.per_file = 1; e.per_file <= TRIALS; e.per_file++) {
        nd_test_temp_clear();
        nd_test_write_epochs("many-epo.fif", &e);
        content *c = open_file("many-epo.fif");
        expect_data(c, TRIALS);
        assert_int_equal(ndi_content_texts(c, "event_names")->n, TRIALS);
        assert_true(ndi_stream_concurrent(array_of(c, "data")->in));
        ndi_content_free(c);
    }
}

static void missing_files(void **state)
{
    (void)state;
    content *c;
    nd_test_epochs e = epochs();
    e.per_file = 3;
    nd_test_temp_clear();
    nd_test_write_epochs("was-epo.fif", &e);
    assert_int_equal(unlink(nd_test_temp("was-epo-2.fif")), 0);
    FAILS(ND_ERR_IO, "goes on in the file 'was-epo-2.fif', which cannot be read, nor can 'was-epo-2.fif'",
          ndi_content_open(&c, nd_test_temp("was-epo.fif")));
    nd_test_write_epochs("was-epo.fif", &e);
    char from[1024], to[1024];
    for (int k = 0; k < 3; k++) { /* as downloaded under another name */
        snprintf(from, sizeof from, k ? "%s/was-epo-%d.fif" : "%s/was-epo.fif", nd_test_temp_folder(), k);
        snprintf(to, sizeof to, k ? "%s/now-epo-%d.fif" : "%s/now-epo.fif", nd_test_temp_folder(), k);
        assert_int_equal(rename(from, to), 0);
    }
    c = open_file("now-epo.fif");
    expect_data(c, TRIALS);
    ndi_content_free(c);
}

static void averages(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    e.n_trials = 3;
    for (int vectors = 0; vectors < 2; vectors++) {
        nd_test_write_averages("some-ave.fif", &e, vectors);
        content *c = open_file("some-ave.fif");
        expect_data(c, 3);
        expect_texts(c, "conditions", 3, (const char *const[]){ "condition 0", "condition 1", "condition 2" });
        expect_texts(c, "kinds", 3, (const char *const[]){ "average", "standard_error", "average" });
        expect_numbers(c, "n_averaged", DTYPE_I32, 3, (const double[]){ 3, 1, 2 });
        assert_null(ndi_content_array(c, "events"));
        ndi_content_free(c);
    }
}

/* ---- damage ---- */

/* The place of the n-th tag of a kind. */
static uint8_t *find_tag(uint8_t *bytes, size_t n, uint8_t high, uint8_t low, int which)
{
    for (size_t at = 0; at + 16 <= n; at += 16 + ((size_t)bytes[at + 10] << 8 | bytes[at + 11]))
        if (bytes[at + 2] == high && bytes[at + 3] == low && which-- == 0) return bytes + at;
    fail_msg("no tag %d", high << 8 | low);
    return NULL;
}

static void refusals(void **state)
{
    (void)state;
    static const struct {
        uint8_t kind[2];
        int which, byte; /* of the tag's content */
        uint8_t value;
        nd_status status;
        const char *message;
    } cases[] = {
        { { 0, 209 }, 0, 3, 9, ND_ERR_FORMAT, "samples of 420 bytes, expected 7 trials x 3 channels x 12 samples of float32" },
        { { 0, 209 }, 0, 0, 0xff, ND_ERR_FORMAT, "samples of 420 bytes" },
        { { 0, 201 }, 0, 0, 0xff, ND_ERR_FORMAT, "sampling rate" },
        { { 0, 206 }, 0, 4, 'x', ND_ERR_FORMAT, "names of events: got 'a:b:x', expected name:number" },
        { { 0, 206 }, 1, 0, '{', ND_ERR_FORMAT, "metadata" },
        { { 1, 46 }, 0, -9, 99, ND_ERR_FORMAT, "samples of type" },
        { { 1, 46 }, 0, 435, 200, ND_ERR_FORMAT, "a matrix of 436 bytes with 200 dimensions" },
    };
    const nd_test_epochs e = epochs();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        content *c;
        nd_test_write_epochs("bad-epo.fif", &e);
        uint8_t *bytes = nd_test_read(nd_test_temp("bad-epo.fif"), &n);
        find_tag(bytes, n, cases[i].kind[0], cases[i].kind[1], cases[i].which)[16 + cases[i].byte] = cases[i].value;
        nd_test_write(nd_test_temp("bad-epo.fif"), bytes, n);
        FAILS(cases[i].status, cases[i].message, ndi_content_open(&c, nd_test_temp("bad-epo.fif")));
        free(bytes);
    }
}

static void no_epochs(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    size_t n;
    content *c;
    nd_test_write_epochs("none-epo.fif", &e);
    uint8_t *bytes = nd_test_read(nd_test_temp("none-epo.fif"), &n);
    find_tag(bytes, n, 13, 233, 0)[3] = 0; /* the list of events */
    nd_test_write(nd_test_temp("none-epo.fif"), bytes, n);
    FAILS(ND_ERR_UNSUPPORTED, "is a FIF file of no epochs, expected", ndi_content_open(&c, nd_test_temp("none-epo.fif")));
    free(bytes);
}

/* Opens a copy of just the right size, so that a sanitiser sees every step outside, and reads what there is. */
static void read_bytes(const uint8_t *bytes, size_t n)
{
    static double x[4096];
    stream *s;
    content *c;
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    OK(ndi_stream_open_memory(&s, exact, n, "damaged"));
    const nd_status status = ndi_content_open_stream(&c, s, "fif");
    assert_true(status == ND_OK || status == ND_ERR_FORMAT || status == ND_ERR_UNSUPPORTED || status == ND_ERR_IO);
    for (size_t i = 0; status == ND_OK && i < c->n_arrays; i++)
        (void)ndi_array_read_f64(&c->arrays[i], 0, c->arrays[i].n < 4096 ? c->arrays[i].n : 4096, x);
    if (status == ND_OK) ndi_content_free(c);
    free(exact);
}

static void damage(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    e.n_trials = 2;
    nd_test_write_epochs("damage-epo.fif", &e);
    nd_test_write_averages("damage-ave.fif", &e, false);
    const char *const names[] = { "damage-epo.fif", "damage-ave.fif" };
    for (size_t i = 0; i < 2; i++) {
        size_t n;
        uint8_t *bytes = nd_test_read(nd_test_temp(names[i]), &n);
        for (size_t cut = 0; cut < n; cut++) read_bytes(bytes, cut);
        for (size_t at = 0; at < n; at++)
            for (int bit = 0; bit < 8; bit++) {
                bytes[at] ^= (uint8_t)(1 << bit);
                read_bytes(bytes, n);
                bytes[at] ^= (uint8_t)(1 << bit);
            }
        free(bytes);
    }
}

static nd_status open_once(void *path)
{
    content *c;
    TRY(ndi_content_open(&c, path));
    ndi_content_free(c);
    return ND_OK;
}

static nd_status describe_once(void *path)
{
    static char json[16384];
    return nd_file_describe(path, json, sizeof json, NULL);
}

static nd_status open_dataset_once(void *path)
{
    nd_dataset *d;
    nd_dataset_options o;
    TRY(nd_dataset_options_init(&o, sizeof o));
    o.images = "column:image_path";
    o.n_threads = 1;
    TRY(nd_dataset_open(&d, path, &o, NULL, NULL));
    nd_dataset_free(d);
    return ND_OK;
}

static void out_of_memory(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    char path[1024];
    e.per_file = 4;
    nd_test_write_epochs("memory-epo.fif", &e);
    snprintf(path, sizeof path, "%s", nd_test_temp("memory-epo.fif"));
    assert_true(nd_test_faults(open_once, path) > 20);
    assert_true(nd_test_faults(describe_once, path) > 20);
    assert_true(nd_test_faults(open_dataset_once, path) > 20);
    nd_test_write_averages("memory-ave.fif", &e, true);
    snprintf(path, sizeof path, "%s", nd_test_temp("memory-ave.fif"));
    assert_true(nd_test_faults(open_once, path) > 10);
}

/* ---- datasets and banks ---- */

static nd_dataset *open_dataset(const char *path, const char *images)
{
    nd_dataset *d;
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    o.images = images;
    OK(nd_dataset_open(&d, path, &o, NULL, NULL));
    return d;
}

static void expect_images(const nd_dataset *d, size_t n, const char *const *ids)
{
    for (size_t i = 0; i < n; i++) {
        nd_trial t = { .size = sizeof t };
        OK(nd_dataset_get_trial(d, i, &t));
        assert_string_equal(t.image, ids[i]);
    }
}

static void as_dataset(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    nd_dataset_info info = { .size = sizeof info };
    float x[CHANNELS * SAMPLES];
    e.per_file = 3;
    nd_test_write_epochs("set-epo.fif", &e);
    const char *path = nd_test_temp("set-epo.fif");
    nd_dataset *d = open_dataset(path, NULL);
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_trials, TRIALS);
    assert_true(info.rate == 200 && info.start == -0.01);
    expect_images(d, TRIALS, (const char *const[]){ "d", "a:b", "c", "a:b", "9", "c", "d" });
    OK(nd_dataset_get_data(d, 5, 1, x, CHANNELS * SAMPLES));
    for (size_t i = 0; i < CHANNELS * SAMPLES; i++) assert_true(x[i] == (float)nd_test_meg_value(5, i / SAMPLES, i % SAMPLES));
    nd_dataset_free(d);
    d = open_dataset(path, "column:image_path");
    expect_images(d, TRIALS,
                  (const char *const[]){ "dog/dog_00b", "dog/dog_01b", "dog/dog_02b", "dog/dog_03b", "dog/dog_04b", "dog/dog_05b", "dog/dog_06b" });
    nd_dataset_free(d);
    d = open_dataset(path, "column:metadata/index");
    expect_images(d, TRIALS, (const char *const[]){ "0", "1", "2", "3", "4", "5", "6" });
    nd_dataset_free(d);
    nd_test_write_text("list.txt", "images_meg/a/a_1b.jpg\na\nb\nimages_test_meg/c_d_3s.png\nx.jpg\na\nb\n");
    d = open_dataset(path, nd_test_temp("list.txt"));
    expect_images(d, TRIALS, (const char *const[]){ "a/a_1b", "a", "b", "c_d/c_d_3s", "x.jpg", "a", "b" });
    nd_dataset_free(d);
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    o.images = "column:file";
    FAILS(ND_ERR_ARGUMENT, "set-epo.fif: has no column 'file' for image ids", nd_dataset_open(&d, path, &o, NULL, NULL));
    o.images = "column:RT";
    FAILS(ND_ERR_FORMAT, "array 'metadata/RT' holds float64, expected image ids", nd_dataset_open(&d, path, &o, NULL, NULL));
    o.images = "column:times";
    FAILS(ND_ERR_FORMAT, "array 'times' holds float64", nd_dataset_open(&d, path, &o, NULL, NULL));
    nd_recording *r;
    FAILS(ND_ERR_UNSUPPORTED, "holds epochs, expected a continuous recording", nd_recording_open(&r, path, NULL));
}

static void averages_as_dataset(void **state)
{
    (void)state;
    nd_test_epochs e = epochs();
    e.n_trials = 3;
    nd_test_write_averages("set-ave.fif", &e, false);
    nd_dataset *d = open_dataset(nd_test_temp("set-ave.fif"), NULL);
    expect_images(d, 3, (const char *const[]){ "condition 0", "condition 1", "condition 2" });
    nd_dataset_free(d);
}

/* What the reference system pickles: the ids are beside the samples. */
static void pickle(void **state)
{
    (void)state;
    static const double samples[2 * 3 * 4] = { 1, 2, 3 };
    static const int64_t labels[] = { 7, 7 };
    static const char *const paths[] = { "images_meg/ant/ant_01b.jpg", "images_test_meg/wine_glass_22s.jpg" };
    const put_array arrays[] = { { .name = "meg_data", .type = DTYPE_F64, .n_dims = 3, .shape = { 2, 3, 4 }, .data = samples },
                                 { .name = "meg_labels", .type = DTYPE_I64, .n_dims = 1, .shape = { 2 }, .data = labels } };
    for (int objects = 0; objects < 2; objects++) {
        const put_texts list = { .name = "meg_images", .items = paths, .n = 2, .list = true, .objects = objects };
        OK(ndi_format_write(nd_test_temp("train_sub1.pkl"), NULL, &(put){ .arrays = arrays, .n_arrays = 2, .texts = &list, .n_texts = 1 }));
        nd_dataset *d = open_dataset(nd_test_temp("train_sub1.pkl"), NULL);
        expect_images(d, 2, (const char *const[]){ "ant/ant_01b", "wine_glass/wine_glass_22s" });
        nd_dataset_free(d);
    }
}

static void write_vector(const char *name, float x)
{
    const size_t shape[] = { 1, 2 };
    OK(nd_array_write(nd_test_temp(name), (const float[]){ x, 1 }, shape, 2));
}

static void expect_bank(const char *folder, size_t n, const char *const *ids)
{
    nd_bank *b;
    nd_bank_info info = { .size = sizeof info };
    OK(nd_bank_open(&b, nd_test_temp(folder), NULL, NULL, NULL));
    OK(nd_bank_get_info(b, &info));
    assert_int_equal(info.n_images, n);
    for (size_t i = 0; i < n; i++) {
        const char *id;
        OK(nd_bank_get_image(b, i, &id));
        assert_string_equal(id, ids[i]);
    }
    nd_bank_free(b);
}

/* The folders of embeddings, together and each alone, make the ids that recordings have. */
static void bank(void **state)
{
    (void)state;
    nd_test_subfolder("embeddings/images_meg/ant");
    nd_test_subfolder("embeddings/images_test_meg");
    write_vector("embeddings/images_meg/ant/ant_01b_clip.npy", 1);
    write_vector("embeddings/images_meg/ant/ant_02b_clip.npy", 2);
    write_vector("embeddings/images_test_meg/wine_glass_22s_clip.npy", 3);
    expect_bank("embeddings", 3, (const char *const[]){ "ant/ant_01b", "ant/ant_02b", "wine_glass/wine_glass_22s" });
    expect_bank("embeddings/images_meg/", 2, (const char *const[]){ "ant/ant_01b", "ant/ant_02b" });
    expect_bank("embeddings/images_test_meg", 1, (const char *const[]){ "wine_glass/wine_glass_22s" });
}

/* ---- real files ---- */

/* Sums of a channel as MNE 1.13.2 reads them without projections. */
static void real_averages(void **state)
{
    (void)state;
    const char *path = nd_test_data_path("fixtures/fif/test-ave.fif.gz");
    if (!path) skip();
    content *c;
    double x[421], sum = 0;
    OK(ndi_content_open(&c, path));
    const array *a = array_of(c, "data");
    assert_int_equal(a->shape[0], 4);
    assert_int_equal(a->shape[1], 376);
    assert_int_equal(a->shape[2], 421);
    expect_texts(c, "conditions", 4, (const char *const[]){ "Left Auditory", "Right Auditory", "Left visual", "Right visual" });
    expect_numbers(c, "n_averaged", DTYPE_I32, 4, (const double[]){ 3, 6, 6, 6 });
    OK(ndi_array_read_f64(a, (376 + 10) * 421, 421, x));
    for (size_t i = 0; i < 421; i++) sum += x[i];
    assert_true(fabs(sum + 1.1700845512991467e-10) < 1e-16);
    OK(ndi_array_read_f64(a, (3 * 376 + 330) * 421, 421, x));
    sum = 0;
    for (size_t i = 0; i < 421; i++) sum += x[i];
    assert_true(fabs(sum - 0.03477155107682056) < 1e-8);
    ndi_content_free(c);
}

static void other_contents(void **state)
{
    (void)state;
    static const char *const cases[][2] = { { "test-cov.fif", "is a FIF file of a covariance of noise" },
                                            { "test-proj.fif.gz", "of projections" },
                                            { "small-src.fif.gz", "of a source space" },
                                            { "trans-sample.fif", "of something else" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[256];
        content *c;
        snprintf(name, sizeof name, "fixtures/fif/%s", cases[i][0]);
        const char *path = nd_test_data_path(name);
        if (!path) skip();
        FAILS(ND_ERR_UNSUPPORTED, cases[i][1], ndi_content_open(&c, path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_file),
        cmocka_unit_test(metadata),
        cmocka_unit_test(types),
        cmocka_unit_test(complex_samples),
        cmocka_unit_test(several_files),
        cmocka_unit_test(missing_files),
        cmocka_unit_test(averages),
        cmocka_unit_test(refusals),
        cmocka_unit_test(no_epochs),
        cmocka_unit_test(damage),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(as_dataset),
        cmocka_unit_test(averages_as_dataset),
        cmocka_unit_test(pickle),
        cmocka_unit_test(bank),
        cmocka_unit_test(real_averages),
        cmocka_unit_test(other_contents),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
