/* The image-side projector: its gradients, learning, the bank it embeds, what is refused; and a training with everything switched on. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "check.h"
#include "fault.h"
#include "io/content.h"
#include "temp.h"
#include "training.h"

enum { WIDE = 9 };

/* The same world, but each image's vector is hidden in a longer one: a fixed mixture of it with itself and three more numbers. */
static void make_wide_world(world *w)
{
    float z[IMAGES * DIM], wide[IMAGES * WIDE];
    const char *ids[IMAGES];
    nd_test_make_world(w);
    OK(nd_bank_get_vectors(w->bank, NULL, z, IMAGES * DIM));
    for (size_t i = 0; i < IMAGES; i++) {
        OK(nd_bank_get_image(w->bank, i, &ids[i]));
        for (size_t k = 0; k < WIDE; k++) {
            double sum = ndi_uniform(4, NDI_RANDOM_DRAW, 2, i * WIDE + k) - 0.5;
            for (size_t d = 0; d < DIM; d++) sum += (ndi_uniform(4, NDI_RANDOM_DRAW, 1, k * DIM + d) - 0.5) * (double)z[i * DIM + d];
            wide[i * WIDE + k] = (float)sum;
        }
    }
    nd_bank *bank;
    OK(nd_bank_create(&bank, wide, IMAGES, WIDE, ids, "wide"));
    nd_bank_free(w->bank);
    w->bank = bank;
}

static void with_projector(run *r) { r->projector = "linear"; }

static void with_everything(run *r)
{
    with_projector(r);
    r->kind = &nd_test_loss;
    r->o.optimiser = ND_OPTIMISER_ADAM;
    r->o.no_decay = "vectors tsconv.0";
    r->o.ema_decay = 0.9;
    r->o.augment = "shift=5 smooth=0.5 noise=0.1 channel_dropout=0.1 mixco=0.15";
}

static void begin(run *r, const world *w, void (*change)(run *r), int32_t threads)
{
    nd_test_prepare(r, threads);
    change(r);
    OK(nd_test_start(r, w, 1));
}

/* ---- gradients ---- */

/* The loss of the first step with the parameters of one network moved along `direction`. */
static double loss_along(const world *w, void (*change)(run *r), size_t which, const float *direction, float by)
{
    run r;
    double loss;
    begin(&r, w, change, 1);
    nd_encoder *e = r.t->networks[which].encoder;
    for (size_t i = 0; i < e->g->n_params; i++) e->params[i] += by * direction[i];
    OK(nd_trainer_step(r.t, &loss));
    nd_test_end(&r);
    return loss;
}

/* Along the gradient itself and along random signs the whole loss, dropout and all, changes as the gradients of both networks say. */
static void check_gradients(void (*change)(run *r))
{
    const float h = 2e-3f;
    world w;
    run r;
    make_wide_world(&w);
    begin(&r, &w, change, 1);
    OK(nd_trainer_step(r.t, NULL));
    for (size_t which = 0; which < NETWORKS; which++) {
        const float *g = r.t->networks[which].grads;
        size_t n = r.t->networks[which].encoder->g->n_params;
        double norm = sqrt(ndi_squares(NULL, g, n, r.t->networks[which].norm_blocks));
        assert_true(norm > 1e-3);
        float *direction = ndi_alloc(n, sizeof *direction);
        for (uint32_t k = 0; k < 4; k++) {
            double expected = 0;
            for (size_t i = 0; i < n; i++) {
                double sign = ndi_uniform(9, NDI_RANDOM_DRAW, k, i) < 0.5 ? -1 : 1;
                direction[i] = (float)(k == 0 ? (double)g[i] / norm : sign / sqrt((double)n));
                expected += (double)direction[i] * (double)g[i];
            }
            double slope = (loss_along(&w, change, which, direction, h) - loss_along(&w, change, which, direction, -h)) / (2 * (double)h);
            if (fabs(slope - expected) > 0.01 * norm)
                fail_msg("network %zu, direction %u: slope %g, expected %g of norm %g", which, k, slope, expected, norm);
        }
        ndi_free(direction);
    }
    nd_test_end(&r);
    nd_test_free_world(&w);
}

