/* Datasets made from memory: views against a naive copy, groups, splits, messages. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "data.h"
#include "data/dataset.h"
#include "fault.h"
#include "neurodecode/dataset.h"

enum { TRIALS = 12, CHANNELS = 7, SAMPLES = 30 };
static const char channel_names[] = "Fp1 FC5 Cz T7 P3 POz O1";
static const char *const image_ids[TRIALS] = { "b/x", "a/y", "b/x", "c/z", "a/w", "a/y", "b/v", "b/x", "c/z", "d", "a/w", "c/u" };

/* Reproducible noise on an offset. */
static float sample(size_t i) { return (float)(sin(1.7 * (double)i) + 0.3 * cos(0.013 * (double)i * (double)(i % 11)) + 2); }

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = sample(i);
}

static nd_dataset *make(int32_t normalise)
{
    static float x[TRIALS * CHANNELS * SAMPLES];
    fill(x, COUNT(x));
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    o.channels = channel_names;
    o.rate = 100;
    o.start = -0.1;
    o.subject = 3;
    o.normalise = normalise;
    nd_dataset *d;
    OK(nd_dataset_create(&d, x, TRIALS, CHANNELS, SAMPLES, image_ids, &o));
    return d;
}

static void assert_close(const float *a, const double *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)a[i] - b[i]) <= 1e-6 * (1 + fabs(b[i])))) fail_msg("element %zu: %.9g, expected %.9g", i, (double)a[i], b[i]);
}

/* ---- values and labels ---- */

static void test_create(void **state)
{
    (void)state;
    nd_dataset *d = make(0);
    nd_dataset_info info = nd_test_info(d);
    assert_int_equal(info.n_trials, TRIALS);
    assert_int_equal(info.n_channels, CHANNELS);
    assert_int_equal(info.n_samples, SAMPLES);
    assert_int_equal(info.n_images, 7);
    assert_int_equal(info.n_concepts, 4);
    assert_int_equal(info.n_subjects, 1);
    assert_true(info.rate == 100 && info.start == -0.1);
    assert_int_equal(info.averaged, 1);
    float *x = nd_test_data(d);
    for (size_t i = 0; i < TRIALS * CHANNELS * SAMPLES; i++) assert_true(x[i] == sample(i));
    free(x);
    nd_trial t = { .size = sizeof t };
    OK(nd_dataset_get_trial(d, 7, &t));
    assert_string_equal(t.image, "b/x");
    assert_int_equal(t.image_index, 0);
    assert_int_equal(t.concept_index, 0);
    assert_int_equal(t.subject, 3);
    assert_int_equal(t.repetition, 2);
    OK(nd_dataset_get_trial(d, 9, &t));
    assert_int_equal(t.image_index, 5);
    assert_int_equal(t.concept_index, 3);
    const char *text;
    OK(nd_dataset_get_channel(d, 5, &text));
    assert_string_equal(text, "POz");
    OK(nd_dataset_get_image(d, 4, &text));
    assert_string_equal(text, "b/v");
    nd_dataset_free(d);
    nd_dataset_free(NULL);
}

static void test_defaults(void **state)
{
    (void)state;
    const float x[6] = { 1, 2, 3, 4, 5, 6 };
    nd_dataset *d;
    OK(nd_dataset_create(&d, x, 3, 2, 1, NULL, NULL));
    nd_trial t = { .size = sizeof t };
    OK(nd_dataset_get_trial(d, 2, &t));
    assert_string_equal(t.image, "2");
    const char *name;
    OK(nd_dataset_get_channel(d, 1, &name));
    assert_string_equal(name, "1");
    nd_dataset_info info = nd_test_info(d);
    assert_true(info.rate == 1 && info.start == 0);
    nd_dataset_free(d);
}

/* z = (x - mean) / deviation, or (x - mean) / ||x||, in double. */
static void naive_normalise(const float *x, double *z, int32_t kind)
{
    double mean = 0, square = 0;
    for (size_t t = 0; t < SAMPLES; t++) mean += (double)x[t] / SAMPLES;
    for (size_t t = 0; t < SAMPLES; t++) {
        double d = kind == ND_NORMALISE_ZSCORE ? (double)x[t] - mean : (double)x[t];
        square += d * d;
    }
    double scale = kind == ND_NORMALISE_ZSCORE ? sqrt(square / SAMPLES) : sqrt(square);
    for (size_t t = 0; t < SAMPLES; t++) z[t] = ((double)x[t] - mean) / scale;
}

