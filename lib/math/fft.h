/* Discrete Fourier transforms of any length in double: X_k = sum over j of x_j exp(-2 pi i j k / n). Powers of two by decimation in time, other
 * lengths by Bluestein's chirp through a power of two. A plan is made once and may be used by several threads, each with scratch of its own. */
#ifndef NDI_FFT_H
#define NDI_FFT_H

#include <stddef.h>

#include "base/status.h"

typedef struct fft fft;

nd_status ndi_fft_create(fft **f, size_t n);
void ndi_fft_free(fft *f);
size_t ndi_fft_scratch(const fft *f); /* numbers of scratch that a transform takes */

/* In place: x holds n complex numbers, real and imaginary part in turn. The inverse divides by n. */
void ndi_fft_forward(const fft *f, double *x, double *scratch);
void ndi_fft_inverse(const fft *f, double *x, double *scratch);

/* NDI_LANES transforms at once (math/vec.h), of lengths that are powers of two: element k of all is to stand at place ndi_fft_places(f)[k] of x before; it stands at k afterwards. */
const size_t *ndi_fft_places(const fft *f); /* NULL for other lengths */
void ndi_fft_lanes(const fft *f, double *x);

#endif
