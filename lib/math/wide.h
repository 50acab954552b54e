/* Numbers in double as wide as the registers of the instruction set a file is compiled for, and floats made into them. */
#ifndef NDI_WIDE_H
#define NDI_WIDE_H

#include <string.h>

#include "math/unroll.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { IN_WIDE = 8 };
#elif defined(__AVX__)
enum { IN_WIDE = 4 };
#else
enum { IN_WIDE = 2 };
#endif

typedef double wide __attribute__((vector_size(8 * IN_WIDE)));
typedef float narrow __attribute__((vector_size(4 * IN_WIDE))); /* as many floats as `wide` has doubles */

INLINE narrow load_narrow(const float *x)
{
    narrow v;
    memcpy(&v, x, sizeof v);
    return v;
}

/* Compilers convert vectors number by number, or in halves. */
INLINE wide load_wide(const float *x)
{
#if defined(__AVX512F__)
    return (wide)_mm512_cvtps_pd(_mm256_loadu_ps(x));
#elif defined(__AVX__)
    return (wide)_mm256_cvtps_pd(_mm_loadu_ps(x));
#elif defined(__SSE2__)
    const narrow v = load_narrow(x);
    return (wide)_mm_cvtps_pd((__m128){ v[0], v[1] });
#else
    return __builtin_convertvector(load_narrow(x), wide);
#endif
}

#endif
