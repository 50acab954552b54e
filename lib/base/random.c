#include "base/random.h"

#include <math.h>

void ndi_philox(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t index, uint32_t words[4])
{
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = step, c3 = purpose;
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    words[0] = c0;
    words[1] = c1;
    words[2] = c2;
    words[3] = c3;
}

static double unit(uint32_t high, uint32_t low) { return (double)(((uint64_t)high << 32 | low) >> 11) * 0x1p-53; }

double ndi_uniform(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t index)
{
    uint32_t w[4];
    ndi_philox(seed, purpose, step, index, w);
    return unit(w[0], w[1]);
}

uint64_t ndi_below(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t index, uint64_t n)
{
    uint32_t w[4];
    ndi_philox(seed, purpose, step, index, w);
    uint64_t r = (uint64_t)w[0] << 32 | w[1]; /* multiply-shift: bias below n / 2^64 */
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)(((wide)r * n) >> 64);
}

void ndi_normal2(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t index, double pair[2])
{
    uint32_t w[4];
    ndi_philox(seed, purpose, step, index, w);
    double radius = sqrt(-2 * log(1 - unit(w[0], w[1]))), angle = 6.283185307179586 * unit(w[2], w[3]);
    pair[0] = radius * cos(angle);
    pair[1] = radius * sin(angle);
}

void ndi_permutation(size_t *order, size_t n, uint64_t seed, uint32_t purpose, uint32_t step)
{
    for (size_t i = 0; i < n; i++) order[i] = i;
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)ndi_below(seed, purpose, step, i - 1, i), t = order[i - 1];
        order[i - 1] = order[j];
        order[j] = t;
    }
}
