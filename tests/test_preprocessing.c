/* Filters, Fourier transforms, resampling and whitening: against naive sums, figures of SciPy 1.15 and MNE 1.13, and the reference vectors of THINGS-EEG2. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "check.h"
#include "golden.h"
#include "math/fft.h"
#include "neurodecode/recording.h"

static const double pi = 3.141592653589793238462643383279502884;

/* ---- Fourier transform ---- */

static void transform(void **state)
{
    (void)state;
    static const size_t lengths[] = { 1, 2, 3, 4, 5, 7, 8, 12, 30, 64, 97, 100, 128, 243, 301 };
    double x[602], y[602], z[602];
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        const size_t n = lengths[l];
        fft *f;
        OK(ndi_fft_create(&f, n));
        double *scratch = malloc((ndi_fft_scratch(f) + 1) * sizeof *scratch);
        for (size_t i = 0; i < 2 * n; i++) x[i] = y[i] = sin(1.3 * (double)(i * i % 37)) + 0.1;
        memset(z, 0, sizeof z);
        for (size_t k = 0; k < n; k++)
            for (size_t j = 0; j < n; j++) {
                const double a = -2 * pi * (double)(j * k % n) / (double)n;
                z[2 * k] += x[2 * j] * cos(a) - x[2 * j + 1] * sin(a);
                z[2 * k + 1] += x[2 * j] * sin(a) + x[2 * j + 1] * cos(a);
            }
        ndi_fft_forward(f, y, scratch);
        for (size_t i = 0; i < 2 * n; i++) assert_true(fabs(y[i] - z[i]) < 1e-12 * (double)(n + 1));
        ndi_fft_inverse(f, y, scratch);
        for (size_t i = 0; i < 2 * n; i++) assert_true(fabs(y[i] - x[i]) < 1e-13);
        free(scratch);
        ndi_fft_free(f);
    }
    fft *f;
    FAILS(ND_ERR_ARGUMENT, "0 numbers", ndi_fft_create(&f, 0));
}

/* ---- filters and resampling of a recording ---- */

enum { N = 1500 };

static nd_recording *made(void)
{
    double x[2 * N] = { 0 };
    nd_recording *r;
    nd_recording_options o;
    OK(nd_recording_options_init(&o, sizeof o));
    for (size_t i = 0; i < N; i++) x[i] = (double)(i * 7919 % 101) / 101 - 0.5 + sin((double)i * 0.05);
    x[N + 3] = 1;
    x[N + 704] = 2;
    o.rate = 250;
    o.channels = "A STI";
    o.types = "eeg stim";
    OK(nd_recording_create(&r, x, 2, N, &o));
    return r;
}

/* Samples 0, 1, 100, 299 and 599 of the first channel; frees the recording. */
static void expect_samples(nd_recording *r, const double wanted[5])
{
    static const uint64_t at[5] = { 0, 1, 100, 299, 599 };
    for (size_t i = 0; i < 5; i++) {
        double x[2];
        OK(nd_recording_get_data(r, at[i], 1, x, 2));
        if (!(fabs(x[0] - wanted[i]) < 1e-11)) fail_msg("sample %d: %.17g, expected %.17g", (int)at[i], x[0], wanted[i]);
    }
    nd_recording_free(r);
}

