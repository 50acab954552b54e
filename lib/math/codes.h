/* Scalar products of vectors in whole numbers of 8 bits: rough, but four times as fast as in float where the CPU has an instruction for it. */
#ifndef NDI_CODES_H
#define NDI_CODES_H

#include <stddef.h>
#include <stdint.h>

enum {
    NDI_CODES_COLUMNS = 64, /* candidates side by side in a panel */
    NDI_CODES_GROUP = 4,    /* numbers of a vector that are multiplied together */
    NDI_CODES_MOST = 65536  /* longest vectors whose sums fit 32 bits */
};

/* scores[i scores_row + j] = row_scale[i] column_scale[j] (sum over l of queries[i][l] (panel[l][j] - 128)), for j < NDI_CODES_COLUMNS. */
typedef struct codes {
    size_t rows, steps;    /* steps: groups of numbers */
    const int8_t *queries; /* rows x steps x NDI_CODES_GROUP */
    const uint8_t *panel;  /* steps x NDI_CODES_COLUMNS x NDI_CODES_GROUP */
    const int32_t *start;  /* per row: -128 times the sum of its numbers */
    const float *row_scale, *column_scale;
    float *scores;
    size_t scores_row;
} codes;

extern void (*ndi_codes_product)(const codes *p); /* NULL where the CPU has no such instruction; chosen together with ndi_vec */

#endif
