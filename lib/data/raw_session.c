#include "data/raw_session.h"

#include <math.h>
#include <string.h>

#include "base/mersenne.h"
#include "base/text.h"
#include "io/feed.h"
#include "io/format.h"
#include "math/covariance.h"
#include "math/resample.h"
#include "math/vec.h"

enum { BATCH = 256, CHUNK = 4, MAX_CHUNKS = BATCH / CHUNK + 1, MOST_SAMPLES = 1 << 16 };

typedef struct trial {
    uint64_t sample; /* of the event */
    int32_t image, repetition;
} trial;

typedef struct session {
    const session_plan *plan;
    nd_recording *r;
    size_t *channels;
    trial *trials;          /* in the order of time */
    size_t n_trials, batch; /* batch: trials made at a time */
    int64_t before;         /* samples from the event back to the window */
    size_t n, n_baseline;   /* samples of a window, of its baseline */
    resampler *to_rate;
    size_t n_resampled, first_kept, n_kept;
    pool *workers;
    progress report;
    /* the stretch in hand */
    double *stretch;
    uint64_t stretch_first;
    size_t stretch_n, first, count; /* samples; the trials in it */
    float *out;                     /* of its first trial */
    /* per worker and per chunk */
    double *scratch, *sums, *covariance;
    size_t n_scratch;
    size_t bad[MAX_CHUNKS]; /* 1 + the first trial of the chunk that is not finite */
} session;

/* ---- which events become which trials ---- */

/* Where each image's events are: places[begin[i]] .. places[begin[i + 1] - 1] are those of image i, in the order of time. */
typedef struct occurrences {
    size_t *begin, *places, *order;
    size_t most;
} occurrences;

static nd_status count_events(const session *s, occurrences *o)
{
    const session_plan *p = s->plan;
    TRY(NEW(o->begin, p->n_images + 2));
    TRY(NEW(o->places, s->r->n_marks + 1));
    for (size_t i = 0; i < s->r->n_marks; i++) {
        const int32_t code = s->r->marks[i].code;
        if (code == TARGET_CODE) continue;
        CHECK(code >= 1 && (size_t)code <= p->n_images, ND_ERR_FORMAT, "%s: event of code %d at sample %llu, expected an image from 1 to %zu or %d",
              p->path, (int)code, (unsigned long long)s->r->marks[i].sample, p->n_images, TARGET_CODE);
        o->begin[code + 1]++;
    }
    for (size_t k = 0; k < p->n_images; k++) {
        const size_t n = o->begin[k + 2];
        CHECK(n >= p->repetitions || (n == 0 && !p->all_images), ND_ERR_FORMAT, "%s: image %zu stands %zu times, expected %zu (%s says how often)",
              p->path, k + 1, n, p->repetitions, p->all_images ? "test_repetitions" : "repetitions");
        o->most = n > o->most ? n : o->most;
        o->begin[k + 2] += o->begin[k + 1];
    }
    for (size_t i = 0; i < s->r->n_marks; i++)
        if (s->r->marks[i].code != TARGET_CODE) o->places[o->begin[s->r->marks[i].code]++] = i;
    return ND_OK;
}

/* After counting, begin[i] is where image i ends. */
static void choose_repetitions(const session *s, const occurrences *o, int32_t *repetition)
{
    for (size_t i = 0; i < s->r->n_marks; i++) repetition[i] = -1;
    for (size_t k = 0, from = 0; k < s->plan->n_images; from = o->begin[++k]) {
        const size_t n = o->begin[k + 1] - from;
        if (n == 0) continue;
        ndi_numpy_permutation(s->plan->seed, n, o->order);
        for (size_t i = 0; i < s->plan->repetitions; i++) repetition[o->places[from + o->order[i]]] = (int32_t)i;
    }
}

static nd_status take_trials(session *s, const int32_t *repetition)
{
    TRY(NEW(s->trials, s->r->n_marks + 1));
    for (size_t i = 0; i < s->r->n_marks; i++) {
        const mark *m = &s->r->marks[i];
        if (repetition[i] < 0) continue;
        const int64_t first = (int64_t)m->sample - s->before;
        CHECK(first >= 0 && (uint64_t)first + s->n <= s->r->n_samples, ND_ERR_FORMAT,
              "%s: the epoch of the event at sample %llu is not all inside the recording of %llu samples", s->plan->path,
              (unsigned long long)m->sample, (unsigned long long)s->r->n_samples);
        s->trials[s->n_trials++] = (trial){ m->sample, m->code - 1, repetition[i] };
    }
    CHECK(s->n_trials, ND_ERR_FORMAT, "%s: has no events of images", s->plan->path);
    return ND_OK;
}

