/* Search in a gallery: a sieve and a judge.
 *
 * The judge is ndi_vec->dot, which gives the same bits whatever is around it. A matrix product is ten times faster but may round its last bits
 * differently from block to block, so it only sieves: both err from the true scalar product of two vectors of n numbers and length 1 by less than n u
 * / (1 - n u), u = 2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), so a candidate further than twice that behind the worst one
 * kept cannot belong to the best, and the few that come closer go before the judge. Results are therefore exact and the same for every batch size,
 * thread count and instruction set. For large galleries there is a coarser sieve, in whole numbers of 8 bits, whose error is known for each query
 * (coarse.h); it lets more pass, and where it lets too many, the finer one goes on.
 *
 * Queries are taken in blocks of rows, the gallery in blocks of columns; for each pair first the scores are computed (a task = a panel of the
 * block), then each query picks (a task = eight queries). A single query in a small gallery is one task throughout and wakes no other thread. */
#include "eval/retrieval.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/pool.h"
#include "base/text.h"
#include "eval/coarse.h"
#include "eval/top_k.h"
#include "loss/loss.h"
#include "math/codes.h"
#include "math/gemm.h"
#include "math/vec.h"

enum {
    ROWS = 768,           /* queries at once: a panel of candidates is packed for all of them */
    COLUMNS = 4096,       /* candidates at once */
    PANEL = 512,          /* of them per task: the queries are packed for each panel */
    PANEL_FOR_FEW = 1024, /* the same for few queries */
    STRIP = 128,          /* candidates passed over together when none is good enough */
    FEW = 8,              /* fewer queries are not worth a matrix product */
    ROWS_PER_TASK = 64,
    DIMS_PER_TASK = 64,
    MANY = 256,          /* one in so many wanted is too much for the coarse sieve */
    TOO_MANY = 6,        /* and so is one in so many let through: from there on the fine one takes over */
    KEPT = 1 << 22,      /* best candidates held for the queries at once */
    MAX_SIEVED = 1 << 20 /* longest vectors for which the bound on the sieve's error holds */
};

static const double MAX_LENGTH = 1e37; /* lengths below it leave room for centring in float */

/* What one search works on. */
typedef struct desk {
    float *queries; /* ROWS x dim, normalised */
    float *truth;   /* ROWS: similarity of the true candidate */
    float *scores;  /* ROWS x block of the gallery */
    float *best;    /* rows x k, where the caller wants no scores */
    size_t n_best;
    coarse_queries *coarse; /* the queries for the coarse sieve, or NULL */
    atomic_size_t judged;   /* candidates of this block that went before the judge */
} desk;

struct nd_retrieval {
    size_t n, dim, block; /* block: columns of a block of scores */
    int32_t vectors;
    float *gallery; /* n x dim, normalised */
    coarse *coarse; /* the same for the coarse sieve, or NULL */
    double *mean;   /* of the gallery as it came, or NULL */
    ids names;
    _Atomic(pool *) threads; /* whoever finds it taken works on its own thread */
    _Atomic(desk *) spare;   /* kept from the last search, so that the next allocates nothing */
};

size_t ndi_retrieval_candidates(const nd_retrieval *r) { return r->n; }
size_t ndi_retrieval_dim(const nd_retrieval *r) { return r->dim; }
const ids *ndi_retrieval_ids(const nd_retrieval *r) { return &r->names; }

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* y = x - mean of the gallery, - own mean, / max(length, 1e-12), as far as asked for. */
static void normalise(const nd_retrieval *r, const float *x, float *y)
{
    size_t dim = r->dim;
    if (r->mean)
        for (size_t i = 0; i < dim; i++) y[i] = (float)((double)x[i] - r->mean[i]);
    else
        memcpy(y, x, dim * sizeof *y);
    ndi_normalise_rows(NULL, r->vectors == ND_VECTOR_CENTRED_L2, y, 1, dim, y, NULL);
}