static void test_normalise(void **state)
{
    (void)state;
    nd_dataset *raw = make(0);
    float *x = nd_test_data(raw);
    for (int32_t kind = 1; kind <= 2; kind++) {
        nd_dataset *made = make(kind), *viewed, *twice;
        OK(nd_dataset_normalise(&viewed, raw, kind));
        float *a = nd_test_data(made), *b = nd_test_data(viewed);
        double z[SAMPLES];
        for (size_t row = 0; row < TRIALS * CHANNELS; row++) {
            naive_normalise(x + row * SAMPLES, z, kind);
            assert_close(a + row * SAMPLES, z, SAMPLES);
        }
        assert_memory_equal(a, b, TRIALS * CHANNELS * SAMPLES * sizeof *a);
        assert_int_equal(nd_test_info(viewed).normalise, kind);
        FAILS(ND_ERR_STATE, "normalised before", nd_dataset_normalise(&twice, viewed, 1));
        assert_null(twice);
        free(a);
        free(b);
        nd_dataset_free(made);
        nd_dataset_free(viewed);
    }
    free(x);
    nd_dataset_free(raw);
}

static void test_flat_channels(void **state)
{
    (void)state;
    float x[2 * 9] = { 0 };
    for (size_t i = 9; i < 18; i++) x[i] = 1.1f;
    for (int32_t kind = 1; kind <= 2; kind++) {
        nd_dataset_options o;
        OK(nd_dataset_options_init(&o, sizeof o));
        o.normalise = kind;
        nd_dataset *d;
        OK(nd_dataset_create(&d, x, 1, 2, 9, NULL, &o));
        float *z = nd_test_data(d);
        for (size_t i = 0; i < 18; i++) assert_true(z[i] == 0);
        free(z);
        nd_dataset_free(d);
    }
}

/* ---- views ---- */

/* Trials 5 2 11 2, channels O1 Cz, baseline -0.1 .. 0, window 0 .. 0.1 every second sample, z-scored; against loops over the raw samples. */
static void test_composition(void **state)
{
    (void)state;
    static const size_t trials[4] = { 5, 2, 11, 2 }, channels[2] = { 6, 2 };
    nd_dataset *v[6] = { make(0) };
    OK(nd_dataset_select(&v[1], v[0], trials, 4));
    OK(nd_dataset_select_channels(&v[2], v[1], "O1, Cz"));
    OK(nd_dataset_baseline(&v[3], v[2], -0.1, 0));
    OK(nd_dataset_window(&v[4], v[3], 0, 0.1, 2));
    OK(nd_dataset_normalise(&v[5], v[4], ND_NORMALISE_ZSCORE));
    float *raw = nd_test_data(v[0]), *cut = nd_test_data(v[4]), *z = nd_test_data(v[5]);
    for (size_t i = 0; i < 6; i++)
        if (i != 5) nd_dataset_free(v[i]); /* the last view keeps what it needs */
    for (size_t i = 0; i < 4; i++) {
        for (size_t c = 0; c < 2; c++) {
            const float *x = raw + (trials[i] * CHANNELS + channels[c]) * SAMPLES;
            double mean = 0, expected[5], m = 0, s = 0;
            for (size_t t = 0; t < 10; t++) mean += (double)x[t] / 10;
            for (size_t t = 0; t < 5; t++) expected[t] = (double)x[10 + 2 * t] - mean;
            assert_close(cut + (i * 2 + c) * 5, expected, 5);
            for (size_t t = 0; t < 5; t++) m += expected[t] / 5;
            for (size_t t = 0; t < 5; t++) s += (expected[t] - m) * (expected[t] - m) / 5;
            for (size_t t = 0; t < 5; t++) expected[t] = (expected[t] - m) / sqrt(s);
            assert_close(z + (i * 2 + c) * 5, expected, 5);
        }
    }
    nd_dataset_info info = nd_test_info(v[5]);
    assert_int_equal(info.n_trials, 4);
    assert_int_equal(info.n_samples, 5);
    assert_int_equal(info.n_images, 3);
    assert_true(fabs(info.rate - 50) < 1e-12 && fabs(info.start) < 1e-12);
    const char *text;
    OK(nd_dataset_get_image(v[5], 0, &text));
    assert_string_equal(text, "a/y");
    free(raw);
    free(cut);
    free(z);
    nd_dataset_free(v[5]);
}

