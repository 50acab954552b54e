/* Datasets from files: formats, axes, image ids, normalising and averaging while reading, stores, the THINGS-EEG2 folder. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bf16.h"
#include "check.h"
#include "data.h"
#include "data/dataset.h"
#include "fault.h"
#include "temp.h"
#include "golden.h"
#include "io/format.h"
#include "neurodecode/dataset.h"

enum { IMAGES = 5, REPETITIONS = 3, CHANNELS = 4, SAMPLES = 25, TRIAL = CHANNELS * SAMPLES, TOTAL = IMAGES * REPETITIONS * TRIAL };
static const char *const channels[CHANNELS] = { "Pz", "O1", "Oz", "O2" };
static double samples[TOTAL];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < TOTAL; i++) samples[i] = sin(0.7 * (double)i) * 1e-5 + 3e-6 * cos(0.01 * (double)(i * i % 911)) + 1e-5;
    return nd_test_temp_folder() ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    nd_test_temp_clear();
    return 0;
}

/* Writes what THINGS-EEG2 has: images x repetitions x channels x samples, names, and more times than samples. */
static void write_recording(const char *path, const char *kind, const double *x, size_t n_images)
{
    double times[SAMPLES + 10];
    for (size_t i = 0; i < COUNT(times); i++) times[i] = (double)i / 250 - 0.04;
    const put_array arrays[] = {
        { .name = "preprocessed_eeg_data",
          .type = DTYPE_F64,
          .n_dims = 4,
          .shape = { n_images, IMAGES * REPETITIONS / n_images, CHANNELS, SAMPLES },
          .data = x },
        { .name = "times", .type = DTYPE_F64, .n_dims = 1, .shape = { COUNT(times) }, .data = times },
    };
    const put_texts lists[] = { { .name = "ch_names", .items = channels, .n = CHANNELS, .list = true } };
    const put all = { .arrays = arrays, .n_arrays = 2, .texts = lists, .n_texts = 1 };
    OK(ndi_format_write(path, kind, &all));
}

static nd_dataset_options defaults(void)
{
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    return o;
}

static void assert_same(const nd_dataset *a, const nd_dataset *b)
{
    nd_dataset_info ia = nd_test_info(a), ib = nd_test_info(b);
    assert_memory_equal(&ia, &ib, sizeof ia);
    float *x = nd_test_data(a), *y = nd_test_data(b);
    assert_memory_equal(x, y, ia.n_trials * ia.n_channels * ia.n_samples * sizeof *x);
    free(x);
    free(y);
    for (size_t i = 0; i < ia.n_trials; i++) {
        nd_trial s = nd_test_trial(a, i), t = nd_test_trial(b, i);
        assert_string_equal(s.image, t.image);
        assert_int_equal(s.subject, t.subject);
        assert_int_equal(s.repetition, t.repetition);
    }
    for (size_t i = 0; i < ia.n_channels; i++) assert_string_equal(ndi_dataset_channel(a, i), ndi_dataset_channel(b, i));
}

/* ---- reading ---- */

static void test_recording(void **state)
{
    (void)state;
    static const char *const kinds[][2] = { { "pickle", "a.npy" }, { "npy", "b.npy" }, { "npz", "c.npz" }, { "safetensors", "d.safetensors" } };
    for (size_t k = 0; k < COUNT(kinds); k++) {
        nd_dataset *d;
        const char *path = nd_test_temp(kinds[k][1]);
        write_recording(path, kinds[k][0], samples, IMAGES);
        OK(nd_dataset_open(&d, path, NULL, NULL, NULL));
        nd_dataset_info info = nd_test_info(d);
        assert_int_equal(info.n_trials, IMAGES * REPETITIONS);
        assert_int_equal(info.n_images, IMAGES);
        assert_true(info.rate == 250 && info.start == 0);
        assert_string_equal(ndi_dataset_channel(d, 2), "Oz");
        nd_trial t = nd_test_trial(d, 7);
        assert_string_equal(t.image, "2");
        assert_int_equal(t.repetition, 1);
        float *x = nd_test_data(d);
        for (size_t i = 0; i < TOTAL; i++) assert_true(x[i] == (float)samples[i]);
        free(x);
        nd_dataset_free(d);
    }
}