static void filters(void **state)
{
    (void)state;
    nd_recording *r = made(), *s;
    nd_filter_options o;
    OK(nd_filter_options_init(&o, sizeof o));
    o.low = 1;
    o.high = 40;
    OK(nd_recording_filter(&s, r, &o, NULL, NULL));
    expect_samples(s, (double[]){ 3.0531133177191805e-16, 0.41749926689624706, -1.0011355011135792, 0.8422198357571367, -0.9868871761087799 });
    o.high = 30;
    o.kind = ND_FILTER_BUTTERWORTH;
    OK(nd_recording_filter(&s, r, &o, NULL, NULL));
    double triggers[2 * N];
    OK(nd_recording_get_data(s, 0, N, triggers, 2 * N));
    assert_true(triggers[N + 3] == 1 && triggers[N + 704] == 2 && triggers[N + 4] == 0);
    expect_samples(s, (double[]){ 0.3481568235488426, 0.5965289566629203, -1.2170804617446893, 0.7673050937660405, -0.9111270576470717 });
    OK(nd_recording_notch(&s, r, (const double[]){ 50 }, 1, NULL, NULL));
    expect_samples(s, (double[]){ -0.4999999999999997, -0.042573661702502485, -0.8669299271775095, 0.5643345405488129, -1.3369046043326003 });
    o.high = 125;
    FAILS(ND_ERR_ARGUMENT, "between 0 and 125", nd_recording_filter(&s, r, &o, NULL, NULL));
    o.high = 0.5;
    FAILS(ND_ERR_ARGUMENT, "not below", nd_recording_filter(&s, r, &o, NULL, NULL));
    o.high = 30;
    o.order = 17;
    FAILS(ND_ERR_ARGUMENT, "order 17", nd_recording_filter(&s, r, &o, NULL, NULL));
    nd_recording_free(r);
}

/* The same bits for any number of threads. */
static void threads(void **state)
{
    (void)state;
    nd_recording *r = made(), *one, *three;
    nd_filter_options o;
    static double x[2 * N], y[2 * N];
    OK(nd_filter_options_init(&o, sizeof o));
    o.low = 2;
    o.n_threads = 1;
    OK(nd_recording_filter(&one, r, &o, NULL, NULL));
    o.n_threads = 3;
    OK(nd_recording_filter(&three, r, &o, NULL, NULL));
    OK(nd_recording_get_data(one, 0, N, x, 2 * N));
    OK(nd_recording_get_data(three, 0, N, y, 2 * N));
    assert_memory_equal(x, y, sizeof x);
    nd_recording_free(one);
    nd_recording_free(three);
    nd_recording_free(r);
}

static void resampled(void **state)
{
    (void)state;
    nd_recording *r = made(), *s, *t;
    nd_recording_info info = { .size = sizeof info };
    nd_event e = { .size = sizeof e };
    OK(nd_recording_find_events(&t, r, NULL));
    OK(nd_recording_resample(&s, t, 100, NULL, NULL));
    OK(nd_recording_get_info(s, &info));
    assert_true(info.n_samples == 600 && info.rate == 100 && info.n_events == 2);
    OK(nd_recording_get_event(s, 1, &e));
    assert_int_equal(e.sample, 282); /* round(704 x 0.4) */
    double x[1200];
    OK(nd_recording_get_data(s, 0, 600, x, 1200));
    assert_true(x[600 + 1] == 1 && x[600 + 281] == 2);
    expect_samples(s, (double[]){ 0.09932353294739195, -0.009451640986298332, 0.11174796288153156, -0.4458897738175089, -0.4421370143947998 });
    FAILS(ND_ERR_ARGUMENT, "rate 0", nd_recording_resample(&s, r, 0, NULL, NULL));
    nd_recording_free(t);
    nd_recording_free(r);
}

