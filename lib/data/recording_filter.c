/* Filters of recordings: the samples are copied to rows of their own, then each channel is worked on from end to end. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/recording_rows.h"
#include "math/filter.h"

enum { MAX_NOTCHES = 64 };

const nd_filter_options ndi_filter_defaults = { .size = sizeof(nd_filter_options), .kind = ND_FILTER_FIR, .order = 4 };

static void apply_fir(const void *plan, double *x, size_t n, double *y, double *scratch)
{
    (void)y;
    ndi_fir_apply(plan, x, n, scratch);
}

static void apply_sections(const void *plan, double *x, size_t n, double *y, double *scratch)
{
    (void)y;
    ndi_sections_apply(plan, x, n, scratch);
}

static nd_status filter_fir(nd_recording **out, const nd_recording *from, const double *frequency, const int32_t *gain, size_t n, int32_t n_threads,
                            nd_progress_fn fn, void *user)
{
    fir *f;
    TRY(ndi_fir_create(&f, frequency, gain, n));
    const row_work w = {
        .stage = "filter", .apply = apply_fir, .plan = f, .n_scratch = ndi_fir_scratch(f, (size_t)from->n_samples), .n_threads = n_threads
    };
    nd_status status = ndi_recording_change_rows(out, from, &w, fn, user);
    ndi_fir_free(f);
    return status;
}

/* Transitions as MNE chooses them: a quarter of the edge, at least 2 Hz, and not beyond 0 or half the rate. */
static nd_status filter_band(nd_recording **out, const nd_recording *from, const nd_filter_options *o, nd_progress_fn fn, void *user)
{
    double frequency[6] = { 0 };
    int32_t gain[6] = { 0 };
    size_t n = 0;
    const double rate = ndi_recording_rate(from), nyquist = rate / 2;
    gain[n++] = o->low > 0 ? 0 : 1;
    if (o->low > 0) {
        const double stop = o->low - fmin(fmax(o->low / 4, 2), o->low);
        if (stop > 0) frequency[n++] = stop / rate;
        frequency[n] = o->low / rate;
        gain[n++] = 1;
    }
    if (o->high > 0) {
        const double stop = o->high + fmin(fmax(o->high / 4, 2), nyquist - o->high);
        frequency[n] = o->high / rate;
        gain[n++] = 1;
        frequency[n++] = stop / rate;
    }
    const int32_t last = o->high > 0 ? 0 : 1;
    if (frequency[n - 1] < 0.5) {
        frequency[n] = 0.5;
        gain[n++] = last;
    }
    return filter_fir(out, from, frequency, gain, n, o->n_threads, fn, user);
}

static nd_status filter_butterworth(nd_recording **out, const nd_recording *from, const nd_filter_options *o, nd_progress_fn fn, void *user)
{
    sections f;
    const double rate = ndi_recording_rate(from);
    TRY(ndi_butterworth(&f, o->order, o->low / rate, o->high / rate));
    CHECK(from->n_samples > f.edge, ND_ERR_ARGUMENT, "filter: %llu samples, expected more than %zu for this order",
          (unsigned long long)from->n_samples, f.edge);
    const row_work w = {
        .stage = "filter", .apply = apply_sections, .plan = &f, .n_scratch = (size_t)from->n_samples + 2 * f.edge, .n_threads = o->n_threads
    };
    return ndi_recording_change_rows(out, from, &w, fn, user);
}

nd_status ndi_recording_filter(nd_recording **out, const nd_recording *from, const nd_filter_options *o, nd_progress_fn fn, void *user)
{
    const double nyquist = ndi_recording_rate(from) / 2;
    CHECK(o->low >= 0 && o->high >= 0 && o->low < nyquist && o->high < nyquist && (o->low > 0 || o->high > 0), ND_ERR_ARGUMENT,
          "filter: edges %g and %g Hz, expected at least one between 0 and %g", o->low, o->high, nyquist);
    CHECK(o->low == 0 || o->high == 0 || o->low < o->high, ND_ERR_ARGUMENT, "filter: low %g is not below high %g", o->low, o->high);
    CHECK(o->kind == ND_FILTER_FIR || o->kind == ND_FILTER_BUTTERWORTH, ND_ERR_ARGUMENT, "filter: kind %d is not known", (int)o->kind);
    return o->kind == ND_FILTER_FIR ? filter_band(out, from, o, fn, user) : filter_butterworth(out, from, o, fn, user);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

nd_status ndi_recording_notch(nd_recording **out, const nd_recording *from, const double *frequencies, size_t n, nd_progress_fn fn, void *user)
{
    static const double transition = 0.5; /* Hz */
    const double rate = ndi_recording_rate(from);
    double sorted[MAX_NOTCHES], frequency[4 * MAX_NOTCHES + 2] = { 0 };
    int32_t gain[4 * MAX_NOTCHES + 2] = { 1 };
    size_t k = 1;
    CHECK(n > 0 && n <= MAX_NOTCHES, ND_ERR_ARGUMENT, "notch: got %zu frequencies, expected 1 to %d", n, MAX_NOTCHES);
    memcpy(sorted, frequencies, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, ascending);
    for (size_t i = 0; i < n; i++) {
        const double half = sorted[i] / 400, at[4] = { -half - transition, -half, half, half + transition };
        for (size_t j = 0; j < 4; j++, k++) {
            frequency[k] = (sorted[i] + at[j]) / rate;
            gain[k] = j == 0 || j == 3;
            CHECK(frequency[k] > frequency[k - 1] && frequency[k] < 0.5, ND_ERR_ARGUMENT, "notch: %g Hz is too near to 0, to %g or to the next one",
                  sorted[i], rate / 2);
        }
    }
    frequency[k] = 0.5;
    gain[k++] = 1;
    return filter_fir(out, from, frequency, gain, k, 0, fn, user);
}
