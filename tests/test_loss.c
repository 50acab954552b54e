/* InfoNCE against reference vectors, finite differences, and the bits of several threads. */
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
#include "golden.h"
#include "loss/loss.h"

static nd_loss *make(double temperature, int32_t vectors, int32_t sum)
{
    nd_loss *loss;
    nd_loss_options o;
    assert_int_equal(nd_loss_options_init(&o, sizeof o), ND_OK);
    o.temperature = temperature;
    o.vectors = vectors;
    o.sum_directions = sum;
    assert_int_equal(nd_loss_create(&loss, "infonce", &o), ND_OK);
    return loss;
}

static void reference_vectors(void **state)
{
    (void)state;
    content *c = nd_test_golden("losses.npz");
    if (!c) skip();
    size_t n;
    float *v = nd_test_floats(c, "v", &n), *z = nd_test_floats(c, "z", NULL), *dv = ndi_alloc(n, sizeof *dv), *dz = ndi_alloc(n, sizeof *dz);
    const char *temperatures[] = { "0.04", "0.5" };
    for (size_t k = 0; k < 2; k++) {
        char name[64];
        double value, dscale;
        nd_loss *loss = make(k ? 0.5 : 0.04, ND_VECTOR_CENTRED_L2, 0);
        assert_int_equal(nd_loss_evaluate(loss, v, z, 11, 24, &value, dv, dz, &dscale), ND_OK);
        snprintf(name, sizeof name, "clip/%s/loss", temperatures[k]);
        assert_true(fabs(value / nd_test_number(c, name) - 1) < 1e-5);
        snprintf(name, sizeof name, "clip/%s/grad_logit_scale", temperatures[k]);
        assert_true(fabs(dscale / nd_test_number(c, name) - 1) < 1e-5);
        snprintf(name, sizeof name, "clip/%s/grad_v", temperatures[k]);
        float *expected = nd_test_floats(c, name, NULL);
        assert_true(nd_test_relative_error(dv, expected, n) < 1e-5);
        ndi_free(expected);
        snprintf(name, sizeof name, "clip/%s/grad_z", temperatures[k]);
        expected = nd_test_floats(c, name, NULL);
        assert_true(nd_test_relative_error(dz, expected, n) < 1e-5);
        ndi_free(expected);
        nd_loss_free(loss);
    }
    ndi_free(v);
    ndi_free(z);
    ndi_free(dv);
    ndi_free(dz);
    ndi_content_free(c);
}

static float *random_rows(size_t n, uint32_t stream)
{
    float *x = ndi_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(2 * ndi_uniform(4, NDI_RANDOM_DRAW, stream, i) - 1);
    return x;
}

static double value_of(const nd_loss *loss, const float *v, const float *z, size_t n, size_t dim)
{
    double value;
    assert_int_equal(nd_loss_evaluate(loss, v, z, n, dim, &value, NULL, NULL, NULL), ND_OK);
    return value;
}

static void gradients_by_differences(void **state)
{
    (void)state;
    for (int32_t vectors = 0; vectors < 2; vectors++)
        for (int32_t sum = 0; sum < 2; sum++) {
            enum { N = 7, D = 9 };
            nd_loss *loss = make(0.3, vectors, sum), *warmer = make(0.3 * exp(-1e-3), vectors, sum), *colder = make(0.3 * exp(1e-3), vectors, sum);
            float *v = random_rows(N * D, 1), *z = random_rows(N * D, 2), dv[N * D], dz[N * D];
            double value, dscale;
            assert_int_equal(nd_loss_evaluate(loss, v, z, N, D, &value, dv, dz, &dscale), ND_OK);
            for (size_t k = 0; k < 2 * N * D; k++) {
                float *x = k < N * D ? &v[k] : &z[k - N * D], keep = *x, h = 2e-3f;
                *x = keep + h;
                double up = value_of(loss, v, z, N, D);
                *x = keep - h;
                double down = value_of(loss, v, z, N, D);
                *x = keep;
                double expected = (up - down) / (2 * (double)h), got = (double)(k < N * D ? dv[k] : dz[k - N * D]);
                assert_true(fabs(expected - got) < 3e-4 + 3e-3 * fabs(expected));
            }
            assert_true(fabs(dscale - (value_of(warmer, v, z, N, D) - value_of(colder, v, z, N, D)) / 2e-3) < 2e-3);
            nd_loss_free(loss);
            nd_loss_free(warmer);
            nd_loss_free(colder);
            ndi_free(v);
            ndi_free(z);
        }
}

