/* Dropout in compiler vectors; compiled once per instruction set. Whole numbers only, so that every set gives the same bits.
 *
 * The rounds of Philox as in base/random.c, for as many counters side by side as a vector has 64-bit lanes: a word is the lower half of its lane, the upper half is never read. A product of
 * two words fills a lane, its upper word is shifted down where it is needed. */
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "math/isa.h"
#include "math/vec.h"

enum { COUNTERS = LANES / 2, WORDS = 4 * COUNTERS };

#if defined(__clang__)
#define PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PICK(a, b, ...) __builtin_shuffle(a, b, (lanes){ __VA_ARGS__ })
#endif

typedef uint64_t lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t halves __attribute__((vector_size(4 * LANES)));

static inline lanes same(uint64_t x) { return x - (lanes){ 0 }; }

/* Of the lower halves. */
static inline lanes times(lanes a, lanes b)
{
#if defined(__AVX512F__)
    return (lanes)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (lanes)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
    return (lanes)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & same(UINT32_MAX)) * (b & same(UINT32_MAX));
#endif
}

/* Counters stand in the order in which pairs of their words come out right below. */
#if defined(__AVX512F__)
static const lanes order = { 0, 4, 1, 5, 2, 6, 3, 7 };
#elif defined(__AVX__)
static const lanes order = { 0, 2, 1, 3 };
#else
static const lanes order = { 0, 1 };
#endif

/* The pairs of even lanes, then those of odd ones: words 0 .. 3 of one counter after the other. */
static inline void pair_up(lanes a, lanes b, halves words[2])
{
#if defined(__AVX512F__)
    words[0] = (halves)PICK(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
    words[1] = (halves)PICK(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
#elif defined(__AVX__)
    words[0] = (halves)PICK(a, b, 0, 4, 2, 6);
    words[1] = (halves)PICK(a, b, 1, 5, 3, 7);
#else
    words[0] = (halves)PICK(a, b, 0, 2);
    words[1] = (halves)PICK(a, b, 1, 3);
#endif
}

/* The WORDS words of the counters from `index` on. */
static inline void random_words(const vec_mask *m, uint64_t index, halves words[2])
{
    const lanes first = same(0xD2511F53), third = same(0xCD9E8D57), lower = same(UINT32_MAX);
    lanes c0 = same(index) + order, c1 = c0 >> 32, c2 = same(m->step), c3 = same(m->purpose);
    uint32_t k0 = (uint32_t)m->seed, k1 = (uint32_t)(m->seed >> 32);
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9, k1 += 0xBB67AE85) {
        const lanes p0 = times(c0, first), p1 = times(c2, third);
        c0 = (p1 >> 32) ^ c1 ^ same(k0);
        c2 = (p0 >> 32) ^ c3 ^ same(k1);
        c1 = p1;
        c3 = p0;
    }
    pair_up((c0 & lower) | c1 << 32, (c2 & lower) | c3 << 32, words);
}

static inline vec kept(halves words, const vec_mask *m, vec x)
{
    const halves keep = (halves)(words >= m->limit - (halves){ 0 });
    return (vec)((halves)(x * splat(m->keep)) & keep);
}

void ISA_NAME(ndi_mask_)(const vec_mask *m, const float *x, float *y, size_t n);
void ISA_NAME(ndi_mask_)(const vec_mask *m, const float *x, float *y, size_t n)
{
    halves words[2];
    size_t i = 0;
    for (; i + WORDS <= n; i += WORDS) {
        random_words(m, m->index + i / 4, words);
        store(y + i, kept(words[0], m, load(x + i)));
        store(y + i + LANES, kept(words[1], m, load(x + i + LANES)));
    }
    if (i == n) return;
    float rest[WORDS] = { 0 };
    memcpy(rest, x + i, (n - i) * sizeof *x);
    random_words(m, m->index + i / 4, words);
    store(rest, kept(words[0], m, load(rest)));
    store(rest + LANES, kept(words[1], m, load(rest + LANES)));
    memcpy(y + i, rest, (n - i) * sizeof *y);
}
