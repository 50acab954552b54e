/* People: ids become rows of subject tables, layers with a part for each person, what unknown people get. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "base/random.h"
#include "check.h"
#include "encoders/encoder.h"
#include "fault.h"
#include "neurodecode.h"
#include "temp.h"

enum { PEOPLE = 3, EACH = 16, TRIALS = PEOPLE * EACH, CHANNELS = 4, SAMPLES = 90, SIZE = CHANNELS * SAMPLES, DIM = 6 };

static const int32_t id_list[PEOPLE] = { 1000000, -7, 3 }, ascending[PEOPLE] = { -7, 3, 1000000 };

static float x[TRIALS * SIZE], z[EACH * DIM];
static int32_t id_of[TRIALS];
static nd_dataset *dataset;
static nd_bank *bank;

/* All people see the same images; what a channel shows of them is each person's own. */
static int make_world(void **state)
{
    (void)state;
    static char names[EACH][16];
    const char *images[EACH];
    for (size_t i = 0; i < EACH; i++) {
        snprintf(names[i], sizeof names[i], "c%02zu/i", i);
        images[i] = names[i];
    }
    for (size_t i = 0; i < EACH * DIM; i++) z[i] = (float)(2 * ndi_uniform(1, NDI_RANDOM_DRAW, 1, i) - 1);
    for (size_t i = 0; i < TRIALS * SIZE; i++) {
        size_t image = i / SIZE % EACH, t = i % SAMPLES, channel = (i / SAMPLES + i / SIZE / EACH) % CHANNELS;
        x[i] = z[image * DIM + channel] * (float)sin((double)t / 9) + (float)ndi_uniform(1, NDI_RANDOM_DRAW, 2, i);
    }
    for (size_t p = 0; p < PEOPLE; p++) {
        nd_dataset_options o;
        nd_dataset *one, *both;
        nd_dataset_options_init(&o, sizeof o);
        o.subject = id_list[p];
        OK(nd_dataset_create(&one, x + p * EACH * SIZE, EACH, CHANNELS, SAMPLES, images, &o));
        for (size_t i = 0; i < EACH; i++) id_of[p * EACH + i] = id_list[p];
        if (dataset) {
            OK(nd_dataset_concat(&both, dataset, one));
            nd_dataset_free(dataset);
            nd_dataset_free(one);
        }
        dataset = dataset ? both : one;
    }
    OK(nd_bank_create(&bank, z, EACH, DIM, images, "toy"));
    return 0;
}

static int free_world(void **state)
{
    (void)state;
    nd_dataset_free(dataset);
    nd_bank_free(bank);
    return 0;
}

static nd_status make(nd_encoder **e, const char *kind, const char *params)
{
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.embed_dim = DIM;
    o.params = params;
    return nd_encoder_create_for(e, kind, dataset, &o);
}

static const char both[] = "subject_conv=1 subject_linear=1 pool=21";

static void fill(nd_encoder *e, const char *name, uint32_t stream)
{
    const tensor *t = ndi_graph_tensor(e->g, name);
    assert_non_null(t);
    for (size_t i = 0; i < t->n; i++) ndi_encoder_values(e, t)[i] = (float)(ndi_uniform(3, NDI_RANDOM_DRAW, stream, i) - 0.5);
}

static void check_rows(const nd_encoder *e)
{
    for (int32_t k = 0; k < PEOPLE; k++) assert_int_equal(ndi_encoder_subject(e, ascending[k]), k + 1);
    const int32_t unknown[] = { 0, 1, -8, 4, 999999, INT32_MIN, INT32_MAX };
    for (size_t k = 0; k < COUNT(unknown); k++) assert_int_equal(ndi_encoder_subject(e, unknown[k]), 0);
}

static void ids_become_rows(void **state)
{
    (void)state;
    nd_encoder *e, *again, *plain;
    const char *path = nd_test_temp("people.safetensors");
    OK(make(&e, "nice", both));
    assert_non_null(strstr(e->params_text, "subjects=3"));
    check_rows(e);
    OK(nd_encoder_save(e, path));
    OK(nd_encoder_open(&again, path, NULL));
    check_rows(again);
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.n_channels = CHANNELS;
    o.n_samples = SAMPLES;
    o.params = "subject_conv=1 subject_linear=1 pool=21 subjects=3";
    OK(nd_encoder_open_weights(&plain, "nice", path, &o)); /* knows no list: ids are rows */
    assert_int_equal(ndi_encoder_subject(plain, 2), 2);
    nd_encoder_free(e);
    nd_encoder_free(again);
    nd_encoder_free(plain);
    OK(make(&e, "nice", "subject_conv=1 pool=21 subjects=9")); /* room for more: said is said */
    assert_int_equal(ndi_graph_tensor(e->g, "subject_conv.subject.weight")->shape[0], 9);
    nd_encoder_free(e);
    OK(make(&e, "nice", "pool=21")); /* nobody asks for people */
    assert_non_null(strstr(e->params_text, "subjects=0"));
    assert_null(ndi_graph_tensor(e->g, "subject_conv.weight"));
    nd_encoder_free(e);
    remove(path);
}

