#include "math/polyphase.h"

#include <math.h>

#include "base/mem.h"

enum { MOST = 10000, HALF_PERIODS = 10 };

struct polyphase {
    size_t up, down, half; /* taps on each side of the middle one */
    double *taps;
};

static const double pi = 3.141592653589793238462643383279502884;
static const double beta = 5;

void ndi_polyphase_free(polyphase *p)
{
    if (!p) return;
    ndi_free(p->taps);
    ndi_free(p);
}

/* Modified Bessel function of the first kind, order 0: sum over k of ((x / 2)^k / k!)^2. */
static double bessel_i0(double x)
{
    double sum = 1, term = 1;
    for (double k = 1; term > 1e-18 * sum; k++) {
        term *= x * x / (4 * k * k);
        sum += term;
    }
    return sum;
}

/* The least whole numbers with up / down = ratio: convergents of its continued fraction. */
static nd_status find_ratio(polyphase *p, double rate, double new_rate)
{
    double x = new_rate / rate, before[2] = { 0, 1 }, now[2] = { 1, 0 };
    for (int i = 0; i < 32; i++) {
        const double whole = floor(x), up = whole * now[0] + before[0], down = whole * now[1] + before[1];
        if (up > MOST || down > MOST) break;
        before[0] = now[0];
        before[1] = now[1];
        now[0] = up;
        now[1] = down;
        if (up > 0 && fabs(up * rate - down * new_rate) <= 1e-9 * up * rate) {
            p->up = (size_t)up;
            p->down = (size_t)down;
            return ND_OK;
        }
        x = 1 / (x - whole);
    }
    return ndi_fail(ND_ERR_ARGUMENT, "resample: from %.10g to %.10g Hz is no ratio of whole numbers up to %d; by way of the spectrum any rate goes",
                    rate, new_rate, MOST);
}

static void design(polyphase *p)
{
    const size_t n = 2 * p->half + 1;
    const double cut = 1 / (double)(p->up > p->down ? p->up : p->down), i0 = bessel_i0(beta);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double t = (double)i - (double)p->half, at = t / (double)p->half, angle = pi * cut * t;
        const double window = bessel_i0(beta * sqrt(fmax(0, 1 - at * at))) / i0;
        p->taps[i] = cut * (t == 0 ? 1 : sin(angle) / angle) * window;
        sum += p->taps[i];
    }
    for (size_t i = 0; i < n; i++) p->taps[i] *= (double)p->up / sum;
}

nd_status ndi_polyphase_create(polyphase **out, double rate, double new_rate)
{
    polyphase *p;
    TRY(NEW(p, 1));
    nd_status status = find_ratio(p, rate, new_rate);
    p->half = HALF_PERIODS * (p->up > p->down ? p->up : p->down);
    if (status == ND_OK) status = NEW(p->taps, 2 * p->half + 1);
    if (status != ND_OK) {
        ndi_polyphase_free(p);
        return status;
    }
    design(p);
    *out = p;
    return ND_OK;
}

size_t ndi_polyphase_length(const polyphase *p, size_t n) { return n / p->down * p->up + (n % p->down * p->up + p->down - 1) / p->down; }

void ndi_polyphase_apply(const polyphase *p, const double *x, size_t n, double *y)
{
    const size_t length = ndi_polyphase_length(p, n);
    for (size_t j = 0; j < length; j++) {
        const size_t at = j * p->down, reach = at + p->half, least = at > p->half ? at - p->half : 0;
        const size_t first = (least + p->up - 1) / p->up, last = reach / p->up < n - 1 ? reach / p->up : n - 1;
        double sum = 0;
        for (size_t i = first; i <= last; i++) sum += p->taps[reach - i * p->up] * x[i];
        y[j] = sum;
    }
}