/* z = (x - mean) / ||x|| of each repetition, then the mean over repetitions. */
static void naive_reference(size_t image, double *mean)
{
    memset(mean, 0, TRIAL * sizeof *mean);
    for (size_t r = 0; r < REPETITIONS; r++) {
        for (size_t c = 0; c < CHANNELS; c++) {
            const double *x = samples + ((image * REPETITIONS + r) * CHANNELS + c) * SAMPLES;
            double m = 0, square = 0;
            for (size_t t = 0; t < SAMPLES; t++) m += x[t] / SAMPLES;
            for (size_t t = 0; t < SAMPLES; t++) square += x[t] * x[t];
            for (size_t t = 0; t < SAMPLES; t++) mean[c * SAMPLES + t] += (x[t] - m) / sqrt(square) / REPETITIONS;
        }
    }
}

static void test_average_while_reading(void **state)
{
    (void)state;
    const char *path = nd_test_temp("average.npy");
    write_recording(path, "pickle", samples, IMAGES);
    nd_dataset *first = NULL;
    for (int32_t threads = 1; threads <= 3; threads++) {
        nd_dataset_options o = defaults();
        o.normalise = ND_NORMALISE_REFERENCE;
        o.average = 1;
        o.subject = 4;
        o.n_threads = threads;
        nd_dataset *d;
        OK(nd_dataset_open(&d, path, &o, NULL, NULL));
        if (!first) {
            first = d;
            continue;
        }
        assert_same(first, d);
        nd_dataset_free(d);
    }
    nd_dataset_info info = nd_test_info(first);
    assert_int_equal(info.n_trials, IMAGES);
    assert_int_equal(info.averaged, REPETITIONS);
    assert_int_equal(info.normalise, ND_NORMALISE_REFERENCE);
    assert_int_equal(nd_test_trial(first, 1).subject, 4);
    float *x = nd_test_data(first);
    for (size_t image = 0; image < IMAGES; image++) {
        double mean[TRIAL];
        naive_reference(image, mean);
        for (size_t i = 0; i < TRIAL; i++) assert_true(fabs((double)x[image * TRIAL + i] - mean[i]) < 1e-7);
    }
    free(x);
    nd_dataset_free(first);
}

static void test_zero_channel(void **state)
{
    (void)state;
    double x[TOTAL];
    memcpy(x, samples, sizeof x);
    memset(x + SAMPLES, 0, SAMPLES * sizeof *x);
    write_recording(nd_test_temp("zero.npy"), "pickle", x, IMAGES);
    nd_dataset_options o = defaults();
    o.normalise = ND_NORMALISE_REFERENCE;
    nd_dataset *d;
    OK(nd_dataset_open(&d, nd_test_temp("zero.npy"), &o, NULL, NULL));
    float z[TRIAL];
    OK(nd_dataset_get_data(d, 0, 1, z, TRIAL));
    for (size_t i = SAMPLES; i < 2 * SAMPLES; i++) assert_true(z[i] == 0);
    nd_dataset_free(d);
}

static void test_not_finite(void **state)
{
    (void)state;
    double x[TOTAL];
    nd_dataset *d;
    nd_dataset_options o = defaults();
    for (int32_t threads = 1; threads <= 2; threads++) {
        memcpy(x, samples, sizeof x);
        x[(2 * REPETITIONS + 1) * TRIAL + 3 * SAMPLES + 5] = (double)NAN;
        x[(4 * REPETITIONS + 2) * TRIAL] = (double)INFINITY;
        o.n_threads = threads;
        write_recording(nd_test_temp("nan.npy"), "pickle", x, IMAGES);
        for (o.average = 0; o.average < 2; o.average++) {
            FAILS(ND_ERR_NUMERIC, "nan.npy: trial 7 (image '2', repetition 1), channel 'O2'",
                  nd_dataset_open(&d, nd_test_temp("nan.npy"), &o, NULL, NULL));
            FAILS(ND_ERR_NUMERIC, "trial 7", nd_dataset_import(&d, nd_test_temp("nan.npy"), nd_test_temp("nan.safetensors"), &o, NULL, NULL));
            assert_int_equal(access(nd_test_temp("nan.safetensors"), F_OK), -1);
        }
        o.average = 0;
    }
    assert_null(d);
}

