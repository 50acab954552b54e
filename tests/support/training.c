#include "training.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "check.h"
#include "temp.h"

void nd_test_make_world(world *w)
{
    static float x[IMAGES * CHANNELS * SAMPLES], z[IMAGES * DIM];
    static char names[IMAGES][32];
    const char *image_ids[IMAGES];
    for (size_t i = 0; i < IMAGES; i++) {
        snprintf(names[i], sizeof names[i], "c%02zu/image%zu", i / 2, i);
        image_ids[i] = names[i];
        for (size_t d = 0; d < DIM; d++) z[i * DIM + d] = (float)(2 * ndi_uniform(1, NDI_RANDOM_DRAW, 1, i * DIM + d) - 1);
        for (size_t k = 0; k < CHANNELS * SAMPLES; k++) {
            double sum = 0.3 * (ndi_uniform(1, NDI_RANDOM_DRAW, 2, i * CHANNELS * SAMPLES + k) - 0.5), t = (double)(k % SAMPLES) / SAMPLES;
            for (size_t d = 0; d < DIM; d++)
                sum += (double)z[i * DIM + d] * sin(6.28 * t * (1 + (double)d / 2) + (double)(k / SAMPLES) * (double)(d + 1));
            x[i * CHANNELS * SAMPLES + k] = (float)sum;
        }
    }
    assert_int_equal(nd_dataset_create(&w->dataset, x, IMAGES, CHANNELS, SAMPLES, image_ids, NULL), ND_OK);
    assert_int_equal(nd_bank_create(&w->bank, z, IMAGES, DIM, image_ids, "toy"), ND_OK);
}

void nd_test_free_world(world *w)
{
    nd_dataset_free(w->dataset);
    nd_bank_free(w->bank);
}

void nd_test_prepare(run *r, int32_t threads)
{
    memset(r, 0, sizeof *r);
    assert_int_equal(nd_train_options_init(&r->o, sizeof r->o), ND_OK);
    r->o.epochs = 4;
    r->o.batch_size = 16;
    r->o.learning_rate = 2e-3;
    r->o.n_threads = threads;
}

nd_status nd_test_start(run *r, const world *w, int32_t learn_temperature)
{
    nd_encoder_options eo;
    nd_loss_options lo;
    nd_encoder_options_init(&eo, sizeof eo);
    nd_loss_options_init(&lo, sizeof lo);
    eo.embed_dim = DIM;
    eo.params = "maps=8 kernel=9 pool=11";
    lo.learn_temperature = learn_temperature;
    assert_int_equal(nd_encoder_create_for(&r->e, "nice", w->dataset, &eo), ND_OK);
    assert_int_equal(nd_loss_create(&r->loss, NULL, &lo), ND_OK);
    if (r->kind) r->loss->kind = r->kind;
    if (r->projector) {
        nd_encoder_options_init(&eo, sizeof eo);
        eo.n_channels = ndi_bank_dim(w->bank, 0);
        eo.n_samples = 1;
        eo.embed_dim = DIM;
        assert_int_equal(nd_encoder_create(&r->p, r->projector, &eo), ND_OK);
        r->o.projector = r->p;
    }
    return nd_trainer_create(&r->t, r->e, r->loss, w->dataset, w->bank, &r->o);
}

void nd_test_end(run *r)
{
    nd_loss_free(r->loss);
    nd_encoder_free(r->e);
    nd_encoder_free(r->p);
    nd_trainer_free(r->t);
}

static void same_network(const nd_encoder *a, const nd_encoder *b)
{
    assert_memory_equal(a->params, b->params, a->g->n_params * sizeof(float));
    assert_memory_equal(a->state, b->state, a->g->n_state * sizeof(float));
}

void nd_test_same_weights(const run *a, const run *b)
{
    same_network(a->e, b->e);
    if (a->p) same_network(a->p, b->p);
    assert_memory_equal(&a->loss->log_scale, &b->loss->log_scale, sizeof(double));
    assert_memory_equal(&a->loss->bias, &b->loss->bias, sizeof(double));
}

static void prepare_changed(run *r, int32_t threads, void (*change)(run *r))
{
    nd_test_prepare(r, threads);
    if (change) change(r);
}

static void train_until_killed(const world *w, void (*change)(run *r), int32_t learn_temperature, const char *path)
{
    run r;
    prepare_changed(&r, 2, change);
    r.o.checkpoint = path;
    if (nd_test_start(&r, w, learn_temperature) != ND_OK) _exit(1);
    for (int i = 0; i < 5; i++)
        if (nd_trainer_step(r.t, NULL) != ND_OK || (i == 3 && nd_trainer_save(r.t, path) != ND_OK)) _exit(1);
    kill(getpid(), SIGKILL);
}

void nd_test_killed_goes_on(const world *w, void (*change)(run *r), int32_t learn_temperature)
{
    run whole, rest;
    const char *path = nd_test_temp("killed.safetensors");
    prepare_changed(&whole, 1, change);
    OK(nd_test_start(&whole, w, learn_temperature));
    OK(nd_trainer_run(whole.t, NULL, NULL));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) train_until_killed(w, change, learn_temperature, path);
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    prepare_changed(&rest, 2, change);
    OK(nd_test_start(&rest, w, learn_temperature));
    OK(nd_trainer_resume(rest.t, path));
    OK(nd_trainer_run(rest.t, NULL, NULL));
    nd_test_same_weights(&whole, &rest);
    nd_test_end(&whole);
    nd_test_end(&rest);
    remove(path);
}

static void evaluate(const nd_loss_options *o, loss_space *s, loss_call *c)
{
    (void)o;
    (void)s;
    double sum = 0;
    if (c->grad_z) memset(c->grad_z, 0, c->n * c->dim * sizeof *c->grad_z);
    for (size_t i = 0; i < c->n * c->dim; i++) {
        size_t row = i / c->dim, other = (c->partner ? c->partner[row] : row) * c->dim + i % c->dim;
        float share = c->share ? c->share[row] : 1, difference = c->v[i] - share * c->z[i] - (1 - share) * c->z[other],
              grad = (float)(2 * c->scale / (double)c->n) * difference;
        sum += (double)difference * (double)difference / (double)c->n;
        if (c->grad_v) c->grad_v[i] = grad;
        if (c->grad_z) c->grad_z[i] -= share * grad;
        if (c->grad_z) c->grad_z[other] -= (1 - share) * grad;
    }
    c->grad_log_scale = c->scale * sum;
    c->grad_bias = c->bias - 1;
    c->value = c->scale * sum + c->grad_bias * c->grad_bias / 2;
}

const loss_kind nd_test_loss = { .name = "mixco", .title = "squares", .mixes = true, .biased = true, .evaluate = evaluate };
