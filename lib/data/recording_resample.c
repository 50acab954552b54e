/* Other rates for recordings: by way of the spectrum of each whole channel, or by a short low-pass that goes along with the samples. */
#include <math.h>

#include "data/recording_rows.h"
#include "math/polyphase.h"
#include "math/resample.h"

static void apply_spectrum(const void *plan, double *x, size_t n, double *y, double *scratch)
{
    (void)n;
    ndi_resample(plan, x, y, scratch);
}

static void apply_polyphase(const void *plan, double *x, size_t n, double *y, double *scratch)
{
    (void)scratch;
    ndi_polyphase_apply(plan, x, n, y);
}

static nd_status check_rate(double rate)
{
    CHECK(rate > 0 && isfinite(rate), ND_ERR_ARGUMENT, "resample: rate %g, expected more than 0", rate);
    return ND_OK;
}

nd_status ndi_recording_resample(nd_recording **out, const nd_recording *from, double rate, nd_progress_fn fn, void *user)
{
    TRY(check_rate(rate));
    const double ratio = rate / ndi_recording_rate(from);
    resampler *plan;
    if (ratio == 1) return ndi_recording_derive(out, from);
    TRY(ndi_resampler_create(&plan, (size_t)from->n_samples, ratio, PADDING_REFLECT));
    const row_work w = { .stage = "resample",
                         .apply = apply_spectrum,
                         .plan = plan,
                         .n_scratch = ndi_resampler_scratch(plan),
                         .length = ndi_resampler_length(plan),
                         .rate = rate };
    nd_status status = ndi_recording_resample_rows(out, from, &w, fn, user);
    ndi_resampler_free(plan);
    return status;
}

nd_status ndi_recording_resample_polyphase(nd_recording **out, const nd_recording *from, double rate, nd_progress_fn fn, void *user)
{
    TRY(check_rate(rate));
    const double before = ndi_recording_rate(from);
    polyphase *plan;
    if (rate == before) return ndi_recording_derive(out, from);
    TRY(ndi_polyphase_create(&plan, before, rate));
    const row_work w = {
        .stage = "resample", .apply = apply_polyphase, .plan = plan, .length = ndi_polyphase_length(plan, (size_t)from->n_samples), .rate = rate
    };
    nd_status status = ndi_recording_resample_rows(out, from, &w, fn, user);
    ndi_polyphase_free(plan);
    return status;
}
