/* Recordings: files of every format, what they say and what they refuse; selection, events, epochs. Real files against figures of MNE 1.13. */
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
#include "fault.h"
#include "fif.h"
#include "golden.h"
#include "io/signals.h"
#include "neurodecode/file.h"
#include "neurodecode/recording.h"
#include "recordings.h"
#include "temp.h"

static nd_recording *open(const char *path)
{
    nd_recording *r;
    OK(nd_recording_open(&r, path, NULL));
    return r;
}

static nd_recording_info info_of(const nd_recording *r)
{
    nd_recording_info info = { .size = sizeof info };
    OK(nd_recording_get_info(r, &info));
    return info;
}

static void expect_channel(const nd_recording *r, size_t index, const char *name, const char *type, const char *unit)
{
    nd_channel ch = { .size = sizeof ch };
    OK(nd_recording_get_channel(r, index, &ch));
    assert_string_equal(ch.name, name);
    assert_string_equal(ch.type, type);
    assert_string_equal(ch.unit, unit);
}

static void expect_event(const nd_recording *r, size_t index, uint64_t sample, uint64_t duration, int32_t code, const char *text)
{
    nd_event e = { .size = sizeof e };
    OK(nd_recording_get_event(r, index, &e));
    assert_int_equal(e.sample, sample);
    assert_int_equal(e.duration, duration);
    assert_int_equal(e.code, code);
    assert_string_equal(e.text, text);
}

static double *data_of(const nd_recording *r)
{
    const nd_recording_info info = info_of(r);
    const size_t n = info.n_channels * (size_t)info.n_samples;
    double *x = malloc(n * sizeof *x);
    OK(nd_recording_get_data(r, 0, (size_t)info.n_samples, x, n));
    return x;
}

static void near(double a, double b) { assert_true(fabs(a - b) <= 1e-9 * fabs(b) + 1e-30); }

/* ---- formats ---- */

static void edf(void **state)
{
    (void)state;
    uint8_t bytes[ND_TEST_BYTES];
    nd_test_write(nd_test_temp("small.edf"), bytes, nd_test_edf(bytes));
    nd_recording *r = open(nd_test_temp("small.edf"));
    const nd_recording_info info = info_of(r);
    assert_int_equal(info.n_channels, 2);
    assert_int_equal(info.n_samples, 30);
    assert_true(info.rate == 20);
    assert_string_equal(info.format, "edf");
    expect_channel(r, 0, "Cz", "eeg", "V");
    expect_channel(r, 1, "Slow", "eeg", "V");
    assert_int_equal(info.n_events, 2);
    expect_event(r, 0, 5, 10, 1, "a");
    expect_event(r, 1, 20, 0, 2, "b: c");
    double *x = data_of(r);
    for (int k = 0; k < 30; k++) {
        near(x[k], (7 * k - 50) * 0.1e-6);
        near(x[30 + k], (7 * (k / 2) - 50 + 32768) * 1e-3);
    }
    char about[4096];
    OK(nd_file_describe(nd_test_temp("small.edf"), about, sizeof about, NULL));
    assert_non_null(strstr(about, "\"highpass\":0.1"));
    assert_non_null(strstr(about, "\"lowpass\":75"));
    double some[6];
    OK(nd_recording_get_data(r, 9, 3, some, 6)); /* over the border of a record */
    for (int k = 0; k < 3; k++) assert_true(some[k] == x[9 + k] && some[3 + k] == x[39 + k]);
    FAILS(ND_ERR_BUFFER, "room", nd_recording_get_data(r, 0, 4, some, 6));
    FAILS(ND_ERR_ARGUMENT, "30", nd_recording_get_data(r, 28, 3, some, 6));
    free(x);
    nd_recording_free(r);
}

static void edf_refusals(void **state)
{
    (void)state;
    uint8_t bytes[ND_TEST_BYTES];
    nd_recording *r;
    const size_t n = nd_test_edf(bytes);
    const char *path = nd_test_temp("bad.edf");
    nd_test_write(path, bytes, 1024 + 49);
    FAILS(ND_ERR_FORMAT, "ends too early", nd_recording_open(&r, path, NULL));
    assert_null(r);
    memcpy(bytes + 192, "EDF+D", 5);
    memcpy(bytes + 1024 + 2 * 50 + 30, "+9", 2);
    nd_test_write(path, bytes, n);
    FAILS(ND_ERR_UNSUPPORTED, "record 2 begins at 9 s, expected 1 s", nd_recording_open(&r, path, NULL));
    memcpy(bytes + 252, "2   ", 4);
    nd_test_write(path, bytes, n);
    FAILS(ND_ERR_FORMAT, "1024 bytes for 2 signals, expected 768", nd_recording_open(&r, path, NULL));
}

