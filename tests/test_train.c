/* Training: schedules, the same bits whatever the threads and wherever it was interrupted, and what it refuses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "approx.h"
#include "base/random.h"
#include "fault.h"
#include "neurodecode.h"
#include "temp.h"
#include "train/schedule.h"
#include "training.h"

/* ---- schedules ---- */

static void schedules(void **state)
{
    (void)state;
    nd_train_options o;
    assert_int_equal(nd_train_options_init_recipe(&o, sizeof o, "reference"), ND_OK);
    assert_true(o.schedule == ND_SCHEDULE_REFERENCE && o.split_by_image == 1 && o.patience == 30);
    standing s = { 0, 100, 0, NAN };
    assert_true(ndi_learning_rate(&o, &s) == o.learning_rate);
    const double known[][2] = { { 5, 0.5 }, { 4.159, 0.631 }, { 3, 0.794 }, { 2, 0.905 }, { 1, 0.976 }, { 0.5, 0.994 }, { 15, 0.5 } };
    for (size_t i = 0; i < COUNT(known); i++) {
        s.validation_loss = known[i][0];
        assert_true(fabs(ndi_learning_rate(&o, &s) / o.learning_rate - known[i][1]) < 1e-3);
    }
    o.schedule = ND_SCHEDULE_COSINE;
    o.warmup_steps = 10;
    assert_true(fabs(ndi_learning_rate(&o, &(standing){ 4, 110, 0, 1 }) / o.learning_rate - 0.5) < 1e-3);
    assert_true(fabs(ndi_learning_rate(&o, &(standing){ 10, 110, 0, 1 }) / o.learning_rate - 1) < 1e-9);
    assert_true(fabs(ndi_learning_rate(&o, &(standing){ 60, 110, 0, 1 }) / o.learning_rate - 0.5) < 1e-3);
    assert_true(fabs(ndi_learning_rate(&o, &(standing){ 110, 110, 0, 1 }) - 1e-7) < 1e-12);
    o.schedule = ND_SCHEDULE_PLATEAU;
    assert_true(fabs(ndi_learning_rate(&o, &(standing){ 60, 110, 2, 1 }) / o.learning_rate - 0.01) < 1e-9);
    o.schedule = ND_SCHEDULE_CONSTANT;
    assert_true(ndi_learning_rate(&o, &(standing){ 109, 110, 9, 1 }) == o.learning_rate);
    assert_int_equal(nd_train_options_init_recipe(&o, sizeof o, "best"), ND_ERR_ARGUMENT);
}

/* ---- the loop ---- */

static void it_learns_and_keeps_the_best(void **state)
{
    (void)state;
    world w;
    run r;
    nd_train_info info = { .size = sizeof info };
    nd_encoder_info encoder = { .size = sizeof encoder };
    nd_test_make_world(&w);
    nd_test_prepare(&r, 1);
    r.o.epochs = 40;
    r.o.patience = 0;
    r.o.split_by_image = 1;
    assert_int_equal(nd_test_start(&r, &w, 0), ND_OK);
    double first = 0;
    assert_int_equal(nd_trainer_step(r.t, &first), ND_OK);
    assert_int_equal(nd_trainer_run(r.t, NULL, NULL), ND_OK);
    assert_int_equal(nd_trainer_get_info(r.t, &info), ND_OK);
    assert_true(info.finished && info.epoch == 40 && info.step == 40 * info.steps_per_epoch);
    assert_true(info.n_train + info.n_validation == IMAGES && info.n_validation == 6);
    assert_true(info.train_loss < 0.5 * first);
    assert_true(info.best_validation_loss <= info.validation_loss && info.best_epoch >= 1);
    assert_int_equal(nd_trainer_step(r.t, NULL), ND_ERR_STATE);
    assert_int_equal(nd_encoder_get_info(r.e, &encoder), ND_OK);
    assert_non_null(strstr(encoder.metadata, "\"bank\":\"toy\""));

    float v[IMAGES * DIM];
    size_t ranks[IMAGES];
    nd_retrieval *gallery;
    assert_int_equal(nd_retrieval_create_for(&gallery, w.bank, NULL, NULL), ND_OK);
    assert_int_equal(nd_retrieval_rank_dataset(gallery, r.e, w.dataset, ranks, IMAGES, NULL, NULL), ND_OK);
    assert_int_equal(nd_encoder_embed_dataset(r.e, w.dataset, v, IMAGES * DIM, NULL, NULL), ND_OK);
    size_t hits = 0;
    for (size_t i = 0; i < IMAGES; i++) hits += ranks[i] <= 5;
    assert_true(hits > 30); /* of 60; 5 by chance */
    nd_retrieval_free(gallery);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    world w;
    run r[3];
    nd_test_make_world(&w);
    for (int32_t k = 0; k < 3; k++) {
        nd_test_prepare(&r[k], k + 1);
        assert_int_equal(nd_test_start(&r[k], &w, 1), ND_OK);
        assert_int_equal(nd_trainer_run(r[k].t, NULL, NULL), ND_OK);
        if (k) nd_test_same_weights(&r[0], &r[k]);
    }
    for (int32_t k = 0; k < 3; k++) nd_test_end(&r[k]);
    nd_test_free_world(&w);
}

