#include "base/mersenne.h"

enum { WORDS = 624, MIDDLE = 397 };

typedef struct mersenne {
    uint32_t words[WORDS];
    size_t next;
} mersenne;

static void seed_with(mersenne *m, uint32_t seed)
{
    m->words[0] = seed;
    for (uint32_t i = 1; i < WORDS; i++) m->words[i] = 1812433253u * (m->words[i - 1] ^ m->words[i - 1] >> 30) + i;
    m->next = WORDS;
}

static void renew(mersenne *m)
{
    for (size_t i = 0; i < WORDS; i++) {
        const uint32_t y = (m->words[i] & 0x80000000u) | (m->words[(i + 1) % WORDS] & 0x7fffffffu);
        m->words[i] = m->words[(i + MIDDLE) % WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    m->next = 0;
}

static uint32_t draw(mersenne *m)
{
    if (m->next == WORDS) renew(m);
    uint32_t y = m->words[m->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* In 0 .. most. */
static uint32_t draw_up_to(mersenne *m, uint32_t most)
{
    uint32_t mask = most, value;
    for (unsigned shift = 1; shift < 32; shift *= 2) mask |= mask >> shift;
    do value = draw(m) & mask;
    while (value > most);
    return value;
}

void ndi_numpy_permutation(uint32_t seed, size_t n, size_t *order)
{
    mersenne m;
    seed_with(&m, seed);
    for (size_t i = 0; i < n; i++) order[i] = i;
    for (size_t i = n; i-- > 1;) {
        const size_t j = draw_up_to(&m, (uint32_t)i), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
