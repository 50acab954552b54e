/* Tables of BIDS beside a recording. */
#include <math.h>
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
#include "neurodecode/recording.h"
#include "temp.h"

/* 100 samples at 100 Hz of A, B and C: the sample's number, tenfold, hundredfold. */
static const char *write_recording(void)
{
    char text[8192] = "timestamps,A,B,C\n";
    for (int i = 0; i < 100; i++) snprintf(text + strlen(text), sizeof text - strlen(text), "%.2f,%d,%d,%d\n", i / 100.0, i, 10 * i, 100 * i);
    nd_test_write_text("sub-01_eeg.csv", text);
    return nd_test_temp("sub-01_eeg.csv");
}

static nd_status open_tables(nd_recording **r, const char *events, const char *channels)
{
    nd_recording_options o;
    nd_test_temp_clear();
    if (events) nd_test_write_text("sub-01_events.tsv", events);
    if (channels) nd_test_write_text("sub-01_channels.tsv", channels);
    OK(nd_recording_options_init(&o, sizeof o));
    o.bids = 1;
    return nd_recording_open(r, write_recording(), &o);
}

static nd_event event_of(const nd_recording *r, size_t i)
{
    nd_event e = { .size = sizeof e };
    OK(nd_recording_get_event(r, i, &e));
    return e;
}

static void expect_event(const nd_recording *r, size_t i, uint64_t sample, uint64_t duration, int32_t code, const char *words)
{
    const nd_event e = event_of(r, i);
    assert_int_equal(e.sample, sample);
    assert_int_equal(e.duration, duration);
    assert_int_equal(e.code, code);
    assert_string_equal(e.text, words);
}

static size_t count_events(const nd_recording *r)
{
    nd_recording_info info = { .size = sizeof info };
    OK(nd_recording_get_info(r, &info));
    return info.n_events;
}

static void events(void **state)
{
    (void)state;
    nd_recording *r;
    OK(open_tables(&r, "onset\tduration\ttrial_type\tvalue\n0.304\t0.1\tcat\t7\n0.1\tn/a\tdog\t9\n0.5\t0\tn/a\t11\nn/a\t1\tcat\t7\n5\t1\tcat\t7\n",
                   NULL));
    assert_int_equal(count_events(r), 3);
    expect_event(r, 0, 10, 0, 9, "dog");
    expect_event(r, 1, 30, 10, 7, "cat");
    expect_event(r, 2, 50, 0, 11, "11");
    nd_recording_free(r);
    OK(open_tables(&r, "onset\tduration\ttrial_type\n0.3\t0\tdog\n0.1\t0\tcat\n", NULL)); /* codes in alphabetical order */
    expect_event(r, 0, 10, 0, 1, "cat");
    expect_event(r, 1, 30, 0, 2, "dog");
    nd_recording_free(r);
}

static nd_channel channel_of(const nd_recording *r, size_t i)
{
    nd_channel ch = { .size = sizeof ch };
    OK(nd_recording_get_channel(r, i, &ch));
    return ch;
}

static void channels(void **state)
{
    (void)state;
    nd_recording *r, *copy;
    double x[3];
    OK(open_tables(&r, "onset\n0.5\n", "name\ttype\tunits\tstatus\nC\tMISC\tn/a\tn/a\nB\tVEOG\tmV\tbad\nA\tEEG\tuV\tgood\nnone\tEEG\tuV\tgood\n"));
    assert_string_equal(channel_of(r, 0).type, "eeg");
    assert_string_equal(channel_of(r, 1).type, "eog");
    assert_string_equal(channel_of(r, 2).type, "misc");
    assert_string_equal(channel_of(r, 1).unit, "V");
    assert_true(!channel_of(r, 0).bad && channel_of(r, 1).bad && !channel_of(r, 2).bad);
    OK(nd_recording_get_data(r, 50, 1, x, 3));
    assert_true(fabs(x[0] - 50e-6) < 1e-12 && fabs(x[1] - 0.5) < 1e-12 && x[2] == 5000);
    OK(nd_recording_resample(&copy, r, 50, NULL, NULL)); /* a copy knows it too */
    assert_true(channel_of(copy, 1).bad);
    nd_recording_free(copy);
    nd_epoch_options e;
    nd_dataset *d;
    nd_dataset_info info = { .size = sizeof info };
    OK(nd_epoch_options_init(&e, sizeof e));
    e.start = -0.1;
    e.end = 0.1;
    OK(nd_recording_epoch(&d, r, &e, NULL, NULL, NULL));
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_channels, 1);
    nd_dataset_free(d);
    e.channels = "A B"; /* unless it is named */
    OK(nd_recording_epoch(&d, r, &e, NULL, NULL, NULL));
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_channels, 2);
    nd_dataset_free(d);
    nd_recording_free(r);
}

/* Names that the recording does not have replace those it has, if there are as many. */
static void names(void **state)
{
    (void)state;
    nd_recording *r;
    OK(open_tables(&r, NULL, "name\tstatus\nFp1\tgood\nFp2\tbad\nCz\tn/a\n"));
    assert_string_equal(channel_of(r, 1).name, "Fp2");
    assert_true(channel_of(r, 1).bad);
    nd_recording_free(r);
}

static void refusals(void **state)
{
    (void)state;
    nd_recording *r;
    FAILS(ND_ERR_IO, "neither ..._channels.tsv nor ..._events.tsv", open_tables(&r, NULL, NULL));
    FAILS(ND_ERR_FORMAT, "sub-01_events.tsv: has no column 'onset'", open_tables(&r, "time\n1\n", NULL));
    FAILS(ND_ERR_FORMAT, "row 2: got 'soon', expected seconds", open_tables(&r, "onset\tduration\nsoon\t1\n", NULL));
    FAILS(ND_ERR_FORMAT, "has no column 'name'", open_tables(&r, NULL, "type\nEEG\n"));
    FAILS(ND_ERR_FORMAT, "row 3: has no name", open_tables(&r, NULL, "name\ttype\nA\tEEG\nn/a\tEEG\n"));
    FAILS(ND_ERR_FORMAT, "row 2", open_tables(&r, "onset\tduration\n1\n", NULL));
    assert_null(r);
}

static nd_status open_again(void *path)
{
    nd_recording_options o;
    nd_recording *r;
    TRY(nd_recording_options_init(&o, sizeof o));
    o.bids = 1;
    TRY(nd_recording_open(&r, path, &o));
    nd_recording_free(r);
    return ND_OK;
}

static void out_of_memory(void **state)
{
    (void)state;
    nd_recording *r;
    char path[1024];
    OK(open_tables(&r, "onset\ttrial_type\n0.1\ta\n0.2\tb\n0.3\ta\n", "name\ttype\nA\tEOG\n"));
    nd_recording_free(r);
    snprintf(path, sizeof path, "%s", nd_test_temp("sub-01_eeg.csv"));
    assert_true(nd_test_faults(open_again, path) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events), cmocka_unit_test(channels), cmocka_unit_test(names), cmocka_unit_test(refusals), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
