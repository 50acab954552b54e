/* Kernels against the C library in double precision, matrix products against three loops, and the promise that threads and instruction sets change no bit. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "base/mem.h"
#include "base/random.h"
#include "math/gemm.h"
#include "math/vec.h"

static float *random_floats(size_t n, uint64_t seed)
{
    float *x = ndi_alloc(n, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(2 * ndi_uniform(seed, NDI_RANDOM_DRAW, 0, i) - 1);
    return x;
}

enum { GRID = 200000 };

static void exp_error(void **state)
{
    (void)state;
    float *x = ndi_alloc(GRID, sizeof *x), *y = ndi_alloc(GRID, sizeof *y);
    double worst = 0;
    for (size_t i = 0; i < GRID; i++) x[i] = (float)(-87.3 + 176.0 * (double)i / GRID);
    ndi_vec->exp(x, y, GRID);
    for (size_t i = 0; i < GRID; i++) worst = fmax(worst, fabs((double)y[i] / exp((double)x[i]) - 1));
    assert_true(worst < 2.5e-7);
    const float special[] = { -INFINITY, -200, 0, 200, INFINITY, NAN };
    ndi_vec->exp(special, y, 6);
    assert_true(y[0] == 0 && y[1] == 0 && y[2] == 1 && isinf(y[3]) && isinf(y[4]) && isnan(y[5]));
    ndi_free(x);
    ndi_free(y);
}

static void elu_and_gelu_error(void **state)
{
    (void)state;
    float *x = ndi_alloc(GRID, sizeof *x), *y = ndi_alloc(GRID, sizeof *y), *one = ndi_alloc(GRID, sizeof *one);
    for (size_t i = 0; i < GRID; i++) {
        x[i] = (float)(-12 + 24.0 * (double)i / GRID);
        one[i] = 1;
    }
    double elu = 0, gelu = 0, grad = 0;
    ndi_vec->elu(x, y, GRID);
    for (size_t i = 0; i < GRID; i++) elu = fmax(elu, fabs((double)y[i] - (x[i] > 0 ? (double)x[i] : expm1((double)x[i]))));
    ndi_vec->gelu(x, y, GRID);
    for (size_t i = 0; i < GRID; i++)
        gelu = fmax(gelu, fabs((double)y[i] - (double)x[i] * 0.5 * erfc(-(double)x[i] / sqrt(2))) / fmax(1, fabs((double)x[i])));
    ndi_vec->gelu_grad(x, one, y, GRID);
    for (size_t i = 0; i < GRID; i++) {
        double v = (double)x[i], expected = 0.5 * erfc(-v / sqrt(2)) + v * exp(-v * v / 2) / sqrt(2 * 3.14159265358979);
        grad = fmax(grad, fabs((double)y[i] - expected));
    }
    const float odd[] = { NAN, INFINITY, -INFINITY };
    ndi_vec->elu(odd, y, 3);
    assert_true(isnan(y[0]) && isinf(y[1]) && y[2] == -1);
    ndi_vec->gelu(odd, y, 1);
    assert_true(isnan(y[0]));
    assert_true(elu < 1.2e-7);
    assert_true(gelu < 4e-7);
    assert_true(grad < 1e-6);
    ndi_free(x);
    ndi_free(y);
    ndi_free(one);
}

static void sums_and_softmax(void **state)
{
    (void)state;
    for (size_t n = 1; n < 200; n += 7) {
        float *a = random_floats(n, 1), *b = random_floats(n, 2);
        double dot = 0, sum = 0, total = 0;
        float top = a[0];
        for (size_t i = 0; i < n; i++) {
            dot += (double)a[i] * (double)b[i];
            sum += (double)a[i];
            top = fmaxf(top, a[i]);
            total += exp((double)a[i]);
        }
        assert_true(fabs((double)ndi_vec->dot(a, b, n) - dot) < 1e-5);
        assert_true(fabs((double)ndi_vec->sum(a, n) - sum) < 1e-5);
        assert_true(fabs(ndi_dot_f64(a, b, n) - dot) < 1e-12 && fabs(ndi_sum_f64(a, n) - sum) < 1e-12);
        double both[] = { 1, 2 };
        ndi_vec->sum_dot(a, b, n, both);
        assert_true(fabs(both[0] - 1 - sum) < 1e-12 && fabs(both[1] - 2 - dot) < 1e-12);
        assert_true(ndi_vec->max(a, n) == top);
        assert_true(fabs((double)ndi_softmax(a, n) - log(total)) < 1e-5);
        assert_true(fabs(ndi_sum_f64(a, n) - 1) < 1e-6);
        assert_true(ndi_all_finite(a, n));
        a[n / 2] = n % 2 ? NAN : INFINITY;
        assert_false(ndi_all_finite(a, n));
        ndi_free(a);
        ndi_free(b);
    }
}

/* Column c of the transform of z at frequency k by the formula, and how far z is from it. */
static double distance_to_transform(const float *z, const float *from, size_t N)
{
    double worst = 0;
    for (size_t row = 0; row < N; row++)
        for (size_t c = 0; c < NDI_PAIRS; c++) {
            double re = 0, im = 0;
            for (size_t t = 0; t < N; t++) {
                double a = 2 * 3.14159265358979323846 * (double)(ndi_frequency(N, row) * t % N) / (double)N;
                double x = (double)from[t * NDI_PAIR_ROW + c], y = (double)from[t * NDI_PAIR_ROW + NDI_PAIRS + c];
                re += x * cos(a) + y * sin(a);
                im += y * cos(a) - x * sin(a);
            }
            worst = fmax(worst, hypot(re - (double)z[row * NDI_PAIR_ROW + c], im - (double)z[row * NDI_PAIR_ROW + NDI_PAIRS + c]));
        }
    return worst;
}

