/* Every loss of the table against its formula in double precision and that formula's differences, reference vectors, and the bits of several threads. */
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
#include "check.h"
#include "fault.h"
#include "golden.h"
#include "loss/loss.h"
#include "math/vec.h"

static nd_loss *make(const char *kind, double temperature, int32_t vectors, int32_t sum)
{
    nd_loss *loss;
    nd_loss_options o;
    OK(nd_loss_options_init(&o, sizeof o));
    o.temperature = temperature;
    o.vectors = vectors;
    o.sum_directions = sum;
    OK(nd_loss_create(&loss, kind, &o));
    return loss;
}

/* ---- reference vectors ---- */

typedef struct reference {
    content *c;
    float *v, *z, *dv, *dz;
    size_t n;
} reference;

enum { ROWS = 11, COLUMNS = 24 };

static void compare(const reference *r, const char *prefix, const char *what, const float *found)
{
    char name[64];
    snprintf(name, sizeof name, "%s/%s", prefix, what);
    float *expected = nd_test_floats(r->c, name, NULL);
    double error = nd_test_relative_error(found, expected, r->n);
    if (!(error < 1e-5)) fail_msg("%s: relative error %g", name, error);
    ndi_free(expected);
}

static void compare_number(const reference *r, const char *prefix, const char *what, double found)
{
    char name[64];
    snprintf(name, sizeof name, "%s/%s", prefix, what);
    double expected = nd_test_number(r->c, name);
    if (!(fabs(found / expected - 1) < 1e-5)) fail_msg("%s: %.9g, expected %.9g", name, found, expected);
}

static void check_reference(const reference *r, const char *prefix, const char *kind, double temperature)
{
    double value, dscale;
    nd_loss *loss = make(kind, temperature, ND_VECTOR_CENTRED_L2, 0);
    OK(nd_loss_evaluate(loss, r->v, r->z, ROWS, COLUMNS, &value, r->dv, r->dz, &dscale));
    compare_number(r, prefix, "loss", value);
    compare_number(r, prefix, "grad_logit_scale", dscale);
    compare(r, prefix, "grad_v", r->dv);
    compare(r, prefix, "grad_z", r->dz);
    nd_loss_free(loss);
}

static void check_mixco(const reference *r)
{
    size_t partner[ROWS];
    float *perm = nd_test_floats(r->c, "mixco/perm", NULL), *betas = nd_test_floats(r->c, "mixco/betas", NULL);
    nd_loss *loss = make("mixco", 0.1, ND_VECTOR_CENTRED_L2, 0);
    nd_loss_result result = { .size = sizeof result };
    for (size_t i = 0; i < ROWS; i++) partner[i] = (size_t)perm[i];
    nd_loss_batch batch = { .size = sizeof batch, .v = r->v, .z = r->z, .n = ROWS, .dim = COLUMNS, .partner = partner, .share = betas };
    OK(nd_loss_evaluate_batch(loss, &batch, &result, r->dv, NULL));
    compare_number(r, "mixco", "loss", result.value);
    compare(r, "mixco", "grad_v", r->dv);
    nd_loss_free(loss);
    ndi_free(perm);
    ndi_free(betas);
}

static void reference_vectors(void **state)
{
    (void)state;
    reference r = { .c = nd_test_golden("losses.npz") };
    if (!r.c) skip();
    r.v = nd_test_floats(r.c, "v", &r.n);
    r.z = nd_test_floats(r.c, "z", NULL);
    r.dv = ndi_alloc(r.n, sizeof *r.dv);
    r.dz = ndi_alloc(r.n, sizeof *r.dz);
    check_reference(&r, "clip/0.04", "infonce", 0.04);
    check_reference(&r, "clip/0.5", "infonce", 0.5);
    check_reference(&r, "softclip/0.04", "softclip", 0.04);
    check_reference(&r, "softclip/0.5", "softclip", 0.5);
    check_mixco(&r);
    float *blocks[] = { r.v, r.z, r.dv, r.dz };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
    ndi_content_free(r.c);
}

/* ---- formulas ---- */

enum { MOST = 9, WIDEST = 12 };

