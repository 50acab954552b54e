/* Fused operations against the plain ones they replace, and the kernels they are made of against naive sums, on every instruction set that this CPU runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "math/gemm.h"
#include "math/tile.h"
#include "nn/ops.h"
#include "rig.h"

/* ---- kernels ---- */

enum { ROOM = 1 << 15 };

typedef struct blocks {
    float *a, *b, *c, *expected;
} blocks;

static blocks make_blocks(void) { return (blocks){ random_block(ROOM, 1), random_block(ROOM, 2), random_block(ROOM, 3), random_block(ROOM, 3) }; }

static void free_blocks(blocks *k)
{
    float *all[] = { k->a, k->b, k->c, k->expected };
    for (size_t i = 0; i < COUNT(all); i++) ndi_free(all[i]);
}

static void naive_product(const product *p, float *c)
{
    for (size_t r = 0; r < p->times; r++)
        for (size_t i = 0; i < p->m; i++)
            for (size_t j = 0; j < p->n; j++) {
                float *to = c + r * p->c_next + i * p->c_row + j;
                double sum = p->add ? (double)*to : p->start ? (double)p->start[i] : 0;
                for (size_t l = 0; l < p->k; l++)
                    sum += (double)p->a[r * p->a_next + i * p->a_row + l * p->a_step] * (double)p->b[r * p->b_next + l * p->b_row + j];
                *to = (float)sum;
            }
}

/* All widths and heights of tiles; what stands beside and behind C stays as it is. */
static void products(const tile_kernels *kernels)
{
    for (size_t m = 1; m <= 20; m++)
        for (size_t n = NDI_TILE_COLUMNS; n <= 136; n += NDI_TILE_COLUMNS)
            for (int way = 0; way < 3; way++) {
                blocks k = make_blocks();
                product p = {
                    .m = m, .n = n, .k = 7, .a = k.a, .b = k.b, .c = k.c, .b_row = n + 1, .c_row = n + 3, .times = 2, .b_next = 5, .a_next = 2
                };
                p.a_row = way == 0 ? 9 : 1;
                p.a_step = way == 0 ? 1 : m + 1;
                p.add = way == 1;
                p.start = way == 2 ? k.b + 100 : NULL;
                p.c_next = way == 1 ? 0 : m * (n + 3);
                kernels->product(&p);
                naive_product(&p, k.expected);
                assert_true(nd_test_relative_error(k.c, k.expected, ROOM) < 1e-6);
                free_blocks(&k);
            }
}

/* The same numbers as without, whether the tiles are whole or not. */
static void products_ahead(const tile_kernels *kernels)
{
    for (size_t m = 5; m <= 24; m++)
        for (size_t n = NDI_TILE_COLUMNS; n <= 64; n += NDI_TILE_COLUMNS) {
            blocks k = make_blocks();
            product p = { .m = m, .n = n, .k = 9, .a = k.a, .b = k.b, .c = k.c, .a_row = 1, .a_step = 24, .b_row = 64, .c_row = n + 3, .times = 1 };
            const char *lines[16];
            for (size_t i = 0; i < COUNT(lines); i++) lines[i] = (const char *)(k.a + 100 * i);
            p.lines = lines;
            p.n_lines = COUNT(lines);
            kernels->product(&p);
            naive_product(&p, k.expected);
            assert_true(nd_test_relative_error(k.c, k.expected, ROOM) < 1e-6);
            free_blocks(&k);
        }
}

