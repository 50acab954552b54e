/* Attention between channels, layers for subjects, and what ensembles are made of, each against its formula in loops. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "nn/ops.h"
#include "rig.h"

static void gradients_of_attention_subjects_and_ensembles(void **state)
{
    (void)state;
    const size_t sizes[3][2] = { { 5, 23 }, { 1, 31 }, { 9, 4 } };
    for (size_t k = 0; k < 3; k++) {
        size_t H = sizes[k][0], T = sizes[k][1];
        graph *g = start(1, H, T);
        int turned = ndi_tokens(g, 0);
        ndi_channel_mix(g, ndi_channel_scores(g, ndi_linear_rows(g, turned, "q", H), ndi_linear_rows(g, turned, "k", H), 0.3), 0);
        check_gradients(g, 5, true);
        g = start(1, H, T);
        ndi_graph_attention(g, 0, "gat");
        check_gradients(g, 5, true);
        for (int training = 0; training < 2; training++) {
            g = start(1, H, T);
            ndi_subject_linear(g, 0, "conv", 2, 0.3);
            check_gradients(g, 40, training);
            g = start(H * T, 1, 1);
            ndi_subject_linear(g, 0, "linear", 3, 0.3);
            check_gradients(g, 40, training);
        }
        for (int centred = 0; centred < 2; centred++) {
            g = start(1, H, T);
            int a = ndi_normalise(g, ndi_linear(g, 0, "a", 6), centred), b = ndi_normalise(g, 0, centred);
            ndi_scale(g, ndi_concat_vectors(g, ndi_concat_vectors(g, a, b), a), 0.25);
            check_gradients(g, 5, true);
        }
    }
}

/* softmax over each row */
static void naive_softmax(double *a, size_t rows, size_t cols)
{
    for (size_t i = 0; i < rows; i++) {
        double sum = 0;
        for (size_t j = 0; j < cols; j++) sum += a[i * cols + j] = exp(a[i * cols + j]);
        for (size_t j = 0; j < cols; j++) a[i * cols + j] /= sum;
    }
}

enum { ROWS = 6, SAMPLES = 11, BATCH = 7 };

static void check_output(rig *r, const float *expected)
{
    double error = nd_test_relative_error(ndi_output(&r->p), expected, r->n_out);
    if (!(error < 2e-6)) fail_msg("relative error %g", error);
}

static void channel_attention_is_its_formula(void **state)
{
    (void)state;
    graph *g = start(1, SAMPLES, 2 * ROWS); /* queries and keys beside each other, only to have two different inputs */
    int q = ndi_linear_rows(g, 0, "q", ROWS), k = ndi_linear_rows(g, 0, "k", ROWS), v = ndi_tokens(g, ndi_linear_rows(g, 0, "v", ROWS));
    ndi_channel_mix(g, ndi_channel_scores(g, q, k, 0.7), v);
    rig r;
    float expected[BATCH * ROWS * SAMPLES];
    rig_up(&r, g, BATCH, true, 2);
    objective(&r);
    for (size_t i = 0; i < BATCH; i++) {
        const float *Q = r.w->y[q] + i * SAMPLES * ROWS, *K = r.w->y[k] + i * SAMPLES * ROWS, *V = r.w->y[v] + i * ROWS * SAMPLES;
        double a[ROWS * ROWS] = { 0 };
        for (size_t h = 0; h < ROWS; h++)
            for (size_t m = 0; m < ROWS; m++)
                for (size_t t = 0; t < SAMPLES; t++) a[h * ROWS + m] += (double)0.7f * (double)Q[t * ROWS + h] * (double)K[t * ROWS + m];
        naive_softmax(a, ROWS, ROWS);
        for (size_t h = 0; h < ROWS; h++)
            for (size_t t = 0; t < SAMPLES; t++) {
                double sum = 0;
                for (size_t m = 0; m < ROWS; m++) sum += a[h * ROWS + m] * (double)V[m * SAMPLES + t];
                expected[(i * ROWS + h) * SAMPLES + t] = (float)sum;
            }
    }
    check_output(&r, expected);
    tear_down(&r);
}

