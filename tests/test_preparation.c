/* Preparations: the table, plan, report, steps that are taken up again, what may fail; and the parts they are made of: NumPy's permutation, rows fed to a writer, transforms of many signals,
 * raw sessions of the simulator. The numbers of whole preparations are compared with NumPy by test_prepare_eeg2.py. */
#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mersenne.h"
#include "check.h"
#include "data/raw_session.h"
#include "data/simulate.h"
#include "fault.h"
#include "io/feed.h"
#include "math/fft.h"
#include "math/resample.h"
#include "math/vec.h"
#include "neurodecode.h"
#include "temp.h"

/* ---- parts ---- */

/* numpy.random.RandomState(20200220).permutation(n) */
static void permutations(void **state)
{
    (void)state;
    static const size_t two[] = { 1, 0 }, four[] = { 2, 1, 3, 0 }, twenty[] = { 11, 1, 17, 0, 12, 10, 18, 14, 5, 19, 9, 16, 6, 15, 2, 3, 7, 13, 4, 8 },
                        first_of_80[] = { 61, 73, 26, 56, 42, 37, 72, 78 }, last_of_80[] = { 22, 34, 63, 35, 7, 36, 40 };
    size_t order[1000], sum = 0;
    ndi_numpy_permutation(20200220, 2, order);
    assert_memory_equal(order, two, sizeof two);
    ndi_numpy_permutation(20200220, 4, order);
    assert_memory_equal(order, four, sizeof four);
    ndi_numpy_permutation(20200220, 20, order);
    assert_memory_equal(order, twenty, sizeof twenty);
    ndi_numpy_permutation(20200220, 80, order);
    assert_memory_equal(order, first_of_80, sizeof first_of_80);
    assert_memory_equal(order + 73, last_of_80, sizeof last_of_80);
    ndi_numpy_permutation(1, 1000, order); /* takes more words than the generator makes at a time */
    for (size_t i = 0; i < 1000; i++) sum += order[i];
    assert_int_equal(sum, 999 * 1000 / 2);
    ndi_numpy_permutation(7, 1, order);
    assert_int_equal(order[0], 0);
}

static nd_status count_up(void *context, size_t first, size_t count, void *rows)
{
    size_t *calls = context;
    for (size_t i = 0; i < 3 * count; i++) ((int32_t *)rows)[i] = (int32_t)(3 * first + i);
    ++*calls;
    return ND_OK;
}

static void rows_become_elements(void **state)
{
    (void)state;
    int32_t buffer[12], values[7];
    size_t calls = 0;
    feed f = { count_up, &calls, 10, 3, sizeof(int32_t), 4, buffer, 0, 0 };
    for (size_t at = 0; at < 30; at += 7) {
        const size_t n = 30 - at < 7 ? 30 - at : 7;
        OK(ndi_feed_fill(&f, at, n, values));
        for (size_t i = 0; i < n; i++) assert_int_equal(values[i], at + i);
    }
    assert_int_equal(calls, 3);
}

static double number(size_t i) { return sin(1.7 * (double)i) + cos(0.31 * (double)i * (double)i); }

static void transforms_of_many_signals(void **state)
{
    (void)state;
    enum { LONGEST = 2048 };
    double *x = malloc(2 * NDI_LANES * LONGEST * sizeof *x), *one = malloc(2 * LONGEST * sizeof *one);
    for (size_t n = 1; n <= LONGEST; n *= 2) {
        fft *f;
        OK(ndi_fft_create(&f, n));
        for (size_t k = 0; k < n; k++)
            for (size_t l = 0; l < 2 * NDI_LANES; l++) x[ndi_fft_places(f)[k] * 2 * NDI_LANES + l] = number(k * 2 * NDI_LANES + l);
        ndi_fft_lanes(f, x);
        for (size_t l = 0; l < NDI_LANES; l++) {
            for (size_t k = 0; k < n; k++) {
                one[2 * k] = number(k * 2 * NDI_LANES + l);
                one[2 * k + 1] = number(k * 2 * NDI_LANES + NDI_LANES + l);
            }
            ndi_fft_forward(f, one, NULL);
            for (size_t k = 0; k < n; k++) {
                assert_true(fabs(one[2 * k] - x[k * 2 * NDI_LANES + l]) < 1e-11 * (double)n);
                assert_true(fabs(one[2 * k + 1] - x[k * 2 * NDI_LANES + NDI_LANES + l]) < 1e-11 * (double)n);
            }
        }
        ndi_fft_free(f);
    }
    free(x);
    free(one);
}