static void dot_products(const tile_kernels *kernels)
{
    for (size_t m = 1; m <= 11; m++)
        for (size_t n = 1; n <= 12; n++) {
            blocks k = make_blocks();
            dots d = { .m = m,
                       .n = n,
                       .steps = 3,
                       .run = 2 * NDI_TILE_RUN,
                       .x = k.a,
                       .y = k.b,
                       .x_row = 40,
                       .x_step = 500,
                       .y_row = 33,
                       .y_step = 7,
                       .c_row = n + 2 };
            double wide[11 * 14] = { 0 }, expected[11 * 14] = { 0 };
            kernels->dots(&d, k.c);
            kernels->dots_f64(&d, wide);
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++)
                    for (size_t s = 0; s < d.steps; s++)
                        for (size_t t = 0; t < d.run; t++)
                            expected[i * d.c_row + j] += (double)k.a[s * d.x_step + i * d.x_row + t] * (double)k.b[s * d.y_step + j * d.y_row + t];
            for (size_t i = 0; i < COUNT(wide); i++) {
                assert_true(fabs(wide[i] - expected[i]) < 1e-12);
                k.expected[i] += (float)expected[i];
            }
            assert_true(nd_test_relative_error(k.c, k.expected, ROOM) < 2e-6);
            free_blocks(&k);
        }
}

static void elu_and_its_slope(const tile_kernels *kernels)
{
    enum { N = 4096 };
    static float u[N], g[N];
    const double e = 1.4426950408889634;
    for (size_t i = 0; i < N; i++) {
        u[i] = (float)(((double)i - 3000) / 20 * e);
        g[i] = 1;
    }
    kernels->elu(u, N);
    kernels->elu_grad(u, g, N);
    for (size_t i = 0; i < N; i++) {
        double x = (double)(float)(((double)i - 3000) / 20 * e) / e, elu = x > 0 ? x : expm1(x);
        assert_true(fabs((double)u[i] - e * (elu + 1)) < 4e-7 * (1 + fabs(x)));
        assert_true(fabs((double)g[i] - e * (x > 0 ? 1 : exp(x))) < 4e-7);
    }
    float odd[NDI_TILE_RUN] = { NAN, INFINITY, -INFINITY, -1e30f };
    kernels->elu(odd, NDI_TILE_RUN);
    assert_true(isnan(odd[0]) && odd[1] == INFINITY && fabsf(odd[2]) < 1e-30f && fabsf(odd[3]) < 1e-30f);
}

static void running_means(const tile_kernels *kernels)
{
    for (size_t C = 1; C <= 35; C++)
        for (size_t width = 1; width <= 9; width += 4) {
            enum { T = 40 };
            size_t rows = T - width + 1, row = (C + 15) / 16 * 16;
            blocks k = make_blocks();
            kernels->running_mean(k.a, C, T, width, k.c, rows, row);
            for (size_t t = 0; t < rows; t++)
                for (size_t c = 0; c < row; c++) {
                    double sum = 0;
                    for (size_t i = 0; i < width && c < C; i++) sum += (double)k.a[c * T + t + i];
                    k.expected[t * row + c] = (float)(sum / (double)width);
                }
            assert_true(nd_test_relative_error(k.c, k.expected, ROOM) < 1e-7);
            free_blocks(&k);
        }
}

static void copies_and_transposition(const tile_kernels *kernels)
{
    for (size_t m = 1; m <= 37; m += 3)
        for (size_t n = 1; n <= 37; n += 4) {
            blocks k = make_blocks();
            kernels->copy(k.a, n + 2, m, n, 0.5f, k.c, n + 1);
            for (size_t i = 0; i < m * n; i++) k.expected[i / n * (n + 1) + i % n] = 0.5f * k.a[i / n * (n + 2) + i % n];
            assert_memory_equal(k.c, k.expected, ROOM * sizeof(float));
            kernels->turn(k.a, n + 2, m, n, k.c, m + 3);
            for (size_t i = 0; i < m; i++)
                for (size_t j = 0; j < n; j++) k.expected[j * (m + 3) + i] = k.a[i * (n + 2) + j];
            assert_memory_equal(k.c, k.expected, ROOM * sizeof(float));
            free_blocks(&k);
        }
}

