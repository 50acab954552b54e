/* Kernels of convolutions and recurrent layers, a table of each per instruction set behind ndi_vec. Unlike the element-wise kernels they fuse products and sums where the CPU can, so their last bits differ
 * between instruction sets. */
#ifndef NDI_CONV_KERNELS_H
#define NDI_CONV_KERNELS_H

#include <stddef.h>

enum { NDI_TILE = 64 /* samples: what kernels read and write is padded to a multiple of it */ };

static inline size_t ndi_tiled(size_t n) { return (n + NDI_TILE - 1) / NDI_TILE * NDI_TILE; }

typedef struct conv_kernels {
    /* y[t] = shift + sum_{k < K} w[k] x[t + k] for t < n. Reads ndi_tiled(n) + K samples of x and writes ndi_tiled(n) of y. */
    void (*fir)(const float *x, const float *w, size_t K, float shift, float *y, size_t n);
    /* r[k] += sum_{t < n} a[t] b[t + k] for k < K. Reads n + ndi_tiled(K) samples of b and writes ndi_tiled(K) of r. */
    void (*correlate)(const float *a, const float *b, size_t n, size_t K, float *r);
} conv_kernels;

enum { NDI_COLUMNS = 32 /* rows transformed together */, NDI_MAX_SPECTRUM = 144 /* samples of the longest transform */ };

/* Discrete Fourier transforms of NDI_COLUMNS rows of N real samples, column c of sample n being z[n row + c]; N is even and has no factors but 2, 3 and 5. roots[2 k], roots[2 k + 1]: the cosine
 * and sine of 2 pi k / N. A spectrum is a list of planes, `stride` numbers apart, with a number for each column: frequency 0; N / 2; and for each frequency between the real part a, the
 * imaginary part b and a + sign b. These three make of a product of complex numbers, or a sum of them, three of real ones: with p1 = sum a a', p2 = sum b b', p3 = sum (a + b) (a' - b'),
 * conj(x') x has the real part p1 + p2 and the imaginary part p3 - p1 + p2. */
typedef struct fft_kernels {
    void (*spectrum)(const float *z, size_t row, size_t N, const float *roots, float sign, float *planes, size_t stride);
    /* Back, times N, to rows of NDI_COLUMNS, from the planes of p1, p2, p3. sign 1: of conj(x') x as above; -1: of x' x, where both third planes are differences. */
    void (*samples)(const float *planes, size_t stride, size_t N, const float *roots, float sign, float *z);
} fft_kernels;

/* The next step of a transform of n numbers: of the powers of 2 as few as there can be. */
static inline size_t ndi_radix(size_t n)
{
    size_t twos = 0;
    for (size_t m = n; m % 2 == 0; m /= 2) twos++;
    return twos == 0 ? n % 3 == 0 ? 3 : 5 : twos == 1 ? 2 : twos % 3 == 0 ? 8 : 4;
}

enum { NDI_PAIRS = 8, NDI_PAIR_ROW = 2 * NDI_PAIRS };

/* Transforms in place of NDI_PAIRS complex columns of N numbers: row n holds their real parts, then their imaginary parts. N and the roots are as above, but N may be odd and as long as it likes.
 * Frequencies stand in the order of ndi_frequency(). Two real columns that go through the same real filter share a complex one. */
typedef struct dft_kernels {
    void (*forward)(float *z, size_t N, const float *roots);
    void (*backward)(float *z, size_t N, const float *roots); /* times N */
    /* to[NDI_PAIRS k + i] += |.|^2 of element k of column i's transform, which is lost. What two real columns have in common is odd in k: sums over all k with even factors are those of both. */
    void (*power)(float *z, size_t N, const float *roots, float *to);
    /* Of n rows: to = a b; to = conj(a) b; to += conj(a) b. `to` may be b in the first two. */
    void (*multiply)(const float *a, const float *b, size_t n, float *to);
    void (*multiply_conj)(const float *a, const float *b, size_t n, float *to);
    void (*add_conj)(const float *a, const float *b, size_t n, float *to);
} dft_kernels;

/* Of row k. */
static inline size_t ndi_frequency(size_t N, size_t k)
{
    size_t frequency = 0;
    for (size_t n = N, step = 1, radix; n > 1; step *= radix, k %= n) {
        radix = ndi_radix(n);
        n /= radix;
        frequency += step * (k / n);
    }
    return frequency;
}

static inline size_t ndi_planes(size_t N) { return 3 * N / 2 - 1; }

/* Gates of recurrent layers. */
typedef struct gate_kernels {
    /* H cells of a long short-term memory, H a multiple of 16: i, f, g, o from their sums, in place; c = f c_before + i g; h = o tanh(c). c may stand where c_before stood. */
    void (*lstm_forward)(float *gates, size_t H, const float *c_before, float *c, float *h);
    /* From the gradients of h and c to those of the gates' sums, in place of the gates, and of c_before, in place of dc. */
    void (*lstm_backward)(float *gates, size_t H, const float *c_before, const float *c, const float *dh, float *dc);
} gate_kernels;

#endif