/* What comes out of the order of reading is computed from what was read. */
static void test_late_operations(void **state)
{
    (void)state;
    nd_dataset *raw = make(0), *z, *window, *late, *thin, *based;
    OK(nd_dataset_normalise(&z, raw, ND_NORMALISE_REFERENCE));
    OK(nd_dataset_window(&window, z, 0.05, 0.15, 1));
    OK(nd_dataset_baseline(&late, window, 0.05, 0.1));
    float *whole = nd_test_data(z), *x = nd_test_data(late);
    for (size_t row = 0; row < TRIALS * CHANNELS; row++) {
        double mean = 0, expected[10];
        for (size_t t = 15; t < 20; t++) mean += (double)whole[row * SAMPLES + t] / 5;
        for (size_t t = 0; t < 10; t++) expected[t] = (double)whole[row * SAMPLES + 15 + t] - mean;
        assert_close(x + row * 10, expected, 10);
    }
    free(x);
    free(whole);
    OK(nd_dataset_window(&thin, raw, -1, 1, 3));
    OK(nd_dataset_baseline(&based, thin, -0.1, -0.03));
    whole = nd_test_data(raw);
    x = nd_test_data(based);
    for (size_t t = 0; t < 10; t++) {
        double mean = ((double)whole[0] + (double)whole[3] + (double)whole[6]) / 3, expected = (double)whole[3 * t] - mean;
        assert_close(x + t, &expected, 1);
    }
    free(x);
    free(whole);
    nd_dataset *all[] = { raw, z, window, late, thin, based };
    for (size_t i = 0; i < COUNT(all); i++) nd_dataset_free(all[i]);
}

static void assert_channels(const nd_dataset *source, const char *channels, const char *expected)
{
    nd_dataset *d;
    char names[128] = "";
    OK(nd_dataset_select_channels(&d, source, channels));
    for (size_t i = 0; i < nd_test_info(d).n_channels; i++) {
        const char *name;
        OK(nd_dataset_get_channel(d, i, &name));
        snprintf(names + strlen(names), sizeof names - strlen(names), i ? " %s" : "%s", name);
    }
    assert_string_equal(names, expected);
    nd_dataset_free(d);
}

static void test_channels(void **state)
{
    (void)state;
    nd_dataset *d = make(0), *none;
    assert_channels(d, "frontal", "Fp1");
    assert_channels(d, "central", "FC5 Cz");
    assert_channels(d, "temporal", "T7");
    assert_channels(d, "parietal", "P3");
    assert_channels(d, "occipital", "POz O1");
    assert_channels(d, "O1 occipital,central O1", "O1 POz FC5 Cz");
    FAILS(ND_ERR_ARGUMENT, "'Oz', 'nose'", nd_dataset_select_channels(&none, d, "O1 Oz nose"));
    FAILS(ND_ERR_ARGUMENT, "none", nd_dataset_select_channels(&none, d, " , "));
    assert_null(none);
    nd_dataset_free(d);
}

static void test_average(void **state)
{
    (void)state;
    nd_dataset *d = make(0), *mean;
    OK(nd_dataset_average(&mean, d));
    nd_dataset_info info = nd_test_info(mean);
    assert_int_equal(info.n_trials, 7);
    assert_int_equal(info.averaged, 3);
    float *x = nd_test_data(d), *m = nd_test_data(mean);
    for (size_t image = 0; image < info.n_images; image++) {
        const char *id;
        nd_trial t = { .size = sizeof t };
        OK(nd_dataset_get_image(d, image, &id));
        OK(nd_dataset_get_trial(mean, image, &t));
        assert_string_equal(t.image, id);
        assert_int_equal(t.subject, 3);
        assert_int_equal(t.repetition, 0);
        for (size_t i = 0; i < CHANNELS * SAMPLES; i++) {
            double sum = 0, n = 0;
            for (size_t k = 0; k < TRIALS; k++) {
                if (strcmp(image_ids[k], id) != 0) continue;
                sum += (double)x[k * CHANNELS * SAMPLES + i];
                n++;
            }
            sum /= n;
            assert_close(m + image * CHANNELS * SAMPLES + i, &sum, 1);
        }
    }
    free(x);
    free(m);
    nd_dataset_free(d);
    nd_dataset_free(mean);
}

