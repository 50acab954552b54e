/* The life of a view, its getters, and the reading of one trial. */
#include <math.h>
#include <string.h>

#include "base/bf16.h"
#include "data/normalise.h"
#include "data/view.h"

const nd_dataset_options ndi_dataset_defaults = { .size = sizeof(nd_dataset_options), .start = NAN };

size_t ndi_dataset_trials(const nd_dataset *d) { return d->n_trials; }
size_t ndi_dataset_channels(const nd_dataset *d) { return d->n_channels; }
size_t ndi_dataset_samples(const nd_dataset *d) { return d->n_samples; }
double ndi_dataset_rate(const nd_dataset *d) { return d->rate; }
double ndi_dataset_start(const nd_dataset *d) { return d->start; }
int32_t ndi_dataset_normalised(const nd_dataset *d) { return d->normalise; }
const ids *ndi_dataset_images(const nd_dataset *d) { return &d->images; }
size_t ndi_dataset_image_of(const nd_dataset *d, size_t trial) { return d->image[trial]; }
const ids *ndi_dataset_concepts(const nd_dataset *d) { return &d->concepts; }
size_t ndi_dataset_concept_of(const nd_dataset *d, size_t trial) { return d->concept[d->image[trial]]; }

static size_t channel_place(const part *p, size_t channel) { return p->channels ? p->channels[channel] : channel; }

const char *ndi_dataset_channel(const nd_dataset *d, size_t index)
{
    const part *p = &d->parts[0];
    return p->data->channels.items[channel_place(p, index)];
}

int32_t ndi_dataset_subject_of(const nd_dataset *d, size_t trial) { return d->labels[trial].subject; }
int32_t ndi_dataset_repetition_of(const nd_dataset *d, size_t trial) { return d->labels[trial].repetition; }
int32_t ndi_dataset_session_of(const nd_dataset *d, size_t trial) { return d->labels[trial].session; }
int32_t ndi_dataset_run_of(const nd_dataset *d, size_t trial) { return d->labels[trial].run; }

static void copy_samples(const storage *s, size_t at, size_t step, size_t n, float *x)
{
    if (s->brief)
        for (size_t t = 0; t < n; t++) x[t] = ndi_bf16_value(s->brief[at + t * step]);
    else if (step == 1)
        memcpy(x, s->data + at, n * sizeof *x);
    else
        for (size_t t = 0; t < n; t++) x[t] = s->data[at + t * step];
}

static double mean_of_samples(const storage *s, size_t at, size_t n)
{
    if (s->data) return ndi_mean_f32(s->data + at, n);
    double sum = 0;
    for (size_t t = 0; t < n; t++) sum += (double)ndi_bf16_value(s->brief[at + t]);
    return sum / (double)n;
}

void ndi_dataset_read(const nd_dataset *d, size_t trial, float *x)
{
    place at = d->trials[trial];
    const part *p = &d->parts[at.part];
    const storage *s = p->data;
    for (size_t c = 0; c < d->n_channels; c++, x += d->n_samples) {
        const size_t row = (at.row * s->n_channels + channel_place(p, c)) * s->n_samples;
        copy_samples(s, row + p->first, p->step, d->n_samples, x);
        if (p->baseline_count) {
            double mean = mean_of_samples(s, row + p->baseline_first, p->baseline_count);
            for (size_t t = 0; t < d->n_samples; t++) x[t] = (float)((double)x[t] - mean);
        }
        ndi_normalise_f32(x, d->n_samples, p->normalise);
    }
}

void ndi_dataset_will_read(const nd_dataset *d, size_t trial)
{
    const storage *s = d->parts[d->trials[trial].part].data;
    const size_t per_trial = s->n_channels * s->n_samples, at = d->trials[trial].row * per_trial;
    if (s->file && s->data) ndi_will_read(s->data + at, per_trial * sizeof *s->data);
    if (s->file && s->brief) ndi_will_read(s->brief + at, per_trial * sizeof *s->brief);
}

const nd_dataset *ndi_dataset_ref(const nd_dataset *d)
{
    atomic_fetch_add_explicit(&((nd_dataset *)d)->refs, 1, memory_order_relaxed); /* the count is the one thing about a const handle that changes */
    return d;
}

void ndi_dataset_free(nd_dataset *d)
{
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < d->n_parts; i++) {
        ndi_storage_free(d->parts[i].data);
        ndi_free(d->parts[i].channels);
    }
    ndi_free(d->parts);
    ndi_free(d->trials);
    ndi_free(d->labels);
    ndi_ids_free(&d->images);
    ndi_ids_free(&d->concepts);
    ndi_free(d->image);
    ndi_free(d->concept);
    ndi_free(d);
}

