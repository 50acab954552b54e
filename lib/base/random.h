/* Philox 4x32-10 (Salmon et al., SC 2011): random numbers as a function of (seed, purpose, step, index). There is no state to keep or to save. */
#ifndef NDI_RANDOM_H
#define NDI_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* What a number is for: no two uses share a stream. */
enum ndi_purpose {
    NDI_RANDOM_INIT = 1,
    NDI_RANDOM_SPLIT,
    NDI_RANDOM_SHUFFLE,
    NDI_RANDOM_DROPOUT,
    NDI_RANDOM_BOOTSTRAP,
    NDI_RANDOM_DRAW,
    NDI_RANDOM_SIMULATE,
    NDI_RANDOM_SUBJECT,
    NDI_RANDOM_SHIFT,
    NDI_RANDOM_SMOOTH,
    NDI_RANDOM_NOISE,
    NDI_RANDOM_CHANNEL_DROPOUT,
    NDI_RANDOM_MIXCO,
    NDI_RANDOM_MIXCO_SHARE
};

/* Four 32-bit words for one counter value: key = seed, counter = (index, step, purpose). step < 2^32. */
void ndi_philox(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t index, uint32_t words[4]);

double ndi_uniform(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t index);                 /* in [0, 1), 53 bits */
uint64_t ndi_below(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t index, uint64_t n);     /* in [0, n) */
void ndi_normal2(uint64_t seed, uint32_t purpose, uint32_t step, uint64_t index, double pair[2]);   /* two independent N(0, 1), Box-Muller */

/* A random order of 0 .. n - 1 (Fisher-Yates). */
void ndi_permutation(size_t *order, size_t n, uint64_t seed, uint32_t purpose, uint32_t step);

#endif
