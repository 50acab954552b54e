/* Each channel's series of trials to mean 0 and population standard deviation 1, both taken from all trials of the group or from some of them. */
#include <math.h>
#include <string.h>

#include "data/series.h"

typedef struct standardise {
    const bool *counts; /* per trial: mean and deviation come from it */
} standardise;

/* Mean and deviation in two passes. A flat column gets the factor 0. */
static void measure(const standardise *o, const series_block *b, double *mean, double *factor)
{
    size_t n = 0;
    memset(mean, 0, b->n_columns * sizeof *mean);
    memset(factor, 0, b->n_columns * sizeof *factor);
    for (size_t i = 0; i < b->n_trials; i++) {
        const float *x = b->x + b->trials[i] * b->stride;
        n += o->counts[b->trials[i]];
        for (size_t c = 0; o->counts[b->trials[i]] && c < b->n_columns; c++) mean[c] += (double)x[c];
    }
    for (size_t c = 0; c < b->n_columns; c++) mean[c] /= (double)n;
    for (size_t i = 0; i < b->n_trials; i++) {
        const float *x = b->x + b->trials[i] * b->stride;
        for (size_t c = 0; o->counts[b->trials[i]] && c < b->n_columns; c++) factor[c] += ((double)x[c] - mean[c]) * ((double)x[c] - mean[c]);
    }
    for (size_t c = 0; c < b->n_columns; c++) factor[c] = factor[c] > 0 ? 1 / sqrt(factor[c] / (double)n) : 0;
}

static void change(const void *context, const series_block *b, double *scratch)
{
    double *mean = scratch, *factor = scratch + NDI_SERIES_COLUMNS;
    measure(context, b, mean, factor);
    for (size_t i = 0; i < b->n_trials; i++) {
        float *x = b->x + b->trials[i] * b->stride;
        for (size_t c = 0; c < b->n_columns; c++) x[c] = (float)(((double)x[c] - mean[c]) * factor[c]);
    }
}

/* Every group needs two trials that count. */
static nd_status check_groups(const series *s, const bool *counts, const char *group, const char *label)
{
    for (size_t g = 0; g < s->n_groups; g++) {
        size_t n = 0;
        for (size_t i = s->begin[g]; i < s->begin[g + 1]; i++) n += counts[s->trials[i]];
        CHECK(n > 1, ND_ERR_ARGUMENT, "standardise: group %zu (%s) has %zu trial%s%s%s, expected at least two", g, group ? group : "all", n,
              n == 1 ? "" : "s", label ? " of label " : "", label ? label : "");
    }
    return ND_OK;
}

nd_status ndi_dataset_standardise(nd_dataset **d, const nd_dataset *source, const char *group, const char *label)
{
    series s = { 0 };
    bool *counts = NULL;
    nd_status status;
    GO(NEW(counts, source->n_trials));
    if (label)
        GO(ndi_dataset_find_labels(source, label, "standardise", counts));
    else
        memset(counts, true, source->n_trials * sizeof *counts);
    GO(ndi_series_open(&s, source, group));
    GO(check_groups(&s, counts, group, label));
    GO(ndi_series_change(&s, change, &(standardise){ counts }, (size_t)2 * NDI_SERIES_COLUMNS));
    *d = s.d;
    s.d = NULL;
done:
    ndi_series_close(&s);
    ndi_free(counts);
    return status;
}
