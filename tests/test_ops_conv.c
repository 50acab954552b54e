/* Convolutions and pooling against plain loops of their formulas and against finite differences, in all the shapes that padding, stride and groups make. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "nn/conv1d.h"
#include "rig.h"

/* y[i][f][h][p] = b[f] + sum_{m,k} w[f][m][k] x[i][m][h][s p + k - l], samples outside the row being 0. */
static void convolve(const rig *r, const conv1d *c, shape x, shape out, float *y)
{
    size_t M = x.maps * x.rows / out.rows, groups = c->groups ? c->groups : 1, stride = c->stride ? c->stride : 1, group_maps = M / groups;
    const float *w = r->params, *b = c->no_bias ? NULL : w + c->maps * group_maps * c->kernel;
    for (size_t at = 0; at < r->n_out; at++) {
        size_t p = at % out.samples, h = at / out.samples % out.rows, f = at / out.samples / out.rows % out.maps, i = at / ndi_shape_size(out);
        double sum = b ? (double)b[f] : 0;
        for (size_t m = 0; m < group_maps; m++)
            for (size_t k = 0; k < c->kernel; k++) {
                size_t t = stride * p + k, map = f / (c->maps / groups) * group_maps + m;
                if (t >= c->left && t < c->left + x.samples)
                    sum += (double)w[(f * group_maps + m) * c->kernel + k] * (double)r->x[((i * M + map) * out.rows + h) * x.samples + t - c->left];
            }
        y[at] = (float)sum;
    }
}

static void check_conv1d(shape x, conv1d c)
{
    graph *g = start(x.maps, x.rows, x.samples);
    rig r;
    ndi_conv1d(g, 0, "conv", c);
    rig_up(&r, g, 3, true, 2);
    objective(&r);
    float *expected = random_block(r.n_out, 0);
    convolve(&r, &c, x, ndi_graph_out(g), expected);
    assert_true(nd_test_relative_error(ndi_output(&r.p), expected, r.n_out) < 3e-6);
    ndi_free(expected);
    tear_down(&r);
}

static const conv1d convolutions[] = {
    { .maps = 4, .kernel = 3 },
    { .maps = 4, .kernel = 1, .groups = 2 },
    { .maps = 2, .kernel = 5, .stride = 2, .left = 2, .right = 3 },
    { .maps = 6, .kernel = 4, .groups = 2, .left = 1, .right = 2, .no_bias = true },
    { .maps = 3, .kernel = 17, .stride = 2, .left = 8, .right = 7, .rows_are_maps = true, .no_bias = true },
    { .maps = 8, .kernel = 16, .stride = 3, .groups = 4, .left = 7, .right = 8, .rows_are_maps = true },
    { .maps = 2, .kernel = 2, .stride = 5, .left = 4, .right = 1 },
    { .maps = 8, .kernel = 16, .groups = 4, .left = 7, .right = 8, .rows_are_maps = true }, /* depthwise */
    { .maps = 4, .kernel = 3, .groups = 4, .left = 5, .right = 1, .rows_are_maps = true, .no_bias = true },
};

static void conv1d_is_its_formula(void **state)
{
    (void)state;
    const shape sizes[] = { { 4, 1, 9 }, { 2, 2, 7 }, { 4, 3, 1 }, { 2, 4, 260 }, { 4, 1, 2 } };
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t k = 0; k < COUNT(convolutions); k++)
            if (convolutions[k].left + sizes[i].samples + convolutions[k].right >= convolutions[k].kernel) check_conv1d(sizes[i], convolutions[k]);
}

