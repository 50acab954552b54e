/* Symmetric finite responses: design by windows, application by overlapping blocks and Fourier transforms. Two blocks of the signal go through one complex
 * transform, as its real and its imaginary part. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "math/fft.h"
#include "math/filter.h"
#include "math/resample.h"

struct fir {
    size_t taps, block; /* odd; length of the transform */
    double *response;   /* transform of the taps, complex */
    fft *plan;
};

static const double pi = 3.141592653589793238462643383279502884;
static const double width_factor = 3.3; /* of the Hamming window: taps x transition width in fractions of the rate */

void ndi_fir_free(fir *f)
{
    if (!f) return;
    ndi_fft_free(f->plan);
    ndi_free(f->response);
    ndi_free(f);
}

size_t ndi_fir_taps(const fir *f) { return f->taps; }

static size_t odd(double n) { return (size_t)n | 1; }

/* Adds sign x a low-pass of `n` taps with the cut-off c (of the rate) around the middle of h. */
static void add_low_pass(double *h, size_t taps, size_t n, double c, double sign, double *work)
{
    double sum = 0;
    const double middle = (double)(n - 1) / 2;
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i - middle, angle = 2 * pi * c * t;
        const double window = n > 1 ? 0.54 - 0.46 * cos(2 * pi * (double)i / (double)(n - 1)) : 1;
        work[i] = (t == 0 ? 2 * c : 2 * c * sin(angle) / angle) * window;
        sum += work[i];
    }
    double *to = h + (taps - n) / 2;
    for (size_t i = 0; i < n; i++) to[i] += sign * work[i] / sum;
}

static void design(double *h, size_t taps, const double *frequency, const int32_t *gain, size_t n, double *work)
{
    if (gain[n - 1]) h[taps / 2] = 1;
    for (size_t i = n - 1; i-- > 0;) {
        if (gain[i] == gain[i + 1]) continue;
        size_t length = (size_t)rint(width_factor / (frequency[i + 1] - frequency[i])) | 1;
        if (length > taps) length = taps;
        add_low_pass(h, taps, length, (frequency[i] + frequency[i + 1]) / 2, gain[i] ? 1 : -1, work);
    }
}

static nd_status transform_taps(fir *f, const double *frequency, const int32_t *gain, size_t n)
{
    double *h = NULL, *work = NULL;
    nd_status status = NEW(h, f->taps);
    if (status == ND_OK) status = NEW(work, f->taps);
    if (status == ND_OK) {
        design(h, f->taps, frequency, gain, n, work);
        for (size_t i = 0; i < f->taps; i++) f->response[2 * i] = h[i];
        ndi_fft_forward(f->plan, f->response, NULL); /* a power of two takes no scratch */
    }
    ndi_free(h);
    ndi_free(work);
    return status;
}

nd_status ndi_fir_create(fir **out, const double *frequency, const int32_t *gain, size_t n)
{
    double narrowest = 1;
    for (size_t i = 1; i < n; i++)
        if (gain[i] != gain[i - 1] && frequency[i] - frequency[i - 1] < narrowest) narrowest = frequency[i] - frequency[i - 1];
    CHECK(narrowest > 1e-7, ND_ERR_ARGUMENT, "filter: a transition as narrow as %g of the rate", narrowest);
    fir *f;
    TRY(NEW(f, 1));
    f->taps = odd(ceil(width_factor / narrowest));
    for (f->block = 1024; f->block < 4 * f->taps;) f->block *= 2;
    nd_status status = NEW(f->response, 2 * f->block);
    if (status == ND_OK) status = ndi_fft_create(&f->plan, f->block);
    if (status == ND_OK) status = transform_taps(f, frequency, gain, n);
    if (status != ND_OK) {
        ndi_fir_free(f);
        return status;
    }
    *out = f;
    return ND_OK;
}

size_t ndi_fir_scratch(const fir *f, size_t n) { return n + f->taps - 1 + 2 * f->block; }

static void convolve(const fir *f, double *z)
{
    ndi_fft_forward(f->plan, z, NULL);
    for (size_t k = 0; k < f->block; k++) {
        const double *h = f->response + 2 * k, re = z[2 * k] * h[0] - z[2 * k + 1] * h[1];
        z[2 * k + 1] = z[2 * k] * h[1] + z[2 * k + 1] * h[0];
        z[2 * k] = re;
    }
    ndi_fft_inverse(f->plan, z, NULL);
}

void ndi_fir_apply(const fir *f, double *x, size_t n, double *scratch)
{
    const size_t half = f->taps / 2, all = n + 2 * half, step = f->block - 2 * half;
    double *padded = scratch, *z = scratch + all;
    ndi_pad_reflect(x, n, half, half, padded);
    for (size_t from = 0; from < n; from += 2 * step) {
        for (size_t i = 0; i < f->block; i++) {
            z[2 * i] = from + i < all ? padded[from + i] : 0;
            z[2 * i + 1] = from + step + i < all ? padded[from + step + i] : 0;
        }
        convolve(f, z);
        for (size_t i = 0; i < step; i++) {
            if (from + i < n) x[from + i] = z[2 * (2 * half + i)];
            if (from + step + i < n) x[from + step + i] = z[2 * (2 * half + i) + 1];
        }
    }
}
