/* bfloat16: the upper half of a float, 8 bits of precision over the same range. */
#ifndef NDI_BF16_H
#define NDI_BF16_H

#include <stdint.h>
#include <string.h>

static inline float ndi_bf16_value(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The nearest one, of two as near the even one; a finite number stays finite. */
static inline uint16_t ndi_bf16_nearest(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16, overflows = (rounded & 0x7fff) == 0x7f80 && (bits & 0x7f800000) != 0x7f800000;
    return (uint16_t)(rounded - overflows);
}

#endif