static void graph_attention_is_its_formula(void **state)
{
    (void)state;
    graph *g = start(1, ROWS, SAMPLES);
    ndi_graph_attention(g, 0, "gat");
    rig r;
    float expected[BATCH * ROWS * SAMPLES];
    rig_up(&r, g, BATCH, true, 2);
    objective(&r);
    const float *source = r.params + ndi_graph_tensor(g, "gat.att_src")->at, *target = r.params + ndi_graph_tensor(g, "gat.att_dst")->at;
    const float *w = r.params + ndi_graph_tensor(g, "gat.lin.weight")->at, *b = r.params + ndi_graph_tensor(g, "gat.bias")->at;
    for (size_t i = 0; i < BATCH; i++) {
        double z[ROWS][SAMPLES] = { 0 }, a[ROWS * ROWS] = { 0 };
        for (size_t h = 0; h < ROWS; h++)
            for (size_t t = 0; t < SAMPLES; t++)
                for (size_t s = 0; s < SAMPLES; s++) z[h][t] += (double)w[t * SAMPLES + s] * (double)r.x[(i * ROWS + h) * SAMPLES + s];
        for (size_t h = 0; h < ROWS; h++)
            for (size_t j = 0; j < ROWS; j++) {
                double u = 0;
                for (size_t t = 0; t < SAMPLES; t++) u += (double)target[t] * z[h][t] + (double)source[t] * z[j][t];
                a[h * ROWS + j] = u > 0 ? u : 0.2 * u;
            }
        naive_softmax(a, ROWS, ROWS);
        for (size_t h = 0; h < ROWS; h++)
            for (size_t t = 0; t < SAMPLES; t++) {
                double sum = (double)b[t];
                for (size_t j = 0; j < ROWS; j++) sum += a[h * ROWS + j] * z[j][t];
                expected[(i * ROWS + h) * SAMPLES + t] = (float)sum;
            }
    }
    check_output(&r, expected);
    tear_down(&r);
}

/* Few samples and many, in evaluation: known persons have their own part, unknown ones and ones beyond the table the common part alone. */
static void subject_linear_is_its_formula(void **state)
{
    (void)state;
    const size_t samples[] = { 1, 3, 20 };
    for (size_t k = 0; k < COUNT(samples); k++) {
        size_t T = samples[k], S = 2, B = 90;
        graph *g = start(1, ROWS, T);
        ndi_subject_linear(g, 0, "layer", S, 0.5);
        rig r;
        rig_up(&r, g, B, false, 2);
        objective(&r);
        const float *w = r.params, *b = w + ROWS * ROWS, *ws = b + ROWS, *bs = ws + S * ROWS * ROWS;
        float *expected = random_block(r.n_out, 0);
        for (size_t i = 0; i < B; i++) {
            size_t s = person_of(i) > 0 && person_of(i) <= (int32_t)S ? (size_t)person_of(i) : 0;
            for (size_t h = 0; h < ROWS; h++)
                for (size_t t = 0; t < T; t++) {
                    double sum = (double)b[h] + (s ? (double)bs[(s - 1) * ROWS + h] : 0);
                    for (size_t c = 0; c < ROWS; c++) {
                        double weight = (double)w[h * ROWS + c] + (s ? (double)ws[((s - 1) * ROWS + h) * ROWS + c] : 0);
                        sum += weight * (double)r.x[(i * ROWS + c) * T + t];
                    }
                    expected[(i * ROWS + h) * T + t] = (float)sum;
                }
        }
        check_output(&r, expected);
        ndi_free(expected);
        tear_down(&r);
    }
}