/* scipy.signal.resample_poly of SciPy 1.17 at 100 Hz (2/5), 375 (3/2) and 62.5 (1/4). */
static void polyphase_resampled(void **state)
{
    (void)state;
    static const struct {
        double rate, wanted[5]; /* samples 0, 1, 100, 299 and the last */
        uint64_t n;
    } cases[] = {
        { 100, { -0.17106377015127686, 0.12373904815864038, -0.07435094377290989, -0.4213450527955835, -0.6258840101404732 }, 600 },
        { 375, { -0.5003030867768886, -0.3602518866613641, -0.32718143708185315, -0.3987942730613795, -0.17180083422479003 }, 2250 },
        { 62.5, { -0.08925919422385346, 0.12339097001028886, 0.979496717042892, -0.10467160139223922, -0.6102155234302418 }, 375 },
    };
    nd_recording *r = made(), *s;
    nd_recording_info info = { .size = sizeof info };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const uint64_t at[5] = { 0, 1, 100, 299, cases[k].n - 1 };
        OK(nd_recording_resample_polyphase(&s, r, cases[k].rate, NULL, NULL));
        OK(nd_recording_get_info(s, &info));
        assert_true(info.n_samples == cases[k].n && info.rate == cases[k].rate);
        for (size_t i = 0; i < 5; i++) {
            double x[2];
            OK(nd_recording_get_data(s, at[i], 1, x, 2));
            assert_true(fabs(x[0] - cases[k].wanted[i]) < 1e-13);
        }
        nd_recording_free(s);
    }
    FAILS(ND_ERR_ARGUMENT, "no ratio", nd_recording_resample_polyphase(&s, r, 250 * sqrt(2), NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "rate -1", nd_recording_resample_polyphase(&s, r, -1, NULL, NULL));
    nd_recording_free(r);
}

/* More than 16 MB lie in a temporary file: the same bits as in memory, also where rows are cut by blocks; the file needs a folder. */
static void on_disk(void **state)
{
    (void)state;
    enum { C = 3, LONG = 800001 };
    double *x = malloc(C * LONG * sizeof *x), *y = malloc(C * LONG * sizeof *y), *z = malloc(LONG * sizeof *z);
    nd_recording *all, *filtered, *slow, *referenced, *one, *alone, *alone_slow;
    nd_recording_options o;
    nd_filter_options f;
    for (size_t i = 0; i < C * LONG; i++) x[i] = (double)(i * 7919 % 1009) / 1009 - 0.5 + (double)(i / LONG);
    OK(nd_recording_options_init(&o, sizeof o));
    OK(nd_filter_options_init(&f, sizeof f));
    o.rate = 1000;
    f.high = 100;
    OK(nd_recording_create(&all, x, C, LONG, &o));
    OK(nd_recording_filter(&filtered, all, &f, NULL, NULL));
    OK(nd_recording_resample_polyphase(&slow, filtered, 250, NULL, NULL));
    OK(nd_recording_rereference(&referenced, all, "average"));
    OK(nd_recording_get_data(referenced, 0, LONG, y, C * LONG));
    for (size_t i = 0; i < LONG; i++)
        for (size_t c = 0; c < C; c++) assert_true(y[c * LONG + i] == x[c * LONG + i] - (x[i] + x[LONG + i] + x[2 * LONG + i]) / 3);
    OK(nd_recording_get_data(filtered, 0, LONG, y, C * LONG));
    for (size_t c = 0; c < C; c++) {
        OK(nd_recording_create(&one, x + c * LONG, 1, LONG, &o));
        OK(nd_recording_filter(&alone, one, &f, NULL, NULL));
        OK(nd_recording_get_data(alone, 0, LONG, z, LONG));
        assert_memory_equal(z, y + c * LONG, LONG * sizeof *z);
        OK(nd_recording_resample_polyphase(&alone_slow, alone, 250, NULL, NULL));
        double few[C * 5], few_alone[5];
        OK(nd_recording_get_data(slow, 199990, 5, few, C * 5));
        OK(nd_recording_get_data(alone_slow, 199990, 5, few_alone, 5));
        assert_memory_equal(few_alone, few + c * 5, sizeof few_alone);
        nd_recording_free(one);
        nd_recording_free(alone);
        nd_recording_free(alone_slow);
    }
    char before[4096];
    const bool set = getenv("TMPDIR") != NULL;
    snprintf(before, sizeof before, "%s", set ? getenv("TMPDIR") : "");
    setenv("TMPDIR", "/dev/null/nowhere", 1);
    FAILS(ND_ERR_IO, "/dev/null/nowhere: temporary file", nd_recording_filter(&one, all, &f, NULL, NULL));
    set ? setenv("TMPDIR", before, 1) : unsetenv("TMPDIR");
    nd_recording_free(all);
    nd_recording_free(filtered);
    nd_recording_free(slow);
    nd_recording_free(referenced);
    free(x);
    free(y);
    free(z);
}

