#include "math/resample.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "math/fft.h"
#include "math/vec.h"

struct resampler {
    size_t n, before, after;          /* input and its padding */
    size_t padded, made, length, cut; /* input with padding; outputs before they are cut, after, and cut at the front */
    padding pad;
    fft *to, *back;
    size_t *in_order; /* 0, 1, ..., made - 1 */
};

void ndi_resampler_free(resampler *r)
{
    if (!r) return;
    ndi_fft_free(r->to);
    ndi_fft_free(r->back);
    ndi_free(r->in_order);
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
    if (status == ND_OK) status = NEW(r->in_order, r->made);
    if (status != ND_OK) {
        ndi_resampler_free(r);
        return status;
    }
    for (size_t i = 0; i < r->made; i++) r->in_order[i] = i;
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

/* ---- many signals: two as the real and the imaginary part of one, NDI_LANES of these side by side ---- */

enum { LANES = NDI_LANES, ELEMENT = 2 * LANES, ROWS = 2 * LANES };

/* Up to ROWS signals, shifted and padded, at the places where the transform wants them; what is not there is zero. */
static void load_rows(const resampler *r, const double *x, size_t step, size_t n_rows, const double *shift, double *z)
{
    const size_t *place = ndi_fft_places(r->to);
    for (size_t i = 0; i < r->padded; i++) {
        const size_t at = i < r->before ? 0 : i - r->before < r->n ? i - r->before : r->n - 1;
        double *element = z + place[i] * ELEMENT;
        for (size_t k = 0; k < n_rows; k++) element[k / 2 + (k % 2) * LANES] = x[k * step + at] - (shift ? shift[k] : 0);
        for (size_t k = n_rows; k < ROWS; k++) element[k / 2 + (k % 2) * LANES] = 0;
    }
}

/* y <- factor (a + b) */
static void add_bins(const double *a, const double *b, double factor, double *y)
{
    for (size_t l = 0; l < ELEMENT; l++) y[l] = factor * (a[l] + b[l]);
}

/* y <- factor a with real and imaginary parts exchanged, which makes the transform back one forth. */
static void move_bin(const double *a, double factor, double *y)
{
    for (size_t l = 0; l < LANES; l++) {
        y[l] = factor * a[LANES + l];
        y[LANES + l] = factor * a[l];
    }
}

/* The spectrum of two real signals in one has no symmetry: bins k and N - k are moved each for itself. The middle one of the shorter spectrum as in ndi_resample(): on the way down the sum of both,
 * on the way up half of it on each side. `place`: where bin k of the result goes. */
static void move_spectrum(const resampler *r, const double *z, double *y, const size_t *place, double *middle)
{
    const size_t shorter = r->made < r->padded ? r->made : r->padded, sides = (shorter - 1) / 2;
    const double scale = 1 / (double)r->padded; /* of the longer transform and of the inverse */
    memset(y, 0, r->made * ELEMENT * sizeof *y);
    move_bin(z, scale, y + place[0] * ELEMENT);
    for (size_t k = 1; k <= sides; k++) {
        move_bin(z + k * ELEMENT, scale, y + place[k] * ELEMENT);
        move_bin(z + (r->padded - k) * ELEMENT, scale, y + place[r->made - k] * ELEMENT);
    }
    if (shorter % 2) return;
    add_bins(z + shorter / 2 * ELEMENT, z + (r->padded - shorter / 2) * ELEMENT, r->made < r->padded ? 1 : 0.5, middle);
    move_bin(middle, r->made > r->padded ? scale / 2 : scale, y + place[shorter / 2] * ELEMENT);
    if (r->made > r->padded) move_bin(middle, scale / 2, y + place[r->made - shorter / 2] * ELEMENT);
}

static void back_one_by_one(const resampler *r, double *y, double *z, double *more)
{
    for (size_t l = 0; l < LANES; l++) {
        for (size_t k = 0; k < r->made; k++) {
            z[2 * k] = y[k * ELEMENT + l];
            z[2 * k + 1] = y[k * ELEMENT + LANES + l];
        }
        ndi_fft_forward(r->back, z, more);
        for (size_t k = 0; k < r->made; k++) {
            y[k * ELEMENT + l] = z[2 * k];
            y[k * ELEMENT + LANES + l] = z[2 * k + 1];
        }
    }
}

size_t ndi_resampler_rows_scratch(const resampler *r)
{
    const size_t spectra = (r->padded + r->made + 1) * ELEMENT;
    return spectra + (ndi_fft_places(r->back) ? 0 : 2 * r->made + ndi_fft_scratch(r->back));
}

void ndi_resample_rows(const resampler *r, const double *x, size_t step, size_t n_rows, const double *shift, double *to, double *scratch)
{
    const size_t *place = ndi_fft_places(r->back);
    double *z = scratch, *y = z + r->padded * ELEMENT, *middle = y + r->made * ELEMENT, *more = middle + ELEMENT;
    for (size_t first = 0, n; first < n_rows; first += n) {
        n = n_rows - first < (size_t)ROWS ? n_rows - first : (size_t)ROWS;
        load_rows(r, x + first * step, step, n, shift ? shift + first : NULL, z);
        ndi_fft_lanes(r->to, z);
        move_spectrum(r, z, y, place ? place : r->in_order, middle);
        place ? ndi_fft_lanes(r->back, y) : back_one_by_one(r, y, more, more + 2 * r->made);
        for (size_t k = 0; k < n; k++) /* parts are still exchanged */
            for (size_t i = 0; i < r->length; i++) to[(first + k) * r->length + i] = y[(r->cut + i) * ELEMENT + k / 2 + (k % 2 ? 0 : LANES)];
    }
}