static float similarity(const nd_retrieval *r, const float *query, size_t candidate)
{
    return fminf(1.0f, fmaxf(-1.0f, ndi_vec->dot(query, r->gallery + candidate * r->dim, r->dim)));
}

/* ---- checking rows of numbers ---- */

typedef struct rows {
    const nd_retrieval *r;
    const float *x;
    size_t n, dim;
    float *y;
    double *mean;
    atomic_size_t bad; /* first row that is not finite */
} rows;

static void check_some(void *context, size_t task, size_t worker)
{
    (void)worker;
    rows *c = context;
    for (size_t i = task * ROWS_PER_TASK; i < c->n && i < (task + 1) * ROWS_PER_TASK; i++) {
        const float *x = c->x + i * c->dim;
        if (sqrt(ndi_dot_f64(x, x, c->dim)) < MAX_LENGTH) continue;
        size_t bad = atomic_load(&c->bad);
        while (i < bad && !atomic_compare_exchange_weak(&c->bad, &bad, i)) continue;
        return;
    }
}

static nd_status check_rows(pool *threads, const float *x, size_t n, size_t dim, const char *what)
{
    rows c = { .x = x, .n = n, .dim = dim, .bad = SIZE_MAX };
    ndi_pool_run(threads, (n + ROWS_PER_TASK - 1) / ROWS_PER_TASK, check_some, &c);
    size_t row = atomic_load(&c.bad), i = 0;
    if (row == SIZE_MAX) return ND_OK;
    x += row * dim;
    while (i < dim && isfinite(x[i])) i++;
    CHECK(i < dim, ND_ERR_NUMERIC, "retrieval: %s: row %zu is too long, expected a length below %g", what, row, MAX_LENGTH);
    return ndi_fail(ND_ERR_NUMERIC, "retrieval: %s: row %zu, value %zu: got %g, expected a finite number", what, row, i, (double)x[i]);
}

/* ---- making a gallery ---- */

static void sum_columns(void *context, size_t task, size_t worker)
{
    (void)worker;
    rows *c = context;
    size_t first = task * DIMS_PER_TASK, count = least(DIMS_PER_TASK, c->dim - first);
    double *mean = c->mean + first;
    for (size_t i = 0; i < c->n; i++)
        for (size_t j = 0; j < count; j++) mean[j] += (double)c->x[i * c->dim + first + j];
    for (size_t j = 0; j < count; j++) mean[j] /= (double)c->n;
}

static void normalise_some(void *context, size_t task, size_t worker)
{
    (void)worker;
    rows *c = context;
    for (size_t i = task * ROWS_PER_TASK; i < c->n && i < (task + 1) * ROWS_PER_TASK; i++) normalise(c->r, c->x + i * c->dim, c->y + i * c->dim);
}

static nd_status name_candidates(nd_retrieval *r, const char *const *names)
{
    for (size_t i = 0; i < r->n; i++) {
        char number[24];
        const char *name = number;
        size_t index;
        if (names)
            name = names[i];
        else
            ndi_format(number, sizeof number, "%zu", i);
        CHECK(name, ND_ERR_ARGUMENT, "retrieval: id of candidate %zu is NULL", i);
        TRY(ndi_ids_add(&r->names, name, strlen(name), &index));
        CHECK(index == i, ND_ERR_ARGUMENT, "retrieval: id '%s' is given twice, to candidates %zu and %zu", name, index, i);
    }
    return ND_OK;
}

static nd_status fill_gallery(nd_retrieval *r, const float *gallery, bool centre)
{
    pool *threads = atomic_load(&r->threads);
    TRY(check_rows(threads, gallery, r->n, r->dim, "gallery"));
    rows c = { .r = r, .x = gallery, .n = r->n, .dim = r->dim, .y = r->gallery };
    if (centre) {
        TRY(NEW(r->mean, r->dim));
        c.mean = r->mean;
        ndi_pool_run(threads, (r->dim + DIMS_PER_TASK - 1) / DIMS_PER_TASK, sum_columns, &c);
    }
    ndi_pool_run(threads, (r->n + ROWS_PER_TASK - 1) / ROWS_PER_TASK, normalise_some, &c);
    return ndi_coarse_create(&r->coarse, threads, r->gallery, r->n, r->dim);
}