/* ---- axes ---- */

static void test_axes(void **state)
{
    (void)state;
    enum { SUBJECTS = 3, PICTURES = 2, N = SUBJECTS * PICTURES * CHANNELS * SAMPLES };
    static const size_t shape[4] = { SUBJECTS, PICTURES, CHANNELS, SAMPLES }, turned[4] = { SAMPLES, CHANNELS, SUBJECTS, PICTURES };
    float x[N], y[N];
    for (size_t i = 0; i < N; i++) {
        size_t t = i % SAMPLES, c = i / SAMPLES % CHANNELS, trial = i / TRIAL;
        x[i] = (float)i;
        y[(t * CHANNELS + c) * SUBJECTS * PICTURES + trial] = x[i];
    }
    nd_test_write_array(nd_test_temp("x.npy"), DTYPE_F32, 4, shape, x);
    nd_test_write_array(nd_test_temp("y.npy"), DTYPE_F32, 4, turned, y);
    nd_dataset_options o = defaults();
    nd_dataset *a, *b;
    o.axes = "subject image channel sample";
    OK(nd_dataset_open(&a, nd_test_temp("x.npy"), &o, NULL, NULL));
    o.axes = "sample, channel, subject, image";
    OK(nd_dataset_open(&b, nd_test_temp("y.npy"), &o, NULL, NULL));
    assert_same(a, b);
    float *z = nd_test_data(b);
    assert_memory_equal(z, x, sizeof x);
    free(z);
    assert_int_equal(nd_test_info(a).n_images, PICTURES);
    assert_int_equal(nd_test_info(a).n_subjects, SUBJECTS);
    nd_trial t = nd_test_trial(a, 5);
    assert_int_equal(t.subject, 3);
    assert_string_equal(t.image, "1");
    assert_int_equal(t.repetition, 0);
    nd_dataset_free(a);
    nd_dataset_free(b);
    o.axes = "repetition image channel sample";
    o.average = 1;
    OK(nd_dataset_open(&a, nd_test_temp("x.npy"), &o, NULL, NULL));
    assert_int_equal(nd_test_info(a).n_trials, PICTURES);
    float first[TRIAL];
    OK(nd_dataset_get_data(a, 1, 1, first, TRIAL));
    for (size_t i = 0; i < TRIAL; i++) assert_true(first[i] == (x[TRIAL + i] + x[3 * TRIAL + i] + x[5 * TRIAL + i]) / 3);
    nd_dataset_free(a);
    static const struct {
        const char *axes, *message;
    } wrong[] = { { "subject image channel", "shape (3 x 2 x 4 x 25), expected 3 dimensions" },
                  { "image image channel sample", "'image' stands twice" },
                  { "subject image channel time", "'time'" },
                  { "1 image channel sample", "extent 3, expected 1" } };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        o.axes = wrong[i].axes;
        FAILS(ND_ERR_ARGUMENT, wrong[i].message, nd_dataset_open(&a, nd_test_temp("x.npy"), &o, NULL, NULL));
    }
}

static void test_default_axes(void **state)
{
    (void)state;
    static const size_t shapes[3][4] = { { 6, 20 }, { 6, 4, 5 }, { 6, 1, 4, 5 } }, expected[3][2] = { { 20, 1 }, { 4, 5 }, { 4, 5 } };
    float x[120] = { 0 };
    for (size_t k = 0; k < 3; k++) {
        nd_dataset *d;
        nd_test_write_array(nd_test_temp("n.npy"), DTYPE_F32, k + 2, shapes[k], x);
        OK(nd_dataset_open(&d, nd_test_temp("n.npy"), NULL, NULL, NULL));
        nd_dataset_info info = nd_test_info(d);
        assert_int_equal(info.n_trials, 6);
        assert_int_equal(info.n_images, 6);
        assert_int_equal(info.n_channels, expected[k][0]);
        assert_int_equal(info.n_samples, expected[k][1]);
        nd_dataset_free(d);
    }
}

