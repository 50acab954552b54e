/* Factorisations against their definitions: what they factor is put together again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "math/linalg.h"

static const size_t sizes[] = { 1, 2, 3, 7, 31, 47, 48, 49, 96, 97, 131, 300 };

static double *zeros(size_t n)
{
    double *x = ndi_alloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

static double *copy(const double *x, size_t n) { return memcpy(zeros(n), x, n * sizeof *x); }

static double *random_numbers(size_t n, uint64_t seed)
{
    double *x = zeros(n), pair[2];
    for (size_t i = 0; i < n; i++) {
        ndi_normal2(seed, NDI_RANDOM_SIMULATE, 0, i, pair);
        x[i] = pair[0];
    }
    return x;
}

/* C (m x n) = A (m x k) B' where B is n x k. */
static double *product(const double *a, const double *b, size_t m, size_t n, size_t k)
{
    double *c = zeros(m * n);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++)
            for (size_t l = 0; l < k; l++) c[i * n + j] += a[i * k + l] * b[j * k + l];
    return c;
}

static double largest_difference(const double *a, const double *b, size_t n)
{
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, isnan(a[i] - b[i]) ? (double)INFINITY : fabs(a[i] - b[i]));
    return largest;
}

static double largest(const double *a, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) most = fmax(most, fabs(a[i]));
    return most;
}

/* R R' + I / 2 */
static double *positive_definite(size_t n, uint64_t seed)
{
    double *r = random_numbers(n * n, seed), *a = product(r, r, n, n, n);
    for (size_t i = 0; i < n; i++) a[i * n + i] += 0.5;
    ndi_free(r);
    return a;
}

static double *symmetric(size_t n, uint64_t seed)
{
    double *a = random_numbers(n * n, seed);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) a[i * n + j] = a[j * n + i];
    return a;
}

static void test_cholesky_rebuilds(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t n = sizes[s];
        double *a = positive_definite(n, n), *l = copy(a, n * n);
        for (size_t i = 0; i < n; i++)
            for (size_t j = i + 1; j < n; j++) l[i * n + j] = (double)NAN; /* must not be read, must stay */
        assert_int_equal(ndi_cholesky(NULL, l, n), ND_OK);
        for (size_t i = 0; i < n; i++) {
            assert_true(l[i * n + i] > 0);
            for (size_t j = i + 1; j < n; j++) {
                assert_true(isnan(l[i * n + j]));
                l[i * n + j] = 0;
            }
        }
        double *again = product(l, l, n, n, n);
        assert_true(largest_difference(again, a, n * n) < 1e-14 * (double)(n + 2) * largest(a, n * n));
        ndi_free(again);
        ndi_free(l);
        ndi_free(a);
    }
}

static void test_cholesky_solves(void **state)
{
    (void)state;
    static const size_t widths[] = { 1, 2, 95, 96, 100, 193 };
    for (size_t s = 0; s < COUNT(sizes); s++) {
        for (size_t w = 0; w < COUNT(widths); w++) {
            size_t n = sizes[s], m = widths[w];
            if (n > 100 && m > 100) continue;
            double *a = positive_definite(n, n), *l = copy(a, n * n), *xt = random_numbers(m * n, 3), *b = product(a, xt, n, m, n);
            double *x = copy(b, n * m), most = largest(b, n * m);
            assert_int_equal(ndi_cholesky(NULL, l, n), ND_OK);
            ndi_cholesky_solve(NULL, l, n, x, m);
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < m; j++) xt[j * n + i] = x[i * m + j];
            double *again = product(a, xt, n, m, n);
            assert_true(largest_difference(again, b, n * m) < 1e-12 * most);
            ndi_free(again);
            ndi_free(x);
            ndi_free(b);
            ndi_free(xt);
            ndi_free(l);
            ndi_free(a);
        }
    }
}

static void expect_pivot(double *a, size_t n, const char *words)
{
    assert_int_equal(ndi_cholesky(NULL, a, n), ND_ERR_NUMERIC);
    assert_non_null(strstr(nd_last_error(), words));
    assert_non_null(strstr(nd_last_error(), "not positive definite"));
    ndi_free(a);
}

static void test_cholesky_names_the_pivot(void **state)
{
    (void)state;
    expect_pivot(zeros(1), 1, "pivot 0 of 1");
    double *nan = positive_definite(3, 1);
    nan[4] = (double)NAN;
    expect_pivot(nan, 3, "pivot 1 of 3");
    double *negative = positive_definite(60, 1);
    negative[50 * 60 + 50] = -1;
    expect_pivot(negative, 60, "pivot 50 of 60");
    double *r = random_numbers(120 * 70, 5), *singular = product(r, r, 120, 120, 70); /* rank 70 */
    expect_pivot(singular, 120, "pivot 70 of 120");
    ndi_free(r);
}

