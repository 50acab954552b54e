/* A small recording as the bytes of a file: channels of two rates, a few dozen samples, events. */
#ifndef ND_TEST_RECORDINGS_H
#define ND_TEST_RECORDINGS_H

#include <stddef.h>
#include <stdint.h>

enum { ND_TEST_BYTES = 8192 };

/* EDF+: "EEG Cz" (uV) with 10 samples in each of 3 records of 0.5 s, "Slow" (mV) with 5, annotations "a" at 0.25 s for 0.5 s and "b: c" at 1 s. The k-th
 * number of a channel is 7 k - 50. */
size_t nd_test_edf(uint8_t bytes[ND_TEST_BYTES]);

#endif