static void fif(void **state)
{
    (void)state;
    uint8_t bytes[ND_TEST_BYTES];
    nd_test_write(nd_test_temp("small_raw.fif"), bytes, nd_test_fif(bytes));
    nd_recording *r = open(nd_test_temp("small_raw.fif")), *found;
    assert_int_equal(info_of(r).n_samples, 18);
    assert_true(info_of(r).rate == 100);
    expect_channel(r, 0, "A", "eeg", "V");
    expect_channel(r, 1, "STI 014", "stim", "");
    assert_int_equal(info_of(r).n_events, 1);
    expect_event(r, 0, 3, 2, 1, "x:y");
    double *x = data_of(r);
    for (int k = 0; k < 18; k++) near(x[k], (k < 6 ? 3 * k - 10 : k < 12 ? 0 : 3 * (k - 6) - 10) * 2 * (double)0.5e-6f);
    OK(nd_recording_find_events(&found, r, NULL));
    assert_int_equal(info_of(found).n_events, 2);
    expect_event(found, 0, 2, 0, 5, "");
    expect_event(found, 1, 14, 0, 5, "");
    free(x);
    nd_recording_free(found);
    nd_recording_free(r);
}

static const char header[] =
    "Brain Vision Data Exchange Header File Version 1.0\r\n; comment\r\n[Common Infos]\r\nCodepage=UTF-8\r\nDataFile=$b.eeg\r\n"
    "MarkerFile=small.vmrk\r\nDataFormat=%s\r\nDataOrientation=%s\r\nNumberOfChannels=2\r\nSamplingInterval=5000\r\n"
    "[Binary Infos]\r\nBinaryFormat=%s\r\n[ASCII Infos]\r\nDecimalSymbol=,\r\nSkipLines=%d\r\nSkipColumns=%d\r\n"
    "[Channel Infos]\r\nCh1=Fp\\1 1,,0.5,\xc2\xb5V\r\nCh2=HEOG,,,mV\r\n[Comment]\r\nCh2=no\r\n";
static const char markers[] =
    "Brain Vision Data Exchange Marker File, Version 1.0\r\n[Marker Infos]\r\nMk1=New Segment,,1,1,0,20200101000000000000\r\n"
    "Mk2=Stimulus,S  7,3,1,0\r\nMk3=Response,R  2,4,0,0\r\nMk4=Comment,hello\\1 you,5,2,0\r\n";

static void write_header(const char *format, const char *orientation, const char *binary, int lines, int columns)
{
    char text[2048];
    snprintf(text, sizeof text, header, format, orientation, binary, lines, columns);
    nd_test_write_text("small.vhdr", text);
    nd_test_write_text("small.vmrk", markers);
}

static void expect_brainvision(void)
{
    nd_recording *r = open(nd_test_temp("small.vhdr"));
    double *x = data_of(r);
    assert_int_equal(info_of(r).n_samples, 6);
    assert_true(info_of(r).rate == 200);
    expect_channel(r, 0, "Fp, 1", "eeg", "V");
    expect_channel(r, 1, "HEOG", "eog", "V");
    for (int k = 0; k < 6; k++) {
        near(x[k], (k - 2) * 0.5e-6);
        near(x[6 + k], 10 * k * 1e-3);
    }
    assert_int_equal(info_of(r).n_events, 3);
    expect_event(r, 0, 2, 1, 7, "Stimulus/S  7");
    expect_event(r, 1, 3, 0, 1002, "Response/R  2");
    expect_event(r, 2, 4, 2, 10001, "Comment/hello, you");
    free(x);
    nd_recording_free(r);
}

