/* Multivariate noise normalisation (Guggenmos et al. 2018): x(t) <- S^(-1/2) x(t) with S the covariance of the channels. S is the mean, over the images and over the
 * repetitions of each, of covariances over the samples of a trial; or, per time point, of covariances over the repetitions. Each is shrunk, see
 * math/covariance.h.
 * Trials are taken in chunks of fixed size whose sums are added in order: the same bits for any number of threads. */
#include "data/whiten.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "data/map_trials.h"
#include "math/covariance.h"
#include "math/gemm.h"

enum { CHUNK = 32, CHUNKS = 16 };

/* The trials of a dataset, those of an image together. */
typedef struct groups {
    size_t *order, *begin; /* trials by group; where each group begins */
    uint32_t *of;          /* group of each trial */
    size_t n;
} groups;

typedef struct fitter {
    const nd_dataset *d;
    groups g;
    bool per_time;
    size_t n_units, first; /* trials, or groups; the first chunk in hand */
    size_t most;           /* trials of the largest unit */
    double *sums;          /* p x p for each chunk in hand */
    float *trials;         /* those of a unit, for each worker */
    double *work;
    size_t n_work;
} fitter;

/* ---- sums over trials or groups ---- */

static void add_trial(const fitter *f, size_t unit, float *x, double *work, double *sum)
{
    const size_t p = f->d->n_channels, n = f->d->n_samples, trial = f->g.order[unit], group = f->g.of[trial];
    const double count = (double)(f->g.begin[group + 1] - f->g.begin[group]);
    ndi_dataset_read(f->d, trial, x);
    for (size_t i = 0; i < p * n; i++) work[i] = (double)x[i];
    ndi_shrunk_covariance(work, p, n, 1 / (count * (double)f->g.n), sum, work + p * n);
}

static void add_group(const fitter *f, size_t group, float *x, double *work, double *sum)
{
    const size_t p = f->d->n_channels, n = f->d->n_samples, first = f->g.begin[group], count = f->g.begin[group + 1] - first;
    for (size_t k = 0; k < count; k++) ndi_dataset_read(f->d, f->g.order[first + k], x + k * p * n);
    for (size_t t = 0; t < n; t++) {
        for (size_t i = 0; i < p; i++)
            for (size_t k = 0; k < count; k++) work[i * count + k] = (double)x[(k * p + i) * n + t];
        ndi_shrunk_covariance(work, p, count, 1 / ((double)n * (double)f->g.n), sum, work + p * f->most);
    }
}

static void chunk_task(void *context, size_t task, size_t worker)
{
    const fitter *f = context;
    const size_t p = f->d->n_channels, from = (f->first + task) * CHUNK, stop = from + CHUNK < f->n_units ? from + CHUNK : f->n_units;
    float *x = f->trials + worker * (f->per_time ? f->most : 1) * p * f->d->n_samples;
    double *sum = f->sums + task * p * p, *work = f->work + worker * f->n_work;
    memset(sum, 0, p * p * sizeof *sum);
    for (size_t unit = from; unit < stop; unit++) f->per_time ? add_group(f, unit, x, work, sum) : add_trial(f, unit, x, work, sum);
}

static nd_status sum_chunks(fitter *f, pool *p, double *covariance, progress *report)
{
    const size_t n_chunks = (f->n_units + CHUNK - 1) / CHUNK, size = f->d->n_channels * f->d->n_channels;
    for (size_t count; f->first < n_chunks; f->first += count) {
        count = n_chunks - f->first < (size_t)CHUNKS ? n_chunks - f->first : (size_t)CHUNKS;
        ndi_pool_run(p, count, chunk_task, f);
        for (size_t k = 0; k < count; k++)
            for (size_t i = 0; i < size; i++) covariance[i] += f->sums[k * size + i];
        const size_t done = (f->first + count) * CHUNK;
        TRY(ndi_progress_at(report, done < f->n_units ? done : f->n_units));
    }
    return ND_OK;
}

/* ---- groups ---- */

static nd_status find_groups(groups *g, const nd_dataset *d)
{
    int32_t *subject;
    TRY(NEW(g->of, d->n_trials));
    TRY(NEW(subject, d->n_trials));
    for (size_t i = 0; i < d->n_trials; i++) subject[i] = ndi_dataset_subject_of(d, i);
    nd_status status = ndi_number_pairs(subject, d->image, d->n_trials, g->of, &g->n);
    ndi_free(subject);
    TRY(status);
    return ndi_sort_by_group(g->of, d->n_trials, g->n, &g->order, &g->begin);
}