/* ---- image ids ---- */

static void test_image_lists(void **state)
{
    (void)state;
    static const size_t shape[2] = { 4, 2 }, four[1] = { 4 };
    static const int32_t numbers[4] = { 7, 73000, 7, 12 };
    float x[8] = { 0 };
    nd_dataset *d;
    nd_dataset_options o = defaults();
    nd_test_write_array(nd_test_temp("m.npy"), DTYPE_F32, 2, shape, x);
    nd_test_write_array(nd_test_temp("ids.npy"), DTYPE_I32, 1, four, numbers);
    nd_test_write_text("ids.txt", "\xEF\xBB\xBF"
                                  "a/cat 1\r\na/cat 2\r\nb/d\xC3\xB6g\r\na/cat 1\r\n\r\n");
    o.images = nd_test_temp("ids.txt");
    OK(nd_dataset_open(&d, nd_test_temp("m.npy"), &o, NULL, NULL));
    assert_int_equal(nd_test_info(d).n_images, 3);
    assert_string_equal(nd_test_trial(d, 2).image, "b/d\xC3\xB6g");
    assert_string_equal(nd_test_trial(d, 3).image, "a/cat 1");
    assert_int_equal(nd_test_trial(d, 3).repetition, 1);
    nd_dataset_free(d);
    o.images = nd_test_temp("ids.npy");
    OK(nd_dataset_open(&d, nd_test_temp("m.npy"), &o, NULL, NULL));
    assert_string_equal(nd_test_trial(d, 1).image, "73000");
    nd_dataset_free(d);
    nd_test_write_text("short.txt", "a\nb\nc\n");
    o.images = nd_test_temp("short.txt");
    FAILS(ND_ERR_ARGUMENT, "m.npy: 4 images in the array, 3 ids in short.txt", nd_dataset_open(&d, nd_test_temp("m.npy"), &o, NULL, NULL));
    nd_test_write_text("hole.txt", "a\n\nb\nc\n");
    o.images = nd_test_temp("hole.txt");
    FAILS(ND_ERR_FORMAT, "line 2 is empty", nd_dataset_open(&d, nd_test_temp("m.npy"), &o, NULL, NULL));
    o.images = nd_test_temp("absent.txt");
    FAILS(ND_ERR_IO, "absent.txt", nd_dataset_open(&d, nd_test_temp("m.npy"), &o, NULL, NULL));
    assert_null(d);
}

/* ---- stores ---- */

static int32_t cancel(const nd_progress *p, void *user)
{
    *(size_t *)user += 1;
    return p->done == p->total;
}

static void test_store(void **state)
{
    (void)state;
    write_recording(nd_test_temp("source.npy"), "pickle", samples, IMAGES);
    for (int32_t average = 0; average < 2; average++) {
        nd_dataset *direct, *imported, *again, *saved;
        nd_dataset_options o = defaults();
        o.average = average;
        o.normalise = average;
        o.subject = 2;
        OK(nd_dataset_open(&direct, nd_test_temp("source.npy"), &o, NULL, NULL));
        OK(nd_dataset_import(&imported, nd_test_temp("source.npy"), nd_test_temp("s.safetensors"), &o, NULL, NULL));
        assert_same(direct, imported);
        OK(nd_dataset_open(&again, nd_test_temp("s.safetensors"), NULL, NULL, NULL));
        assert_same(direct, again);
        OK(nd_dataset_save(direct, nd_test_temp("t.safetensors"), NULL, NULL));
        OK(nd_dataset_open(&saved, nd_test_temp("t.safetensors"), NULL, NULL, NULL));
        assert_same(direct, saved);
        OK(nd_dataset_save(saved, nd_test_temp("t.safetensors"), NULL, NULL)); /* over the file it is mapped from */
        assert_same(direct, saved);
        nd_dataset *all[] = { direct, imported, again, saved };
        for (size_t i = 0; i < COUNT(all); i++) nd_dataset_free(all[i]);
    }
}