static void test_concat(void **state)
{
    (void)state;
    static const size_t some[2] = { 9, 4 };
    nd_dataset *d = make(0), *other, *narrow, *late, *both, *z;
    OK(nd_dataset_select(&other, d, some, 2));
    OK(nd_dataset_concat(&both, other, d));
    nd_dataset_info info = nd_test_info(both);
    assert_int_equal(info.n_trials, TRIALS + 2);
    assert_int_equal(info.n_images, 7);
    const char *id;
    OK(nd_dataset_get_image(both, 0, &id));
    assert_string_equal(id, "d");
    OK(nd_dataset_select_channels(&narrow, both, "Cz O1"));
    float *x = nd_test_data(d), *y = nd_test_data(narrow);
    for (size_t i = 0; i < TRIALS + 2; i++) {
        size_t from = i < 2 ? some[i] : i - 2;
        assert_memory_equal(y + i * 2 * SAMPLES, x + (from * CHANNELS + 2) * SAMPLES, SAMPLES * sizeof *x);
        assert_memory_equal(y + (i * 2 + 1) * SAMPLES, x + (from * CHANNELS + 6) * SAMPLES, SAMPLES * sizeof *x);
    }
    free(x);
    free(y);
    nd_dataset *refused;
    FAILS(ND_ERR_ARGUMENT, "channels", nd_dataset_concat(&refused, d, narrow));
    OK(nd_dataset_window(&late, d, 0, 1, 1));
    OK(nd_dataset_window(&z, d, -0.1, 0.1 - 1e-9, 1));
    FAILS(ND_ERR_ARGUMENT, "per second from", nd_dataset_concat(&refused, late, z));
    assert_null(refused);
    nd_dataset *all[] = { d, other, narrow, late, both, z };
    for (size_t i = 0; i < COUNT(all); i++) nd_dataset_free(all[i]);
}

/* ---- groups and splits ---- */

static void test_groups(void **state)
{
    (void)state;
    static const size_t expected[][TRIALS] = { { 0, 1, 0, 2, 3, 1, 4, 0, 2, 5, 3, 6 },
                                               { 0, 1, 0, 2, 1, 1, 0, 0, 2, 3, 1, 2 },
                                               { 0, 0, 1, 0, 0, 1, 0, 2, 1, 0, 1, 0 } };
    static const char *const names[] = { "image", "concept", "repetition" };
    nd_dataset *d = make(0);
    size_t group_of[TRIALS], n;
    for (size_t g = 0; g < COUNT(names); g++) {
        OK(ndi_dataset_groups(d, names[g], group_of, &n));
        assert_memory_equal(group_of, expected[g], sizeof group_of);
    }
    OK(ndi_dataset_groups(d, "trial", group_of, &n));
    assert_int_equal(n, TRIALS);
    FAILS(ND_ERR_ARGUMENT, "'mood'", ndi_dataset_groups(d, "mood", group_of, &n));
    nd_dataset_free(d);
}

/* Shared groups on both sides of a split. */
static size_t overlap(const nd_dataset *a, const nd_dataset *b, bool concepts)
{
    const ids *x = concepts ? ndi_dataset_concepts(a) : ndi_dataset_images(a), *y = concepts ? ndi_dataset_concepts(b) : ndi_dataset_images(b);
    size_t n = 0;
    for (size_t i = 0; i < x->n; i++) n += ndi_ids_find(y, x->items[i]) != NDI_NO_ID;
    return n;
}

static void test_split(void **state)
{
    (void)state;
    enum { N = 400 };
    static float x[N];
    static char names[N][16];
    const char *id[N];
    for (size_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "%zu/%zu", i % 100 / 5, i % 100);
        id[i] = names[i];
    }
    nd_dataset *d, *a, *b, *c, *e;
    OK(nd_dataset_create(&d, x, N, 1, 1, id, NULL));
    for (size_t k = 0; k < 2; k++) {
        const char *group = k ? "concept" : "image";
        OK(nd_dataset_split(&a, &b, d, 0.1, group, 7));
        assert_int_equal(nd_test_info(b).n_trials, 40);
        assert_int_equal(nd_test_info(a).n_trials, N - 40);
        assert_int_equal(overlap(a, b, k), 0);
        OK(nd_dataset_split(&c, &e, d, 0.1, group, 7));
        nd_trial s = { .size = sizeof s }, t = { .size = sizeof t };
        for (size_t i = 0; i < 40; i++) {
            OK(nd_dataset_get_trial(b, i, &s));
            OK(nd_dataset_get_trial(e, i, &t));
            assert_string_equal(s.image, t.image);
            assert_int_equal(s.repetition, t.repetition);
        }
        nd_dataset_free(c);
        nd_dataset_free(e);
        OK(nd_dataset_split(&c, &e, d, 0.1, group, 8));
        assert_true(overlap(b, e, k) < ndi_dataset_images(b)->n);
        nd_dataset *all[] = { a, b, c, e };
        for (size_t i = 0; i < COUNT(all); i++) nd_dataset_free(all[i]);
    }
    OK(nd_dataset_split(&a, &b, d, 1e-9, "concept", 0));
    assert_int_equal(nd_test_info(b).n_concepts, 1);
    nd_dataset_free(a);
    nd_dataset_free(b);
    FAILS(ND_ERR_ARGUMENT, "only one", nd_dataset_split(&a, &b, d, 0.1, "subject", 0));
    FAILS(ND_ERR_ARGUMENT, "fraction", nd_dataset_split(&a, &b, d, 1, "image", 0));
    assert_null(a);
    assert_null(b);
    nd_dataset_free(d);
}

