/* Kernels of recurrent layers in compiler vectors; compiled once per instruction set. */
#include <stdint.h>

#include "math/conv_kernels.h"
#include "math/isa.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

typedef int32_t whole __attribute__((vector_size(4 * LANES)));

/* t kept within +-most; what is not a number stays as it is. */
static inline vec within(vec most, vec t)
{
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)-most, _mm512_min_ps((__m512)most, (__m512)t));
#elif defined(__AVX__)
    return (vec)_mm256_max_ps((__m256)-most, _mm256_min_ps((__m256)most, (__m256)t));
#elif defined(__SSE__)
    return (vec)_mm_max_ps((__m128)-most, _mm_min_ps((__m128)most, (__m128)t));
#else
    whole above = t > most, below = t < -most;
    return (vec)((above & (whole)most) | (below & (whole)-most) | (~(above | below) & (whole)t));
#endif
}

/* 1 + 2^t, t within +-62, where the product of two stays finite: 2^t = 2^n 2^f with n whole and |f| <= 1/2, the latter by a polynomial. */
static inline vec one_and_power(vec t)
{
    const vec magic = splat(12582912.0f) /* 1.5 * 2^23: adding it rounds to a whole number */;
    t = within(splat(62), t);
    vec n = t + magic, f = t - (n - magic), p = splat(1.32647308e-3f);
    p = p * f + splat(9.67151299e-3f);
    p = p * f + splat(5.55073358e-2f);
    p = p * f + splat(2.40222424e-1f);
    p = p * f + splat(6.93147004e-1f);
    p = p * f + splat(1.0f);
    return splat(1) + p * (vec)(((whole)n << 23) + (127 << 23));
}

/* a, b <- 1 / a, 1 / b by one division. */
static inline void reciprocals(vec *a, vec *b)
{
    vec both = splat(1) / (*a * *b), first = *b * both;
    *b = *a * both;
    *a = first;
}

static const float log2_e = 1.44269504f;

/* sigmoid(x) = 1 / (1 + e^-x), tanh(x) = 2 / (1 + e^-2x) - 1 */
static inline vec below_sigmoid(vec x) { return one_and_power(splat(-log2_e) * x); }
static inline vec below_tangent(vec x) { return one_and_power(splat(-2 * log2_e) * x); }
static inline vec tangent(vec x) { return splat(2) / below_tangent(x) - splat(1); }

static void lstm_forward(float *gates, size_t H, const float *c_before, float *c, float *h)
{
    for (size_t k = 0; k < H; k += LANES, gates += LANES) {
        vec i = below_sigmoid(load(gates)), f = below_sigmoid(load(gates + H)), g = below_tangent(load(gates + 2 * H)),
            o = below_sigmoid(load(gates + 3 * H));
        reciprocals(&i, &f);
        reciprocals(&g, &o);
        g = splat(2) * g - splat(1);
        vec state = i * g + f * load(c_before + k);
        store(gates, i);
        store(gates + H, f);
        store(gates + 2 * H, g);
        store(gates + 3 * H, o);
        store(c + k, state);
        store(h + k, o * tangent(state));
    }
}

static void lstm_backward(float *gates, size_t H, const float *c_before, const float *c, const float *dh, float *dc)
{
    const vec one = splat(1);
    for (size_t k = 0; k < H; k += LANES, gates += LANES) {
        vec i = load(gates), f = load(gates + H), g = load(gates + 2 * H), o = load(gates + 3 * H), t = tangent(load(c + k));
        vec d = load(dh + k), e = load(dc + k) + d * o * (one - t * t);
        store(dc + k, e * f);
        store(gates, e * g * i * (one - i));
        store(gates + H, e * load(c_before + k) * f * (one - f));
        store(gates + 2 * H, e * i * (one - g * g));
        store(gates + 3 * H, d * t * o * (one - o));
    }
}

const gate_kernels ISA_NAME(ndi_gate_) = { lstm_forward, lstm_backward };
