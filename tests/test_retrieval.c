/* Search and ranks against a plain double-precision search; and what must not matter (batches, threads, who calls). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/random.h"
#include "check.h"
#include "eval/coarse.h"
#include "fault.h"
#include "golden.h"
#include "math/codes.h"
#include "neurodecode.h"

static void *zeros(size_t n, size_t size)
{
    void *x = ndi_alloc(n, size);
    assert_non_null(x);
    return x;
}

static float *random_numbers(size_t n, uint64_t seed)
{
    float *x = zeros(n, sizeof *x);
    for (size_t i = 0; i < n; i++) {
        double pair[2];
        ndi_normal2(seed, NDI_RANDOM_SIMULATE, 0, i, pair);
        x[i] = (float)pair[0] + 0.5f;
    }
    return x;
}

/* Entries of +-1 in 4, 16 or 64 dimensions: lengths are powers of two, so similarities are exact, and most of them tie. */
static float *random_signs(size_t n, uint64_t seed)
{
    float *x = zeros(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = ndi_below(seed, NDI_RANDOM_SIMULATE, 1, i, 2) ? 1.0f : -1.0f;
    return x;
}

static nd_retrieval_options options(int32_t vectors, int32_t centre, int32_t threads)
{
    nd_retrieval_options o;
    OK(nd_retrieval_options_init(&o, sizeof o));
    assert_int_equal(o.vectors, ND_VECTOR_CENTRED_L2);
    o.vectors = vectors;
    o.centre_gallery = centre;
    o.n_threads = threads;
    return o;
}

static nd_retrieval *create(const float *gallery, size_t n, size_t dim, nd_retrieval_options o)
{
    nd_retrieval *r;
    if (nd_retrieval_create(&r, gallery, n, dim, NULL, &o) != ND_OK) fail_msg("%s", nd_last_error());
    return r;
}

/* ---- the oracle ---- */

static double *unit_rows(const float *x, size_t n, size_t dim, const double *mean, int32_t vectors)
{
    double *y = zeros(n * dim, sizeof *y);
    for (size_t i = 0; i < n; i++) {
        double own = 0, length = 0, *row = y + i * dim;
        for (size_t j = 0; j < dim; j++) own += row[j] = (double)x[i * dim + j] - mean[j];
        for (size_t j = 0; j < dim && vectors == ND_VECTOR_CENTRED_L2; j++) row[j] -= own / (double)dim;
        for (size_t j = 0; j < dim; j++) length += row[j] * row[j];
        for (size_t j = 0; j < dim; j++) row[j] /= fmax(sqrt(length), 1e-12);
    }
    return y;
}

/* queries x gallery similarities */
static double *similarities(const float *queries, size_t n_queries, const float *gallery, size_t n, size_t dim, int32_t vectors, bool centre)
{
    double *mean = zeros(dim, sizeof *mean), *s = zeros(n_queries * n, sizeof *s);
    for (size_t i = 0; i < n && centre; i++)
        for (size_t j = 0; j < dim; j++) mean[j] += (double)gallery[i * dim + j] / (double)n;
    double *a = unit_rows(queries, n_queries, dim, mean, vectors), *b = unit_rows(gallery, n, dim, mean, vectors);
    for (size_t i = 0; i < n_queries; i++)
        for (size_t k = 0; k < n; k++)
            for (size_t j = 0; j < dim; j++) s[i * n + k] += a[i * dim + j] * b[k * dim + j];
    ndi_free(b);
    ndi_free(a);
    ndi_free(mean);
    return s;
}

/* Checks a search result of one query: scores are the similarities of the candidates named, in order, ties by index, and nothing better was left
 * out. */
static void check_best(const double *s, size_t n, size_t k, const size_t *indices, const float *scores, double tolerance)
{
    bool *taken = zeros(n, sizeof *taken);
    for (size_t i = 0; i < k; i++) {
        assert_true(indices[i] < n && !taken[indices[i]]);
        taken[indices[i]] = true;
        assert_true(fabs((double)scores[i] - s[indices[i]]) <= tolerance);
        assert_true(scores[i] <= 1 && scores[i] >= -1);
        if (i > 0) assert_true(scores[i] < scores[i - 1] || (scores[i] == scores[i - 1] && indices[i] > indices[i - 1]));
    }
    for (size_t j = 0; j < n; j++) {
        if (taken[j]) continue;
        assert_true(s[j] <= (double)scores[k - 1] + tolerance);
        if (tolerance == 0 && s[j] == (double)scores[k - 1]) assert_true(j > indices[k - 1]);
    }
    ndi_free(taken);
}

static size_t rank_in(const double *s, size_t n, size_t truth, double margin)
{
    size_t rank = 1;
    for (size_t i = 0; i < n; i++) rank += i != truth && s[i] >= s[truth] + margin;
    return rank;
}

static void check_against_oracle(const float *queries, size_t n_queries, const float *gallery, size_t n, size_t dim, nd_retrieval_options o,
                                 double tolerance)
{
    nd_retrieval *r = create(gallery, n, dim, o);
    double *s = similarities(queries, n_queries, gallery, n, dim, o.vectors, o.centre_gallery);
    size_t *indices = zeros(n_queries * n, sizeof *indices), *truth = zeros(n_queries, sizeof *truth), *ranks = zeros(n_queries, sizeof *ranks);
    float *scores = zeros(n_queries * n, sizeof *scores);
    const size_t ks[] = { 1, 2, 10, n / 2, n };
    for (size_t i = 0; i < COUNT(ks); i++) {
        size_t k = ks[i] < 1 ? 1 : ks[i] > n ? n : ks[i];
        OK(nd_retrieval_search(r, queries, n_queries, k, indices, scores));
        for (size_t q = 0; q < n_queries; q++) check_best(s + q * n, n, k, indices + q * k, scores + q * k, tolerance);
    }
    for (size_t q = 0; q < n_queries; q++) truth[q] = (q * 7 + 3) % n;
    OK(nd_retrieval_rank(r, queries, truth, n_queries, ranks));
    for (size_t q = 0; q < n_queries; q++) {
        assert_true(ranks[q] >= rank_in(s + q * n, n, truth[q], tolerance));
        assert_true(ranks[q] <= rank_in(s + q * n, n, truth[q], -tolerance));
    }
    ndi_free(scores);
    ndi_free(ranks);
    ndi_free(truth);
    ndi_free(indices);
    ndi_free(s);
    nd_retrieval_free(r);
}

static void test_every_kind_of_vector(void **state)
{
    (void)state;
    static const struct {
        size_t n_queries, n, dim;
    } sizes[] = { { 1, 1, 1 }, { 3, 2, 3 }, { 7, 50, 17 }, { 8, 50, 33 }, { 200, 200, 64 }, { 20, 4200, 19 } };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        float *queries = random_numbers(sizes[i].n_queries * sizes[i].dim, 1), *gallery = random_numbers(sizes[i].n * sizes[i].dim, 2);
        for (int32_t vectors = 0; vectors <= 1; vectors++)
            for (int32_t centre = 0; centre <= 1; centre++)
                check_against_oracle(queries, sizes[i].n_queries, gallery, sizes[i].n, sizes[i].dim, options(vectors, centre, 2),
                                     sizes[i].dim > 3 ? 2e-6 : 2);
        ndi_free(gallery);
        ndi_free(queries);
    }
}

