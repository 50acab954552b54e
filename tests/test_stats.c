/* Statistics against values computed with SciPy 1.17 (binom.sf, binomtest) and NumPy 2 (means, combinations in whole numbers, 100,000 bootstrap
 * resamples). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "eval/stats.h"
#include "fault.h"

static const size_t ranks[] = { 1, 1, 2, 3, 5, 8, 13, 21, 34, 55 };

static void expect_near(double got, double expected, double tolerance)
{
    if (!(fabs(got - expected) <= tolerance)) fail_msg("got %.17g, expected %.17g +- %g", got, expected, tolerance);
}

/* n ranks, the first `hits` of them 1, the others 2. */
static size_t *with_hits(size_t n, size_t hits)
{
    size_t *r = ndi_alloc(n, sizeof *r);
    assert_non_null(r);
    for (size_t i = 0; i < n; i++) r[i] = i < hits ? 1 : 2;
    return r;
}

static void test_binomial_tail(void **state)
{
    (void)state;
    static const struct { uint64_t hits, n; double p, expected; } cases[] = {
        { 0, 10, 0.1, 1 },
        { 1, 200, 0.005, 0.6330421782738326 },
        { 2, 200, 0.005, 0.2642403473932621 },
        { 98, 200, 0.5, 0.6381144868435964 },
        { 101, 200, 0.5, 0.4718257604953717 },
        { 150, 200, 0.005, 2.479124048100876e-298 },
        { 5, 5, 0.2, 0.0003200000000000001 },
        { 30, 200, 0.025, 5.582421161364331e-15 },
        { 1000, 100000, 0.01, 0.5042686879721106 },
        { 1100, 100000, 0.01, 0.0009117803412450804 },
        { 500600, 1000000, 0.5, 0.11526396430185594 },
        { 400, 1000000, 0.0004, 0.5066531193609656 },
        { 999999, 1000000, 0.9999, 3.738906182748402e-42 },
        { 7, 10, 1, 1 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) expect_near(ndi_binomial_tail(cases[i].hits, cases[i].n, cases[i].p) / cases[i].expected, 1, 2e-8);
    assert_true(ndi_binomial_tail(11, 10, 0.5) == 0);
    assert_true(ndi_binomial_tail(1, 10, 0) == 0);
}

static void test_summary(void **state)
{
    (void)state;
    nd_metrics m = { .size = sizeof m };
    OK(nd_metrics_compute(ranks, COUNT(ranks), 100, &m));
    assert_int_equal(m.n_queries, 10);
    assert_int_equal(m.n_gallery, 100);
    expect_near(m.top1, 0.2, 1e-15);
    expect_near(m.top3, 0.4, 1e-15);
    expect_near(m.top5, 0.5, 1e-15);
    expect_near(m.mean_rank, 14.3, 1e-13);
    expect_near(m.median_rank, 6.5, 0);
    expect_near(m.mrr, 0.3330469040763158, 1e-15);
    expect_near(m.pairwise, 0.8656565656565658, 1e-14);
    expect_near(m.chance1, 0.01, 0);
    expect_near(m.chance5, 0.05, 0);
    OK(nd_metrics_compute(ranks, 3, 3, &m));
    expect_near(m.median_rank, 1, 0);
    expect_near(m.chance5, 1, 0);
}

static void test_a_shorter_struct_of_an_older_caller(void **state)
{
    (void)state;
    struct { size_t size, n_queries; } old = { sizeof old, 0 };
    OK(nd_metrics_compute(ranks, COUNT(ranks), 100, (nd_metrics *)(void *)&old));
    assert_int_equal(old.size, sizeof old);
    assert_int_equal(old.n_queries, 10);
}

static void test_bootstrap_of_a_fraction(void **state)
{
    (void)state;
    static const struct { size_t n, hits; double low, high; } cases[] = {
        { 200, 30, 0.1, 0.2 }, { 200, 196, 0.96, 0.995 }, { 50, 5, 0.02, 0.18 }, { 10, 0, 0, 0 }, { 10, 10, 1, 1 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t *r = with_hits(cases[i].n, cases[i].hits);
        nd_estimate e = { .size = sizeof e }, again = { .size = sizeof again };
        OK(nd_metrics_top_k(r, cases[i].n, 200, 1, 0, 42, &e));
        OK(nd_metrics_top_k(r, cases[i].n, 200, 1, 10000, 42, &again));
        assert_memory_equal(&e, &again, sizeof e);
        assert_int_equal(e.hits, cases[i].hits);
        assert_int_equal(e.n, cases[i].n);
        expect_near(e.value, (double)cases[i].hits / (double)cases[i].n, 1e-15);
        expect_near(e.chance, 0.005, 1e-15);
        expect_near(e.p_value, ndi_binomial_tail(cases[i].hits, cases[i].n, 0.005), 0);
        expect_near(e.low, cases[i].low, 1.01 / (double)cases[i].n); /* within one query of the reference: the noise of resampling */
        expect_near(e.high, cases[i].high, 1.01 / (double)cases[i].n);
        assert_true(e.low <= e.value && e.value <= e.high);
        ndi_free(r);
    }
}

/* With many resamples the interval of a large sample is that of the normal law. */
static void test_bootstrap_of_a_large_sample(void **state)
{
    (void)state;
    size_t n = 1000000, *r = with_hits(n, 300000);
    nd_estimate e = { .size = sizeof e };
    OK(nd_metrics_top_k(r, n, 1000, 1, 20000, 7, &e));
    double half = 1.959964 * sqrt(0.3 * 0.7 / (double)n);
    expect_near(e.low, 0.3 - half, half * 0.05);
    expect_near(e.high, 0.3 + half, half * 0.05);
    ndi_free(r);
}

static void test_comparison(void **state)
{
    (void)state;
    enum { N = 200 };
    size_t first[N], second[N];
    for (size_t i = 0; i < N; i++) {
        first[i] = i < 50 ? 3 : 4;
        second[i] = i >= 30 && i < 60 ? 1 : 100;
    }
    nd_comparison c = { .size = sizeof c };
    OK(nd_metrics_compare(first, second, N, 3, 0, 1, &c));
    assert_int_equal(c.only_first, 30);
    assert_int_equal(c.only_second, 10);
    assert_int_equal(c.n, N);
    expect_near(c.difference, 0.1, 1e-15);
    expect_near(c.low, 0.04, 0.0051);
    expect_near(c.high, 0.16, 0.0051);
    OK(nd_metrics_compare(first, first, N, 3, 0, 1, &c));
    expect_near(c.p_value, 1, 0);
    expect_near(c.low, 0, 0);
    expect_near(c.high, 0, 0);
}

/* Against the fraction of pairs, equal scores counting half. */
static void test_auc(void **state)
{
    (void)state;
    enum { N = 60 };
    double scores[N], pairs = 0, hits = 0, auc;
    int32_t positive[N];
    for (size_t i = 0; i < N; i++) {
        scores[i] = (double)(i * 37 % 11) - 3;
        positive[i] = i * i % 7 < 3 ? 5 : 0;
    }
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < N; j++) {
            if (!positive[i] || positive[j]) continue;
            pairs++;
            hits += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
        }
    OK(nd_metrics_auc(scores, positive, N, &auc));
    expect_near(auc, hits / pairs, 1e-14);
    OK(nd_metrics_auc((const double[]){ 1, 2 }, (const int32_t[]){ 0, 1 }, 2, &auc));
    expect_near(auc, 1, 0);
    FAILS(ND_ERR_ARGUMENT, "2 of 2 scores", nd_metrics_auc((const double[]){ 1, 2 }, (const int32_t[]){ 1, 1 }, 2, &auc));
    FAILS(ND_ERR_NUMERIC, "score 1", nd_metrics_auc((const double[]){ 1, NAN }, (const int32_t[]){ 0, 1 }, 2, &auc));
}

static void test_mcnemar(void **state)
{
    (void)state;
    static const struct { size_t a, b; double p; } cases[] = {
        { 1, 0, 1 }, { 5, 5, 1 }, { 10, 2, 0.03857421875 }, { 2, 10, 0.03857421875 }, { 40, 20, 0.01348929373119186 },
        { 600, 500, 0.0028195449914364284 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t n = cases[i].a + cases[i].b, *first = with_hits(n, cases[i].a), *second = with_hits(n, n);
        for (size_t j = 0; j < cases[i].a; j++) second[j] = 2;
        nd_comparison c = { .size = sizeof c };
        OK(nd_metrics_compare(first, second, n, 1, 100, 0, &c));
        expect_near(c.p_value, cases[i].p, 1e-12);
        ndi_free(first);
        ndi_free(second);
    }
}

static void test_k_way(void **state)
{
    (void)state;
    static const struct { size_t k; double expected; } cases[] = {
        { 2, 0.8656565656565658 }, { 3, 0.7775510204081633 }, { 10, 0.5352444214338423 }, { 50, 0.2825595488740865 },
        { 100, 0.2 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        double expected, sampled, again, alone;
        OK(nd_metrics_k_way(ranks, COUNT(ranks), 100, cases[i].k, 2000, 5, &expected, &sampled));
        OK(nd_metrics_k_way(ranks, COUNT(ranks), 100, cases[i].k, 2000, 5, NULL, &again));
        OK(nd_metrics_k_way(ranks, COUNT(ranks), 100, cases[i].k, 2000, 5, &alone, NULL));
        expect_near(expected, cases[i].expected, 1e-14);
        expect_near(sampled, expected, 0.012); /* four standard errors of 20,000 draws are at most 0.014 */
        expect_near(again, sampled, 0);
        expect_near(alone, expected, 0);
    }
    static const size_t last[] = { 1000000 }, first[] = { 1 };
    double expected;
    OK(nd_metrics_k_way(last, 1, 1000000, 2, 1, 0, &expected, NULL));
    expect_near(expected, 0, 0);
    OK(nd_metrics_k_way(first, 1, 1000000, 1000000, 1, 0, &expected, NULL));
    expect_near(expected, 1, 0);
}

static json_t *report(const char *protocol)
{
    size_t needed = 0;
    char json[4096];
    OK(nd_metrics_to_json(ranks, COUNT(ranks), 100, protocol, 1, NULL, 0, &needed));
    assert_int_equal(nd_metrics_to_json(ranks, COUNT(ranks), 100, protocol, 1, json, needed - 1, NULL), ND_ERR_BUFFER);
    OK(nd_metrics_to_json(ranks, COUNT(ranks), 100, protocol, 1, json, sizeof json, &needed));
    assert_int_equal(needed, strlen(json) + 1);
    json_t *object = json_loads(json, 0, NULL);
    assert_non_null(object);
    return object;
}

static double number(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void test_report(void **state)
{
    (void)state;
    setlocale(LC_ALL, "de_DE.UTF-8"); /* a comma, where that locale is installed */
    json_t *object = report("{\"subject\": 1, \"note\": \"Tür\"}"), *top1 = json_object_get(object, "top1");
    json_t *ways = json_object_get(object, "k_way");
    setlocale(LC_ALL, "C");
    nd_estimate e = { .size = sizeof e };
    OK(nd_metrics_top_k(ranks, COUNT(ranks), 100, 1, 0, 1, &e));
    expect_near(number(object, "n_queries"), 10, 0);
    expect_near(number(object, "n_gallery"), 100, 0);
    expect_near(number(top1, "value"), 0.2, 1e-14);
    expect_near(number(top1, "low"), e.low, 1e-14);
    expect_near(number(top1, "high"), e.high, 1e-14);
    expect_near(number(top1, "chance"), 0.01, 1e-14);
    expect_near(number(top1, "p") / e.p_value, 1, 1e-14);
    expect_near(number(top1, "hits"), 2, 0);
    expect_near(number(top1, "n"), 10, 0);
    expect_near(number(json_object_get(object, "top3"), "hits"), 4, 0);
    expect_near(number(json_object_get(object, "top5"), "hits"), 5, 0);
    expect_near(number(object, "mean_rank"), 14.3, 1e-12);
    expect_near(number(object, "median_rank"), 6.5, 0);
    expect_near(number(object, "mrr"), 0.3330469040763158, 1e-14);
    expect_near(number(object, "pairwise"), number(ways, "2"), 1e-14);
    expect_near(number(ways, "10"), 0.5352444214338423, 1e-14);
    expect_near(number(ways, "100"), 0.2, 1e-14);
    assert_null(json_object_get(ways, "200"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(object, "protocol"), "note")), "Tür");
    json_decref(object);
    object = report(NULL);
    assert_null(json_object_get(object, "protocol"));
    json_decref(object);
}

static void test_arguments(void **state)
{
    (void)state;
    static const size_t bad[] = { 1, 0, 101 };
    nd_metrics m = { .size = sizeof m };
    nd_estimate e = { .size = sizeof e };
    nd_comparison c = { .size = sizeof c };
    double x = 7;
    FAILS(ND_ERR_ARGUMENT, "got no ranks", nd_metrics_compute(ranks, 0, 100, &m));
    FAILS(ND_ERR_ARGUMENT, "gallery of 1", nd_metrics_compute(ranks, 1, 1, &m));
    FAILS(ND_ERR_ARGUMENT, "query 1: got 0", nd_metrics_compute(bad, 3, 100, &m));
    FAILS(ND_ERR_ARGUMENT, "query 0: got 101", nd_metrics_compute(bad + 2, 1, 100, &m));
    FAILS(ND_ERR_ARGUMENT, "ranks is NULL", nd_metrics_compute(NULL, 1, 100, &m));
    FAILS(ND_ERR_ARGUMENT, "NULL", nd_metrics_compute(ranks, 1, 100, NULL));
    assert_int_equal(m.n_gallery, 0);
    FAILS(ND_ERR_ARGUMENT, "k: got 0", nd_metrics_top_k(ranks, 1, 100, 0, 0, 0, &e));
    FAILS(ND_ERR_ARGUMENT, "k: got 101", nd_metrics_top_k(ranks, 1, 100, 101, 0, 0, &e));
    FAILS(ND_ERR_ARGUMENT, "n_resamples", nd_metrics_top_k(ranks, 1, 100, 1, 4000000000u, 0, &e));
    FAILS(ND_ERR_ARGUMENT, "k: got 1", nd_metrics_k_way(ranks, 1, 100, 1, 0, 0, &x, NULL));
    FAILS(ND_ERR_ARGUMENT, "k: got 101", nd_metrics_k_way(ranks, 1, 100, 101, 0, 0, &x, NULL));
    expect_near(x, 7, 0);
    FAILS(ND_ERR_ARGUMENT, "query 1: got 0", nd_metrics_compare(ranks, bad, 3, 1, 0, 0, &c));
    FAILS(ND_ERR_ARGUMENT, "got no ranks", nd_metrics_compare(ranks, ranks, 0, 1, 0, 0, &c));
    FAILS(ND_ERR_ARGUMENT, "k: got 0", nd_metrics_compare(ranks, ranks, 3, 0, 0, 0, &c));
    FAILS(ND_ERR_ARGUMENT, "metrics: protocol: JSON", nd_metrics_to_json(ranks, 3, 100, "{\"a\": }", 0, NULL, 0, NULL));
    FAILS(ND_ERR_ARGUMENT, "expected an object", nd_metrics_to_json(ranks, 3, 100, "[1]", 0, NULL, 0, NULL));
    FAILS(ND_ERR_ARGUMENT, "gallery of 1", nd_metrics_to_json(ranks, 3, 1, NULL, 0, NULL, 0, NULL));
}

/* The protocol is empty because jansson takes a text it has no memory for to be a mistake in the text. */
static nd_status everything(void *context)
{
    (void)context;
    nd_estimate e = { .size = sizeof e };
    nd_comparison c = { .size = sizeof c };
    char json[4096] = "untouched";
    TRY(nd_metrics_top_k(ranks, 3, 100, 1, 0, 0, &e));
    TRY(nd_metrics_compare(ranks, ranks, 3, 1, 0, 0, &c));
    nd_status status = nd_metrics_to_json(ranks, 3, 100, "{}", 0, json, sizeof json, NULL);
    if (status != ND_OK) assert_string_equal(json, "untouched");
    return status;
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_true(nd_test_faults(everything, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binomial_tail),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_a_shorter_struct_of_an_older_caller),
        cmocka_unit_test(test_bootstrap_of_a_fraction),
        cmocka_unit_test(test_bootstrap_of_a_large_sample),
        cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_auc), cmocka_unit_test(test_mcnemar),
        cmocka_unit_test(test_k_way),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