static void transforms_of_columns(void **state)
{
    (void)state;
    const size_t lengths[] = { 2, 3, 4, 5, 6, 8, 12, 15, 16, 32, 64, 90, 128, 320 };
    for (size_t i = 0; i < COUNT(lengths); i++) {
        size_t N = lengths[i], n = N * NDI_PAIR_ROW;
        float *x = random_floats(n, 1), *z = random_floats(n, 1), *roots = ndi_alloc(2 * N, sizeof *roots), *powers = ndi_alloc(n, sizeof *powers);
        for (size_t k = 0; k < N; k++) {
            double angle = 2 * 3.14159265358979323846 * (double)k / (double)N;
            roots[2 * k] = (float)cos(angle);
            roots[2 * k + 1] = (float)sin(angle);
        }
        ndi_vec->dft->forward(z, N, roots);
        assert_true(distance_to_transform(z, x, N) < 1e-6 * (double)N);
        memset(powers, 0, n * sizeof *powers);
        float *lost = random_floats(n, 1);
        ndi_vec->dft->power(lost, N, roots, powers);
        for (size_t at = 0; at < N * NDI_PAIRS; at++) {
            const float *pair = z + at / NDI_PAIRS * NDI_PAIR_ROW + at % NDI_PAIRS;
            double expected = (double)pair[0] * (double)pair[0] + (double)pair[NDI_PAIRS] * (double)pair[NDI_PAIRS];
            assert_true(fabs((double)powers[at] - expected) < 1e-5 * (double)N);
        }
        ndi_vec->dft->backward(z, N, roots);
        for (size_t at = 0; at < n; at++) assert_true(fabs((double)z[at] / (double)N - (double)x[at]) < 1e-6);
        ndi_free(x);
        ndi_free(z);
        ndi_free(roots);
        ndi_free(powers);
        ndi_free(lost);
    }
}

