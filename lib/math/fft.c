#include "math/fft.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "math/vec.h"

struct fft {
    size_t n, m;     /* length; the power of two that is transformed */
    double *roots;   /* exp(-2 pi i k / m), k < m / 2 */
    size_t *reverse; /* the bits of k backwards */
    double *chirp;   /* exp(-pi i j^2 / n), j < n; NULL for powers of two */
    double *kernel;  /* transform of the chirp's conjugate, wrapped around, over m */
};

static const double pi = 3.141592653589793238462643383279502884;

void ndi_fft_free(fft *f)
{
    if (!f) return;
    ndi_free(f->roots);
    ndi_free(f->reverse);
    ndi_free(f->chirp);
    ndi_free(f->kernel);
    ndi_free(f);
}

size_t ndi_fft_scratch(const fft *f) { return f->chirp ? 2 * f->m : 0; }

static void swap(double *a, double *b)
{
    const double t[2] = { a[0], a[1] };
    memcpy(a, b, sizeof t);
    memcpy(b, t, sizeof t);
}

/* Length m, in place: x' = a + w b and a - w b over halves of 1, 2, 4, ... */
static void transform(const fft *f, double *x)
{
    for (size_t k = 0; k < f->m; k++)
        if (k < f->reverse[k]) swap(x + 2 * k, x + 2 * f->reverse[k]);
    for (size_t half = 1; half < f->m; half *= 2) {
        const size_t stride = f->m / (2 * half);
        for (size_t from = 0; from < f->m; from += 2 * half) {
            double *a = x + 2 * from, *b = a + 2 * half;
            for (size_t k = 0; k < half; k++) {
                const double *w = f->roots + 2 * k * stride;
                const double re = w[0] * b[2 * k] - w[1] * b[2 * k + 1], im = w[0] * b[2 * k + 1] + w[1] * b[2 * k];
                b[2 * k] = a[2 * k] - re;
                b[2 * k + 1] = a[2 * k + 1] - im;
                a[2 * k] += re;
                a[2 * k + 1] += im;
            }
        }
    }
}

static void multiply(double *x, const double *by, size_t n)
{
    for (size_t k = 0; k < n; k++) {
        const double re = x[2 * k] * by[2 * k] - x[2 * k + 1] * by[2 * k + 1];
        x[2 * k + 1] = x[2 * k] * by[2 * k + 1] + x[2 * k + 1] * by[2 * k];
        x[2 * k] = re;
    }
}

static void conjugate(double *x, size_t n)
{
    for (size_t k = 0; k < n; k++) x[2 * k + 1] = -x[2 * k + 1];
}

/* jk = (j^2 + k^2 - (k - j)^2) / 2 makes the sum a convolution with a chirp. */
static void by_chirp(const fft *f, double *x, double *y)
{
    memcpy(y, x, 2 * f->n * sizeof *x);
    memset(y + 2 * f->n, 0, 2 * (f->m - f->n) * sizeof *x);
    multiply(y, f->chirp, f->n);
    transform(f, y);
    multiply(y, f->kernel, f->m);
    conjugate(y, f->m);
    transform(f, y); /* the inverse, its 1 / m being in the kernel */
    conjugate(y, f->n);
    multiply(y, f->chirp, f->n);
    memcpy(x, y, 2 * f->n * sizeof *x);
}

void ndi_fft_forward(const fft *f, double *x, double *scratch)
{
    if (f->chirp)
        by_chirp(f, x, scratch);
    else
        transform(f, x);
}

void ndi_fft_inverse(const fft *f, double *x, double *scratch)
{
    conjugate(x, f->n);
    ndi_fft_forward(f, x, scratch);
    conjugate(x, f->n);
    for (size_t k = 0; k < 2 * f->n; k++) x[k] /= (double)f->n;
}

/* ---- many at once ---- */

const size_t *ndi_fft_places(const fft *f) { return f->chirp ? NULL : f->reverse; }

/* The first levels go block by block, as long as a block fits into the cache next to the processor. */
void ndi_fft_lanes(const fft *f, double *x)
{
    enum { BLOCK = 128 };
    const size_t m = f->m, block = m < (size_t)BLOCK ? m : (size_t)BLOCK;
    bool odd = false; /* number of levels: the first one goes alone */
    size_t half = 1;
    for (size_t k = 1; k < m; k *= 2) odd = !odd;
    for (size_t from = 0; from < m; from += block) {
        double *y = x + from * 2 * NDI_LANES;
        if (odd) ndi_vec->fft_one(y, block, 1, m, f->roots);
        for (half = odd ? 2 : 1; 4 * half <= block; half *= 4) ndi_vec->fft_two(y, block, half, m, f->roots);
    }
    for (; half < m; half *= 4) ndi_vec->fft_two(x, m, half, m, f->roots);
}

/* ---- plans ---- */

static nd_status plan_power(fft *f)
{
    TRY(NEW(f->roots, f->m > 1 ? f->m : 2));
    TRY(NEW(f->reverse, f->m));
    for (size_t k = 0; k < f->m / 2; k++) {
        const double angle = -2 * pi * (double)k / (double)f->m;
        f->roots[2 * k] = cos(angle);
        f->roots[2 * k + 1] = sin(angle);
    }
    for (size_t k = 1; k < f->m; k++) f->reverse[k] = f->reverse[k / 2] / 2 + (k % 2) * (f->m / 2);
    return ND_OK;
}

static nd_status plan_chirp(fft *f)
{
    const size_t n = f->n, m = f->m;
    TRY(NEW(f->chirp, 2 * n));
    TRY(NEW(f->kernel, 2 * m));
    size_t square = 0; /* j^2 mod 2 n, so that the angle stays small */
    for (size_t j = 0; j < n; j++) {
        const double angle = pi * (double)square / (double)n;
        f->chirp[2 * j] = cos(angle);
        f->chirp[2 * j + 1] = -sin(angle);
        for (size_t place = j; place < m; place = place == j && j ? m - j : m) {
            f->kernel[2 * place] = cos(angle) / (double)m;
            f->kernel[2 * place + 1] = sin(angle) / (double)m;
        }
        square = (square + 2 * j + 1) % (2 * n);
    }
    transform(f, f->kernel);
    return ND_OK;
}

nd_status ndi_fft_create(fft **out, size_t n)
{
    fft *f;
    CHECK(n > 0 && n <= SIZE_MAX / 64, ND_ERR_ARGUMENT, "Fourier transform: of %zu numbers", n);
    TRY(NEW(f, 1));
    f->n = n;
    const bool power = (n & (n - 1)) == 0;
    for (f->m = 1; f->m < (power ? n : 2 * n - 1);) f->m *= 2;
    nd_status status = plan_power(f);
    if (status == ND_OK && !power) status = plan_chirp(f);
    if (status != ND_OK) {
        ndi_fft_free(f);
        return status;
    }
    *out = f;
    return ND_OK;
}
