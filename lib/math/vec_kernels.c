/* The element-wise kernels in plain C, compiled once per instruction set: ND_ISA is the name ("baseline", "avx2", "avx512"). The compiler vectorises the loops; nothing here depends on the
 * width, so every set gives the same bits.
 *
 * exp: x = n ln 2 + r with |r| <= ln 2 / 2, polynomial of degree 6 in r (the Taylor series, last coefficients adjusted for the interval), scaled by 2^n in two halves.
 * erf: Abramowitz and Stegun 7.1.26, absolute error 1.5e-7. */
#include "math/vec.h"

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "math/wide.h"

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

enum { LANES = 32, WIDE_LANES = 16, WIDES = WIDE_LANES / IN_WIDE };

static inline float from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline float exp1(float x)
{
    const float lowest = -87.33654f, highest = 88.72283f;
    float c = x > lowest ? x : lowest; /* a NaN too */
    c = c < highest ? c : highest;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    float n = (c * 1.44269504f + magic) - magic;
    float r = (c - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * (r * r) + r) + 1.0f;
    int32_t whole = (int32_t)n, half = whole / 2;
    float y = p * from_bits((uint32_t)(half + 127) << 23) * from_bits((uint32_t)(whole - half + 127) << 23);
    y = x < lowest ? 0.0f : y;
    y = x > highest ? INFINITY : y;
    return x == x ? y : x;
}

/* Phi(x), the normal distribution function, and e = exp(-x^2 / 2). */
static inline float phi_cdf(float x, float *e)
{
    float a = x < 0 ? -x : x;
    float t = 1.0f / (1.0f + (0.3275911f * 0.70710678f) * a);
    *e = exp1(-0.5f * (a * a));
    float p = ((((1.061405429f * t - 1.453152027f) * t + 1.421413741f) * t - 0.284496736f) * t + 0.254829592f) * t;
    float tail = 0.5f * (p * *e);
    return x < 0 ? tail : 1.0f - tail;
}

static void k_exp(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = exp1(x[i]);
}

static void k_elu(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float e = exp1(x[i] > 0 ? 0.0f : x[i]) - 1.0f;
        y[i] = x[i] > 0 ? x[i] : e;
    }
}

static void k_gelu(const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float e;
        y[i] = x[i] * phi_cdf(x[i], &e);
    }
}

static void k_gelu_grad(const float *x, const float *dy, float *dx, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float e, p = phi_cdf(x[i], &e);
        dx[i] = dy[i] * (p + x[i] * (e * 0.39894228f));
    }
}

static float add_lanes(float *s)
{
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) s[j] += s[j + width];
    return s[0];
}

static double add_wide_lanes(double *s)
{
    for (size_t width = WIDE_LANES / 2; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) s[j] += s[j + width];
    return s[0];
}

static float k_dot(const float *a, const float *b, size_t n)
{
    float s[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) s[j] += a[i + j] * b[i + j];
    for (size_t j = 0; i < n; i++, j++) s[j] += a[i] * b[i];
    return add_lanes(s);
}

/* The lanes in registers: compilers make single numbers of arrays of sums. */
static void k_sum_dot(const float *a, const float *b, size_t n, double *sums)
{
    wide sum[WIDES] = { 0 }, along[WIDES] = { 0 };
    double s[WIDE_LANES], d[WIDE_LANES];
    size_t i = 0;
    for (; i + WIDE_LANES <= n; i += WIDE_LANES) UNROLL for (size_t v = 0; v < WIDES; v++)
        {
            const wide x = load_wide(a + i + v * IN_WIDE);
            sum[v] += x;
            along[v] += x * load_wide(b + i + v * IN_WIDE);
        }
    memcpy(s, sum, sizeof s);
    memcpy(d, along, sizeof d);
    for (size_t j = 0; i < n; i++, j++) {
        s[j] += (double)a[i];
        d[j] += (double)a[i] * (double)b[i];
    }
    sums[0] += add_wide_lanes(s);
    sums[1] += add_wide_lanes(d);
}

static float k_sum(const float *x, size_t n)
{
    float s[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) s[j] += x[i + j];
    for (size_t j = 0; i < n; i++, j++) s[j] += x[i];
    return add_lanes(s);
}

