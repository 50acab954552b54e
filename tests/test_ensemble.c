/* Ensembles: the formula, files, training, and members that do not go together. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "base/random.h"
#include "check.h"
#include "encoders/encoder.h"
#include "fault.h"
#include "neurodecode.h"
#include "temp.h"

enum { TRIALS = 24, CHANNELS = 4, SAMPLES = 40, SIZE = CHANNELS * SAMPLES, DIM = 6 };

static float x[TRIALS * SIZE];
static char names[TRIALS][8];

static int draw_trials(void **state)
{
    (void)state;
    for (size_t i = 0; i < TRIALS * SIZE; i++) x[i] = (float)(2 * ndi_uniform(5, NDI_RANDOM_DRAW, 1, i) - 1);
    for (size_t i = 0; i < TRIALS; i++) snprintf(names[i], sizeof names[i], "i%zu", i);
    return 0;
}

/* Small enough to be cut at every byte. */
static const char small[] = "maps=2 kernel=3 pool=5 stride=7";

static nd_encoder_options options(size_t dim, const char *params, uint64_t seed)
{
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.n_channels = CHANNELS;
    o.n_samples = SAMPLES;
    o.embed_dim = dim;
    o.params = params;
    o.seed = seed;
    o.n_threads = 1;
    return o;
}

static nd_encoder *member(const char *kind, size_t dim, const char *params, uint64_t seed)
{
    nd_encoder *e;
    nd_encoder_options o = options(dim, params, seed);
    OK(nd_encoder_create(&e, kind, &o));
    return e;
}

static nd_dataset *people(int32_t first, int32_t n, double rate)
{
    const char *images[TRIALS];
    nd_dataset *all = NULL;
    for (size_t i = 0; i < TRIALS; i++) images[i] = names[i];
    for (int32_t k = 0; k < n; k++) {
        nd_dataset_options o;
        nd_dataset *one, *both = NULL;
        nd_dataset_options_init(&o, sizeof o);
        o.subject = first + k;
        o.rate = rate;
        OK(nd_dataset_create(&one, x, TRIALS, CHANNELS, SAMPLES, images, &o));
        if (all) {
            OK(nd_dataset_concat(&both, all, one));
            nd_dataset_free(all);
            nd_dataset_free(one);
        }
        all = all ? both : one;
    }
    return all;
}

static nd_encoder *member_for(const char *params, int32_t first, int32_t n, double rate)
{
    nd_encoder *e;
    nd_dataset *d = people(first, n, rate);
    nd_encoder_options o = options(DIM, params, 1);
    OK(nd_encoder_create_for(&e, "nice", d, &o));
    nd_dataset_free(d);
    return e;
}

static void normalise(const float *v, size_t dim, double *to)
{
    double mean = 0, length = 0;
    for (size_t d = 0; d < dim; d++) mean += (double)v[d] / (double)dim;
    for (size_t d = 0; d < dim; d++) length += ((double)v[d] - mean) * ((double)v[d] - mean);
    for (size_t d = 0; d < dim; d++) to[d] = ((double)v[d] - mean) / sqrt(length);
}

