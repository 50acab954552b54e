/* Every operation against finite differences and, where it is computed by other means than its formula, against plain loops of the formula. */
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
static graph *everything(void)
{
    graph *g = start(1, 7, 60);
    int x = ndi_elu(g, ndi_batch_norm(g, ndi_conv_time(g, 0, "a", 5, 9, 11, 3), "b"));
    x = ndi_linear(g, ndi_flatten(g, ndi_dropout(g, ndi_conv_space(g, x, "c", 6), 0.5), true), "d", 33);
    ndi_layer_norm(g, ndi_add(g, x, ndi_linear(g, ndi_gelu(g, x), "e", 33)), "f");
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
        cmocka_unit_test(gradients_of_ops),
        cmocka_unit_test(gradients_of_branches),
        cmocka_unit_test(conv_time_is_convolution_then_pooling),
        cmocka_unit_test(batch_norm_moves_running_statistics),
        cmocka_unit_test(dropout_keeps_the_stated_share),
        cmocka_unit_test(impossible_sizes_name_the_layer),
        cmocka_unit_test(same_bits_for_any_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
