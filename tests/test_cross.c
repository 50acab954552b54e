/* Cross-validation: what each fold is trained on and decodes, that nothing is carried from one fold to the next, and how it stops. */
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

enum { PEOPLE = 3, IMAGES = 40, CHANNELS = 3, SAMPLES = 90, DIM = 6, TESTS = 8 };

/* People see the same images; their numbers are not in order. Each has test trials of other images, but for the last, who has none. */
typedef struct world {
    nd_dataset *training, *test;
    nd_bank *bank, *gallery;
} world;

static const int32_t people[PEOPLE] = { 7, 2, 5 };

static void fill(float *x, size_t n, uint32_t stream)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)(2 * ndi_uniform(3, NDI_RANDOM_DRAW, stream, i) - 1);
}

static nd_dataset *person(size_t k, size_t n, const char *const *ids)
{
    static float x[IMAGES * CHANNELS * SAMPLES];
    nd_dataset *d;
    nd_dataset_options o;
    nd_dataset_options_init(&o, sizeof o);
    o.subject = people[k];
    fill(x, n * CHANNELS * SAMPLES, (uint32_t)(10 + k + n));
    OK(nd_dataset_create(&d, x, n, CHANNELS, SAMPLES, ids, &o));
    return d;
}

static nd_dataset *append(nd_dataset *first, nd_dataset *second)
{
    nd_dataset *both = second;
    if (first) OK(nd_dataset_concat(&both, first, second));
    nd_dataset_free(first);
    if (first) nd_dataset_free(second);
    return both;
}

static void make_world(world *w)
{
    static char names[IMAGES + TESTS][16];
    static float z[(IMAGES + TESTS) * DIM];
    const char *ids[IMAGES + TESTS];
    memset(w, 0, sizeof *w);
    for (size_t i = 0; i < IMAGES + TESTS; i++) {
        snprintf(names[i], sizeof names[i], "c%02zu/%zu", i / 2, i);
        ids[i] = names[i];
    }
    fill(z, (IMAGES + TESTS) * DIM, 1);
    for (size_t k = 0; k < PEOPLE; k++) w->training = append(w->training, person(k, IMAGES, ids));
    for (size_t k = 0; k + 1 < PEOPLE; k++) w->test = append(w->test, person(k, TESTS, ids + IMAGES));
    OK(nd_bank_create(&w->bank, z, IMAGES + TESTS, DIM, ids, NULL));
}

static void free_world(world *w)
{
    nd_dataset_free(w->training);
    nd_dataset_free(w->test);
    nd_bank_free(w->bank);
}

typedef struct choices {
    nd_encoder_options encoder;
    nd_train_options train;
    nd_cross_options cross;
} choices;

static void choose(choices *c)
{
    nd_encoder_options_init(&c->encoder, sizeof c->encoder);
    nd_train_options_init(&c->train, sizeof c->train);
    nd_cross_options_init(&c->cross, sizeof c->cross);
    c->encoder.params = "maps=3 kernel=9 pool=11";
    c->train.epochs = 2;
    c->train.batch_size = 16;
    c->cross.encoder_options = &c->encoder;
    c->cross.train_options = &c->train;
}

/* What the folds showed. */
typedef struct seen {
    const world *w;
    const choices *c;
    size_t n, trials_held;
    bool stop;
} seen;

static int32_t subject_of(const nd_dataset *d, size_t i)
{
    nd_trial t = { .size = sizeof t };
    OK(nd_dataset_get_trial(d, i, &t));
    return t.subject;
}

static size_t trials_in(const nd_dataset *d)
{
    nd_dataset_info about = { .size = sizeof about };
    OK(nd_dataset_get_info(d, &about));
    return about.n_trials;
}

/* The encoder of a fold is the one that training by hand on all others gives, bit for bit: it began afresh. */
static void check_weights(const seen *s, const nd_fold *fold)
{
    nd_encoder *e;
    nd_loss *loss;
    nd_trainer *t;
    nd_encoder_options o = s->c->encoder;
    o.embed_dim = DIM;
    OK(nd_encoder_create_for(&e, "nice", fold->train, &o));
    OK(nd_loss_create(&loss, NULL, NULL));
    OK(nd_trainer_create(&t, e, loss, fold->train, s->w->bank, &s->c->train));
    OK(nd_trainer_run(t, NULL, NULL));
    assert_memory_equal(e->params, fold->encoder->params, e->g->n_params * sizeof(float));
    nd_trainer_free(t);
    nd_loss_free(loss);
    nd_encoder_free(e);
}

static int32_t look(const nd_fold *fold, void *user)
{
    seen *s = user;
    assert_int_equal(fold->index, s->n++);
    assert_int_equal(fold->n_folds, PEOPLE);
    assert_int_equal(trials_in(fold->train), (PEOPLE - 1) * IMAGES);
    assert_int_equal(trials_in(fold->held), fold->n_trials);
    for (size_t i = 0; i < trials_in(fold->train); i++) assert_int_not_equal(subject_of(fold->train, i), people[fold->index]);
    for (size_t i = 0; i < fold->n_trials; i++) assert_int_equal(subject_of(fold->held, i), people[fold->index]);
    s->trials_held += fold->n_trials;
    if (fold->index == 1) check_weights(s, fold);
    return s->stop;
}

static void every_fold_begins_afresh(void **state)
{
    (void)state;
    world w;
    choices c;
    make_world(&w);
    choose(&c);
    seen s = { &w, &c, 0, 0, false };
    OK(nd_cross_run(w.training, w.bank, &c.cross, look, &s));
    assert_int_equal(s.n, PEOPLE);
    assert_int_equal(s.trials_held, PEOPLE * IMAGES);
    free_world(&w);
}