static void brainvision(void **state)
{
    (void)state;
    int16_t frames[12];
    float rows[12];
    int32_t whole[12];
    for (int k = 0; k < 6; k++) {
        frames[2 * k] = (int16_t)(k - 2);
        frames[2 * k + 1] = (int16_t)(10 * k);
        whole[2 * k] = k - 2;
        whole[2 * k + 1] = 10 * k;
        rows[k] = (float)(k - 2);
        rows[6 + k] = (float)(10 * k);
    }
    write_header("BINARY", "MULTIPLEXED", "INT_16", 0, 0);
    nd_test_write(nd_test_temp("small.eeg"), frames, sizeof frames);
    expect_brainvision();
    write_header("BINARY", "MULTIPLEXED", "INT_32", 0, 0);
    nd_test_write(nd_test_temp("small.eeg"), whole, sizeof whole);
    expect_brainvision();
    write_header("BINARY", "VECTORIZED", "IEEE_FLOAT_32", 0, 0);
    nd_test_write(nd_test_temp("small.eeg"), rows, sizeof rows);
    expect_brainvision();
    write_header("ASCII", "MULTIPLEXED", "", 1, 0);
    nd_test_write_text("small.eeg", "Fp HEOG\r\n-2,0 0\r\n-1 10\r\n0 20\r\n1,0 30\r\n2 40\r\n3 50\r\n");
    expect_brainvision();
    write_header("ASCII", "VECTORIZED", "", 0, 1);
    nd_test_write_text("small.eeg", "Fp -2 -1,0 0 1 2 3\nHEOG 0 10 20 30 40 50\n");
    expect_brainvision();
}

static void brainvision_refusals(void **state)
{
    (void)state;
    nd_recording *r;
    const char *path = nd_test_temp("small.vhdr");
    write_header("BINARY", "DIAGONAL", "INT_16", 0, 0);
    FAILS(ND_ERR_UNSUPPORTED, "got 'DIAGONAL'", nd_recording_open(&r, path, NULL));
    write_header("BINARY", "MULTIPLEXED", "INT_17", 0, 0);
    FAILS(ND_ERR_UNSUPPORTED, "got 'INT_17'", nd_recording_open(&r, path, NULL));
    nd_test_write_text("lonely.vhdr",
                       "Brain Vision Data Exchange Header File\n[Common Infos]\nSamplingInterval=1\nNumberOfChannels=1\nDataFile=../../none.eeg\n");
    FAILS(ND_ERR_IO, "none.eeg", nd_recording_open(&r, nd_test_temp("lonely.vhdr"), NULL));
    nd_test_write_text("lonely.vhdr", "Brain Vision Data Exchange Header File\n[Common Infos]\nSamplingInterval=x\n");
    FAILS(ND_ERR_FORMAT, "SamplingInterval: got 'x'", nd_recording_open(&r, nd_test_temp("lonely.vhdr"), NULL));
}

static void table(void **state)
{
    (void)state;
    nd_recording_options o;
    nd_recording *r, *found;
    OK(nd_recording_options_init(&o, sizeof o));
    nd_test_write_text("muse.csv", "timestamps,TP9,Right AUX,Marker0\n10.000,1,2,0\n10.004,3,4,1\n10.008,5,6,0\n10.012,7,8,2\n10.016,9,10,0\n");
    o.unit = "uV";
    OK(nd_recording_open(&r, nd_test_temp("muse.csv"), &o));
    assert_int_equal(info_of(r).n_channels, 3);
    assert_true(fabs(info_of(r).rate - 250) < 1e-6);
    expect_channel(r, 1, "Right AUX", "eeg", "V");
    expect_channel(r, 2, "Marker0", "stim", "");
    OK(nd_recording_find_events(&found, r, NULL));
    assert_int_equal(info_of(found).n_events, 2);
    expect_event(found, 0, 1, 0, 1, "");
    expect_event(found, 1, 3, 0, 2, "");
    double *x = data_of(r);
    near(x[5 + 4], 10e-6);
    near(x[10 + 3], 2);
    free(x);
    nd_recording_free(found);
    nd_recording_free(r);
    o.types = "eeg eeg";
    FAILS(ND_ERR_ARGUMENT, "2 channel types", nd_recording_open(&r, nd_test_temp("muse.csv"), &o));
}

/* ---- damage and lack of memory ---- */

static void read_damaged(const uint8_t *bytes, size_t n)
{
    stream *s;
    content *c;
    static double x[8192];
    uint8_t *exact = malloc(n ? n : 1);
    memcpy(exact, bytes, n);
    OK(ndi_stream_open_memory(&s, exact, n, "damaged"));
    const nd_status status = ndi_content_open_stream(&c, s, "");
    if (status != ND_OK) assert_true(strncmp(nd_last_error(), "damaged", 7) == 0);
    for (size_t k = 0; status == ND_OK && c->signals && k < c->signals->n_channels; k++)
        (void)ndi_signals_read(c->signals, &k, 1, 0, c->signals->n_samples < 8192 ? (size_t)c->signals->n_samples : 8192, x);
    if (status == ND_OK) ndi_content_free(c);
    free(exact);
}

