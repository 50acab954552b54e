#include "data/series.h"

#include <string.h>

#include "base/pool.h"

/* The trials in the order of their groups. */
static nd_status sort_trials(series *s, const nd_dataset *d, const char *group)
{
    const size_t n = d->n_trials;
    size_t *found = NULL;
    uint32_t *group_of = NULL;
    nd_status status;
    GO(NEW(found, n));
    GO(NEW(group_of, n));
    if (group) GO(ndi_dataset_groups(d, group, found, &s->n_groups));
    for (size_t i = 0; i < n; i++) group_of[i] = (uint32_t)found[i];
    GO(ndi_sort_by_group(group_of, n, s->n_groups, &s->trials, &s->begin));
    for (size_t g = 0; g < s->n_groups; g++)
        if (s->begin[g + 1] - s->begin[g] > s->largest) s->largest = s->begin[g + 1] - s->begin[g];
done:
    ndi_free(found);
    ndi_free(group_of);
    return status;
}

nd_status ndi_series_open(series *s, const nd_dataset *source, const char *group)
{
    *s = (series){ .n_columns = source->n_channels * source->n_samples, .n_groups = 1 };
    TRY(sort_trials(s, source, group));
    TRY(ndi_dataset_copy(&s->d, source));
    s->x = s->d->parts[0].data->owned;
    return ND_OK;
}

void ndi_series_close(series *s)
{
    ndi_dataset_free(s->d);
    ndi_free(s->trials);
    ndi_free(s->begin);
}

typedef struct job {
    const series *s;
    void (*change)(const void *context, const series_block *b, double *scratch);
    const void *context;
    double *scratch;
    size_t n_scratch, n_blocks; /* blocks of columns */
} job;

static void change_block(void *context, size_t task, size_t worker)
{
    const job *j = context;
    const series *s = j->s;
    const size_t group = task / j->n_blocks, first = task % j->n_blocks * NDI_SERIES_COLUMNS, left = s->n_columns - first;
    const series_block b = { .x = s->x + first,
                             .stride = s->n_columns,
                             .n_columns = left < NDI_SERIES_COLUMNS ? left : NDI_SERIES_COLUMNS,
                             .n_trials = s->begin[group + 1] - s->begin[group],
                             .trials = s->trials + s->begin[group] };
    j->change(j->context, &b, j->scratch + worker * j->n_scratch);
}

nd_status ndi_series_change(series *s, void (*change)(const void *context, const series_block *b, double *scratch), const void *context,
                            size_t n_scratch)
{
    pool *p;
    job j = { .s = s, .change = change, .context = context, .n_scratch = n_scratch };
    j.n_blocks = (s->n_columns + NDI_SERIES_COLUMNS - 1) / NDI_SERIES_COLUMNS;
    TRY(ndi_pool_create(&p, 0));
    nd_status status = NEW(j.scratch, ndi_pool_threads(p) * n_scratch);
    if (status == ND_OK) ndi_pool_run(p, s->n_groups * j.n_blocks, change_block, &j);
    ndi_free(j.scratch);
    ndi_pool_free(p);
    return status;
}