/* Softmax of rows of n numbers and its gradient, every third weight dropped. */
static void attention_weights(const tile_kernels *kernels, size_t n, float scale)
{
    enum { ROWS = 3, MOST = 80 };
    size_t row = (n + NDI_TILE_RUN - 1) / NDI_TILE_RUN * NDI_TILE_RUN;
    float x[ROWS * MOST], kept[ROWS * MOST], g[ROWS * MOST];
    double expected[ROWS * MOST] = { 0 };
    blocks k = make_blocks();
    memcpy(x, k.a, sizeof x);
    memcpy(g, k.b, sizeof g);
    for (size_t r = 0; r < ROWS; r++) {
        double total = 0;
        for (size_t i = 0; i < n; i++) total += exp((double)scale * (double)x[r * row + i]);
        for (size_t i = 0; i < n; i++) expected[r * row + i] = exp((double)scale * (double)x[r * row + i]) / total;
    }
    kernels->softmax(x, ROWS, n, row, scale);
    for (size_t i = 0; i < ROWS * row; i++) assert_true(fabs((double)x[i] - expected[i]) <= 5e-7 * expected[i]);
    for (size_t i = 0; i < ROWS * row; i++) kept[i] = i % 3 == 0 ? 0 : 1.5f * x[i];
    kernels->softmax_mark(kept, x, ROWS * row);
    for (size_t i = 0; i < ROWS * row; i++) assert_true(fabs((double)x[i] - (i % 3 == 0 ? -1 : 1) * expected[i]) <= 5e-7 * expected[i]);
    memset(kept, 0xff, sizeof kept);
    kernels->softmax_kept(x, 1.5f, kept, ROWS * row);
    kernels->softmax_grad(x, kept, g, ROWS, row, scale);
    for (size_t r = 0; r < ROWS; r++) {
        double along = 0;
        for (size_t i = r * row; i < (r + 1) * row; i++) along += i % 3 == 0 ? 0 : 1.5 * expected[i] * (double)k.b[i];
        for (size_t i = r * row; i < (r + 1) * row; i++) {
            double own = i % 3 == 0 ? 0 : 1.5 * expected[i] * (double)k.b[i];
            assert_true(fabs((double)g[i] - (double)scale * (own - expected[i] * along)) < 2e-6);
        }
    }
    free_blocks(&k);
}

static void weights_that_are_no_numbers(const tile_kernels *kernels)
{
    float x[2 * NDI_TILE_RUN] = { 1, NAN, 3, [NDI_TILE_RUN] = 1000, -1000, 1000 };
    kernels->softmax(x, 2, 3, NDI_TILE_RUN, 1);
    assert_true(isnan(x[0]) && isnan(x[2]));
    assert_true(fabsf(x[NDI_TILE_RUN] - 0.5f) < 1e-6f && x[NDI_TILE_RUN + 1] < 1e-30f && x[NDI_TILE_RUN + 3] == 0);
}

static void kernels_are_their_formulas(void **state)
{
    (void)state;
    products(ndi_tile);
    products_ahead(ndi_tile);
    dot_products(ndi_tile);
    elu_and_its_slope(ndi_tile);
    running_means(ndi_tile);
    copies_and_transposition(ndi_tile);
    for (size_t n = 1; n <= 80; n += 1 + n / 9) attention_weights(ndi_tile, n, n % 2 ? 0.7f : -1.3f);
    weights_that_are_no_numbers(ndi_tile);
}

/* Products that go by tiles, with widths and inner sides that fill none, and those that just do not. */
static void small_matrix_products(void **state)
{
    (void)state;
    const size_t rows[] = { 1, 7, 97 }, columns[] = { 1, 8, 13, 71 }, inner[] = { 1, 16, 25, 256, 257 };
    for (size_t at = 0; at < 3 * 4 * 5 * 8; at++) {
        size_t m = rows[at % 3], n = columns[at / 3 % 4], k = inner[at / 12 % 5];
        bool ta = at / 60 % 2, tb = at / 120 % 2, add = at / 240;
        blocks r = make_blocks();
        ndi_gemm(ta, tb, m, n, k, 1, r.a, ta ? m : k, r.b, tb ? k : n, add, r.c, n + 1);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = add ? (double)r.expected[i * (n + 1) + j] : 0;
                for (size_t l = 0; l < k; l++) sum += (double)r.a[ta ? l * m + i : i * k + l] * (double)r.b[tb ? j * k + l : l * n + j];
                r.expected[i * (n + 1) + j] = (float)sum;
            }
        assert_true(nd_test_relative_error(r.c, r.expected, ROOM) < 2e-6);
        free_blocks(&r);
    }
}