static void test_ties_exactly(void **state)
{
    (void)state;
    static const struct {
        size_t n_queries, n, dim;
    } sizes[] = { { 1, 40, 4 }, { 5, 300, 16 }, { 60, 300, 4 }, { 60, 4300, 16 }, { 60, 1090, 16 }, { 200, 250, 64 } };
    for (size_t i = 0; i < COUNT(sizes); i++) {
        float *queries = random_signs(sizes[i].n_queries * sizes[i].dim, 1), *gallery = random_signs(sizes[i].n * sizes[i].dim, 2);
        check_against_oracle(queries, sizes[i].n_queries, gallery, sizes[i].n, sizes[i].dim, options(ND_VECTOR_L2, 0, 2), 0);
        ndi_free(gallery);
        ndi_free(queries);
    }
}

/* ---- what must not matter ---- */

enum { N = 5000, DIM = 45, QUERIES = 260, K = 9 };

typedef struct answer {
    size_t indices[QUERIES * K], ranks[QUERIES];
    float scores[QUERIES * K];
} answer;

static void ask(const nd_retrieval *r, const float *queries, size_t batch, answer *a)
{
    size_t truth[QUERIES];
    for (size_t q = 0; q < QUERIES; q++) truth[q] = q * 19 % N;
    for (size_t q = 0; q < QUERIES; q += batch) {
        size_t n = QUERIES - q < batch ? QUERIES - q : batch;
        if (nd_retrieval_search(r, queries + q * DIM, n, K, a->indices + q * K, a->scores + q * K) != ND_OK) abort();
        if (nd_retrieval_rank(r, queries + q * DIM, truth + q, n, a->ranks + q) != ND_OK) abort();
    }
}