/* Down and up, lengths of the result that are and are not powers of two, odd and even, and rows that do not fill the lanes. */
static void resampling_of_many_signals(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        double ratio;
    } cases[] = { { 1201, 0.25 }, { 1001, 0.1 }, { 300, 0.5 }, { 77, 2 }, { 77, 1.5 }, { 64, 1 }, { 1, 1 }, { 500, 0.37 } };
    enum { ROWS = 19 };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        resampler *r;
        const size_t n = cases[k].n;
        OK(ndi_resampler_create(&r, n, cases[k].ratio, PADDING_EDGE));
        const size_t m = ndi_resampler_length(r);
        double *x = malloc(ROWS * (n + 3) * sizeof *x), *y = malloc(ROWS * m * sizeof *y), *z = malloc(m * sizeof *z), shift[ROWS];
        double *scratch = malloc(ndi_resampler_rows_scratch(r) * sizeof *scratch), *more = malloc(ndi_resampler_scratch(r) * sizeof *more);
        for (size_t i = 0; i < ROWS * (n + 3); i++) x[i] = number(i);
        for (size_t i = 0; i < ROWS; i++) shift[i] = number(7 * i);
        ndi_resample_rows(r, x, n + 3, ROWS, shift, y, scratch);
        for (size_t i = 0; i < ROWS; i++) {
            double *row = x + i * (n + 3);
            for (size_t t = 0; t < n; t++) row[t] -= shift[i];
            ndi_resample(r, row, z, more);
            for (size_t t = 0; t < m; t++) assert_true(fabs(y[i * m + t] - z[t]) < 1e-12);
        }
        free(x);
        free(y);
        free(z);
        free(scratch);
        free(more);
        ndi_resampler_free(r);
    }
}

/* ---- a world with raw recordings ---- */

enum { CHANNELS = 17, IMAGES = 24, TEST_IMAGES = 5, TRAINING_REPETITIONS = 4, TEST_REPETITIONS = 8 };

static nd_simulate_options raw_world(void)
{
    nd_simulate_options o;
    OK(nd_simulate_options_init(&o, sizeof o));
    o.n_concepts = IMAGES / 2;
    o.images_per_concept = 2;
    o.n_test = TEST_IMAGES;
    o.train_repetitions = TRAINING_REPETITIONS;
    o.test_repetitions = TEST_REPETITIONS;
    o.n_channels = CHANNELS;
    o.embed_dim = 8;
    o.n_sessions = 4;
    return o;
}

static int make_world(void **state)
{
    const nd_simulate_options o = raw_world();
    *state = (void *)(uintptr_t)nd_test_temp_folder();
    return nd_simulate(nd_test_temp("world"), &o, NULL, NULL) == ND_OK ? 0 : -1;
}

static int remove_world(void **state)
{
    (void)state;
    nd_test_temp_clear();
    return 0;
}

static nd_preparation *open_preparation(const char *output, const char *more, int32_t n_threads)
{
    nd_preparation *p;
    nd_preparation_options o;
    char params[200];
    OK(nd_preparation_options_init(&o, sizeof o));
    snprintf(params, sizeof params, "channels=17 test_repetitions=2 %s", more);
    o.output = output;
    o.params = params;
    o.n_threads = n_threads;
    OK(nd_preparation_create(&p, "things-eeg2", nd_test_temp("world"), &o));
    return p;
}

static json_t *report_of(const nd_preparation *p)
{
    size_t needed;
    OK(nd_preparation_get_report(p, NULL, 0, &needed));
    char *text = malloc(needed);
    OK(nd_preparation_get_report(p, text, needed, NULL));
    json_t *report = json_loads(text, 0, NULL);
    assert_non_null(report);
    FAILS(ND_ERR_BUFFER, "", nd_preparation_get_report(p, text, needed - 1, NULL));
    free(text);
    return report;
}

static bool exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0;
}