static void it_is_its_formula(void **state)
{
    (void)state;
    nd_encoder *m[] = { member("nice", DIM, small, 1), member("nice-ga", DIM, small, 2), member("ridge", DIM, NULL, 3) }, *average, *chain;
    float values[DIM * SIZE], v[3][TRIALS * DIM], mean[TRIALS * DIM], wide[TRIALS * 3 * DIM], expected[TRIALS * DIM], expected_wide[TRIALS * 3 * DIM];
    for (size_t i = 0; i < COUNT(values); i++) values[i] = (float)ndi_uniform(5, NDI_RANDOM_DRAW, 2, i);
    OK(nd_encoder_set_values(m[2], "linear.weight", values, COUNT(values)));
    for (size_t k = 0; k < 3; k++) OK(nd_encoder_embed(m[k], x, TRIALS, v[k], TRIALS * DIM));
    OK(nd_ensemble_create(&average, (const nd_encoder *const *)m, 3, ND_ENSEMBLE_AVERAGE));
    OK(nd_ensemble_create(&chain, (const nd_encoder *const *)m, 3, ND_ENSEMBLE_CONCATENATE));
    for (size_t k = 0; k < 3; k++) nd_encoder_free(m[k]);
    for (size_t i = 0; i < TRIALS; i++) {
        double sum[DIM] = { 0 }, one[DIM];
        for (size_t k = 0; k < 3; k++) {
            normalise(v[k] + i * DIM, DIM, one);
            for (size_t d = 0; d < DIM; d++) {
                sum[d] += one[d];
                expected_wide[(i * 3 + k) * DIM + d] = (float)one[d];
            }
        }
        for (size_t d = 0; d < DIM; d++) expected[i * DIM + d] = (float)(sum[d] / 3);
    }
    OK(nd_encoder_embed(average, x, TRIALS, mean, TRIALS * DIM));
    OK(nd_encoder_embed(chain, x, TRIALS, wide, TRIALS * 3 * DIM));
    assert_true(nd_test_relative_error(mean, expected, TRIALS * DIM) < 2e-6);
    assert_true(nd_test_relative_error(wide, expected_wide, TRIALS * 3 * DIM) < 2e-6);
    nd_encoder_info info = { .size = sizeof info };
    OK(nd_encoder_get_info(chain, &info));
    assert_string_equal(info.kind, "ensemble");
    assert_int_equal(info.embed_dim, 3 * DIM);
    assert_non_null(ndi_graph_tensor(chain->g, "members.1.brain_backbone.encoder.0.fn.0.conv1.lin.weight"));
    nd_encoder_free(average);
    nd_encoder_free(chain);
}

static nd_encoder *pair(int32_t mode)
{
    nd_encoder *m[] = { member("nice", DIM, small, 1), member("nice-sa", mode == ND_ENSEMBLE_AVERAGE ? DIM : DIM - 1, small, 2) }, *e;
    OK(nd_ensemble_create(&e, (const nd_encoder *const *)m, 2, mode));
    nd_encoder_free(m[0]);
    nd_encoder_free(m[1]);
    return e;
}

static void what_is_saved_opens(void **state)
{
    (void)state;
    for (int32_t mode = 0; mode < 2; mode++) {
        const char *path = nd_test_temp("pair.safetensors");
        float a[TRIALS * 2 * DIM], b[TRIALS * 2 * DIM];
        nd_encoder *e = pair(mode), *again;
        OK(nd_encoder_embed(e, x, TRIALS, a, COUNT(a)));
        OK(nd_encoder_save(e, path));
        for (int32_t threads = 1; threads <= 3; threads++) {
            nd_encoder_options o;
            nd_encoder_options_init(&o, sizeof o);
            o.n_threads = threads;
            OK(nd_encoder_open(&again, path, &o));
            assert_string_equal(again->params_text, e->params_text);
            OK(nd_encoder_embed(again, x, TRIALS, b, COUNT(b)));
            assert_memory_equal(a, b, TRIALS * e->s.dim * sizeof *a);
            nd_encoder_free(again);
        }
        nd_encoder_free(e);
        remove(path);
    }
}

/* Cut short, and with any byte of its head flipped: opened or refused, never worse. Only a flip can leave a file that opens. */
static void files_that_are_broken(void **state)
{
    (void)state;
    const char *path = nd_test_temp("broken.safetensors");
    nd_encoder *e = pair(ND_ENSEMBLE_CONCATENATE), *again;
    OK(nd_encoder_save(e, path));
    nd_encoder_free(e);
    size_t n, refused = 0;
    uint8_t *bytes = nd_test_read(path, &n);
    size_t head = 8 + ((size_t)bytes[0] | (size_t)bytes[1] << 8);
    assert_true(head < n);
    for (size_t k = 0; k < n; k += k < head ? 11 : 97) {
        nd_test_write(path, bytes, k);
        assert_true(nd_encoder_open(&again, path, NULL) != ND_OK);
        assert_null(again);
    }
    for (size_t k = 0; k < head; k++) {
        bytes[k] ^= (uint8_t)(1 << k % 8);
        nd_test_write(path, bytes, n);
        refused += nd_encoder_open(&again, path, NULL) != ND_OK;
        nd_encoder_free(again);
        bytes[k] ^= (uint8_t)(1 << k % 8);
    }
    assert_true(refused > head / 2);
    free(bytes);
    remove(path);
}

