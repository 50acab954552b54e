/* Butterworth filters: poles of the analogue prototype on the unit circle, moved to the edges, and to the z plane by the bilinear transform
 * z = (4 + s) / (4 - s) with edges warped to 4 tan(pi f). Applied forwards and backwards from the state a constant would have led to. */
#include <complex.h>
#include <math.h>
#include <string.h>

#include "math/filter.h"
#include "math/resample.h"

static const double pi = 3.141592653589793238462643383279502884;

typedef struct design {
    sections *f;
    double low, high;  /* warped; 0 = none */
    double complex at; /* where the gain is 1 */
} design;

static double complex to_z(double complex s) { return (4 + s) / (4 - s); }

/* One section with the poles p and q (conjugate or both real; q = 0 with first = true: only p), zeros by the kind of filter. */
static void add_section(const design *d, double complex p, double complex q, bool first)
{
    section *s = &d->f->s[d->f->n++];
    const double zero = d->low > 0 ? 1 : -1; /* of a high-pass at z = 1, of a low-pass at z = -1 */
    const bool band = d->low > 0 && d->high > 0;
    *s = (section){ .a = { 1, -creal(p + q), creal(p * q) }, .b = { 1, band ? 0 : first ? -zero : -2 * zero, band ? -1 : first ? 0 : 1 } };
    const double complex z = 1 / d->at;
    const double gain = cabs((s->a[0] + s->a[1] * z + s->a[2] * z * z) / (s->b[0] + s->b[1] * z + s->b[2] * z * z));
    for (size_t i = 0; i < 3; i++) s->b[i] *= gain;
}

/* What becomes of a pole of the prototype (and of its conjugate, where it is not real). */
static void add_pole(const design *d, double complex pole, bool real)
{
    if (d->low > 0 && d->high > 0) {
        const double complex half = pole * (d->high - d->low) / 2, root = csqrt(half * half - d->low * d->high);
        const double complex p = to_z(half + root), q = to_z(half - root);
        if (real) {
            add_section(d, p, q, false);
        } else {
            add_section(d, p, conj(p), false);
            add_section(d, q, conj(q), false);
        }
        return;
    }
    const double complex p = to_z(d->low > 0 ? d->low / pole : pole * d->high);
    add_section(d, p, real ? 0 : conj(p), real);
}

/* The state in which a constant 1 passes unchanged through a section in transposed direct form II; the next one sees the constant times the gain. */
static void find_starts(sections *f)
{
    double level = 1;
    for (size_t i = 0; i < f->n; i++) {
        section *s = &f->s[i];
        const double out = level * (s->b[0] + s->b[1] + s->b[2]) / (s->a[0] + s->a[1] + s->a[2]);
        s->start[0] = out - s->b[0] * level;
        s->start[1] = s->b[2] * level - s->a[2] * out;
        level = out;
    }
}

nd_status ndi_butterworth(sections *f, int32_t order, double low, double high)
{
    CHECK(order >= 1 && order <= NDI_MAX_ORDER, ND_ERR_ARGUMENT, "filter: order %d, expected 1 to %d", (int)order, NDI_MAX_ORDER);
    *f = (sections){ 0 };
    const design d = { f, low > 0 ? 4 * tan(pi * low) : 0, high > 0 ? 4 * tan(pi * high) : 0,
                       low > 0 && high > 0 ? to_z(I * 4 * sqrt(tan(pi * low) * tan(pi * high)))
                       : low > 0           ? -1
                                           : 1 };
    for (int32_t k = 0; 2 * k < order; k++) {
        const bool real = 2 * k + 1 == order;
        const double angle = pi * (2 * k + order + 1) / (2.0 * order);
        add_pole(&d, real ? -1 : cexp(I * angle), real);
    }
    const size_t n_poles = (size_t)order * (low > 0 && high > 0 ? 2 : 1);
    f->edge = 3 * (n_poles + 1);
    find_starts(f);
    return ND_OK;
}

static void run(const sections *f, double *x, size_t n)
{
    const double first = x[0];
    for (size_t k = 0; k < f->n; k++) {
        const section *s = &f->s[k];
        double u = s->start[0] * first, v = s->start[1] * first;
        for (size_t i = 0; i < n; i++) {
            const double in = x[i], out = s->b[0] * in + u;
            u = s->b[1] * in - s->a[1] * out + v;
            v = s->b[2] * in - s->a[2] * out;
            x[i] = out;
        }
    }
}

static void reverse(double *x, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        const double t = x[i];
        x[i] = x[n - 1 - i];
        x[n - 1 - i] = t;
    }
}

void ndi_sections_apply(const sections *f, double *x, size_t n, double *scratch)
{
    const size_t all = n + 2 * f->edge;
    ndi_pad_reflect(x, n, f->edge, f->edge, scratch);
    for (size_t pass = 0; pass < 2; pass++) {
        run(f, scratch, all);
        reverse(scratch, all);
    }
    memcpy(x, scratch + f->edge, n * sizeof *x);
}