/* Products large enough for wide tasks and more than one block of the inner side, looked at here and there. */
static void large_matrix_products(void **state)
{
    (void)state;
    const size_t m = 4100, n = 1203, k = 270;
    float *a = random_block(m * k, 0), *b = random_block(n * k, 0), *c = ndi_alloc(m * n, sizeof *c);
    for (int at = 0; at < 4; at++) {
        bool ta = at % 2, tb = at / 2;
        for (size_t i = 0; i < m * n; i++) c[i] = 1;
        ndi_gemm(ta, tb, m, n, k, 0.5f, a, ta ? m : k, b, tb ? k : n, 3, c, n);
        for (size_t i = 0; i < m; i += 13)
            for (size_t j = i % 7; j < n; j += 29) {
                double sum = 0;
                for (size_t l = 0; l < k; l++) sum += (double)a[ta ? l * m + i : i * k + l] * (double)b[tb ? j * k + l : l * n + j];
                assert_true(fabs((double)c[i * n + j] - 3 - sum / 2) < 1e-4);
            }
    }
    ndi_free(a);
    ndi_free(b);
    ndi_free(c);
}

/* ---- the front end of NICE ---- */

typedef struct front {
    size_t C, T, F, K, width, stride, D, B;
} front;

static graph *front_end(const front *f, bool plain)
{
    graph *g = start(1, f->C, f->T);
    int x = ndi_conv_time(g, 0, "time", f->F, f->K, f->width, f->stride);
    x = ndi_conv_space(g, ndi_elu(g, ndi_batch_norm(g, x, "norm")), "space", f->D);
    ndi_elu(g, ndi_batch_norm(g, x, "norm2"));
    g->plain = plain;
    return g;
}

static bool behind_norm(const tensor *t, bool training)
{
    return training && (strcmp(t->name, "time.bias") == 0 || strcmp(t->name, "space.bias") == 0);
}

static void compare_state(const rig *a, const rig *b)
{
    for (int i = 0; i < a->g->n_tensors; i++) {
        const tensor *t = &a->g->tensors[i];
        if (!t->trainable) assert_true(nd_test_relative_error(a->new_state + t->at, b->new_state + t->at, t->n) < 1e-5);
    }
}

/* Output, running statistics, every gradient. In front of batch statistics a bias has gradient 0, which the plain ops reach up to rounding. */
static void compare_front(const front *f, bool training, float offset)
{
    rig a, b;
    rig_up(&a, front_end(f, false), f->B, training, 2);
    rig_up(&b, front_end(f, true), f->B, training, 2);
    assert_string_equal(a.w->nodes[4].op->name, "conv_norm_elu_space");
    assert_string_equal(b.w->nodes[4].op->name, "conv_space");
    for (size_t i = 0; i < a.n_x; i++) a.x[i] = b.x[i] += offset;
    run_backward(&a);
    run_backward(&b);
    assert_true(nd_test_relative_error(ndi_output(&a.p), ndi_output(&b.p), a.n_out) < (offset > 0 ? 1e-3 : 2e-5));
    if (training && offset == 0) compare_state(&a, &b);
    for (int i = 0; i < a.g->n_tensors && offset == 0; i++) {
        const tensor *t = &a.g->tensors[i];
        if (!t->trainable || behind_norm(t, training)) continue;
        double error = nd_test_relative_error(a.grads + t->at, b.grads + t->at, t->n);
        if (!(error < 5e-5)) fail_msg("%zu x %zu, %zu filters: %s: relative error %g", f->C, f->T, f->F, t->name, error);
    }
    if (training) assert_true(a.grads[f->F * f->K] == 0);
    if (offset == 0) assert_true(nd_test_relative_error(ndi_input_grad(&a.p), ndi_input_grad(&b.p), a.n_x) < 5e-5);
    tear_down(&a);
    tear_down(&b);
}