/* A batch in double precision. Rows 0, 3 and 6 show one image, 1 and 4 another. */
typedef struct batch {
    const char *kind;
    nd_loss_options o;
    size_t n, dim;
    double v[MOST * WIDEST], z[MOST * WIDEST], log_scale, bias;
    size_t images[MOST], partner[MOST];
    double share[MOST];
    bool mixed;
} batch;

static void normalised(const batch *b, const double *x, double *y)
{
    for (size_t i = 0; i < b->n; i++) {
        double mean = 0, length = 0;
        for (size_t k = 0; k < b->dim; k++) mean += x[i * b->dim + k] / (double)b->dim;
        if (b->o.vectors == ND_VECTOR_L2) mean = 0;
        for (size_t k = 0; k < b->dim; k++) {
            y[i * b->dim + k] = x[i * b->dim + k] - mean;
            length += y[i * b->dim + k] * y[i * b->dim + k];
        }
        for (size_t k = 0; k < b->dim; k++) y[i * b->dim + k] /= sqrt(length);
    }
}

static double product(const batch *b, const double *x, size_t i, const double *y, size_t k)
{
    double sum = 0;
    for (size_t d = 0; d < b->dim; d++) sum += x[i * b->dim + d] * y[k * b->dim + d];
    return sum;
}

static bool same_image(const batch *b, size_t i, size_t k) { return b->images[i] == b->images[k]; }

/* Is the pair left out? */
static bool masked(const batch *b, size_t i, size_t k)
{
    if (!b->o.mask_same_image || i == k) return false;
    if (!b->mixed) return same_image(b, i, k);
    return k != b->partner[i] && (same_image(b, i, k) || same_image(b, b->partner[i], k));
}

/* What pair (i, k) should be: T of the rows; by `columns` U of the columns. */
static double target(const batch *b, const double *z, size_t i, size_t k, bool columns)
{
    double sum = 0, count = 0, scale = exp(b->log_scale);
    if (strcmp(b->kind, "softclip") == 0) {
        size_t row = columns ? k : i, col = columns ? i : k;
        for (size_t j = 0; j < b->n; j++) sum += exp(scale * product(b, z, row, z, j));
        return exp(scale * product(b, z, row, z, col)) / sum;
    }
    if (strcmp(b->kind, "multipositive") == 0) {
        for (size_t j = 0; j < b->n; j++) count += same_image(b, i, j);
        return same_image(b, i, k) / count;
    }
    if (!b->mixed || b->partner[i] == i) return i == k ? (b->mixed && b->o.reference ? 1 - b->share[i] : 1) : 0;
    return i == k ? b->share[i] : k == b->partner[i] ? 1 - b->share[i] : 0;
}

static double entropy_loss(const batch *b, const double *a, const double *z)
{
    double total = 0, scale = exp(b->log_scale);
    for (size_t i = 0; i < b->n; i++)
        for (int columns = 0; columns < 2; columns++) {
            double sum = 0;
            for (size_t k = 0; k < b->n; k++) {
                size_t row = columns ? k : i, col = columns ? i : k;
                if (!masked(b, row, col)) sum += exp(scale * product(b, a, row, z, col));
            }
            for (size_t k = 0; k < b->n; k++) {
                size_t row = columns ? k : i, col = columns ? i : k;
                double t = target(b, z, row, col, columns);
                if (t > 0) total -= t * (scale * product(b, a, row, z, col) - log(sum));
            }
        }
    return total / (double)b->n * (b->o.sum_directions ? 1 : 0.5);
}

static double sigmoid_loss(const batch *b, const double *a, const double *z)
{
    double total = 0, scale = exp(b->log_scale);
    for (size_t i = 0; i < b->n; i++)
        for (size_t k = 0; k < b->n; k++) {
            double l = scale * product(b, a, i, z, k) + b->bias;
            if (!masked(b, i, k)) total += log1p(exp(i == k ? -l : l));
        }
    return total / (double)b->n;
}