/* Two layers drop the same trials, the stated share of them, and only in training. */
static void subject_dropout_is_one_draw_per_trial(void **state)
{
    (void)state;
    const size_t B = 20000;
    graph *g = start(1, 1, 1);
    ndi_subject_linear(g, ndi_subject_linear(g, 0, "a", 3, 0.25), "b", 3, 0.25);
    rig r;
    rig_up(&r, g, B, true, 2);
    int32_t *second = ndi_alloc(B, sizeof *second);
    for (size_t i = 0; i < B; i++) second[i] = 2;
    r.p.subjects = second;
    memset(r.params, 0, g->n_params * sizeof(float));
    r.params[ndi_graph_tensor(g, "a.weight")->at] = r.params[ndi_graph_tensor(g, "b.weight")->at] = 1;
    r.params[ndi_graph_tensor(g, "a.subject.bias")->at + 1] = 1;
    r.params[ndi_graph_tensor(g, "b.subject.bias")->at + 1] = 2;
    for (size_t i = 0; i < B; i++) r.x[i] = 0;
    objective(&r);
    size_t dropped = 0;
    for (size_t i = 0; i < B; i++) {
        float y = ndi_output(&r.p)[i];
        assert_true(y == 0 || y == 3);
        dropped += y == 0;
    }
    assert_true(fabs((double)dropped / (double)B - 0.25) < 5 * sqrt(0.1875 / (double)B));
    r.p.training = false;
    objective(&r);
    for (size_t i = 0; i < B; i++) assert_true(ndi_output(&r.p)[i] == 3);
    ndi_free(second);
    tear_down(&r);
}

/* A copy inside another graph computes the same, with the same values behind other names. */
static void appended_graphs_compute_the_same(void **state)
{
    (void)state;
    graph *part = start(2, 3, 5), *whole = start(2, 3, 5);
    ndi_layer_norm(part, ndi_add(part, ndi_linear(part, 0, "a", 30), ndi_flatten(part, 0, false)), "b");
    ndi_batch_norm(whole, 0, "before");
    int last = ndi_graph_append(whole, part, "part");
    assert_int_equal(last, whole->n_nodes - 1);
    rig small, large;
    rig_up(&small, part, 4, true, 1);
    rig_up(&large, whole, 4, true, 1);
    for (int i = 0; i < part->n_tensors; i++) {
        char name[128];
        snprintf(name, sizeof name, "part.%s", part->tensors[i].name);
        memcpy(large.params + ndi_graph_tensor(whole, name)->at, small.params + part->tensors[i].at, part->tensors[i].n * sizeof(float));
    }
    run_backward(&small);
    run_backward(&large);
    assert_memory_equal(ndi_output(&small.p), ndi_output(&large.p), small.n_out * sizeof(float));
    const tensor *a = ndi_graph_tensor(part, "a.weight"), *copy = ndi_graph_tensor(whole, "part.a.weight");
    assert_memory_equal(small.grads + a->at, large.grads + copy->at, a->n * sizeof(float));
    tear_down(&small);
    tear_down(&large);
}

/* Forward and backward of a small network of everything, bit for bit. */
static graph *everything(void)
{
    graph *g = start(1, 7, 60);
    int x = ndi_graph_attention(g, ndi_subject_linear(g, 0, "s", 3, 0.2), "g"), t = ndi_tokens(g, x);
    x = ndi_channel_mix(g, ndi_channel_scores(g, ndi_linear_rows(g, t, "q", 7), ndi_linear_rows(g, t, "k", 7), 0.2), x);
    ndi_subject_linear(g, ndi_normalise(g, ndi_linear(g, x, "d", 33), true), "t", 2, 0.2);
    return g;
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    check_same_bits(everything);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_attention_subjects_and_ensembles),
        cmocka_unit_test(channel_attention_is_its_formula),
        cmocka_unit_test(graph_attention_is_its_formula),
        cmocka_unit_test(subject_linear_is_its_formula),
        cmocka_unit_test(subject_dropout_is_one_draw_per_trial),
        cmocka_unit_test(appended_graphs_compute_the_same),
        cmocka_unit_test(same_bits_for_any_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