/* Trials of `brief`, read whole, thinned and with a baseline, are those of the other with every sample rounded. */
static void assert_rounded(const nd_dataset *whole, const nd_dataset *brief)
{
    nd_dataset_info about = nd_test_info(whole);
    size_t size = about.n_channels * about.n_samples;
    float *x = nd_test_data(whole), *y = nd_test_data(brief);
    for (size_t i = 0; i < about.n_trials * size; i++) {
        assert_true(y[i] == ndi_bf16_value(ndi_bf16_nearest(x[i])));
        assert_true(fabsf(y[i] - x[i]) <= ldexpf(fabsf(x[i]), -8));
        x[i] = y[i];
    }
    nd_dataset *rounded, *views[2][2];
    OK(nd_dataset_create(&rounded, x, about.n_trials, about.n_channels, about.n_samples, NULL, NULL));
    const nd_dataset *both[] = { rounded, brief };
    for (int i = 0; i < 2; i++) {
        OK(nd_dataset_window(&views[i][0], both[i], about.start * i, INFINITY, 2));
        OK(nd_dataset_baseline(&views[i][1], both[i], about.start * i, INFINITY));
    }
    for (int k = 0; k < 2; k++) {
        float *a = nd_test_data(views[0][k]), *b = nd_test_data(views[1][k]);
        size_t n = nd_test_info(views[0][k]).n_samples * about.n_trials * about.n_channels;
        for (size_t i = 0; i < n; i++) assert_true(fabsf(a[i] - b[i]) <= (k ? 1e-5f : 0));
        free(a);
        free(b);
    }
    for (int i = 0; i < 4; i++) nd_dataset_free(views[i / 2][i % 2]);
    nd_dataset_free(rounded);
    free(x);
    free(y);
}

static void test_store_in_16_bits(void **state)
{
    (void)state;
    nd_dataset *whole, *imported, *saved;
    nd_dataset_options o = defaults();
    struct stat about[2];
    write_recording(nd_test_temp("source.npy"), "pickle", samples, IMAGES);
    OK(nd_dataset_import(&whole, nd_test_temp("source.npy"), nd_test_temp("s.safetensors"), &o, NULL, NULL));
    o.precision = ND_PRECISION_BFLOAT16;
    OK(nd_dataset_import(&imported, nd_test_temp("source.npy"), nd_test_temp("b.safetensors"), &o, NULL, NULL));
    assert_rounded(whole, imported);
    assert_int_equal(stat(nd_test_temp("s.safetensors"), &about[0]) | stat(nd_test_temp("b.safetensors"), &about[1]), 0);
    nd_dataset_info sizes = nd_test_info(whole);
    assert_true((size_t)(about[0].st_size - about[1].st_size) + 64 >= 2 * sizes.n_trials * sizes.n_channels * sizes.n_samples);
    OK(nd_dataset_save_as(whole, nd_test_temp("saved16.safetensors"), ND_PRECISION_BFLOAT16, NULL, NULL));
    OK(nd_dataset_open(&saved, nd_test_temp("saved16.safetensors"), NULL, NULL, NULL));
    assert_same(imported, saved);
    FAILS(ND_ERR_ARGUMENT, "precision: got 2", nd_dataset_save_as(whole, nd_test_temp("d.safetensors"), 2, NULL, NULL));
    o.precision = -1;
    nd_dataset *none;
    FAILS(ND_ERR_ARGUMENT, "precision: got -1", nd_dataset_import(&none, nd_test_temp("source.npy"), nd_test_temp("d.safetensors"), &o, NULL, NULL));
    nd_dataset_free(whole);
    nd_dataset_free(imported);
    nd_dataset_free(saved);
}

