#include "math/resample.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "math/fft.h"

struct resampler {
    size_t n, before, after;          /* input and its padding */
    size_t padded, made, length, cut; /* input with padding; outputs before they are cut, after, and cut at the front */
    padding pad;
    fft *to, *back;
};

void ndi_resampler_free(resampler *r)
{
    if (!r) return;
    ndi_fft_free(r->to);
    ndi_fft_free(r->back);
    ndi_free(r);
}

/* Halves go to the even number, as they do in NumPy. */
static size_t round_size(double x) { return x < 1 ? 1 : (size_t)rint(x); }

nd_status ndi_resampler_create(resampler **out, size_t n, double ratio, padding pad)
{
    resampler *r;
    CHECK(n > 0 && ratio > 0 && ratio * (double)n < 1e15 && n < SIZE_MAX / 64, ND_ERR_ARGUMENT, "resample: %zu samples at %g times the rate", n,
          ratio);
    TRY(NEW(r, 1));
    const size_t least = n + 2 * (n / 8 < 100 ? n / 8 : 100);
    *r = (resampler){ .n = n, .pad = pad, .padded = 1 };
    while (r->padded < least) r->padded *= 2;
    r->before = (r->padded - n) / 2;
    r->after = r->padded - n - r->before;
    r->length = round_size(ratio * (double)n);
    r->made = round_size(ratio * (double)r->padded);
    r->cut = (size_t)rint(ratio * (double)r->before);
    if (r->cut + r->length > r->made) r->cut = r->made - r->length;
    nd_status status = ndi_fft_create(&r->to, r->padded);
    if (status == ND_OK) status = ndi_fft_create(&r->back, r->made);
    if (status != ND_OK) {
        ndi_resampler_free(r);
        return status;
    }
    *out = r;
    return ND_OK;
}

size_t ndi_resampler_length(const resampler *r) { return r->length; }

static size_t longer(const resampler *r) { return r->padded > r->made ? r->padded : r->made; }

size_t ndi_resampler_scratch(const resampler *r)
{
    const size_t to = ndi_fft_scratch(r->to), back = ndi_fft_scratch(r->back);
    return r->padded + 2 * longer(r) + (to > back ? to : back);
}

void ndi_pad_reflect(const double *x, size_t n, size_t before, size_t after, double *to)
{
    for (size_t i = 0; i < before; i++) to[i] = before - i < n ? 2 * x[0] - x[before - i] : 0;
    memcpy(to + before, x, n * sizeof *x);
    for (size_t i = 1; i <= after; i++) to[before + n + i - 1] = i < n ? 2 * x[n - 1] - x[n - 1 - i] : 0;
}

static void pad_edge(const resampler *r, const double *x, double *to)
{
    for (size_t i = 0; i < r->before; i++) to[i] = x[0];
    memcpy(to + r->before, x, r->n * sizeof *x);
    for (size_t i = 0; i < r->after; i++) to[r->before + r->n + i] = x[r->n - 1];
}

/* The middle frequency of the shorter spectrum, if its length is even, stands for two of the longer one: on the way down both are added, on the way up it is
 * shared among them. */
void ndi_resample(const resampler *r, const double *x, double *y, double *scratch)
{
    const size_t shorter = r->made < r->padded ? r->made : r->padded, kept = shorter / 2 + 1;
    double *padded = scratch, *z = padded + r->padded, *more = z + 2 * longer(r);
    const double scale = (double)r->made / (double)r->padded;
    r->pad == PADDING_EDGE ? pad_edge(r, x, padded) : ndi_pad_reflect(x, r->n, r->before, r->after, padded);
    for (size_t i = 0; i < r->padded; i++) {
        z[2 * i] = padded[i];
        z[2 * i + 1] = 0;
    }
    ndi_fft_forward(r->to, z, more);
    for (size_t k = 0; k < kept; k++) {
        const bool middle = 2 * k == shorter;
        const double factor = !middle || r->made == r->padded ? scale : r->made < r->padded ? 2 * scale : scale / 2;
        z[2 * k] *= factor;
        z[2 * k + 1] *= factor;
    }
    for (size_t k = kept; k < r->made / 2 + 1; k++) z[2 * k] = z[2 * k + 1] = 0;
    z[1] = 0;
    if (r->made % 2 == 0) z[r->made + 1] = 0;
    for (size_t k = r->made / 2 + 1; k < r->made; k++) { /* a real signal's spectrum */
        z[2 * k] = z[2 * (r->made - k)];
        z[2 * k + 1] = -z[2 * (r->made - k) + 1];
    }
    ndi_fft_inverse(r->back, z, more);
    for (size_t i = 0; i < r->length; i++) y[i] = z[2 * (r->cut + i)];
}

size_t ndi_resampler_rows_scratch(const resampler *r) { return r->n + ndi_resampler_scratch(r); }

void ndi_resample_rows(const resampler *r, const double *x, size_t step, size_t n_rows, const double *shift, double *y, double *scratch)
{
    for (size_t k = 0; k < n_rows; k++, x += step, y += r->length) {
        for (size_t i = 0; i < r->n; i++) scratch[i] = x[i] - shift[k];
        ndi_resample(r, scratch, y, scratch + r->n);
    }
}