/* Channels of one and of several slabs, filters that fill no slab, strides below and above the kernel, batches from one trial on. */
static const front fronts[] = {
    { 63, 250, 40, 25, 51, 5, 40, 6 }, { 5, 40, 3, 7, 4, 3, 2, 9 },   { 17, 60, 7, 5, 1, 1, 9, 70 },   { 130, 50, 11, 6, 9, 4, 12, 5 },
    { 1, 30, 4, 4, 3, 2, 3, 33 },      { 70, 45, 6, 3, 5, 7, 17, 4 }, { 271, 60, 12, 25, 5, 5, 8, 3 }, { 16, 64, 5, 64, 1, 1, 16, 13 },
};

static void front_end_is_what_it_replaces(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(fronts); i++) {
        compare_front(&fronts[i], true, 0);
        compare_front(&fronts[i], false, 0);
    }
    compare_front(&fronts[0], true, 100);
}

/* In evaluation; in training some are 0, which differences do not show. */
static void gradients_of_the_front_end(void **state)
{
    (void)state;
    const front small = { 6, 30, 4, 5, 4, 3, 3, 7 };
    check_gradients(front_end(&small, false), 7, false);
}

static graph *front_of_eeg(void) { return front_end(&fronts[3], false); }

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    check_same_bits(front_of_eeg);
}

/* Long kernels, groups and maps that others read keep the plain ops. */
static void what_does_not_fit_stays_plain(void **state)
{
    (void)state;
    const front wide = { 4, 90, 4, 65, 2, 1, 4, 3 };
    rig r;
    rig_up(&r, front_end(&wide, false), 3, true, 1);
    assert_string_equal(r.w->nodes[1].op->name, "conv_time");
    tear_down(&r);
    graph *g = start(1, 4, 30);
    int x = ndi_elu(g, ndi_batch_norm(g, ndi_conv_time(g, 0, "time", 4, 5, 2, 1), "norm"));
    ndi_conv_space_grouped(g, x, "space", 4, 4);
    rig_up(&r, g, 3, true, 1);
    assert_string_equal(r.w->nodes[4].op->name, "conv_space");
    tear_down(&r);
}

/* Values prepared for one revision serve it only. */
static void check_prepared(graph *g, size_t B)
{
    rig r;
    rig_up(&r, g, B, false, 1);
    float *before = random_block(r.n_out, 0);
    r.p.revision = 1;
    ndi_forward(&r.p);
    memcpy(before, ndi_output(&r.p), r.n_out * sizeof *before);
    ndi_forward(&r.p);
    assert_memory_equal(before, ndi_output(&r.p), r.n_out * sizeof *before);
    r.params[0] += 1;
    r.p.revision = 2;
    ndi_forward(&r.p);
    float *after = random_block(r.n_out, 0);
    memcpy(after, ndi_output(&r.p), r.n_out * sizeof *after);
    assert_memory_not_equal(before, after, r.n_out * sizeof *before);
    r.p.revision = 0;
    ndi_forward(&r.p);
    assert_memory_equal(after, ndi_output(&r.p), r.n_out * sizeof *after);
    ndi_free(before);
    ndi_free(after);
    tear_down(&r);
}

static void prepared_values_follow_the_revision(void **state)
{
    (void)state;
    check_prepared(front_end(&fronts[1], false), fronts[1].B);
    graph *g = start(1, 5, 40);
    ndi_conv_norm_space(g, 0, "net", (conv_norm_space_names){ "time", "norm", "space" }, 3, 8, 2);
    check_prepared(g, 4);
}