static void check_eigen(const double *a, size_t n)
{
    double *v = copy(a, n * n), *w = zeros(n), *work = zeros(n), *scaled = zeros(n * n);
    assert_int_equal(ndi_eigen_symmetric(v, n, w, work), ND_OK);
    for (size_t i = 0; i + 1 < n; i++) assert_true(w[i] <= w[i + 1]);
    for (size_t i = 0; i < n * n; i++) scaled[i] = v[i] * w[i % n];
    double *again = product(scaled, v, n, n, n), *square = product(v, v, n, n, n), tolerance = 1e-15 * (10 + (double)n);
    for (size_t i = 0; i < n; i++) square[i * n + i] -= 1;
    assert_true(largest_difference(again, a, n * n) <= tolerance * fmax(fabs(w[0]), fabs(w[n - 1])));
    assert_true(largest(square, n * n) <= tolerance);
    ndi_free(square);
    ndi_free(again);
    ndi_free(scaled);
    ndi_free(work);
    ndi_free(w);
    ndi_free(v);
}

static void test_eigen_rebuilds(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(sizes); s++) {
        size_t n = sizes[s];
        double *indefinite = symmetric(n, n), *definite = positive_definite(n, n), *r = random_numbers(n * 5, 1), *low_rank = product(r, r, n, n, 5);
        check_eigen(indefinite, n);
        check_eigen(definite, n);
        check_eigen(low_rank, n);
        for (size_t i = 0; i < n * n; i++) indefinite[i] *= 1e-300;
        check_eigen(indefinite, n);
        for (size_t i = 0; i < n * n; i++) definite[i] *= 1e290;
        check_eigen(definite, n);
        ndi_free(low_rank);
        ndi_free(r);
        ndi_free(definite);
        ndi_free(indefinite);
    }
}

static void test_eigen_of_special_matrices(void **state)
{
    (void)state;
    size_t n = 40;
    double *a = zeros(n * n);
    check_eigen(a, n);
    for (size_t i = 0; i < n; i++) a[i * n + i] = 1;
    check_eigen(a, n);
    for (size_t i = 0; i < n; i++) a[i * n + i] = pow(10, 8 - (double)i); /* graded */
    for (size_t i = 0; i + 1 < n; i++) a[i * n + i + 1] = a[(i + 1) * n + i] = pow(10, 7 - (double)i);
    check_eigen(a, n);
    for (size_t i = 0; i < n * n; i++) a[i] = 1;
    check_eigen(a, n);
    ndi_free(a);
}

/* The second difference matrix: eigenvalues 2 - 2 cos(pi j / (n + 1)). */
static void test_eigenvalues_known_in_closed_form(void **state)
{
    (void)state;
    enum { N = 101 };
    double *a = zeros(N * N), w[N], work[N];
    for (size_t i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i + 1 < N) a[i * N + i + 1] = a[(i + 1) * N + i] = -1;
    }
    assert_int_equal(ndi_eigen_symmetric(a, N, w, work), ND_OK);
    for (size_t i = 0; i < N; i++) assert_true(fabs(w[i] - (2 - 2 * cos(3.14159265358979323846 * (double)(i + 1) / (N + 1)))) < 1e-13);
    ndi_free(a);
}

static void test_nothing_and_not_a_number(void **state)
{
    (void)state;
    double none = 0, a[4] = { 1, 2, (double)NAN, 1 }, w[2], work[2];
    assert_int_equal(ndi_cholesky(NULL, &none, 0), ND_OK);
    ndi_cholesky_solve(NULL, &none, 0, &none, 0);
    assert_int_equal(ndi_eigen_symmetric(&none, 0, w, work), ND_OK);
    assert_int_equal(ndi_eigen_symmetric(a, 2, w, work), ND_ERR_NUMERIC);
    assert_non_null(strstr(nd_last_error(), "row 1, column 0"));
}

static void test_same_bits_for_any_number_of_threads(void **state)
{
    (void)state;
    size_t n = 260, m = 250;
    double *a = positive_definite(n, 9), *b = random_numbers(n * m, 2), *l[3], *x[3];
    for (int32_t threads = 1; threads <= 3; threads++) {
        pool *p;
        assert_int_equal(ndi_pool_create(&p, threads), ND_OK);
        double *factor = l[threads - 1] = copy(a, n * n);
        x[threads - 1] = copy(b, n * m);
        assert_int_equal(ndi_cholesky(p, factor, n), ND_OK);
        ndi_cholesky_solve(p, factor, n, x[threads - 1], m);
        ndi_pool_free(p);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(l[i], l[0], n * n * sizeof(double));
        assert_memory_equal(x[i], x[0], n * m * sizeof(double));
    }
    for (size_t i = 0; i < 3; i++) {
        ndi_free(l[i]);
        ndi_free(x[i]);
    }
    ndi_free(b);
    ndi_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cholesky_rebuilds),
        cmocka_unit_test(test_cholesky_solves),
        cmocka_unit_test(test_cholesky_names_the_pivot),
        cmocka_unit_test(test_eigen_rebuilds),
        cmocka_unit_test(test_eigen_of_special_matrices),
        cmocka_unit_test(test_eigenvalues_known_in_closed_form),
        cmocka_unit_test(test_nothing_and_not_a_number),
        cmocka_unit_test(test_same_bits_for_any_number_of_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
