/* The product of codes.h with the instructions of AVX-512 VNNI, which multiply unsigned by signed bytes: candidates have 128 added, and the sums start from what takes it away again. A tile of
 * 6 queries x 64 candidates stays in registers. */
#include <immintrin.h>
#include <string.h>

#include "math/codes.h"
#include "math/unroll.h"

enum { W = 16, VECTORS = NDI_CODES_COLUMNS / W, ROWS = 6 };

INLINE __m512i four(const int8_t *x)
{
    int32_t bits;
    memcpy(&bits, x, sizeof bits);
    return _mm512_set1_epi32(bits);
}

/* sum += candidates times query, in fours. As an instruction, since some compilers copy the sums around the intrinsic. */
INLINE void add_product(__m512i *sum, __m512i candidates, __m512i query)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(candidates), "v"(query));
}

INLINE void tile(int M, const codes *p, size_t row)
{
    const size_t dim = p->steps * NDI_CODES_GROUP;
    const int8_t *queries = p->queries + row * dim;
    const uint8_t *panel = p->panel;
    __m512i sum[ROWS][VECTORS];
    UNROLL for (int i = 0; i < M; i++) UNROLL for (int v = 0; v < VECTORS; v++) sum[i][v] = _mm512_set1_epi32(p->start[row + (size_t)i]);
    for (size_t l = 0; l < p->steps; l++, queries += NDI_CODES_GROUP, panel += NDI_CODES_COLUMNS * NDI_CODES_GROUP) {
        __m512i candidates[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++) candidates[v] = _mm512_loadu_si512(panel + v * W * NDI_CODES_GROUP);
        UNROLL for (int i = 0; i < M; i++)
        {
            const __m512i query = four(queries + (size_t)i * dim);
            UNROLL for (int v = 0; v < VECTORS; v++) add_product(&sum[i][v], candidates[v], query);
        }
    }
    UNROLL for (int i = 0; i < M; i++) UNROLL for (int v = 0; v < VECTORS; v++)
    {
        const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(p->row_scale[row + (size_t)i]), _mm512_loadu_ps(p->column_scale + v * W));
        _mm512_storeu_ps(p->scores + (row + (size_t)i) * p->scores_row + v * W, _mm512_mul_ps(_mm512_cvtepi32_ps(sum[i][v]), scale));
    }
}

void ndi_codes_product_vnni(const codes *p);
void ndi_codes_product_vnni(const codes *p)
{
    size_t row = 0;
    for (; row + ROWS <= p->rows; row += ROWS) tile(ROWS, p, row);
    for (; row < p->rows; row++) tile(1, p, row);
}
