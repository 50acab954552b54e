/* Preparing THINGS-MEG: which trials go where, image ids, averages, pickles, work that goes on, what is refused. */
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
#include "io/format.h"
#include "neurodecode/dataset.h"
#include "neurodecode/preparation.h"
#include "temp.h"

/* Four concepts of two images, one of them with a test image that was shown three times, and a catch trial, in mixed order. */
enum { TRIALS = 12, SAMPLES = 281, ONE_SECOND = 201, SENSORS = 2 };

typedef struct shown {
    const char *type;
    int category, image, code;
} shown;

static const shown trials[TRIALS] = { { "exp", 2, 1, 5 }, { "test", 3, 9, 90 }, { "exp", 1, 2, 2 },   { "catch", 0, 0, 99 },
                                      { "exp", 3, 1, 6 }, { "exp", 4, 2, 9 },   { "test", 3, 9, 90 }, { "exp", 2, 2, 4 },
                                      { "exp", 1, 1, 1 }, { "test", 3, 9, 90 }, { "exp", 3, 2, 7 },   { "exp", 4, 1, 8 } };
static const size_t training[] = { 8, 2, 7, 0, 11, 5 }, test[] = { 1, 6, 9 }, extended[] = { 4, 10, 1, 6, 9 }; /* in the order of codes */
static const char *const training_ids[] = { "c_1/c_1_01b", "c_1/c_1_02b", "c_2/c_2_02b", "c_2/c_2_01b", "c_4/c_4_01b", "c_4/c_4_02b" };
static const char *const test_ids[] = { "c_3/c_3_09b", "c_3/c_3_09b", "c_3/c_3_09b" };
static int codes[TRIALS];

static const char *row(size_t i)
{
    static char text[256];
    const shown *t = &trials[i];
    if (strcmp(t->type, "exp") == 0)
        snprintf(text, sizeof text, "{\"trial_type\":\"exp\",\"category_nr\":%d,\"image_path\":\"images_meg/c_%d/c_%d_%02db.jpg\"}", t->category,
                 t->category, t->category, t->image);
    else if (strcmp(t->type, "test") == 0)
        snprintf(text, sizeof text, "{\"trial_type\":\"test\",\"category_nr\":%d,\"image_path\":\"images_test_meg/c_%d_%02db.jpg\"}", t->category,
                 t->category, t->image);
    else
        snprintf(text, sizeof text, "{\"trial_type\":\"catch\",\"category_nr\":null,\"image_path\":null}");
    return text;
}

