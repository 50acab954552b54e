/* Operations on tokens and sequences: plain loops of the formula, and finite differences. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "nn/ops.h"
#include "rig.h"

/* Compares the output with what plain loops found, which it frees. */
static void check_output(rig *r, float *expected)
{
    double error = nd_test_relative_error(ndi_output(&r->p), expected, r->n_out);
    if (!(error < 2e-6)) fail_msg("%s: relative error %g", r->g->nodes[r->g->n_nodes - 1].op->name, error);
    ndi_free(expected);
}

/* ---- attention ---- */

/* Keys pass a GELU: the gradient of their bias would be exactly 0, which no difference can show. */
static graph *attention_graph(size_t rows, size_t features, size_t heads, double scale, double dropout)
{
    graph *g = start(1, rows, features);
    int q = ndi_linear_rows(g, 0, "q", features), k = ndi_gelu(g, ndi_linear_rows(g, 0, "k", features)), v = ndi_linear_rows(g, 0, "v", features);
    ndi_attention(g, q, k, v, heads, scale, dropout);
    return g;
}

/* One head of one trial, its columns from `at` on in arrays with rows of E: y = softmax(scale q k') v. */
static void attend(const float *q, const float *k, const float *v, float *y, size_t R, size_t E, size_t at, size_t d, double scale)
{
    for (size_t r = 0; r < R; r++) {
        double a[16], total = 0;
        for (size_t c = 0; c < R; c++) {
            a[c] = 0;
            for (size_t f = at; f < at + d; f++) a[c] += scale * (double)q[r * E + f] * (double)k[c * E + f];
            total += a[c] = exp(a[c]);
        }
        for (size_t f = at; f < at + d; f++) {
            double sum = 0;
            for (size_t c = 0; c < R; c++) sum += a[c] / total * (double)v[c * E + f];
            y[r * E + f] = (float)sum;
        }
    }
}

static void attention_is_its_formula(void **state)
{
    (void)state;
    const struct {
        size_t R, E, heads;
        double scale;
    } cases[] = { { 7, 12, 3, 0.5 }, { 1, 4, 1, 2 }, { 13, 10, 5, 0.3 }, { 4, 9, 1, 1 / 3.0 }, { 5, 6, 6, 1 } };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t R = cases[i].R, E = cases[i].E, heads = cases[i].heads, d = E / heads, B = 3;
        rig r;
        rig_up(&r, attention_graph(R, E, heads, cases[i].scale, 0.5), B, false, 2); /* evaluation: nothing is dropped */
        objective(&r);
        float *expected = random_block(r.n_out, 0), *const *y = r.w->y;
        const int *in = r.g->nodes[r.g->n_nodes - 1].in;
        for (size_t b = 0; b < B * heads; b++) {
            size_t from = b / heads * R * E;
            attend(y[in[0]] + from, y[in[1]] + from, y[in[2]] + from, expected + from, R, E, b % heads * d, d, cases[i].scale);
        }
        check_output(&r, expected);
        tear_down(&r);
    }
}

static void gradients_of_attention(void **state)
{
    (void)state;
    for (int training = 0; training < 2; training++) {
        check_gradients(attention_graph(5, 6, 1, 1.5, 0), 3, training);
        check_gradients(attention_graph(5, 6, 3, 0.7, 0.4), 3, training);
        check_gradients(attention_graph(3, 4, 2, 1, 0.3), 33, training);
    }
    graph *g = start(1, 4, 6); /* all three inputs are read again by others, before and behind */
    int q = ndi_linear_rows(g, 0, "q", 6), k = ndi_linear_rows(g, 0, "k", 6), v = ndi_linear_rows(g, 0, "v", 6), u = ndi_gelu(g, ndi_add(g, k, v));
    int y = ndi_attention(g, q, k, v, 2, 1, 0.2);
    ndi_add(g, ndi_add(g, ndi_add(g, ndi_add(g, ndi_gelu(g, y), u), q), k), v);
    check_gradients(g, 3, true);
}

