/* What a step does to parameters: the optimisers against PyTorch, decay groups, moving averages. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "temp.h"
#include "training.h"

/* ---- optimisers ---- */

enum { STEPS = 5, N = 40002 };

typedef struct known {
    int32_t code;
    double momentum;
    bool nesterov;
    double p[3]; /* after STEPS steps in float64 by torch 1.13.0, weight decay 0.1, lr 0.01 */
} known;

static const known pytorch[] = {
    { ND_OPTIMISER_ADAMW, 0, false, { 0.668535845072, -0.425431146317, 0.074677897604 } },
    { ND_OPTIMISER_ADAM, 0, false, { 0.657355230679, -0.408883694848, 0.072094536017 } },
    { ND_OPTIMISER_SGD, 0.9, false, { 0.686977385442, -0.397984390878, 0.096072841360 } },
    { ND_OPTIMISER_SGD, 0.9, true, { 0.684831469294, -0.395931350599, 0.096487774841 } },
    { ND_OPTIMISER_SGD, 0, false, { 0.696511985508, -0.397749502498, 0.100004993503 } },
};

static rule rule_of(const known *k, uint64_t step)
{
    rule r = { .learning_rate = 1e-2,
               .weight_decay = 0.1,
               .beta1 = 0.9,
               .beta2 = 0.999,
               .epsilon = 1e-8,
               .momentum = k->momentum,
               .nesterov = k->nesterov,
               .step = step };
    assert_int_equal(ndi_optimiser_find(k->code, &r.kind), ND_OK);
    return r;
}

static double gradient(uint64_t step, size_t i) { return 0.3 - 0.1 * (double)step + 0.05 * (double)i * (step % 2 ? -1 : 1); }

static void optimisers_do_as_pytorch(void **state)
{
    (void)state;
    const float start[3] = { 0.7f, -0.4f, 0.1f };
    float *p = ndi_alloc(N, sizeof *p), *g = ndi_alloc(N, sizeof *g), *m = ndi_alloc(N, sizeof *m), *v = ndi_alloc(N, sizeof *v);
    for (size_t k = 0; k < COUNT(pytorch); k++) {
        memset(m, 0, N * sizeof *m);
        memset(v, 0, N * sizeof *v);
        for (size_t i = 0; i < N; i++) p[i] = start[i % 3];
        for (uint64_t step = 1; step <= STEPS; step++) {
            rule r = rule_of(&pytorch[k], step);
            for (size_t i = 0; i < N; i++) g[i] = (float)gradient(step, i % 3);
            update u = ndi_update(&r, 0.5f, p, (float *[]){ m, r.kind->moments[1] ? v : NULL });
            ndi_optimise(NULL, &u, g, N);
        }
        for (size_t i = 0; i < 3; i++) assert_true(fabs((double)p[i] - pytorch[k].p[i]) < 5e-7);
        for (size_t i = 3; i < N; i++) assert_true(p[i] == p[i % 3]);
    }
    double blocks[8];
    for (size_t i = 0; i < N; i++) g[i] = 0.1f;
    assert_true(fabs(ndi_squares(NULL, g, N, blocks) / (0.01 * N) - 1) < 1e-6);
    float *all[] = { p, g, m, v };
    for (size_t i = 0; i < COUNT(all); i++) ndi_free(all[i]);
}

/* A single number in double takes the steps of a parameter without decay. */
static void numbers_do_as_parameters(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(pytorch); k++) {
        float p = 0.7f, m = 0, v = 0;
        double x = 0.7, moments[NDI_MOMENTS] = { 0 };
        for (uint64_t step = 1; step <= STEPS; step++) {
            rule r = rule_of(&pytorch[k], step);
            r.weight_decay = 0;
            double g = gradient(step, 1);
            float single = (float)g;
            update u = ndi_update(&r, 1, &p, (float *[]){ &m, &v });
            ndi_optimise(NULL, &u, &single, 1);
            r.kind->number(&r, g, &x, moments);
        }
        assert_true(fabs((double)p - x) < 1e-6 && fabs(x - 0.7) > 1e-4);
    }
}