static nd_test_epochs epochs(void)
{
    for (size_t i = 0; i < TRIALS; i++) codes[i] = trials[i].code;
    return (nd_test_epochs){
        .n_trials = TRIALS, .n_samples = SAMPLES, .per_file = 5, .type = ND_TEST_FIF_F32, .first = -20, .codes = codes, .metadata = row
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

static void write_source(const nd_test_epochs *e)
{
    nd_test_temp_clear();
    nd_test_subfolder("ds/derivatives/preprocessed");
    nd_test_write_epochs("ds/derivatives/preprocessed/preprocessed_P2-epo.fif", e);
}

static nd_status create(nd_preparation **p, const char *params)
{
    nd_preparation_options o;
    OK(nd_preparation_options_init(&o, sizeof o));
    o.output = nd_test_temp("out");
    o.params = params;
    o.n_threads = 1;
    return nd_preparation_create(p, "things-meg", nd_test_temp("ds"), &o);
}

static nd_status prepare(const char *params)
{
    nd_preparation *p;
    TRY(create(&p, params));
    nd_status status = nd_preparation_run(p, NULL, NULL);
    nd_preparation_free(p);
    return status;
}

static nd_dataset *open(const char *name)
{
    nd_dataset *d;
    OK(nd_dataset_open(&d, nd_test_temp(name), NULL, NULL, NULL));
    return d;
}

/* The trials of a dataset are those of the epochs listed, from 0 to 1 s, sensors only. */
static void expect_trials(const char *name, const size_t *members, size_t n, const char *const *ids)
{
    nd_dataset *d = open(name);
    nd_dataset_info info = { .size = sizeof info };
    float x[SENSORS * ONE_SECOND];
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_trials, n);
    assert_int_equal(info.n_channels, SENSORS);
    assert_int_equal(info.n_samples, ONE_SECOND);
    for (size_t i = 0; i < n; i++) {
        nd_trial t = { .size = sizeof t };
        OK(nd_dataset_get_trial(d, i, &t));
        if (ids) assert_string_equal(t.image, ids[i]);
        OK(nd_dataset_get_data(d, i, 1, x, SENSORS * ONE_SECOND));
        for (size_t k = 0; k < SENSORS * ONE_SECOND; k++)
            assert_true(x[k] == (float)nd_test_meg_value(members[i], k / ONE_SECOND, 20 + k % ONE_SECOND));
    }
    nd_dataset_free(d);
}

static void stores(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    write_source(&e);
    OK(prepare("subject=2 extended=1"));
    expect_trials("out/sub-02_training.safetensors", training, 6, training_ids);
    expect_trials("out/sub-02_test.safetensors", test, 3, test_ids);
    expect_trials("out/sub-02_test_extended.safetensors", extended, 5, NULL);
    nd_dataset *d = open("out/sub-02_test.safetensors");
    nd_dataset_info info = { .size = sizeof info };
    nd_trial t = { .size = sizeof t };
    const char *name;
    OK(nd_dataset_get_info(d, &info));
    assert_true(info.rate == 200 && info.start == 0 && info.averaged == 1);
    OK(nd_dataset_get_channel(d, 1, &name));
    assert_string_equal(name, "MLC12-1609");
    OK(nd_dataset_get_trial(d, 2, &t));
    assert_int_equal(t.subject, 2);
    assert_int_equal(t.repetition, 2);
    nd_dataset_free(d);
}

static void averages(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    write_source(&e);
    OK(prepare("subject=2 average=1 start=-0.1 end=0"));
    nd_dataset *d = open("out/sub-02_test.safetensors");
    nd_dataset_info info = { .size = sizeof info };
    float x[SENSORS * 21];
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_trials, 1);
    assert_int_equal(info.averaged, 3);
    assert_int_equal(info.n_samples, 21);
    assert_true(info.start == -0.1);
    OK(nd_dataset_get_data(d, 0, 1, x, SENSORS * 21));
    for (size_t k = 0; k < SENSORS * 21; k++) {
        double sum = 0;
        for (size_t i = 0; i < 3; i++) sum += nd_test_meg_value(test[i], k / 21, k % 21);
        assert_true(x[k] == (float)(sum / 3));
    }
    nd_dataset_free(d);
    d = open("out/sub-02_training.safetensors");
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_trials, 6);
    nd_dataset_free(d);
}

static void all_concepts(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    write_source(&e);
    OK(prepare("subject=2 zero_shot=0"));
    static const size_t all[] = { 8, 2, 7, 0, 4, 10, 11, 5 };
    expect_trials("out/sub-02_training.safetensors", all, 8, NULL);
}

static void expect_labels(const content *c, const size_t *members, size_t n)
{
    int64_t labels[TRIALS];
    const array *a = ndi_content_array(c, "meg_labels");
    assert_non_null(a);
    assert_int_equal(a->type, DTYPE_I64);
    assert_int_equal(a->n, n);
    OK(ndi_array_read_native(a, 0, n, labels));
    for (size_t i = 0; i < n; i++) assert_int_equal(labels[i], trials[members[i]].category);
}