static void products_of_columns(void **state)
{
    (void)state;
    enum { ROWS = 3, N = ROWS * NDI_PAIR_ROW };
    float *a = random_floats(N, 1), *b = random_floats(N, 2), to[3][N] = { 0 };
    ndi_vec->dft->multiply(a, b, ROWS, to[0]);
    ndi_vec->dft->multiply_conj(a, b, ROWS, to[1]);
    for (size_t i = 0; i < 2; i++) ndi_vec->dft->add_conj(a, b, ROWS, to[2]);
    for (size_t r = 0; r < N; r += NDI_PAIR_ROW)
        for (size_t at = r; at < r + NDI_PAIRS; at++) {
            double ar = (double)a[at], ai = (double)a[at + NDI_PAIRS], br = (double)b[at], bi = (double)b[at + NDI_PAIRS];
            const double expected[3][2] = { { ar * br - ai * bi, ar * bi + ai * br },
                                            { ar * br + ai * bi, ar * bi - ai * br },
                                            { 2 * (ar * br + ai * bi), 2 * (ar * bi - ai * br) } };
            for (size_t k = 0; k < 3; k++)
                assert_true(hypot((double)to[k][at] - expected[k][0], (double)to[k][at + NDI_PAIRS] - expected[k][1]) < 1e-6);
        }
    ndi_free(a);
    ndi_free(b);
}

/* Every kernel of every compiled instruction set that this CPU runs gives the bits of the baseline. */
extern const vec_kernels ndi_vec_baseline;

static void instruction_sets_agree(void **state)
{
    (void)state;
    enum { N = 1003 };
    float *x = random_floats(N, 3), *a = ndi_alloc(N, sizeof *a), *b = ndi_alloc(N, sizeof *b);
    for (size_t i = 0; i < N; i++) x[i] *= 8;
    void (*const ours[])(const float *, float *, size_t) = { ndi_vec->exp, ndi_vec->elu, ndi_vec->gelu };
    void (*const base[])(const float *, float *, size_t) = { ndi_vec_baseline.exp, ndi_vec_baseline.elu, ndi_vec_baseline.gelu };
    for (size_t k = 0; k < 3; k++) {
        ours[k](x, a, N);
        base[k](x, b, N);
        assert_memory_equal(a, b, N * sizeof *a);
    }
    double s1[N] = { 0 }, s2[N] = { 0 };
    float moments1[2], moments2[2], dw1[N] = { 0 }, dw2[N] = { 0 }, db1[N] = { 0 }, db2[N] = { 0 };
    ndi_vec->layer_norm(x, N, x, a, 1e-5, moments1, a);
    ndi_vec_baseline.layer_norm(x, N, x, b, 1e-5, moments2, b);
    assert_memory_equal(moments1, moments2, sizeof moments1);
    assert_memory_equal(a, b, N * sizeof *a);
    ndi_vec->layer_norm_grad(x, N, a, moments1, x, dw1, db1, a);
    ndi_vec_baseline.layer_norm_grad(x, N, b, moments2, x, dw2, db2, b);
    assert_memory_equal(dw1, dw2, sizeof dw1);
    assert_memory_equal(db1, db2, sizeof db1);
    ndi_vec->add_rows(x, 9, 100, 101, s1);
    ndi_vec_baseline.add_rows(x, 9, 100, 101, s2);
    assert_memory_equal(s1, s2, sizeof s1);
    assert_memory_equal(a, b, N * sizeof *a);
    float d1 = ndi_vec->dot(x, a, N), d2 = ndi_vec_baseline.dot(x, a, N);
    assert_memory_equal(&d1, &d2, sizeof d1);
    ndi_free(x);
    ndi_free(a);
    ndi_free(b);
}

static double at(const float *x, bool t, size_t ld, size_t i, size_t j) { return (double)(t ? x[j * ld + i] : x[i * ld + j]); }

