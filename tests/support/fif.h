/* Small FIF files: a recording as bytes; MEG epochs and averages as files. */
#ifndef ND_TEST_FIF_H
#define ND_TEST_FIF_H

#include <stdbool.h>
#include <stdint.h>

#include "recordings.h"

/* FIF at 100 Hz from sample 50 on: A (eeg, V, calibration 2 x 0.5e-6) and STI 014 (stim); a buffer of 6 int16 samples, a gap of one buffer, a buffer of 6
 * float32 samples; an annotation "x:y" at 0.53 s for 0.02 s. The k-th number is 3 k - 10 for A, 0 or 5 for STI 014. */
size_t nd_test_fif(uint8_t bytes[ND_TEST_BYTES]);

enum { ND_TEST_FIF_I16 = 2, ND_TEST_FIF_I32 = 3, ND_TEST_FIF_F32 = 4, ND_TEST_FIF_F64 = 5, ND_TEST_FIF_C64 = 20, ND_TEST_FIF_C128 = 21 };

/* Three channels at 200 Hz: MLC11-1609 (mag, T), MLC12-1609 (grad, T/m, calibration 0.25), UPPT001 (stim, V). */
enum { ND_TEST_MEG_CHANNELS = 3 };

typedef struct nd_test_epochs {
    size_t n_trials, n_samples;
    size_t per_file;     /* epochs in a file; 0 = all. Further files are called "<name>-1.fif" and so on */
    int type;            /* ND_TEST_FIF_... */
    int first;           /* number of the first sample; 0 is at 0 s */
    const int *codes;    /* of the events; of averages: how many trials */
    const char *event_id;
    const char *(*metadata)(size_t trial); /* a JSON object of up to 500 bytes; NULL = none */
} nd_test_epochs;

int nd_test_meg_number(size_t trial, size_t channel, size_t sample);   /* as it stands in the file, -40 .. 56 */
double nd_test_meg_value(size_t trial, size_t channel, size_t sample); /* times the calibration */

/* Writes a file, or several, in the temporary folder. */
void nd_test_write_epochs(const char *name, const nd_test_epochs *e);

/* Averages called "condition 0" and so on, of which the one numbered 1 is a standard error; as matrices or as a vector for each channel. */
void nd_test_write_averages(const char *name, const nd_test_epochs *e, bool vectors);

#endif
