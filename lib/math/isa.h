/* Compiler vectors as wide as the registers of the instruction set a file is compiled for; for kernels that are compiled once per set, of the name ND_ISA. With ISA_HALF
 * at most half of the widest. */
#ifndef NDI_ISA_H
#define NDI_ISA_H

#include <string.h>

#define ISA_PASTE_(a, b) a##b
#define ISA_PASTE(a, b) ISA_PASTE_(a, b)
#define ISA_NAME(prefix) ISA_PASTE(prefix, ND_ISA)

#if defined(__AVX512F__) && !defined(ISA_HALF)
enum { LANES = 16 };
#elif defined(__AVX__)
enum { LANES = 8 };
#else
enum { LANES = 4 };
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));

static inline vec load(const float *x)
{
    vec v;
    memcpy(&v, x, sizeof v);
    return v;
}

static inline void store(float *y, vec v) { memcpy(y, &v, sizeof v); }

static inline vec splat(float x) { return x - (vec){ 0 }; }

#endif
