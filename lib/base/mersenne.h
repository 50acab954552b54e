/* The random order that numpy.random.RandomState(seed) gives, for results that have to agree with those of Python programs: MT19937 (Matsumoto and Nishimura 1998), seeded by one
 * number, and Fisher-Yates from the end with draws by masked rejection. Everything else draws from base/random.h. */
#ifndef NDI_MERSENNE_H
#define NDI_MERSENNE_H

#include <stddef.h>
#include <stdint.h>

/* RandomState(seed).permutation(n), which is also the order that sklearn.utils.shuffle() gives n items. n < 2^32. */
void ndi_numpy_permutation(uint32_t seed, size_t n, size_t *order);

#endif
