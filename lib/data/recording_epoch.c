/* From a recording to trials. A window of round(start x rate) .. round(end x rate) samples around an event, both ends included; its baseline is taken off,
 * it is measured for rejection and thinned. Trials are made in parallel, each by one worker, in the order of the events. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "data/epoch_events.h"
#include "data/normalise.h"
#include "data/view.h"

enum { BATCH = 256, MESSAGE_SIZE = 512, BASELINE_MEAN = 1, BASELINE_ZSCORE = 2 };

const nd_epoch_options ndi_epoch_defaults = {
    .size = sizeof(nd_epoch_options), .start = -0.2, .end = 1, .baseline_start = (double)NAN, .baseline = BASELINE_MEAN, .decimate = 1
};

typedef enum fate { FATE_KEPT, FATE_OUTSIDE, FATE_BAD, FATE_PEAK, FATE_FLAT, FATE_COUNT } fate;

typedef struct outcome {
    fate fate;
    size_t channel; /* that decided */
    nd_status status;
    char message[MESSAGE_SIZE];
} outcome;

typedef struct cutter {
    const nd_recording *r;
    const nd_epoch_options *o;
    size_t *channels, n_channels;
    int64_t first;                 /* samples from the event to the window */
    size_t n, thin_first, step;    /* samples of the window; the first that is kept and the step */
    size_t base_first, base_count; /* baseline */
    double *reject, *flat;         /* per channel */
    epoch_events events;
    size_t begun;    /* event that the batch in hand begins with */
    double *scratch; /* a window for each worker */
    outcome *batch;
    storage *s;
    size_t n_kept;
    nd_epoch_report report;
    size_t *blame; /* per channel */
} cutter;

/* ---- one window ---- */

static bool meets_bad_span(const nd_recording *r, int64_t first, int64_t stop)
{
    for (size_t i = 0; i < r->n_marks; i++) {
        const mark *m = &r->marks[i];
        const int64_t from = (int64_t)m->sample, to = from + (int64_t)(m->duration ? m->duration : 1);
        if (ndi_mark_is_bad(m) && from < stop && to > first) return true;
    }
    return false;
}

static void subtract_baseline(const cutter *k, double *x)
{
    double sum = 0, squares = 0;
    const double *b = x + k->base_first, n = (double)k->base_count;
    for (size_t i = 0; i < k->base_count; i++) sum += b[i];
    const double mean = sum / n;
    for (size_t i = 0; i < k->base_count; i++) squares += (b[i] - mean) * (b[i] - mean);
    const double sd = sqrt(squares / n), scale = k->o->baseline != BASELINE_ZSCORE ? 1 : sd > 0 ? 1 / sd : 0;
    for (size_t i = 0; i < k->n; i++) x[i] = (x[i] - mean) * scale;
}

