/* Every operation against finite differences and, where it is computed by other means than its formula, against plain loops of the formula. */
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
#include "nn/ops.h"

/* A graph ready to run: parameters away from their initial ones and zeros, so that every term counts. */
typedef struct rig {
    graph *g;
    workspace *w;
    pass p;
    float *params, *state, *new_state, *grads, *x, *weight; /* the objective is sum(weight * output) */
    size_t n_x, n_out;
} rig;

static float random_value(uint32_t stream, size_t i) { return (float)(2 * ndi_uniform(9, NDI_RANDOM_DRAW, stream, i) - 1); }

static float *random_block(size_t n, uint32_t stream)
{
    float *x = ndi_alloc(n + 1, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = random_value(stream, i);
    return x;
}

/* Persons 1 to 3, unknown ones (0) and ones no table can have (-1). */
static int32_t person_of(size_t trial) { return (int32_t)(trial * 7 % 5) - 1; }

static int32_t people[128];

static void rig_up(rig *r, graph *g, size_t B, bool training, int32_t threads)
{
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < COUNT(people); i++) people[i] = person_of(i);
    pool *pool_of_test;
    assert_int_equal(g->status, ND_OK);
    assert_int_equal(ndi_pool_create(&pool_of_test, threads), ND_OK);
    r->g = g;
    assert_int_equal(ndi_workspace_create(&r->w, g, B, true, true, pool_of_test), ND_OK);
    r->params = random_block(g->n_params, 1);
    r->state = random_block(g->n_state, 2);
    for (size_t i = 0; i < g->n_state; i++) r->state[i] = fabsf(r->state[i]) + 0.5f; /* variances */
    r->new_state = ndi_alloc(g->n_state + 1, sizeof(float));
    r->grads = ndi_alloc(g->n_params + 1, sizeof(float));
    r->n_x = B * ndi_shape_size(g->nodes[0].out);
    r->n_out = B * ndi_shape_size(ndi_graph_out(g));
    r->x = random_block(r->n_x, 3);
    r->weight = random_block(r->n_out, 4);
    r->p = (pass){ .w = r->w, .B = B, .training = training, .seed = 7, .step = 3, .x = r->x, .subjects = people, .params = r->params, .state = r->state, .new_state = r->new_state, .grads = r->grads };
}

static void tear_down(rig *r)
{
    pool *threads = r->w->threads;
    float *blocks[] = { r->params, r->state, r->new_state, r->grads, r->x, r->weight };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
    ndi_workspace_free(r->w);
    ndi_pool_free(threads);
    ndi_graph_free(r->g);
}

static double objective(rig *r)
{
    memcpy(r->new_state, r->state, r->g->n_state * sizeof(float));
    ndi_forward(&r->p);
    double sum = 0;
    for (size_t i = 0; i < r->n_out; i++) sum += (double)r->weight[i] * (double)ndi_output(&r->p)[i];
    return sum;
}

static void run_backward(rig *r)
{
    objective(r);
    memcpy(ndi_output_grad(&r->p), r->weight, r->n_out * sizeof(float));
    ndi_backward(&r->p);
}

/* Normalised squared error between the gradient and central differences, over every number or every few of many. */
static double difference_error(rig *r, float *values, const float *grad, size_t n)
{
    double error = 0, scale = 1e-12;
    size_t stride = n / 60 + 1;
    for (size_t i = 0; i < n; i += stride) {
        float keep = values[i];
        const float h = 4e-3f;
        values[i] = keep + h;
        double up = objective(r);
        values[i] = keep - h;
        double down = objective(r);
        values[i] = keep;
        double numeric = (up - down) / (2 * (double)h);
        error += (numeric - (double)grad[i]) * (numeric - (double)grad[i]);
        scale += numeric * numeric;
    }
    return error / scale;
}

static void check_gradients(graph *g, size_t B, bool training)
{
    rig r;
    rig_up(&r, g, B, training, 2);
    run_backward(&r);
    float *dx = random_block(r.n_x, 0);
    memcpy(dx, ndi_input_grad(&r.p), r.n_x * sizeof *dx);
    assert_true(difference_error(&r, r.x, dx, r.n_x) < 1e-5);
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        if (!t->trainable) continue;
        double error = difference_error(&r, r.params + t->at, r.grads + t->at, t->n);
        if (!(error < 1e-5)) fail_msg("%s: normalised error %g", t->name, error);
    }
    ndi_free(dx);
    tear_down(&r);
}

static graph *start(size_t maps, size_t rows, size_t samples)
{
    graph *g;
    assert_int_equal(ndi_graph_create(&g, "test", (shape){ maps, rows, samples }), ND_OK);
    return g;
}