/* ---- whitening ---- */

static void whitening(void **state)
{
    (void)state;
    enum { TRIALS = 12, C = 3, T = 40 };
    static const size_t at[5][3] = { { 0, 0, 0 }, { 0, 2, 39 }, { 5, 1, 20 }, { 11, 0, 7 }, { 11, 2, 39 } }; /* trial, channel, sample */
    static const double wanted[2][5] = { { 0.0, 0.7501026748507014, -1.049929062105956, 0.16141197247291494, 1.1095589858043537 },
                                         { 0.0, 0.6437514796956623, -1.6893128496744536, 0.4239655853658721, 1.3619689240002077 } };
    float x[TRIALS * C * T];
    const char *ids[TRIALS];
    nd_dataset *d, *w, *again;
    for (size_t i = 0; i < TRIALS * C * T; i++) {
        const size_t c = i / T % C, t = i % T + 31 * (i / (C * T));
        x[i] = (float)((c + 1.0) * sin(12.9898 * (double)(t * (c + 3) % 613)) + 2 * sin(78.233 * (double)(t % 409)));
    }
    for (size_t i = 0; i < TRIALS; i++) ids[i] = i % 3 == 0 ? "a" : "b";
    OK(nd_dataset_create(&d, x, TRIALS, C, T, ids, NULL));
    for (int32_t per = 0; per < 2; per++) {
        OK(nd_dataset_whiten(&w, d, (const nd_dataset *const[]){ d }, 1, per, NULL, NULL));
        OK(nd_dataset_whiten(&again, d, (const nd_dataset *const[]){ d, d }, 2, per, NULL, NULL));
        float y[C * T], z[C * T];
        for (size_t k = 0; k < 5; k++) {
            OK(nd_dataset_get_data(w, at[k][0], 1, y, C * T));
            OK(nd_dataset_get_data(again, at[k][0], 1, z, C * T));
            assert_true(nd_test_relative_error(z, y, C * T) < 1e-6);
            assert_true(fabs((double)y[at[k][1] * T + at[k][2]] - wanted[per][k]) < 2e-6);
        }
        nd_dataset_free(w);
        nd_dataset_free(again);
    }
    nd_dataset *few;
    OK(nd_dataset_select(&few, d, (const size_t[]){ 0, 1, 2 }, 3));
    FAILS(ND_ERR_ARGUMENT, "'a' has one repetition", nd_dataset_whiten(&w, d, (const nd_dataset *const[]){ few }, 1, ND_WHITEN_TIME, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "no dataset", nd_dataset_whiten(&w, d, (const nd_dataset *const[]){ d }, 0, 0, NULL, NULL));
    nd_dataset_free(few);
    memset(x, 0, sizeof x);
    OK(nd_dataset_create(&few, x, TRIALS, C, T, ids, NULL));
    FAILS(ND_ERR_NUMERIC, "singular", nd_dataset_whiten(&w, d, (const nd_dataset *const[]){ few }, 1, 0, NULL, NULL));
    nd_dataset_free(few);
    nd_dataset_free(d);
}

/* ---- THINGS-EEG2: channels, events, epochs, baseline, 250 Hz, the first repetitions of each condition, 0 .. 1 s, noise normalisation ---- */

static char *join(const content *c, const char *name)
{
    const texts *t = ndi_content_texts(c, name);
    static char list[2][1024];
    static int which;
    char *to = list[which ^= 1];
    *to = '\0';
    for (size_t i = 0; i < t->n; i++) snprintf(to + strlen(to), 1024 - strlen(to), "%s%s", i ? "," : "", t->items[i]);
    return to;
}

static nd_recording *golden_recording(const content *c, const char *name)
{
    const array *a = ndi_content_array(c, name);
    double *x = malloc(a->n * sizeof *x);
    nd_recording *r;
    nd_recording_options o;
    OK(ndi_array_read_f64(a, 0, a->n, x));
    OK(nd_recording_options_init(&o, sizeof o));
    o.channels = join(c, "ch_names");
    o.rate = nd_test_number(c, "sfreq");
    OK(nd_recording_create(&r, x, a->shape[0], a->shape[1], &o));
    free(x);
    return r;
}

static nd_dataset *prepare(const content *c, const char *name, int32_t max_repetitions)
{
    nd_recording *r = golden_recording(c, name), *found;
    nd_dataset *epochs, *slow, *first, *made;
    nd_epoch_options o;
    nd_dataset_info info = { .size = sizeof info };
    OK(nd_epoch_options_init(&o, sizeof o));
    o.channels = join(c, "out_ch_names");
    o.drop = "99999";
    OK(nd_recording_find_events(&found, r, NULL));
    OK(nd_recording_epoch(&epochs, found, &o, NULL, NULL, NULL));
    OK(nd_dataset_resample(&slow, epochs, nd_test_number(c, "out_sfreq"), NULL, NULL));
    OK(nd_dataset_get_info(slow, &info));
    assert_int_equal(info.n_samples, 300);
    size_t *kept = malloc(info.n_trials * sizeof *kept), n = 0;
    for (int32_t image = 1; image < 100; image++) /* by condition, then in time */
        for (size_t i = 0; i < info.n_trials; i++) {
            nd_trial t = { .size = sizeof t };
            OK(nd_dataset_get_trial(slow, i, &t));
            if (atoi(t.image) == image && t.repetition < max_repetitions) kept[n++] = i;
        }
    OK(nd_dataset_select(&first, slow, kept, n));
    OK(nd_dataset_window(&made, first, 0, 1, 1));
    free(kept);
    nd_dataset_free(epochs);
    nd_dataset_free(slow);
    nd_dataset_free(first);
    nd_recording_free(found);
    nd_recording_free(r);
    return made;
}

static void expect_trials(const nd_dataset *d, const content *c, const char *name, double tolerance)
{
    size_t n;
    float *wanted = nd_test_floats(c, name, &n), *x = malloc(n * sizeof *x);
    nd_dataset_info info = { .size = sizeof info };
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_trials * info.n_channels * info.n_samples, n);
    OK(nd_dataset_get_data(d, 0, info.n_trials, x, n));
    const double error = nd_test_relative_error(x, wanted, n);
    print_message("%s: error %.1e\n", name, error);
    assert_true(error < tolerance);
    free(x);
    ndi_free(wanted);
}

static void things_eeg2(void **state)
{
    (void)state;
    content *c = nd_test_golden("preprocess-eeg2.npz");
    if (!c) skip();
    nd_dataset *test = prepare(c, "test_raw", 20), *training = prepare(c, "train_raw", 2), *w;
    expect_trials(test, c, "epoched_test", 1e-6);
    expect_trials(training, c, "epoched_train", 1e-6);
    OK(nd_dataset_whiten(&w, test, (const nd_dataset *const[]){ training }, 1, ND_WHITEN_EPOCHS, NULL, NULL));
    expect_trials(w, c, "white_test", 1e-5);
    nd_dataset_free(w);
    OK(nd_dataset_whiten(&w, training, (const nd_dataset *const[]){ training }, 1, ND_WHITEN_EPOCHS, NULL, NULL));
    expect_trials(w, c, "white_train", 1e-5);
    nd_dataset_free(w);
    nd_dataset_free(test);
    nd_dataset_free(training);
    ndi_content_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transform),           cmocka_unit_test(filters), cmocka_unit_test(threads),   cmocka_unit_test(resampled),
        cmocka_unit_test(polyphase_resampled), cmocka_unit_test(on_disk), cmocka_unit_test(whitening), cmocka_unit_test(things_eeg2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