static void gradients_of_both_networks(void **state)
{
    (void)state;
    check_gradients(with_projector);
    check_gradients(with_everything);
}

static void clipped_plainly(run *r)
{
    with_projector(r);
    r->o.optimiser = ND_OPTIMISER_SGD;
    r->o.momentum = r->o.weight_decay = 0;
    r->o.schedule = ND_SCHEDULE_CONSTANT;
    r->o.learning_rate = 1;
    r->o.clip_norm = 0.01;
}

static double distance(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sum;
}

static void one_norm_over_both(void **state)
{
    (void)state;
    world w;
    run r, start;
    make_wide_world(&w);
    begin(&r, &w, clipped_plainly, 2);
    begin(&start, &w, clipped_plainly, 1);
    OK(nd_trainer_step(r.t, NULL));
    double brain = distance(r.e->params, start.e->params, r.e->g->n_params), projector = distance(r.p->params, start.p->params, r.p->g->n_params);
    assert_true(brain > 0 && projector > 0 && fabs(sqrt(brain + projector) / 0.01 - 1) < 1e-3);
    nd_test_end(&r);
    nd_test_end(&start);
    nd_test_free_world(&w);
}

/* ---- what it is good for ---- */

static void learns_and_makes_galleries(void **state)
{
    (void)state;
    world w;
    run r;
    nd_bank *projected;
    nd_retrieval *gallery;
    size_t ranks[IMAGES], hits = 0;
    float x[IMAGES * WIDE], v[IMAGES * DIM], z[IMAGES * DIM];
    make_wide_world(&w);
    nd_test_prepare(&r, 2);
    with_projector(&r);
    r.o.epochs = 40;
    r.o.patience = 0;
    OK(nd_test_start(&r, &w, 0));
    OK(nd_trainer_run(r.t, NULL, NULL));
    OK(nd_encoder_embed_bank(r.p, w.bank, &projected));
    OK(nd_bank_get_vectors(w.bank, NULL, x, IMAGES * WIDE));
    OK(nd_bank_get_vectors(projected, "wide", z, IMAGES * DIM));
    OK(nd_encoder_embed(r.p, x, IMAGES, v, IMAGES * DIM));
    assert_memory_equal(v, z, sizeof v);
    for (size_t i = 0; i < IMAGES; i++) {
        const char *a, *b;
        OK(nd_bank_get_image(w.bank, i, &a));
        OK(nd_bank_get_image(projected, i, &b));
        assert_string_equal(a, b);
    }
    OK(nd_retrieval_create_for(&gallery, projected, NULL, NULL));
    OK(nd_retrieval_rank_dataset(gallery, r.e, w.dataset, ranks, IMAGES, NULL, NULL));
    for (size_t i = 0; i < IMAGES; i++) hits += ranks[i] <= 5;
    assert_true(hits > 30); /* of 60; 5 by chance */

    nd_encoder_info info = { .size = sizeof info };
    OK(nd_encoder_get_info(r.e, &info));
    assert_non_null(strstr(info.metadata, "\"projector\":{\"encoder\":\"linear\""));
    OK(nd_encoder_get_info(r.p, &info));
    assert_non_null(strstr(info.metadata, "\"projector_of\":{\"encoder\":\"nice\",\"params\":\"maps=8"));
    nd_bank *of_wrong_size = projected;
    FAILS(ND_ERR_ARGUMENT, "layer 'wide' of the bank has vectors of 6, the encoder takes 9 x 1",
          nd_encoder_embed_bank(r.p, projected, &of_wrong_size));
    assert_null(of_wrong_size);
    nd_retrieval_free(gallery);
    nd_bank_free(projected);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

static nd_encoder *encoder_of(const char *kind, size_t channels, size_t samples, size_t dim)
{
    nd_encoder_options o;
    nd_encoder *e;
    nd_encoder_options_init(&o, sizeof o);
    o.n_channels = channels;
    o.n_samples = samples;
    o.embed_dim = dim;
    OK(nd_encoder_create(&e, kind, &o));
    return e;
}

static void refusals(void **state)
{
    (void)state;
    const struct {
        const char *kind;
        size_t channels, samples, dim;
        const char *words;
    } bad[] = {
        { "ridge", WIDE, 1, DIM, "projector: encoder ridge has a closed form" },
        { "linear", WIDE + 1, 1, DIM, "projector: takes 10 x 1, expected 9 x 1 for the vectors of layer 'wide'" },
        { "linear", WIDE, 2, DIM, "projector: takes 9 x 2" },
        { "linear", WIDE, 1, DIM + 1, "projector: its embedding has 7, expected 6" },
    };
    world w;
    run r;
    make_wide_world(&w);
    for (size_t i = 0; i < COUNT(bad); i++) {
        nd_test_prepare(&r, 1);
        r.o.projector = r.p = encoder_of(bad[i].kind, bad[i].channels, bad[i].samples, bad[i].dim);
        FAILS(ND_ERR_ARGUMENT, bad[i].words, nd_test_start(&r, &w, 0));
        nd_test_end(&r);
    }
    nd_test_prepare(&r, 1);
    FAILS(ND_ERR_ARGUMENT, "vectors of 9, the encoder's embedding has 6", nd_test_start(&r, &w, 0));
    nd_encoder *ridge = encoder_of("ridge", CHANNELS, SAMPLES, DIM);
    nd_trainer *t;
    r.o.projector = r.p = encoder_of("linear", WIDE, 1, DIM);
    FAILS(ND_ERR_ARGUMENT, "projector: encoder ridge has a closed form", nd_trainer_create(&t, ridge, NULL, w.dataset, w.bank, &r.o));
    r.o.projector = r.e;
    FAILS(ND_ERR_ARGUMENT, "is the encoder itself", nd_trainer_create(&t, r.e, r.loss, w.dataset, w.bank, &r.o));
    float v[IMAGES * WIDE];
    r.o.projector = r.p;
    FAILS(ND_ERR_ARGUMENT, "every fold makes its own",
          nd_cross_embed("nice", w.dataset, w.bank, "concept", NULL, NULL, &r.o, v, IMAGES * WIDE, NULL, NULL));
    nd_encoder_free(ridge);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

/* ---- everything switched on ---- */

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    world w;
    run r[3];
    make_wide_world(&w);
    for (int32_t k = 0; k < 3; k++) {
        begin(&r[k], &w, with_everything, k + 1);
        OK(nd_trainer_run(r[k].t, NULL, NULL));
        if (k) nd_test_same_weights(&r[0], &r[k]);
    }
    assert_true(r[0].loss->bias > 0);
    for (int32_t k = 0; k < 3; k++) nd_test_end(&r[k]);
    nd_test_free_world(&w);
}

static void killed_goes_on_to_the_same_bits(void **state)
{
    (void)state;
    world w;
    make_wide_world(&w);
    nd_test_killed_goes_on(&w, with_everything, 1);
    nd_test_free_world(&w);
}

static void other_choices_are_named(void **state)
{
    (void)state;
    const char *words[] = { "optimiser: the checkpoint has 'adam', this training has 'sgd'",
                            "no_decay: the checkpoint has 'vectors tsconv.0', this training has 'none'",
                            "ema_decay: the checkpoint has '0.9",
                            "augment: the checkpoint has 'shift=5 ",
                            "momentum: the checkpoint has '0.9",
                            "momentum: the checkpoint has '0.9",
                            "projector: the checkpoint has 'linear', this training has 'nice'" };
    const char *path = nd_test_temp("named.safetensors");
    world w;
    run r, other;
    make_wide_world(&w);
    begin(&r, &w, with_everything, 1);
    OK(nd_trainer_step(r.t, NULL));
    OK(nd_trainer_save(r.t, path));
    for (size_t k = 0; k < COUNT(words); k++) {
        nd_test_prepare(&other, 1);
        with_everything(&other);
        if (k == 0) other.o.optimiser = ND_OPTIMISER_SGD;
        if (k == 1) other.o.no_decay = NULL;
        if (k == 2) other.o.ema_decay = 0;
        if (k == 3) other.o.augment = "shift=4 mixco=0.15";
        if (k == 4) other.o.momentum = 0.8;
        if (k == 5) other.o.nesterov = 1;
        OK(nd_test_start(&other, &w, 1));
        if (k == 6) other.t->projector = other.e;
        FAILS(ND_ERR_ARGUMENT, words[k], nd_trainer_resume(other.t, path));
        other.t->projector = other.p;
        assert_true(other.t->at.step == 0);
        nd_test_end(&other);
    }
    nd_test_end(&r);
    remove(path);
    nd_test_free_world(&w);
}

static void checkpoints_hold_what_there_is(void **state)
{
    (void)state;
    const char *path = nd_test_temp("blocks.safetensors");
    const char *always[] = { "numbers", "params", "state", "best_params", "best_state" }, *sgd[] = { "velocity" },
               *adam[] = { "adam_m", "adam_v", "ema_params", "ema_state", "projector/adam_m", "projector/ema_params" };
    world w;
    run r;
    content *c;
    make_wide_world(&w);
    for (int k = 0; k < 2; k++) {
        begin(&r, &w, k ? with_everything : clipped_plainly, 1);
        OK(nd_trainer_save(r.t, path));
        OK(ndi_content_open(&c, path));
        for (size_t i = 0; i < COUNT(always); i++) assert_non_null(ndi_content_array(c, always[i]));
        for (size_t i = 0; i < COUNT(sgd); i++) assert_int_equal(ndi_content_array(c, sgd[i]) != NULL, k == 0);
        for (size_t i = 0; i < COUNT(adam); i++) assert_int_equal(ndi_content_array(c, adam[i]) != NULL, k == 1);
        ndi_content_free(c);
        nd_test_end(&r);
    }
    remove(path);
    nd_test_free_world(&w);
}

static nd_status whole_training(void *context)
{
    const world *w = context;
    const char *path = nd_test_temp("fault.safetensors");
    nd_encoder_options eo;
    nd_bank *projected = NULL;
    run r;
    nd_test_prepare(&r, 1);
    with_everything(&r);
    r.o.epochs = 1;
    r.o.batch_size = 32;
    r.o.checkpoint = path;
    nd_encoder_options_init(&eo, sizeof eo);
    eo.n_threads = 1;
    eo.embed_dim = DIM;
    eo.params = "maps=4";
    nd_status status = nd_encoder_create_for(&r.e, "nice", w->dataset, &eo);
    eo.n_channels = WIDE;
    eo.n_samples = 1;
    eo.params = NULL;
    if (status == ND_OK) status = nd_encoder_create(&r.p, "linear", &eo);
    r.o.projector = r.p;
    if (status == ND_OK) status = nd_loss_create(&r.loss, NULL, NULL);
    if (status == ND_OK) r.loss->kind = &nd_test_loss;
    if (status == ND_OK) status = nd_trainer_create(&r.t, r.e, r.loss, w->dataset, w->bank, &r.o);
    if (status == ND_OK) status = nd_trainer_run(r.t, NULL, NULL);
    if (status == ND_OK) status = nd_trainer_resume(r.t, path);
    if (status == ND_OK) status = nd_encoder_embed_bank(r.p, w->bank, &projected);
    nd_bank_free(projected);
    nd_test_end(&r);
    remove(path);
    return status;
}

static void every_allocation_failure_is_survived(void **state)
{
    (void)state;
    world w;
    make_wide_world(&w);
    nd_test_faults(whole_training, &w);
    nd_test_free_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_both_networks),
        cmocka_unit_test(one_norm_over_both),
        cmocka_unit_test(learns_and_makes_galleries),
        cmocka_unit_test(refusals),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(killed_goes_on_to_the_same_bits),
        cmocka_unit_test(other_choices_are_named),
        cmocka_unit_test(checkpoints_hold_what_there_is),
        cmocka_unit_test(every_allocation_failure_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
