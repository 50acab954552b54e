#include "data/normalise.h"

#include <math.h>
#include <string.h>

#include "neurodecode/dataset.h"

enum { LANES = 8 };

typedef struct moments {
    double pivot, sum, squares; /* of x - pivot */
} moments;

static moments add_lanes(double pivot, const double sum[LANES], const double squares[LANES])
{
    moments m = { pivot, 0, 0 };
    for (int i = 0; i < LANES; i++) {
        m.sum += sum[i];
        m.squares += squares[i];
    }
    return m;
}

/* The loop is the same for both types; whole rounds of eight first so that it vectorises. */
#define DEFINE_MOMENTS(name, type) \
    static moments name(const type *x, size_t n) \
    { \
        double sum[LANES] = { 0 }, squares[LANES] = { 0 }; \
        double pivot = n ? (double)x[0] : 0; \
        size_t i = 0; \
        for (; i + LANES <= n; i += LANES) { \
            for (size_t k = 0; k < LANES; k++) { \
                double d = (double)x[i + k] - pivot; \
                sum[k] += d; \
                squares[k] += d * d; \
            } \
        } \
        for (size_t k = 0; i < n; i++, k++) { \
            double d = (double)x[i] - pivot; \
            sum[k] += d; \
            squares[k] += d * d; \
        } \
        return add_lanes(pivot, sum, squares); \
    }
DEFINE_MOMENTS(moments_f32, float)
DEFINE_MOMENTS(moments_f64, double)

/* Shift and scale of the kind from the moments of n samples. */
static void solve(moments m, size_t n, int32_t kind, double *shift, double *scale)
{
    double mean = m.sum / (double)n; /* of x - pivot */
    double square = kind == ND_NORMALISE_ZSCORE ? m.squares / (double)n - mean * mean : m.squares + m.pivot * (2 * m.sum + (double)n * m.pivot);
    *shift = m.pivot + mean;
    *scale = square > 0 ? 1 / sqrt(square) : 0;
}

void ndi_normalise_f32(float *x, size_t n, int32_t kind)
{
    if (kind == ND_NORMALISE_NONE) return;
    double shift, scale;
    solve(moments_f32(x, n), n, kind, &shift, &scale);
    for (size_t i = 0; i < n; i++) x[i] = (float)(((double)x[i] - shift) * scale);
}

void ndi_normalise_f64(double *x, size_t n, int32_t kind)
{
    if (kind == ND_NORMALISE_NONE) return;
    double shift, scale;
    solve(moments_f64(x, n), n, kind, &shift, &scale);
    for (size_t i = 0; i < n; i++) x[i] = (x[i] - shift) * scale;
}

double ndi_mean_f32(const float *x, size_t n)
{
    moments m = moments_f32(x, n);
    return m.pivot + m.sum / (double)n;
}

/* Without their sign, the bits of numbers up to FLT_MAX are no larger than its own; those of what is beyond, infinite or NaN are: the difference is negative. In whole numbers the loop
 * vectorises, where comparisons of floats, which may trap, do not. */
#define DEFINE_FINITE(name, type, bits, largest, flt_max) \
    bool name(const type *x, size_t n) \
    { \
        bits signs = 0; \
        for (size_t i = 0; i < n; i++) { \
            bits b; \
            memcpy(&b, &x[i], sizeof b); \
            signs |= (flt_max) - (b & (largest)); \
        } \
        return signs >= 0; \
    }
DEFINE_FINITE(ndi_finite_f32, float, int32_t, INT32_MAX, 0x7f7fffff)
DEFINE_FINITE(ndi_finite_f64, double, int64_t, INT64_MAX, 0x47efffffe0000000)

nd_status ndi_normalise_check(int32_t kind)
{
    CHECK(kind >= ND_NORMALISE_NONE && kind <= ND_NORMALISE_REFERENCE, ND_ERR_ARGUMENT,
          "normalise: got %d, expected 0 (none), 1 (z-score) or 2 (reference)", (int)kind);
    return ND_OK;
}