static double formula(const batch *b)
{
    double a[MOST * WIDEST], z[MOST * WIDEST], sum = 0;
    normalised(b, b->v, a);
    normalised(b, b->z, z);
    if (strcmp(b->kind, "mse") == 0) {
        for (size_t k = 0; k < b->n * b->dim; k++) sum += (b->v[k] - b->z[k]) * (b->v[k] - b->z[k]);
        return sum / (double)(b->n * b->dim);
    }
    if (strcmp(b->kind, "cosine") == 0) {
        for (size_t i = 0; i < b->n; i++) sum += 1 - product(b, a, i, z, i);
        return sum / (double)b->n;
    }
    return strcmp(b->kind, "siglip") == 0 ? sigmoid_loss(b, a, z) : entropy_loss(b, a, z);
}

static double slope(batch *b, double *x)
{
    const double h = 1e-5;
    double kept = *x;
    *x = kept + h;
    double up = formula(b);
    *x = kept - h;
    double down = formula(b);
    *x = kept;
    return (up - down) / (2 * h);
}

static void check_slopes(batch *b, double *x, const float *found, const char *what)
{
    float expected[MOST * WIDEST];
    for (size_t k = 0; k < b->n * b->dim; k++) expected[k] = (float)slope(b, &x[k]);
    double error = 0, scale = 1e-3;
    for (size_t k = 0; k < b->n * b->dim; k++) {
        error = fmax(error, fabs((double)expected[k] - (double)found[k]));
        scale = fmax(scale, fabs((double)expected[k]));
    }
    if (!(error < 2e-5 * scale)) fail_msg("%s (%zu x %zu): %s is off by %g of %g", b->kind, b->n, b->dim, what, error, scale);
}

static void close_to(const batch *b, double found, double expected, const char *what)
{
    if (!(fabs(found - expected) < 1e-5 * fmax(1, fabs(expected))))
        fail_msg("%s (%zu x %zu): %s: %.9g, expected %.9g", b->kind, b->n, b->dim, what, found, expected);
}

static void check_formula(batch *b)
{
    nd_loss *loss;
    float v[MOST * WIDEST], z[MOST * WIDEST], dv[MOST * WIDEST], dz[MOST * WIDEST], share[MOST];
    OK(nd_loss_create(&loss, b->kind, &b->o));
    b->log_scale = loss->log_scale;
    b->bias = loss->bias;
    for (size_t k = 0; k < b->n * b->dim; k++) {
        v[k] = (float)b->v[k];
        z[k] = (float)b->z[k];
        b->v[k] = (double)v[k];
        b->z[k] = (double)z[k];
    }
    for (size_t i = 0; i < b->n; i++) share[i] = (float)b->share[i];
    nd_loss_batch given = { .size = sizeof given, .v = v, .z = z, .n = b->n, .dim = b->dim, .images = b->images };
    if (b->mixed) {
        given.partner = b->partner;
        given.share = share;
    }
    nd_loss_result result = { .size = sizeof result };
    OK(nd_loss_evaluate_batch(loss, &given, &result, dv, dz));
    close_to(b, result.value, formula(b), "value");
    check_slopes(b, b->v, dv, "grad_v");
    check_slopes(b, b->z, dz, "grad_z");
    if (loss->kind->temperature > 0) close_to(b, result.grad_log_scale, slope(b, &b->log_scale), "grad_log_scale");
    if (loss->kind->biased) close_to(b, result.grad_bias, slope(b, &b->bias), "grad_bias");
    nd_loss_free(loss);
}

static void fill(batch *b, const loss_kind *kind, size_t n, size_t dim)
{
    memset(b, 0, sizeof *b);
    b->kind = kind->name;
    OK(nd_loss_options_init(&b->o, sizeof b->o));
    b->o.temperature = 0.3;
    b->o.bias = -1;
    b->n = n;
    b->dim = dim;
    for (size_t k = 0; k < n * dim; k++) {
        b->v[k] = 2 * ndi_uniform(4, NDI_RANDOM_DRAW, 1, k) - 1;
        b->z[k] = 2 * ndi_uniform(4, NDI_RANDOM_DRAW, 2, k) - 1;
    }
    for (size_t i = 0; i < n; i++) {
        b->images[i] = i % 3 == 0 ? 70 : i % 3 == 1 && i < 5 ? 71 : i;
        b->partner[i] = (i * 2 + 1) % n; /* some rows are their own partner */
        b->share[i] = (double)(float)ndi_uniform(4, NDI_RANDOM_DRAW, 3, i);
    }
}

