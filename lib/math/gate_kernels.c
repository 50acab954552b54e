/* Kernels of recurrent layers in compiler vectors; compiled once per instruction set. exp as in vec_kernels.c. */
#include <stdint.h>

#include "math/conv_kernels.h"
#include "math/isa.h"

typedef int32_t whole __attribute__((vector_size(4 * LANES)));

/* x >= -87 and <= 87 */
static inline vec exponential(vec x)
{
    vec magic = splat(12582912.0f), n = (x * splat(1.44269504f) + magic) - magic;
    vec r = (x - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f), p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = (p * (r * r) + r) + splat(1);
    return p * (vec)((__builtin_convertvector(n, whole) + 127) << 23);
}

static inline vec choose(whole mask, vec a, vec b) { return (vec)((mask & (whole)a) | (~mask & (whole)b)); }

/* Leaves what is not a number as it is. */
static inline vec limited(vec x, float limit)
{
    vec most = splat(limit);
    x = choose(x > most, most, x);
    return choose(x < -most, -most, x);
}

static inline vec sigmoid(vec x) { return splat(1) / (splat(1) + exponential(limited(-x, 87))); }
static inline vec tangent(vec x) { return splat(2) / (splat(1) + exponential(limited(splat(-2) * x, 87))) - splat(1); }

static void lstm_forward(float *gates, size_t H, const float *c_before, float *c, float *h)
{
    for (size_t k = 0; k < H; k += LANES, gates += LANES) {
        vec i = sigmoid(load(gates)), f = sigmoid(load(gates + H)), g = tangent(load(gates + 2 * H)), o = sigmoid(load(gates + 3 * H));
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
