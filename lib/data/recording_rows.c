#include "data/recording_rows.h"

#include <math.h>
#include <string.h>

#include "base/text.h"

/* Workers are as few as fit into so much memory, though never none. */
enum { WORK_BYTES = 384 << 20, MESSAGE_SIZE = 512 };

typedef struct outcome {
    nd_status status;
    char message[MESSAGE_SIZE];
} outcome;

typedef struct job {
    const row_work *w;
    const nd_recording *r;
    origin *from, *to; /* the same for work in place */
    size_t n, m;       /* samples before and after */
    double *scratch;   /* per_worker numbers for each */
    size_t per_worker, first;
    outcome *outcomes; /* per worker's task */
} job;

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

static nd_status work_on(const job *j, size_t c, double *x)
{
    const bool in_place = j->from == j->to, trigger = strcmp(ndi_recording_channel(j->r, c)->type, "stim") == 0;
    double *y = in_place ? x : x + j->n, *scratch = y + (in_place ? j->n : j->m);
    if (in_place && !ndi_recording_is_signal(j->r, c)) return ND_OK;
    TRY(ndi_rows_read(j->from->samples, c, 0, j->n, x));
    if (!in_place && trigger)
        resample_trigger(x, j->n, y, j->m);
    else
        j->w->apply(j->w->plan, x, j->n, y, scratch);
    return ndi_rows_write(j->to->samples, c, 0, j->m, y);
}

static void row_task(void *context, size_t task, size_t worker)
{
    const job *j = context;
    outcome *what = &j->outcomes[task];
    what->status = work_on(j, j->first + task, j->scratch + worker * j->per_worker);
    if (what->status != ND_OK) ndi_format(what->message, sizeof what->message, "%s", nd_last_error());
}

static nd_status create_pool(pool **p, const job *j)
{
    const size_t fits = (size_t)WORK_BYTES / sizeof(double) / j->per_worker;
    TRY(ndi_pool_create(p, j->w->n_threads));
    if (ndi_pool_threads(*p) <= (fits ? fits : 1)) return ND_OK;
    ndi_pool_free(*p);
    return ndi_pool_create(p, fits ? (int32_t)fits : 1);
}

static nd_status run_batches(job *j, pool *p, progress *report)
{
    const size_t n_workers = ndi_pool_threads(p), n = j->r->n_channels;
    for (size_t count; j->first < n; j->first += count) {
        count = n - j->first < n_workers ? n - j->first : n_workers;
        ndi_pool_run(p, count, row_task, j);
        for (size_t i = 0; i < count; i++)
            if (j->outcomes[i].status != ND_OK) return ndi_fail(j->outcomes[i].status, "%s", j->outcomes[i].message);
        TRY(ndi_progress_at(report, j->first + count));
    }
    return ND_OK;
}

static nd_status run(job *j, nd_progress_fn fn, void *user)
{
    progress report;
    pool *p;
    j->n = (size_t)j->from->s.n_samples;
    j->m = (size_t)j->to->s.n_samples;
    j->per_worker = j->n + (j->from == j->to ? 0 : j->m) + j->w->n_scratch;
    TRY(create_pool(&p, j));
    ndi_progress_begin(&report, fn, user, j->w->stage, "channels", 0, j->r->n_channels);
    nd_status status = NEW(j->scratch, ndi_pool_threads(p) * j->per_worker);
    if (status == ND_OK) status = NEW(j->outcomes, ndi_pool_threads(p));
    if (status == ND_OK) status = run_batches(j, p, &report);
    ndi_free(j->scratch);
    ndi_free(j->outcomes);
    ndi_pool_free(p);
    return status;
}

static nd_status copy(origin **s, const nd_recording *r, nd_progress_fn fn, void *user)
{
    progress report;
    ndi_progress_begin(&report, fn, user, "read", "samples", 0, r->n_samples);
    return ndi_recording_copy_samples(s, r, NULL, NULL, &report);
}

nd_status ndi_recording_change_rows(nd_recording **out, const nd_recording *from, const row_work *w, nd_progress_fn fn, void *user)
{
    job j = { .w = w, .r = from };
    TRY(copy(&j.from, from, fn, user));
    j.to = j.from;
    nd_status status = run(&j, fn, user);
    if (status == ND_OK) return ndi_recording_replace(out, from, j.to);
    ndi_origin_free(j.to);
    return status;
}

static void move_marks(nd_recording *r, double ratio)
{
    for (size_t i = 0; i < r->n_marks; i++) {
        const double sample = rint((double)r->marks[i].sample * ratio), last = (double)r->n_samples - 1;
        r->marks[i].sample = (uint64_t)(sample < last ? sample : last);
        r->marks[i].duration = (uint64_t)rint((double)r->marks[i].duration * ratio);
    }
}

nd_status ndi_recording_resample_rows(nd_recording **out, const nd_recording *from, const row_work *w, nd_progress_fn fn, void *user)
{
    job j = { .w = w, .r = from };
    TRY(copy(&j.from, from, fn, user));
    nd_status status = ndi_origin_of_rows(&j.to, from, from->n_channels, w->length, w->rate);
    if (status == ND_OK) {
        status = run(&j, fn, user);
        if (status == ND_OK)
            status = ndi_recording_replace(out, from, j.to);
        else
            ndi_origin_free(j.to);
    }
    ndi_origin_free(j.from);
    if (status == ND_OK) move_marks(*out, w->rate / ndi_recording_rate(from));
    return status;
}
