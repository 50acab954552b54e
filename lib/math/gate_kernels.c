/* Kernels of recurrent layers in compiler vectors; compiled once per instruction set. exp as in vec_kernels.c. */
#include <stdbool.h>
#include <stdint.h>

#include "math/conv_kernels.h"
#include "math/isa.h"

/* ---- a few rows times packed weights ---- */

#if defined(__AVX512F__)
enum { ROWS = 6, WIDE = 4 };
#else
enum { ROWS = 6, WIDE = 2 };
#endif

/* s[r][v] += a[r] (k numbers) times k rows of NDI_TILE columns. */
static inline void multiply_tile(size_t rows, size_t k, const float *a, size_t lda, const float *b, vec s[ROWS][WIDE])
{
    for (size_t i = 0; i < k; i++) {
        vec x[WIDE];
        for (size_t v = 0; v < WIDE; v++) x[v] = load(b + i * NDI_TILE + v * LANES);
        for (size_t r = 0; r < rows; r++) {
            vec f = splat(a[r * lda + i]);
            for (size_t v = 0; v < WIDE; v++) s[r][v] += f * x[v];
        }
    }
}

/* Up to ROWS rows and WIDE LANES columns of C, of which `columns` exist. */
static void add_tile(size_t rows, size_t columns, size_t k, const float *a, size_t lda, const float *b, float *c, size_t ldc)
{
    vec s[ROWS][WIDE];
    float room[WIDE * LANES] = { 0 };
    bool whole = columns == WIDE * LANES;
    for (size_t r = 0; r < rows; r++) {
        if (!whole) memcpy(room, c + r * ldc, columns * sizeof *c);
        for (size_t v = 0; v < WIDE; v++) s[r][v] = load((whole ? c + r * ldc : room) + v * LANES);
    }
    if (rows == ROWS)
        multiply_tile(ROWS, k, a, lda, b, s);
    else
        multiply_tile(rows, k, a, lda, b, s);
    for (size_t r = 0; r < rows; r++) {
        for (size_t v = 0; v < WIDE; v++) store((whole ? c + r * ldc : room) + v * LANES, s[r][v]);
        if (!whole) memcpy(c + r * ldc, room, columns * sizeof *c);
    }
}

static void multiply(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *packed, float *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += WIDE * LANES) {
        const float *b = packed + j / NDI_TILE * NDI_TILE * k + j % NDI_TILE;
        size_t columns = n - j < WIDE * LANES ? n - j : WIDE * LANES;
        for (size_t i = 0; i < m; i += ROWS) add_tile(m - i < ROWS ? m - i : ROWS, columns, k, a + i * lda, lda, b, c + i * ldc + j, ldc);
    }
}

/* ---- gates ---- */

typedef int32_t whole __attribute__((vector_size(4 * LANES)));

/* x >= -87 and <= 87 */
static inline vec exponential(vec x)
{
    vec magic = splat(12582912.0f), n = (x * splat(1.44269504f) + magic) - magic;
    vec r = (x - n * splat(0.693359375f)) - n * splat(-2.12194440e-4f), p = splat(1.9875691500e-4f);
    p = p * r + splat(1.3981999507e-3f);
    p = p * r + splat(8.3334519073e-3f);
    p = p * r + splat(4.1665795894e-2f);
    p = p * r + splat(1.6666665459e-1f);
    p = p * r + splat(5.0000001201e-1f);
    p = (p * (r * r) + r) + splat(1);
    return p * (vec)((__builtin_convertvector(n, whole) + 127) << 23);
}

static inline vec choose(whole mask, vec a, vec b) { return (vec)((mask & (whole)a) | (~mask & (whole)b)); }

/* Leaves what is not a number as it is. */
static inline vec limited(vec x, float limit)
{
    vec most = splat(limit);
    x = choose(x > most, most, x);
    return choose(x < -most, -most, x);
}