static void damage(void **state)
{
    (void)state;
    uint8_t bytes[ND_TEST_BYTES];
    size_t (*const make[])(uint8_t *) = { nd_test_edf, nd_test_fif };
    for (size_t f = 0; f < 2; f++) {
        const size_t n = make[f](bytes);
        for (size_t cut = 0; cut < n; cut++) read_damaged(bytes, cut);
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
            read_damaged(bytes, n);
            bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
    }
}

/* Headers and markers are texts that name other files: they go through the disk. */
static void damaged_texts(void **state)
{
    (void)state;
    static const char *const names[] = { "small.vhdr", "small.vmrk", "small.eeg" };
    for (size_t f = 0; f < 3; f++) {
        write_header("ASCII", "MULTIPLEXED", "", 0, 0);
        nd_test_write_text("small.eeg", "-2,0 0\n-1 10\n");
        size_t n;
        uint8_t *bytes = nd_test_read(nd_test_temp(names[f]), &n);
        for (size_t i = 0; i < 2 * n; i++) {
            nd_recording *r;
            bytes[i / 2] ^= (uint8_t)(i % 2 ? 0x40 : 0x01);
            nd_test_write(nd_test_temp(names[f]), bytes, i % 2 ? n : i / 2);
            if (nd_recording_open(&r, nd_test_temp("small.vhdr"), NULL) == ND_OK) free(data_of(r));
            nd_recording_free(r);
            bytes[i / 2] ^= (uint8_t)(i % 2 ? 0x40 : 0x01);
        }
        free(bytes);
    }
}

static nd_status go_all_the_way(void *path)
{
    nd_recording *r = NULL, *found = NULL, *filtered = NULL;
    nd_dataset *d = NULL;
    nd_filter_options f;
    nd_epoch_options e;
    nd_status status = nd_recording_open(&r, path, NULL);
    nd_filter_options_init(&f, sizeof f);
    nd_epoch_options_init(&e, sizeof e);
    f.high = 30;
    f.n_threads = e.n_threads = 1;
    e.start = 0;
    e.end = 0.02;
    e.reject = "eeg=1";
    if (status == ND_OK) status = nd_recording_find_events(&found, r, NULL);
    if (status == ND_OK) status = nd_recording_filter(&filtered, found, &f, NULL, NULL);
    if (status == ND_OK) status = nd_recording_epoch(&d, filtered, &e, NULL, NULL, NULL);
    nd_recording_free(r);
    nd_recording_free(found);
    nd_recording_free(filtered);
    nd_dataset_free(d);
    return status;
}

static nd_status open_and_close(void *path)
{
    nd_recording *r;
    const nd_status status = nd_recording_open(&r, path, NULL);
    nd_recording_free(r);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    uint8_t bytes[ND_TEST_BYTES];
    char path[512];
    snprintf(path, sizeof path, "%s", nd_test_temp("memory_raw.fif"));
    nd_test_write(path, bytes, nd_test_fif(bytes));
    assert_true(nd_test_faults(go_all_the_way, path) > 40);
    snprintf(path, sizeof path, "%s", nd_test_temp("memory.edf"));
    nd_test_write(path, bytes, nd_test_edf(bytes));
    assert_true(nd_test_faults(open_and_close, path) > 10);
    write_header("ASCII", "MULTIPLEXED", "", 0, 0);
    nd_test_write_text("small.eeg", "-2,0 0\n-1 10\n");
    snprintf(path, sizeof path, "%s", nd_test_temp("small.vhdr"));
    assert_true(nd_test_faults(open_and_close, path) > 10);
    nd_test_write_text("memory.csv", "time,A,stim\n0,1,0\n1,2,1\n");
    snprintf(path, sizeof path, "%s", nd_test_temp("memory.csv"));
    assert_true(nd_test_faults(open_and_close, path) > 10);
}

/* ---- operations ---- */