static void every_optimiser_learns_and_resumes(void **state)
{
    (void)state;
    world w;
    nd_test_make_world(&w);
    const double rates[] = { 2e-3, 2e-3, 5e-2 };
    const char *path = nd_test_temp("optimiser.safetensors");
    for (int32_t k = 0; k < 3; k++) {
        run r[2];
        double first;
        for (size_t i = 0; i < 2; i++) {
            nd_test_prepare(&r[i], 1 + (int32_t)i);
            r[i].o.optimiser = k;
            r[i].o.nesterov = k == ND_OPTIMISER_SGD;
            r[i].o.learning_rate = rates[k];
            r[i].o.epochs = 8;
            r[i].o.weight_decay = 1e-3;
            OK(nd_test_start(&r[i], &w, 1));
        }
        for (int i = 0; i < 5; i++) OK(nd_trainer_step(r[0].t, i ? NULL : &first));
        OK(nd_trainer_save(r[0].t, path));
        OK(nd_trainer_run(r[0].t, NULL, NULL));
        if (r[0].t->at.train_loss > 0.9 * first) fail_msg("optimiser %d: from %g to %g", (int)k, first, r[0].t->at.train_loss);
        OK(nd_trainer_resume(r[1].t, path));
        OK(nd_trainer_run(r[1].t, NULL, NULL));
        nd_test_same_weights(&r[0], &r[1]);
        nd_encoder_info info = { .size = sizeof info };
        OK(nd_encoder_get_info(r[0].e, &info));
        assert_int_equal(strstr(info.metadata, "\"optimiser\"") != NULL, k != ND_OPTIMISER_ADAMW);
        for (size_t i = 0; i < 2; i++) nd_test_end(&r[i]);
    }
    remove(path);
    nd_test_free_world(&w);
}

/* ---- groups ---- */

static void only_what_is_not_named_is_decayed(void **state)
{
    (void)state;
    world w;
    run r;
    nd_test_make_world(&w);
    nd_test_prepare(&r, 2);
    r.o.no_decay = "vectors, projector.0.w";
    r.o.clip_norm = 0;
    OK(nd_test_start(&r, &w, 0));
    const graph *g = r.e->g;
    float *before = ndi_alloc(g->n_params, sizeof *before);
    memcpy(before, r.e->params, g->n_params * sizeof *before);
    double rate = ndi_trainer_rate(r.t);
    OK(nd_trainer_step(r.t, NULL));
    size_t decayed = 0;
    for (int k = 0; k < g->n_tensors; k++) {
        const tensor *t = &g->tensors[k];
        if (!t->trainable) continue;
        bool spared = t->n_dims <= 1 || strstr(t->name, "projector.0.weight");
        decayed += !spared;
        for (size_t i = t->at; i < t->at + t->n; i++) {
            double x = (double)r.t->networks[BRAIN].grads[i],
                   p = (double)before[i] * (spared ? 1 : 1 - rate * r.o.weight_decay) - rate * x / (fabs(x) + 1e-8);
            if (fabs(x) > 1e-6) assert_true(fabs((double)r.e->params[i] - p) < 1e-7 + 1e-6 * fabs(p));
        }
    }
    assert_int_equal(decayed, 4); /* of NICE: three convolutions and the linear layer of the residual */
    assert_true(r.t->networks[BRAIN].n_stretches > 4);
    ndi_free(before);
    nd_test_end(&r);
    nd_test_prepare(&r, 1);
    r.o.no_decay = "vectors bais";
    FAILS(ND_ERR_ARGUMENT, "no_decay: got 'bais'", nd_test_start(&r, &w, 0));
    nd_test_end(&r);
    nd_test_free_world(&w);
}

/* ---- moving averages ---- */

static void follow(double *mean, const float *x, size_t n, double decay)
{
    for (size_t i = 0; i < n; i++) mean[i] = decay * mean[i] + (1 - decay) * (double)x[i];
}

static void near(const float *found, const double *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) assert_true(fabs((double)found[i] - expected[i]) < 1e-6 * (1 + fabs(expected[i])));
}