static nd_status reserve_trials(nd_dataset *d)
{
    TRY(NEW(d->trials, d->n_trials));
    TRY(NEW(d->labels, d->n_trials));
    return NEW(d->image, d->n_trials);
}

/* Images of trials at .. at + n - 1, which are `trials` (NULL = all) of where `image` points into `from`. They are numbered in the order of their first
 * appearance, and each id is hashed once, not once for each trial. */
static nd_status take_images(nd_dataset *d, size_t at, const ids *from, const uint32_t *image, const size_t *trials, size_t n)
{
    uint32_t *known; /* image of the source -> image of the view + 1 */
    nd_status status = NEW(known, from->n);
    for (size_t i = 0; i < n && status == ND_OK; i++) {
        const uint32_t source = image[trials ? trials[i] : i];
        if (!known[source]) {
            size_t index = 0;
            status = ndi_ids_add(&d->images, from->items[source], strlen(from->items[source]), &index);
            known[source] = (uint32_t)index + 1;
        }
        d->image[at + i] = known[source] - 1;
    }
    ndi_free(known);
    return status;
}

static nd_status collect_concepts(nd_dataset *d)
{
    TRY(NEW(d->concept, d->images.n));
    for (size_t i = 0; i < d->images.n; i++) {
        const char *id = d->images.items[i], *slash = strrchr(id, '/');
        size_t index;
        TRY(ndi_ids_add(&d->concepts, id, slash ? (size_t)(slash - id) : strlen(id), &index));
        d->concept[i] = (uint32_t)index;
    }
    return ND_OK;
}

nd_status ndi_dataset_of_storage(nd_dataset **out, storage *s)
{
    nd_dataset *d = NULL;
    nd_status status;
    GO(NEW(d, 1));
    atomic_init(&d->refs, 1);
    d->n_trials = s->n_trials;
    d->n_channels = s->n_channels;
    d->n_samples = s->n_samples;
    d->rate = s->rate;
    d->start = s->start;
    d->normalise = s->normalise;
    d->averaged = s->averaged;
    GO(NEW(d->parts, 1));
    d->parts[0] = (part){ .data = ndi_storage_ref(s), .step = 1 };
    d->n_parts = 1;
    GO(reserve_trials(d));
    for (size_t i = 0; i < d->n_trials; i++) {
        d->trials[i].row = (uint32_t)i;
        d->labels[i] = (trial_label){ s->subject[i], s->repetition[i], s->session[i], s->run[i] };
    }
    GO(take_images(d, 0, &s->images, s->image, NULL, d->n_trials));
    GO(collect_concepts(d));
    *out = d;
    d = NULL;
done:
    ndi_storage_free(s);
    ndi_dataset_free(d);
    return status;
}

static nd_status take_part(nd_dataset *d, const part *p)
{
    size_t *channels = NULL;
    if (p->channels) {
        TRY(NEW(channels, d->n_channels));
        memcpy(channels, p->channels, d->n_channels * sizeof *channels);
    }
    part *to = &d->parts[d->n_parts++];
    *to = *p;
    to->channels = channels;
    ndi_storage_ref(p->data);
    return ND_OK;
}

/* Trials of a source, whose parts stand from `first_part` on in the view, become trials `at` and following. */
static nd_status take_trials(nd_dataset *d, size_t at, size_t first_part, const nd_dataset *source, const size_t *trials, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const size_t trial = trials ? trials[i] : i;
        d->trials[at + i] = (place){ source->trials[trial].part + (uint32_t)first_part, source->trials[trial].row };
        d->labels[at + i] = source->labels[trial];
    }
    return take_images(d, at, &source->images, source->image, trials, n);
}

/* A view of the trials listed of the first source (NULL = all), and of all of the second if there is one. */
static nd_status assemble(nd_dataset **out, const nd_dataset *first, const size_t *trials, size_t n_first, const nd_dataset *second)
{
    nd_dataset *d = NULL;
    nd_status status;
    GO(NEW(d, 1));
    atomic_init(&d->refs, 1);
    d->n_trials = n_first + (second ? second->n_trials : 0);
    d->n_channels = first->n_channels;
    d->n_samples = first->n_samples;
    d->rate = first->rate;
    d->start = first->start;
    d->normalise = first->normalise;
    d->averaged = second && second->averaged > first->averaged ? second->averaged : first->averaged;
    GO(NEW(d->parts, first->n_parts + (second ? second->n_parts : 0)));
    for (size_t i = 0; i < first->n_parts; i++) GO(take_part(d, &first->parts[i]));
    for (size_t i = 0; second && i < second->n_parts; i++) GO(take_part(d, &second->parts[i]));
    GO(reserve_trials(d));
    GO(take_trials(d, 0, 0, first, trials, n_first));
    if (second) GO(take_trials(d, n_first, first->n_parts, second, NULL, second->n_trials));
    GO(collect_concepts(d));
    *out = d;
    d = NULL;
done:
    ndi_dataset_free(d);
    return status;
}