/* Each kind at three odd sizes, with each of its options. */
static void every_loss_is_its_formula(void **state)
{
    (void)state;
    const size_t sizes[][2] = { { 7, 9 }, { 5, 12 }, { 9, 3 } };
    batch b;
    for (const loss_kind *const *k = ndi_loss_kinds; *k; k++)
        for (size_t size = 0; size < COUNT(sizes); size++)
            for (int32_t choice = 0; choice < 32; choice++) {
                fill(&b, *k, sizes[size][0], sizes[size][1]);
                b.o.vectors = choice & 1;
                b.o.sum_directions = choice >> 1 & 1;
                b.o.mask_same_image = choice >> 2 & 1;
                b.mixed = choice >> 3 & 1;
                b.o.reference = choice >> 4 & 1;
                if ((b.o.sum_directions && !(*k)->directions) || (b.o.mask_same_image && !(*k)->masks) || (b.mixed && !(*k)->mixes)) continue;
                check_formula(&b);
            }
}

/* One pair cannot be confused; identical vectors at the lowest temperature stay finite. */
static void extremes(void **state)
{
    (void)state;
    float v[60], dv[60], dz[60];
    double value, dscale;
    for (size_t i = 0; i < COUNT(v); i++) v[i] = (float)(i % 7) + 1;
    for (const loss_kind *const *k = ndi_loss_kinds; *k; k++) {
        nd_loss *loss = make((*k)->name, 1e-6, 1, 0);
        OK(nd_loss_evaluate(loss, v, v, 1, 60, &value, dv, dz, &dscale));
        assert_true(fabs(value) < 1e-6 || (*k)->biased);
        OK(nd_loss_evaluate(loss, v, v, 6, 10, &value, dv, dz, &dscale));
        assert_true(isfinite(value) && isfinite(dscale) && ndi_all_finite(dv, 60) && ndi_all_finite(dz, 60));
        nd_loss_free(loss);
    }
}

/* ---- how it is run ---- */

static float *random_rows(size_t n, uint32_t stream)
{
    float *x = ndi_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(2 * ndi_uniform(4, NDI_RANDOM_DRAW, stream, i) - 1);
    return x;
}

static void same_bits_for_any_threads(void **state)
{
    (void)state;
    enum { N = 130, D = 65 };
    float *v = random_rows(N * D, 1), *z = random_rows(N * D, 2), *first = ndi_alloc(2 * N * D, sizeof *v), *again = ndi_alloc(2 * N * D, sizeof *v);
    size_t images[N];
    for (size_t i = 0; i < N; i++) images[i] = i % 50;
    for (const loss_kind *const *k = ndi_loss_kinds; *k; k++) {
        nd_loss_options o;
        nd_loss_options_init(&o, sizeof o);
        o.mask_same_image = (*k)->masks;
        double first_value = 0;
        for (int32_t threads = 1; threads <= 3; threads++) {
            pool *p;
            loss_space *s;
            OK(ndi_pool_create(&p, threads));
            OK(ndi_loss_space_create(&s, N, D, p));
            float *grads = threads == 1 ? first : again;
            loss_call c = { .n = N, .dim = D, .v = v, .z = z, .images = images, .scale = 25, .bias = -10, .grad_v = grads, .grad_z = grads + N * D };
            (*k)->evaluate(&o, s, &c);
            if (threads == 1) first_value = c.value;
            assert_memory_equal(&c.value, &first_value, sizeof first_value);
            if (threads > 1) assert_memory_equal(first, again, 2 * N * D * sizeof *first);
            ndi_loss_space_free(s);
            ndi_pool_free(p);
        }
    }
    float *blocks[] = { v, z, first, again };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
}

static nd_status make_and_evaluate(void *context)
{
    float *v = context, dv[60], dz[60];
    nd_loss *loss = NULL;
    nd_loss_result result = { .size = sizeof result };
    nd_loss_batch given = { .size = sizeof given, .v = v, .z = v, .n = 6, .dim = 10 };
    nd_status status = nd_loss_create(&loss, "softclip", NULL);
    if (status == ND_OK) status = nd_loss_evaluate_batch(loss, &given, &result, dv, dz);
    nd_loss_free(loss);
    return status;
}

