/* Slow drifts: from each channel's series of trials the least-squares polynomial is subtracted, by way of polynomials that are orthonormal over the
 * trials: x - sum over k of q_k (q_k . x). */
#include <math.h>
#include <string.h>

#include "data/series.h"

enum { MAX_DEGREE = 10 };

typedef struct detrend {
    size_t n_terms, largest; /* trials of the largest group */
} detrend;

static double dot(const double *a, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* Orthonormal polynomials of degree 0, 1, ... at n equal steps from -1 to 1, each `n` long. Each comes from t times the one before it, made
 * orthogonal twice, which is enough against rounding. */
static void make_basis(double *q, size_t n_terms, size_t n)
{
    for (size_t k = 0; k < n_terms; k++) {
        double *p = q + k * n;
        for (size_t i = 0; i < n; i++) p[i] = k ? p[i - n] * (2 * (double)i / (double)(n - 1) - 1) : 1;
        for (size_t pass = 0; pass < 2; pass++)
            for (size_t m = 0; m < k; m++) {
                const double c = dot(p, q + m * n, n);
                for (size_t i = 0; i < n; i++) p[i] -= c * q[m * n + i];
            }
        const double norm = sqrt(dot(p, p, n));
        for (size_t i = 0; i < n; i++) p[i] /= norm;
    }
}

static void change(const void *context, const series_block *b, double *scratch)
{
    const detrend *o = context;
    double *q = scratch, *fit = scratch + o->n_terms * o->largest; /* fit: terms x columns */
    make_basis(q, o->n_terms, b->n_trials);
    memset(fit, 0, o->n_terms * b->n_columns * sizeof *fit);
    for (size_t i = 0; i < b->n_trials; i++) {
        const float *x = b->x + b->trials[i] * b->stride;
        for (size_t k = 0; k < o->n_terms; k++)
            for (size_t c = 0; c < b->n_columns; c++) fit[k * b->n_columns + c] += q[k * b->n_trials + i] * (double)x[c];
    }
    for (size_t i = 0; i < b->n_trials; i++) {
        float *x = b->x + b->trials[i] * b->stride;
        for (size_t c = 0; c < b->n_columns; c++) {
            double drift = 0;
            for (size_t k = 0; k < o->n_terms; k++) drift += q[k * b->n_trials + i] * fit[k * b->n_columns + c];
            x[c] = (float)((double)x[c] - drift);
        }
    }
}

nd_status ndi_dataset_detrend(nd_dataset **d, const nd_dataset *source, int32_t degree, const char *group)
{
    series s = { 0 };
    nd_status status;
    CHECK(degree >= 0 && degree <= MAX_DEGREE, ND_ERR_ARGUMENT, "detrend: degree %d, expected 0 to %d", (int)degree, MAX_DEGREE);
    GO(ndi_series_open(&s, source, group));
    const detrend o = { (size_t)degree + 1, s.largest };
    for (size_t g = 0; g < s.n_groups; g++)
        if (s.begin[g + 1] - s.begin[g] <= o.n_terms)
            GO(ndi_fail(ND_ERR_ARGUMENT, "detrend: group %zu (%s) has %zu trials, expected more than %zu for degree %d", g, group ? group : "all",
                        s.begin[g + 1] - s.begin[g], o.n_terms, (int)degree));
    GO(ndi_series_change(&s, change, &o, o.n_terms * (s.largest + NDI_SERIES_COLUMNS)));
    *d = s.d;
    s.d = NULL;
done:
    ndi_series_close(&s);
    return status;
}
