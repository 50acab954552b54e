/* Discrete Fourier transforms of many columns side by side, in place, in compiler vectors; compiled once per instruction set. Forward by steps of decimation in frequency, which leave the
 * frequencies in another order; backward by the same steps the other way around, which put it right. So few columns are transformed together that 320 samples stay in the first cache: wider
 * vectors would wait for the second. */
#define ISA_HALF
#include "math/butterflies.h"
#include "math/conv_kernels.h"

#include <stddef.h>

enum { ROW = NDI_PAIR_ROW, IMAGINARY = NDI_PAIRS };

INLINE cvec get(const float *z) { return (cvec){ load(z), load(z + IMAGINARY) }; }

INLINE void put(float *z, cvec v)
{
    store(z, v.re);
    store(z + IMAGINARY, v.im);
}

/* A transform with real and imaginary parts in each other's place, before and behind, is one backward. */
INLINE cvec swapped(cvec v) { return (cvec){ v.im, v.re }; }

typedef enum way { FORWARD, BACKWARD, POWER } way;

INLINE cvec twiddled(cvec v, const float *root) { return turned(v, splat(root[0]), splat(root[1])); }

/* One step: between each block of n numbers and `radix` blocks. */
INLINE void step(size_t radix, way w, float *z, size_t n, size_t N, const float *roots)
{
    const size_t parts = n / radix, apart = parts * ROW;
    for (size_t p = 0; p < parts; p++)
        for (float *at = z + p * ROW; at < z + N * ROW; at += n * ROW) {
            cvec v[MOST_RADIX];
            for (size_t j = 0; j < radix; j++) v[j] = w == BACKWARD ? swapped(get(at + j * apart)) : get(at + j * apart);
            for (size_t j = 1; j < radix && p > 0 && w == BACKWARD; j++) v[j] = twiddled(v[j], roots + 2 * (p * j * (N / n)));
            butterfly(radix, v);
            for (size_t j = 1; j < radix && p > 0 && w != BACKWARD; j++) v[j] = twiddled(v[j], roots + 2 * (p * j * (N / n)));
            for (size_t j = 0; j < radix; j++) put(at + j * apart, w == BACKWARD ? swapped(v[j]) : v[j]);
        }
}

/* The last step forward, to powers. */
INLINE void finish(size_t radix, const float *z, size_t N, float *to)
{
    for (size_t k = 0; k < N; k += radix, z += radix * ROW, to += radix * NDI_PAIRS) {
        cvec v[MOST_RADIX];
        for (size_t j = 0; j < radix; j++) v[j] = get(z + j * ROW);
        butterfly(radix, v);
        for (size_t j = 0; j < radix; j++) store(to + j * NDI_PAIRS, load(to + j * NDI_PAIRS) + v[j].re * v[j].re + v[j].im * v[j].im);
    }
}

#define RADIX(radix) \
    static void step##radix(way w, float *z, size_t n, size_t N, const float *roots, float *to) \
    { \
        if (w == BACKWARD) \
            step(radix, BACKWARD, z, n, N, roots); \
        else if (w == POWER && n == radix) \
            finish(radix, z, N, to); \
        else \
            step(radix, FORWARD, z, n, N, roots); \
    }
RADIX(2)
RADIX(3)
RADIX(4)
RADIX(5)
RADIX(8)

static void step_of(size_t radix, way w, float *z, size_t n, size_t N, const float *roots, float *to)
{
    (radix == 8 ? step8 : radix == 4 ? step4 : radix == 2 ? step2 : radix == 3 ? step3 : step5)(w, z, n, N, roots, to);
}

static void forward_or_power(way w, float *z, size_t N, const float *roots, float *to)
{
    for (size_t v = 0; v < NDI_PAIRS; v += LANES)
        for (size_t n = N; n > 1; n /= ndi_radix(n)) step_of(ndi_radix(n), w, z + v, n, N, roots, w == POWER ? to + v : NULL);
}

static void forward(float *z, size_t N, const float *roots) { forward_or_power(FORWARD, z, N, roots, NULL); }
static void power(float *z, size_t N, const float *roots, float *to) { forward_or_power(POWER, z, N, roots, to); }

enum { MOST_STEPS = 64 };

static void backward(float *z, size_t N, const float *roots)
{
    size_t sizes[MOST_STEPS], steps = 0;
    for (size_t n = N; n > 1; n /= ndi_radix(n)) sizes[steps++] = n;
    for (size_t v = 0; v < NDI_PAIRS; v += LANES)
        for (size_t i = steps; i-- > 0;) step_of(ndi_radix(sizes[i]), BACKWARD, z + v, sizes[i], N, roots, NULL);
}

INLINE cvec product(cvec a, cvec b) { return (cvec){ a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re }; }
INLINE cvec conjugate(cvec a) { return (cvec){ a.re, -a.im }; }

static void multiply(const float *a, const float *b, size_t n, float *to)
{
    for (size_t v = 0; v < NDI_PAIRS; v += LANES)
        for (size_t i = v; i < n * ROW; i += ROW) put(to + i, product(get(a + i), get(b + i)));
}

static void multiply_conj(const float *a, const float *b, size_t n, float *to)
{
    for (size_t v = 0; v < NDI_PAIRS; v += LANES)
        for (size_t i = v; i < n * ROW; i += ROW) put(to + i, product(conjugate(get(a + i)), get(b + i)));
}

static void add_conj(const float *a, const float *b, size_t n, float *to)
{
    for (size_t v = 0; v < NDI_PAIRS; v += LANES)
        for (size_t i = v; i < n * ROW; i += ROW) put(to + i, add(get(to + i), product(conjugate(get(a + i)), get(b + i))));
}

const dft_kernels ISA_NAME(ndi_dft_) = { forward, backward, power, multiply, multiply_conj, add_conj };