static void every_allocation_failure_is_survived(void **state)
{
    (void)state;
    float *v = random_rows(60, 1);
    assert_true(nd_test_faults(make_and_evaluate, v) > 15);
    ndi_free(v);
}

static void the_table_is_listed(void **state)
{
    (void)state;
    nd_loss_kind_info info = { .size = sizeof info };
    size_t n = 0;
    for (; nd_loss_kind_get_info(n, &info) == ND_OK; n++) {
        double temperature, bias;
        nd_loss *loss;
        assert_true(*info.name && *info.title && *info.source);
        OK(nd_loss_create(&loss, info.name, NULL));
        OK(nd_loss_get_temperature(loss, &temperature));
        OK(nd_loss_get_bias(loss, &bias));
        assert_true(fabs(temperature - (info.temperature > 0 ? info.temperature : 1)) < 1e-12 && bias == info.bias);
        nd_loss_free(loss);
    }
    assert_int_equal(n, 7);
}

static void bad_arguments(void **state)
{
    (void)state;
    nd_loss *loss;
    nd_loss_options o;
    nd_loss_options_init(&o, sizeof o);
    o.temperature = -1;
    FAILS(ND_ERR_ARGUMENT, "temperature", nd_loss_create(&loss, NULL, &o));
    assert_null(loss);
    FAILS(ND_ERR_ARGUMENT, "'hinge', expected one of infonce softclip", nd_loss_create(&loss, "hinge", NULL));
    o.temperature = 0;
    o.mask_same_image = 1;
    FAILS(ND_ERR_ARGUMENT, "softclip leaves no pairs out", nd_loss_create(&loss, "softclip", &o));
    o.mask_same_image = 0;
    o.sum_directions = 1;
    FAILS(ND_ERR_ARGUMENT, "siglip has one direction", nd_loss_create(&loss, "siglip", &o));
    o.sum_directions = 0;
    o.learn_temperature = 1;
    FAILS(ND_ERR_ARGUMENT, "mse has no temperature", nd_loss_create(&loss, "mse", &o));
    loss = make("mixco", 0.04, 1, 0);
    float v[6] = { 1, 2, 3, 4, 5, 6 }, share[2] = { 0.5f, 1.5f };
    size_t partner[2] = { 1, 2 };
    double value = 5;
    nd_loss_result result = { .size = sizeof result, .value = 5 };
    nd_loss_batch batch = { .size = sizeof batch, .v = v, .z = v, .n = 2, .dim = 3, .partner = partner };
    FAILS(ND_ERR_ARGUMENT, "both or none", nd_loss_evaluate_batch(loss, &batch, &result, NULL, NULL));
    batch.share = share;
    FAILS(ND_ERR_ARGUMENT, "partner: row 1: got 2", nd_loss_evaluate_batch(loss, &batch, &result, NULL, NULL));
    partner[1] = 0;
    FAILS(ND_ERR_ARGUMENT, "share: row 1: got 1.5", nd_loss_evaluate_batch(loss, &batch, &result, NULL, NULL));
    v[4] = NAN;
    FAILS(ND_ERR_NUMERIC, "row 1", nd_loss_evaluate(loss, v, v, 2, 3, &value, NULL, NULL, NULL));
    assert_true(value == 5 && result.value == 5);
    FAILS(ND_ERR_ARGUMENT, "0 vectors", nd_loss_evaluate(loss, v, v, 0, 3, &value, NULL, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "v is NULL", nd_loss_evaluate(loss, NULL, v, 2, 3, &value, NULL, NULL, NULL));
    nd_loss_free(loss);
    loss = make("infonce", 0.04, 1, 0);
    v[4] = 5;
    share[1] = 0.5f;
    FAILS(ND_ERR_ARGUMENT, "infonce does not know them", nd_loss_evaluate_batch(loss, &batch, &result, NULL, NULL));
    nd_loss_free(loss);
    nd_loss_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_vectors),
        cmocka_unit_test(every_loss_is_its_formula),
        cmocka_unit_test(extremes),
        cmocka_unit_test(same_bits_for_any_threads),
        cmocka_unit_test(the_table_is_listed),
        cmocka_unit_test(every_allocation_failure_is_survived),
        cmocka_unit_test(bad_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