nd_status ndi_retrieval_create(nd_retrieval **out, const float *gallery, size_t n, size_t dim, const char *const *names,
                               const nd_retrieval_options *o)
{
    CHECK(n > 0 && dim > 0, ND_ERR_ARGUMENT, "retrieval: got a gallery of %zu x %zu, expected at least one candidate and one dimension", n, dim);
    CHECK(o->vectors == ND_VECTOR_L2 || o->vectors == ND_VECTOR_CENTRED_L2, ND_ERR_ARGUMENT,
          "retrieval: vectors: got %d, expected ND_VECTOR_L2 or ND_VECTOR_CENTRED_L2", (int)o->vectors);
    CHECK(o->centre_gallery == 0 || o->centre_gallery == 1, ND_ERR_ARGUMENT, "retrieval: centre_gallery: got %d, expected 0 or 1",
          (int)o->centre_gallery);
    size_t size;
    CHECK(ndi_mul(n, dim, &size), ND_ERR_ARGUMENT, "retrieval: got a gallery of %zu x %zu, which is too large", n, dim);
    pool *threads = NULL;
    nd_retrieval *r;
    TRY(NEW(r, 1));
    r->n = n;
    r->dim = dim;
    r->block = (least(n, COLUMNS) + NDI_CODES_COLUMNS - 1) / NDI_CODES_COLUMNS * NDI_CODES_COLUMNS; /* coarse scores come in whole panels */
    r->vectors = o->vectors;
    nd_status status;
    GO(ndi_pool_create(&threads, o->n_threads));
    atomic_store(&r->threads, threads);
    GO(NEW(r->gallery, size));
    GO(name_candidates(r, names));
    GO(fill_gallery(r, gallery, o->centre_gallery));
    *out = r;
    return ND_OK;
done:
    ndi_retrieval_free(r);
    return status;
}

static void free_desk(desk *d)
{
    if (!d) return;
    ndi_free(d->queries);
    ndi_free(d->truth);
    ndi_free(d->scores);
    ndi_free(d->best);
    ndi_coarse_queries_free(d->coarse);
    ndi_free(d);
}

void ndi_retrieval_free(nd_retrieval *r)
{
    if (!r) return;
    free_desk(atomic_load(&r->spare));
    ndi_pool_free(atomic_load(&r->threads));
    ndi_ids_free(&r->names);
    ndi_free(r->gallery);
    ndi_coarse_free(r->coarse);
    ndi_free(r->mean);
    ndi_free(r);
}

/* ---- searching ---- */

/* One call, and where in it we are. */
typedef struct job {
    const nd_retrieval *r;
    desk *d;
    const float *queries;
    const size_t *truth;
    size_t k, *indices, *ranks;
    float *best;                     /* of the queries from `first` on, k each */
    size_t first, n;                 /* queries at work */
    size_t column, n_columns;        /* candidates at work */
    size_t panel;                    /* columns per task */
    enum { JUDGE, FINE, COARSE } by; /* what the scores are: similarities or what a sieve says */
} job;

/* By how much the score of a candidate and the judge's similarity may differ. */
static float slack_of(const job *j, size_t row)
{
    const float rounding = (float)(2.2 * (double)j->r->dim + 8) * 0x1p-24f;
    return j->by == JUDGE ? 0 : j->by == FINE ? rounding : rounding + ndi_coarse_error(j->d->coarse, row);
}