static void rounding_to_16_bits(void **state)
{
    (void)state;
    static const struct {
        float x;
        uint16_t nearest;
    } cases[] = { { 1, 0x3f80 }, { -1, 0xbf80 },      { 0x1.01p0f, 0x3f80 }, { 0x1.03p0f, 0x3f82 }, { 0x1.010002p0f, 0x3f81 },
                  { 0, 0 },      { 3.4e38f, 0x7f7f }, { -3.4e38f, 0xff7f },  { INFINITY, 0x7f80 } };
    for (size_t i = 0; i < COUNT(cases); i++) assert_int_equal(ndi_bf16_nearest(cases[i].x), cases[i].nearest);
}

static void test_store_options(void **state)
{
    (void)state;
    nd_dataset *raw, *direct, *d;
    nd_dataset_options o = defaults();
    write_recording(nd_test_temp("source.npy"), "pickle", samples, IMAGES);
    OK(nd_dataset_import(&raw, nd_test_temp("source.npy"), nd_test_temp("raw.safetensors"), NULL, NULL, NULL));
    o.normalise = ND_NORMALISE_ZSCORE;
    o.average = 1;
    OK(nd_dataset_open(&direct, nd_test_temp("source.npy"), &o, NULL, NULL));
    OK(nd_dataset_open(&d, nd_test_temp("raw.safetensors"), &o, NULL, NULL));
    float *x = nd_test_data(direct), *y = nd_test_data(d);
    for (size_t i = 0; i < IMAGES * TRIAL; i++) assert_true(fabsf(x[i] - y[i]) < 1e-4f);
    free(x);
    free(y);
    nd_dataset *all[] = { raw, direct, d };
    for (size_t i = 0; i < COUNT(all); i++) nd_dataset_free(all[i]);
    o.axes = "trial channel sample";
    FAILS(ND_ERR_ARGUMENT, "is a store", nd_dataset_open(&d, nd_test_temp("raw.safetensors"), &o, NULL, NULL));
}

static void test_cancel(void **state)
{
    (void)state;
    nd_dataset *d;
    size_t calls = 0;
    write_recording(nd_test_temp("source.npy"), "pickle", samples, IMAGES);
    assert_int_equal(nd_dataset_import(&d, nd_test_temp("source.npy"), nd_test_temp("c.safetensors"), NULL, cancel, &calls), ND_ERR_CANCELLED);
    assert_true(calls > 0);
    assert_null(d);
    assert_int_equal(access(nd_test_temp("c.safetensors"), F_OK), -1);
}

/* A store changed by other hands: samples that are not finite are found when asked for, labels that cannot be when it is opened. */
static void test_damaged_store(void **state)
{
    (void)state;
    nd_dataset *d;
    const uint32_t nan_bits = 0x7fc00000u, far = 77;
    write_recording(nd_test_temp("source.npy"), "pickle", samples, IMAGES);
    OK(nd_dataset_import(&d, nd_test_temp("source.npy"), nd_test_temp("d.safetensors"), NULL, NULL, NULL));
    nd_dataset_free(d);
    FILE *f = fopen(nd_test_temp("d.safetensors"), "r+b");
    uint64_t header;
    assert_int_equal(fread(&header, 1, 8, f), 8);
    long data = 8 + (long)header;
    fseek(f, data + 4 * (4 * TRIAL + 2 * SAMPLES + 1), SEEK_SET);
    fwrite(&nan_bits, 4, 1, f);
    fflush(f);
    OK(nd_dataset_open(&d, nd_test_temp("d.safetensors"), NULL, NULL, NULL));
    FAILS(ND_ERR_NUMERIC, "trial 4 (image '1', repetition 1), channel 'Oz'", ndi_dataset_check_finite(d, NULL));
    nd_dataset_free(d);
    fseek(f, data + 4 * TOTAL, SEEK_SET);
    fwrite(&far, 4, 1, f);
    fclose(f);
    FAILS(ND_ERR_FORMAT, "array 'image': entry 0 is 77", nd_dataset_open(&d, nd_test_temp("d.safetensors"), NULL, NULL, NULL));
    assert_null(d);
}