/* Output, running statistics and all gradients of two graphs with the same tensors, but for those of the tensors whose bit is set in `idle`, which are 0 up to rounding. */
static void check_same_results(graph *a, graph *b, bool training, unsigned idle, float offset)
{
    rig r, s;
    rig_up(&r, a, 9, training, 2);
    rig_up(&s, b, 9, training, 1);
    assert_int_equal(a->n_tensors, b->n_tensors);
    for (size_t i = 0; i < r.n_x; i++) r.x[i] = s.x[i] += offset;
    size_t shared = a->nodes[1].shared + 9 * a->nodes[1].shared_each;
    for (size_t i = 0; i < shared; i++) ndi_shared(&r.p)[i] = NAN; /* what other nodes left there must not matter */
    run_backward(&r);
    run_backward(&s);
    assert_true(nd_test_relative_error(ndi_output(&r.p), ndi_output(&s.p), r.n_out) < 5e-6);
    assert_true(nd_test_relative_error(r.new_state, s.new_state, a->n_state) < 3e-6);
    assert_true(nd_test_relative_error(ndi_input_grad(&r.p), ndi_input_grad(&s.p), r.n_x) < 3e-6);
    for (int i = 0; i < a->n_tensors; i++) {
        const tensor *t = &a->tensors[i];
        assert_string_equal(t->name, b->tensors[i].name);
        assert_true(t->at == b->tensors[i].at && t->n == b->tensors[i].n && t->bound == b->tensors[i].bound);
        if (!t->trainable || idle >> i & 1) continue;
        if (!(nd_test_relative_error(r.grads + t->at, s.grads + t->at, t->n) < 3e-6)) fail_msg("%s differs", t->name);
    }
    tear_down(&r);
    tear_down(&s);
}

/* Where there are enough maps, filters and taps, spectra do it: tiles that fit and that do not, more columns than are transformed together, strides. */
static const struct {
    shape x;
    conv1d c;
    bool spectral;
} large[] = {
    { { 24, 1, 200 }, { .maps = 40, .kernel = 17, .left = 8, .right = 8, .rows_are_maps = true, .no_bias = true }, true },
    { { 24, 3, 97 }, { .maps = 33, .kernel = 25, .left = 3, .right = 40 }, true },
    { { 8, 8, 40 }, { .maps = 60, .kernel = 10, .rows_are_maps = true }, true },
    { { 40, 1, 130 }, { .maps = 72, .kernel = 17, .stride = 2, .left = 8, .right = 8, .rows_are_maps = true }, true },
    { { 40, 2, 131 }, { .maps = 90, .kernel = 31, .stride = 3, .left = 40, .no_bias = true }, true },
    { { 40, 1, 64 },
      { .maps = 40, .kernel = 17, .left = 8, .right = 8, .rows_are_maps = true },
      true }, /* from here on a single tile for each line */
    { { 33, 1, 64 }, { .maps = 50, .kernel = 17, .stride = 2, .left = 8, .right = 7, .rows_are_maps = true, .no_bias = true }, true },
    { { 50, 1, 32 }, { .maps = 33, .kernel = 17, .stride = 2, .left = 8, .right = 7, .rows_are_maps = true, .no_bias = true }, true },
    { { 64, 2, 32 }, { .maps = 70, .kernel = 17, .left = 8, .right = 8 }, true },
    { { 32, 1, 104 }, { .maps = 32, .kernel = 12, .left = 5, .right = 6 }, true },
    { { 40, 1, 100 }, { .maps = 72, .kernel = 1 }, false },
    { { 40, 1, 100 }, { .maps = 72, .kernel = 80 }, false },
    { { 40, 1, 100 }, { .maps = 40, .kernel = 17, .groups = 2 }, false },
};

static void spectra_give_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(large); i++) {
        graph *g = start(large[i].x.maps, large[i].x.rows, large[i].x.samples);
        ndi_conv1d(g, 0, "conv", large[i].c);
        if ((g->nodes[1].op == &ndi_conv1d_spectral.op) != large[i].spectral) fail_msg("case %zu", i);
        graph *plain = start(large[i].x.maps, large[i].x.rows, large[i].x.samples);
        ndi_conv1d(plain, 0, "conv", large[i].c);
        plain->nodes[1].op = &ndi_conv1d_windows.op;
        ndi_conv1d_windows.plan(&plain->nodes[1]);
        check_same_results(g, plain, true, 0, 0.25f);
        check_conv1d(large[i].x, large[i].c);
    }
}