/* With equal weights 1 / R and values of 1, the sum of a row's dropped weights tells how many were kept. */
static void attention_drops_the_stated_share(void **state)
{
    (void)state;
    enum { R = 50, HEADS = 4, E = 4, B = 9 };
    rig r;
    rig_up(&r, attention_graph(R, E, HEADS, 1, 0.3), B, true, 1);
    memset(r.params, 0, r.g->n_params * sizeof *r.params);
    float *values = r.params + ndi_graph_tensor(r.g, "v.bias")->at;
    for (size_t i = 0; i < E; i++) values[i] = 1;
    objective(&r);
    double kept = 0;
    for (size_t i = 0; i < r.n_out; i++) kept += (double)ndi_output(&r.p)[i] * R * 0.7;
    double n = (double)r.n_out * R;
    assert_true(fabs(kept / n - 0.7) < 5 * sqrt(0.21 / n));
    tear_down(&r);
}

/* ---- layout ---- */

static void tokens_rows_and_pools(void **state)
{
    (void)state;
    enum { M = 3, H = 2, T = 17, B = 5 };
    rig r;
    graph *g = start(M, H, T);
    ndi_tokens(g, 0);
    rig_up(&r, g, B, true, 2);
    objective(&r);
    float *expected = random_block(r.n_out, 0);
    for (size_t i = 0; i < r.n_out; i++) expected[i] = r.x[i / (M * H * T) * M * H * T + i % (M * H) * T + i / (M * H) % T];
    check_output(&r, expected);
    tear_down(&r);

    g = start(1, H + M, T);
    ndi_rows(g, 0, 1, M);
    rig_up(&r, g, B, true, 2);
    objective(&r);
    expected = random_block(r.n_out, 0);
    for (size_t i = 0; i < r.n_out; i++) expected[i] = r.x[(i / (M * T) * (H + M) + 1) * T + i % (M * T)];
    check_output(&r, expected);
    tear_down(&r);
}

static void gradients_of_layout(void **state)
{
    (void)state;
    graph *g = start(3, 2, 7);
    ndi_layer_norm_rows(g, ndi_tokens(g, 0), "norm");
    check_gradients(g, 3, true);
    for (size_t first = 0; first < 3; first++) {
        g = start(1, 4, 5);
        ndi_rows(g, ndi_linear_rows(g, 0, "linear", 6), first, 4 - first);
        check_gradients(g, 3, true);
    }
}

/* The same numbers as a linear layer on rows; only the weights' shape differs. */
static void conv_rows_is_linear_rows(void **state)
{
    (void)state;
    rig a, b;
    graph *g = start(1, 5, 6);
    ndi_linear_rows(g, 0, "layer", 4);
    rig_up(&a, g, 3, true, 1);
    g = start(1, 5, 6);
    ndi_conv_rows(g, 0, "layer", 4);
    rig_up(&b, g, 3, true, 1);
    const tensor *t = ndi_graph_tensor(g, "layer.weight");
    assert_int_equal(t->n_dims, 3);
    assert_true(t->shape[0] == 4 && t->shape[1] == 6 && t->shape[2] == 1);
    run_backward(&a);
    run_backward(&b);
    assert_memory_equal(ndi_output(&a.p), ndi_output(&b.p), a.n_out * sizeof(float));
    assert_memory_equal(a.grads, b.grads, g->n_params * sizeof(float));
    tear_down(&a);
    tear_down(&b);
}

/* ---- element-wise and per vector ---- */