static void averages_follow_their_formula(void **state)
{
    (void)state;
    world w;
    run r, raw;
    nd_test_make_world(&w);
    nd_test_prepare(&r, 2);
    nd_test_prepare(&raw, 1);
    r.o.ema_decay = 0.4;
    OK(nd_test_start(&r, &w, 0));
    OK(nd_test_start(&raw, &w, 0));
    const graph *g = r.e->g;
    const network *net = &r.t->networks[BRAIN];
    double *mean = ndi_alloc(g->n_params, sizeof *mean), *mean_state = ndi_alloc(g->n_state, sizeof *mean_state);
    for (size_t i = 0; i < g->n_params; i++) mean[i] = (double)r.e->params[i];
    for (size_t i = 0; i < g->n_state; i++) mean_state[i] = (double)r.e->state[i];
    for (int step = 1; step <= 8; step++) {
        double decay = fmin(0.4, (1.0 + step) / (10.0 + step));
        OK(nd_trainer_step(r.t, NULL));
        OK(nd_trainer_step(raw.t, NULL));
        nd_test_same_weights(&r, &raw); /* training itself knows nothing of it */
        follow(mean, r.e->params, g->n_params, decay);
        follow(mean_state, r.e->state, g->n_state, decay);
        near(net->mean, mean, g->n_params);
    }
    for (int k = 0; k < g->n_tensors; k++) {
        const tensor *t = &g->tensors[k];
        if (t->counter)
            assert_true(net->mean_state[t->at] == 8);
        else if (!t->trainable)
            near(net->mean_state + t->at, mean_state + t->at, t->n);
    }
    ndi_free(mean);
    ndi_free(mean_state);
    nd_test_end(&r);
    nd_test_end(&raw);
    nd_test_free_world(&w);
}

/* The validation loss is that of the averages, and they are what the encoder has at the end. */
static void averages_are_validated_and_kept(void **state)
{
    (void)state;
    world w;
    run r;
    float v[8 * DIM], z[8 * DIM];
    nd_test_make_world(&w);
    nd_test_prepare(&r, 1);
    r.o.ema_decay = 0.999;
    r.o.epochs = 1;
    OK(nd_test_start(&r, &w, 0));
    OK(nd_trainer_run(r.t, NULL, NULL));
    const network *net = &r.t->networks[BRAIN];
    assert_memory_equal(r.e->params, net->mean, r.e->g->n_params * sizeof(float));
    assert_memory_equal(r.e->state, net->mean_state, r.e->g->n_state * sizeof(float));
    size_t n = r.t->n_validation;
    assert_true(n > 1 && n <= 8);
    for (size_t i = 0; i < n; i++) {
        float x[CHANNELS * SAMPLES];
        OK(nd_dataset_get_data(w.dataset, r.t->validation[i], 1, x, CHANNELS * SAMPLES));
        OK(nd_encoder_embed(r.e, x, 1, v + i * DIM, DIM));
        memcpy(z + i * DIM, ndi_bank_vectors(w.bank, 0) + r.t->rows[r.t->validation[i]] * DIM, DIM * sizeof *z);
    }
    double loss;
    OK(nd_loss_evaluate(r.loss, v, z, n, DIM, &loss, NULL, NULL, NULL));
    assert_true(fabs(loss - r.t->at.validation_loss) < 1e-4);
    nd_test_end(&r);
    nd_test_free_world(&w);
}

static void options_out_of_range(void **state)
{
    (void)state;
    world w;
    run r;
    nd_test_make_world(&w);
    for (int k = 0; k < 3; k++) {
        nd_test_prepare(&r, 1);
        if (k == 0) r.o.optimiser = 3;
        if (k == 1) r.o.momentum = 1;
        if (k == 2) r.o.ema_decay = NAN;
        FAILS(ND_ERR_ARGUMENT, ((const char *[]){ "optimiser: got 3", "momentum: got 1", "ema_decay: got nan" })[k], nd_test_start(&r, &w, 0));
        nd_test_end(&r);
    }
    nd_test_free_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimisers_do_as_pytorch),
        cmocka_unit_test(numbers_do_as_parameters),
        cmocka_unit_test(every_optimiser_learns_and_resumes),
        cmocka_unit_test(only_what_is_not_named_is_decayed),
        cmocka_unit_test(averages_follow_their_formula),
        cmocka_unit_test(averages_are_validated_and_kept),
        cmocka_unit_test(options_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