static void gradients_of_conv1d(void **state)
{
    (void)state;
    const shape sizes[] = { { 4, 1, 9 }, { 2, 2, 7 }, { 4, 3, 5 } };
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t k = 0; k < COUNT(convolutions); k++) {
            graph *g = start(sizes[i].maps, sizes[i].rows, sizes[i].samples);
            ndi_conv1d(g, 0, "conv", convolutions[k]);
            check_gradients(g, 5, true);
        }
}

/* w (g F, M, H): y[f][t] = b[f] + sum_{m,h} w[f][m][h] x[m of the group][h][t]. */
static void conv_space_sees_its_group_only(void **state)
{
    (void)state;
    enum { B = 3, M = 6, H = 5, T = 11, F = 4 };
    for (size_t groups = 1; groups <= 2; groups++) {
        graph *g = start(M, H, T);
        rig r;
        float expected[B * F * T];
        size_t inputs = M * H / groups;
        ndi_conv_space_grouped(g, 0, "conv", F, groups);
        rig_up(&r, g, B, true, 2);
        objective(&r);
        for (size_t at = 0; at < B * F * T; at++) {
            size_t t = at % T, f = at / T % F, i = at / T / F, group = f / (F / groups);
            double sum = (double)r.params[F * inputs + f];
            for (size_t k = 0; k < inputs; k++) sum += (double)r.params[f * inputs + k] * (double)r.x[(i * M * H + group * inputs + k) * T + t];
            expected[at] = (float)sum;
        }
        assert_true(nd_test_relative_error(ndi_output(&r.p), expected, B * F * T) < 2e-6);
        tear_down(&r);
        g = start(M, H, T);
        ndi_conv_space_grouped(g, 0, "conv", F, groups);
        check_gradients(g, 5, true);
    }
}

typedef struct fused_sizes {
    size_t rows, samples, kernel, filters, depth;
} fused_sizes;

static graph *fused_graph(fused_sizes s)
{
    graph *g = start(1, s.rows, s.samples);
    ndi_conv_norm_space(g, 0, "net", (conv_norm_space_names){ "a", "b", "c" }, s.filters, s.kernel, s.depth);
    return g;
}

/* The same of three layers. */
static graph *unfused_graph(fused_sizes s)
{
    graph *g = start(1, s.rows, s.samples);
    size_t left = (s.kernel - 1) / 2;
    int x = ndi_conv1d(g, 0, "net.a", (conv1d){ .maps = s.filters, .kernel = s.kernel, .left = left, .right = s.kernel - 1 - left });
    ndi_conv_space_grouped(g, ndi_batch_norm(g, x, "net.b"), "net.c", s.filters * s.depth, s.filters);
    return g;
}

static void fused_is_its_three_layers(void **state)
{
    (void)state;
    const fused_sizes sizes[] = { { 5, 40, 8, 3, 2 }, { 1, 9, 9, 3, 2 },   { 7, 64, 1, 3, 2 },  { 3, 130, 65, 3, 2 },
                                  { 4, 5, 16, 3, 2 }, { 2, 1, 4, 3, 2 },   { 2, 1, 1, 2, 1 },   { 6, 70, 33, 3, 2 },
                                  { 5, 50, 7, 9, 1 }, { 17, 33, 6, 5, 3 }, { 20, 60, 13, 9, 2 } };
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (int training = 0; training < 2; training++)
            check_same_results(fused_graph(sizes[i]), unfused_graph(sizes[i]), training,
                               training ? 2 + (sizes[i].samples == 1 || sizes[i].kernel == 1) : 0,
                               0.25f); /* the bias before the normalisation; weights that only scale */
    const fused_sizes small = { 3, 20, 6, 3, 2 }, odd = { 3, 11, 5, 2, 3 };
    for (int training = 0; training < 2; training++) {
        check_gradients(fused_graph(small), 5, training);
        check_gradients(fused_graph(odd), 5, training);
    }
}

static graph *composed_graph(size_t rows, size_t samples, size_t maps, size_t kernel)
{
    graph *g = start(1, rows, samples);
    ndi_conv_channels(g, 0, "net", (conv_channels_names){ "a", "b" }, maps, kernel);
    return g;
}

