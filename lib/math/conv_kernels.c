/* Convolution kernels in compiler vectors as wide as the instruction set's registers; compiled once per instruction set as vec_kernels.c is. */
#include "math/conv_kernels.h"

#include "math/isa.h"

enum { VECTORS = NDI_TILE / LANES < 8 ? NDI_TILE / LANES : 4, STEP = VECTORS * LANES };

/* s[v] += sum_{t < n} a[t] (LANES samples of b from t + v LANES on). The t = p, p + LANES, ... of one phase p see the same vectors of b, each shifted by one: a vector that is loaded
 * once serves every v. */
static inline void slide(const float *a, const float *b, size_t n, vec s[VECTORS])
{
    for (size_t p = 0; p < LANES && p < n; p++) {
        vec x[VECTORS];
        for (size_t v = 0; v + 1 < VECTORS; v++) x[v + 1] = load(b + p + v * LANES);
        for (size_t t = p; t < n; t += LANES) {
            for (size_t v = 0; v + 1 < VECTORS; v++) x[v] = x[v + 1];
            x[VECTORS - 1] = load(b + t + (VECTORS - 1) * LANES);
            vec at = splat(a[t]);
            for (size_t v = 0; v < VECTORS; v++) s[v] += at * x[v];
        }
    }
}

static void fir_tile(const float *x, const float *w, size_t K, float shift, float *y)
{
    vec s[VECTORS];
    for (size_t v = 0; v < VECTORS; v++) s[v] = splat(shift);
    slide(w, x, K, s);
    for (size_t v = 0; v < VECTORS; v++) store(y + v * LANES, s[v]);
}

static void fir(const float *x, const float *w, size_t K, float shift, float *y, size_t n)
{
    for (size_t t = 0; t < n; t += STEP) fir_tile(x + t, w, K, shift, y + t);
}

static void correlate_tile(const float *a, const float *b, size_t n, float *r)
{
    vec s[VECTORS];
    for (size_t v = 0; v < VECTORS; v++) s[v] = load(r + v * LANES);
    slide(a, b, n, s);
    for (size_t v = 0; v < VECTORS; v++) store(r + v * LANES, s[v]);
}

static void correlate(const float *a, const float *b, size_t n, size_t K, float *r)
{
    for (size_t k = 0; k < K; k += STEP) correlate_tile(a, b + k, n, r + k);
}

const conv_kernels ISA_NAME(ndi_conv_) = { fir, correlate };