/* ---- THINGS-EEG2 ---- */

static void write_metadata(const char *path)
{
    static const char *const train[] = { "00001_aardvark", "00001_aardvark", "00002_abacus", "00002_abacus", "00003_accordion" };
    static const char *const train_files[] = { "aardvark_01b.jpg", "aardvark_02s.jpg", "abacus_01b.jpg", "abacus_02n.jpg", "accordion_01b.jpg" };
    static const char *const test[] = { "00001_aircraft_carrier", "00002_antelope", "00003_banana" };
    static const char *const test_files[] = { "aircraft_carrier_06s.jpg", "antelope_01b.jpg", "banana_02s.jpg" };
    const put_texts lists[] = {
        { .name = "train_img_concepts", .items = train, .n = 5, .list = true },
        { .name = "train_img_files", .items = train_files, .n = 5, .list = true },
        { .name = "test_img_concepts", .items = test, .n = 3, .list = true },
        { .name = "test_img_files", .items = test_files, .n = 3, .list = true },
    };
    const put all = { .texts = lists, .n_texts = COUNT(lists) };
    OK(ndi_format_write(path, "npy", &all));
}

static void make_things(void)
{
    nd_test_subfolder("eeg2/Preprocessed_data_250Hz/sub-01");
    nd_test_subfolder("eeg2/image_embeddings");
    write_metadata(nd_test_temp("eeg2/image_embeddings/image_metadata.npy"));
    write_recording(nd_test_temp("eeg2/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_training.npy"), "pickle", samples, 5);
    write_recording(nd_test_temp("eeg2/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_test.npy"), "pickle", samples, 3);
}