static int32_t look_at_tests(const nd_fold *fold, void *user)
{
    seen *s = user;
    s->n++;
    assert_int_equal(fold->n_trials, TESTS);
    for (size_t i = 0; i < TESTS; i++) {
        assert_int_equal(subject_of(fold->held, i), people[fold->index]);
        assert_int_equal(fold->trials[i], fold->index * TESTS + i);
    }
    return 0;
}

static void test_trials_are_those_of_who_is_left_out(void **state)
{
    (void)state;
    world w;
    choices c;
    make_world(&w);
    choose(&c);
    seen s = { &w, &c, 0, 0, false };
    c.cross.test = w.test;
    FAILS(ND_ERR_ARGUMENT, "fold 3 of 3: no test trials", nd_cross_run(w.training, w.bank, &c.cross, look_at_tests, &s));
    assert_int_equal(s.n, 2);
    c.cross.group = "concept";
    FAILS(ND_ERR_ARGUMENT, "matched by subject only", nd_cross_run(w.training, w.bank, &c.cross, look_at_tests, &s));
    free_world(&w);
}

static void stages(const nd_progress *p, char *text)
{
    if (!strstr(text, p->stage)) strcat(strcat(text, p->stage), ";");
}

static int32_t tell(const nd_progress *p, void *user)
{
    stages(p, user);
    return 0;
}

static void it_stops_when_asked_and_tells_how_far_it_is(void **state)
{
    (void)state;
    world w;
    choices c;
    char told[256] = "";
    make_world(&w);
    choose(&c);
    seen s = { &w, &c, 0, 0, true };
    c.cross.progress = tell;
    c.cross.user = told;
    FAILS(ND_ERR_CANCELLED, "fold 1 of 3", nd_cross_run(w.training, w.bank, &c.cross, look, &s));
    assert_int_equal(s.n, 1);
    assert_string_equal(told, "fold 1 of 3;");
    c.train.checkpoint = "x.safetensors";
    FAILS(ND_ERR_ARGUMENT, "checkpoint", nd_cross_run(w.training, w.bank, &c.cross, look, &s));
    c.train.checkpoint = NULL;
    c.cross.encoder = "nicer";
    FAILS(ND_ERR_ARGUMENT, "nicer", nd_cross_run(w.training, w.bank, &c.cross, look, &s));
    FAILS(ND_ERR_ARGUMENT, "NULL", nd_cross_run(w.training, w.bank, NULL, NULL, NULL));
    free_world(&w);
}

/* ---- projectors ---- */

enum { SPACE = 4 };

typedef struct projected {
    const world *w;
    size_t n;
    float *first; /* weights of the projector of the first fold */
} projected;

static int32_t look_at_projectors(const nd_fold *fold, void *user)
{
    projected *s = user;
    nd_encoder_info encoder = { .size = sizeof encoder }, projector = { .size = sizeof projector };
    nd_bank *gallery;
    nd_bank_info about = { .size = sizeof about };
    OK(nd_encoder_get_info(fold->encoder, &encoder));
    OK(nd_encoder_get_info(fold->projector, &projector));
    assert_true(encoder.embed_dim == SPACE && projector.embed_dim == SPACE && projector.n_channels == DIM);
    OK(nd_encoder_embed_bank(fold->projector, s->w->bank, &gallery));
    OK(nd_bank_get_info(gallery, &about));
    assert_true(about.dim == SPACE && about.n_images == IMAGES + TESTS);
    nd_bank_free(gallery);
    if (s->n++ == 0)
        memcpy(s->first, fold->projector->params, (DIM + 1) * SPACE * sizeof(float));
    else
        assert_memory_not_equal(s->first, fold->projector->params, (DIM + 1) * SPACE * sizeof(float));
    return 0;
}

static void every_fold_has_a_projector_of_its_own(void **state)
{
    (void)state;
    world w;
    choices c;
    float first[2][(DIM + 1) * SPACE];
    make_world(&w);
    choose(&c);
    c.encoder.embed_dim = SPACE;
    c.cross.projector = "linear";
    for (int again = 0; again < 2; again++) {
        projected s = { &w, 0, first[again] };
        OK(nd_cross_run(w.training, w.bank, &c.cross, look_at_projectors, &s));
        assert_int_equal(s.n, PEOPLE);
    }
    assert_memory_equal(first[0], first[1], sizeof first[0]);
    nd_encoder *given;
    nd_encoder_options o = c.encoder;
    o.params = NULL;
    o.n_channels = DIM;
    o.n_samples = 1;
    OK(nd_encoder_create(&given, "linear", &o));
    c.train.projector = given;
    projected s = { &w, 0, first[0] };
    FAILS(ND_ERR_ARGUMENT, "every fold makes its own", nd_cross_run(w.training, w.bank, &c.cross, look_at_projectors, &s));
    nd_encoder_free(given);
    free_world(&w);
}

/* ---- memory ---- */

static int32_t nothing(const nd_fold *fold, void *user)
{
    (void)fold;
    (void)user;
    return 0;
}

static nd_status run_all(void *context)
{
    const world *w = context;
    choices c;
    choose(&c);
    c.encoder.n_threads = c.train.n_threads = 1;
    c.train.epochs = 1;
    c.cross.projector = "linear";
    return nd_cross_run(w->training, w->bank, &c.cross, nothing, NULL);
}

static void every_allocation_failure_is_survived(void **state)
{
    (void)state;
    world w;
    make_world(&w);
    assert_true(nd_test_faults(run_all, &w) > 100);
    free_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fold_begins_afresh),
        cmocka_unit_test(test_trials_are_those_of_who_is_left_out),
        cmocka_unit_test(it_stops_when_asked_and_tells_how_far_it_is),
        cmocka_unit_test(every_fold_has_a_projector_of_its_own),
        cmocka_unit_test(every_allocation_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
