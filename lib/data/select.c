/* Operations on trials and samples: new views where the order of reading allows it, copies where not. */
#include <math.h>
#include <string.h>

#include "data/normalise.h"
#include "data/view.h"

nd_status ndi_storage_like(storage **out, const nd_dataset *d, size_t n_trials)
{
    storage *s = NULL;
    nd_status status;
    size_t index;
    GO(ndi_storage_create(&s, n_trials, d->n_channels, d->n_samples));
    s->rate = d->rate;
    s->start = d->start;
    s->normalise = d->normalise;
    s->averaged = d->averaged;
    for (size_t c = 0; c < d->n_channels; c++) {
        const char *name = ndi_dataset_channel(d, c);
        GO(ndi_ids_add(&s->channels, name, strlen(name), &index));
    }
    for (size_t i = 0; i < d->images.n; i++) GO(ndi_ids_add(&s->images, d->images.items[i], strlen(d->images.items[i]), &index));
    *out = s;
    s = NULL;
done:
    ndi_storage_free(s);
    return status;
}

void ndi_storage_label(storage *s, const nd_dataset *d)
{
    for (size_t i = 0; i < d->n_trials; i++) {
        s->image[i] = d->image[i];
        s->subject[i] = d->labels[i].subject;
        s->repetition[i] = d->labels[i].repetition;
        s->session[i] = d->labels[i].session;
        s->run[i] = d->labels[i].run;
    }
}

nd_status ndi_dataset_copy(nd_dataset **d, const nd_dataset *source)
{
    storage *s;
    TRY(ndi_storage_like(&s, source, source->n_trials));
    nd_status status = ndi_storage_alloc(s);
    if (status != ND_OK) {
        ndi_storage_free(s);
        return status;
    }
    ndi_storage_label(s, source);
    for (size_t i = 0; i < source->n_trials; i++) ndi_dataset_read(source, i, s->owned + i * s->n_channels * s->n_samples);
    return ndi_dataset_of_storage(d, s);
}

static nd_status label_created(storage *s, const char *const *image_ids, const nd_dataset_options *o)
{
    s->rate = o->rate > 0 ? o->rate : 1;
    s->start = isfinite(o->start) ? o->start : 0;
    TRY(o->channels ? ndi_storage_list_channels(s, o->channels) : ndi_storage_number_channels(s));
    for (size_t i = 0; i < s->n_trials; i++) {
        size_t index;
        TRY(image_ids ? ndi_add_id(&s->images, image_ids[i], "image id", &index) : ndi_add_number(&s->images, i, &index));
        s->image[i] = (uint32_t)index;
        s->subject[i] = o->subject;
        s->session[i] = o->session;
        s->run[i] = o->run;
    }
    return ndi_storage_count_repetitions(s);
}

static nd_status take_samples(storage *s, const float *data, int32_t normalise)
{
    TRY(ndi_storage_alloc(s));
    size_t n_rows = s->n_trials * s->n_channels;
    memcpy(s->owned, data, n_rows * s->n_samples * sizeof *data);
    for (size_t row = 0; row < n_rows; row++) {
        float *x = s->owned + row * s->n_samples;
        if (!ndi_finite_f32(x, s->n_samples)) {
            size_t trial = row / s->n_channels;
            return ndi_not_finite("dataset", trial, s->images.items[s->image[trial]], s->repetition[trial], s->channels.items[row % s->n_channels]);
        }
        ndi_normalise_f32(x, s->n_samples, normalise);
    }
    s->normalise = normalise;
    return ND_OK;
}

nd_status ndi_dataset_create(nd_dataset **d, const float *data, size_t n_trials, size_t n_channels, size_t n_samples, const char *const *image_ids,
                             const nd_dataset_options *o)
{
    CHECK(o->rate >= 0 && isfinite(o->rate), ND_ERR_ARGUMENT, "dataset: rate %g, expected more than 0, or 0 for unknown", o->rate);
    TRY(ndi_normalise_check(o->normalise));
    storage *s;
    TRY(ndi_storage_create(&s, n_trials, n_channels, n_samples));
    nd_status status = label_created(s, image_ids, o);
    if (status == ND_OK) status = take_samples(s, data, o->normalise);
    if (status == ND_OK) return ndi_dataset_of_storage(d, s);
    ndi_storage_free(s);
    return status;
}

nd_status ndi_dataset_select(nd_dataset **d, const nd_dataset *source, const size_t *trials, size_t n_trials)
{
    CHECK(n_trials > 0 && n_trials < UINT32_MAX, ND_ERR_ARGUMENT, "select: got %zu trials, expected at least one", n_trials);
    for (size_t i = 0; i < n_trials; i++)
        CHECK(trials[i] < source->n_trials, ND_ERR_ARGUMENT, "select: entry %zu is trial %zu, the dataset has %zu", i, trials[i], source->n_trials);
    return ndi_dataset_derive(d, source, trials, n_trials);
}