static void pickles(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    content *c;
    write_source(&e);
    OK(prepare("subject=2 pickles=1 atm=1"));
    expect_trials("out/preprocessed_meg/train_sub2.pkl", training, 6, training_ids);
    expect_trials("out/preprocessed_meg/test_sub2.pkl", test, 3, test_ids);
    expect_trials("out/preprocessed_meg/test_extended_sub2.pkl", extended, 5, NULL);
    OK(ndi_content_open(&c, nd_test_temp("out/preprocessed_meg/train_sub2.pkl")));
    assert_int_equal(ndi_content_array(c, "meg_data")->type, DTYPE_F64);
    assert_string_equal(ndi_content_texts(c, "meg_images")->items[0], "images_meg/c_1/c_1_01b.jpg");
    expect_labels(c, training, 6);
    ndi_content_free(c);
    OK(ndi_content_open(&c, nd_test_temp("out/sub-02/preprocessed_meg_training.pkl")));
    const size_t shape[] = { 3, 2, 1, SENSORS, ONE_SECOND };
    assert_memory_equal(ndi_content_array(c, "meg_data")->shape, shape, sizeof shape);
    assert_int_equal(ndi_content_array(c, "times")->n, ONE_SECOND);
    ndi_content_free(c);
    OK(ndi_content_open(&c, nd_test_temp("out/sub-02/preprocessed_meg_zs_test.pkl")));
    const size_t test_shape[] = { 1, 1, 3, SENSORS, ONE_SECOND };
    assert_memory_equal(ndi_content_array(c, "meg_data")->shape, test_shape, sizeof test_shape);
    assert_string_equal(ndi_content_texts(c, "ch_names")->items[0], "MLC11-1609");
    ndi_content_free(c);
}

static char *report(const char *params)
{
    static char json[8192];
    nd_preparation *p;
    OK(create(&p, params));
    OK(nd_preparation_get_report(p, json, sizeof json, NULL));
    nd_preparation_free(p);
    return json;
}

static void expect_in(const char *text, const char *part)
{
    if (!strstr(text, part)) fail_msg("'%s' does not contain '%s'", text, part);
}

static void plan(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    write_source(&e);
    const char *json = report("subject=2");
    expect_in(json, "{\"file\":\"derivatives/preprocessed/preprocessed_P2-epo.fif\",");
    expect_in(json, "\"shape\":[12,3,281]}");
    expect_in(json, "\"file\":\"derivatives/preprocessed/preprocessed_P2-epo-2.fif\"");
    expect_in(json, "\"missing\":[]");
    expect_in(json, "{\"name\":\"sub-02 training: store, 6 trials\",\"done\":false}");
    expect_in(json, "{\"file\":\"sub-02_training.safetensors\",\"bytes\":9648,\"exists\":false}");
    assert_int_equal(unlink(nd_test_temp("ds/derivatives/preprocessed/preprocessed_P2-epo-2.fif")), 0);
    expect_in(report("subject=2"), "\"missing\":[\"derivatives/preprocessed/preprocessed_P2-epo-2.fif\"]");
    FAILS(ND_ERR_IO, "1 file is missing: derivatives/preprocessed/preprocessed_P2-epo-2.fif", prepare("subject=2"));
    FAILS(ND_ERR_IO, "1 file is missing: derivatives/preprocessed/preprocessed_P1-epo.fif", prepare("subject=1"));
}

static void keep_line(int32_t level, const char *line, void *user)
{
    assert_int_equal(level, ND_LOG_WARNING);
    snprintf(user, 1024, "%s", line);
}

static void other_sizes(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    char line[1024] = "";
    write_source(&e);
    OK(nd_set_log(ND_LOG_WARNING, keep_line, line));
    report("subject=2");
    OK(nd_set_log(ND_LOG_WARNING, NULL, NULL));
    expect_in(
        line,
        "12 epochs (8 exp, 3 test, 1 catch) of 2 sensors x 281 samples at 200 Hz; published are 27048 (22248, 2400, 2400) of 271 x 281 at 200 Hz");
}

