/* Small matrix products and what stands between them in fused operations, with run-time dispatch as in vec.h: one source (tile_kernels.c) compiled for several instruction sets. Sums are
 * fused and their order depends on the width of the vectors, so instruction sets differ in the last bits; on one of them the order depends on the sizes alone. */
#ifndef NDI_TILE_H
#define NDI_TILE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    NDI_TILE_COLUMNS = 8, /* the columns of a product come in multiples of it */
    NDI_TILE_RUN = 16     /* and the runs of dot products in multiples of this */
};

/* C (m x n) = start + A B, or C += A B: A(i, l) = a[i a_row + l a_step], B(l, j) = b[l b_row + j], C(i, j) = c[i c_row + j]. It is done `times` times, each time a_next, b_next and c_next
 * further on. */
typedef struct product {
    size_t m, n, k;
    const float *a, *b;
    float *c;
    size_t a_row, a_step, b_row, c_row;
    const float *start; /* of each row; NULL = 0 */
    bool add;
    size_t times, a_next, b_next, c_next;
    const char *const *lines; /* of memory that will be wanted soon: fetched on the side, of each tile's share as many as it has steps */
    size_t n_lines;
} product;

/* C(i, j) += sum over s < steps and t < run of x[s x_step + i x_row + t] y[s y_step + j y_row + t], C(i, j) being c[i c_row + j]. */
typedef struct dots {
    size_t m, n, steps, run;
    const float *x, *y;
    size_t x_row, x_step, y_row, y_step, c_row;
} dots;

typedef struct tile_kernels {
    void (*product)(const product *p);
    void (*dots)(const dots *d, float *c);
    void (*dots_f64)(const dots *d, double *c); /* products and sums in double */
    void (*copy)(const float *x, size_t x_row, size_t m, size_t n, float factor, float *y, size_t y_row); /* y = factor x, both m x n */
    void (*turn)(const float *x, size_t x_row, size_t m, size_t n, float *y, size_t y_row); /* y (n x m) = the transpose of x (m x n) */
    void (*elu)(float *x,
                size_t n); /* from x log2(e) to (ELU(x) + 1) log2(e), where the exponential is cheapest; in place, n a multiple of NDI_TILE_RUN */
    void (*elu_grad)(const float *h, float *g, size_t n); /* g times the slope of ELU, times log2(e); h is what elu left */
    /* Attention weights: rows of n numbers, `row` apart, a multiple of NDI_TILE_RUN, filled up with zeros. softmax: x = softmax(scale x) of each. mark: those that are 0 in `kept`
     * become negative. kept: factor x, 0 where negative. grad: g = scale (kept g - |x| sum(kept g)). */
    void (*softmax)(float *x, size_t rows, size_t n, size_t row, float scale);
    void (*softmax_grad)(const float *x, const float *kept, float *g, size_t rows, size_t row, float scale);
    void (*softmax_mark)(const float *kept, float *x, size_t count);
    void (*softmax_kept)(const float *x, float factor, float *kept, size_t count);
    /* Means over `width` samples of x (C x T), turned: r[t r_row + c] = mean of x[c][t .. t + width), t < rows; channels up to the next multiple of NDI_TILE_RUN become 0. */
    void (*running_mean)(const float *x, size_t C, size_t T, size_t width, float *r, size_t rows, size_t r_row);
} tile_kernels;

extern const tile_kernels *ndi_tile; /* chosen together with ndi_vec */

#endif