static void prepare_query(const job *j, size_t row)
{
    float *query = j->d->queries + row * j->r->dim;
    normalise(j->r, j->queries + (j->first + row) * j->r->dim, query);
    if (j->truth) j->d->truth[row] = similarity(j->r, query, j->truth[j->first + row]);
    if (j->by == COARSE) ndi_coarse_set(j->d->coarse, j->r->coarse, row, query);
}

static void score_panel(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    const nd_retrieval *r = j->r;
    size_t first = task * j->panel, count = least(j->panel, j->n_columns - first);
    float *scores = j->d->scores + first;
    if (j->by == COARSE) {
        ndi_coarse_scores(r->coarse, j->d->coarse, j->n, j->column + first, count, scores, r->block);
        return;
    }
    if (j->by == FINE) {
        ndi_gemm(false, true, j->n, count, r->dim, 1.0f, j->d->queries, r->dim, r->gallery + (j->column + first) * r->dim, r->dim, 0.0f, scores,
                 r->block);
        return;
    }
    for (size_t i = 0; i < count; i++)
        for (size_t row = 0; row < j->n; row++) scores[row * r->block + i] = similarity(r, j->d->queries + row * r->dim, j->column + first + i);
}

static float judge(const job *j, size_t row, size_t i)
{
    return j->by == JUDGE ? j->d->scores[row * j->r->block + i] : similarity(j->r, j->d->queries + row * j->r->dim, j->column + i);
}

static void pick_best(const job *j, size_t row)
{
    const float *scores = j->d->scores + row * j->r->block;
    const float slack = slack_of(j, row);
    top_k best = { j->best + row * j->k, j->indices + (j->first + row) * j->k, least(j->column, j->k) };
    size_t judged = 0;
    for (size_t strip = 0; strip < j->n_columns; strip += STRIP) {
        size_t end = least(strip + STRIP, j->n_columns);
        if (best.n == j->k && ndi_vec->max(scores + strip, end - strip) < best.scores[0] - slack) continue;
        for (size_t i = strip; i < end; i++) {
            if (best.n < j->k) {
                ndi_top_k_add(&best, judge(j, row, i), j->column + i);
            } else if (scores[i] >= best.scores[0] - slack) {
                judged++;
                float s = judge(j, row, i);
                if (s > best.scores[0]) ndi_top_k_replace(&best, s, j->column + i);
            }
        }
    }
    atomic_fetch_add_explicit(&j->d->judged, judged, memory_order_relaxed);
    if (j->column + j->n_columns == j->r->n) ndi_top_k_sort(&best);
}

/* Counts the candidates at least as similar as the true one; itself among them, so the sum over blocks is its rank. */
static void count_better(const job *j, size_t row)
{
    const float *scores = j->d->scores + row * j->r->block, truth = j->d->truth[row], slack = slack_of(j, row), low = truth - slack,
                high = truth + slack;
    size_t better = 0;
    for (size_t i = 0; i < j->n_columns; i++)
        if (scores[i] >= low) better += scores[i] > high || judge(j, row, i) >= truth;
    j->ranks[j->first + row] += better;
}

static void prepare_some(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    for (size_t row = task * FEW; row < j->n && row < (task + 1) * FEW; row++) prepare_query(j, row);
}

static void pick_some(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    for (size_t row = task * FEW; row < j->n && row < (task + 1) * FEW; row++) {
        if (j->indices)
            pick_best(j, row);
        else
            count_better(j, row);
    }
}

/* A product of few queries, or with as many answers as there are candidates, does not repay; the coarse sieve does so for one, but lets too many pass where ranks are counted. */
static void choose_sieve(job *j, bool may_be_coarse)
{
    const nd_retrieval *r = j->r;
    if (may_be_coarse)
        j->by = COARSE;
    else
        j->by = j->n < FEW || (j->indices && j->k > r->n / 8) || r->dim > MAX_SIEVED ? JUDGE : FINE;
    j->panel = j->n < FEW ? PANEL_FOR_FEW : PANEL;
}

