/* Stores of NSD's trials: the shared pictures or the others, trial by trial or one row for each picture, the mean of its trials. A row is one worker's from start to end. */
#include <string.h>

#include "data/nsd.h"

enum { BATCH_BYTES = 32 << 20 };

typedef struct worker {
    double *sum, *x; /* a row; a trial and what reading it takes */
} worker;

typedef struct writing {
    const nsd_choice *choice;
    const nsd_voxels *v;
    size_t *members, *begin; /* row r is the mean of trials members[begin[r]] .. members[begin[r + 1] - 1] */
    storage *s;              /* labels of the rows */
    pool *p;
    worker *workers;
    size_t n_workers;
    progress report;
    size_t first; /* the batch in hand */
    float *out;
} writing;

/* ---- which trials make which row ---- */

nd_status ndi_nsd_rows(const nsd_choice *c, const nsd_design *d, size_t n_trials, uint32_t *row_of, size_t *n_rows)
{
    uint32_t *row_of_picture;
    TRY(NEW(row_of_picture, NSD_PICTURES));
    *n_rows = 0;
    for (size_t i = 0; i < n_trials; i++) {
        row_of[i] = NDI_NO_GROUP;
        if (d->shared[i] != c->shared) continue;
        uint32_t *known = &row_of_picture[d->picture[i]]; /* its row + 1 */
        if (!c->average || *known == 0) *known = (uint32_t)++ * n_rows;
        row_of[i] = *known - 1;
    }
    ndi_free(row_of_picture);
    CHECK(*n_rows > 0, ND_ERR_FORMAT, "NSD: none of %zu trials shows a %s picture", n_trials, c->shared ? "shared" : "training");
    return ND_OK;
}

static nd_status label_rows(writing *w, const nsd_design *d, size_t n_rows)
{
    TRY(ndi_storage_create(&w->s, n_rows, w->v->n_voxels, 1));
    TRY(ndi_storage_number_channels(w->s));
    for (size_t r = 0; r < n_rows; r++) {
        const size_t count = w->begin[r + 1] - w->begin[r];
        char id[NSD_ID_SIZE];
        size_t index;
        ndi_nsd_id(id, d->picture[w->members[w->begin[r]]]);
        TRY(ndi_add_id(&w->s->images, id, "image id", &index));
        w->s->image[r] = (uint32_t)index;
        w->s->subject[r] = (int32_t)w->choice->subject;
        if (count > (size_t)w->s->averaged) w->s->averaged = (int32_t)count;
    }
    return ndi_storage_count_repetitions(w->s);
}

static nd_status plan_rows(writing *w, const nsd_design *d)
{
    uint32_t *row_of;
    size_t n_rows;
    TRY(NEW(row_of, w->v->n_trials));
    nd_status status = ndi_nsd_rows(w->choice, d, w->v->n_trials, row_of, &n_rows);
    if (status == ND_OK) status = ndi_sort_by_group(row_of, w->v->n_trials, n_rows, &w->members, &w->begin);
    if (status == ND_OK) status = label_rows(w, d, n_rows);
    ndi_free(row_of);
    return status;
}

/* ---- rows ---- */

/* sum += the trial, z-scored. */
static nd_status add_trial(const writing *w, size_t trial, worker *k)
{
    const size_t n = w->v->n_voxels;
    TRY(ndi_nsd_voxels_read(w->v, trial, k->x, k->x + n));
    if (w->choice->scale) {
        const double *mean = w->choice->scale->mean + trial / NSD_SESSION * n, *gain = w->choice->scale->gain + trial / NSD_SESSION * n;
        for (size_t i = 0; i < n; i++) k->x[i] = (k->x[i] - mean[i]) * gain[i];
    }
    for (size_t i = 0; i < n; i++) k->sum[i] += k->x[i];
    return ND_OK;
}

static nd_status make_row(const writing *w, size_t row, worker *k, float *out)
{
    const size_t n = w->v->n_voxels;
    memset(k->sum, 0, n * sizeof *k->sum);
    for (size_t m = w->begin[row]; m < w->begin[row + 1]; m++) TRY(add_trial(w, w->members[m], k));
    const double count = (double)(w->begin[row + 1] - w->begin[row]);
    for (size_t i = 0; i < n; i++) out[i] = (float)(k->sum[i] / count);
    return ND_OK;
}

static nd_status row_task(void *context, size_t task, size_t index)
{
    writing *w = context;
    return make_row(w, w->first + task, &w->workers[index], w->out + task * w->v->n_voxels);
}

static nd_status make_rows(void *context, size_t first, size_t count, float *out)
{
    writing *w = context;
    w->first = first;
    w->out = out;
    TRY(ndi_pool_try(w->p, count, row_task, w));
    return ndi_progress_at(&w->report, first + count);
}

/* ---- the store ---- */

static nd_status start_workers(writing *w)
{
    w->n_workers = ndi_pool_threads(w->p);
    TRY(NEW(w->workers, w->n_workers));
    for (size_t i = 0; i < w->n_workers; i++) {
        TRY(NEW(w->workers[i].sum, w->v->n_voxels));
        TRY(NEW(w->workers[i].x, w->v->n_voxels + ndi_nsd_voxels_scratch(w->v)));
    }
    return ND_OK;
}

static void finish(writing *w)
{
    for (size_t i = 0; w->workers && i < w->n_workers; i++) {
        ndi_free(w->workers[i].sum);
        ndi_free(w->workers[i].x);
    }
    ndi_free(w->workers);
    ndi_free(w->members);
    ndi_free(w->begin);
    ndi_storage_free(w->s);
}

nd_status ndi_nsd_store_write(const nsd_choice *c, const nsd_design *d, const nsd_voxels *v, const char *path, pool *p, nd_progress_fn fn, void *user)
{
    writing w = { .choice = c, .v = v, .p = p };
    nd_status status;
    GO(plan_rows(&w, d));
    GO(start_workers(&w));
    ndi_progress_begin(&w.report, fn, user, c->shared ? "test" : "training", "trials", 0, w.s->n_trials);
    const sample_source from = { make_rows, &w, (size_t)BATCH_BYTES / (v->n_voxels * sizeof(float)) + 1 };
    GO(ndi_store_write(path, w.s, &from, ND_PRECISION_FLOAT32, NULL));
done:
    finish(&w);
    return status;
}