/* Batches of a mapped file, fetched ahead as if reading it were slow, in 32 and in 16 bits. */
static void batches_fetched_ahead_are_the_same(void **state)
{
    (void)state;
    for (size_t bits = 16; bits <= 32; bits += 16) {
        world w;
        run ahead, plain;
        nd_test_make_world(&w);
        const char *path = nd_test_temp("fetched.safetensors");
        nd_dataset *whole = w.dataset, *twice;
        assert_int_equal(nd_dataset_save_as(whole, path, bits == 16 ? ND_PRECISION_BFLOAT16 : ND_PRECISION_FLOAT32, NULL, NULL), ND_OK);
        nd_dataset_free(whole);
        assert_int_equal(nd_dataset_open(&whole, path, NULL, NULL, NULL), ND_OK);
        assert_int_equal(nd_dataset_concat(&twice, whole, whole), ND_OK);
        nd_dataset_free(whole);
        w.dataset = twice;
        nd_test_prepare(&ahead, 2);
        assert_int_equal(nd_test_start(&ahead, &w, 1), ND_OK);
        nd_test_prepare(&plain, 1);
        assert_int_equal(nd_test_start(&plain, &w, 1), ND_OK);
        for (size_t k = 0; k < 9; k++) { /* over the ends of epochs, with their validation */
            ahead.t->fetched = 9;
            assert_int_equal(nd_trainer_step(ahead.t, NULL), ND_OK);
            assert_true(ahead.t->fetched > 0);
            plain.t->fetched = 0;
            assert_int_equal(nd_trainer_step(plain.t, NULL), ND_OK);
        }
        nd_test_same_weights(&ahead, &plain);
        nd_test_end(&ahead);
        nd_test_end(&plain);
        nd_test_free_world(&w);
    }
}

static size_t allocations;

static bool count_allocation(void)
{
    allocations++;
    return false;
}