static double peak_to_peak(const double *x, size_t n)
{
    double low = x[0], high = x[0];
    for (size_t i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    return high - low;
}

/* Amplitudes count before the baseline is divided by, so that the limits are in the channels' unit. */
static fate judge(const cutter *k, const double *x, size_t *channel_index)
{
    for (size_t c = 0; c < k->n_channels; c++, x += k->n) {
        const double amplitude = k->reject || k->flat ? peak_to_peak(x, k->n) : 0;
        *channel_index = c;
        if (k->reject && amplitude > k->reject[c]) return FATE_PEAK;
        if (k->flat && amplitude < k->flat[c]) return FATE_FLAT;
    }
    return FATE_KEPT;
}

static nd_status cut(const cutter *k, size_t index, double *x, float *trial, outcome *what)
{
    const epoch_event *e = &k->events.items[index];
    const int64_t first = (int64_t)e->sample + k->first;
    what->fate = FATE_OUTSIDE;
    if (first < 0 || (uint64_t)first > k->r->n_samples || k->n > k->r->n_samples - (uint64_t)first) return ND_OK;
    what->fate = FATE_BAD;
    if (meets_bad_span(k->r, first, first + (int64_t)k->n)) return ND_OK;
    TRY(ndi_recording_read_some(k->r, k->channels, k->n_channels, (uint64_t)first, k->n, x));
    what->fate = judge(k, x, &what->channel);
    if (what->fate != FATE_KEPT) return ND_OK;
    for (size_t c = 0; c < k->n_channels; c++, x += k->n) {
        if (!ndi_finite_f64(x, k->n))
            return ndi_not_finite("epochs", index, k->events.images.items[e->image], 0, ndi_recording_channel(k->r, k->channels[c])->name);
        if (k->base_count) subtract_baseline(k, x);
        for (size_t i = k->thin_first; i < k->n; i += k->step) *trial++ = (float)x[i];
    }
    return ND_OK;
}

static size_t trial_size(const cutter *k) { return k->n_channels * k->s->n_samples; }

static void cut_task(void *context, size_t task, size_t worker)
{
    cutter *k = context;
    outcome *what = &k->batch[task];
    float *trial = k->s->owned + (k->begun + task) * trial_size(k); /* never before the trial it is moved to */
    what->status = cut(k, k->begun + task, k->scratch + worker * k->n_channels * k->n, trial, what);
    if (what->status != ND_OK) snprintf(what->message, sizeof what->message, "%s", nd_last_error());
}

/* Moves the trials of the batch that are kept behind those that were kept before. */
static nd_status collect(cutter *k, size_t count)
{
    size_t *const counts[FATE_COUNT] = { &k->report.n_kept, &k->report.n_outside, &k->report.n_bad, &k->report.n_peak_to_peak, &k->report.n_flat };
    for (size_t i = 0; i < count; i++) {
        const outcome *what = &k->batch[i];
        if (what->status != ND_OK) return ndi_fail(what->status, "%s", what->message);
        ++*counts[what->fate];
        if (what->fate == FATE_PEAK || what->fate == FATE_FLAT) k->blame[what->channel]++;
        if (what->fate != FATE_KEPT) continue;
        memmove(k->s->owned + k->n_kept * trial_size(k), k->s->owned + (k->begun + i) * trial_size(k), trial_size(k) * sizeof(float));
        k->s->image[k->n_kept] = (uint32_t)k->events.items[k->begun + i].image;
        k->s->subject[k->n_kept++] = k->o->subject;
    }
    return ND_OK;
}

static nd_status cut_all(cutter *k, nd_progress_fn fn, void *user)
{
    progress report;
    pool *p;
    TRY(ndi_pool_create(&p, k->o->n_threads));
    ndi_progress_begin(&report, fn, user, "epoch", "events", 0, k->events.n);
    nd_status status = NEW(k->scratch, ndi_pool_threads(p) * k->n_channels * k->n);
    for (size_t count; k->begun < k->events.n && status == ND_OK; k->begun += count) {
        count = k->events.n - k->begun < (size_t)BATCH ? k->events.n - k->begun : (size_t)BATCH;
        memset(k->batch, 0, BATCH * sizeof *k->batch);
        ndi_pool_run(p, count, cut_task, k);
        status = collect(k, count);
        if (status == ND_OK) status = ndi_progress_at(&report, k->begun + count);
    }
    ndi_pool_free(p);
    return status;
}

/* ---- what the options say ---- */

static nd_status plan_window(cutter *k)
{
    const nd_epoch_options *o = k->o;
    const double rate = ndi_recording_rate(k->r), first = rint(o->start * rate), last = rint(o->end * rate);
    CHECK(isfinite(first) && isfinite(last) && first <= last && last - first < 1e9 && fabs(first) < 1e15, ND_ERR_ARGUMENT, "epochs: from %g to %g s",
          o->start, o->end);
    CHECK(o->decimate >= 1, ND_ERR_ARGUMENT, "epochs: decimate %d, expected at least 1", (int)o->decimate);
    CHECK(o->baseline >= 0 && o->baseline <= BASELINE_ZSCORE, ND_ERR_ARGUMENT, "epochs: baseline %d, expected 0, 1 or 2", (int)o->baseline);
    k->first = (int64_t)first;
    k->n = (size_t)(last - first) + 1;
    k->step = (size_t)o->decimate;
    const int64_t step = o->decimate, to_zero = ((-k->first) % step + step) % step; /* time 0 is one of those kept */
    k->thin_first = (size_t)to_zero;
    CHECK(k->thin_first < k->n, ND_ERR_ARGUMENT, "epochs: decimate %d leaves nothing of %zu samples", (int)o->decimate, k->n);
    if (!o->baseline) return ND_OK;
    const double from = isnan(o->baseline_start) ? first : rint(o->baseline_start * rate),
                 to = isnan(o->baseline_end) ? last : rint(o->baseline_end * rate);
    CHECK(from >= first && to <= last && from <= to, ND_ERR_ARGUMENT, "epochs: baseline from %g to %g s, expected a part of %g to %g s", from / rate,
          to / rate, first / rate, last / rate);
    k->base_first = (size_t)(from - first);
    k->base_count = (size_t)(to - from) + 1;
    return ND_OK;
}

static nd_status pick_channels(cutter *k)
{
    TRY(NEW(k->channels, k->r->n_channels));
    if (k->o->channels) return ndi_recording_pick(k->r, k->o->channels, k->channels, &k->n_channels);
    for (size_t c = 0; c < k->r->n_channels; c++)
        if (ndi_recording_is_signal(k->r, c) && !ndi_recording_channel(k->r, c)->bad) k->channels[k->n_channels++] = c;
    CHECK(k->n_channels, ND_ERR_ARGUMENT, "epochs: the recording has no channels of signals; name some");
    return ND_OK;
}

/* "eeg=150e-6 eog=250e-6": a limit for each channel of these types, `none` for the others. */
static nd_status read_limits(const cutter *k, const char *list, const char *what, double none, double **limits)
{
    const char *word;
    size_t n;
    if (!list) return ND_OK;
    TRY(NEW(*limits, k->n_channels));
    for (size_t c = 0; c < k->n_channels; c++) (*limits)[c] = none;
    while (ndi_next_word(&list, &word, &n)) {
        const char *equals = memchr(word, '=', n);
        double limit;
        bool found = false;
        CHECK(equals && ndi_parse_double(equals + 1, word + n, &limit) && limit >= 0, ND_ERR_ARGUMENT,
              "epochs: %s: got '%.*s', expected type=amplitude", what, (int)n, word);
        for (size_t c = 0; c < k->n_channels; c++) {
            const char *type = ndi_recording_channel(k->r, k->channels[c])->type;
            if (strlen(type) != (size_t)(equals - word) || memcmp(type, word, strlen(type)) != 0) continue;
            (*limits)[c] = limit;
            found = true;
        }
        CHECK(found, ND_ERR_ARGUMENT, "epochs: %s: the trials have no channel of type '%.*s'", what, (int)(equals - word), word);
    }
    return ND_OK;
}

static nd_status prepare(cutter *k)
{
    const double rate = ndi_recording_rate(k->r);
    TRY(plan_window(k));
    TRY(pick_channels(k));
    TRY(read_limits(k, k->o->reject, "reject", (double)INFINITY, &k->reject));
    TRY(read_limits(k, k->o->flat, "flat", -1, &k->flat));
    TRY(ndi_epoch_events(&k->events, k->r, k->o));
    TRY(NEW(k->batch, BATCH));
    TRY(NEW(k->blame, k->n_channels));
    TRY(ndi_storage_create(&k->s, k->events.n, k->n_channels, (k->n - k->thin_first + k->step - 1) / k->step));
    k->s->rate = rate / (double)k->step;
    k->s->start = (double)(k->first + (int64_t)k->thin_first) / rate;
    for (size_t c = 0; c < k->n_channels; c++) {
        size_t index;
        TRY(ndi_add_id(&k->s->channels, ndi_recording_channel(k->r, k->channels[c])->name, "name of a channel", &index));
    }
    return ndi_storage_alloc(k->s);
}

/* ---- the whole ---- */

static void fill_report(cutter *k)
{
    k->report.n_events = k->events.n;
    for (size_t c = 0; c < k->n_channels; c++) {
        if (k->blame[c] <= k->report.worst_count) continue;
        k->report.worst_count = k->blame[c];
        k->report.worst_channel = c;
    }
}

static nd_status finish(cutter *k)
{
    fill_report(k);
    CHECK(k->n_kept, ND_ERR_ARGUMENT, "epochs: none of %zu events is left: %zu outside of the recording, %zu in bad spans, %zu too large, %zu flat",
          k->events.n, k->report.n_outside, k->report.n_bad, k->report.n_peak_to_peak, k->report.n_flat);
    k->s->n_trials = k->n_kept;
    k->s->images = k->events.images;
    k->events.images = (ids){ 0 };
    return ndi_storage_count_repetitions(k->s);
}

nd_status ndi_recording_epoch(nd_dataset **d, const nd_recording *from, const nd_epoch_options *o, nd_epoch_report *report, nd_progress_fn fn,
                              void *user)
{
    cutter k = { .r = from, .o = o };
    nd_status status = prepare(&k);
    if (status == ND_OK) status = cut_all(&k, fn, user);
    if (status == ND_OK) status = finish(&k);
    *report = k.report;
    report->size = sizeof *report;
    ndi_free(k.channels);
    ndi_free(k.reject);
    ndi_free(k.flat);
    ndi_free(k.scratch);
    ndi_free(k.batch);
    ndi_free(k.blame);
    ndi_epoch_events_free(&k.events);
    if (status == ND_OK) return ndi_dataset_of_storage(d, k.s);
    ndi_storage_free(k.s);
    return status;
}