static void relu_and_log_softmax(void **state)
{
    (void)state;
    rig r;
    graph *g = start(4, 3, 5);
    ndi_relu(g, 0);
    rig_up(&r, g, 7, true, 2);
    run_backward(&r);
    for (size_t i = 0; i < r.n_out; i++) {
        assert_true(ndi_output(&r.p)[i] == (r.x[i] > 0 ? r.x[i] : 0));
        assert_true(ndi_input_grad(&r.p)[i] == (r.x[i] > 0 ? r.weight[i] : 0));
    }
    tear_down(&r);

    enum { D = 37, B = 7 };
    g = start(D, 1, 1);
    ndi_log_softmax(g, 0);
    rig_up(&r, g, B, true, 2);
    for (size_t i = 0; i < r.n_x; i++) r.x[i] *= 200; /* exp of these is infinite */
    objective(&r);
    float *expected = random_block(r.n_out, 0);
    for (size_t i = 0; i < B; i++) {
        double top = -1e30, total = 0;
        for (size_t k = 0; k < D; k++) top = fmax(top, (double)r.x[i * D + k]);
        for (size_t k = 0; k < D; k++) total += exp((double)r.x[i * D + k] - top);
        for (size_t k = 0; k < D; k++) expected[i * D + k] = (float)((double)r.x[i * D + k] - top - log(total));
    }
    check_output(&r, expected);
    tear_down(&r);
    g = start(1, 3, 5);
    ndi_log_softmax(g, ndi_linear(g, 0, "linear", 9));
    check_gradients(g, 5, true);
}

/* ---- the subject's token ---- */

enum { SUBJECTS = 4, ROWS = 3, FEATURES = 6, TRIALS = 6 };

/* What row of the table each trial has, -1 = the shared one; and that gradients arrive there. */
static void check_tokens(bool raw, const int32_t *subjects, const int32_t *rows)
{
    graph *g = start(1, ROWS, FEATURES);
    ndi_subject_token(g, 0, "token", SUBJECTS, raw, 0);
    rig r;
    rig_up(&r, g, TRIALS, true, 2);
    r.p.subjects = subjects;
    run_backward(&r);
    const float *y = ndi_output(&r.p), *shared = r.params, *table = r.params + FEATURES, *dx = ndi_input_grad(&r.p);
    float *expected = ndi_alloc(g->n_params, sizeof *expected);
    size_t size = ROWS * FEATURES, with_token = size + FEATURES;
    assert_string_equal(g->tensors[0].name, "token.shared_embedding");
    for (size_t i = 0; i < TRIALS; i++) {
        assert_memory_equal(y + i * with_token, rows[i] < 0 ? shared : table + rows[i] * FEATURES, FEATURES * sizeof *y);
        assert_memory_equal(y + i * with_token + FEATURES, r.x + i * size, size * sizeof *y);
        assert_memory_equal(dx + i * size, r.weight + i * with_token + FEATURES, size * sizeof *dx);
        for (size_t k = 0; k < FEATURES; k++) expected[(rows[i] + 1) * FEATURES + (int32_t)k] += r.weight[i * with_token + k];
    }
    assert_true(nd_test_relative_error(r.grads, expected, g->n_params) < 1e-6);
    ndi_free(expected);
    tear_down(&r);
}

static void subjects_have_tokens(void **state)
{
    (void)state;
    const int32_t nobody[TRIALS] = { -1, -1, -1, -1, -1, -1 };
    check_tokens(false, (const int32_t[TRIALS]){ 1, 4, 0, 5, -3, 2 }, (const int32_t[TRIALS]){ 0, 3, -1, -1, -1, 1 });
    check_tokens(false, NULL, nobody);
    check_tokens(true, (const int32_t[TRIALS]){ 1, 3, 2, 3, 3, 1 }, (const int32_t[TRIALS]){ 1, 3, 2, 3, 3, 1 });
    check_tokens(true, (const int32_t[TRIALS]){ 1, 3, 2, 4, 3, 1 }, nobody); /* one beyond the table */
    check_tokens(true, NULL, nobody);
    graph *g = start(1, ROWS, FEATURES);
    ndi_subject_token(g, 0, "token", SUBJECTS, false, 0.1);
    check_gradients(g, 3, true);
}