static void search_block(job *j, pool *threads)
{
    const nd_retrieval *r = j->r;
    size_t groups = (j->n + FEW - 1) / FEW;
    choose_sieve(j, r->coarse && j->indices && j->k <= r->n / MANY);
    ndi_pool_run(threads, groups, prepare_some, j);
    for (j->column = 0; j->column < r->n; j->column += j->n_columns) {
        j->n_columns = least(r->block, r->n - j->column);
        atomic_store(&j->d->judged, 0);
        ndi_pool_run(threads, (j->n_columns + j->panel - 1) / j->panel, score_panel, j);
        ndi_pool_run(threads, groups, pick_some, j);
        if (j->by == COARSE && atomic_load(&j->d->judged) > j->n * j->n_columns / TOO_MANY) choose_sieve(j, false);
    }
}

static nd_status take_desk(nd_retrieval *r, size_t n_best, desk **out)
{
    nd_status status;
    desk *d = atomic_exchange(&r->spare, NULL);
    if (!d) {
        TRY(NEW(d, 1));
        GO(NEW(d->queries, ROWS * r->dim));
        GO(NEW(d->truth, ROWS));
        GO(NEW(d->scores, ROWS * r->block));
        if (r->coarse) GO(ndi_coarse_queries_create(&d->coarse, r->coarse, ROWS));
    }
    if (d->n_best < n_best) {
        ndi_free(d->best);
        d->n_best = 0;
        GO(NEW(d->best, n_best));
        d->n_best = n_best;
    }
    *out = d;
    return ND_OK;
done:
    free_desk(d);
    return status;
}

/* Fills in what is left of a job and does it. `scores` is where the similarities of the best go, if they are wanted. */
static nd_status run(job j, size_t n_queries, float *scores)
{
    if (n_queries == 0) return ND_OK;
    nd_retrieval *shared = (nd_retrieval *)(uintptr_t)j.r; /* only its atomic slots change */
    size_t rows_at_once = j.k > KEPT / ROWS ? (j.k < KEPT ? KEPT / j.k : 1) : ROWS;
    pool *threads = atomic_exchange(&shared->threads, NULL);
    nd_status status;
    GO(check_rows(threads, j.queries, n_queries, j.r->dim, "queries"));
    GO(take_desk(shared, j.indices && !scores ? least(rows_at_once, n_queries) * j.k : 0, &j.d));
    for (j.first = 0; j.first < n_queries; j.first += j.n) {
        j.n = least(rows_at_once, n_queries - j.first);
        j.best = scores ? scores + j.first * j.k : j.d->best;
        if (j.ranks) memset(j.ranks + j.first, 0, j.n * sizeof *j.ranks);
        search_block(&j, threads);
    }
    desk *expected = NULL;
    if (!atomic_compare_exchange_strong(&shared->spare, &expected, j.d)) free_desk(j.d);
done:
    if (threads) atomic_store(&shared->threads, threads);
    return status;
}

nd_status ndi_retrieval_search(const nd_retrieval *r, const float *queries, size_t n_queries, size_t k, size_t *indices, float *scores)
{
    CHECK(k >= 1 && k <= r->n, ND_ERR_ARGUMENT, "retrieval: k: got %zu, expected 1 to %zu, the size of the gallery", k, r->n);
    return run((job){ .r = r, .queries = queries, .k = k, .indices = indices }, n_queries, scores);
}

nd_status ndi_retrieval_rank(const nd_retrieval *r, const float *queries, const size_t *truth, size_t n_queries, size_t *ranks)
{
    for (size_t i = 0; i < n_queries; i++)
        CHECK(truth[i] < r->n, ND_ERR_ARGUMENT, "retrieval: truth of query %zu: got candidate %zu, expected 0 to %zu", i, truth[i], r->n - 1);
    return run((job){ .r = r, .queries = queries, .truth = truth, .ranks = ranks }, n_queries, NULL);
}
