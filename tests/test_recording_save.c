/* Recordings written and read again: values within the steps of each format, channels and events as they were, nothing left after a failure. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "data/recording.h"
#include "fault.h"
#include "io/format.h"
#include "io/signals_write.h"
#include "neurodecode/recording.h"
#include "temp.h"

enum { C = 4, N = 1100 };

/* Channel c is about (c + 1) x 20 uV large; the last one is a trigger. */
static double sample(size_t c, size_t t)
{
    return c == 3 ? (t % 400 == 200 ? (double)(t / 400 + 5) : 0) : (double)(c + 1) * 2e-5 * sin(0.07 * (double)(t * (c + 2)));
}

static nd_recording *made(double rate)
{
    static double x[C * N];
    nd_recording_options o;
    nd_recording *r, *with_events;
    for (size_t c = 0; c < C; c++)
        for (size_t t = 0; t < N; t++) x[c * N + t] = sample(c, t);
    OK(nd_recording_options_init(&o, sizeof o));
    o.channels = "Fp1 Cz Right_AUX Status";
    o.types = "eeg ecg eeg stim";
    o.unit = "V";
    o.rate = rate;
    OK(nd_recording_create(&r, x, C, N, &o));
    OK(nd_recording_set_events(&with_events, r, (const uint64_t[]){ 3, 500, 1099 }, (const int32_t[]){ 7, 250, 7 }, 3));
    nd_recording_free(r);
    return with_events;
}

static void expect_same(const char *file, double step, const char *const texts[3])
{
    static double x[C * N];
    nd_recording *r;
    nd_recording_info info = { .size = sizeof info };
    OK(nd_recording_open(&r, file, NULL));
    OK(nd_recording_get_info(r, &info));
    assert_int_equal(info.n_channels, C);
    assert_int_equal(info.n_samples, N);
    assert_true(fabs(info.rate - 250) < 1e-9 && info.n_events == 3);
    OK(nd_recording_get_data(r, 0, N, x, C * N));
    for (size_t c = 0; c < C; c++)
        for (size_t t = 0; t < N; t++) assert_true(fabs(x[c * N + t] - sample(c, t)) <= (c == 3 ? 0 : step));
    static const uint64_t at[3] = { 3, 500, 1099 };
    static const int32_t codes[3] = { 7, 250, 7 };
    for (size_t i = 0; i < 3; i++) {
        nd_event e = { .size = sizeof e };
        OK(nd_recording_get_event(r, i, &e));
        assert_true(e.sample == at[i] && e.code == codes[i] && e.duration == 0);
        assert_string_equal(e.text, texts[i]);
    }
    static const char *const names[C] = { "Fp1", "Cz", "Right_AUX", "Status" };
    for (size_t c = 0; c < C; c++) {
        nd_channel ch = { .size = sizeof ch };
        OK(nd_recording_get_channel(r, c, &ch));
        assert_string_equal(ch.name, names[c]);
        assert_string_equal(ch.type, c == 3 ? "stim" : c == 1 && !strstr(file, ".vhdr") ? "ecg" : "eeg");
        if (c < 3) assert_string_equal(ch.unit, "V");
    }
    nd_recording_free(r);
}

static const char *const numbers[3] = { "7", "250", "7" }, *const markers[3] = { "Stimulus/S  7", "Stimulus/S250", "Stimulus/S  7" },
                         *const none[3] = { "", "", "" };

static void there_and_back(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double step; /* half of one, of a range of 120 uV, or the rounding of float32 */
        const char *const *texts;
    } cases[] = {
        { "a.edf", 60e-6 / 65535 * 1.001, numbers },
        { "a.bdf", 60e-6 / 16777215 * 1.001, numbers },
        { "a.vhdr", 60e-6 * 6e-8, markers },
        { "a.fif", 60e-6 * 6e-8, numbers },
        { "a.npz", 0, none },
        { "a.safetensors", 0, none },
    };
    nd_recording *r = made(250);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OK(nd_recording_save(r, nd_test_temp(cases[i].name), NULL, NULL));
        expect_same(nd_test_temp(cases[i].name), cases[i].step, cases[i].texts);
    }
    FAILS(ND_ERR_UNSUPPORTED, "recordings are written as", nd_recording_save(r, nd_test_temp("a.csv"), NULL, NULL));
    FAILS(ND_ERR_IO, "cannot be written", nd_recording_save(r, nd_test_temp("nowhere/a.vhdr"), NULL, NULL));
    nd_recording_free(r);
    nd_test_temp_clear();
}