/* The members' description changed to what cannot be. */
static void descriptions_that_do_not_fit(void **state)
{
    (void)state;
    const char *bad[][2] = {
        { "{}", "0 members" },
        { "{\"members\":{}}", "0 members" },
        { "{\"members\":[7]}", "member 0: expected encoder" },
        { "{\"members\":[{\"encoder\":\"nice\",\"params\":\"\",\"embed_dim\":6}]}", "member 0: expected encoder" },
        { "{\"members\":[{\"encoder\":\"nice\",\"params\":\"\",\"embed_dim\":-6,\"metadata\":{}}]}", "member 0: expected encoder" },
        { "{\"members\":[{\"encoder\":\"ensemble\",\"params\":\"\",\"embed_dim\":6,\"metadata\":{}}]}", "got 'ensemble'" },
        { "{\"members\":[{\"encoder\":\"nice\",\"params\":\"maps=0\",\"embed_dim\":6,\"metadata\":{}}]}", "maps" },
        { "{\"members\":[{\"encoder\":\"ridge\",\"params\":\"\",\"embed_dim\":6,\"metadata\":{\"input\":{\"subjects\":[2,1]}}}]}", "input.subjects" },
        { "{\"members\":[{\"encoder\":\"ridge\",\"params\":\"\",\"embed_dim\":6,\"metadata\":{}}]}", "embed_dim is 12, the members make 6" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        nd_encoder *e = pair(ND_ENSEMBLE_CONCATENATE), *again;
        const char *path = nd_test_temp("described.safetensors");
        e->s.dim = 12;
        OK(ndi_encoder_take_meta(e, json_loads(bad[i][0], 0, NULL)));
        OK(nd_encoder_save(e, path));
        assert_int_not_equal(nd_encoder_open(&again, path, NULL), ND_OK);
        if (!strstr(nd_last_error(), bad[i][1])) fail_msg("%s gave: %s", bad[i][0], nd_last_error());
        nd_encoder_free(e);
        remove(path);
    }
}

static void refuse(nd_encoder *a, nd_encoder *b, int32_t mode, const char *why)
{
    const nd_encoder *m[] = { a, b };
    nd_encoder *e = (nd_encoder *)16;
    FAILS(ND_ERR_ARGUMENT, why, nd_ensemble_create(&e, m, 2, mode));
    assert_null(e);
    nd_encoder_free(a);
    nd_encoder_free(b);
}

static void members_that_do_not_go_together(void **state)
{
    (void)state;
    nd_encoder *wide, *e;
    nd_encoder_options o = options(DIM, small, 1);
    o.n_samples = SAMPLES + 1;
    OK(nd_encoder_create(&wide, "nice", &o));
    refuse(member("nice", DIM, small, 1), wide, ND_ENSEMBLE_CONCATENATE, "member 1: takes 4 channels x 41 samples, expected 4 x 40");
    refuse(member("nice", DIM, small, 1), member("nice", DIM + 1, small, 1), ND_ENSEMBLE_AVERAGE, "member 1: embeds into 7");
    refuse(member("nice", DIM, small, 1), pair(ND_ENSEMBLE_AVERAGE), ND_ENSEMBLE_AVERAGE, "member 1: is an ensemble");
    refuse(member("nice", DIM, small, 1), member("nice", DIM, small, 1), 2, "mode: got 2");
    refuse(member_for(small, 1, 1, 250), member_for(small, 1, 1, 200), ND_ENSEMBLE_AVERAGE, "member 1: rate: got 200, expected 250 as member 0");
    nd_encoder *only = member("nice", DIM, small, 1);
    FAILS(ND_ERR_ARGUMENT, "0 members", nd_ensemble_create(&e, (const nd_encoder *const *)&only, 0, ND_ENSEMBLE_AVERAGE));
    nd_encoder_free(only);
    const nd_encoder *none[] = { NULL };
    FAILS(ND_ERR_ARGUMENT, "NULL", nd_ensemble_create(&e, none, 1, ND_ENSEMBLE_AVERAGE));
}

/* Members with layers for people must know the same people; others need not. */
static void people_of_members(void **state)
{
    (void)state;
    const char own[] = "maps=2 kernel=3 pool=5 stride=7 subject_conv=1";
    refuse(member_for(own, 1, 2, 250), member_for(own, 2, 2, 250), ND_ENSEMBLE_AVERAGE, "member 1: its list of subjects");
    nd_encoder *m[] = { member_for(small, 8, 1, 250), member_for(own, 3, 2, 250), member_for(own, 3, 2, 250) }, *e, *again;
    const char *path = nd_test_temp("people.safetensors");
    OK(nd_ensemble_create(&e, (const nd_encoder *const *)m, 3, ND_ENSEMBLE_AVERAGE));
    OK(nd_encoder_save(e, path));
    OK(nd_encoder_open(&again, path, NULL));
    for (int32_t id = 0; id < 10; id++) {
        assert_int_equal(ndi_encoder_subject(e, id), ndi_encoder_subject(m[1], id));
        assert_int_equal(ndi_encoder_subject(again, id), ndi_encoder_subject(m[1], id));
    }
    for (size_t k = 0; k < 3; k++) nd_encoder_free(m[k]);
    nd_encoder_free(e);
    nd_encoder_free(again);
    remove(path);
}

/* All members learn, to the same bits for any threads. */
static void it_trains(void **state)
{
    (void)state;
    nd_dataset *d = people(1, 1, 250);
    nd_bank *bank;
    float *first = NULL;
    OK(nd_bank_create_one_hot(&bank, d));
    for (int32_t threads = 1; threads <= 3; threads++) {
        nd_encoder *m[] = { member("nice", TRIALS, small, 1), member("nice-ga", TRIALS, small, 2) }, *e;
        nd_loss *loss;
        nd_trainer *t;
        nd_train_options o;
        double start, end = 0;
        nd_train_options_init(&o, sizeof o);
        o.batch_size = 8;
        o.n_threads = threads;
        o.validation_fraction = 0;
        OK(nd_ensemble_create(&e, (const nd_encoder *const *)m, 2, ND_ENSEMBLE_AVERAGE));
        OK(nd_loss_create(&loss, NULL, NULL));
        OK(nd_trainer_create(&t, e, loss, d, bank, &o));
        OK(nd_trainer_step(t, &start));
        for (int k = 0; k < 3; k++) OK(nd_trainer_step(t, &end));
        assert_true(isfinite(end));
        size_t n = e->g->n_params;
        if (!first) {
            const tensor *bias = ndi_graph_tensor(e->g, "members.0.brain_backbone.projector.2.bias"),
                         *other = ndi_graph_tensor(e->g, "members.1.brain_backbone.projector.2.bias");
            assert_true(e->params[bias->at] != 0 && e->params[other->at] != 0);
            first = malloc(n * sizeof *first);
            assert_non_null(first);
            memcpy(first, e->params, n * sizeof *first);
        }
        assert_memory_equal(first, e->params, n * sizeof *first);
        nd_trainer_free(t);
        nd_loss_free(loss);
        nd_encoder_free(e);
        nd_encoder_free(m[0]);
        nd_encoder_free(m[1]);
    }
    free(first);
    nd_bank_free(bank);
    nd_dataset_free(d);
}

static nd_status make_save_open(void *context)
{
    nd_encoder *const *m = context;
    nd_encoder *e, *again = NULL;
    const char *path = nd_test_temp("faults.safetensors");
    nd_status status = nd_ensemble_create(&e, (const nd_encoder *const *)m, 2, ND_ENSEMBLE_AVERAGE);
    if (status == ND_OK) status = nd_encoder_save(e, path);
    if (status == ND_OK) status = nd_encoder_open(&again, path, NULL);
    nd_encoder_free(again);
    nd_encoder_free(e);
    remove(path);
    return status;
}

static void every_allocation_failure_is_survived(void **state)
{
    (void)state;
    nd_encoder *m[] = { member_for(small, 1, 1, 250), member_for("maps=2 kernel=3 pool=5 stride=7 subject_linear=1", 1, 2, 250) };
    nd_test_faults(make_save_open, m);
    nd_encoder_free(m[0]);
    nd_encoder_free(m[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_its_formula),
        cmocka_unit_test(what_is_saved_opens),
        cmocka_unit_test(files_that_are_broken),
        cmocka_unit_test(descriptions_that_do_not_fit),
        cmocka_unit_test(members_that_do_not_go_together),
        cmocka_unit_test(people_of_members),
        cmocka_unit_test(it_trains),
        cmocka_unit_test(every_allocation_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, draw_trials, NULL);
}