static void test_things_eeg2(void **state)
{
    (void)state;
    nd_dataset *d;
    make_things();
    const char *root = nd_test_temp("eeg2");
    OK(nd_dataset_open_things_eeg2(&d, root, 1, "training", NULL, NULL, NULL, NULL));
    nd_dataset_info info = nd_test_info(d);
    assert_int_equal(info.n_trials, 5);
    assert_int_equal(info.n_concepts, 3);
    assert_int_equal(info.averaged, 3);
    assert_string_equal(nd_test_trial(d, 3).image, "00002_abacus/abacus_02n");
    assert_int_equal(nd_test_trial(d, 3).subject, 1);
    nd_dataset_free(d);
    nd_dataset_options o = defaults();
    OK(nd_dataset_open_things_eeg2(&d, root, 1, "test", NULL, &o, NULL, NULL));
    info = nd_test_info(d);
    assert_int_equal(info.n_trials, 15);
    assert_string_equal(nd_test_trial(d, 0).image, "00001_aircraft_carrier/aircraft_carrier_06s");
    assert_int_equal(nd_test_trial(d, 4).repetition, 4);
    nd_dataset_free(d);
    FAILS(ND_ERR_IO, "sub-02/preprocessed_eeg_test.npy: no such file", nd_dataset_open_things_eeg2(&d, root, 2, "test", NULL, NULL, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "'validation'", nd_dataset_open_things_eeg2(&d, root, 1, "validation", NULL, NULL, NULL, NULL));
    write_recording(nd_test_temp("eeg2/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_test.npy"), "pickle", samples, 5);
    FAILS(ND_ERR_ARGUMENT, "5 images in the array, 3 ids in image_metadata.npy (test)",
          nd_dataset_open_things_eeg2(&d, root, 1, "test", NULL, NULL, NULL, NULL));
    assert_null(d);
}

/* The store is made once, used again, and made again when source or options change. */
static void test_things_store(void **state)
{
    (void)state;
    nd_dataset *direct, *d;
    size_t reads = 0;
    struct stat before, after;
    make_things();
    const char *root = nd_test_temp("eeg2"), *stores = nd_test_temp("stores"), *file = nd_test_temp("stores/sub-01_training_averaged.safetensors");
    OK(nd_dataset_open_things_eeg2(&direct, root, 1, "training", NULL, NULL, NULL, NULL));
    OK(nd_dataset_open_things_eeg2(&d, root, 1, "training", stores, NULL, NULL, NULL));
    assert_same(direct, d);
    nd_dataset_free(d);
    assert_int_equal(stat(file, &before), 0);
    OK(nd_dataset_open_things_eeg2(&d, root, 1, "training", stores, NULL, cancel, &reads));
    assert_int_equal(reads, 0);
    assert_same(direct, d);
    nd_dataset_free(d);
    nd_dataset_free(direct);
    samples[0] += 1;
    write_recording(nd_test_temp("eeg2/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_training.npy"), "pickle", samples, 5);
    OK(nd_dataset_open_things_eeg2(&direct, root, 1, "training", NULL, NULL, NULL, NULL));
    OK(nd_dataset_open_things_eeg2(&d, root, 1, "training", stores, NULL, NULL, NULL));
    assert_same(direct, d);
    samples[0] -= 1;
    assert_int_equal(stat(file, &after), 0);
    assert_true(before.st_ino != after.st_ino || before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
    nd_dataset_free(d);
    nd_dataset_free(direct);
    nd_test_write_text("stores/sub-01_training_averaged.safetensors", "rubbish");
    OK(nd_dataset_open_things_eeg2(&d, root, 1, "training", stores, NULL, NULL, NULL));
    nd_dataset_free(d);
}

/* ---- memory ---- */

typedef struct places {
    const char *root, *stores, *store;
} places;

static nd_status open_both(void *context)
{
    const places *p = context;
    nd_dataset *a = NULL, *b = NULL;
    nd_dataset_options o = defaults();
    o.n_threads = 1;
    nd_status status = nd_dataset_open_things_eeg2(&a, p->root, 1, "training", NULL, &o, NULL, NULL);
    o.precision = ND_PRECISION_BFLOAT16; /* which needs more memory to write */
    if (status == ND_OK) status = nd_dataset_open_things_eeg2(&b, p->root, 1, "test", p->stores, &o, NULL, NULL);
    assert_true(status == ND_OK || !b);
    nd_dataset_free(a);
    nd_dataset_free(b);
    unlink(p->store);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    make_things();
    places p = { nd_test_temp("eeg2"), nd_test_temp("stores"), nd_test_temp("stores/sub-01_test_single_bf16.safetensors") };
    assert_true(nd_test_faults(open_both, &p) > 100);
}

/* 46 people x 5 categories of EEG averages. */
static void test_real_recording(void **state)
{
    (void)state;
    char data[4096];
    const char *found = nd_test_data_path("things_eeg1_erp/erp_46sub_5cat_62ch_276t_f4.npy");
    if (!found) {
        print_message("things_eeg1_erp is absent: skipped\n");
        skip();
    }
    snprintf(data, sizeof data, "%s", found);
    nd_dataset_options o = defaults();
    o.axes = "subject image channel sample";
    o.rate = 250;
    o.start = -0.1;
    nd_dataset *d;
    OK(nd_dataset_open(&d, data, &o, NULL, NULL));
    nd_dataset_info info = nd_test_info(d);
    assert_int_equal(info.n_trials, 46 * 5);
    assert_int_equal(info.n_subjects, 46);
    assert_int_equal(info.n_images, 5);
    assert_int_equal(nd_test_trial(d, 229).subject, 46);
    assert_string_equal(nd_test_trial(d, 229).image, "4");
    nd_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recording),
        cmocka_unit_test(test_average_while_reading),
        cmocka_unit_test(test_zero_channel),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_axes),
        cmocka_unit_test(test_default_axes),
        cmocka_unit_test(test_image_lists),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_store_in_16_bits),
        cmocka_unit_test(rounding_to_16_bits),
        cmocka_unit_test(test_store_options),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_damaged_store),
        cmocka_unit_test(test_things_eeg2),
        cmocka_unit_test(test_things_store),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_real_recording),
    };
    return cmocka_run_group_tests_name("import", tests, setup, teardown);
}