static void raw_sessions(void **state)
{
    (void)state;
    size_t shown[2][IMAGES + 1] = { { 0 } }, targets = 0;
    for (int session = 1; session <= 4; session++) {
        for (int test = 0; test < 2; test++) {
            char name[100];
            nd_recording *plain, *r;
            nd_recording_info info = { .size = sizeof info };
            nd_event event = { .size = sizeof event };
            uint64_t last = 0;
            snprintf(name, sizeof name, "world/raw_eeg/sub-01/ses-%02d/raw_eeg_%s.npy", session, test ? "test" : "training");
            OK(nd_recording_open(&plain, nd_test_temp(name), NULL));
            OK(nd_recording_find_events(&r, plain, NULL));
            OK(nd_recording_get_info(r, &info));
            assert_int_equal(info.n_channels, CHANNELS + 1);
            assert_true(info.rate == 1000);
            for (size_t i = 0; i < info.n_events; i++) {
                OK(nd_recording_get_event(r, i, &event));
                if (i) assert_int_equal(event.sample - last, 200);
                last = event.sample;
                targets += event.code == TARGET_CODE;
                if (event.code == TARGET_CODE) continue;
                assert_in_range(event.code, 1, test ? TEST_IMAGES : IMAGES);
                if (!test) assert_int_equal((event.code - 1) % 2, (session - 1) % 2);
                shown[test][event.code]++;
            }
            assert_int_equal(info.n_samples, last + 200 + 2000);
            nd_recording_free(plain);
            nd_recording_free(r);
        }
    }
    for (size_t i = 1; i <= IMAGES; i++) assert_int_equal(shown[0][i], TRAINING_REPETITIONS);
    for (size_t i = 1; i <= TEST_IMAGES; i++) assert_int_equal(shown[1][i], TEST_REPETITIONS);
    assert_true(targets > 0);
}

static void raw_sessions_refuse(void **state)
{
    (void)state;
    nd_simulate_options o = raw_world();
    o.n_sessions = 3;
    FAILS(ND_ERR_ARGUMENT, "3 sessions", nd_simulate(nd_test_temp("never"), &o, NULL, NULL));
    o.n_sessions = 4;
    o.test_repetitions = 6;
    FAILS(ND_ERR_ARGUMENT, "6 repetitions of a test image", nd_simulate(nd_test_temp("never"), &o, NULL, NULL));
    o = raw_world();
    o.n_sessions = 2;
    FAILS(ND_ERR_ARGUMENT, "other options", nd_simulate(nd_test_temp("world"), &o, NULL, NULL));
}

/* ---- the table and the handle ---- */

static void table(void **state)
{
    (void)state;
    nd_preparation_kind_info k = { .size = sizeof k };
    nd_param_info p = { .size = sizeof p };
    size_t n = 0;
    for (; nd_preparation_kind_get_info(n, &k) == ND_OK; n++) {
        assert_true(*k.name && *k.title && *k.source);
        OK(nd_preparation_kind_get_param(k.name, 0, &p));
        assert_string_equal(p.name, "subject");
        for (size_t i = 0; nd_preparation_kind_get_param(k.name, i, &p) == ND_OK; i++) assert_true(*p.meaning && p.min <= p.value && p.value <= p.max);
    }
    assert_true(n > 0);
    FAILS(ND_ERR_ARGUMENT, "there are", nd_preparation_kind_get_info(n, &k));
    FAILS(ND_ERR_ARGUMENT, "no kind 'things'; there are nsd things-eeg2", nd_preparation_kind_get_param("things", 0, &p));
}

static void refusals(void **state)
{
    (void)state;
    nd_preparation *p;
    nd_preparation_options o;
    OK(nd_preparation_options_init(&o, sizeof o));
    FAILS(ND_ERR_ARGUMENT, "output", nd_preparation_create(&p, "things-eeg2", nd_test_temp("world"), &o));
    o.output = nd_test_temp("made");
    FAILS(ND_ERR_ARGUMENT, "no kind 'eeg'", nd_preparation_create(&p, "eeg", nd_test_temp("world"), &o));
    FAILS(ND_ERR_IO, "nowhere", nd_preparation_create(&p, "things-eeg2", nd_test_temp("nowhere"), &o));
    FAILS(ND_ERR_IO, "is a file", nd_preparation_create(&p, "things-eeg2", nd_test_temp("world/image_metadata.npy"), &o));
    FAILS(ND_ERR_FORMAT, "lacks the channels Fp1 Fp2", nd_preparation_create(&p, "things-eeg2", nd_test_temp("world"), &o));
    o.params = "rate=0";
    FAILS(ND_ERR_ARGUMENT, "rate: got 0", nd_preparation_create(&p, "things-eeg2", nd_test_temp("world"), &o));
    o.params = "channels=30";
    FAILS(ND_ERR_ARGUMENT, "got 30, expected 63 or 17", nd_preparation_create(&p, "things-eeg2", nd_test_temp("world"), &o));
    o.reserved = 1;
    FAILS(ND_ERR_ARGUMENT, "reserved", nd_preparation_create(&p, "things-eeg2", nd_test_temp("world"), &o));
    assert_null(p);
    assert_false(exists(o.output));
}

