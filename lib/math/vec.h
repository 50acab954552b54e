/* Element-wise kernels with run-time dispatch: one source (vec_kernels.c) compiled for several instruction sets, one table chosen at load. All give the same bits on
 * every instruction set: sums run over 32 fixed lanes, products and sums are rounded separately. */
#ifndef NDI_VEC_H
#define NDI_VEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "math/conv_kernels.h"

/* Dropout: element i of a stream is dropped where word i % 4 of ndi_philox(seed, purpose, step, index + i / 4) is below `limit`, otherwise multiplied by `keep`. */
typedef struct vec_mask {
    uint64_t seed, index;
    uint32_t purpose, step, limit;
    float keep;
} vec_mask;

/* The numbers of a step of Adam: x = scale g + coupled p, p <- decay p - step_size m / (root_scale sqrt(v) + epsilon), m and v being moving averages of x and x^2. */
typedef struct vec_adam {
    float scale, coupled, decay, beta1, rest1, beta2, rest2, step_size, root_scale, epsilon;
} vec_adam;

/* And of momentum: x as above, v <- momentum v + x, p <- p - along v - ahead x. */
typedef struct vec_sgd {
    float scale, coupled, momentum, along, ahead;
} vec_sgd;

enum { NDI_LANES = 8 };

typedef struct vec_kernels {
    const char *name; /* "baseline", "avx2", "avx512" */
    void (*exp)(const float *x, float *y, size_t n);                                   /* relative error < 2.5e-7 over the float range; 0 and inf beyond */
    void (*elu)(const float *x, float *y, size_t n);                                   /* x > 0 ? x : exp(x) - 1, absolute error < 1.2e-7 */
    void (*gelu)(const float *x, float *y, size_t n);                                  /* x Phi(x) by erf, absolute error < 4e-7 max(1, |x|) */
    void (*gelu_grad)(const float *x, const float *dy, float *dx, size_t n);           /* dx = dy (Phi(x) + x phi(x)) */
    /* y = w xhat + b, xhat = (x - mean) rstd; saved: mean and rstd. Back: dw += dy xhat, db += dy and, unless NULL, dx. Moments and sums in double. */
    void (*layer_norm)(const float *x, size_t n, const float *w, const float *b, double eps, float saved[2], float *y);
    void (*layer_norm_grad)(const float *x, size_t n, const float *w, const float saved[2], const float *dy, float *dw, float *db, float *dx);
    void (*add_rows)(const float *x, size_t rows, size_t stride, size_t n, double *sums); /* sums[k] += x[k] of each row */
    float (*dot)(const float *a, const float *b, size_t n);
    float (*sum)(const float *x, size_t n);
    void (*sum_dot)(const float *a, const float *b, size_t n, double *sums);           /* sums[0] += sum of a, sums[1] += sum of a b, in double */
    float (*max)(const float *x, size_t n);                                            /* n > 0 */
    void (*axpy)(float alpha, const float *x, float *y, size_t n);                     /* y += alpha x */
    void (*scale_shift)(float a, float b, const float *x, float *y, size_t n);         /* y = a x + b */
    /* Levels of a Fourier transform of length m over NDI_LANES signals at once, for n elements of it from an element whose place is a multiple of 4 half: fft_one that of butterflies over
     * `half` elements, fft_two this one and the next. Element k of all signals: NDI_LANES real parts, then NDI_LANES imaginary parts. roots: exp(-2 pi i k / m). */
    void (*fft_one)(double *x, size_t n, size_t half, size_t m, const double *roots);
    void (*fft_two)(double *x, size_t n, size_t half, size_t m, const double *roots);
    float (*exp_sum)(const float *x, float shift, float *y, size_t n);                 /* y = exp(x - shift), returns the sum */
    void (*mask)(const vec_mask *m, const float *x, float *y, size_t n);               /* the first n elements of the stream */
    void (*adam)(const vec_adam *a, const float *g, float *p, float *m, float *v, size_t n);
    void (*sgd)(const vec_sgd *s, const float *g, float *p, float *v, size_t n);
    const conv_kernels *conv;                                                          /* these may differ in the last bits */
    const fft_kernels *fft;
    const gate_kernels *gate;
    const dft_kernels *dft;
} vec_kernels;

/* The table in use. ND_CPU=baseline|avx2|avx512 in the environment at load limits the choice, for tests. */
extern const vec_kernels *ndi_vec;

/* In place: x = softmax(x); returns log(sum(exp(x))). */
float ndi_softmax(float *x, size_t n);

bool ndi_all_finite(const float *x, size_t n);
double ndi_sum_f64(const float *x, size_t n);                     /* in double, fixed order */
double ndi_dot_f64(const float *a, const float *b, size_t n);

#endif