static float k_max(const float *x, size_t n)
{
    float m[LANES];
    size_t i = 0;
    for (size_t j = 0; j < LANES; j++) m[j] = x[0];
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) m[j] = x[i + j] > m[j] ? x[i + j] : m[j];
    for (; i < n; i++) m[0] = x[i] > m[0] ? x[i] : m[0];
    for (size_t width = LANES / 2; width > 0; width /= 2)
        for (size_t j = 0; j < width; j++) m[j] = m[j + width] > m[j] ? m[j + width] : m[j];
    return m[0];
}

static void k_axpy(float alpha, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += alpha * x[i];
}

static void k_scale_shift(float a, float b, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = a * x[i] + b;
}

static float k_exp_sum(const float *x, float shift, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = exp1(x[i] - shift);
    return k_sum(y, n);
}

static double mean_of(const float *x, size_t n)
{
    double s[WIDE_LANES] = { 0 };
    size_t i = 0;
    for (; i + WIDE_LANES <= n; i += WIDE_LANES)
        for (size_t j = 0; j < WIDE_LANES; j++) s[j] += (double)x[i + j];
    for (size_t j = 0; i < n; i++, j++) s[j] += (double)x[i];
    return add_wide_lanes(s) / (double)n;
}

static double variance_of(const float *x, size_t n, double mean)
{
    double s[WIDE_LANES] = { 0 };
    size_t i = 0;
    for (; i + WIDE_LANES <= n; i += WIDE_LANES)
        for (size_t j = 0; j < WIDE_LANES; j++) s[j] += ((double)x[i + j] - mean) * ((double)x[i + j] - mean);
    for (size_t j = 0; i < n; i++, j++) s[j] += ((double)x[i] - mean) * ((double)x[i] - mean);
    return add_wide_lanes(s) / (double)n;
}

static void k_layer_norm(const float *x, size_t n, const float *w, const float *b, double eps, float saved[2], float *y)
{
    const double mean = mean_of(x, n);
    const float mu = saved[0] = (float)mean, rstd = saved[1] = (float)(1 / sqrt(variance_of(x, n, mean) + eps));
    for (size_t i = 0; i < n; i++) y[i] = (x[i] - mu) * rstd * w[i] + b[i];
}

static void k_layer_norm_grad(const float *x, size_t n, const float *w, const float saved[2], const float *dy, float *restrict dw, float *restrict db,
                              float *dx)
{
    const float mu = saved[0], rstd = saved[1];
    double s[WIDE_LANES] = { 0 }, along[WIDE_LANES] = { 0 };
    for (size_t i = 0; i < n; i++) {
        dw[i] += dy[i] * ((x[i] - mu) * rstd);
        db[i] += dy[i];
    }
    if (!dx) return;
    size_t i = 0;
    for (; i + WIDE_LANES <= n; i += WIDE_LANES)
        for (size_t j = 0; j < WIDE_LANES; j++) {
            const double g = (double)(dy[i + j] * w[i + j]);
            s[j] += g;
            along[j] += g * (double)((x[i + j] - mu) * rstd);
        }
    for (size_t j = 0; i < n; i++, j++) {
        const double g = (double)(dy[i] * w[i]);
        s[j] += g;
        along[j] += g * (double)((x[i] - mu) * rstd);
    }
    const float a = (float)(add_wide_lanes(s) / (double)n), b = (float)(add_wide_lanes(along) / (double)n);
    for (i = 0; i < n; i++) dx[i] = rstd * (dy[i] * w[i] - a - (x[i] - mu) * rstd * b);
}

static void k_add_rows(const float *x, size_t rows, size_t stride, size_t n, double *restrict sums)
{
    for (size_t r = 0; r < rows; r++, x += stride)
        for (size_t k = 0; k < n; k++) sums[k] += (double)x[k];
}

/* a, b <- a + w b, a - w b in each lane. */
static inline void butterfly(double *restrict a, double *restrict b, double re, double im)
{
    for (size_t l = 0; l < NDI_LANES; l++) {
        const double t = re * b[l] - im * b[NDI_LANES + l], u = im * b[l] + re * b[NDI_LANES + l];
        b[l] = a[l] - t;
        b[NDI_LANES + l] = a[NDI_LANES + l] - u;
        a[l] += t;
        a[NDI_LANES + l] += u;
    }
}

static void k_fft_one(double *x, size_t n, size_t half, size_t m, const double *roots)
{
    const size_t step = 2 * NDI_LANES, stride = m / (2 * half);
    for (size_t from = 0; from < n; from += 2 * half)
        for (size_t k = 0; k < half; k++) {
            double *a = x + (from + k) * step;
            butterfly(a, a + half * step, roots[2 * k * stride], roots[2 * k * stride + 1]);
        }
}