static void gradients_of_ops(void **state)
{
    (void)state;
    const size_t sizes[3][3] = { { 3, 5, 23 }, { 2, 1, 31 }, { 5, 4, 17 } };
    for (size_t k = 0; k < 3; k++) {
        size_t M = sizes[k][0], H = sizes[k][1], T = sizes[k][2];
        graph *g = start(1, H, T);
        ndi_conv_time(g, 0, "conv", M, 4 + k, 3, 2);
        check_gradients(g, 5, true);
        g = start(M, H, T);
        ndi_conv_space(g, 0, "conv", 4);
        check_gradients(g, 5, true);
        g = start(M, H, T);
        ndi_layer_norm(g, 0, "norm");
        check_gradients(g, 3, true);
        g = start(M, H, T);
        ndi_layer_norm_rows(g, ndi_linear_rows(g, 0, "linear", 7), "norm");
        check_gradients(g, 3, true);
        g = start(M, H, T);
        ndi_linear(g, 0, "linear", 7);
        check_gradients(g, 35, true);
        for (int training = 0; training < 2; training++) {
            g = start(M, H, T);
            ndi_batch_norm(g, 0, "norm");
            check_gradients(g, 5, training);
            g = start(M, H, T);
            ndi_dropout(g, ndi_linear(g, 0, "linear", 9), 0.4);
            check_gradients(g, 5, training);
        }
        g = start(M, H, T);
        ndi_elu(g, ndi_layer_norm(g, 0, "norm"));
        check_gradients(g, 3, true);
        g = start(M, H, T);
        ndi_gelu(g, 0);
        check_gradients(g, 3, true);
        g = start(M, 1, T);
        ndi_linear(g, ndi_flatten(g, 0, true), "linear", 3);
        check_gradients(g, 3, true);
    }
}