/* ---- normalisation and what stands behind it ---- */

static graph *norm_elu_pool(size_t width, size_t stride, bool plain)
{
    graph *g = start(3, 2, 37);
    ndi_mean_pool(g, ndi_elu(g, ndi_batch_norm(g, 0, "norm")), "pool", width, stride);
    g->plain = plain;
    return g;
}

static graph *norm_relu_dropout(double rate, bool plain)
{
    graph *g = start(3, 2, 37);
    ndi_dropout(g, ndi_relu(g, ndi_batch_norm(g, ndi_scale(g, 0, 3), "norm")), rate);
    g->plain = plain;
    return g;
}

/* Both graphs, of which the first is fused, in evaluation and in training. */
static void compare_graphs(graph *fused[2], graph *plain[2], const char *name)
{
    for (int training = 0; training < 2; training++) {
        rig a, b;
        rig_up(&a, fused[training], 7, training, 2);
        rig_up(&b, plain[training], 7, training, 1);
        assert_string_equal(a.w->nodes[a.g->n_nodes - 1].op->name, name);
        run_backward(&a);
        run_backward(&b);
        assert_true(nd_test_relative_error(ndi_output(&a.p), ndi_output(&b.p), a.n_out) < 1e-6);
        if (training) compare_state(&a, &b);
        assert_true(nd_test_relative_error(a.grads, b.grads, a.g->n_params) < 2e-6);
        assert_true(nd_test_relative_error(ndi_input_grad(&a.p), ndi_input_grad(&b.p), a.n_x) < 2e-5);
        tear_down(&a);
        tear_down(&b);
    }
}

static void means_of_units_are_what_they_replace(void **state)
{
    (void)state;
    const size_t windows[][2] = { { 4, 4 }, { 8, 3 }, { 37, 1 }, { 1, 1 }, { 5, 9 } };
    for (size_t i = 0; i < COUNT(windows); i++) {
        size_t width = windows[i][0], stride = windows[i][1];
        compare_graphs((graph *[]){ norm_elu_pool(width, stride, false), norm_elu_pool(width, stride, false) },
                       (graph *[]){ norm_elu_pool(width, stride, true), norm_elu_pool(width, stride, true) }, "norm_elu_pool");
    }
}

static void rectified_units_are_what_they_replace(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        double rate = 0.4 * i;
        compare_graphs((graph *[]){ norm_relu_dropout(rate, false), norm_relu_dropout(rate, false) },
                       (graph *[]){ norm_relu_dropout(rate, true), norm_relu_dropout(rate, true) }, "norm_relu_dropout");
    }
}

static graph *tokens_lstm(bool plain)
{
    graph *g = start(3, 2, 37);
    ndi_lstm(g, ndi_tokens(g, 0), "lstm", 0, 9);
    g->plain = plain;
    return g;
}

static void tokens_by_channels_are_what_they_replace(void **state)
{
    (void)state;
    compare_graphs((graph *[]){ tokens_lstm(false), tokens_lstm(false) }, (graph *[]){ tokens_lstm(true), tokens_lstm(true) }, "lstm");
    rig r;
    rig_up(&r, tokens_lstm(false), 3, true, 1);
    assert_string_equal(r.w->nodes[1].op->name, "fused");
    tear_down(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_are_their_formulas),
        cmocka_unit_test(small_matrix_products),
        cmocka_unit_test(large_matrix_products),
        cmocka_unit_test(front_end_is_what_it_replaces),
        cmocka_unit_test(gradients_of_the_front_end),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(what_does_not_fit_stays_plain),
        cmocka_unit_test(prepared_values_follow_the_revision),
        cmocka_unit_test(means_of_units_are_what_they_replace),
        cmocka_unit_test(rectified_units_are_what_they_replace),
        cmocka_unit_test(tokens_by_channels_are_what_they_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