/* Training steps from the first on, and embedding and finding a trial from the second call on. */
static void steps_and_single_trials_allocate_nothing(void **state)
{
    (void)state;
    world w;
    run r;
    nd_retrieval *gallery;
    float x[CHANNELS * SAMPLES] = { 1 }, v[DIM];
    size_t found;
    nd_test_make_world(&w);
    nd_test_prepare(&r, 2);
    assert_int_equal(nd_test_start(&r, &w, 1), ND_OK);
    assert_int_equal(nd_retrieval_create_for(&gallery, w.bank, NULL, NULL), ND_OK);
    allocations = 0;
    for (int k = 0; k < 2; k++) {
        ndi_fault_hook = count_allocation;
        for (int i = 0; i < 3; i++) assert_int_equal(nd_trainer_step(r.t, NULL), ND_OK);
        ndi_fault_hook = k ? count_allocation : NULL;
        assert_int_equal(nd_encoder_embed(r.e, x, 1, v, DIM), ND_OK);
        assert_int_equal(nd_retrieval_search(gallery, v, 1, 1, &found, NULL), ND_OK);
    }
    ndi_fault_hook = NULL;
    assert_int_equal(allocations, 0);
    nd_retrieval_free(gallery);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

typedef struct stop_at {
    uint64_t step;
} stop_at;

static int32_t stop(const nd_progress *p, void *user) { return p->done >= ((stop_at *)user)->step; }

static void cancelled_anywhere_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    world w;
    run whole;
    nd_test_make_world(&w);
    nd_test_prepare(&whole, 2);
    assert_int_equal(nd_test_start(&whole, &w, 1), ND_OK);
    assert_int_equal(nd_trainer_run(whole.t, NULL, NULL), ND_OK);
    const char *path = nd_test_temp("checkpoint.safetensors");
    for (uint64_t step = 1; step <= 10; step += 3) {
        run cut, rest;
        stop_at at = { step };
        nd_train_info info = { .size = sizeof info };
        nd_test_prepare(&cut, 2);
        cut.o.checkpoint = path;
        assert_int_equal(nd_test_start(&cut, &w, 1), ND_OK);
        if (step < 7) { /* cancelled at the end of an epoch; this small training tells nothing in between */
            assert_int_equal(nd_trainer_run(cut.t, stop, &at), ND_ERR_CANCELLED);
        } else {        /* in the middle of one */
            for (uint64_t i = 0; i < step; i++) assert_int_equal(nd_trainer_step(cut.t, NULL), ND_OK);
            assert_int_equal(nd_trainer_save(cut.t, path), ND_OK);
        }
        assert_int_equal(nd_trainer_get_info(cut.t, &info), ND_OK);
        assert_true(info.step >= step && !info.finished);
        nd_test_prepare(&rest, 3);
        assert_int_equal(nd_test_start(&rest, &w, 1), ND_OK);
        if (nd_trainer_resume(rest.t, path) != ND_OK) fail_msg("%s", nd_last_error());
        assert_int_equal(nd_trainer_run(rest.t, NULL, NULL), ND_OK);
        nd_test_same_weights(&whole, &rest);
        nd_test_end(&cut);
        nd_test_end(&rest);
        remove(path);
    }
    nd_test_end(&whole);
    nd_test_free_world(&w);
}

static void killed_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    world w;
    nd_test_make_world(&w);
    nd_test_killed_goes_on(&w, NULL, 0);
    nd_test_free_world(&w);
}

/* Threads made before a fork are not there in the child: it makes its own. */
static void works_after_fork(void **state)
{
    (void)state;
    world w;
    run r;
    nd_test_make_world(&w);
    nd_test_prepare(&r, 2);
    assert_int_equal(nd_test_start(&r, &w, 0), ND_OK);
    assert_int_equal(nd_trainer_step(r.t, NULL), ND_OK);
    pid_t child = fork();
    if (child == 0) _exit(nd_trainer_step(r.t, NULL) == ND_OK ? 0 : 1);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && WEXITSTATUS(how) == 0);
    assert_int_equal(nd_trainer_step(r.t, NULL), ND_OK);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

