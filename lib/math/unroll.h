/* What loops over registers need: to be unrolled whole, in functions that become part of their caller. */
#ifndef NDI_UNROLL_H
#define NDI_UNROLL_H

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#endif
