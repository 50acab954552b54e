/* Statistics of ranks.
 *
 * The binomial and McNemar tests are exact. A bootstrap resample of n queries, h of them hits, is n draws with replacement, of which Binomial(n, h /
 * n) are hits: that number is drawn directly, by inversion, and is exactly what n single draws would give. Intervals are percentiles (Efron and
 * Tibshirani, An Introduction to the Bootstrap, 1993, ch. 13). */
#include "eval/stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/random.h"

enum { DEFAULT_RESAMPLES = 10000, MAX_RESAMPLES = 10000000, DEFAULT_DRAWS = 1000 };

static double log_factorial(uint64_t n)
{
    int sign;
    return lgamma_r((double)n + 1, &sign);
}

/* Probability of x out of n, 0 < p < 1. */
static double binomial_mass(uint64_t x, uint64_t n, double p)
{
    return exp(log_factorial(n) - log_factorial(x) - log_factorial(n - x) + (double)x * log(p) + (double)(n - x) * log1p(-p));
}

/* mass(x + 1) / mass(x) */
static double mass_step(uint64_t x, uint64_t n, double odds) { return (double)(n - x) / (double)(x + 1) * odds; }

double ndi_binomial_tail(uint64_t hits, uint64_t n, double p)
{
    if (hits == 0 || p >= 1) return 1;
    if (hits > n || p <= 0) return 0;
    double odds = p / (1 - p), sum = 0;
    if ((double)hits > (double)n * p) { /* away from the mean terms only fall: stop when they no longer count */
        uint64_t x = hits;
        for (double mass = binomial_mass(x, n, p); x <= n && mass > sum * 1e-18; mass *= mass_step(x, n, odds), x++) sum += mass;
        return sum;
    }
    uint64_t x = hits - 1;
    for (double mass = binomial_mass(x, n, p); mass > sum * 1e-18; x--) {
        sum += mass;
        if (x == 0) break;
        mass /= mass_step(x - 1, n, odds);
    }
    return fmax(0, 1 - sum);
}

/* The binomial number that belongs to u in [0, 1): masses are taken off u from the mode outwards, some sqrt(n) of them. */
static uint64_t binomial_draw(double u, uint64_t n, double p)
{
    if (n == 0 || p <= 0) return 0;
    if (p >= 1) return n;
    uint64_t mode = (uint64_t)((double)(n + 1) * p);
    if (mode > n) mode = n;
    uint64_t low = mode, high = mode;
    double odds = p / (1 - p), below = binomial_mass(mode, n, p), above = below;
    for (u -= below; u > 0 && below + above > 1e-20;) {
        above = high < n ? above * mass_step(high, n, odds) : 0;
        if (above > 0) high++;
        if ((u -= above) <= 0) return high;
        below = low > 0 ? below / mass_step(low - 1, n, odds) : 0;
        if (below > 0) low--;
        if ((u -= below) <= 0) return low;
    }
    return mode;
}

