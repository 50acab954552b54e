/* Picks the kernels for this CPU once, at load. */
#include "math/vec.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "math/codes.h"
#include "math/tile.h"

extern const vec_kernels ndi_vec_baseline;
extern const tile_kernels ndi_tile_baseline;
#if defined(ND_HAVE_AVX2)
extern const vec_kernels ndi_vec_avx2;
extern const tile_kernels ndi_tile_avx2;
#endif
#if defined(ND_HAVE_AVX512)
extern const vec_kernels ndi_vec_avx512;
extern const tile_kernels ndi_tile_avx512;
#endif
#if defined(ND_HAVE_VNNI)
void ndi_codes_product_vnni(const codes *p);
#endif

const vec_kernels *ndi_vec = &ndi_vec_baseline;
const tile_kernels *ndi_tile = &ndi_tile_baseline;
void (*ndi_codes_product)(const codes *p) = NULL;

/* True if the user's limit does not stand below this set. */
static bool allowed(const char *name)
{
    const char *limit = getenv("ND_CPU");
    if (!limit || strcmp(limit, "avx512") == 0) return true;
    return strcmp(limit, name) == 0;
}

__attribute__((constructor)) static void choose(void)
{
    (void)allowed;
#if defined(ND_HAVE_AVX2) || defined(ND_HAVE_AVX512)
    __builtin_cpu_init();
#endif
#if defined(ND_HAVE_AVX2)
    if (allowed("avx2") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        ndi_vec = &ndi_vec_avx2;
        ndi_tile = &ndi_tile_avx2;
    }
#endif
#if defined(ND_HAVE_AVX512)
    if (allowed("avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        ndi_vec = &ndi_vec_avx512;
        ndi_tile = &ndi_tile_avx512;
    }
#endif
#if defined(ND_HAVE_VNNI)
    if (allowed("avx512") && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni")) ndi_codes_product = ndi_codes_product_vnni;
#endif
}

float ndi_softmax(float *x, size_t n)
{
    float top = ndi_vec->max(x, n);
    float sum = ndi_vec->exp_sum(x, top, x, n);
    ndi_vec->scale_shift(1.0f / sum, 0.0f, x, x, n);
    return top + logf(sum);
}

/* Zero times anything finite is zero; a single NaN stays. */
bool ndi_all_finite(const float *x, size_t n)
{
    enum { WIDTH = 16 };
    float s[WIDTH] = { 0 };
    size_t i = 0;
    for (; i + WIDTH <= n; i += WIDTH)
        for (size_t j = 0; j < WIDTH; j++) s[j] += x[i + j] * 0.0f;
    for (; i < n; i++) s[0] += x[i] * 0.0f;
    for (size_t j = 1; j < WIDTH; j++) s[0] += s[j];
    return s[0] == 0.0f;
}

enum { LANES = 8 };

static double add_lanes(const double *s) { return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])); }

double ndi_sum_f64(const float *x, size_t n)
{
    double s[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) s[j] += (double)x[i + j];
    for (size_t j = 0; i < n; i++, j++) s[j] += (double)x[i];
    return add_lanes(s);
}

double ndi_dot_f64(const float *a, const float *b, size_t n)
{
    double s[LANES] = { 0 };
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) s[j] += (double)a[i + j] * (double)b[i + j];
    for (size_t j = 0; i < n; i++, j++) s[j] += (double)a[i] * (double)b[i];
    return add_lanes(s);
}
