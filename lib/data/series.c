#include "data/series.h"

#include <string.h>

#include "base/pool.h"

/* Sorts the trials by group, those of a group in their order. */
static nd_status sort_trials(series *s, const size_t *group_of, size_t n)
{
    TRY(NEW(s->begin, s->n_groups + 2));
    TRY(NEW(s->trials, n));
    for (size_t i = 0; i < n; i++) s->begin[group_of[i] + 2]++;
    for (size_t g = 0; g < s->n_groups; g++) {
        if (s->begin[g + 2] > s->largest) s->largest = s->begin[g + 2];
        s->begin[g + 2] += s->begin[g + 1];
    }
    for (size_t i = 0; i < n; i++) s->trials[s->begin[group_of[i] + 1]++] = i;
    return ND_OK;
}

nd_status ndi_series_open(series *s, const nd_dataset *source, const char *group)
{
    *s = (series){ .n_columns = source->n_channels * source->n_samples, .n_groups = 1 };
    size_t *group_of;
    TRY(NEW(group_of, source->n_trials));
    nd_status status = group ? ndi_dataset_groups(source, group, group_of, &s->n_groups) : ND_OK;
    if (status == ND_OK) status = sort_trials(s, group_of, source->n_trials);
    ndi_free(group_of);
    TRY(status);
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