/* A gallery in which many candidates are close copies of each other: their similarities differ in the last bits, where a sieve alone would err. */
static float *crowded_gallery(void)
{
    float *gallery = random_numbers((size_t)N * DIM, 2), *noise = random_numbers((size_t)N * DIM, 5);
    for (size_t i = N / 2 * DIM; i < (size_t)N * DIM; i++) gallery[i] = gallery[i - N / 2 * DIM] + 2e-6f * noise[i];
    ndi_free(noise);
    return gallery;
}

static void test_batches_and_threads_do_not_matter(void **state)
{
    (void)state;
    static const size_t batches[] = { 1, 7, 8, 33, 192, QUERIES };
    float *gallery = crowded_gallery(), *queries = random_numbers((size_t)QUERIES * DIM, 1);
    answer *first = zeros(1, sizeof *first), *other = zeros(1, sizeof *other);
    for (int32_t threads = 1; threads <= 3; threads++) {
        nd_retrieval *r = create(gallery, N, DIM, options(ND_VECTOR_CENTRED_L2, 1, threads));
        if (threads == 1) ask(r, queries, QUERIES, first);
        for (size_t i = 0; i < COUNT(batches); i++) {
            ask(r, queries, batches[i], other);
            assert_memory_equal(first, other, sizeof *first);
        }
        nd_retrieval_free(r);
    }
    ndi_free(other);
    ndi_free(first);
    ndi_free(queries);
    ndi_free(gallery);
}

typedef struct caller {
    const nd_retrieval *r;
    const float *queries;
    answer a;
} caller;

static void *call(void *argument)
{
    caller *c = argument;
    for (size_t i = 0; i < 3; i++) ask(c->r, c->queries, i == 1 ? QUERIES : 5, &c->a);
    return NULL;
}