/* Markers keep type, description, commas, bad spans; annotations keep colons and what they last. */
static void kinds_of_texts(void **state)
{
    (void)state;
    static const struct {
        const char *written, *from_markers;
    } cases[] = {
        { "Response/R  1", "Response/R  1" }, { "a, b: c", "Comment/a, b: c" }, { "BAD eyes", "Bad Interval/BAD eyes" }, { "x/y/z", "x/y/z" }
    };
    nd_recording *r = made(250), *read;
    for (size_t i = 0; i < 4; i++) {
        event events[1] = { { .sample = 40, .duration = 25, .text = cases[i].written } };
        channel channels[1] = { { .name = "A", .type = "eeg", .unit = "V", .scale = 1 } };
        signals s = { .n_channels = 1,
                      .channels = channels,
                      .n_samples = N,
                      .rate = 250,
                      .events = events,
                      .n_events = 1,
                      .reader = r->from->s.reader,
                      .read = r->from->s.read };
        static const char *const files[] = { "t.vhdr", "t.edf", "t.fif" };
        for (size_t k = 0; k < 3; k++) {
            progress report = { 0 };
            nd_event e = { .size = sizeof e };
            OK(ndi_signals_writer(files[k])->write(nd_test_temp(files[k]), &s, &report));
            OK(nd_recording_open(&read, nd_test_temp(files[k]), NULL));
            OK(nd_recording_get_event(read, 0, &e));
            assert_string_equal(e.text, k ? cases[i].written : cases[i].from_markers);
            assert_true(e.sample == 40 && e.duration == 25);
            nd_recording_free(read);
        }
    }
    nd_recording_free(r);
    nd_test_temp_clear();
}

/* 16 channels x 4 bytes x 250 samples a buffer: two buffers fit into a part. */
static void parts_of_fif(void **state)
{
    (void)state;
    nd_recording *r = made(250);
    signals s = r->from->s;
    event events[3] = { { .sample = 3, .code = 7, .text = "" },
                        { .sample = 500, .code = 250, .text = "" },
                        { .sample = 1099, .code = 7, .text = "" } };
    progress report = { 0 };
    s.events = events;
    s.n_events = 3;
    OK(ndi_write_fif_parts(nd_test_temp("p_raw.fif"), &s, 2 * 250 * C * 4 + 100, &report));
    assert_int_equal(nd_test_temp_count(), 3); /* 500 + 500 + 100 */
    expect_same(nd_test_temp("p_raw.fif"), 60e-6 * 6e-8, numbers);
    nd_recording_free(r);
    nd_test_temp_clear();
}

/* Rates that EDF can say exactly, and one beyond it. */
static void rates_of_edf(void **state)
{
    (void)state;
    static const double rates[] = { 0.5, 62.5, 1000.0 / 3, 512, 4096 };
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        nd_recording *r = made(rates[i]), *read;
        nd_recording_info info = { .size = sizeof info };
        nd_event e = { .size = sizeof e };
        OK(nd_recording_save(r, nd_test_temp("r.edf"), NULL, NULL));
        OK(nd_recording_open(&read, nd_test_temp("r.edf"), NULL));
        OK(nd_recording_get_info(read, &info));
        assert_true(fabs(info.rate / rates[i] - 1) < 1e-9 && info.n_samples >= N && info.n_samples < N + 4096);
        OK(nd_recording_get_event(read, 1, &e));
        assert_int_equal(e.sample, 500);
        double x[C];
        OK(nd_recording_get_data(read, info.n_samples - 1, 1, x, C)); /* filled up with the last one */
        assert_true(fabs(x[0] - sample(0, N - 1)) < 2e-9);
        nd_recording_free(read);
        nd_recording_free(r);
    }
    nd_recording *r = made(3e7);
    FAILS(ND_ERR_UNSUPPORTED, "too many for EDF", nd_recording_save(r, nd_test_temp("q.edf"), NULL, NULL));
    nd_recording_free(r);
    nd_test_temp_clear();
}

