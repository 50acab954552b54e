#include "data/map_trials.h"

enum { BATCH = 256 };

typedef struct mapper {
    const nd_dataset *d;
    const trial_map *m;
    storage *s;
    float *trials; /* one for each worker */
    double *scratch;
    size_t first;
} mapper;

static void map_task(void *context, size_t task, size_t worker)
{
    const mapper *k = context;
    const size_t trial = k->first + task, n_in = k->d->n_channels * k->d->n_samples, n_out = k->s->n_channels * k->s->n_samples;
    float *x = k->trials + worker * n_in;
    ndi_dataset_read(k->d, trial, x);
    k->m->make(k->m->context, x, k->s->owned + trial * n_out, k->scratch + worker * k->m->n_scratch);
}

static nd_status run(mapper *k, nd_progress_fn fn, void *user)
{
    progress report;
    pool *p;
    const size_t n = k->d->n_trials;
    TRY(ndi_pool_create(&p, 0));
    ndi_progress_begin(&report, fn, user, k->m->stage, "trials", 0, n);
    nd_status status = NEW(k->trials, ndi_pool_threads(p) * k->d->n_channels * k->d->n_samples);
    if (status == ND_OK) status = NEW(k->scratch, ndi_pool_threads(p) * k->m->n_scratch + 1);
    for (size_t count; k->first < n && status == ND_OK; k->first += count) {
        count = n - k->first < (size_t)BATCH ? n - k->first : (size_t)BATCH;
        ndi_pool_run(p, count, map_task, k);
        status = ndi_progress_at(&report, k->first + count);
    }
    ndi_free(k->trials);
    ndi_free(k->scratch);
    ndi_pool_free(p);
    return status;
}

nd_status ndi_dataset_map(nd_dataset **d, const nd_dataset *from, const trial_map *m, nd_progress_fn fn, void *user)
{
    mapper k = { .d = from, .m = m };
    TRY(ndi_storage_like(&k.s, from, from->n_trials));
    k.s->n_samples = m->n_samples;
    k.s->rate = m->rate;
    ndi_storage_label(k.s, from);
    nd_status status = ndi_storage_alloc(k.s);
    if (status == ND_OK) status = run(&k, fn, user);
    if (status == ND_OK) return ndi_dataset_of_storage(d, k.s);
    ndi_storage_free(k.s);
    return status;
}