static nd_status prepare(fitter *f, pool *threads)
{
    const size_t p = f->d->n_channels, n = f->d->n_samples, n_workers = ndi_pool_threads(threads);
    TRY(find_groups(&f->g, f->d));
    f->n_units = f->per_time ? f->g.n : f->d->n_trials;
    for (size_t k = 0; k < f->g.n; k++) {
        const size_t count = f->g.begin[k + 1] - f->g.begin[k];
        f->most = count > f->most ? count : f->most;
        CHECK(!f->per_time || count > 1, ND_ERR_ARGUMENT, "whiten: image '%s' has one repetition; a covariance over repetitions takes two",
              f->d->images.items[f->d->image[f->g.order[f->g.begin[k]]]]);
    }
    CHECK(f->per_time || n > 1, ND_ERR_ARGUMENT, "whiten: trials of one sample; a covariance over samples takes two");
    const size_t observations = f->per_time ? f->most : n;
    f->n_work = p * observations + ndi_shrunk_scratch(p, observations);
    TRY(NEW(f->sums, CHUNKS * p * p));
    TRY(NEW(f->work, n_workers * f->n_work));
    return NEW(f->trials, n_workers * (f->per_time ? f->most : 1) * p * n);
}

/* Adds the dataset's covariance to what is there. */
static nd_status fit(const nd_dataset *d, bool per_time, double *covariance, nd_progress_fn fn, void *user)
{
    fitter f = { .d = d, .per_time = per_time };
    pool *p;
    progress report;
    TRY(ndi_pool_create(&p, 0));
    nd_status status = prepare(&f, p);
    ndi_progress_begin(&report, fn, user, "covariance", per_time ? "images" : "trials", 0, f.n_units);
    if (status == ND_OK) status = sum_chunks(&f, p, covariance, &report);
    ndi_free(f.g.order);
    ndi_free(f.g.begin);
    ndi_free(f.g.of);
    ndi_free(f.sums);
    ndi_free(f.work);
    ndi_free(f.trials);
    ndi_pool_free(p);
    return status;
}

/* ---- use ---- */

typedef struct whitener {
    const double *root;
    size_t p, n;
} whitener;

static void whiten_trial(const void *context, const float *x, float *y, double *scratch)
{
    const whitener *w = context;
    double *in = scratch, *out = scratch + w->p * w->n;
    for (size_t i = 0; i < w->p * w->n; i++) in[i] = (double)x[i];
    ndi_gemm_f64(false, false, w->p, w->n, w->p, 1, w->root, w->p, in, w->n, 0, out, w->n);
    for (size_t i = 0; i < w->p * w->n; i++) y[i] = (float)out[i];
}

static nd_status check(const nd_dataset *from, const nd_dataset *const *fits, size_t n_fits, int32_t per)
{
    CHECK(n_fits > 0, ND_ERR_ARGUMENT, "whiten: no dataset to estimate the covariance from");
    CHECK(per == ND_WHITEN_EPOCHS || per == ND_WHITEN_TIME, ND_ERR_ARGUMENT, "whiten: per %d is not known", (int)per);
    CHECK(from->normalise == ND_NORMALISE_NONE, ND_ERR_STATE, "whiten: the trials were normalised before; whiten first");
    for (size_t k = 0; k < n_fits; k++) {
        CHECK(fits[k]->n_channels == from->n_channels, ND_ERR_ARGUMENT, "whiten: a covariance of %zu channels for a dataset of %zu",
              fits[k]->n_channels, from->n_channels);
        for (size_t c = 0; c < from->n_channels; c++)
            CHECK(strcmp(ndi_dataset_channel(from, c), ndi_dataset_channel(fits[k], c)) == 0, ND_ERR_ARGUMENT,
                  "whiten: channel %zu is '%s' where the covariance comes from, expected '%s'", c, ndi_dataset_channel(fits[k], c),
                  ndi_dataset_channel(from, c));
    }
    return ND_OK;
}

nd_status ndi_dataset_whiten(nd_dataset **d, const nd_dataset *from, const nd_dataset *const *fits, size_t n_fits, int32_t per, nd_progress_fn fn,
                             void *user)
{
    const size_t p = from->n_channels;
    double *a = NULL;
    nd_status status;
    TRY(check(from, fits, n_fits, per));
    GO(NEW(a, p * p));
    for (size_t k = 0; k < n_fits; k++) GO(fit(fits[k], per == ND_WHITEN_TIME, a, fn, user));
    for (size_t i = 0; i < p * p; i++) a[i] /= (double)n_fits;
    GO(ndi_inverse_root(a, p));
    const whitener use = { a, p, from->n_samples };
    const trial_map m = { whiten_trial, &use, from->n_samples, 2 * p * from->n_samples, from->rate, "whiten" };
    GO(ndi_dataset_map(d, from, &m, fn, user));
done:
    ndi_free(a);
    return status;
}
