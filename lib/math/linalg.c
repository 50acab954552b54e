/* Cholesky factorisation, solving with it, and eigenvectors of symmetric matrices (Golub and Van Loan, Matrix Computations, 4th ed., sections 4.2.9,
 * 8.3). Work is cut into blocks of fixed size, so the bits do not depend on the number of threads. */
#include "math/linalg.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "math/gemm.h"

enum { NB = 48, ROWS_PER_TASK = 48, COLUMNS_PER_TASK = 96, LANES = 8, MAX_SWEEPS = 60 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static double dot(const double *a, const double *b, size_t n)
{
    double s[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) s[j] += a[i + j] * b[i + j];
    for (size_t j = 0; i < n; i++, j++) s[j] += a[i] * b[i];
    return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

static void axpy(double alpha, const double *restrict x, double *restrict y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += alpha * x[i];
}

/* ---- Cholesky ---- */

/* A block column of A: the diagonal block, rows and columns `at` .. `at + n`, and the rows below. */
typedef struct block {
    double *a;
    size_t size, at, n;
} block;

/* Factors the diagonal block, `left` being what the blocks to its left contribute. A pivot that is lost in the rounding of what it was
 * computed from counts as zero. */
static nd_status factor_diagonal(const block *b, const double *left)
{
    for (size_t i = 0; i < b->n; i++) {
        double *row = b->a + (b->at + i) * b->size + b->at, whole = row[i];
        for (size_t j = 0; j <= i; j++) {
            const double *other = b->a + (b->at + j) * b->size + b->at;
            double rest = row[j] - left[i * NB + j] - dot(row, other, j);
            if (j < i) {
                row[j] = rest / other[j];
                continue;
            }
            CHECK(rest > (double)b->size * DBL_EPSILON * whole && rest < INFINITY, ND_ERR_NUMERIC,
                  "cholesky: pivot %zu of %zu: got %g, expected a positive number: the matrix is not positive definite", b->at + i, b->size, rest);
            row[i] = sqrt(rest);
        }
    }
    return ND_OK;
}

/* Rows below the diagonal block: X L' = A, row by row. */
static void solve_below(void *context, size_t task, size_t worker)
{
    (void)worker;
    const block *b = context;
    size_t first = b->at + b->n + task * ROWS_PER_TASK, end = least(first + ROWS_PER_TASK, b->size);
    for (size_t i = first; i < end; i++) {
        double *row = b->a + i * b->size + b->at;
        for (size_t j = 0; j < b->n; j++) {
            const double *l = b->a + (b->at + j) * b->size + b->at;
            row[j] = (row[j] - dot(row, l, j)) / l[j];
        }
    }
}

nd_status ndi_cholesky(pool *p, double *a, size_t n)
{
    for (size_t at = 0; at < n; at += NB) {
        block b = { a, n, at, least(NB, n - at) };
        size_t below = at + b.n, rest = n - below;
        const double *left = a + at * n;
        double product[NB * NB];
        ndi_gemm_f64(false, true, b.n, b.n, at, 1, left, n, left, n, 0, product, NB);
        TRY(factor_diagonal(&b, product));
        ndi_gemm_parallel_f64(p, false, true, rest, b.n, at, -1, a + below * n, n, left, n, 1, a + below * n + at, n);
        ndi_pool_run(p, (rest + ROWS_PER_TASK - 1) / ROWS_PER_TASK, solve_below, &b);
    }
    return ND_OK;
}

/* ---- solving ---- */

typedef struct system {
    const double *l;
    double *b;
    size_t n, m;
} system;

/* The n rows of B from `at` on, w columns from `column` on, against the diagonal block of L there. */
static void forward_block(const system *s, size_t at, size_t n, size_t column, size_t w)
{
    for (size_t i = at; i < at + n; i++) {
        double *row = s->b + i * s->m + column;
        for (size_t j = at; j < i; j++) axpy(-s->l[i * s->n + j], s->b + j * s->m + column, row, w);
        for (size_t c = 0; c < w; c++) row[c] /= s->l[i * s->n + i];
    }
}

static void backward_block(const system *s, size_t at, size_t n, size_t column, size_t w)
{
    for (size_t i = at + n; i-- > at;) {
        double *row = s->b + i * s->m + column;
        for (size_t j = i + 1; j < at + n; j++) axpy(-s->l[j * s->n + i], s->b + j * s->m + column, row, w);
        for (size_t c = 0; c < w; c++) row[c] /= s->l[i * s->n + i];
    }
}

/* L Y = B, then L' X = Y, for a group of columns. */
static void solve_columns(void *context, size_t task, size_t worker)
{
    (void)worker;
    const system *s = context;
    size_t n = s->n, m = s->m, column = task * COLUMNS_PER_TASK, w = least(COLUMNS_PER_TASK, m - column);
    double *b = s->b + column;
    for (size_t at = 0; at < n; at += NB) {
        size_t rows = least(NB, n - at);
        ndi_gemm_f64(false, false, rows, w, at, -1, s->l + at * n, n, b, m, 1, b + at * m, m);
        forward_block(s, at, rows, column, w);
    }
    for (size_t at = (n - 1) / NB * NB;; at -= NB) {
        size_t rows = least(NB, n - at), below = at + rows;
        ndi_gemm_f64(true, false, rows, w, n - below, -1, s->l + below * n + at, n, b + below * m, m, 1, b + at * m, m);
        backward_block(s, at, rows, column, w);
        if (at == 0) return;
    }
}

void ndi_cholesky_solve(pool *p, const double *l, size_t n, double *b, size_t m)
{
    system s = { l, b, n, m };
    if (n > 0) ndi_pool_run(p, (m + COLUMNS_PER_TASK - 1) / COLUMNS_PER_TASK, solve_columns, &s);
}

/* ---- eigen-decomposition ---- */

/* Divides A by a power of two so that its largest element lies in [1/2, 1): nothing overflows later, no bit is lost. */
static nd_status scale(double *a, size_t n, int *exponent)
{
    double largest = 0;
    for (size_t i = 0; i < n * n; i++) {
        CHECK(isfinite(a[i]), ND_ERR_NUMERIC, "eigen: row %zu, column %zu: got %g, expected a finite number", i / n, i % n, a[i]);
        largest = fmax(largest, fabs(a[i]));
    }
    frexp(largest, exponent);
    for (size_t i = 0; i < n * n; i++) a[i] = ldexp(a[i], -*exponent);
    return ND_OK;
}

/* H = I - v v' with H x = alpha e1, |v|^2 = 2 or v = 0; x becomes v. Returns alpha. */
static double reflector(double *x, size_t n)
{
    double length = sqrt(dot(x, x, n)), first = fabs(x[0]), alpha = copysign(length, -x[0]);
    if (dot(x + 1, x + 1, n - 1) == 0) {
        alpha = x[0];
        memset(x, 0, n * sizeof *x);
        return alpha;
    }
    double factor = 1 / sqrt(length * (length + first));
    x[0] -= alpha;
    for (size_t i = 0; i < n; i++) x[i] *= factor;
    return alpha;
}

/* B = H B H for a symmetric block B of n rows, of which the upper triangle is kept: with p = B v and q = p - (v' p / 2) v that is B - v q' - q v'. */
static void reflect_both_sides(double *b, size_t stride, size_t n, const double *v, double *q)
{
    memset(q, 0, n * sizeof *q);
    for (size_t i = 0; i < n; i++) {
        const double *row = b + i * stride;
        q[i] += dot(row + i, v + i, n - i);
        axpy(v[i], row + i + 1, q + i + 1, n - i - 1);
    }
    axpy(-dot(v, q, n) / 2, v, q, n);
    for (size_t i = 0; i < n; i++) {
        double *restrict row = b + i * stride;
        for (size_t j = i; j < n; j++) row[j] -= v[i] * q[j] + q[i] * v[j];
    }
}

/* A = Q T Q': T's diagonal goes to d, what is beside it to e[0 .. n - 2], the reflectors stay in the rows of A right of its diagonal. */
static void tridiagonalise(double *a, size_t n, double *d, double *e)
{
    for (size_t k = 0; k + 1 < n; k++) {
        double *v = a + k * n + k + 1;
        size_t m = n - k - 1;
        e[k] = reflector(v, m);
        reflect_both_sides(v + n, n, m, v, d); /* d is free until the end */
    }
    for (size_t i = 0; i < n; i++) d[i] = a[i * n + i];
}

/* Replaces A by Q' = ... H_1 H_0, the last reflector first: each changes the rows of the block below it. */
static void accumulate(double *a, size_t n)
{
    a[n * n - 1] = 1;
    for (size_t k = n - 1; k-- > 0;) {
        double *v = a + k * n + k + 1;
        size_t m = n - k - 1;
        for (size_t i = 1; i <= m; i++) {
            double *row = v + i * n;
            axpy(-dot(row, v, m), v, row, m);
            row[-1] = 0;
        }
        memset(v, 0, m * sizeof *v);
        v[-1] = 1;
    }
}

static void rotate_rows(double *restrict x, double *restrict y, size_t n, double c, double s)
{
    for (size_t i = 0; i < n; i++) {
        double t = x[i];
        x[i] = c * t - s * y[i];
        y[i] = s * t + c * y[i];
    }
}

/* One implicit QL step on rows low .. high of T: the rotation that starts a QL step of T - shift I is applied at the bottom and what it puts outside
 * the diagonals is chased upwards. Rows of V (the eigenvectors to be) follow. */
static void ql_step(double *v, size_t n, double *d, double *e, size_t low, size_t high)
{
    double half = (d[low + 1] - d[low]) / 2, shift = d[low] - e[low] * (e[low] / (half + copysign(hypot(half, e[low]), half)));
    double x = d[high] - shift, z = e[high - 1]; /* the rotation turns (z, x) into (0, r) */
    for (size_t k = high; k-- > low;) {
        double r = hypot(x, z), c = r > 0 ? x / r : 1, s = r > 0 ? z / r : 0;
        if (k + 1 < high) e[k + 1] = r;
        double g = s * (d[k] - d[k + 1]) + 2 * c * e[k];
        d[k] -= s * g;
        d[k + 1] += s * g;
        e[k] = c * g - e[k];
        if (k > low) {
            x = e[k];
            z = s * e[k - 1];
            e[k - 1] *= c;
        }
        rotate_rows(v + k * n, v + (k + 1) * n, n, c, s);
    }
}

/* T = V' diag(d) V, V starting from what it holds. What is beside the diagonal counts as zero when it is lost in the rounding of its neighbours, or
 * when all of them together are lost in that of the whole: without the latter, the noise in which a matrix of low rank ends would be worked on
 * without end. */
static nd_status diagonalise(double *v, size_t n, double *d, double *e)
{
    int sweeps = 0;
    double norm = 0;
    for (size_t i = 0; i < n; i++) norm = fmax(norm, fabs(d[i]) + (i + 1 < n ? fabs(e[i]) : 0));
    for (size_t low = 0; low < n;) {
        size_t high = low;
        while (high + 1 < n && fabs(e[high]) > DBL_EPSILON * (fabs(d[high]) + fabs(d[high + 1]) + norm / (double)n)) high++;
        if (high == low) {
            low++;
            sweeps = 0;
            continue;
        }
        CHECK(sweeps++ < MAX_SWEEPS, ND_ERR_NUMERIC, "eigen: eigenvalue %zu of %zu was not found in %d steps", low, n, MAX_SWEEPS);
        ql_step(v, n, d, e, low, high);
    }
    return ND_OK;
}

static void swap(double *a, double *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double t = a[i];
        a[i] = b[i];
        b[i] = t;
    }
}

/* Rows of V by ascending d. */
static void sort_rows(double *v, size_t n, double *d)
{
    for (size_t i = 0; i + 1 < n; i++) {
        size_t smallest = i;
        for (size_t j = i + 1; j < n; j++)
            if (d[j] < d[smallest]) smallest = j;
        if (smallest == i) continue;
        swap(d + i, d + smallest, 1);
        swap(v + i * n, v + smallest * n, n);
    }
}

static void transpose(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) swap(a + i * n + j, a + j * n + i, 1);
}

nd_status ndi_eigen_symmetric(double *a, size_t n, double *w, double *work)
{
    int exponent;
    if (n == 0) return ND_OK;
    TRY(scale(a, n, &exponent));
    tridiagonalise(a, n, w, work);
    accumulate(a, n);
    TRY(diagonalise(a, n, w, work));
    sort_rows(a, n, w);
    transpose(a, n);
    for (size_t i = 0; i < n; i++) w[i] = ldexp(w[i], exponent);
    return ND_OK;
}