nd_status ndi_dataset_derive(nd_dataset **d, const nd_dataset *source, const size_t *trials, size_t n_trials)
{
    return assemble(d, source, trials, trials ? n_trials : source->n_trials, NULL);
}

nd_status ndi_dataset_join(nd_dataset **d, const nd_dataset *first, const nd_dataset *second)
{
    return assemble(d, first, NULL, first->n_trials, second);
}

static nd_status number_repetitions(nd_dataset *d)
{
    int32_t *subject = NULL, *repetition = NULL;
    nd_status status;
    GO(NEW(subject, d->n_trials));
    GO(NEW(repetition, d->n_trials));
    for (size_t i = 0; i < d->n_trials; i++) subject[i] = d->labels[i].subject;
    GO(ndi_count_repetitions(subject, d->image, d->n_trials, repetition));
    for (size_t i = 0; i < d->n_trials; i++) d->labels[i].repetition = repetition[i];
done:
    ndi_free(subject);
    ndi_free(repetition);
    return status;
}

nd_status ndi_dataset_relabel(nd_dataset *d, const ids *images, const uint32_t *image)
{
    ndi_ids_free(&d->images);
    ndi_ids_free(&d->concepts);
    ndi_free(d->concept);
    d->images = d->concepts = (ids){ 0 };
    d->concept = NULL;
    TRY(take_images(d, 0, images, image, NULL, d->n_trials));
    TRY(collect_concepts(d));
    return number_repetitions(d);
}

nd_status ndi_dataset_describe(const nd_dataset *d, nd_dataset_info *info)
{
    size_t *subject_of, n_subjects;
    TRY(NEW(subject_of, d->n_trials));
    nd_status status = ndi_dataset_groups(d, "subject", subject_of, &n_subjects);
    ndi_free(subject_of);
    TRY(status);
    *info = (nd_dataset_info){ .size = sizeof *info,
                               .n_trials = d->n_trials,
                               .n_channels = d->n_channels,
                               .n_samples = d->n_samples,
                               .n_images = d->images.n,
                               .n_concepts = d->concepts.n,
                               .n_subjects = n_subjects,
                               .rate = d->rate,
                               .start = d->start,
                               .normalise = d->normalise,
                               .averaged = d->averaged };
    return ND_OK;
}

/* Trials are looked at in tasks of this many; each task notes its first bad sample. */
enum { CHECK_TRIALS = 64 };

typedef struct finite_check {
    const nd_dataset *d;
    float *scratch; /* one trial for each worker */
    size_t *bad;    /* per task: bad sample + 1, counted through its trials; 0 = none */
} finite_check;

static void check_task(void *context, size_t task, size_t worker)
{
    finite_check *k = context;
    size_t per_trial = k->d->n_channels * k->d->n_samples;
    float *x = k->scratch + worker * per_trial;
    size_t end = (task + 1) * CHECK_TRIALS < k->d->n_trials ? (task + 1) * CHECK_TRIALS : k->d->n_trials;
    for (size_t trial = task * CHECK_TRIALS; trial < end; trial++) {
        ndi_dataset_read(k->d, trial, x);
        if (ndi_finite_f32(x, per_trial)) continue;
        size_t i = 0;
        while (isfinite(x[i])) i++;
        k->bad[task] = (trial - task * CHECK_TRIALS) * per_trial + i + 1;
        return;
    }
}

nd_status ndi_dataset_check_finite(const nd_dataset *d, pool *p)
{
    size_t per_trial = d->n_channels * d->n_samples, n_tasks = (d->n_trials + CHECK_TRIALS - 1) / CHECK_TRIALS;
    finite_check k = { .d = d };
    nd_status status;
    GO(NEW(k.scratch, ndi_pool_threads(p) * per_trial));
    GO(NEW(k.bad, n_tasks));
    ndi_pool_run(p, n_tasks, check_task, &k);
    for (size_t task = 0; task < n_tasks; task++) {
        if (!k.bad[task]) continue;
        size_t trial = task * CHECK_TRIALS + (k.bad[task] - 1) / per_trial, channel = (k.bad[task] - 1) % per_trial / d->n_samples;
        GO(ndi_not_finite("dataset", trial, d->images.items[d->image[trial]], ndi_dataset_repetition_of(d, trial), ndi_dataset_channel(d, channel)));
    }
done:
    ndi_free(k.scratch);
    ndi_free(k.bad);
    return status;
}
