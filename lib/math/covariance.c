#include "math/covariance.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "math/gemm.h"
#include "math/linalg.h"

enum { LANES = 8 };

static double add_lanes(const double *s) { return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])); }

static double sum(const double *x, size_t n)
{
    double s[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) s[j] += x[i + j];
    for (size_t j = 0; i < n; i++, j++) s[j] += x[i];
    return add_lanes(s);
}

static double sum_squares(const double *x, size_t n)
{
    double s[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) s[j] += x[i + j] * x[i + j];
    for (size_t j = 0; i < n; i++, j++) s[j] += x[i] * x[i];
    return add_lanes(s);
}

/* Mean 0 and, unless all are the same, deviation 1. Returns the deviation; adds the squares to `lengths`. */
static double standardise(double *x, size_t n, double *lengths)
{
    const double mean = sum(x, n) / (double)n;
    for (size_t t = 0; t < n; t++) x[t] -= mean;
    const double sd = sqrt(sum_squares(x, n) / (double)n), scale = sd > 0 ? 1 / sd : 1;
    for (size_t t = 0; t < n; t++) {
        x[t] *= scale;
        lengths[t] += x[t] * x[t];
    }
    return sd;
}

size_t ndi_shrunk_scratch(size_t p, size_t n) { return p * p + p + n; }

void ndi_shrunk_covariance(double *z, size_t p, size_t n, double weight, double *total, double *scratch)
{
    double *g = scratch, *sd = g + p * p, *lengths = sd + p, trace = 0;
    memset(lengths, 0, n * sizeof *lengths);
    for (size_t i = 0; i < p; i++) sd[i] = standardise(z + i * n, n, lengths);
    ndi_gemm_f64(false, true, p, p, n, 1 / (double)n, z, n, z, n, 0, g, p);
    for (size_t i = 0; i < p; i++) trace += g[i * p + i];
    const double square = sum_squares(g, p * p), fourth = sum_squares(lengths, n);
    const double m = trace / (double)p, d = (square - 2 * m * trace + (double)p * m * m) / (double)p;
    const double b = fmin((fourth / (double)n - square) / ((double)p * (double)n), d), a = b > 0 && d > 0 ? b / d : 0;
    for (size_t i = 0; i < p; i++) {
        const double row = weight * sd[i] * (1 - a);
        for (size_t j = 0; j < p; j++) total[i * p + j] += row * sd[j] * g[i * p + j];
        total[i * p + i] += weight * sd[i] * sd[i] * a * m;
    }
}

static nd_status invert_root(double *a, size_t p, double *v, double *w)
{
    memcpy(v, a, p * p * sizeof *v);
    TRY(ndi_eigen_symmetric(v, p, w, w + p));
    for (size_t k = 0; k < p; k++)
        CHECK(w[k] > 1e-14 * w[p - 1], ND_ERR_NUMERIC, "whiten: the covariance is singular (smallest eigenvalue %g, largest %g)", w[0], w[p - 1]);
    for (size_t i = 0; i < p; i++)
        for (size_t k = 0; k < p; k++) a[i * p + k] = v[i * p + k] / sqrt(sqrt(w[k]));
    memcpy(v, a, p * p * sizeof *v);
    ndi_gemm_f64(false, true, p, p, p, 1, v, p, v, p, 0, a, p);
    return ND_OK;
}

nd_status ndi_inverse_root(double *a, size_t p)
{
    double *v = NULL, *w = NULL;
    nd_status status;
    GO(NEW(v, p * p));
    GO(NEW(w, 2 * p));
    GO(invert_root(a, p, v, w));
done:
    ndi_free(v);
    ndi_free(w);
    return status;
}