/* Value of the trigger channel by sample, and what mne.find_events makes of it. */
static void events(void **state)
{
    (void)state;
    static const double trigger[20] = { 3, 3, 0, 5, 5, 0, 0, 32, 33, 32, 0, 4, 0, 6, 7, 7, 0, 0, 2, 2 };
    static const struct {
        nd_events_options o;
        size_t n;
        int32_t codes[8];
        uint64_t samples[8];
    } cases[] = {
        { { .consecutive = 2 }, 7, { 5, 32, 33, 4, 6, 7, 2 }, { 3, 7, 8, 11, 13, 14, 18 } },
        { { .consecutive = 1 }, 8, { 5, 32, 33, 32, 4, 6, 7, 2 }, { 3, 7, 8, 9, 11, 13, 14, 18 } },
        { { .consecutive = 0 }, 5, { 5, 32, 4, 6, 2 }, { 3, 7, 11, 13, 18 } },
        { { .consecutive = 2, .initial_event = 1 }, 8, { 3, 5, 32, 33, 4, 6, 7, 2 }, { 0, 3, 7, 8, 11, 13, 14, 18 } },
        { { .consecutive = 2, .min_duration = 0.02 }, 3, { 5, 7, 2 }, { 3, 14, 18 } },
        { { .consecutive = 2, .mask = 1 }, 3, { 1, 1, 1 }, { 3, 8, 14 } },
        { { .consecutive = 2, .mask = 1, .mask_not = 1 }, 5, { 4, 32, 4, 6, 2 }, { 3, 7, 11, 13, 18 } },
    };
    nd_recording_options o;
    nd_recording *r, *found;
    OK(nd_recording_options_init(&o, sizeof o));
    o.types = "stim";
    o.rate = 100;
    OK(nd_recording_create(&r, trigger, 1, 20, &o));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nd_events_options given = cases[i].o;
        given.size = sizeof given;
        OK(nd_recording_find_events(&found, r, &given));
        if (info_of(found).n_events != cases[i].n) fail_msg("case %zu: %zu events, expected %zu", i, info_of(found).n_events, cases[i].n);
        for (size_t k = 0; k < cases[i].n; k++) expect_event(found, k, cases[i].samples[k], 0, cases[i].codes[k], "");
        nd_recording_free(found);
    }
    nd_recording_free(r);
}

static void selection(void **state)
{
    (void)state;
    double x[5 * 4];
    nd_recording *r, *s;
    nd_recording_options o;
    for (size_t i = 0; i < 20; i++) x[i] = (double)(i * i);
    OK(nd_recording_options_init(&o, sizeof o));
    o.channels = "Fp1 O1 Oz HEOG STI";
    o.types = "eeg eeg eeg eog stim";
    o.rate = 4;
    OK(nd_recording_create(&r, x, 5, 4, &o));
    OK(nd_recording_select_channels(&s, r, "eog, occipital, /^F/"));
    expect_channel(s, 0, "HEOG", "eog", "");
    expect_channel(s, 1, "O1", "eeg", "");
    expect_channel(s, 3, "Fp1", "eeg", "");
    double *y = data_of(s);
    assert_memory_equal(y, x + 12, 4 * sizeof *x);
    free(y);
    nd_recording_free(s);
    FAILS(ND_ERR_ARGUMENT, "'Pz' is no channel", nd_recording_select_channels(&s, r, "O1 Pz"));
    FAILS(ND_ERR_ARGUMENT, "/(/", nd_recording_select_channels(&s, r, "/(/"));
    OK(nd_recording_rereference(&s, r, "average"));
    y = data_of(s);
    for (size_t i = 0; i < 4; i++) {
        near(y[i], x[i] - (x[i] + x[4 + i] + x[8 + i]) / 3);
        assert_true(y[12 + i] == x[12 + i] && y[16 + i] == x[16 + i]);
    }
    free(y);
    nd_recording_free(s);
    nd_recording *t;
    OK(nd_recording_set_events(&s, r, (const uint64_t[]){ 3, 1 }, (const int32_t[]){ 8, 9 }, 2));
    expect_event(s, 0, 1, 0, 9, "");
    OK(nd_recording_crop(&t, s, 0.5, 9));
    assert_int_equal(info_of(t).n_samples, 2);
    assert_int_equal(info_of(t).n_events, 1);
    expect_event(t, 0, 1, 0, 8, "");
    nd_recording_free(t);
    FAILS(ND_ERR_ARGUMENT, "sample 4", nd_recording_set_events(&t, r, (const uint64_t[]){ 4 }, (const int32_t[]){ 8 }, 1));
    nd_recording_free(s);
    nd_recording_free(r);
}