static void goes_on(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    write_source(&e);
    OK(prepare("subject=2"));
    const char *path = nd_test_temp("out/sub-02_training.safetensors");
    assert_int_equal(unlink(nd_test_temp("out/sub-02_test.safetensors")), 0);
    nd_test_write(path, "kept", 4); /* it is not made again */
    OK(prepare("subject=2"));
    size_t n;
    uint8_t *kept = nd_test_read(path, &n);
    assert_int_equal(n, 4);
    free(kept);
    expect_trials("out/sub-02_test.safetensors", test, 3, test_ids);
    FAILS(ND_ERR_STATE, "was not made with these parameters", prepare("subject=2 end=0.5"));
}

/* ---- refusals ---- */

static const char *replaced; /* what stands in place of the row of trial 2 */

static const char *changed_row(size_t i) { return i == 2 ? replaced : row(i); }

static void refusals(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "{\"trial_type\":\"exam\",\"category_nr\":1,\"image_path\":\"x\"}", "trial 2 has the trial_type 'exam', expected exp, test or catch" },
        { "{\"trial_type\":\"exp\",\"category_nr\":1.5,\"image_path\":\"x\"}", "trial 2 has the category_nr 1.5, expected a whole number" },
        { "{\"trial_type\":\"exp\",\"category_nr\":null,\"image_path\":\"x\"}", "trial 2 has the category_nr nan" },
        { "{\"trial_type\":\"exp\",\"category_nr\":1,\"image_path\":null}", "trial 2 has no image_path" },
    };
    nd_test_epochs e = epochs();
    e.metadata = changed_row;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        replaced = cases[i][0];
        write_source(&e);
        FAILS(ND_ERR_FORMAT, cases[i][1], prepare("subject=2"));
    }
    e.metadata = NULL;
    write_source(&e);
    FAILS(ND_ERR_FORMAT, "has no column 'trial_type' of text", prepare("subject=2"));
    e = epochs();
    write_source(&e);
    FAILS(ND_ERR_ARGUMENT, "has samples from -0.1 to 1.3 s, expected some from 0 to 2 s", prepare("subject=2 end=2"));
    e.type = ND_TEST_FIF_C64;
    write_source(&e);
    FAILS(ND_ERR_UNSUPPORTED, "holds complex numbers", prepare("subject=2"));
}

static nd_status prepare_once(void *context)
{
    (void)context;
    char command[1200];
    snprintf(command, sizeof command, "%s", nd_test_temp("out"));
    static const char *const files[] = { "out/sub-02_training.safetensors",    "out/sub-02_test.safetensors",
                                         "out/sub-02_preparation.json",        "out/preprocessed_meg/train_sub2.pkl",
                                         "out/preprocessed_meg/test_sub2.pkl", "out/preprocessed_meg/test_extended_sub2.pkl" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) unlink(nd_test_temp(files[i]));
    return prepare("subject=2 average=1 pickles=1 end=0.1");
}

static void out_of_memory(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    write_source(&e);
    assert_true(nd_test_faults(prepare_once, NULL) > 100);
}

static int32_t stop(const nd_progress *p, void *user)
{
    (void)p;
    (void)user;
    return 1;
}

static void cancelled(void **state)
{
    (void)state;
    const nd_test_epochs e = epochs();
    nd_preparation *p;
    write_source(&e);
    OK(create(&p, "subject=2"));
    assert_int_equal(nd_preparation_run(p, stop, NULL), ND_ERR_CANCELLED);
    nd_preparation_free(p);
    size_t n;
    assert_null(nd_test_read(nd_test_temp("out/sub-02_training.safetensors"), &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stores),        cmocka_unit_test(averages),    cmocka_unit_test(all_concepts), cmocka_unit_test(pickles),
        cmocka_unit_test(plan),          cmocka_unit_test(other_sizes), cmocka_unit_test(goes_on),      cmocka_unit_test(refusals),
        cmocka_unit_test(out_of_memory), cmocka_unit_test(cancelled),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