static size_t trials_with_shared_token(double dropout, bool training, uint32_t step)
{
    enum { B = 4000 };
    graph *g = start(1, 1, 1);
    ndi_subject_token(g, 0, "token", 1, false, dropout);
    rig r;
    rig_up(&r, g, B, training, 2);
    int32_t *subjects = ndi_alloc(B, sizeof *subjects);
    for (size_t i = 0; i < B; i++) subjects[i] = 1;
    r.p.subjects = subjects;
    r.p.step = step;
    r.params[0] = 1;
    r.params[1] = 0;
    objective(&r);
    size_t n = 0;
    for (size_t i = 0; i < B; i++) n += ndi_output(&r.p)[2 * i] == 1;
    ndi_free(subjects);
    tear_down(&r);
    return n;
}

static void some_training_trials_have_the_shared_token(void **state)
{
    (void)state;
    size_t n = trials_with_shared_token(0.1, true, 1);
    assert_true(fabs((double)n / 4000 - 0.1) < 5 * sqrt(0.09 / 4000));
    assert_true(trials_with_shared_token(0.1, true, 2) != n);
    assert_int_equal(trials_with_shared_token(0.1, false, 1), 0);
    assert_int_equal(trials_with_shared_token(1, true, 1), 4000);
}

/* ---- LSTM ---- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

/* One trial by the formula; w_ih (4H, C), w_hh (4H, H), b_ih, b_hh one behind the other. */
static void run_lstm(const float *w, const float *x, float *y, size_t T, size_t C, size_t H)
{
    const float *w_ih = w, *w_hh = w_ih + 4 * H * C, *b_ih = w_hh + 4 * H * H, *b_hh = b_ih + 4 * H;
    double h[8] = { 0 }, c[8] = { 0 }, gates[32];
    for (size_t t = 0; t < T; t++) {
        for (size_t k = 0; k < 4 * H; k++) {
            gates[k] = (double)b_ih[k] + (double)b_hh[k];
            for (size_t j = 0; j < C; j++) gates[k] += (double)w_ih[k * C + j] * (double)x[t * C + j];
            for (size_t j = 0; j < H; j++) gates[k] += (double)w_hh[k * H + j] * h[j];
        }
        for (size_t k = 0; k < H; k++) {
            c[k] = sigmoid(gates[H + k]) * c[k] + sigmoid(gates[k]) * tanh(gates[2 * H + k]);
            h[k] = sigmoid(gates[3 * H + k]) * tanh(c[k]);
            y[t * H + k] = (float)h[k];
        }
    }
}

static void lstm_is_its_formula(void **state)
{
    (void)state;
    const size_t sizes[][4] = { { 9, 4, 5, 1 }, { 1, 3, 8, 2 }, { 12, 7, 6, 37 }, { 2, 1, 1, 16 } }; /* T, C, H, B */
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t T = sizes[i][0], C = sizes[i][1], H = sizes[i][2], B = sizes[i][3];
        graph *g = start(1, T, C);
        ndi_lstm(g, 0, "lstm", 0, H);
        rig r;
        rig_up(&r, g, B, true, 2);
        objective(&r);
        float *expected = random_block(r.n_out, 0);
        for (size_t b = 0; b < B; b++) run_lstm(r.params, r.x + b * T * C, expected + b * T * H, T, C, H);
        check_output(&r, expected);
        tear_down(&r);
    }
}

static void gradients_of_lstm(void **state)
{
    (void)state;
    const size_t sizes[][4] = { { 5, 3, 4, 3 }, { 1, 3, 2, 2 }, { 3, 2, 5, 35 } };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        graph *g = start(1, sizes[i][0], sizes[i][1]);
        ndi_lstm(g, 0, "lstm", 0, sizes[i][2]);
        check_gradients(g, sizes[i][3], true);
    }
    graph *g = start(1, 4, 3);
    int x = ndi_lstm(g, ndi_lstm(g, 0, "lstm", 0, 5), "lstm", 1, 2);
    ndi_rows(g, x, 3, 1);
    assert_non_null(ndi_graph_tensor(g, "lstm.weight_hh_l1"));
    check_gradients(g, 3, true);
}

