/* The kernels of tile.h in vectors of the width of the instruction set, ND_ISA. A tile of C stays in registers while the sum over l runs; its size is what the registers hold: 32 of them with
 * AVX-512 and on ARM, 16 otherwise. */
#include "math/tile.h"

#include <stdint.h>
#include <string.h>

#include "math/wide.h"
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

#if defined(__AVX512F__)
enum { W = 16, WIDEST = 4, DOTS_M = 5, DOTS_N = 5 };
#elif defined(__AVX2__)
enum { W = 8, WIDEST = 2, DOTS_M = 5, DOTS_N = 2 };
#elif defined(__aarch64__)
enum { W = 4, WIDEST = 4, DOTS_M = 5, DOTS_N = 5 };
#else
enum { W = 4, WIDEST = 2, DOTS_M = 5, DOTS_N = 2 };
#endif

typedef float vec __attribute__((vector_size(4 * W)));
typedef int32_t ints __attribute__((vector_size(4 * W)));

#if !defined(__AVX512F__) /* half vectors are for the widest only */
INLINE narrow fma_narrow(narrow a, narrow b, narrow c) { return a * b + c; }
#endif
#if defined(__AVX512F__)
INLINE vec fma_vec(vec a, vec b, vec c) { return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
INLINE narrow fma_narrow(narrow a, narrow b, narrow c) { return (narrow)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE wide fma_wide(wide a, wide b, wide c) { return (wide)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c); }
INLINE vec least(vec a, vec b) { return (vec)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE vec most(vec a, vec b) { return (vec)_mm512_max_ps((__m512)a, (__m512)b); }
#elif defined(__AVX2__)
INLINE vec fma_vec(vec a, vec b, vec c) { return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
INLINE wide fma_wide(wide a, wide b, wide c) { return (wide)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c); }
INLINE vec least(vec a, vec b) { return (vec)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE vec most(vec a, vec b) { return (vec)_mm256_max_ps((__m256)a, (__m256)b); }
#elif defined(__aarch64__)
INLINE vec fma_vec(vec a, vec b, vec c) { return (vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b); }
INLINE wide fma_wide(wide a, wide b, wide c) { return (wide)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b); }
INLINE vec least(vec a, vec b) { return (vec)vminq_f32((float32x4_t)a, (float32x4_t)b); }
INLINE vec most(vec a, vec b) { return (vec)vmaxq_f32((float32x4_t)a, (float32x4_t)b); }
#else
INLINE vec choose(ints first, vec a, vec b) { return (vec)((first & (ints)a) | (~first & (ints)b)); }
INLINE vec fma_vec(vec a, vec b, vec c) { return a * b + c; }
INLINE wide fma_wide(wide a, wide b, wide c) { return a * b + c; }
INLINE vec least(vec a, vec b) { return choose(a < b, a, b); }
INLINE vec most(vec a, vec b) { return choose(a > b, a, b); }
#endif

INLINE vec splat(float x) { return x - (vec){ 0 }; }

INLINE vec load(const float *x)
{
    vec v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE narrow splat_narrow(float x) { return x - (narrow){ 0 }; }

INLINE void store(float *x, vec v) { memcpy(x, &v, sizeof v); }

/* ---- products ---- */

enum { MOST_ROWS = 9 };

/* M rows of C, V vectors and, with H, half a vector wide. Of `lines` one is fetched in each step. */
INLINE void tile(int M, int V, bool H, const product *p, const float *a, const float *b, float *c, const float *start, const char *const *lines,
                 size_t n_lines)
{
    vec sum[MOST_ROWS][WIDEST];
    narrow half[MOST_ROWS];
    UNROLL for (int i = 0; i < M; i++)
    {
        const float first = start ? start[i] : 0, *from = c + (size_t)i * p->c_row;
        UNROLL for (int v = 0; v < V; v++) sum[i][v] = p->add ? load(from + v * W) : splat(first);
        if (H) half[i] = p->add ? load_narrow(from + V * W) : splat_narrow(first);
    }
    for (size_t l = 0; l < p->k; l++, a += p->a_step, b += p->b_row) {
        if (l < n_lines) __builtin_prefetch(lines[l], 1);
        vec row[WIDEST];
        narrow half_row;
        UNROLL for (int v = 0; v < V; v++) row[v] = load(b + v * W);
        if (H) half_row = load_narrow(b + V * W);
        UNROLL for (int i = 0; i < M; i++)
        {
            const float x = a[(size_t)i * p->a_row];
            UNROLL for (int v = 0; v < V; v++) sum[i][v] = fma_vec(splat(x), row[v], sum[i][v]);
            if (H) half[i] = fma_narrow(splat_narrow(x), half_row, half[i]);
        }
    }
    UNROLL for (int i = 0; i < M; i++)
    {
        float *to = c + (size_t)i * p->c_row;
        UNROLL for (int v = 0; v < V; v++) store(to + v * W, sum[i][v]);
        if (H) memcpy(to + V * W, &half[i], sizeof half[i]);
    }
}

typedef void (*tile_fn)(const product *, const float *, const float *, float *, const float *, const char *const *, size_t);

#define TILE(M, V, H) \
    static void tile_##M##_##V##_##H(const product *p, const float *a, const float *b, float *c, const float *start, const char *const *lines, \
                                     size_t n_lines) \
    { \
        tile(M, V, H, p, a, b, c, start, lines, n_lines); \
    }
#define TILES(V, H) \
    TILE(1, V, H) \
    TILE(2, V, H) \
    TILE(3, V, H) \
    TILE(4, V, H) \
    TILE(5, V, H) \
    TILE(6, V, H)
#define NAMES(V, H) tile_1_##V##_##H, tile_2_##V##_##H, tile_3_##V##_##H, tile_4_##V##_##H, tile_5_##V##_##H, tile_6_##V##_##H

/* The tiles of one width, from 1 row on. */
typedef struct tiles {
    size_t columns, rows;
    tile_fn of[MOST_ROWS];
} tiles;

/* Widest first. */
TILES(1, 0)
TILES(2, 0)
#if defined(__AVX512F__)
TILES(0, 1)
TILES(1, 1)
TILES(2, 1)
TILES(3, 0)
TILES(3, 1)
TILES(4, 0)
TILE(7, 2, 1)
TILE(8, 2, 1)
TILE(9, 2, 1)
static const tiles widths[] = {
    { 64, 6, { NAMES(4, 0) } }, { 56, 6, { NAMES(3, 1) } },
    { 48, 6, { NAMES(3, 0) } }, { 40, 9, { NAMES(2, 1), tile_7_2_1, tile_8_2_1, tile_9_2_1 } },
    { 32, 6, { NAMES(2, 0) } }, { 24, 6, { NAMES(1, 1) } },
    { 16, 6, { NAMES(1, 0) } }, { 8, 6, { NAMES(0, 1) } },
};
#elif defined(__aarch64__)
TILES(4, 0)
static const tiles widths[] = { { 16, 6, { NAMES(4, 0) } }, { 8, 6, { NAMES(2, 0) } }, { 4, 6, { NAMES(1, 0) } } };
#else
static const tiles widths[] = { { 2 * W, 6, { NAMES(2, 0) } }, { W, 6, { NAMES(1, 0) } } };
#endif

/* Rows in tiles of nearly the same height, each with its share of the lines. */
static void strip(const product *p, const tiles *w, const float *a, const float *b, float *c, const char *const *lines, size_t n_lines)
{
    size_t n_tiles = (p->m + w->rows - 1) / w->rows;
    for (size_t t = 0, i = 0; t < n_tiles; t++) {
        size_t next = p->m * (t + 1) / n_tiles, from = n_lines * t / n_tiles, to = n_lines * (t + 1) / n_tiles;
        w->of[next - i - 1](p, a + i * p->a_row, b, c + i * p->c_row, p->start ? p->start + i : NULL, lines ? lines + from : NULL, to - from);
        i = next;
    }
}

static void k_product(const product *p)
{
    for (size_t r = 0; r < p->times; r++) {
        const tiles *w = widths;
        for (size_t j = 0; j < p->n; j += w->columns) {
            while (w->columns > p->n - j) w++;
            size_t from = p->n_lines * j / p->n, to = p->n_lines * (j + w->columns) / p->n;
            strip(p, w, p->a + r * p->a_next, p->b + r * p->b_next + j, p->c + r * p->c_next + j, p->lines ? p->lines + from : NULL, to - from);
        }
    }
}

/* ---- dot products ---- */

INLINE float lanes(vec v)
{
    float x[W];
    memcpy(x, &v, sizeof x);
    for (int n = W / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) x[i] += x[i + n];
    return x[0];
}

INLINE double lanes_f64(wide v)
{
    double x[W / 2];
    memcpy(x, &v, sizeof x);
    for (int n = W / 4; n > 0; n /= 2)
        for (int i = 0; i < n; i++) x[i] += x[i + n];
    return x[0];
}

/* M x N sums, each a vector wide until the end. */
INLINE void dots_tile(int M, int N, const dots *d, const float *x, const float *y, float *c)
{
    vec sum[DOTS_M][DOTS_N];
    UNROLL for (int i = 0; i < M; i++) UNROLL for (int j = 0; j < N; j++) sum[i][j] = (vec){ 0 };
    for (size_t s = 0; s < d->steps; s++, x += d->x_step, y += d->y_step)
        for (size_t t = 0; t < d->run; t += W) {
            vec left[DOTS_M];
            UNROLL for (int i = 0; i < M; i++) left[i] = load(x + (size_t)i * d->x_row + t);
            UNROLL for (int j = 0; j < N; j++)
            {
                const vec right = load(y + (size_t)j * d->y_row + t);
                UNROLL for (int i = 0; i < M; i++) sum[i][j] = fma_vec(left[i], right, sum[i][j]);
            }
        }
    UNROLL for (int i = 0; i < M; i++) UNROLL for (int j = 0; j < N; j++) c[(size_t)i * d->c_row + (size_t)j] += lanes(sum[i][j]);
}

INLINE void dots_tile_f64(int M, int N, const dots *d, const float *x, const float *y, double *c)
{
    wide sum[DOTS_M][DOTS_N];
    UNROLL for (int i = 0; i < M; i++) UNROLL for (int j = 0; j < N; j++) sum[i][j] = (wide){ 0 };
    for (size_t s = 0; s < d->steps; s++, x += d->x_step, y += d->y_step)
        for (size_t t = 0; t < d->run; t += W / 2) {
            wide left[DOTS_M];
            UNROLL for (int i = 0; i < M; i++) left[i] = load_wide(x + (size_t)i * d->x_row + t);
            UNROLL for (int j = 0; j < N; j++)
            {
                const wide right = load_wide(y + (size_t)j * d->y_row + t);
                UNROLL for (int i = 0; i < M; i++) sum[i][j] = fma_wide(left[i], right, sum[i][j]);
            }
        }
    UNROLL for (int i = 0; i < M; i++) UNROLL for (int j = 0; j < N; j++) c[(size_t)i * d->c_row + (size_t)j] += lanes_f64(sum[i][j]);
}

/* Whole tiles, what is left of the columns one by one, and the rest of the rows. */
#define EACH_TILE(tile, c) \
    for (size_t i = 0, M; i < d->m; i += M) { \
        M = d->m - i >= DOTS_M ? DOTS_M : 1; \
        for (size_t j = 0, N; j < d->n; j += N) { \
            N = d->n - j >= DOTS_N ? DOTS_N : 1; \
            const float *x = d->x + i * d->x_row, *y = d->y + j * d->y_row; \
            if (M == DOTS_M && N == DOTS_N) \
                tile(DOTS_M, DOTS_N, d, x, y, (c) + i * d->c_row + j); \
            else if (M == DOTS_M) \
                tile(DOTS_M, 1, d, x, y, (c) + i * d->c_row + j); \
            else if (N == DOTS_N) \
                tile(1, DOTS_N, d, x, y, (c) + i * d->c_row + j); \
            else \
                tile(1, 1, d, x, y, (c) + i * d->c_row + j); \
        } \
    }

static void k_dots(const dots *d, float *c) { EACH_TILE(dots_tile, c) }
static void k_dots_f64(const dots *d, double *c) { EACH_TILE(dots_tile_f64, c) }

/* ---- copies ---- */

static void k_copy(const float *x, size_t x_row, size_t m, size_t n, float factor, float *y, size_t y_row)
{
    for (size_t i = 0; i < m; i++, x += x_row, y += y_row) {
        size_t j = 0;
        for (; j + W <= n; j += W) store(y + j, splat(factor) * load(x + j));
        for (; j < n; j++) y[j] = factor * x[j];
    }
}

/* ---- transposition ---- */

typedef float floats4 __attribute__((vector_size(16)));
#if defined(__clang__)
#define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (ints4){ i, j, k, l })
typedef int32_t ints4 __attribute__((vector_size(16)));
#endif

INLINE floats4 load4(const float *x)
{
    floats4 v;
    memcpy(&v, x, sizeof v);
    return v;
}

INLINE void turn_4x4(const float *x, size_t x_row, float *y, size_t y_row)
{
    floats4 a = load4(x), b = load4(x + x_row), c = load4(x + 2 * x_row), d = load4(x + 3 * x_row);
    floats4 low = PICK(a, b, 0, 4, 1, 5), high = PICK(a, b, 2, 6, 3, 7), low2 = PICK(c, d, 0, 4, 1, 5), high2 = PICK(c, d, 2, 6, 3, 7);
    const floats4 turned[] = { PICK(low, low2, 0, 1, 4, 5), PICK(low, low2, 2, 3, 6, 7), PICK(high, high2, 0, 1, 4, 5),
                               PICK(high, high2, 2, 3, 6, 7) };
    for (size_t i = 0; i < 4; i++) memcpy(y + i * y_row, &turned[i], sizeof turned[i]);
}

/* Rows in groups of 16, which fill whole lines of y. */
static void k_turn(const float *x, size_t x_row, size_t m, size_t n, float *y, size_t y_row)
{
    size_t rows = m / 4 * 4, columns = n / 4 * 4;
    for (size_t first = 0; first < rows; first += 16)
        for (size_t j = 0; j < columns; j += 4)
            for (size_t i = first; i < rows && i < first + 16; i += 4) turn_4x4(x + i * x_row + j, x_row, y + j * y_row + i, y_row);
    for (size_t i = 0; i < m; i++)
        for (size_t j = i < rows ? columns : 0; j < n; j++) y[j * y_row + i] = x[i * x_row + j];
}

/* ---- ELU ---- */

static const float log2_e = 1.44269504f;

/* log2(e) 2^t for -126 <= t <= 0: 2^t = 2^n 2^f with n whole and |f| <= 1/2, the latter by a polynomial. */
INLINE vec scaled_power(vec t)
{
    const vec magic = splat(12582912.0f) /* 1.5 * 2^23: adding it rounds to a whole number */;
    vec n = t + magic, f = t - (n - magic), y = splat(1.9153884e-3f);
    y = fma_vec(y, f, splat(1.39588555e-2f));
    y = fma_vec(y, f, splat(8.007987e-2f));
    y = fma_vec(y, f, splat(3.4656593e-1f));
    y = fma_vec(y, f, splat(9.999997e-1f));
    y = fma_vec(y, f, splat(log2_e));
    return (vec)((ints)y + ((ints)n << 23));
}

/* With u = x log2(e): log2(e) (ELU(x) + 1) = max(u, 0) + log2(e) 2^min(u, 0). */
INLINE vec elu_of(vec u)
{
    const vec zero = { 0 }, lowest = splat(-126.0f);
    return most(zero, u) /* a NaN too */ + scaled_power(most(least(u, zero), lowest));
}

static void k_elu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += W) store(x + i, elu_of(load(x + i)));
}

