/* Small recordings as the bytes of files: two or three channels, a few dozen samples, events. */
#ifndef ND_TEST_RECORDINGS_H
#define ND_TEST_RECORDINGS_H

#include <stddef.h>
#include <stdint.h>

enum { ND_TEST_BYTES = 8192 };

/* EDF+: "EEG Cz" (uV) with 10 samples in each of 3 records of 0.5 s, "Slow" (mV) with 5, annotations "a" at 0.25 s for 0.5 s and "b: c" at 1 s. The k-th
 * number of a channel is 7 k - 50. */
size_t nd_test_edf(uint8_t bytes[ND_TEST_BYTES]);

/* FIF at 100 Hz from sample 50 on: A (eeg, V, calibration 2 x 0.5e-6) and STI 014 (stim); a buffer of 6 int16 samples, a gap of one buffer, a buffer of 6
 * float32 samples; an annotation "x:y" at 0.53 s for 0.02 s. The k-th number is 3 k - 10 for A, 0 or 5 for STI 014. */
size_t nd_test_fif(uint8_t bytes[ND_TEST_BYTES]);

#endif