static void early_stopping(void **state)
{
    (void)state;
    world w;
    run r;
    nd_train_info info = { .size = sizeof info };
    nd_test_make_world(&w);
    nd_test_prepare(&r, 1);
    r.o.epochs = 500;
    r.o.patience = 3;
    r.o.learning_rate = 3e-2;
    r.o.schedule = ND_SCHEDULE_CONSTANT;
    assert_int_equal(nd_test_start(&r, &w, 0), ND_OK);
    assert_int_equal(nd_trainer_run(r.t, NULL, NULL), ND_OK);
    assert_int_equal(nd_trainer_get_info(r.t, &info), ND_OK);
    assert_true(info.finished && info.epoch < 500 && info.epoch == info.best_epoch + 3);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

/* Sums over a batch need as many partial sums as it has chunks, and a small batch may have more of them than a large one. */
static void validation_batch_larger_than_the_training_batch(void **state)
{
    (void)state;
    world w;
    run r;
    nd_test_make_world(&w);
    nd_test_prepare(&r, 2);
    r.o.batch_size = 24;
    r.o.validation_fraction = 0.55;
    r.o.split_by_image = 1;
    assert_int_equal(nd_test_start(&r, &w, 0), ND_OK);
    assert_int_equal(nd_trainer_run(r.t, NULL, NULL), ND_OK);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

static void a_cancel_writes_the_checkpoint_that_is_not_due(void **state)
{
    (void)state;
    world w;
    run r;
    stop_at at = { 1 };
    const char *path = nd_test_temp("cancelled.safetensors");
    nd_test_make_world(&w);
    nd_test_prepare(&r, 1);
    r.o.checkpoint = path;
    r.o.checkpoint_every = 3;
    assert_int_equal(nd_test_start(&r, &w, 0), ND_OK);
    assert_int_equal(nd_trainer_run(r.t, stop, &at), ND_ERR_CANCELLED);
    assert_int_equal(access(path, R_OK), 0);
    remove(path);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

static void strings_live_as_long_as_their_handle(void **state)
{
    (void)state;
    world w;
    run r;
    nd_encoder_info info = { .size = sizeof info };
    nd_test_make_world(&w);
    nd_test_prepare(&r, 1);
    assert_int_equal(nd_test_start(&r, &w, 0), ND_OK);
    assert_int_equal(nd_encoder_get_info(r.e, &info), ND_OK);
    assert_null(strstr(info.metadata, "training"));
    assert_int_equal(nd_trainer_run(r.t, NULL, NULL), ND_OK);
    assert_null(strstr(info.metadata, "training")); /* what was handed out is still there, unchanged */
    assert_int_equal(nd_encoder_get_info(r.e, &info), ND_OK);
    assert_non_null(strstr(info.metadata, "training"));
    nd_test_end(&r);
    nd_test_free_world(&w);
}

/* ---- refusals ---- */

static void checkpoints_with_impossible_numbers(void **state)
{
    (void)state;
    world w;
    const char *path = nd_test_temp("hostile.safetensors");
    nd_test_make_world(&w);
    for (int k = 0; k < 7; k++) {
        run r, other;
        nd_test_prepare(&r, 1);
        assert_int_equal(nd_test_start(&r, &w, 1), ND_OK);
        assert_int_equal(nd_trainer_step(r.t, NULL), ND_OK);
        double *const numbers_of[] = { &r.t->at.finished, &r.t->at.log_scale.best, &r.t->at.log_scale.moments[1], &r.t->at.epoch, &r.t->at.step_in_epoch, &r.t->at.best_epoch };
        const double values[] = { NAN, NAN, -1, 1e14, 2.5, 77 };
        if (k < 6)
            *numbers_of[k] = values[k];
        else
            r.t->networks[BRAIN].moments[1][3] = -1;
        assert_int_equal(nd_trainer_save(r.t, path), ND_OK);
        nd_test_prepare(&other, 1);
        assert_int_equal(nd_test_start(&other, &w, 1), ND_OK);
        assert_int_equal(nd_trainer_resume(other.t, path), ND_ERR_FORMAT);
        assert_true(other.t->at.step == 0);
        nd_test_end(&r);
        nd_test_end(&other);
    }
    remove(path);
    nd_test_free_world(&w);
}

static void refuse(run *r, const world *w, const char *words)
{
    nd_status status = nd_test_start(r, w, 0);
    assert_int_equal(status, ND_ERR_ARGUMENT);
    assert_null(r->t);
    if (!strstr(nd_last_error(), words)) fail_msg("expected '%s' in: %s", words, nd_last_error());
    nd_test_end(r);
}

static void bad_options(void **state)
{
    (void)state;
    world w, other;
    run r;
    nd_test_make_world(&w);
    nd_test_prepare(&r, 1);
    r.o.batch_size = 55;
    refuse(&r, &w, "only 54 to train on");
    nd_test_prepare(&r, 1);
    r.o.learning_rate = NAN;
    refuse(&r, &w, "learning_rate");
    nd_test_prepare(&r, 1);
    r.o.schedule = 9;
    refuse(&r, &w, "schedule");
    nd_test_prepare(&r, 1);
    r.o.schedule = ND_SCHEDULE_REFERENCE;
    r.o.validation_fraction = 0;
    refuse(&r, &w, "validation_fraction");
    float z[2 * DIM] = { 1 };
    const char *ids[] = { "c00/image0", "elsewhere" };
    other = w;
    assert_int_equal(nd_bank_create(&other.bank, z, 2, DIM, ids, NULL), ND_OK);
    nd_test_prepare(&r, 1);
    refuse(&r, &other, "c00/image1");
    nd_bank_free(other.bank);
    assert_int_equal(nd_bank_create(&other.bank, z, 2, DIM - 1, ids, NULL), ND_OK);
    nd_test_prepare(&r, 1);
    refuse(&r, &other, "vectors of 5");
    nd_bank_free(other.bank);
    nd_test_free_world(&w);
}

static void a_step_that_overflows_changes_nothing(void **state)
{
    (void)state;
    world w;
    run r;
    nd_test_make_world(&w);
    nd_test_prepare(&r, 1);
    assert_int_equal(nd_test_start(&r, &w, 0), ND_OK);
    float huge = 3e38f;
    for (size_t i = 0; i < r.e->g->n_params; i++) r.e->params[i] = huge;
    double loss = 5;
    assert_int_equal(nd_trainer_step(r.t, &loss), ND_ERR_NUMERIC);
    assert_non_null(strstr(nd_last_error(), "step 1"));
    assert_true(loss == 5);
    for (size_t i = 0; i < r.e->g->n_params; i++) assert_true(r.e->params[i] == huge);
    for (size_t i = 0; i < r.e->g->n_state; i++) assert_true(isfinite(r.e->state[i]));
    nd_test_end(&r);
    nd_test_free_world(&w);
}

static void checkpoints_of_something_else(void **state)
{
    (void)state;
    world w;
    run r, other;
    const char *path = nd_test_temp("other.safetensors");
    nd_test_make_world(&w);
    nd_test_prepare(&r, 1);
    assert_int_equal(nd_test_start(&r, &w, 0), ND_OK);
    assert_int_equal(nd_trainer_step(r.t, NULL), ND_OK);
    assert_int_equal(nd_trainer_save(r.t, path), ND_OK);
    nd_test_prepare(&other, 1);
    other.o.seed = 7;
    assert_int_equal(nd_test_start(&other, &w, 0), ND_OK);
    assert_int_equal(nd_trainer_resume(other.t, path), ND_ERR_ARGUMENT);
    assert_non_null(strstr(nd_last_error(), "seed: the checkpoint has '42', this training has '7'"));
    nd_test_end(&other);
    nd_test_prepare(&other, 1);
    assert_int_equal(nd_test_start(&other, &w, 0), ND_OK);
    other.loss->options.mask_same_image = 1;
    assert_int_equal(nd_trainer_resume(other.t, path), ND_ERR_ARGUMENT);
    assert_non_null(strstr(nd_last_error(), "loss_pairs: the checkpoint has 'same image kept"));
    assert_int_equal(nd_encoder_save(r.e, path), ND_OK);
    assert_int_equal(nd_trainer_resume(r.t, path), ND_ERR_FORMAT);
    assert_int_equal(nd_trainer_resume(r.t, "no/such/file"), ND_ERR_IO);
    assert_int_equal(nd_trainer_save(r.t, "no/such/folder/file"), ND_ERR_IO);
    nd_test_end(&r);
    nd_test_end(&other);
    remove(path);
    nd_test_free_world(&w);
}

/* ---- the closed form ---- */

static void ridge_run(const world *w, const char *params, float *v, int32_t threads)
{
    run r;
    nd_encoder_options eo;
    nd_test_prepare(&r, threads);
    nd_encoder_options_init(&eo, sizeof eo);
    eo.embed_dim = DIM;
    eo.params = params;
    assert_int_equal(nd_encoder_create_for(&r.e, "ridge", w->dataset, &eo), ND_OK);
    assert_int_equal(nd_trainer_create(&r.t, r.e, NULL, w->dataset, w->bank, &r.o), ND_OK);
    if (nd_trainer_run(r.t, NULL, NULL) != ND_OK) fail_msg("%s", nd_last_error());
    assert_int_equal(nd_encoder_embed_dataset(r.e, w->dataset, v, IMAGES * DIM, NULL, NULL), ND_OK);
    nd_test_end(&r);
}

/* Gauss-Seidel on the normal equations, in double: slow, and nothing like the code under test. */
static void ridge_oracle(const world *w, double penalty, float *v)
{
    enum { P = CHANNELS * SAMPLES };
    static double x[IMAGES][P], weight[P], residual[IMAGES];
    float trial[P], z[IMAGES * DIM];
    nd_bank_get_vectors(w->bank, NULL, z, IMAGES * DIM);
    for (size_t i = 0; i < IMAGES; i++) {
        nd_dataset_get_data(w->dataset, i, 1, trial, P);
        for (size_t k = 0; k < P; k++) x[i][k] = (double)trial[k];
    }
    for (size_t k = 0; k < P; k++) {
        double mean = 0, square = 0;
        for (size_t i = 0; i < IMAGES; i++) mean += x[i][k] / IMAGES;
        for (size_t i = 0; i < IMAGES; i++) square += (x[i][k] - mean) * (x[i][k] - mean) / IMAGES;
        for (size_t i = 0; i < IMAGES; i++) x[i][k] = (x[i][k] - mean) / sqrt(square);
    }
    for (size_t d = 0; d < DIM; d++) {
        double mean = 0;
        for (size_t i = 0; i < IMAGES; i++) mean += (double)z[i * DIM + d] / IMAGES;
        for (size_t i = 0; i < IMAGES; i++) residual[i] = (double)z[i * DIM + d] - mean;
        memset(weight, 0, sizeof weight);
        for (int sweep = 0; sweep < 3000; sweep++)
            for (size_t k = 0; k < P; k++) {
                double gradient = -penalty * weight[k];
                for (size_t i = 0; i < IMAGES; i++) gradient += x[i][k] * residual[i];
                double change = gradient / (IMAGES + penalty);
                weight[k] += change;
                for (size_t i = 0; i < IMAGES; i++) residual[i] -= change * x[i][k];
            }
        for (size_t i = 0; i < IMAGES; i++) v[i * DIM + d] = (float)((double)z[i * DIM + d] - residual[i]);
    }
}

static void ridge_solves_its_equations(void **state)
{
    (void)state;
    world w, few;
    float v[IMAGES * DIM], expected[IMAGES * DIM], again[IMAGES * DIM];
    nd_test_make_world(&w);
    ridge_run(&w, "penalty=100", v, 1);
    ridge_oracle(&w, 100, expected);
    assert_true(nd_test_relative_error(v, expected, IMAGES * DIM) < 1e-4);
    ridge_run(&w, "penalty=100", again, 3);
    assert_memory_equal(v, again, sizeof v);
    ridge_run(&w, "penalty=20 penalty_per_feature=0.2222222222222222", again, 1); /* 20 + 360 * 0.2222 = 100 */
    assert_true(nd_test_relative_error(again, v, IMAGES * DIM) < 1e-6);
    few = w;
    assert_int_equal(nd_dataset_window(&few.dataset, w.dataset, 0, SAMPLES, 10), ND_OK); /* 4 x 9 features: fewer than trials */
    ridge_run(&few, "penalty=1e-9", v, 1);
    nd_dataset_free(few.dataset);
    ridge_run(&w, "", v, 2); /* penalty by cross-validation: fits the planted signal well */
    float z[IMAGES * DIM];
    nd_bank_get_vectors(w.bank, NULL, z, IMAGES * DIM);
    assert_true(nd_test_relative_error(v, z, IMAGES * DIM) < 0.2);
    nd_test_free_world(&w);
}

static void out_of_fold_embeddings(void **state)
{
    (void)state;
    world w;
    float v[IMAGES * DIM], z[IMAGES * DIM];
    nd_encoder_options eo;
    nd_test_make_world(&w);
    nd_encoder_options_init(&eo, sizeof eo);
    eo.params = "penalty=10";
    if (nd_cross_embed("ridge", w.dataset, w.bank, "concept", &eo, NULL, NULL, v, IMAGES * DIM, NULL, NULL) != ND_OK) fail_msg("%s", nd_last_error());
    nd_bank_get_vectors(w.bank, NULL, z, IMAGES * DIM);
    assert_true(nd_test_relative_error(v, z, IMAGES * DIM) < 0.3);
    assert_int_equal(nd_cross_embed("ridge", w.dataset, w.bank, "subject", &eo, NULL, NULL, v, IMAGES * DIM, NULL, NULL), ND_ERR_ARGUMENT);
    assert_int_equal(nd_cross_embed("ridge", w.dataset, w.bank, "tribe", &eo, NULL, NULL, v, IMAGES * DIM, NULL, NULL), ND_ERR_ARGUMENT);
    nd_test_free_world(&w);
}

/* ---- memory ---- */

static nd_status whole_training(void *context)
{
    const world *w = context;
    nd_encoder_options eo;
    nd_encoder *e = NULL;
    nd_loss *loss = NULL;
    nd_trainer *t = NULL;
    nd_train_options o;
    const char *path = nd_test_temp("fault.safetensors");
    nd_train_options_init(&o, sizeof o);
    nd_encoder_options_init(&eo, sizeof eo);
    o.epochs = 1;
    o.batch_size = 32;
    o.n_threads = 1;
    eo.n_threads = 1;
    eo.embed_dim = DIM;
    eo.params = "maps=4";
    nd_status status = nd_encoder_create_for(&e, "nice", w->dataset, &eo);
    if (status == ND_OK) status = nd_loss_create(&loss, NULL, NULL);
    if (status == ND_OK) status = nd_trainer_create(&t, e, loss, w->dataset, w->bank, &o);
    if (status == ND_OK) status = nd_trainer_run(t, NULL, NULL);
    if (status == ND_OK) status = nd_trainer_save(t, path);
    if (status == ND_OK) status = nd_trainer_resume(t, path);
    if (status == ND_OK) status = nd_encoder_save(e, path);
    nd_encoder_free(e);
    e = NULL;
    if (status == ND_OK) status = nd_encoder_open(&e, path, &eo);
    nd_trainer_free(t);
    nd_loss_free(loss);
    nd_encoder_free(e);
    remove(path);
    return status;
}

static nd_status whole_ridge(void *context)
{
    const world *w = context;
    nd_encoder_options eo;
    nd_train_options o;
    nd_encoder *e = NULL;
    nd_trainer *t = NULL;
    nd_train_options_init(&o, sizeof o);
    nd_encoder_options_init(&eo, sizeof eo);
    o.n_threads = eo.n_threads = 1;
    eo.embed_dim = DIM;
    nd_status status = nd_encoder_create_for(&e, "ridge", w->dataset, &eo);
    if (status == ND_OK) status = nd_trainer_create(&t, e, NULL, w->dataset, w->bank, &o);
    if (status == ND_OK) status = nd_trainer_run(t, NULL, NULL);
    nd_trainer_free(t);
    nd_encoder_free(e);
    return status;
}

static void every_allocation_failure_is_survived(void **state)
{
    (void)state;
    world w;
    nd_test_make_world(&w);
    nd_test_faults(whole_training, &w);
    nd_test_faults(whole_ridge, &w);
    nd_test_free_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules),
        cmocka_unit_test(it_learns_and_keeps_the_best),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(batches_fetched_ahead_are_the_same),
        cmocka_unit_test(steps_and_single_trials_allocate_nothing),
        cmocka_unit_test(cancelled_anywhere_goes_on_to_the_same_bits),
        cmocka_unit_test(killed_goes_on_to_the_same_bits),
        cmocka_unit_test(works_after_fork),
        cmocka_unit_test(early_stopping),
        cmocka_unit_test(validation_batch_larger_than_the_training_batch),
        cmocka_unit_test(a_cancel_writes_the_checkpoint_that_is_not_due),
        cmocka_unit_test(strings_live_as_long_as_their_handle),
        cmocka_unit_test(checkpoints_with_impossible_numbers),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(a_step_that_overflows_changes_nothing),
        cmocka_unit_test(checkpoints_of_something_else),
        cmocka_unit_test(ridge_solves_its_equations),
        cmocka_unit_test(out_of_fold_embeddings),
        cmocka_unit_test(every_allocation_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