/* A view to be changed in its samples: where samples are still to be normalised (or thinned, for a baseline) first, those are copied. */
static nd_status view_for_samples(nd_dataset **d, const nd_dataset *source, bool unthinned)
{
    for (size_t i = 0; i < source->n_parts; i++)
        if (source->parts[i].normalise || (unthinned && source->parts[i].step != 1)) return ndi_dataset_copy(d, source);
    return ndi_dataset_derive(d, source, NULL, 0);
}

/* Where a time lies in samples, and a bound kept within 0 .. n. A millionth of a sample is forgiven for rounding by the callers. */
static double place_of(const nd_dataset *d, double time) { return (time - d->start) * d->rate; }

static size_t bound(const nd_dataset *d, double index) { return index > 0 ? index < (double)d->n_samples ? (size_t)index : d->n_samples : 0; }

/* The samples with start <= t < end. */
static nd_status find_span(const nd_dataset *d, const char *what, double start, double end, size_t *first, size_t *stop)
{
    CHECK(!isnan(start) && !isnan(end), ND_ERR_ARGUMENT, "%s: its bounds are not numbers", what);
    *first = bound(d, ceil(place_of(d, start) - 1e-6));
    *stop = bound(d, ceil(place_of(d, end) - 1e-6));
    CHECK(*first < *stop, ND_ERR_ARGUMENT, "%s: no samples from %g to %g s, the dataset has %zu from %g to %g s", what, start, end, d->n_samples,
          d->start, d->start + (double)(d->n_samples - 1) / d->rate);
    return ND_OK;
}

nd_status ndi_dataset_window(nd_dataset **out, const nd_dataset *source, double start, double end, size_t step)
{
    CHECK(step > 0, ND_ERR_ARGUMENT, "window: step 0, expected at least 1");
    size_t first, stop;
    TRY(find_span(source, "window", start, end, &first, &stop));
    nd_dataset *d;
    TRY(view_for_samples(&d, source, false));
    d->start = source->start + (double)first / source->rate;
    d->rate = source->rate / (double)step;
    d->n_samples = (stop - first + step - 1) / step;
    for (size_t i = 0; i < d->n_parts; i++) {
        d->parts[i].first += first * d->parts[i].step;
        d->parts[i].step *= step;
    }
    *out = d;
    return ND_OK;
}

/* A baseline after a baseline replaces it: (x - a) - mean(x - a) = x - mean(x). */
nd_status ndi_dataset_baseline(nd_dataset **out, const nd_dataset *source, double start, double end)
{
    size_t first, stop;
    TRY(find_span(source, "baseline", start, end, &first, &stop));
    nd_dataset *d;
    TRY(view_for_samples(&d, source, true));
    for (size_t i = 0; i < d->n_parts; i++) {
        d->parts[i].baseline_first = d->parts[i].first + first;
        d->parts[i].baseline_count = stop - first;
    }
    *out = d;
    return ND_OK;
}

nd_status ndi_dataset_normalise(nd_dataset **out, const nd_dataset *source, int32_t kind)
{
    TRY(ndi_normalise_check(kind));
    CHECK(source->normalise == ND_NORMALISE_NONE, ND_ERR_STATE, "normalise: the trials were normalised before (%s)",
          source->normalise == ND_NORMALISE_ZSCORE ? "z-score" : "reference");
    nd_dataset *d;
    TRY(ndi_dataset_derive(&d, source, NULL, 0));
    d->normalise = kind;
    for (size_t i = 0; i < d->n_parts; i++) d->parts[i].normalise = kind;
    *out = d;
    return ND_OK;
}

nd_status ndi_dataset_concat(nd_dataset **d, const nd_dataset *first, const nd_dataset *second)
{
    CHECK(first->n_channels == second->n_channels && first->n_samples == second->n_samples, ND_ERR_ARGUMENT,
          "concat: the second dataset has %zu channels x %zu samples, the first %zu x %zu", second->n_channels, second->n_samples, first->n_channels,
          first->n_samples);
    for (size_t c = 0; c < first->n_channels; c++) {
        const char *a = ndi_dataset_channel(first, c), *b = ndi_dataset_channel(second, c);
        CHECK(strcmp(a, b) == 0, ND_ERR_ARGUMENT, "concat: channel %zu is '%s' in the second dataset and '%s' in the first", c, b, a);
    }
    CHECK(fabs(first->rate - second->rate) <= 1e-6 * first->rate && fabs(first->start - second->start) * first->rate < 0.5, ND_ERR_ARGUMENT,
          "concat: the second dataset has %g samples per second from %g s, the first %g from %g s", second->rate, second->start, first->rate,
          first->start);
    CHECK(first->normalise == second->normalise, ND_ERR_ARGUMENT, "concat: the datasets are normalised differently (%d and %d)",
          (int)first->normalise, (int)second->normalise);
    CHECK(first->n_trials + second->n_trials < UINT32_MAX, ND_ERR_ARGUMENT, "concat: too many trials");
    return ndi_dataset_join(d, first, second);
}