/* ---- all ---- */

static void impossible_sizes_name_the_layer(void **state)
{
    (void)state;
    const char *expected[] = { "layer attention (attention): 10 features do not divide among 3 heads; its input is 1 x 4 x 10",
                               "layer attention (attention): expects three different nodes of one shape",
                               "layer rows (rows): there are no 3 rows from row 2 on; its input is 1 x 4 x 10",
                               "layer pool (mean_pool): pooling over 11 samples is longer than the input; its input is 1 x 4 x 10",
                               "layer q (linear): got 0 outputs",
                               "layer lstm (lstm): expects a single map; its input is 2 x 4 x 10",
                               "layer token (subject_token): expects a single map" };
    for (size_t i = 0; i < COUNT(expected); i++) {
        graph *g = i < 5 ? start(1, 4, 10) : start(2, 4, 10);
        int q = ndi_linear_rows(g, 0, "q", 10), k = ndi_linear_rows(g, 0, "k", 10);
        int added = i == 0   ? ndi_attention(g, 0, q, k, 3, 1, 0)
                    : i == 1 ? ndi_attention(g, q, k, q, 2, 1, 0)
                    : i == 2 ? ndi_rows(g, 0, 2, 3)
                    : i == 3 ? ndi_mean_pool(g, 0, "pool", 11, 1)
                    : i == 4 ? ndi_linear_rows(g, 0, "q", 0)
                    : i == 5 ? ndi_lstm(g, 0, "lstm", 0, 4)
                             : ndi_subject_token(g, 0, "token", 4, false, 0);
        assert_int_equal(added, -1);
        assert_int_equal(g->status, ND_ERR_ARGUMENT);
        if (!strstr(nd_last_error(), expected[i])) fail_msg("got: %s, expected: %s", nd_last_error(), expected[i]);
        ndi_graph_free(g);
    }
}

/* Forward and backward of everything, bit for bit. */
static graph *everything(void)
{
    graph *g = start(1, 7, 40);
    int x = ndi_dropout(g, ndi_subject_token(g, ndi_linear_rows(g, 0, "embed", 20), "token", 3, false, 0.3), 0.2);
    int q = ndi_linear_rows(g, x, "q", 20), k = ndi_linear_rows(g, x, "k", 20), v = ndi_linear_rows(g, x, "v", 20);
    x = ndi_add(g, x, ndi_conv_rows(g, ndi_attention(g, q, k, v, 4, 0.5, 0.3), "out", 20));
    x = ndi_lstm(g, ndi_tokens(g, ndi_mean_pool(g, ndi_rows(g, x, 1, 7), "pool", 3, 2)), "lstm", 0, 19);
    ndi_log_softmax(g, ndi_relu(g, ndi_linear(g, x, "linear", 33)));
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
        cmocka_unit_test(attention_is_its_formula),
        cmocka_unit_test(gradients_of_attention),
        cmocka_unit_test(attention_drops_the_stated_share),
        cmocka_unit_test(tokens_rows_and_pools),
        cmocka_unit_test(gradients_of_layout),
        cmocka_unit_test(conv_rows_is_linear_rows),
        cmocka_unit_test(relu_and_log_softmax),
        cmocka_unit_test(subjects_have_tokens),
        cmocka_unit_test(some_training_trials_have_the_shared_token),
        cmocka_unit_test(lstm_is_its_formula),
        cmocka_unit_test(gradients_of_lstm),
        cmocka_unit_test(impossible_sizes_name_the_layer),
        cmocka_unit_test(same_bits_for_any_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