static void k_elu_grad(const float *h, float *g, size_t n)
{
    const vec most_slope = splat(log2_e);
    for (size_t i = 0; i < n; i += W) store(g + i, load(g + i) * least(load(h + i), most_slope));
}

/* ---- softmax ---- */

INLINE float greatest(vec v)
{
    float x[W];
    memcpy(x, &v, sizeof x);
    for (int n = W / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) x[i] = x[i] > x[i + n] ? x[i] : x[i + n];
    return x[0];
}

/* The end of the row repeats its first number until the weights are there. `odd` is not a number where one of them is not, nor infinite ones. */
static void softmax_row(float *x, size_t n, size_t row, float scale)
{
    const vec factor = splat(scale * log2_e), lowest = splat(-126.0f);
    vec top = splat(x[0] * (scale * log2_e)), odd = { 0 };
    for (size_t i = n; i < row; i++) x[i] = x[0];
    for (size_t i = 0; i < row; i += W) {
        const vec u = load(x + i) * factor;
        store(x + i, u);
        top = most(u, top);
        odd += u * splat(0);
    }
    const vec shift = splat(greatest(top));
    for (size_t i = 0; i < row; i += W) store(x + i, scaled_power(most(load(x + i) - shift, lowest)));
    for (size_t i = n; i < row; i++) x[i] = 0;
    vec sum = odd;
    for (size_t i = 0; i < row; i += W) sum += load(x + i);
    const vec share = splat(1 / lanes(sum));
    for (size_t i = 0; i < row; i += W) store(x + i, load(x + i) * share);
}

