/* Discrete Fourier transforms of N = 16, 32 or 64 samples of many rows side by side, in compiler vectors; compiled once per instruction set.
 *
 * NDI_COLUMNS rows are transformed together, two by two as real and imaginary part of one complex row z. Its transform is that of Stockham with radix 4 (a step of radix 2 at the end where
 * N asks for it), and those of its parts are (Z[k] + conj Z[N - k]) / 2 and (Z[k] - conj Z[N - k]) / 2i. */
#include "math/conv_kernels.h"

#include "math/isa.h"

enum { MOST = NDI_MAX_SPECTRUM, HALF = NDI_COLUMNS / 2 };

typedef struct row {
    vec re[MOST], im[MOST];
} row;

/* sin(2 pi k / 64), k = 0 to 16 */
static const float quarter[] = { 0,
                                 0.09801714f,
                                 0.19509032f,
                                 0.29028468f,
                                 0.38268343f,
                                 0.47139674f,
                                 0.55557023f,
                                 0.63439328f,
                                 0.70710678f,
                                 0.77301045f,
                                 0.83146961f,
                                 0.88192126f,
                                 0.92387953f,
                                 0.95694034f,
                                 0.98078528f,
                                 0.99518473f,
                                 1 };

static float sine(size_t k)
{
    k %= 64;
    float s = quarter[k % 32 <= 16 ? k % 32 : 32 - k % 32];
    return k < 32 ? s : -s;
}

/* to[at] = (a + i b) exp(-2 pi i k / 64) */
static inline void put(row *to, size_t at, vec a, vec b, size_t k)
{
    if (k == 0) {
        to->re[at] = a;
        to->im[at] = b;
        return;
    }
    vec c = splat(sine(k + 16)), s = splat(sine(k));
    to->re[at] = c * a + s * b;
    to->im[at] = c * b - s * a;
}

/* One step for transforms of n samples, of which `stride` run side by side. */
static inline void step4(const row *x, row *y, size_t n, size_t stride)
{
    for (size_t p = 0; p < n / 4; p++)
        for (size_t q = 0; q < stride; q++) {
            size_t a = q + stride * p, b = a + stride * (n / 4), c = b + stride * (n / 4), d = c + stride * (n / 4), to = q + stride * 4 * p,
                   turn = p * (64 / n);
            vec sum_re = x->re[a] + x->re[c], sum_im = x->im[a] + x->im[c], less_re = x->re[a] - x->re[c], less_im = x->im[a] - x->im[c];
            vec other_re = x->re[b] + x->re[d], other_im = x->im[b] + x->im[d], turned_re = x->im[d] - x->im[b], turned_im = x->re[b] - x->re[d];
            y->re[to] = sum_re + other_re;
            y->im[to] = sum_im + other_im;
            put(y, to + stride, less_re - turned_re, less_im - turned_im, turn);
            put(y, to + 2 * stride, sum_re - other_re, sum_im - other_im, 2 * turn);
            put(y, to + 3 * stride, less_re + turned_re, less_im + turned_im, 3 * turn);
        }
}

static inline void step2(const row *x, row *y, size_t stride)
{
    for (size_t q = 0; q < stride; q++) {
        y->re[q] = x->re[q] + x->re[q + stride];
        y->im[q] = x->im[q] + x->im[q + stride];
        y->re[q + stride] = x->re[q] - x->re[q + stride];
        y->im[q + stride] = x->im[q] - x->im[q + stride];
    }
}

/* Returns where the result is. */
static row *transform(row *x, row *y, size_t N)
{
    size_t n = N, stride = 1;
    for (; n >= 4; n /= 4, stride *= 4) {
        step4(x, y, n, stride);
        row *t = x;
        x = y;
        y = t;
    }
    if (n == 1) return x;
    step2(x, y, stride);
    return y;
}

static void spectrum(const float *z, size_t N, float sign, float *out, size_t stride)
{
    row a, b;
    vec half = splat(0.5f), s = splat(sign);
    for (size_t v = 0; v < HALF; v += LANES) {
        for (size_t n = 0; n < N; n++) {
            a.re[n] = load(z + n * NDI_COLUMNS + v);
            a.im[n] = load(z + n * NDI_COLUMNS + HALF + v);
        }
        const row *t = transform(&a, &b, N);
        float *to = out + v;
        store(to, t->re[0]);
        store(to + HALF, t->im[0]);
        store(to + stride, t->re[N / 2]);
        store(to + stride + HALF, t->im[N / 2]);
        to += 2 * stride;
        for (size_t k = 1; k < N / 2; k++, to += 3 * stride) {
            vec re1 = half * (t->re[k] + t->re[N - k]), im1 = half * (t->im[k] - t->im[N - k]);
            vec re2 = half * (t->im[k] + t->im[N - k]), im2 = half * (t->re[N - k] - t->re[k]);
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
static void samples(const float *in, size_t stride, size_t N, float sign, float *z)
{
    row a, b;
    vec scale = splat(1.0f / (float)N), s = splat(sign);
    for (size_t v = 0; v < HALF; v += LANES) {
        const float *from = in + v;
        a.im[0] = load(from);
        a.re[0] = load(from + HALF);
        a.im[N / 2] = load(from + stride);
        a.re[N / 2] = load(from + stride + HALF);
        from += 2 * stride;
        for (size_t k = 1; k < N / 2; k++, from += 3 * stride) {
            vec p1 = load(from), p2 = load(from + stride), p3 = load(from + 2 * stride);
            vec re1 = p1 + s * p2, im1 = s * (p3 - p1) + p2;
            p1 = load(from + HALF), p2 = load(from + stride + HALF), p3 = load(from + 2 * stride + HALF);
            vec re2 = p1 + s * p2, im2 = s * (p3 - p1) + p2;
            a.im[k] = re1 - im2;
            a.re[k] = im1 + re2;
            a.im[N - k] = re1 + im2;
            a.re[N - k] = re2 - im1;
        }
        const row *t = transform(&a, &b, N);
        for (size_t n = 0; n < N; n++) {
            store(z + n * NDI_COLUMNS + v, scale * t->im[n]);
            store(z + n * NDI_COLUMNS + HALF + v, scale * t->re[n]);
        }
    }
}

const fft_kernels ISA_NAME(ndi_fft_) = { spectrum, samples };
