/* Resampling of trials by way of the spectrum, with the first and last value held beyond their ends: the arithmetic of mne.Epochs.resample. */
#include <math.h>

#include "data/map_trials.h"
#include "data/whiten.h"
#include "math/resample.h"

typedef struct plan {
    const resampler *r;
    size_t n_channels, n, m; /* samples before and after */
} plan;

static void resample_trial(const void *context, const float *x, float *y, double *scratch)
{
    const plan *p = context;
    const size_t n_in = p->n_channels * p->n, n_out = p->n_channels * p->m;
    double *in = scratch, *made = in + n_in, *more = made + n_out;
    for (size_t i = 0; i < n_in; i++) in[i] = (double)x[i];
    ndi_resample_rows(p->r, in, p->n, p->n_channels, NULL, made, more);
    for (size_t i = 0; i < n_out; i++) y[i] = (float)made[i];
}

nd_status ndi_dataset_resample(nd_dataset **d, const nd_dataset *from, double rate, nd_progress_fn fn, void *user)
{
    CHECK(rate > 0 && isfinite(rate), ND_ERR_ARGUMENT, "resample: rate %g, expected more than 0", rate);
    CHECK(from->normalise == ND_NORMALISE_NONE, ND_ERR_STATE, "resample: the trials were normalised before; resample first");
    resampler *r;
    if (rate == from->rate) return ndi_dataset_derive(d, from, NULL, 0);
    TRY(ndi_resampler_create(&r, from->n_samples, rate / from->rate, PADDING_EDGE));
    const plan p = { r, from->n_channels, from->n_samples, ndi_resampler_length(r) };
    const trial_map m = { resample_trial, &p, p.m, p.n_channels * (p.n + p.m) + ndi_resampler_rows_scratch(r), rate, "resample" };
    nd_status status = ndi_dataset_map(d, from, &m, fn, user);
    ndi_resampler_free(r);
    return status;
}
