/* Discrete Fourier transforms of few samples of many rows side by side, in compiler vectors; compiled once per instruction set.
 *
 * NDI_COLUMNS rows are transformed together, two by two as real and imaginary part of one complex row z, by Stockham's steps of radix 4, 2, 3 and 5. The transforms of the two are
 * (Z[k] + conj Z[N - k]) / 2 and (Z[k] - conj Z[N - k]) / 2i. */
#include "math/butterflies.h"
#include "math/conv_kernels.h"

enum { MOST = NDI_MAX_SPECTRUM, HALF = NDI_COLUMNS / 2 };

/* Complex samples of LANES rows: number i stands `row` numbers behind number i - 1. */
typedef struct source {
    const float *re, *im;
    size_t row;
} source;

typedef struct target {
    float *re, *im;
    size_t row;
} target;

INLINE source read_back(target t) { return (source){ t.re, t.im, t.row }; }
INLINE cvec get(const source *x, size_t i) { return (cvec){ load(x->re + i * x->row), load(x->im + i * x->row) }; }

INLINE void put(const target *y, size_t i, cvec v)
{
    store(y->re + i * y->row, v.re);
    store(y->im + i * y->row, v.im);
}

/* One step of transforms of n numbers, of which `stride` run side by side. */
INLINE void step(size_t radix, source x, target y, size_t n, size_t stride, size_t N, const float *roots)
{
    size_t parts = n / radix;
    for (size_t p = 0; p < parts; p++) {
        vec c[MOST_RADIX], s[MOST_RADIX];
        for (size_t j = 1; j < radix; j++) {
            const float *root = roots + 2 * (p * j * (N / n));
            c[j] = splat(root[0]);
            s[j] = splat(root[1]);
        }
        for (size_t q = 0; q < stride; q++) {
            cvec v[MOST_RADIX];
            for (size_t j = 0; j < radix; j++) v[j] = get(&x, q + stride * (p + parts * j));
            butterfly(radix, v);
            put(&y, q + stride * radix * p, v[0]);
            for (size_t j = 1; j < radix; j++) put(&y, q + stride * (radix * p + j), p > 0 ? turned(v[j], c[j], s[j]) : v[j]);
        }
    }
}

static void step2(source x, target y, size_t n, size_t stride, size_t N, const float *roots) { step(2, x, y, n, stride, N, roots); }
static void step3(source x, target y, size_t n, size_t stride, size_t N, const float *roots) { step(3, x, y, n, stride, N, roots); }
static void step4(source x, target y, size_t n, size_t stride, size_t N, const float *roots) { step(4, x, y, n, stride, N, roots); }
static void step8(source x, target y, size_t n, size_t stride, size_t N, const float *roots) { step(8, x, y, n, stride, N, roots); }
static void step5(source x, target y, size_t n, size_t stride, size_t N, const float *roots) { step(5, x, y, n, stride, N, roots); }

typedef struct buffers {
    vec of[2][2 * MOST];
} buffers;

static target buffer(buffers *b, size_t i) { return (target){ (float *)b->of[i], (float *)b->of[i] + LANES, 2 * LANES }; }

/* Into `last`, or where it is NULL, a buffer; returns where. x may be the buffer 1. */
static source transform(source x, buffers *room, size_t N, const float *roots, const target *last)
{
    size_t to = 0;
    for (size_t n = N, stride = 1, radix; n > 1; n /= radix, stride *= radix, to = 1 - to) {
        radix = ndi_radix(n);
        target y = last && n == radix ? *last : buffer(room, to);
        (radix == 8 ? step8 : radix == 4 ? step4 : radix == 2 ? step2 : radix == 3 ? step3 : step5)(x, y, n, stride, N, roots);
        x = read_back(y);
    }
    return x;
}

static void spectrum(const float *z, size_t row, size_t N, const float *roots, float sign, float *planes, size_t stride)
{
    buffers room;
    vec half = splat(0.5f), s = splat(sign);
    for (size_t v = 0; v < HALF; v += LANES) {
        source t = transform((source){ z + v, z + HALF + v, row }, &room, N, roots, NULL);
        float *to = planes + v;
        cvec first = get(&t, 0), middle = get(&t, N / 2);
        store(to, first.re);
        store(to + HALF, first.im);
        store(to + stride, middle.re);
        store(to + stride + HALF, middle.im);
        to += 2 * stride;
        for (size_t k = 1; k < N / 2; k++, to += 3 * stride) {
            cvec a = get(&t, k), b = get(&t, N - k);
            vec re1 = half * (a.re + b.re), im1 = half * (a.im - b.im), re2 = half * (a.im + b.im), im2 = half * (b.re - a.re);
            store(to, re1);
            store(to + HALF, re2);
            store(to + stride, im1);
            store(to + stride + HALF, im2);
            store(to + 2 * stride, re1 + s * im1);
            store(to + 2 * stride + HALF, re2 + s * im2);
        }
    }
}

/* The transform backwards is that with real and imaginary parts in each other's place, before and behind. */
static void samples(const float *planes, size_t stride, size_t N, const float *roots, float sign, float *z)
{
    buffers room;
    vec s = splat(sign);
    for (size_t v = 0; v < HALF; v += LANES) {
        target a = buffer(&room, 1), last = { z + HALF + v, z + v, NDI_COLUMNS };
        const float *from = planes + v;
        put(&a, 0, (cvec){ load(from + HALF), load(from) });
        put(&a, N / 2, (cvec){ load(from + stride + HALF), load(from + stride) });
        from += 2 * stride;
        for (size_t k = 1; k < N / 2; k++, from += 3 * stride) {
            vec p1 = load(from), p2 = load(from + stride), p3 = load(from + 2 * stride);
            vec re1 = p1 + s * p2, im1 = s * (p3 - p1) + p2;
            p1 = load(from + HALF), p2 = load(from + stride + HALF), p3 = load(from + 2 * stride + HALF);
            vec re2 = p1 + s * p2, im2 = s * (p3 - p1) + p2;
            put(&a, k, (cvec){ im1 + re2, re1 - im2 });
            put(&a, N - k, (cvec){ re2 - im1, re1 + im2 });
        }
        transform(read_back(a), &room, N, roots, &last);
    }
}

const fft_kernels ISA_NAME(ndi_fft_) = { spectrum, samples };