static nd_status find_trials(session *s)
{
    occurrences o = { 0 };
    int32_t *repetition = NULL;
    nd_status status;
    GO(count_events(s, &o));
    GO(NEW(o.order, o.most + 1));
    GO(NEW(repetition, s->r->n_marks + 1));
    choose_repetitions(s, &o, repetition);
    GO(take_trials(s, repetition));
done:
    ndi_free(o.begin);
    ndi_free(o.places);
    ndi_free(o.order);
    ndi_free(repetition);
    return status;
}

/* ---- trials of a stretch of the recording ---- */

static double mean(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* scratch: what the resampler needs, then resampled channels, then those kept. */
static void make_trial(const session *s, const trial *t, float *made, double *scratch, double *sum)
{
    const size_t p = s->plan->n_channels;
    const double *x = s->stretch + (t->sample - (uint64_t)s->before - s->stretch_first);
    double *baseline = scratch, *y = baseline + p, *kept = y + p * s->n_resampled, *more = kept + p * s->n_kept;
    for (size_t c = 0; c < p; c++) baseline[c] = mean(x + c * s->stretch_n, s->n_baseline);
    ndi_resample_rows(s->to_rate, x, s->stretch_n, p, baseline, y, more);
    for (size_t c = 0; c < p; c++) memcpy(kept + c * s->n_kept, y + c * s->n_resampled + s->first_kept, s->n_kept * sizeof *kept);
    for (size_t i = 0; i < p * s->n_kept; i++) made[i] = (float)kept[i];
    if (s->plan->covariance) ndi_shrunk_covariance(kept, p, s->n_kept, 1, sum, more);
}

static void make_chunk(void *context, size_t task, size_t worker)
{
    session *s = context;
    const size_t from = task * CHUNK, stop = from + CHUNK < s->count ? from + CHUNK : s->count, p = s->plan->n_channels, size = p * s->n_kept;
    double *sum = s->sums + task * p * p;
    memset(sum, 0, p * p * sizeof *sum);
    s->bad[task] = 0;
    for (size_t i = from; i < stop; i++) {
        make_trial(s, &s->trials[s->first + i], s->out + i * size, s->scratch + worker * s->n_scratch, sum);
        if (!s->bad[task] && !ndi_all_finite(s->out + i * size, size)) s->bad[task] = 1 + s->first + i;
    }
}

static nd_status check_finite(const session *s, size_t n_chunks)
{
    for (size_t k = 0; k < n_chunks; k++)
        CHECK(!s->bad[k], ND_ERR_NUMERIC, "%s: the epoch of the event at sample %llu holds NaN, infinity or a number beyond float32", s->plan->path,
              (unsigned long long)s->trials[s->bad[k] - 1].sample);
    return ND_OK;
}

/* The trials from `first` on, `most` of them or as many as fit into the memory for a stretch. */
static nd_status make_stretch(session *s, size_t first, size_t most, float *to)
{
    const size_t size = s->plan->n_channels * s->plan->n_channels;
    s->first = first;
    s->out = to;
    s->stretch_first = s->trials[first].sample - (uint64_t)s->before;
    for (s->count = 0; s->count < most; s->count++) {
        const size_t n = (size_t)(s->trials[first + s->count].sample - s->trials[first].sample) + s->n;
        if (s->count > 0 && n > MOST_SAMPLES) break;
        s->stretch_n = n;
    }
    TRY(ndi_recording_read_some(s->r, s->channels, s->plan->n_channels, s->stretch_first, s->stretch_n, s->stretch));
    const size_t n_chunks = (s->count + CHUNK - 1) / CHUNK;
    ndi_pool_run(s->workers, n_chunks, make_chunk, s);
    for (size_t k = 0; k < n_chunks; k++)
        for (size_t i = 0; i < size; i++) s->covariance[i] += s->sums[k * size + i];
    return check_finite(s, n_chunks);
}

static nd_status make_trials(void *context, size_t first, size_t count, void *trials)
{
    session *s = context;
    for (size_t done = 0; done < count; done += s->count)
        TRY(make_stretch(s, first + done, count - done, (float *)trials + done * s->plan->n_channels * s->n_kept));
    return ndi_progress_at(&s->report, first + count);
}

/* Asked for when all trials are made. Every image has as many repetitions as any other, so the mean over images of means over repetitions is the mean over trials. */
static nd_status fill_covariance(void *context, size_t first, size_t count, void *elements)
{
    const session *s = context;
    for (size_t i = 0; i < count; i++) ((double *)elements)[i] = s->covariance[first + i] / (double)s->n_trials;
    return ND_OK;
}

/* ---- sizes and memory ---- */

nd_status ndi_session_samples(const session_plan *p, size_t *first_kept, size_t *n_samples)
{
    resampler *r;
    const size_t n = (size_t)(rint(p->end * RAW_RATE) - rint(p->start * RAW_RATE)) + 1;
    TRY(ndi_resampler_create(&r, n, p->rate / RAW_RATE, PADDING_EDGE));
    const size_t length = ndi_resampler_length(r);
    ndi_resampler_free(r);
    *first_kept = (size_t)rint(fmax(p->keep - p->start, 0) * p->rate);
    CHECK(*first_kept < length, ND_ERR_ARGUMENT, "things-eeg2: no sample of a trial is left from %g s on", p->keep);
    *n_samples = length - *first_kept;
    return ND_OK;
}

static size_t scratch_size(size_t p, size_t n_resampled, size_t n_kept, size_t for_resampling)
{
    const size_t for_covariance = ndi_shrunk_scratch(p, n_kept);
    return p + p * n_resampled + p * n_kept + (for_resampling > for_covariance ? for_resampling : for_covariance);
}

uint64_t ndi_session_memory(size_t p, size_t n_samples, size_t n_workers)
{
    const uint64_t stretch = (uint64_t)p * (MOST_SAMPLES + 8192) * sizeof(double), batch = (uint64_t)BATCH * p * n_samples * sizeof(float);
    return stretch + batch + (MAX_CHUNKS + 4) * p * p * sizeof(double) + n_workers * ((uint64_t)p * n_samples * 4 + 65536) * sizeof(double) +
           (8 << 20);
}

/* All trials may fit into less than there is room for; one always does. */
static size_t longest_stretch(const session *s)
{
    const uint64_t all = s->trials[s->n_trials - 1].sample - s->trials[0].sample + s->n;
    return all < MOST_SAMPLES ? (size_t)all : MOST_SAMPLES > s->n ? MOST_SAMPLES : s->n;
}

static nd_status prepare(session *s)
{
    const session_plan *plan = s->plan;
    const size_t p = plan->n_channels, n_workers = ndi_pool_threads(s->workers);
    s->before = (int64_t)rint(-plan->start * RAW_RATE);
    s->n_baseline = (size_t)s->before + 1;
    s->n = (size_t)(rint(plan->end * RAW_RATE) + (double)s->before) + 1;
    TRY(ndi_session_samples(plan, &s->first_kept, &s->n_kept));
    TRY(ndi_resampler_create(&s->to_rate, s->n, plan->rate / RAW_RATE, PADDING_EDGE));
    s->n_resampled = ndi_resampler_length(s->to_rate);
    s->n_scratch = scratch_size(p, s->n_resampled, s->n_kept, ndi_resampler_rows_scratch(s->to_rate));
    TRY(NEW(s->channels, p));
    TRY(ndi_session_channels(s->r, plan->path, plan->channels, p, s->channels));
    TRY(find_trials(s));
    TRY(NEW(s->stretch, p * longest_stretch(s)));
    TRY(NEW(s->scratch, n_workers * s->n_scratch));
    s->batch = s->n_trials < (size_t)BATCH ? s->n_trials : (size_t)BATCH;
    TRY(NEW(s->sums, (s->batch + CHUNK - 1) / CHUNK * p * p));
    return NEW(s->covariance, p * p);
}

/* ---- the whole ---- */

nd_status ndi_session_channels(const nd_recording *r, const char *path, const char *const *channels, size_t n_channels, size_t *found)
{
    text missing = { 0 };
    for (size_t i = 0; i < n_channels; i++) {
        size_t c = 0;
        while (c < r->n_channels && strcmp(ndi_recording_channel(r, c)->name, channels[i]) != 0) c++;
        if (c == r->n_channels) ndi_text_add(&missing, " %s", channels[i]);
        found[i] = c;
    }
    nd_status status = missing.n ? ndi_fail(ND_ERR_FORMAT, "%s: lacks the channels%s", path, missing.s) : ndi_text_status(&missing);
    ndi_text_free(&missing);
    return status;
}

static nd_status write_file(session *s, const char *to, float *buffer, int32_t *image, int32_t *repetition)
{
    const size_t p = s->plan->n_channels;
    feed f = { make_trials, s, s->n_trials, p * s->n_kept, sizeof(float), s->batch, buffer, 0, 0 };
    for (size_t i = 0; i < s->n_trials; i++) {
        image[i] = s->trials[i].image;
        repetition[i] = s->trials[i].repetition;
    }
    const put_array arrays[] = {
        { .name = "data", .type = DTYPE_F32, .n_dims = 3, .shape = { s->n_trials, p, s->n_kept }, .fill = ndi_feed_fill, .context = &f },
        { .name = "covariance", .type = DTYPE_F64, .n_dims = 2, .shape = { p, p }, .fill = fill_covariance, .context = s },
        { .name = "image", .type = DTYPE_I32, .n_dims = 1, .shape = { s->n_trials }, .data = image },
        { .name = "repetition", .type = DTYPE_I32, .n_dims = 1, .shape = { s->n_trials }, .data = repetition },
    };
    return ndi_format_write(to, "pickle", &(put){ .arrays = arrays, .n_arrays = COUNT(arrays) });
}

static nd_status open_with_events(nd_recording **r, const char *path)
{
    nd_recording *plain;
    TRY(ndi_recording_open(&plain, path, &ndi_recording_defaults));
    nd_status status = ndi_prefix(ndi_recording_find_events(r, plain, &ndi_events_defaults), "%s", path);
    ndi_recording_free(plain);
    return status;
}

nd_status ndi_session_write(const session_plan *plan, const char *to, pool *workers, nd_progress_fn fn, void *user)
{
    session s = { .plan = plan, .workers = workers };
    float *buffer = NULL;
    int32_t *labels = NULL;
    nd_status status;
    GO(open_with_events(&s.r, plan->path));
    GO(prepare(&s));
    ndi_progress_begin(&s.report, fn, user, "epoch", "trials", 0, s.n_trials);
    GO(NEW(buffer, s.batch * plan->n_channels * s.n_kept));
    GO(NEW(labels, 2 * s.n_trials));
    GO(write_file(&s, to, buffer, labels, labels + s.n_trials));
done:
    ndi_free(buffer);
    ndi_free(labels);
    ndi_free(s.stretch);
    ndi_free(s.scratch);
    ndi_free(s.sums);
    ndi_free(s.covariance);
    ndi_free(s.trials);
    ndi_free(s.channels);
    ndi_resampler_free(s.to_rate);
    ndi_recording_free(s.r);
    return status;
}

/* ---- reading the file ---- */

static nd_status read_labels(const session_trials *t, const char *name, int32_t **to)
{
    const array *a;
    TRY(ndi_content_pick(t->file, name, &a));
    CHECK(a->type == DTYPE_I32 && a->n == t->n_trials, ND_ERR_FORMAT, "array '%s': %zu numbers for %zu trials", name, a->n, t->n_trials);
    TRY(NEW(*to, t->n_trials));
    TRY(ndi_array_read_native(a, 0, a->n, *to));
    for (size_t i = 0; i < t->n_trials; i++)
        CHECK((*to)[i] >= 0, ND_ERR_FORMAT, "array '%s': entry %zu is %d, expected numbers from 0", name, i, (int)(*to)[i]);
    return ND_OK;
}

static nd_status read_file(session_trials *t, const char *path)
{
    TRY(ndi_content_open(&t->file, path));
    TRY(ndi_content_pick(t->file, "data", &t->data));
    CHECK(t->data->n_dims == 3, ND_ERR_FORMAT, "array 'data' has %zu dimensions, expected 3", t->data->n_dims);
    t->n_trials = t->data->shape[0];
    t->n_channels = t->data->shape[1];
    t->n_samples = t->data->shape[2];
    TRY(read_labels(t, "image", &t->image));
    return read_labels(t, "repetition", &t->repetition);
}

nd_status ndi_session_open(session_trials *t, const char *path)
{
    *t = (session_trials){ 0 };
    nd_status status = ndi_prefix(read_file(t, path), "%s", path);
    if (status != ND_OK) ndi_session_close(t);
    return status;
}

void ndi_session_close(session_trials *t)
{
    ndi_content_free(t->file);
    ndi_free(t->image);
    ndi_free(t->repetition);
    *t = (session_trials){ 0 };
}

nd_status ndi_session_covariance(const session_trials *t, double *covariance)
{
    const array *a;
    TRY(ndi_content_pick(t->file, "covariance", &a));
    CHECK(a->n == t->n_channels * t->n_channels, ND_ERR_FORMAT, "%s: array 'covariance' has %zu numbers for %zu channels", ndi_stream_name(a->in),
          a->n, t->n_channels);
    return ndi_array_read_f64(a, 0, a->n, covariance);
}