static void k_softmax(float *x, size_t rows, size_t n, size_t row, float scale)
{
    for (size_t r = 0; r < rows; r++) softmax_row(x + r * row, n, row, scale);
}

static void k_softmax_grad(const float *x, const float *kept, float *g, size_t rows, size_t row, float scale)
{
    const vec zero = { 0 }, factor = splat(scale);
    for (size_t r = 0; r < rows; r++, x += row, kept += row, g += row) {
        vec along = zero;
        for (size_t i = 0; i < row; i += W) along = fma_vec(load(kept + i), load(g + i), along);
        const vec sum = splat(lanes(along));
        for (size_t i = 0; i < row; i += W) {
            const vec weight = load(x + i);
            store(g + i, factor * (load(kept + i) * load(g + i) - most(weight, -weight) * sum));
        }
    }
}

static void k_softmax_kept(const float *x, float factor, float *kept, size_t n)
{
    for (size_t i = 0; i < n; i += W) store(kept + i, splat(factor) * most(load(x + i), (vec){ 0 }));
}

static void k_softmax_mark(const float *kept, float *x, size_t n)
{
    for (size_t i = 0; i < n; i += W) {
        const vec weight = load(x + i);
        store(x + i, (vec)((ints)weight ^ ((load(kept + i) <= (vec){ 0 }) & INT32_MIN)));
    }
}