static graph *two_convolutions(size_t rows, size_t samples, size_t maps, size_t kernel)
{
    graph *g = start(1, rows, samples);
    ndi_conv_space(g, ndi_conv_time(g, 0, "net.a", maps, kernel, 1, 1), "net.b", maps);
    return g;
}

static void composed_is_its_two_layers(void **state)
{
    (void)state;
    const size_t sizes[][4] = {
        { 3, 20, 4, 5 }, { 1, 9, 2, 9 }, { 30, 130, 24, 12 }, { 1, 30, 3, 4 }
    }; /* rows, samples, maps, kernel; the third by spectra */
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const size_t *s = sizes[i];
        check_same_results(composed_graph(s[0], s[1], s[2], s[3]), two_convolutions(s[0], s[1], s[2], s[3]), true, 0, 0.5f);
        check_gradients(composed_graph(s[0], s[1], s[2], s[3]), 5, true);
    }
}

/* Samples of one row and what pooling leaves. */
static void check_pool(bool maximum, size_t width, size_t stride, const float *expected, size_t n)
{
    const float x[] = { 1, 5, 2, 2, 8, 3, -4 };
    graph *g = start(1, 1, COUNT(x));
    rig r;
    int node = maximum ? ndi_max_pool(g, 0, "pool", width) : ndi_mean_pool(g, 0, "pool", width, stride);
    assert_int_equal(node, 1);
    rig_up(&r, g, 1, true, 1);
    memcpy(r.x, x, sizeof x);
    objective(&r);
    assert_int_equal(r.n_out, n);
    assert_true(nd_test_relative_error(ndi_output(&r.p), expected, n) < 1e-7);
    tear_down(&r);
}

static void pools(void **state)
{
    (void)state;
    check_pool(false, 2, 2, (float[]){ 3, 2, 5.5f }, 3);
    check_pool(false, 3, 2, (float[]){ 8.0f / 3, 4, 7.0f / 3 }, 3);
    check_pool(false, 1, 4, (float[]){ 1, 8 }, 2);
    check_pool(true, 2, 2, (float[]){ 5, 2, 8, -4 }, 4); /* the last window has a single sample */
    check_pool(true, 7, 7, (float[]){ 8 }, 1);
    check_pool(true, 9, 9, (float[]){ 8 }, 1);
}

static void gradients_of_mean_pool(void **state)
{
    (void)state;
    for (size_t width = 1; width <= 4; width++) {
        graph *g = start(3, 2, 23);
        ndi_mean_pool(g, 0, "pool", width, 3);
        check_gradients(g, 5, true);
    }
}

/* Where a gradient is passed on or not, it is exact: expected[t] is the number of the output whose gradient sample t receives, counted from 1, or 0. */
static void check_routes(graph *g, const float *x, const size_t *expected, size_t n)
{
    rig r;
    rig_up(&r, g, 1, true, 1);
    assert_int_equal(r.n_x, n);
    memcpy(r.x, x, n * sizeof *x);
    run_backward(&r);
    for (size_t t = 0; t < n; t++) assert_true(ndi_input_grad(&r.p)[t] == (expected[t] ? r.weight[expected[t] - 1] : 0));
    tear_down(&r);
}

static void gradients_go_where_the_largest_was(void **state)
{
    (void)state;
    const float x[] = { 1, 5, 2, 2, 8, 3, -4 };
    graph *g = start(1, 1, COUNT(x));
    ndi_max_pool(g, 0, "pool", 2);
    check_routes(g, x, (size_t[]){ 0, 1, 2, 0, 3, 0, 4 }, COUNT(x));
    const float signs[] = { 1, -5, 0, -0.5f, 8, 3, -4 };
    g = start(1, 1, COUNT(signs));
    ndi_relu(g, 0);
    check_routes(g, signs, (size_t[]){ 1, 0, 0, 0, 5, 6, 0 }, COUNT(signs));
}