/* The mask against ndi_philox() one by one, where the counter's lower half overflows too. */
static void masks_follow_the_generator(void **state)
{
    (void)state;
    enum { MOST = 1000 };
    const vec_mask m = { .seed = 0x123456789abcdefu,
                         .index = (7ull << 48) + 0xffffff80u,
                         .purpose = NDI_RANDOM_DROPOUT,
                         .step = 77,
                         .limit = 1u << 30,
                         .keep = 4.0f / 3 };
    float *x = random_floats(MOST, 1), y[MOST];
    for (size_t n = 0; n <= MOST; n += n < 9 ? 1 : 331) {
        memset(y, 0xff, sizeof y);
        ndi_vec->mask(&m, x, y, n);
        for (size_t i = 0; i < n; i++) {
            uint32_t words[4];
            ndi_philox(m.seed, m.purpose, m.step, m.index + i / 4, words);
            assert_true(y[i] == (words[i % 4] < m.limit ? 0 : x[i] * m.keep));
        }
        for (size_t i = n; i < MOST; i++) assert_true(isnan(y[i]));
    }
    ndi_free(x);
}

static void gemm_all_small_shapes(void **state)
{
    (void)state;
    const size_t sizes[] = { 1, 2, 5, 17, 50 };
    float *a = random_floats(4000, 4), *b = random_floats(4000, 5), *c = ndi_alloc(4000, sizeof *c), *expected = ndi_alloc(4000, sizeof *c);
    for (size_t k = 0; k < 5 * 5 * 5 * 4; k++) {
        size_t m = sizes[k % 5], n = sizes[k / 5 % 5], depth = sizes[k / 25 % 5];
        bool ta = k / 125 % 2, tb = k / 250;
        size_t lda = ta ? m : depth, ldb = tb ? depth : n;
        for (size_t i = 0; i < m * n; i++) c[i] = 0.5f;
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t l = 0; l < depth; l++) sum += at(a, ta, lda, i, l) * at(b, tb, ldb, l, j);
                expected[i * n + j] = (float)(2 * sum + 1.5);
            }
        ndi_gemm_parallel(NULL, ta, tb, m, n, depth, 2, a, lda, b, ldb, 3, c, n);
        assert_true(nd_test_relative_error(c, expected, m * n) < 1e-5);
    }
    ndi_free(a);
    ndi_free(b);
    ndi_free(c);
    ndi_free(expected);
}

static void gemm_same_bits_for_any_threads(void **state)
{
    (void)state;
    const size_t m = 300, n = 517, k = 411;
    float *a = random_floats(m * k, 6), *b = random_floats(k * n, 7), *first = ndi_alloc(m * n, sizeof *a), *c = ndi_alloc(m * n, sizeof *a);
    for (int32_t threads = 1; threads <= 5; threads++) {
        pool *p;
        assert_int_equal(ndi_pool_create(&p, threads), ND_OK);
        ndi_gemm_parallel(p, false, false, m, n, k, 1, a, k, b, n, 0, threads == 1 ? first : c, n);
        if (threads > 1) assert_memory_equal(first, c, m * n * sizeof *c);
        ndi_pool_free(p);
    }
    ndi_free(a);
    ndi_free(b);
    ndi_free(c);
    ndi_free(first);
}

/* The kernels of BLIS must be made for the CPU: the name of the plain C ones is a failure on any x86-64 with AVX2. */
static void blis_kernels_fit(void **state)
{
    (void)state;
    assert_true(strlen(ndi_blis_version()) > 0);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && !getenv("BLIS_ARCH_TYPE")) assert_string_not_equal(ndi_blis_kernels(), "generic");
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_error),
        cmocka_unit_test(elu_and_gelu_error),
        cmocka_unit_test(sums_and_softmax),
        cmocka_unit_test(transforms_of_columns),
        cmocka_unit_test(products_of_columns),
        cmocka_unit_test(instruction_sets_agree),
        cmocka_unit_test(masks_follow_the_generator),
        cmocka_unit_test(gemm_all_small_shapes),
        cmocka_unit_test(gemm_same_bits_for_any_threads),
        cmocka_unit_test(blis_kernels_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