static void gradients_of_attention_subjects_and_ensembles(void **state)
{
    (void)state;
    const size_t sizes[3][2] = { { 5, 23 }, { 1, 31 }, { 9, 4 } };
    for (size_t k = 0; k < 3; k++) {
        size_t H = sizes[k][0], T = sizes[k][1];
        graph *g = start(1, H, T);
        int turned = ndi_transpose(g, 0);
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
        g = start(3, H, T);
        ndi_linear_rows(g, ndi_transpose(g, 0), "linear", 4);
        check_gradients(g, 3, true);
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
    int q = ndi_linear_rows(g, 0, "q", ROWS), k = ndi_linear_rows(g, 0, "k", ROWS), v = ndi_transpose(g, ndi_linear_rows(g, 0, "v", ROWS));
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

/* A node read twice, and then by a third: the gradient is the sum, whatever the order and whoever works in place. */
static void gradients_of_branches(void **state)
{
    (void)state;
    graph *g = start(6, 1, 1);
    int a = ndi_linear(g, 0, "a", 6), b = ndi_gelu(g, a), c = ndi_add(g, a, ndi_linear(g, b, "b", 6));
    c = ndi_add(g, c, a);
    c = ndi_add(g, ndi_elu(g, ndi_linear(g, c, "c", 6)), b);
    ndi_dropout(g, ndi_layer_norm(g, c, "norm"), 0.2);
    check_gradients(g, 9, true);
    g = start(6, 1, 1);
    a = ndi_linear(g, 0, "a", 6);
    b = ndi_linear(g, 0, "b", 6);
    c = ndi_add(g, a, b); /* both go to a detour: d reads both again */
    ndi_add(g, ndi_add(g, ndi_elu(g, a), ndi_gelu(g, b)), c);
    check_gradients(g, 4, true);
}

/* conv_time computes by running means; the formula convolves first and pools afterwards. All small shapes. */
static void conv_time_is_convolution_then_pooling(void **state)
{
    (void)state;
    for (size_t kernel = 1; kernel <= 4; kernel++)
        for (size_t width = 1; width <= 4; width++)
            for (size_t stride = 1; stride <= 3; stride++)
                for (size_t T = kernel + width - 1; T < kernel + width + 6; T++) {
                    graph *g = start(1, 2, T);
                    ndi_conv_time(g, 0, "conv", 3, kernel, width, stride);
                    rig r;
                    rig_up(&r, g, 2, true, 1);
                    objective(&r);
                    shape out = ndi_graph_out(g);
                    assert_int_equal(out.samples, (T - kernel + 1 - width) / stride + 1);
                    float *expected = random_block(r.n_out, 0);
                    for (size_t i = 0, at = 0; i < 2; i++)
                        for (size_t f = 0; f < 3; f++)
                            for (size_t c = 0; c < 2; c++)
                                for (size_t p = 0; p < out.samples; p++, at++) {
                                    double sum = 0;
                                    for (size_t j = 0; j < width; j++)
                                        for (size_t k = 0; k < kernel; k++)
                                            sum += (double)r.params[f * kernel + k] * (double)r.x[(i * 2 + c) * T + p * stride + j + k];
                                    expected[at] = (float)(sum / (double)width + (double)r.params[3 * kernel + f]);
                                }
                    assert_true(nd_test_relative_error(ndi_output(&r.p), expected, r.n_out) < 2e-6);
                    ndi_free(expected);
                    tear_down(&r);
                }
}

static void batch_norm_moves_running_statistics(void **state)
{
    (void)state;
    graph *g = start(1, 1, 4);
    ndi_batch_norm(g, 0, "norm");
    rig r;
    rig_up(&r, g, 2, true, 1);
    const float x[] = { 1, 2, 3, 4, 5, 6, 7, 12 };
    memcpy(r.x, x, sizeof x);
    r.state[0] = 2;
    r.state[1] = 3;
    r.state[2] = 4;
    objective(&r);
    assert_float_equal(r.new_state[0], 0.9 * 2 + 0.1 * 5, 1e-6);                    /* mean 5 */
    assert_float_equal(r.new_state[1], 0.9 * 3 + 0.1 * (84.0 / 7), 1e-6);           /* sum of squared deviations 84, over n - 1 */
    assert_float_equal(r.new_state[2], 5, 0);
    tear_down(&r);
}

static void dropout_keeps_the_stated_share(void **state)
{
    (void)state;
    graph *g = start(100000, 1, 1);
    ndi_dropout(g, 0, 0.3);
    rig r;
    rig_up(&r, g, 1, true, 1);
    for (size_t i = 0; i < r.n_x; i++) r.x[i] = 1;
    objective(&r);
    size_t zeros = 0;
    for (size_t i = 0; i < r.n_out; i++) {
        float y = ndi_output(&r.p)[i];
        zeros += y == 0;
        assert_true(y == 0 || fabsf(y - 1 / 0.7f) < 1e-6f);
    }
    assert_true(fabs((double)zeros / 100000 - 0.3) < 5 * sqrt(0.21 / 100000));
    tear_down(&r);
}

static void impossible_sizes_name_the_layer(void **state)
{
    (void)state;
    graph *g = start(1, 63, 40);
    assert_int_equal(ndi_elu(g, ndi_conv_time(g, 0, "encoder.0", 40, 25, 51, 5)), -1);
    assert_int_equal(g->status, ND_ERR_ARGUMENT);
    assert_non_null(strstr(nd_last_error(), "layer encoder.0 (conv_time)"));
    assert_non_null(strstr(nd_last_error(), "1 x 63 x 40"));
    ndi_graph_free(g);
}

/* Forward and backward of a small network of everything, bit for bit. */
static void same_bits_for_any_threads(void **state)
{
    (void)state;
    float *first = NULL;
    for (int32_t threads = 1; threads <= 3; threads++) {
        graph *g = start(1, 7, 60);
        int x = ndi_graph_attention(g, ndi_subject_linear(g, 0, "s", 3, 0.2), "g"), t = ndi_transpose(g, x);
        x = ndi_channel_mix(g, ndi_channel_scores(g, ndi_linear_rows(g, t, "q", 7), ndi_linear_rows(g, t, "k", 7), 0.2), x);
        x = ndi_elu(g, ndi_batch_norm(g, ndi_conv_time(g, x, "a", 5, 9, 11, 3), "b"));
        x = ndi_linear(g, ndi_flatten(g, ndi_dropout(g, ndi_conv_space(g, x, "c", 6), 0.5), true), "d", 33);
        x = ndi_layer_norm(g, ndi_add(g, x, ndi_linear(g, ndi_gelu(g, x), "e", 33)), "f");
        ndi_subject_linear(g, ndi_normalise(g, x, true), "t", 2, 0.2);
        rig r;
        rig_up(&r, g, 77, true, threads);
        run_backward(&r);
        if (!first) {
            first = random_block(g->n_params, 0);
            memcpy(first, r.grads, g->n_params * sizeof *first);
        }
        assert_memory_equal(first, r.grads, g->n_params * sizeof *first);
        tear_down(&r);
    }
    ndi_free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_ops),
        cmocka_unit_test(gradients_of_attention_subjects_and_ensembles),
        cmocka_unit_test(gradients_of_branches),
        cmocka_unit_test(channel_attention_is_its_formula),
        cmocka_unit_test(graph_attention_is_its_formula),
        cmocka_unit_test(subject_linear_is_its_formula),
        cmocka_unit_test(subject_dropout_is_one_draw_per_trial),
        cmocka_unit_test(appended_graphs_compute_the_same),
        cmocka_unit_test(conv_time_is_convolution_then_pooling),
        cmocka_unit_test(batch_norm_moves_running_statistics),
        cmocka_unit_test(dropout_keeps_the_stated_share),
        cmocka_unit_test(impossible_sizes_name_the_layer),
        cmocka_unit_test(same_bits_for_any_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