/* ---- messages ---- */

static void test_refusals(void **state)
{
    (void)state;
    nd_dataset *d = make(0), *none;
    static const size_t outside = TRIALS;
    float x[2 * 2 * 2] = { 0 };
    const char *two[2] = { "cat", "dog" };
    nd_dataset_options o;
    FAILS(ND_ERR_ARGUMENT, "select", nd_dataset_select(&none, d, &outside, 1));
    FAILS(ND_ERR_ARGUMENT, "at least one", nd_dataset_select(&none, d, &outside, 0));
    FAILS(ND_ERR_ARGUMENT, "no samples from 1 to 2 s", nd_dataset_window(&none, d, 1, 2, 1));
    FAILS(ND_ERR_ARGUMENT, "step", nd_dataset_window(&none, d, 0, 1, 0));
    FAILS(ND_ERR_ARGUMENT, "not numbers", nd_dataset_baseline(&none, d, (double)NAN, 1));
    FAILS(ND_ERR_BUFFER, "need 210", nd_dataset_get_data(d, 0, 1, x, 8));
    FAILS(ND_ERR_ARGUMENT, "the dataset has 12", nd_dataset_get_data(d, 6, 7, x, 8));
    FAILS(ND_ERR_ARGUMENT, "source is NULL", nd_dataset_average(&none, NULL));
    x[5] = (float)NAN;
    FAILS(ND_ERR_NUMERIC, "trial 1 (image 'dog', repetition 0), channel '0'", nd_dataset_create(&none, x, 2, 2, 2, two, NULL));
    x[5] = 0;
    OK(nd_dataset_options_init(&o, sizeof o));
    o.channels = "A A";
    FAILS(ND_ERR_ARGUMENT, "'A' stands twice", nd_dataset_create(&none, x, 2, 2, 2, two, &o));
    o.channels = "A";
    FAILS(ND_ERR_ARGUMENT, "got 1, the array has 2", nd_dataset_create(&none, x, 2, 2, 2, two, &o));
    o.channels = NULL;
    o.normalise = 3;
    FAILS(ND_ERR_ARGUMENT, "normalise: got 3", nd_dataset_create(&none, x, 2, 2, 2, two, &o));
    two[1] = "\xff";
    FAILS(ND_ERR_FORMAT, "UTF-8", nd_dataset_create(&none, x, 2, 2, 2, two, NULL));
    assert_null(none);
    nd_dataset_free(d);
}

static void test_check_finite(void **state)
{
    (void)state;
    nd_dataset *d = make(0);
    pool *p;
    OK(ndi_pool_create(&p, 2));
    OK(ndi_dataset_check_finite(d, p));
    ndi_pool_free(p);
    nd_dataset_free(d);
}

/* Every allocation fails once: nothing leaks and the source stays usable. */
static nd_status run_all(void *context)
{
    static const size_t some[3] = { 4, 4, 1 };
    nd_dataset *d = context, *v[8] = { NULL };
    nd_status status = nd_dataset_select(&v[0], d, some, 3);
    if (status == ND_OK) status = nd_dataset_select_channels(&v[1], v[0], "central O1");
    if (status == ND_OK) status = nd_dataset_normalise(&v[2], v[1], 1);
    if (status == ND_OK) status = nd_dataset_window(&v[3], v[2], 0, 0.1, 2);
    if (status == ND_OK) status = nd_dataset_average(&v[4], v[3]);
    if (status == ND_OK) status = nd_dataset_concat(&v[5], v[4], v[3]);
    if (status == ND_OK) status = nd_dataset_split(&v[6], &v[7], d, 0.3, "image", 1);
    for (size_t i = 0; i < COUNT(v); i++) nd_dataset_free(v[i]);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    nd_dataset *d = make(0);
    assert_true(nd_test_faults(run_all, d) > 100);
    nd_dataset_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_flat_channels), cmocka_unit_test(test_composition),   cmocka_unit_test(test_late_operations),
        cmocka_unit_test(test_channels),      cmocka_unit_test(test_average),       cmocka_unit_test(test_concat),
        cmocka_unit_test(test_groups),        cmocka_unit_test(test_split),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_check_finite),  cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("dataset", tests, NULL, NULL);
}