static int32_t stop_at_once(const nd_progress *p, void *user)
{
    (void)p;
    (void)user;
    return 1;
}

static void epochs(void **state)
{
    (void)state;
    enum { N = 200 };
    double x[2 * N];
    nd_recording *r, *s;
    nd_dataset *d;
    nd_recording_options o;
    nd_epoch_options e;
    nd_epoch_report report = { .size = sizeof report };
    for (size_t i = 0; i < N; i++) {
        x[i] = 0.01 * (double)(i * i);
        x[N + i] = i == 60 ? 500 : i >= 140 ? 1 : (double)(i % 7);
    }
    OK(nd_recording_options_init(&o, sizeof o));
    o.rate = 100;
    OK(nd_recording_create(&r, x, 2, N, &o));
    OK(nd_recording_set_events(&s, r, (const uint64_t[]){ 5, 30, 58, 90, 150, 195 }, (const int32_t[]){ 1, 1, 2, 2, 3, 1 }, 6));
    OK(nd_epoch_options_init(&e, sizeof e));
    e.start = -0.05;
    e.end = 0.1;
    e.reject = "eeg=400";
    e.flat = "eeg=0.5";
    e.events = "house=1 face=2 3";
    OK(nd_recording_epoch(&d, s, &e, &report, NULL, NULL));
    assert_int_equal(report.n_events, 6);
    assert_int_equal(report.n_kept, 3);
    assert_int_equal(report.n_outside, 1);
    assert_int_equal(report.n_peak_to_peak, 1);
    assert_int_equal(report.n_flat, 1);
    assert_int_equal(report.worst_channel, 1);
    assert_int_equal(report.worst_count, 2);
    nd_dataset_info info = { .size = sizeof info };
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_samples, 16);
    assert_true(info.start == -0.05 && info.rate == 100);
    nd_trial trial = { .size = sizeof trial };
    OK(nd_dataset_get_trial(d, 1, &trial));
    assert_string_equal(trial.image, "house");
    assert_int_equal(trial.repetition, 1);
    OK(nd_dataset_get_trial(d, 2, &trial));
    assert_string_equal(trial.image, "face");
    float y[32];
    double mean = 0;
    OK(nd_dataset_get_data(d, 1, 1, y, 32));
    for (size_t i = 25; i <= 30; i++) mean += x[i] / 6; /* -50 .. 0 ms, both included */
    for (size_t i = 0; i < 16; i++) assert_true(fabs((double)y[i] - (x[25 + i] - mean)) < 1e-5);
    nd_dataset_free(d);
    e.decimate = 4;
    e.baseline = 0;
    OK(nd_recording_epoch(&d, s, &e, NULL, NULL, NULL));
    OK(nd_dataset_get_info(d, &info));
    assert_true(info.n_samples == 4 && info.rate == 25 && fabs(info.start + 0.04) < 1e-12);
    OK(nd_dataset_get_data(d, 1, 1, y, 32));
    for (size_t i = 0; i < 4; i++) assert_true(y[i] == (float)x[26 + 4 * i]);
    nd_dataset_free(d);
    FAILS(ND_ERR_CANCELLED, "", nd_recording_epoch(&d, s, &e, NULL, stop_at_once, NULL));
    e.events = "9";
    FAILS(ND_ERR_ARGUMENT, "none of the 6 events", nd_recording_epoch(&d, s, &e, NULL, NULL, NULL));
    e.events = NULL;
    e.reject = "meg=1";
    FAILS(ND_ERR_ARGUMENT, "no channel of type 'meg'", nd_recording_epoch(&d, s, &e, NULL, NULL, NULL));
    nd_recording_free(s);
    nd_recording_free(r);
}

/* ---- real files ---- */