/* The id 0 says that the person is unknown. */
static void unknown_people_have_no_row(void **state)
{
    (void)state;
    nd_dataset *nobody, *some;
    nd_encoder *e = NULL;
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.embed_dim = DIM;
    o.params = both;
    OK(nd_dataset_create(&nobody, x, EACH, CHANNELS, SAMPLES, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "subjects: got 0", nd_encoder_create_for(&e, "nice", nobody, &o));
    OK(nd_dataset_concat(&some, dataset, nobody));
    OK(nd_encoder_create_for(&e, "nice", some, &o));
    assert_non_null(strstr(e->params_text, "subjects=3"));
    check_rows(e);
    nd_encoder_free(e);
    nd_dataset_free(nobody);
    nd_dataset_free(some);
}

static void lists_that_are_none(void **state)
{
    (void)state;
    const char *bad[] = { "{\"subjects\":7}",     "{\"subjects\":[1,1]}",        "{\"subjects\":[2,1]}",
                          "{\"subjects\":[1.5]}", "{\"subjects\":[3000000000]}", "{\"subjects\":[\"a\"]}" };
    nd_encoder *e;
    OK(make(&e, "nice", both));
    for (size_t i = 0; i < COUNT(bad); i++) {
        FAILS(ND_ERR_FORMAT, "input.subjects", ndi_encoder_set_meta(e, "input", json_loads(bad[i], 0, NULL)));
        check_rows(e); /* as before */
    }
    nd_encoder_free(e);
}

/* Without deviations all people are alike; with them each known one differs, and the unknown have the common part. */
static void people_have_their_own_part(void **state)
{
    (void)state;
    nd_encoder *e;
    float common[TRIALS * DIM], own[TRIALS * DIM], strangers[TRIALS * DIM], all[TRIALS * DIM];
    int32_t stranger[TRIALS];
    for (size_t i = 0; i < TRIALS; i++) stranger[i] = 5 + (int32_t)i;
    OK(make(&e, "nice", both));
    OK(nd_encoder_embed(e, x, TRIALS, common, TRIALS * DIM));
    OK(nd_encoder_embed_subjects(e, x, id_of, TRIALS, own, TRIALS * DIM));
    assert_true(nd_test_relative_error(own, common, TRIALS * DIM) < 1e-5);
    fill(e, "subject_conv.subject.weight", 1);
    fill(e, "subject_linear.subject.weight", 2);
    OK(nd_encoder_embed_subjects(e, x, id_of, TRIALS, own, TRIALS * DIM));
    OK(nd_encoder_embed_subjects(e, x, stranger, TRIALS, strangers, TRIALS * DIM));
    OK(nd_encoder_embed_dataset(e, dataset, all, TRIALS * DIM, NULL, NULL));
    assert_memory_equal(strangers, common, sizeof common);
    assert_memory_equal(all, own, sizeof own);
    for (size_t i = 0; i < TRIALS; i++) assert_true(nd_test_relative_error(own + i * DIM, common + i * DIM, DIM) > 1e-2);
    FAILS(ND_ERR_BUFFER, "room for", nd_encoder_embed_subjects(e, x, id_of, TRIALS, own, TRIALS * DIM - 1));
    nd_encoder_free(e);
}

/* What an encoder has learned after a short training. */
static nd_encoder *trained(const char *params, int32_t threads)
{
    nd_encoder *e;
    nd_loss *loss;
    nd_trainer *t;
    nd_train_options o;
    nd_train_options_init(&o, sizeof o);
    o.epochs = 2;
    o.batch_size = 12;
    o.n_threads = threads;
    OK(make(&e, "nice", params));
    OK(nd_loss_create(&loss, NULL, NULL));
    OK(nd_trainer_create(&t, e, loss, dataset, bank, &o));
    OK(nd_trainer_run(t, NULL, NULL));
    nd_trainer_free(t);
    nd_loss_free(loss);
    return e;
}

static double size_of(const nd_encoder *e, const char *name)
{
    const tensor *t = ndi_graph_tensor(e->g, name);
    double sum = 0;
    for (size_t i = 0; i < t->n; i++) sum += fabs((double)ndi_encoder_values(e, t)[i]);
    return sum;
}

static void training_moves_deviations(void **state)
{
    (void)state;
    nd_encoder *first = trained(both, 1);
    assert_true(size_of(first, "subject_conv.subject.weight") > 0 && size_of(first, "subject_linear.subject.weight") > 0);
    for (int32_t threads = 2; threads <= 3; threads++) {
        nd_encoder *e = trained(both, threads);
        assert_memory_equal(e->params, first->params, e->g->n_params * sizeof(float));
        nd_encoder_free(e);
    }
    nd_encoder_free(first);
    nd_encoder *all_dropped = trained("subject_conv=1 subject_linear=1 pool=21 subject_dropout=1", 2);
    assert_true(size_of(all_dropped, "subject_conv.subject.weight") == 0 && size_of(all_dropped, "subject_linear.subject.bias") == 0);
    nd_encoder_free(all_dropped);
}

static void people_left_out_are_unknown(void **state)
{
    (void)state;
    float v[TRIALS * DIM];
    nd_encoder_options eo;
    nd_train_options to;
    nd_encoder_options_init(&eo, sizeof eo);
    nd_train_options_init(&to, sizeof to);
    eo.params = both;
    to.epochs = 1;
    to.batch_size = 12;
    OK(nd_cross_embed("nice", dataset, bank, "subject", &eo, NULL, &to, v, TRIALS * DIM, NULL, NULL));
    for (size_t i = 0; i < TRIALS * DIM; i++) assert_true(isfinite(v[i]));
}

/* Is `name` among the hyper-parameters of the kind, and what is its default? */
static bool has_param(const char *kind, const char *name, double *value)
{
    nd_param_info info = { .size = sizeof info };
    for (size_t i = 0; nd_encoder_kind_get_param(kind, i, &info) == ND_OK; i++) {
        *value = info.value;
        if (strcmp(info.name, name) == 0) return true;
    }
    return false;
}

static void hyper_parameters_all_share(void **state)
{
    (void)state;
    const char *names[] = { "subjects", "subject_conv", "subject_linear", "subject_dropout" };
    double value;
    for (size_t k = 0; k < COUNT(names); k++)
        for (const encoder_kind *const *kind = ndi_encoder_kinds; *kind; kind++)
            assert_int_equal(has_param((*kind)->name, names[k], &value), !(*kind)->fit);
    nd_encoder *e = NULL;
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.n_channels = CHANNELS;
    o.n_samples = SAMPLES;
    o.embed_dim = DIM;
    o.params = "subject_linear=1";
    FAILS(ND_ERR_ARGUMENT, "subjects: got 0", nd_encoder_create(&e, "nice", &o));
    o.params = "subject_conv=2";
    FAILS(ND_ERR_ARGUMENT, "subject_conv", nd_encoder_create(&e, "nice", &o));
    o.params = "subject_conv=1";
    FAILS(ND_ERR_ARGUMENT, "no hyper-parameter 'subject_conv'", nd_encoder_create(&e, "ridge", &o));
}

/* A kind with a table entry of the same name keeps its own, and its raw ids. */
static void kinds_keep_their_own(void **state)
{
    (void)state;
    static const param own[] = { { "subjects", true, 10, 10, 1, 20, "own" }, { "raw_subjects", true, 0, 1, 0, 1, "own" } };
    static encoder_kind kind;
    kind = *ndi_encoder_kinds[0];
    kind.name = "own";
    kind.params = own;
    kind.n_params = COUNT(own);
    size_t n = 0, subjects = 0;
    for (const param *p; (p = ndi_kind_param(&kind, n)); n++) subjects += strcmp(p->name, "subjects") == 0;
    assert_int_equal(n, 5);
    assert_int_equal(subjects, 1);
    const char *expected[][2] = {
        { NULL, " subjects=7" }, { "raw_subjects=1", "raw_subjects=1" }, { "subjects=4", "subjects=4" }, { "recipe=reference", "recipe=reference" }
    };
    for (size_t i = 0; i < COUNT(expected); i++) {
        text t = { 0 };
        OK(ndi_subjects_default(&kind, expected[i][0], 7, &t));
        assert_string_equal(t.s, expected[i][1]);
        ndi_text_free(&t);
    }
}

static nd_status make_and_embed(void *context)
{
    (void)context;
    nd_encoder *e;
    float v[4 * DIM];
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.embed_dim = DIM;
    o.n_threads = 1;
    o.params = both;
    nd_status status = nd_encoder_create_for(&e, "nice", dataset, &o);
    if (status == ND_OK) status = nd_encoder_embed_subjects(e, x, id_of, 4, v, COUNT(v));
    nd_encoder_free(e);
    return status;
}

static void every_allocation_failure_is_survived(void **state)
{
    (void)state;
    nd_test_faults(make_and_embed, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_become_rows),
        cmocka_unit_test(unknown_people_have_no_row),
        cmocka_unit_test(lists_that_are_none),
        cmocka_unit_test(people_have_their_own_part),
        cmocka_unit_test(training_moves_deviations),
        cmocka_unit_test(people_left_out_are_unknown),
        cmocka_unit_test(hyper_parameters_all_share),
        cmocka_unit_test(kinds_keep_their_own),
        cmocka_unit_test(every_allocation_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, make_world, free_world);
}