static void test_several_callers_at_once(void **state)
{
    (void)state;
    enum { CALLERS = 4 };
    float *gallery = random_numbers((size_t)N * DIM, 2), *queries = random_numbers((size_t)QUERIES * DIM, 1);
    nd_retrieval *r = create(gallery, N, DIM, options(ND_VECTOR_L2, 0, 2));
    caller *callers = zeros(CALLERS, sizeof *callers);
    pthread_t threads[CALLERS];
    answer *alone = zeros(1, sizeof *alone);
    ask(r, queries, QUERIES, alone);
    for (size_t i = 0; i < CALLERS; i++) {
        callers[i].r = r;
        callers[i].queries = queries;
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    for (size_t i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_memory_equal(&callers[i].a, alone, sizeof *alone);
    }
    nd_retrieval_free(r);
    ndi_free(alone);
    ndi_free(callers);
    ndi_free(queries);
    ndi_free(gallery);
}

static void test_scores_may_be_left_out(void **state)
{
    (void)state;
    enum { Q = 30, G = 300, D = 12 };
    float *gallery = random_numbers(G * D, 2), *queries = random_numbers(Q * D, 1), scores[Q * 20];
    size_t with[Q * 20], without[Q * 20];
    nd_retrieval *r = create(gallery, G, D, options(ND_VECTOR_L2, 0, 1));
    OK(nd_retrieval_search(r, queries, Q, 20, with, scores));
    OK(nd_retrieval_search(r, queries, Q, 20, without, NULL));
    assert_memory_equal(with, without, sizeof with);
    nd_retrieval_free(r);
    ndi_free(queries);
    ndi_free(gallery);
}

/* ---- edges ---- */

static void test_copies_and_zeros_count_against_the_model(void **state)
{
    (void)state;
    enum { G = 10, D = 37 };
    float *gallery = random_numbers(G * D, 2), zero[D] = { 0 }, score;
    memcpy(gallery + 7 * D, gallery + 4 * D, D * sizeof *gallery);
    nd_retrieval *r = create(gallery, G, D, options(ND_VECTOR_CENTRED_L2, 0, 1));
    size_t index, rank, truth = 7;
    OK(nd_retrieval_search(r, gallery + 7 * D, 1, 1, &index, &score));
    assert_int_equal(index, 4);
    assert_true(score <= 1 && score > 1 - 1e-6f);
    OK(nd_retrieval_rank(r, gallery + 7 * D, &truth, 1, &rank));
    assert_int_equal(rank, 2);
    OK(nd_retrieval_rank(r, zero, &truth, 1, &rank));
    assert_int_equal(rank, G);
    nd_retrieval_free(r);
    ndi_free(gallery);
}

static void test_ids(void **state)
{
    (void)state;
    const float gallery[] = { 1, 2, 3, 4, 5, 6 };
    const char *const ids[] = { "aardvark", "zebra", "ox" }, *const twice[] = { "a", "b", "a" }, *id;
    nd_retrieval *r;
    size_t n, dim, index = 9;
    OK(nd_retrieval_create(&r, gallery, 3, 2, ids, NULL));
    OK(nd_retrieval_get_size(r, &n, &dim));
    assert_int_equal(n, 3);
    assert_int_equal(dim, 2);
    OK(nd_retrieval_get_id(r, 1, &id));
    assert_string_equal(id, "zebra");
    OK(nd_retrieval_find(r, "ox", &index));
    assert_int_equal(index, 2);
    assert_int_equal(nd_retrieval_find(r, "cow", &index), ND_ERR_ARGUMENT);
    assert_non_null(strstr(nd_last_error(), "'cow'"));
    assert_int_equal(index, 2);
    assert_int_equal(nd_retrieval_get_id(r, 3, &id), ND_ERR_ARGUMENT);
    nd_retrieval_free(r);
    OK(nd_retrieval_create(&r, gallery, 3, 2, NULL, NULL));
    OK(nd_retrieval_find(r, "2", &index));
    assert_int_equal(index, 2);
    nd_retrieval_free(r);
    assert_int_equal(nd_retrieval_create(&r, gallery, 3, 2, twice, NULL), ND_ERR_ARGUMENT);
    assert_null(r);
    assert_non_null(strstr(nd_last_error(), "'a' is given twice"));
    nd_retrieval_free(NULL);
}

static void test_arguments(void **state)
{
    (void)state;
    float x[] = { 1, 2, 3, 4, 5, 6 }, nan[] = { 1, 2, 3, (float)NAN, 5, 6 }, huge[] = { 1, 2, 3, 3e38f, 5, 6 }, scores[2] = { 7, 7 };
    size_t indices[2] = { 7, 7 }, truth[] = { 0, 3 };
    nd_retrieval *r, *none;
    nd_retrieval_options o = options(5, 0, 0);
    FAILS(ND_ERR_ARGUMENT, "vectors: got 5", nd_retrieval_create(&none, x, 3, 2, NULL, &o));
    o = options(0, 2, 0);
    FAILS(ND_ERR_ARGUMENT, "centre_gallery: got 2", nd_retrieval_create(&none, x, 3, 2, NULL, &o));
    o = options(0, 0, -1);
    FAILS(ND_ERR_ARGUMENT, "threads: got -1", nd_retrieval_create(&none, x, 3, 2, NULL, &o));
    FAILS(ND_ERR_ARGUMENT, "0 x 2", nd_retrieval_create(&none, x, 0, 2, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "gallery is NULL", nd_retrieval_create(&none, NULL, 3, 2, NULL, NULL));
    FAILS(ND_ERR_NUMERIC, "gallery: row 1, value 1: got nan", nd_retrieval_create(&none, nan, 3, 2, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "too large", nd_retrieval_create(&none, x, SIZE_MAX / 2, 4, NULL, NULL));
    assert_null(none);
    OK(nd_retrieval_create(&r, x, 3, 2, NULL, NULL));
    FAILS(ND_ERR_NUMERIC, "queries: row 1, value 1: got nan", nd_retrieval_search(r, nan, 3, 1, indices, scores));
    FAILS(ND_ERR_NUMERIC, "queries: row 1 is too long", nd_retrieval_search(r, huge, 3, 1, indices, scores));
    FAILS(ND_ERR_ARGUMENT, "k: got 0", nd_retrieval_search(r, x, 1, 0, indices, scores));
    FAILS(ND_ERR_ARGUMENT, "k: got 4", nd_retrieval_search(r, x, 1, 4, indices, scores));
    FAILS(ND_ERR_ARGUMENT, "query 1: got candidate 3", nd_retrieval_rank(r, x, truth, 2, indices));
    FAILS(ND_ERR_ARGUMENT, "query 1", nd_retrieval_rank(r, nan, truth, 2, indices));
    assert_true(indices[0] == 7 && indices[1] == 7 && scores[0] == 7);
    OK(nd_retrieval_search(r, x, 0, 1, indices, scores));
    nd_retrieval_free(r);
}

/* ---- memory ---- */

typedef struct numbers {
    float *gallery, *queries;
} numbers;

enum { SMALL_N = 20, SMALL_DIM = 8, SMALL_QUERIES = 10 };

static nd_status whole_life(void *context)
{
    const numbers *n = context;
    size_t indices[SMALL_QUERIES * 3] = { 77 }, ranks[SMALL_QUERIES] = { 77 }, truth[SMALL_QUERIES] = { 0 };
    nd_retrieval_options o = options(ND_VECTOR_L2, 1, 1);
    nd_retrieval *r;
    nd_status status = nd_retrieval_create(&r, n->gallery, SMALL_N, SMALL_DIM, NULL, &o);
    if (status != ND_OK) {
        assert_null(r);
        return status;
    }
    status = nd_retrieval_search(r, n->queries, SMALL_QUERIES, 3, indices, NULL);
    if (status != ND_OK)
        assert_int_equal(indices[0], 77);
    else
        status = nd_retrieval_rank(r, n->queries, truth, SMALL_QUERIES, ranks);
    if (status != ND_OK) assert_int_equal(ranks[0], 77);
    nd_retrieval_free(r);
    return status;
}

static void test_without_memory(void **state)
{
    (void)state;
    numbers n = { random_numbers(SMALL_N * SMALL_DIM, 2), random_numbers(SMALL_QUERIES * SMALL_DIM, 1) };
    assert_true(nd_test_faults(whole_life, &n) > 8);
    ndi_free(n.queries);
    ndi_free(n.gallery);
}

static size_t asked;
static bool count(void)
{
    asked++;
    return false;
}

static void test_the_second_search_allocates_nothing(void **state)
{
    (void)state;
    float *gallery = random_numbers(SMALL_N * SMALL_DIM, 2), *queries = random_numbers(SMALL_QUERIES * SMALL_DIM, 1);
    size_t indices[SMALL_QUERIES];
    nd_retrieval *r = create(gallery, SMALL_N, SMALL_DIM, options(ND_VECTOR_L2, 0, 2));
    OK(nd_retrieval_search(r, queries, SMALL_QUERIES, 1, indices, NULL));
    ndi_fault_hook = count;
    for (size_t n = 1; n <= SMALL_QUERIES; n++) OK(nd_retrieval_search(r, queries, n, 1, indices, NULL));
    ndi_fault_hook = NULL;
    assert_int_equal(asked, 0);
    nd_retrieval_free(r);
    ndi_free(queries);
    ndi_free(gallery);
}

/* ---- the coarse sieve ---- */

enum { COARSE_N = 4133, COARSE_DIM = 301, COARSE_QUERIES = 8 };

/* Rows of length 1; every third has one number far larger than the others, one is zero. */
static float *uneven_rows(size_t n, uint64_t seed)
{
    float *x = random_numbers(n * COARSE_DIM, seed);
    for (size_t i = 0; i < n; i++) {
        float *row = x + i * COARSE_DIM;
        double squares = 0;
        if (i % 3 == 0) row[i % COARSE_DIM] *= 50;
        for (size_t j = 0; j < COARSE_DIM; j++) squares += (double)row[j] * (double)row[j];
        for (size_t j = 0; j < COARSE_DIM; j++) row[j] = i == 4 ? 0 : (float)((double)row[j] / sqrt(squares));
    }
    return x;
}

static nd_status make_coarse(void *context)
{
    const float *gallery = context;
    coarse *c;
    coarse_queries *q;
    TRY(ndi_coarse_create(&c, NULL, gallery, COARSE_N, COARSE_DIM));
    nd_status status = ndi_coarse_queries_create(&q, c, COARSE_QUERIES);
    ndi_coarse_queries_free(q);
    ndi_coarse_free(c);
    return status;
}

static void test_coarse_scores_keep_their_bound(void **state)
{
    (void)state;
    if (!ndi_codes_product) skip();
    float *gallery = uneven_rows(COARSE_N, 2), *queries = uneven_rows(COARSE_QUERIES, 1);
    enum { WIDTH = (COARSE_N + NDI_CODES_COLUMNS - 1) / NDI_CODES_COLUMNS * NDI_CODES_COLUMNS };
    float *scores = zeros((size_t)COARSE_QUERIES * WIDTH, sizeof *scores);
    coarse *c;
    coarse_queries *q;
    OK(ndi_coarse_create(&c, NULL, gallery, COARSE_N, COARSE_DIM));
    OK(ndi_coarse_queries_create(&q, c, COARSE_QUERIES));
    for (size_t i = 0; i < COARSE_QUERIES; i++) ndi_coarse_set(q, c, i, queries + i * COARSE_DIM);
    ndi_coarse_scores(c, q, COARSE_QUERIES, 0, WIDTH, scores, WIDTH);
    double largest = 0;
    for (size_t i = 0; i < COARSE_QUERIES; i++)
        for (size_t j = 0; j < COARSE_N; j++) {
            double exact = 0;
            for (size_t l = 0; l < COARSE_DIM; l++) exact += (double)queries[i * COARSE_DIM + l] * (double)gallery[j * COARSE_DIM + l];
            const double error = fabs(exact - (double)scores[i * WIDTH + j]);
            assert_true(error <= (double)ndi_coarse_error(q, i));
            largest = fmax(largest, error);
        }
    assert_true(largest > 1e-4 && largest < 0.05);
    assert_true(nd_test_faults(make_coarse, gallery) >= 9);
    ndi_coarse_queries_free(q);
    ndi_coarse_free(c);
    ndi_free(scores);
    ndi_free(queries);
    ndi_free(gallery);
}

static void test_small_galleries_need_no_coarse_sieve(void **state)
{
    (void)state;
    coarse *c;
    OK(ndi_coarse_create(&c, NULL, (const float[]){ 1, 0 }, 2, 1));
    assert_null(c);
}

/* ---- with the rest of the library ---- */

static void test_gallery_of_a_bank(void **state)
{
    (void)state;
    const float vectors[] = { 1, 0, 0, 1, 1, 1 }, query[] = { 0.1f, 2 };
    const char *const ids[] = { "a", "b", "c" }, *id;
    nd_bank *bank;
    nd_retrieval *r;
    nd_retrieval_options o = options(ND_VECTOR_L2, 0, 1);
    size_t index;
    OK(nd_bank_create(&bank, vectors, 3, 2, ids, "clip"));
    assert_int_equal(nd_retrieval_create_for(&r, bank, "dino", &o), ND_ERR_ARGUMENT);
    assert_null(r);
    OK(nd_retrieval_create_for(&r, bank, "clip", &o));
    nd_bank_free(bank);
    OK(nd_retrieval_search(r, query, 1, 1, &index, NULL));
    OK(nd_retrieval_get_id(r, index, &id));
    assert_string_equal(id, "b");
    nd_retrieval_free(r);
}

enum { TRIALS = 30, CHANNELS = 5, SAMPLES = 120, EMBED = 16 };

/* Trial i shows image i mod 3, which the gallery holds in another order. */
static void test_ranks_of_a_dataset(void **state)
{
    (void)state;
    const char *const shown[] = { "ox", "cow", "elk" }, *const candidates[] = { "yak", "elk", "ox", "cow" };
    const char *const others[] = { "yak", "elk", "gnu", "emu" };
    const size_t candidate_of[] = { 2, 3, 1 };
    const char *ids[TRIALS];
    size_t truth[TRIALS], expected[TRIALS], ranks[TRIALS];
    float *data = random_numbers(TRIALS * CHANNELS * SAMPLES, 1), *gallery = random_numbers(4 * EMBED, 2), embeddings[TRIALS * EMBED];
    for (size_t i = 0; i < TRIALS; i++) {
        ids[i] = shown[i % 3];
        truth[i] = candidate_of[i % 3];
    }
    nd_dataset *d;
    nd_encoder *e;
    nd_retrieval *r, *wrong, *narrow;
    nd_encoder_options eo;
    OK(nd_encoder_options_init(&eo, sizeof eo));
    eo.embed_dim = EMBED;
    OK(nd_dataset_create(&d, data, TRIALS, CHANNELS, SAMPLES, ids, NULL));
    OK(nd_encoder_create_for(&e, "nice", d, &eo));
    OK(nd_retrieval_create(&r, gallery, 4, EMBED, candidates, NULL));
    OK(nd_retrieval_create(&wrong, gallery, 4, EMBED, others, NULL));
    OK(nd_retrieval_create(&narrow, gallery, 4, EMBED / 2, candidates, NULL));
    OK(nd_encoder_embed(e, data, TRIALS, embeddings, TRIALS * EMBED));
    OK(nd_retrieval_rank(r, embeddings, truth, TRIALS, expected));
    OK(nd_retrieval_rank_dataset(r, e, d, ranks, TRIALS, NULL, NULL));
    assert_memory_equal(ranks, expected, sizeof ranks);
    FAILS(ND_ERR_BUFFER, "room for 29 ranks, need 30", nd_retrieval_rank_dataset(r, e, d, ranks, TRIALS - 1, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "image 'ox' of the dataset is not in the gallery (2 of 3 images are missing)",
          nd_retrieval_rank_dataset(wrong, e, d, truth, TRIALS, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "vectors of 16, the gallery has 8", nd_retrieval_rank_dataset(narrow, e, d, truth, TRIALS, NULL, NULL));
    nd_retrieval_free(narrow);
    nd_retrieval_free(wrong);
    nd_retrieval_free(r);
    nd_encoder_free(e);
    nd_dataset_free(d);
    ndi_free(gallery);
    ndi_free(data);
}

static float *real_vectors(const char *name)
{
    const char *path = nd_test_data_path(name);
    if (!path) return NULL;
    content *c;
    const array *a;
    OK(ndi_content_open(&c, path));
    OK(ndi_content_pick(c, NULL, &a));
    assert_int_equal(a->n, 200 * 768);
    float *x = zeros(a->n, sizeof *x);
    OK(ndi_array_read_f32(a, 0, a->n, x));
    ndi_content_free(c);
    return x;
}

/* CLIP vectors of 200 photographs against the centres of their concepts; the same figures from NumPy. */
static void test_photographs_find_their_concepts(void **state)
{
    (void)state;
    float *gallery = real_vectors("clip_features/center_clip.npy"), *queries = real_vectors("clip_features/clip_feature_maps_test.npy");
    if (!gallery || !queries) {
        print_message("skipped: clip_features is not there\n");
        skip();
    }
    size_t truth[200], ranks[200];
    for (size_t i = 0; i < 200; i++) truth[i] = i;
    for (int32_t vectors = 0; vectors <= 1; vectors++) {
        for (int32_t centre = 0; centre <= 1; centre++) {
            nd_retrieval *r = create(gallery, 200, 768, options(vectors, centre, 0));
            nd_metrics m = { .size = sizeof m };
            OK(nd_retrieval_rank(r, queries, truth, 200, ranks));
            OK(nd_metrics_compute(ranks, 200, 200, &m));
            assert_true(fabs(m.top1 - (centre ? 0.995 : 0.98)) < 1e-12);
            assert_true(m.top5 == 1);
            assert_true(fabs(m.mean_rank - (centre ? 1.005 : 1.02)) < 1e-12);
            nd_retrieval_free(r);
        }
    }
    ndi_free(queries);
    ndi_free(gallery);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_vector),
        cmocka_unit_test(test_ties_exactly),
        cmocka_unit_test(test_batches_and_threads_do_not_matter),
        cmocka_unit_test(test_several_callers_at_once),
        cmocka_unit_test(test_scores_may_be_left_out),
        cmocka_unit_test(test_copies_and_zeros_count_against_the_model),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_the_second_search_allocates_nothing),
        cmocka_unit_test(test_coarse_scores_keep_their_bound),
        cmocka_unit_test(test_small_galleries_need_no_coarse_sieve),
        cmocka_unit_test(test_gallery_of_a_bank),
        cmocka_unit_test(test_ranks_of_a_dataset),
        cmocka_unit_test(test_photographs_find_their_concepts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