static inline vec sigmoid(vec x) { return splat(1) / (splat(1) + exponential(limited(-x, 87))); }
static inline vec tangent(vec x) { return splat(2) / (splat(1) + exponential(limited(splat(-2) * x, 87))) - splat(1); }

static inline void forward_lanes(float *gates, size_t H, const float *c_before, float *c, float *tanh_c, float *h)
{
    vec i = sigmoid(load(gates)), f = sigmoid(load(gates + H)), g = tangent(load(gates + 2 * H)), o = sigmoid(load(gates + 3 * H));
    vec state = i * g + f * load(c_before), t = tangent(state);
    store(gates, i);
    store(gates + H, f);
    store(gates + 2 * H, g);
    store(gates + 3 * H, o);
    store(c, state);
    store(tanh_c, t);
    store(h, o * t);
}

static inline void backward_lanes(float *gates, size_t H, const float *c_before, const float *tanh_c, const float *dh, const float *dy, float *dc)
{
    vec i = load(gates), f = load(gates + H), g = load(gates + 2 * H), o = load(gates + 3 * H), t = load(tanh_c), one = splat(1);
    vec d = load(dh) + load(dy), e = load(dc) + d * o * (one - t * t);
    store(dc, e * f);
    store(gates, e * g * i * (one - i));
    store(gates + H, e * load(c_before) * f * (one - f));
    store(gates + 2 * H, e * i * (one - g * g));
    store(gates + 3 * H, d * t * o * (one - o));
}

enum { ARRAYS = 8 };

/* The last cells of a row, fewer than LANES, in full vectors: array a of `count` numbers stands at room[a]. */
typedef struct rest {
    float room[ARRAYS][LANES];
    size_t count;
} rest;

static void take(rest *r, size_t array, const float *from) { memcpy(r->room[array], from, r->count * sizeof *from); }
static void give(const rest *r, size_t array, float *to) { memcpy(to, r->room[array], r->count * sizeof *to); }

static void lstm_forward(float *gates, size_t H, const float *c_before, float *c, float *tanh_c, float *h)
{
    size_t k = 0;
    for (; k + LANES <= H; k += LANES) forward_lanes(gates + k, H, c_before + k, c + k, tanh_c + k, h + k);
    if (k == H) return;
    rest r = { .count = H - k };
    for (size_t a = 0; a < 4; a++) take(&r, a, gates + a * H + k);
    take(&r, 4, c_before + k);
    forward_lanes(r.room[0], LANES, r.room[4], r.room[5], r.room[6], r.room[7]);
    for (size_t a = 0; a < 4; a++) give(&r, a, gates + a * H + k);
    give(&r, 5, c + k);
    give(&r, 6, tanh_c + k);
    give(&r, 7, h + k);
}

static void lstm_backward(float *gates, size_t H, const float *c_before, const float *tanh_c, const float *dh, const float *dy, float *dc)
{
    size_t k = 0;
    for (; k + LANES <= H; k += LANES) backward_lanes(gates + k, H, c_before + k, tanh_c + k, dh + k, dy + k, dc + k);
    if (k == H) return;
    rest r = { .count = H - k };
    for (size_t a = 0; a < 4; a++) take(&r, a, gates + a * H + k);
    float last_dc[LANES] = { 0 };
    take(&r, 4, c_before + k);
    take(&r, 5, tanh_c + k);
    take(&r, 6, dh + k);
    take(&r, 7, dy + k);
    memcpy(last_dc, dc + k, r.count * sizeof *dc);
    backward_lanes(r.room[0], LANES, r.room[4], r.room[5], r.room[6], r.room[7], last_dc);
    for (size_t a = 0; a < 4; a++) give(&r, a, gates + a * H + k);
    memcpy(dc + k, last_dc, r.count * sizeof *dc);
}

const gate_kernels ISA_NAME(ndi_gate_) = { multiply, lstm_forward, lstm_backward };