/* Both levels on four elements while they are in registers; the second level's other root is -i times the first one. */
static inline void two_levels(double *restrict a, double *restrict b, double *restrict c, double *restrict d, const double *v, const double *w)
{
    enum { L = NDI_LANES };
    for (size_t l = 0; l < L; l++) {
        const double br = v[0] * b[l] - v[1] * b[L + l], bi = v[1] * b[l] + v[0] * b[L + l];
        const double dr = v[0] * d[l] - v[1] * d[L + l], di = v[1] * d[l] + v[0] * d[L + l];
        const double pr = a[l] + br, pi = a[L + l] + bi, qr = a[l] - br, qi = a[L + l] - bi;
        const double sr = c[l] + dr, si = c[L + l] + di, tr = c[l] - dr, ti = c[L + l] - di;
        const double xr = w[0] * sr - w[1] * si, xi = w[1] * sr + w[0] * si;
        const double yr = w[1] * tr + w[0] * ti, yi = w[1] * ti - w[0] * tr;
        a[l] = pr + xr;
        a[L + l] = pi + xi;
        c[l] = pr - xr;
        c[L + l] = pi - xi;
        b[l] = qr + yr;
        b[L + l] = qi + yi;
        d[l] = qr - yr;
        d[L + l] = qi - yi;
    }
}

static void k_fft_two(double *x, size_t n, size_t half, size_t m, const double *roots)
{
    const size_t step = 2 * NDI_LANES, stride = m / (4 * half);
    for (size_t from = 0; from < n; from += 4 * half)
        for (size_t k = 0; k < half; k++) {
            double *a = x + (from + k) * step, *b = a + half * step, *c = b + half * step, *d = c + half * step;
            two_levels(a, b, c, d, roots + 4 * k * stride, roots + 2 * k * stride);
        }
}

static void k_adam(const vec_adam *a, const float *restrict g, float *restrict p, float *restrict m, float *restrict v, size_t n)
{
    const vec_adam j = *a;
    for (size_t i = 0; i < n; i++) {
        const float x = j.scale * g[i] + j.coupled * p[i];
        m[i] = j.beta1 * m[i] + j.rest1 * x;
        v[i] = j.beta2 * v[i] + j.rest2 * (x * x);
        p[i] = p[i] * j.decay - j.step_size * m[i] / (sqrtf(v[i]) * j.root_scale + j.epsilon);
    }
}

static void k_sgd(const vec_sgd *s, const float *restrict g, float *restrict p, float *restrict v, size_t n)
{
    const vec_sgd j = *s;
    for (size_t i = 0; i < n; i++) {
        const float x = j.scale * g[i] + j.coupled * p[i];
        v[i] = j.momentum * v[i] + x;
        p[i] -= j.along * v[i] + j.ahead * x;
    }
}

extern void PASTE(ndi_mask_, ND_ISA)(const vec_mask *m, const float *x, float *y, size_t n);
extern const conv_kernels PASTE(ndi_conv_, ND_ISA);
extern const fft_kernels PASTE(ndi_fft_, ND_ISA);
extern const gate_kernels PASTE(ndi_gate_, ND_ISA);
extern const dft_kernels PASTE(ndi_dft_, ND_ISA);

const vec_kernels PASTE(ndi_vec_, ND_ISA) = {
    .name = TEXT(ND_ISA),
    .exp = k_exp,
    .elu = k_elu,
    .gelu = k_gelu,
    .gelu_grad = k_gelu_grad,
    .layer_norm = k_layer_norm,
    .layer_norm_grad = k_layer_norm_grad,
    .add_rows = k_add_rows,
    .dot = k_dot,
    .sum = k_sum,
    .sum_dot = k_sum_dot,
    .max = k_max,
    .axpy = k_axpy,
    .scale_shift = k_scale_shift,
    .fft_one = k_fft_one,
    .fft_two = k_fft_two,
    .exp_sum = k_exp_sum,
    .adam = k_adam,
    .sgd = k_sgd,
    .mask = PASTE(ndi_mask_, ND_ISA),
    .conv = &PASTE(ndi_conv_, ND_ISA),
    .fft = &PASTE(ndi_fft_, ND_ISA),
    .gate = &PASTE(ndi_gate_, ND_ISA),
    .dft = &PASTE(ndi_dft_, ND_ISA),
};
