/* Weight gradients that stay in their factors: squares and elements against those that are formed, and a step of training with either. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "neurodecode.h"
#include "nn/ops.h"
#include "rig.h"
#include "train/network.h"

enum { N = 1100, D = 1000, WEIGHTS = N * D }; /* large enough; no multiple of a panel, a tile or a vector */

static graph *one_layer(void)
{
    graph *g = start(1, 1, N);
    ndi_linear(g, 0, "layer", D);
    return g;
}

/* ---- squares and elements ---- */

typedef struct received {
    float *values;
    unsigned char *times;
} received;

static void receive(void *context, size_t at, const float *values, size_t count)
{
    const received *r = context;
    memcpy(r->values + at, values, count * sizeof *values);
    for (size_t i = 0; i < count; i++) r->times[at + i]++;
}

static double naive_squares(const float *x)
{
    double sum = 0;
    for (size_t i = 0; i < WEIGHTS; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static void as_if_formed(size_t B)
{
    rig r;
    rig_up(&r, one_layer(), B, true, 2);
    const node *layer = &r.w->nodes[1];
    assert_false(ndi_in_factors(&r.p, layer));
    run_backward(&r);
    float *formed = ndi_alloc(r.g->n_params, sizeof *formed);
    memcpy(formed, r.grads, r.g->n_params * sizeof *formed);

    r.p.factors = true;
    for (size_t i = 0; i < r.g->n_params; i++) r.grads[i] = NAN;
    assert_true(ndi_in_factors(&r.p, layer));
    run_backward(&r);
    for (size_t i = 0; i < WEIGHTS; i++) assert_true(isnan(r.grads[i]));
    assert_memory_equal(r.grads + WEIGHTS, formed + WEIGHTS, D * sizeof *formed); /* the bias's */
    double expected = naive_squares(formed);
    assert_true(fabs(layer->weight->squares(&r.p, layer) - expected) < 1e-6 * expected);

    received taken = { ndi_alloc(WEIGHTS, sizeof(float)), ndi_alloc(WEIGHTS, 1) };
    layer->weight->hand_over(&r.p, layer, &(product_taker){ receive, &taken, { r.params, formed } });
    for (size_t i = 0; i < WEIGHTS; i++) assert_int_equal(taken.times[i], 1);
    assert_true(nd_test_relative_error(taken.values, formed, WEIGHTS) < 1e-6);
    ndi_free(taken.values);
    ndi_free(taken.times);
    ndi_free(formed);
    tear_down(&r);
}

static void test_as_if_formed(void **state)
{
    (void)state;
    const size_t batches[] = { 1, 2, 30, 31, 64, 128 };
    for (size_t i = 0; i < COUNT(batches); i++) as_if_formed(batches[i]);
}

static void test_only_where_it_pays(void **state)
{
    (void)state;
    rig r;
    rig_up(&r, one_layer(), 160, true, 1);
    r.p.factors = true;
    assert_false(ndi_in_factors(&r.p, &r.w->nodes[1])); /* more arithmetic than memory */
    run_backward(&r);
    assert_true(naive_squares(r.grads) > 0);
    tear_down(&r);
    graph *small = start(1, 1, 30);
    ndi_linear(small, 0, "layer", 30);
    rig_up(&r, small, 4, true, 1);
    r.p.factors = true;
    assert_false(ndi_in_factors(&r.p, &r.w->nodes[1]));
    tear_down(&r);
}

/* Data far from zero and gradients that add up to nothing: nearly all of the squares cancels. */
static void test_far_from_zero(void **state)
{
    (void)state;
    enum { B = 16 };
    rig r;
    rig_up(&r, one_layer(), B, true, 1);
    r.p.factors = true;
    for (size_t i = 0; i < r.n_x; i++) r.x[i] += 4096;
    for (size_t b = 0; b < B; b += 2)
        for (size_t d = 0; d < D; d++) r.weight[(b + 1) * D + d] = -r.weight[b * D + d];
    run_backward(&r);
    double expected = 0;
    for (size_t d = 0; d < D; d++)
        for (size_t i = 0; i < N; i++) {
            double sum = 0;
            for (size_t b = 0; b < B; b++) sum += (double)r.weight[b * D + d] * (double)r.x[b * N + i];
            expected += sum * sum;
        }
    assert_true(fabs(r.w->nodes[1].weight->squares(&r.p, &r.w->nodes[1]) - expected) < 1e-6 * expected);
    r.x[7] = NAN;
    run_backward(&r);
    assert_true(isnan(r.w->nodes[1].weight->squares(&r.p, &r.w->nodes[1])));
    tear_down(&r);
}

/* ---- steps ---- */

enum { BATCH = 12 };

typedef struct trained {
    nd_encoder *encoder;
    network n;
} trained;

static void step(trained *t, const nd_train_options *o, bool factors, int32_t threads)
{
    nd_encoder_options eo;
    nd_encoder_options_init(&eo, sizeof eo);
    eo.n_channels = N;
    eo.n_samples = 1;
    eo.embed_dim = D;
    *t = (trained){ 0 };
    assert_int_equal(nd_encoder_create(&t->encoder, "linear", &eo), ND_OK);
    t->n = (network){ .encoder = t->encoder, .prefix = "" };
    assert_int_equal(ndi_pool_create(&t->n.threads, threads), ND_OK);
    assert_int_equal(ndi_network_create(&t->n, o, BATCH), ND_OK);
    float *x = random_block(BATCH * N, 1), *target = random_block(BATCH * D, 2);
    rule r = { .learning_rate = 1e-3, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .momentum = 0.9, .nesterov = true };
    assert_int_equal(ndi_optimiser_find(o->optimiser, &r.kind), ND_OK);
    for (r.step = 1; r.step <= 3; r.step++) {
        pass p = ndi_network_train(&t->n, BATCH, x, NULL, r.step);
        p.factors = factors;
        ndi_forward(&p);
        for (size_t i = 0; i < BATCH * D; i++) ndi_output_grad(&p)[i] = ndi_output(&p)[i] - target[i];
        ndi_backward(&p);
        double norm = sqrt(ndi_network_squares(&t->n, &p));
        ndi_network_update(&t->n, &p, &r, (float)(1 / norm), 0);
    }
    ndi_free(x);
    ndi_free(target);
}

static void end(trained *t)
{
    pool *threads = t->n.threads;
    ndi_network_free(&t->n);
    ndi_pool_free(threads);
    nd_encoder_free(t->encoder);
}

static void test_steps(void **state)
{
    (void)state;
    nd_train_options o;
    nd_train_options_init(&o, sizeof o);
    const int32_t optimisers[] = { ND_OPTIMISER_ADAMW, ND_OPTIMISER_ADAM, ND_OPTIMISER_SGD };
    for (size_t i = 0; i < COUNT(optimisers); i++) {
        trained formed, factored, on_one;
        o.optimiser = optimisers[i];
        step(&formed, &o, false, 2);
        step(&factored, &o, true, 2);
        step(&on_one, &o, true, 1);
        size_t n = formed.encoder->g->n_params;
        for (size_t k = 0; k < NDI_MOMENTS && formed.n.moments[k]; k++) {
            assert_true(nd_test_relative_error(factored.n.moments[k], formed.n.moments[k], n) < 2e-6);
            assert_memory_equal(factored.n.moments[k], on_one.n.moments[k], n * sizeof(float));
        }
        double far = 0; /* of 3 steps of at most 0.001 each, but for the few that a gradient near zero sends somewhere */
        for (size_t k = 0; k < n; k++) far += fabs((double)(factored.encoder->params[k] - formed.encoder->params[k])) > 2e-6;
        assert_true(far < 1e-4 * (double)n);
        assert_memory_equal(factored.encoder->params, on_one.encoder->params, n * sizeof(float));
        end(&formed);
        end(&factored);
        end(&on_one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_if_formed),
        cmocka_unit_test(test_only_where_it_pays),
        cmocka_unit_test(test_far_from_zero),
        cmocka_unit_test(test_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