static const struct {
    const char *path;
    size_t n_channels, n_samples, n_events, n_triggers;
    double first, middle; /* sums of |x| of the first channel and of the one in the middle */
} fixtures[] = {
    { "brainvision/test.vhdr", 32, 7900, 13, 0, 0.1894055, 0.19692500000000002 },
    { "brainvision/test_mixed_lowpass.vhdr", 32, 7900, 13, 0, 0.1894055, 0.19692500000000002 },
    { "brainvision/test_old_layout_latin1_software_filter.vhdr", 29, 251, 1, 0, 0.0009778599995717407, 0.0002413600002579391 },
    { "brainvision/test_units.vhdr", 32, 7900, 13, 0, 0.18940550000000003, 0.19692500000000002 },
    { "brainvision/testv2.vhdr", 32, 7900, 12, 0, 0.1894055, 0.19692500000000002 },
    { "edf_bdf/duplicate_channel_labels.edf", 3, 2500, 0, 0, 0.08082719999999999, 0.07005699999999998 },
    { "edf_bdf/test.bdf", 73, 2048, 0, 1, 30.04966188016992, 7.902321052863839 },
    { "edf_bdf/test.edf", 139, 3072, 5, 13, 0.04307, 0.034495 },
    { "edf_bdf/test_bdf_stim_channel.bdf", 4, 5000, 0, 9, 45.097572139442704, 83.79919681306345 },
    { "edf_bdf/test_edf_stim_channel.edf", 25, 1228, 0, 0, 216.0413533635462, 266.34946676548407 },
    { "edf_bdf/test_stim_channel.edf", 3, 120000, 0, 1200, 99708000.0, 99708000.0 },
    { "edf_bdf/test_uneven_samp.edf", 2, 11000, 0, 0, 34976.025390625, 34976.025390625 },
    { "fif/brainvision_test_bin_raw.fif", 33, 7900, 0, 10, 0.18940549952179708, 0.18925799952216948 },
    { "fif/exported4D_linux_raw.fif", 250, 305, 0, 15, 5.3369044209980454e-11, 7.964135397713935e-11 },
    { "fif/exported4D_solaris_raw.fif", 253, 678, 0, 0, 9.440555799495882e-10, 4.595859346573101e-10 },
    { "fif/kit_test_bin_raw.fif", 158, 2000, 0, 2, 7.051947356267744e-10, 4.448024757264444e-10 },
    { "fif/test_ctf_comp_raw.fif", 340, 241, 0, 0, 61455.0, 2.3834116212542635e-11 },
};

static void expect_sum(const double *x, size_t n, double wanted, const char *path)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += fabs(x[i]);
    if (!(fabs(sum - wanted) <= 1e-9 * wanted)) fail_msg("%s: %.17g, expected %.17g", path, sum, wanted);
}

static void real_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        char name[256];
        snprintf(name, sizeof name, "fixtures/%s", fixtures[i].path);
        const char *path = nd_test_data_path(name);
        if (!path) skip();
        nd_recording *r = open(path), *found;
        const nd_recording_info info = info_of(r);
        assert_int_equal(info.n_channels, fixtures[i].n_channels);
        assert_int_equal(info.n_samples, fixtures[i].n_samples);
        assert_int_equal(info.n_events, fixtures[i].n_events);
        double *x = data_of(r);
        expect_sum(x, fixtures[i].n_samples, fixtures[i].first, path);
        expect_sum(x + (info.n_channels - 1) / 2 * fixtures[i].n_samples, fixtures[i].n_samples, fixtures[i].middle, path);
        if (fixtures[i].n_triggers) {
            OK(nd_recording_find_events(&found, r, NULL));
            assert_int_equal(info_of(found).n_events, fixtures[i].n_triggers);
            nd_recording_free(found);
        }
        free(x);
        nd_recording_free(r);
    }
}

static void refused_files(void **state)
{
    (void)state;
    static const char *const names[] = { "306m.fif.gz",  "small-src.fif.gz", "test-ave.fif.gz", "test-cov.fif",
                                         "test-eve.fif", "test-proj.fif",    "trans-sample.fif" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[256];
        nd_recording *r;
        snprintf(name, sizeof name, "fixtures/fif/%s", names[i]);
        const char *path = nd_test_data_path(name);
        if (!path) skip();
        FAILS(ND_ERR_UNSUPPORTED, names[i], nd_recording_open(&r, path, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edf),
        cmocka_unit_test(edf_refusals),
        cmocka_unit_test(fif),
        cmocka_unit_test(brainvision),
        cmocka_unit_test(brainvision_refusals),
        cmocka_unit_test(table),
        cmocka_unit_test(damage),
        cmocka_unit_test(damaged_texts),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(events),
        cmocka_unit_test(selection),
        cmocka_unit_test(epochs),
        cmocka_unit_test(real_files),
        cmocka_unit_test(refused_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