static void relu_is_its_formula(void **state)
{
    (void)state;
    graph *g = start(3, 2, 23);
    rig r;
    ndi_relu(g, 0);
    rig_up(&r, g, 4, true, 2);
    objective(&r);
    for (size_t i = 0; i < r.n_out; i++) assert_true(ndi_output(&r.p)[i] == (r.x[i] > 0 ? r.x[i] : 0));
    tear_down(&r);
}

static void fails(int node, graph *g, const char *layer, const char *input)
{
    assert_int_equal(node, -1);
    assert_int_equal(g->status, ND_ERR_ARGUMENT);
    if (!strstr(nd_last_error(), layer) || !strstr(nd_last_error(), input)) fail_msg("%s", nd_last_error());
    ndi_graph_free(g);
}

static void impossible_sizes_name_the_layer(void **state)
{
    (void)state;
    graph *g = start(3, 2, 10);
    fails(ndi_conv1d(g, 0, "a", (conv1d){ .maps = 4, .kernel = 3, .groups = 2 }), g, "layer a (conv1d): 2 groups do not divide 3 maps and 4",
          "3 x 2 x 10");
    g = start(3, 2, 10);
    fails(ndi_conv1d(g, 0, "a", (conv1d){ .maps = 4, .kernel = 14, .left = 2, .right = 1 }), g,
          "kernel of 14 samples is longer than the input, with zeros 13", "3 x 2 x 10");
    g = start(3, 2, 10);
    fails(ndi_conv1d(g, 0, "a", (conv1d){ .maps = 4, .kernel = 1, .stride = 3, .samples = 3 }), g, "gives 4 x 2 x 4, asked for are 3 samples",
          "3 x 2 x 10");
    g = start(3, 2, 10);
    fails(ndi_conv_space_grouped(g, 0, "b", 4, 3), g, "layer b (conv_space): 3 groups do not divide 3 maps and 4", "3 x 2 x 10");
    g = start(3, 2, 10);
    fails(ndi_mean_pool(g, 0, "c", 11, 2), g, "layer c (mean_pool): pooling over 11 samples", "3 x 2 x 10");
}

/* Forward and backward bit for bit. */
static graph *everything(void)
{
    graph *g = start(1, 7, 60);
    int x = ndi_conv1d(g, 0, "a", (conv1d){ .maps = 4, .kernel = 8, .left = 3, .right = 4 });
    x = ndi_mean_pool(g, ndi_relu(g, ndi_conv_space_grouped(g, x, "b", 8, 4)), "c", 4, 2);
    x = ndi_max_pool(g, ndi_conv1d(g, x, "d", (conv1d){ .maps = 6, .kernel = 5, .stride = 2, .left = 2, .rows_are_maps = true }), "e", 2);
    ndi_linear(g, x, "f", 5);
    return g;
}

static graph *fused_everything(void)
{
    graph *g = fused_graph((fused_sizes){ 7, 60, 11, 3, 2 });
    ndi_conv1d(g, g->n_nodes - 1, "d", (conv1d){ .maps = 6, .kernel = 5, .groups = 6, .left = 2 });
    return g;
}

static graph *spectral_everything(void)
{
    graph *g = start(20, 1, 120);
    int x = ndi_conv1d(g, 0, "a", (conv1d){ .maps = 40, .kernel = 17, .left = 8, .right = 8 });
    ndi_conv1d(g, x, "b", (conv1d){ .maps = 48, .kernel = 17, .stride = 2, .left = 8, .right = 8 });
    return g;
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    check_same_bits(everything);
    check_same_bits(fused_everything);
    check_same_bits(spectral_everything);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv1d_is_its_formula),
        cmocka_unit_test(spectra_give_the_same),
        cmocka_unit_test(gradients_of_conv1d),
        cmocka_unit_test(conv_space_sees_its_group_only),
        cmocka_unit_test(fused_is_its_three_layers),
        cmocka_unit_test(composed_is_its_two_layers),
        cmocka_unit_test(pools),
        cmocka_unit_test(gradients_of_mean_pool),
        cmocka_unit_test(gradients_go_where_the_largest_was),
        cmocka_unit_test(relu_is_its_formula),
        cmocka_unit_test(impossible_sizes_name_the_layer),
        cmocka_unit_test(same_bits_for_any_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
