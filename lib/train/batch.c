#include "train/batch.h"

#include <string.h>

/* A batch that came slower than SLOW floats a second and thread was waited for: the next FETCHED are fetched ahead. */
enum { SLOW = 125 * 1000 * 1000, FETCHED = 64 };

typedef struct gathering {
    nd_trainer *t;
    batch b;
    bool training;
} gathering;

static void gather_trial(void *context, size_t task, size_t worker)
{
    const gathering *g = context;
    nd_trainer *t = g->t;
    size_t dim = ndi_bank_dim(t->bank, 0), trial = g->b.trials[task];
    float *x = t->x + task * t->encoder->s.channels * t->encoder->s.samples;
    double before = ndi_seconds();
    ndi_dataset_read(t->dataset, trial, x);
    t->seconds[task] = ndi_seconds() - before;
    if (g->training) ndi_augment_trial(&t->augment, (uint32_t)(uint64_t)t->at.step, task, x, t->channel + worker * t->encoder->s.samples);
    t->subjects[task] = ndi_encoder_subject(t->encoder, ndi_dataset_subject_of(t->dataset, trial));
    t->images[task] = t->rows[trial];
    memcpy(t->z + task * dim, ndi_bank_vectors(t->bank, 0) + t->images[task] * dim, dim * sizeof *t->z);
}

static void fetch_trial(void *context, size_t task, size_t worker)
{
    (void)worker;
    const gathering *g = context;
    ndi_dataset_will_read(g->t->dataset, g->b.trials[g->b.n + task]);
}

/* Asking costs a system call for each trial, so it is done only where reading has turned out to be slow. What is computed does not depend on it. */
static bool fetches_ahead(nd_trainer *t, const batch *b)
{
    double seconds = 0, floats = (double)b->n * (double)(t->encoder->s.channels * t->encoder->s.samples);
    for (size_t i = 0; i < b->n; i++) seconds += t->seconds[i];
    if (seconds * SLOW > floats)
        t->fetched = FETCHED;
    else if (t->fetched > 0)
        t->fetched--;
    return t->fetched > 0;
}

void ndi_gather(nd_trainer *t, batch b, bool training)
{
    gathering g = { t, b, training };
    size_t after = b.left - b.n;
    ndi_pool_run(t->threads, b.n, gather_trial, &g);
    if (fetches_ahead(t, &b)) ndi_pool_run(t->threads, after < b.n ? after : b.n, fetch_trial, &g);
}
