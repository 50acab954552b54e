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

enum { ROUNDS = 10, COUNTERS = LANES / 2, SETS = 2, WORDS = SETS * 4 * COUNTERS };

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

/* What the rounds add, in all lanes. */
typedef struct keys {
    lanes first[ROUNDS], second[ROUNDS];
} keys;

static keys keys_of(uint64_t seed)
{
    keys k;
    uint32_t first = (uint32_t)seed, second = (uint32_t)(seed >> 32);
    for (int round = 0; round < ROUNDS; round++, first += 0x9E3779B9, second += 0xBB67AE85) {
        k.first[round] = same(first);
        k.second[round] = same(second);
    }
    return k;
}

/* The WORDS words of the counters from `index` on, in sets that do not wait for each other. */
static inline void random_words(const vec_mask *m, const keys *k, uint64_t index, halves words[2 * SETS])
{
    const lanes first = same(0xD2511F53), third = same(0xCD9E8D57), lower = same(UINT32_MAX);
    lanes c0[SETS], c1[SETS], c2[SETS], c3[SETS];
    for (int s = 0; s < SETS; s++) {
        c0[s] = same(index + (uint64_t)s * COUNTERS) + order;
        c1[s] = c0[s] >> 32;
        c2[s] = same(m->step);
        c3[s] = same(m->purpose);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int s = 0; s < SETS; s++) {
            const lanes p0 = times(c0[s], first), p1 = times(c2[s], third);
            c0[s] = (p1 >> 32) ^ c1[s] ^ k->first[round];
            c2[s] = (p0 >> 32) ^ c3[s] ^ k->second[round];
            c1[s] = p1;
            c3[s] = p0;
        }
    for (int s = 0; s < SETS; s++) pair_up((c0[s] & lower) | c1[s] << 32, (c2[s] & lower) | c3[s] << 32, words + 2 * s);
}

static inline vec kept(halves words, const vec_mask *m, vec x)
{
    const halves keep = (halves)(words >= m->limit - (halves){ 0 });
    return (vec)((halves)(x * splat(m->keep)) & keep);
}

void ISA_NAME(ndi_mask_)(const vec_mask *m, const float *x, float *y, size_t n);
void ISA_NAME(ndi_mask_)(const vec_mask *m, const float *x, float *y, size_t n)
{
    const keys k = keys_of(m->seed);
    halves words[2 * SETS];
    size_t i = 0;
    for (; i + WORDS <= n; i += WORDS) {
        random_words(m, &k, m->index + i / 4, words);
        for (size_t v = 0; v < 2 * SETS; v++) store(y + i + v * LANES, kept(words[v], m, load(x + i + v * LANES)));
    }
    if (i == n) return;
    float rest[WORDS] = { 0 };
    memcpy(rest, x + i, (n - i) * sizeof *x);
    random_words(m, &k, m->index + i / 4, words);
    for (size_t v = 0; v < 2 * SETS; v++) store(rest + v * LANES, kept(words[v], m, load(rest + v * LANES)));
    memcpy(y + i, rest, (n - i) * sizeof *y);
}
