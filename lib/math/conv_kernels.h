/* Kernels of convolutions, one table per instruction set behind ndi_vec->conv. Unlike the element-wise kernels they fuse products and sums where the CPU can, so their last bits differ
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

#endif