static int32_t stop(const nd_progress *p, void *user)
{
    (void)p;
    (void)user;
    return 1;
}

/* Cancelled, or with numbers no format takes: no file. */
static void nothing_left(void **state)
{
    (void)state;
    static const char *const names[] = { "c.edf", "c.bdf", "c.vhdr", "c.fif", "c.npz" };
    nd_recording *r = made(250);
    for (size_t i = 0; i < 5; i++) FAILS(ND_ERR_CANCELLED, "cancelled", nd_recording_save(r, nd_test_temp(names[i]), stop, NULL));
    nd_recording_free(r);
    const double x[4] = { 0, (double)NAN, 1, 1 }, large[2] = { 40000, 0 };
    OK(nd_recording_create(&r, x, 1, 4, NULL));
    FAILS(ND_ERR_NUMERIC, "NaN", nd_recording_save(r, nd_test_temp("c.edf"), NULL, NULL));
    nd_recording_free(r);
    nd_recording_options o;
    OK(nd_recording_options_init(&o, sizeof o));
    o.types = "stim";
    OK(nd_recording_create(&r, large, 1, 2, &o));
    FAILS(ND_ERR_UNSUPPORTED, "16 bits", nd_recording_save(r, nd_test_temp("c.edf"), NULL, NULL));
    nd_recording_free(r);
    assert_int_equal(nd_test_temp_count(), 0);
}

/* Events of arrays that do not fit together or cannot be. */
static void broken_events(void **state)
{
    (void)state;
    static const double x[2] = { 1, 2 }, cases[][3] = { { 1, 0, 0.5 }, { 1e16, 0, 1 }, { 1, (double)NAN, 1 } };
    static const char *const text[1] = { "a" }, *const names[] = { "event_codes", "event_samples", "event_durations" };
    for (size_t i = 0; i < 3; i++) {
        const put_array arrays[] = { { .name = "data", .type = DTYPE_F64, .n_dims = 2, .shape = { 1, 2 }, .data = x },
                                     { .name = "event_samples", .type = DTYPE_F64, .n_dims = 1, .shape = { 1 }, .data = &cases[i][0] },
                                     { .name = "event_durations", .type = DTYPE_F64, .n_dims = 1, .shape = { 1 }, .data = &cases[i][1] },
                                     { .name = "event_codes", .type = DTYPE_F64, .n_dims = 1, .shape = { 1 }, .data = &cases[i][2] } };
        const put_texts lists[] = { { .name = "event_texts", .items = text, .n = 1, .list = true } };
        nd_recording *r;
        OK(ndi_format_write(nd_test_temp("e.npz"), NULL, &(put){ .arrays = arrays, .n_arrays = 4, .texts = lists, .n_texts = 1 }));
        FAILS(ND_ERR_FORMAT, names[i], nd_recording_open(&r, nd_test_temp("e.npz"), NULL));
    }
    nd_test_temp_clear();
}

typedef struct saving {
    const nd_recording *r;
    const char *path;
} saving;

static nd_status save(void *context)
{
    const saving *s = context;
    return nd_recording_save(s->r, s->path, NULL, NULL);
}

static void out_of_memory(void **state)
{
    (void)state;
    static const char *const names[] = { "m.edf", "m.vhdr", "m.fif", "m.npz" };
    nd_recording *r = made(250);
    for (size_t i = 0; i < 4; i++) assert_true(nd_test_faults(save, &(saving){ r, nd_test_temp(names[i]) }) > 3);
    nd_recording_free(r);
    nd_test_temp_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back), cmocka_unit_test(kinds_of_texts), cmocka_unit_test(parts_of_fif),  cmocka_unit_test(rates_of_edf),
        cmocka_unit_test(nothing_left),   cmocka_unit_test(broken_events),  cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
