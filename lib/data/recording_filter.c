/* Filters and resampling of recordings: the samples are copied into memory, then each channel is worked on from end to end by one worker. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/recording.h"
#include "math/filter.h"
#include "math/resample.h"

enum { MAX_NOTCHES = 64 };

const nd_filter_options ndi_filter_defaults = { .size = sizeof(nd_filter_options), .kind = ND_FILTER_FIR, .order = 4 };

/* Work on the channels of a copy, some at a time so that the caller hears of it and can stop it. */
typedef struct work {
    const nd_recording *r;
    origin *from, *to; /* the same for work in place */
    const sections *iir;
    const fir *response;
    const resampler *resample;
    double *scratch; /* n_scratch for each worker */
    size_t n_scratch, first;
    pool *p;
} work;

/* y_i = the first value other than 0 of its span of the old samples. */
static void resample_trigger(const double *x, size_t n, double *y, size_t m)
{
    const double ratio = (double)m / (double)n;
    for (size_t i = 0; i < m; i++) {
        size_t from = (size_t)((double)i / ratio), stop = i + 1 < m ? (size_t)((double)(i + 1) / ratio) : n;
        if (from > n - 1) from = n - 1;
        if (i + 1 < m && stop > n - 1) stop = n - 1;
        y[i] = x[from];
        for (size_t k = from; k < stop && y[i] == 0; k++) y[i] = x[k];
    }
}

static void channel_task(void *context, size_t task, size_t worker)
{
    const work *w = context;
    const size_t c = w->first + task, n = (size_t)w->from->s.n_samples, m = (size_t)w->to->s.n_samples;
    double *x = w->from->samples + c * n, *y = w->to->samples + c * m, *scratch = w->scratch + worker * w->n_scratch;
    if (w->resample && strcmp(ndi_recording_channel(w->r, c)->type, "stim") == 0)
        resample_trigger(x, n, y, m);
    else if (w->resample)
        ndi_resample(w->resample, x, y, scratch);
    else if (!ndi_recording_is_signal(w->r, c))
        return;
    else if (w->iir)
        ndi_sections_apply(w->iir, x, n, scratch);
    else
        ndi_fir_apply(w->response, x, n, scratch);
}

static nd_status run(work *w, int32_t n_threads, progress *report)
{
    TRY(ndi_pool_create(&w->p, n_threads));
    const size_t n_workers = ndi_pool_threads(w->p), n = w->r->n_channels;
    nd_status status = NEW(w->scratch, n_workers * w->n_scratch);
    for (size_t count; w->first < n && status == ND_OK; w->first += count) {
        count = n - w->first < n_workers ? n - w->first : n_workers;
        ndi_pool_run(w->p, count, channel_task, w);
        status = ndi_progress_at(report, w->first + count);
    }
    ndi_free(w->scratch);
    ndi_pool_free(w->p);
    return status;
}

/* ---- filters ---- */

static nd_status filter(nd_recording **out, work *w, int32_t n_threads, nd_progress_fn fn, void *user)
{
    progress report;
    ndi_progress_begin(&report, fn, user, "read", "samples", 0, w->r->n_samples);
    TRY(ndi_recording_copy_samples(&w->from, w->r, &report));
    w->to = w->from;
    ndi_progress_begin(&report, fn, user, "filter", "channels", 0, w->r->n_channels);
    nd_status status = run(w, n_threads, &report);
    if (status == ND_OK) return ndi_recording_replace(out, w->r, w->from);
    ndi_origin_free(w->from);
    return status;
}

static nd_status filter_fir(nd_recording **out, const nd_recording *from, const double *frequency, const int32_t *gain, size_t n, int32_t n_threads,
                            nd_progress_fn fn, void *user)
{
    fir *f;
    TRY(ndi_fir_create(&f, frequency, gain, n));
    nd_status status =
        filter(out, &(work){ .r = from, .response = f, .n_scratch = ndi_fir_scratch(f, (size_t)from->n_samples) }, n_threads, fn, user);
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
    return filter(out, &(work){ .r = from, .iir = &f, .n_scratch = (size_t)from->n_samples + 2 * f.edge }, o->n_threads, fn, user);
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

/* ---- resampling ---- */

static void move_marks(nd_recording *r, double ratio)
{
    for (size_t i = 0; i < r->n_marks; i++) {
        const double sample = rint((double)r->marks[i].sample * ratio), last = (double)r->n_samples - 1;
        r->marks[i].sample = (uint64_t)(sample < last ? sample : last);
        r->marks[i].duration = (uint64_t)rint((double)r->marks[i].duration * ratio);
    }
}

static nd_status resample(nd_recording **out, work *w, double rate, progress *report)
{
    const nd_recording *r = w->r;
    ndi_progress_begin(report, report->fn, report->user, "read", "samples", 0, r->n_samples);
    TRY(ndi_recording_copy_samples(&w->from, r, report));
    nd_status status = ndi_origin_in_memory(&w->to, r, r->n_channels, ndi_resampler_length(w->resample), rate);
    if (status == ND_OK) {
        ndi_progress_begin(report, report->fn, report->user, "resample", "channels", 0, r->n_channels);
        status = run(w, 0, report);
        if (status == ND_OK)
            status = ndi_recording_replace(out, r, w->to);
        else
            ndi_origin_free(w->to);
    }
    ndi_origin_free(w->from);
    return status;
}

nd_status ndi_recording_resample(nd_recording **out, const nd_recording *from, double rate, nd_progress_fn fn, void *user)
{
    CHECK(rate > 0 && isfinite(rate), ND_ERR_ARGUMENT, "resample: rate %g, expected more than 0", rate);
    const double ratio = rate / ndi_recording_rate(from);
    progress report = { .fn = fn, .user = user };
    resampler *plan;
    if (ratio == 1) return ndi_recording_derive(out, from);
    TRY(ndi_resampler_create(&plan, (size_t)from->n_samples, ratio, PADDING_REFLECT));
    nd_status status = resample(out, &(work){ .r = from, .resample = plan, .n_scratch = ndi_resampler_scratch(plan) }, rate, &report);
    if (status == ND_OK) move_marks(*out, ratio);
    ndi_resampler_free(plan);
    return status;
}