/* ---- running mean ---- */

enum { ABREAST = 4 }; /* channels whose sums run side by side, in double */
typedef double doubles4 __attribute__((vector_size(32)));

INLINE floats4 sample(const float *const x[ABREAST], size_t t) { return (floats4){ x[0][t], x[1][t], x[2][t], x[3][t] }; }

static void mean_of_four(const float *const x[ABREAST], size_t width, float *r, size_t rows, size_t r_row)
{
    const double part = 1 / (double)width;
    const doubles4 scale = { part, part, part, part };
    doubles4 sum = { 0 };
    for (size_t t = 0; t + 1 < width; t++) sum += __builtin_convertvector(sample(x, t), doubles4);
    for (size_t t = 0; t < rows; t++, r += r_row) {
        sum += __builtin_convertvector(sample(x, t + width - 1), doubles4);
        const floats4 mean = __builtin_convertvector(sum * scale, floats4);
        memcpy(r, &mean, sizeof mean);
        sum -= __builtin_convertvector(sample(x, t), doubles4);
    }
}

/* A group of four that is not full repeats a channel and is cleared behind it. */
static void k_running_mean(const float *x, size_t C, size_t T, size_t width, float *r, size_t rows, size_t r_row)
{
    for (size_t c = 0; c < C; c += ABREAST) {
        const float *four[ABREAST];
        for (size_t i = 0; i < ABREAST; i++) four[i] = x + (c + i < C ? c + i : c) * T;
        mean_of_four(four, width, r + c, rows, r_row);
    }
    size_t end = (C + NDI_TILE_RUN - 1) / NDI_TILE_RUN * NDI_TILE_RUN;
    for (size_t t = 0; t < rows && end > C; t++) memset(r + t * r_row + C, 0, (end - C) * sizeof *r);
}

const tile_kernels PASTE(ndi_tile_, ND_ISA) = { k_product,  k_dots,    k_dots_f64,     k_copy,         k_turn,         k_elu,
                                                k_elu_grad, k_softmax, k_softmax_grad, k_softmax_mark, k_softmax_kept, k_running_mean };