static void sum_is_twice_the_mean(void **state)
{
    (void)state;
    float *v = random_rows(60, 1), *z = random_rows(60, 2);
    nd_loss *mean = make(0.1, 1, 0), *sum = make(0.1, 1, 1);
    assert_true(fabs(value_of(sum, v, z, 6, 10) - 2 * value_of(mean, v, z, 6, 10)) < 1e-9);
    assert_true(fabs(value_of(mean, v, v, 1, 60)) < 1e-6); /* one pair cannot be confused */
    nd_loss_free(mean);
    nd_loss_free(sum);
    ndi_free(v);
    ndi_free(z);
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    enum { N = 130, D = 65 };
    float *v = random_rows(N * D, 1), *z = random_rows(N * D, 2), *first = ndi_alloc(N * D, sizeof *v), *dv = ndi_alloc(N * D, sizeof *v);
    nd_loss *loss = make(0.04, 1, 0);
    double first_value = 0;
    for (int32_t threads = 1; threads <= 3; threads++) {
        pool *p;
        loss_space *s;
        assert_int_equal(ndi_pool_create(&p, threads), ND_OK);
        assert_int_equal(ndi_loss_space_create(&s, N, D, p), ND_OK);
        loss_call c = { .n = N, .dim = D, .v = v, .z = z, .scale = 25, .grad_v = threads == 1 ? first : dv };
        loss->kind->evaluate(&loss->options, s, &c);
        if (threads == 1) first_value = c.value;
        assert_memory_equal(&c.value, &first_value, sizeof first_value);
        if (threads > 1) assert_memory_equal(first, dv, N * D * sizeof *dv);
        ndi_loss_space_free(s);
        ndi_pool_free(p);
    }
    nd_loss_free(loss);
    float *blocks[] = { v, z, first, dv };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
}

static void bad_arguments(void **state)
{
    (void)state;
    nd_loss *loss;
    nd_loss_options o;
    nd_loss_options_init(&o, sizeof o);
    o.temperature = 0;
    assert_int_equal(nd_loss_create(&loss, NULL, &o), ND_ERR_ARGUMENT);
    assert_null(loss);
    assert_int_equal(nd_loss_create(&loss, "hinge", NULL), ND_ERR_ARGUMENT);
    assert_non_null(strstr(nd_last_error(), "hinge"));
    loss = make(0.04, 1, 0);
    float v[6] = { 1, 2, 3, 4, NAN, 6 };
    double value = 5;
    assert_int_equal(nd_loss_evaluate(loss, v, v, 2, 3, &value, NULL, NULL, NULL), ND_ERR_NUMERIC);
    assert_non_null(strstr(nd_last_error(), "row 1"));
    assert_true(value == 5);
    assert_int_equal(nd_loss_evaluate(loss, v, v, 0, 3, &value, NULL, NULL, NULL), ND_ERR_ARGUMENT);
    assert_int_equal(nd_loss_evaluate(loss, NULL, v, 2, 3, &value, NULL, NULL, NULL), ND_ERR_ARGUMENT);
    nd_loss_free(loss);
    nd_loss_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_vectors),
        cmocka_unit_test(gradients_by_differences),
        cmocka_unit_test(sum_is_twice_the_mean),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