/* The value at place `at` (from 0) of the sorted values, all of them in 0 .. max. Finds it by halving the range of values: no copy, no sorting. */
static size_t order_statistic(const size_t *values, size_t n, size_t at, size_t max)
{
    size_t low = 0;
    while (low < max) {
        size_t middle = low + (max - low) / 2, count = 0;
        for (size_t i = 0; i < n; i++) count += values[i] <= middle;
        if (count > at)
            max = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The q-quantile, interpolated between neighbours. */
static double quantile(const size_t *values, size_t n, double q, size_t max)
{
    double place = q * (double)(n - 1), before = floor(place);
    size_t at = (size_t)before;
    double low = (double)order_statistic(values, n, at, max), high = at + 1 < n ? (double)order_statistic(values, n, at + 1, max) : low;
    return low + (place - before) * (high - low);
}

static nd_status check_ranks(const size_t *ranks, size_t n_ranks, size_t n_gallery)
{
    CHECK(n_ranks > 0, ND_ERR_ARGUMENT, "metrics: got no ranks, expected one for each query");
    CHECK(n_gallery > 1, ND_ERR_ARGUMENT, "metrics: got a gallery of %zu, expected at least two candidates: with one there is nothing to tell apart",
          n_gallery);
    for (size_t i = 0; i < n_ranks; i++)
        CHECK(ranks[i] >= 1 && ranks[i] <= n_gallery, ND_ERR_ARGUMENT, "metrics: rank of query %zu: got %zu, expected 1 to %zu", i, ranks[i],
              n_gallery);
    return ND_OK;
}

static size_t count_hits(const size_t *ranks, size_t n, size_t k)
{
    size_t hits = 0;
    for (size_t i = 0; i < n; i++) hits += ranks[i] <= k;
    return hits;
}

nd_status ndi_metrics_compute(const size_t *ranks, size_t n_ranks, size_t n_gallery, nd_metrics *m)
{
    TRY(check_ranks(ranks, n_ranks, n_gallery));
    double n = (double)n_ranks, sum = 0, inverse = 0;
    for (size_t i = 0; i < n_ranks; i++) {
        sum += (double)ranks[i];
        inverse += 1 / (double)ranks[i];
    }
    *m = (nd_metrics){ .size = sizeof *m, .n_queries = n_ranks, .n_gallery = n_gallery };
    m->top1 = (double)count_hits(ranks, n_ranks, 1) / n;
    m->top3 = (double)count_hits(ranks, n_ranks, 3) / n;
    m->top5 = (double)count_hits(ranks, n_ranks, 5) / n;
    m->mean_rank = sum / n;
    m->median_rank = quantile(ranks, n_ranks, 0.5, n_gallery);
    m->mrr = inverse / n;
    m->pairwise = ((double)n_gallery - m->mean_rank) / (double)(n_gallery - 1);
    m->chance1 = 1 / (double)n_gallery;
    m->chance5 = fmin(1, 5 / (double)n_gallery);
    return ND_OK;
}

static nd_status check_resamples(uint32_t *n_resamples)
{
    if (*n_resamples == 0) *n_resamples = DEFAULT_RESAMPLES;
    CHECK(*n_resamples <= MAX_RESAMPLES, ND_ERR_ARGUMENT, "metrics: n_resamples: got %u, expected at most %d", (unsigned)*n_resamples, MAX_RESAMPLES);
    return ND_OK;
}

nd_status ndi_metrics_top_k(const size_t *ranks, size_t n_ranks, size_t n_gallery, size_t k, uint32_t n_resamples, uint64_t seed, nd_estimate *e)
{
    TRY(check_ranks(ranks, n_ranks, n_gallery));
    CHECK(k >= 1 && k <= n_gallery, ND_ERR_ARGUMENT, "metrics: k: got %zu, expected 1 to %zu, the size of the gallery", k, n_gallery);
    TRY(check_resamples(&n_resamples));
    size_t *hits;
    TRY(NEW(hits, n_resamples));
    double n = (double)n_ranks;
    *e = (nd_estimate){ .size = sizeof *e, .hits = count_hits(ranks, n_ranks, k), .n = n_ranks };
    e->value = (double)e->hits / n;
    e->chance = (double)k / (double)n_gallery;
    e->p_value = ndi_binomial_tail(e->hits, n_ranks, e->chance);
    for (uint32_t i = 0; i < n_resamples; i++) hits[i] = binomial_draw(ndi_uniform(seed, NDI_RANDOM_BOOTSTRAP, i, 0), n_ranks, e->value);
    e->low = quantile(hits, n_resamples, 0.025, n_ranks) / n;
    e->high = quantile(hits, n_resamples, 0.975, n_ranks) / n;
    ndi_free(hits);
    return ND_OK;
}

/* Probability that none of the k - 1 others drawn out of n - 1 is among the r - 1 that rank before the true one: C(n - r, k - 1) / C(n - 1, k - 1),
 * which is the same with r and k exchanged. */
static double k_way_chance(size_t r, size_t n, size_t k)
{
    size_t few = r < k ? r - 1 : k - 1, many = r < k ? k - 1 : r - 1;
    double p = 1;
    for (size_t i = 0; i < few && p > 1e-18; i++) p *= many + i < n - 1 ? (double)(n - 1 - many - i) / (double)(n - 1 - i) : 0;
    return p;
}

/* Draws the k - 1 others one after the other; true if none of them ranks before the true one. */
static bool k_way_draw(size_t r, size_t n, size_t k, uint64_t seed, uint32_t draw, uint64_t query)
{
    for (size_t i = 0; i < k - 1; i++)
        if (ndi_below(seed, NDI_RANDOM_DRAW, draw, query * (k - 1) + i, n - 1 - i) < r - 1) return false;
    return true;
}

nd_status ndi_metrics_k_way(const size_t *ranks, size_t n_ranks, size_t n_gallery, size_t k, uint32_t n_draws, uint64_t seed, double *expected,
                            double *sampled)
{
    TRY(check_ranks(ranks, n_ranks, n_gallery));
    CHECK(k >= 2 && k <= n_gallery, ND_ERR_ARGUMENT, "metrics: k: got %zu, expected 2 to %zu, the size of the gallery", k, n_gallery);
    if (n_draws == 0) n_draws = DEFAULT_DRAWS;
    if (expected) {
        double sum = 0;
        for (size_t i = 0; i < n_ranks; i++) sum += k_way_chance(ranks[i], n_gallery, k);
        *expected = sum / (double)n_ranks;
    }
    if (sampled) {
        uint64_t hits = 0;
        for (size_t i = 0; i < n_ranks; i++)
            for (uint32_t draw = 0; draw < n_draws; draw++) hits += k_way_draw(ranks[i], n_gallery, k, seed, draw, i);
        *sampled = (double)hits / ((double)n_ranks * n_draws);
    }
    return ND_OK;
}

/* Counts the queries that one model alone gets. */
static nd_status count_discordant(const size_t *first, const size_t *second, size_t n, size_t k, nd_comparison *c)
{
    for (size_t i = 0; i < n; i++) {
        CHECK(first[i] && second[i], ND_ERR_ARGUMENT, "metrics: rank of query %zu: got 0, expected ranks from 1", i);
        c->only_first += first[i] <= k && second[i] > k;
        c->only_second += second[i] <= k && first[i] > k;
    }
    return ND_OK;
}

/* McNemar: without a difference, who gets a query that only one gets is a toss of a coin. */
static double mcnemar(uint64_t a, uint64_t b) { return fmin(1, 2 * ndi_binomial_tail(a > b ? a : b, a + b, 0.5)); }

/* A resample of n pairs holds a multinomial number of each kind: first the pairs for the first model, then, out of the rest, those for the second.
 * Returns their difference + n. */
static size_t draw_difference(const nd_comparison *c, uint64_t seed, uint32_t step)
{
    double n = (double)c->n, a = (double)c->only_first, b = (double)c->only_second;
    uint64_t for_first = binomial_draw(ndi_uniform(seed, NDI_RANDOM_BOOTSTRAP, step, 0), c->n, a / n);
    uint64_t for_second = a < n ? binomial_draw(ndi_uniform(seed, NDI_RANDOM_BOOTSTRAP, step, 1), c->n - for_first, b / (n - a)) : 0;
    return c->n + for_first - for_second;
}

nd_status ndi_metrics_compare(const size_t *first, const size_t *second, size_t n_ranks, size_t k, uint32_t n_resamples, uint64_t seed,
                              nd_comparison *c)
{
    CHECK(n_ranks > 0, ND_ERR_ARGUMENT, "metrics: got no ranks, expected one for each query");
    CHECK(k > 0, ND_ERR_ARGUMENT, "metrics: k: got 0, expected at least 1");
    TRY(check_resamples(&n_resamples));
    *c = (nd_comparison){ .size = sizeof *c, .n = n_ranks };
    TRY(count_discordant(first, second, n_ranks, k, c));
    size_t *differences;
    TRY(NEW(differences, n_resamples));
    double n = (double)n_ranks;
    c->difference = ((double)c->only_first - (double)c->only_second) / n;
    c->p_value = mcnemar(c->only_first, c->only_second);
    for (uint32_t i = 0; i < n_resamples; i++) differences[i] = draw_difference(c, seed, i);
    c->low = (quantile(differences, n_resamples, 0.025, 2 * n_ranks) - n) / n;
    c->high = (quantile(differences, n_resamples, 0.975, 2 * n_ranks) - n) / n;
    ndi_free(differences);
    return ND_OK;
}

typedef struct scored {
    double score;
    bool positive;
} scored;

static int by_score(const void *a, const void *b)
{
    const double x = ((const scored *)a)->score, y = ((const scored *)b)->score;
    return (x > y) - (x < y);
}

/* Sum over the positive of their places (from 1) in the order of scores; equal scores share the mean of theirs. */
static double rank_sum(const scored *s, size_t n)
{
    double sum = 0;
    for (size_t first = 0, stop; first < n; first = stop) {
        size_t positive = 0;
        for (stop = first; stop < n && s[stop].score == s[first].score; stop++) positive += s[stop].positive;
        sum += (double)positive * ((double)(first + stop + 1) / 2);
    }
    return sum;
}

nd_status ndi_metrics_auc(const double *scores, const int32_t *positive, size_t n, double *auc)
{
    scored *s;
    size_t n_positive = 0;
    for (size_t i = 0; i < n; i++) {
        CHECK(isfinite(scores[i]), ND_ERR_NUMERIC, "metrics: score %zu is not finite", i);
        n_positive += positive[i] != 0;
    }
    CHECK(n_positive > 0 && n_positive < n, ND_ERR_ARGUMENT, "metrics: %zu of %zu scores are of the positive class, expected some of each",
          n_positive, n);
    TRY(NEW(s, n));
    for (size_t i = 0; i < n; i++) s[i] = (scored){ scores[i], positive[i] != 0 };
    qsort(s, n, sizeof *s, by_score);
    const double p = (double)n_positive, sum = rank_sum(s, n);
    *auc = (sum - p * (p + 1) / 2) / (p * ((double)n - p));
    ndi_free(s);
    return ND_OK;
}