static void plan_and_result(void **state)
{
    (void)state;
    nd_dataset *d;
    nd_dataset_info info = { .size = sizeof info };
    nd_preparation *p = open_preparation(nd_test_temp("made"), "average=1", 2);
    json_t *r = report_of(p);
    assert_int_equal(json_array_size(json_object_get(r, "found")), 9);
    assert_int_equal(json_array_size(json_object_get(r, "missing")), 0);
    assert_int_equal(json_array_size(json_object_get(r, "steps")), 10);
    assert_int_equal(json_array_size(json_object_get(r, "outputs")), 2);
    assert_true(json_is_false(json_object_get(r, "done")));
    assert_true(json_integer_value(json_object_get(r, "disk_bytes")) > 0 && json_integer_value(json_object_get(r, "memory_bytes")) > 0);
    assert_true(json_real_value(json_object_get(json_object_get(r, "params"), "average")) == 1);
    json_decref(r);
    assert_false(exists(nd_test_temp("made")));
    OK(nd_preparation_run(p, NULL, NULL));
    r = report_of(p);
    assert_true(json_is_true(json_object_get(r, "done")));
    assert_int_equal(json_integer_value(json_object_get(r, "disk_bytes")), 0);
    json_decref(r);
    OK(nd_preparation_run(p, NULL, NULL)); /* nothing is left to do */
    nd_preparation_free(p);
    assert_false(exists(nd_test_temp("made/.sub-01")));
    OK(nd_dataset_open(&d, nd_test_temp("made/sub-01_test.safetensors"), NULL, NULL, NULL));
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_trials, TEST_IMAGES);
    assert_int_equal(info.averaged, TEST_REPETITIONS);
    assert_true(info.n_channels == CHANNELS && info.n_samples == 250 && info.rate == 250 && info.start == 0);
    nd_dataset_free(d);
}

/* Stops at the n-th call. */
static int32_t stop_at(const nd_progress *progress, void *user)
{
    (void)progress;
    return --*(int *)user == 0;
}

static void cancelled_and_taken_up(void **state)
{
    (void)state;
    size_t n_whole, n_stopped;
    int calls = 1;
    nd_preparation *p = open_preparation(nd_test_temp("whole"), "", 1);
    OK(nd_preparation_run(p, NULL, NULL));
    nd_preparation_free(p);
    p = open_preparation(nd_test_temp("stopped"), "", 3);
    for (int n = 2;; n++, calls = n) {
        const nd_status status = nd_preparation_run(p, stop_at, &calls);
        if (status == ND_OK) break;
        assert_int_equal(status, ND_ERR_CANCELLED);
        assert_true(n < 100);
    }
    nd_preparation_free(p);
    uint8_t *whole = nd_test_read(nd_test_temp("whole/sub-01_training.safetensors"), &n_whole), *stopped = nd_test_read(nd_test_temp("stopped/sub-01_training.safetensors"), &n_stopped);
    assert_int_equal(n_whole, n_stopped);
    assert_memory_equal(whole, stopped, n_whole);
    free(whole);
    free(stopped);
}

static int remove_one(const char *path, const struct stat *about, int what, struct FTW *where)
{
    (void)about;
    (void)what;
    (void)where;
    return remove(path);
}

/* From the beginning each time. */
static nd_status prepare_in_little_memory(void *context)
{
    (void)context;
    nd_preparation *p;
    nftw(nd_test_temp("little"), remove_one, 8, FTW_DEPTH | FTW_PHYS);
    nd_preparation_options o;
    nd_preparation_options_init(&o, sizeof o);
    o.output = nd_test_temp("little");
    o.params = "channels=17 test_repetitions=2 rate=100 whiten=2 end=0.3";
    o.n_threads = 1;
    TRY(nd_preparation_create(&p, "things-eeg2", nd_test_temp("little-world"), &o));
    nd_status status = nd_preparation_run(p, NULL, NULL);
    size_t needed;
    if (status == ND_OK) status = nd_preparation_get_report(p, NULL, 0, &needed);
    nd_preparation_free(p);
    return status;
}

static void memory_runs_out(void **state)
{
    (void)state;
    nd_simulate_options o = raw_world();
    o.n_concepts = o.n_test = o.n_sessions = 1;
    o.train_repetitions = o.test_repetitions = 2;
    OK(nd_simulate(nd_test_temp("little-world"), &o, NULL, NULL));
    assert_true(nd_test_faults(prepare_in_little_memory, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permutations),
        cmocka_unit_test(rows_become_elements),
        cmocka_unit_test(transforms_of_many_signals),
        cmocka_unit_test(resampling_of_many_signals),
        cmocka_unit_test(raw_sessions),
        cmocka_unit_test(raw_sessions_refuse),
        cmocka_unit_test(table),
        cmocka_unit_test(refusals),
        cmocka_unit_test(plan_and_result),
        cmocka_unit_test(cancelled_and_taken_up),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
