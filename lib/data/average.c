/* Averages over groups of trials: those of each (subject, image), or those of each block. */
#include <string.h>

#include "data/view.h"

typedef struct groups {
    uint32_t *group_of; /* per trial */
    size_t *count;      /* per group */
    size_t n;
} groups;

static void groups_free(groups *g)
{
    ndi_free(g->group_of);
    ndi_free(g->count);
}

static nd_status count_members(groups *g, const nd_dataset *d)
{
    TRY(NEW(g->count, g->n));
    for (size_t i = 0; i < d->n_trials; i++) g->count[g->group_of[i]]++;
    return ND_OK;
}

static nd_status find_pairs(groups *g, const nd_dataset *d)
{
    int32_t *subject;
    TRY(NEW(g->group_of, d->n_trials));
    TRY(NEW(subject, d->n_trials));
    for (size_t i = 0; i < d->n_trials; i++) subject[i] = d->labels[i].subject;
    nd_status status = ndi_number_pairs(subject, d->image, d->n_trials, g->group_of, &g->n);
    ndi_free(subject);
    TRY(status);
    return count_members(g, d);
}

/* A new block begins where image, subject, session or run change. */
static nd_status find_blocks(groups *g, const nd_dataset *d)
{
    TRY(NEW(g->group_of, d->n_trials));
    g->n = 1;
    for (size_t i = 1; i < d->n_trials; i++) {
        const trial_label *a = &d->labels[i - 1], *b = &d->labels[i];
        if (d->image[i] != d->image[i - 1] || a->subject != b->subject || a->session != b->session || a->run != b->run) g->n++;
        g->group_of[i] = (uint32_t)g->n - 1;
    }
    return count_members(g, d);
}

/* Sums in double: `sum` holds one trial, trials of a group are visited one after the other through `next`. */
static void average_group(const nd_dataset *d, size_t first, const size_t *next, size_t count, float *x, double *sum, float *mean)
{
    size_t n = d->n_channels * d->n_samples;
    memset(sum, 0, n * sizeof *sum);
    for (size_t trial = first; trial != SIZE_MAX; trial = next[trial]) {
        ndi_dataset_read(d, trial, x);
        for (size_t i = 0; i < n; i++) sum[i] += (double)x[i];
    }
    for (size_t i = 0; i < n; i++) mean[i] = (float)(sum[i] / (double)count);
}

/* Session and run stay where all trials of the group have the same. */
static void label_group(storage *s, size_t group, const nd_dataset *d, size_t first, const size_t *next)
{
    s->image[group] = d->image[first];
    s->subject[group] = d->labels[first].subject;
    s->session[group] = d->labels[first].session;
    s->run[group] = d->labels[first].run;
    for (size_t trial = next[first]; trial != SIZE_MAX; trial = next[trial]) {
        if (d->labels[trial].session != s->session[group]) s->session[group] = s->run[group] = 0;
        if (d->labels[trial].run != s->run[group]) s->run[group] = 0;
    }
}

static nd_status average_all(storage *s, const nd_dataset *d, const groups *g)
{
    size_t per_trial = d->n_channels * d->n_samples, *first = NULL, *next = NULL;
    double *sum = NULL;
    float *x = NULL;
    nd_status status;
    GO(NEW(first, g->n));
    GO(NEW(next, d->n_trials));
    GO(NEW(sum, per_trial));
    GO(NEW(x, per_trial));
    for (size_t i = 0; i < g->n; i++) first[i] = SIZE_MAX;
    for (size_t i = d->n_trials; i-- > 0;) {
        next[i] = first[g->group_of[i]];
        first[g->group_of[i]] = i;
    }
    size_t largest = 1;
    for (size_t i = 0; i < g->n; i++) {
        average_group(d, first[i], next, g->count[i], x, sum, s->owned + i * per_trial);
        label_group(s, i, d, first[i], next);
        if (g->count[i] > largest) largest = g->count[i];
    }
    s->averaged = (int32_t)(largest * (size_t)d->averaged);
    status = ndi_storage_count_repetitions(s);
done:
    ndi_free(first);
    ndi_free(next);
    ndi_free(sum);
    ndi_free(x);
    return status;
}

static nd_status average(nd_dataset **d, const nd_dataset *source, nd_status (*find)(groups *, const nd_dataset *))
{
    groups g = { 0 };
    storage *s = NULL;
    nd_status status;
    GO(find(&g, source));
    GO(ndi_storage_like(&s, source, g.n));
    GO(ndi_storage_alloc(s));
    GO(average_all(s, source, &g));
    groups_free(&g);
    return ndi_dataset_of_storage(d, s);
done:
    groups_free(&g);
    ndi_storage_free(s);
    return status;
}

nd_status ndi_dataset_average(nd_dataset **d, const nd_dataset *source) { return average(d, source, find_pairs); }
nd_status ndi_dataset_average_blocks(nd_dataset **d, const nd_dataset *source) { return average(d, source, find_blocks); }
