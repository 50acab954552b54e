/* THINGS-MEG (Hebart et al. 2023): the published epochs of one person become training and test trials of one second, no concept in both. Every step reads its
 * trials from the epochs one by one. */
#include "data/prepare_things_meg.h"

#include <string.h>

#include "data/meg_epochs.h"
#include "data/store.h"
#include "data/things_meg.h"
#include "io/feed.h"
#include "io/files.h"
#include "io/format.h"

enum { BATCH = 16, LOADED_BYTES = 100 << 20 }; /* names and metadata of 27,048 epochs take about as much */

static const char *const partition_names[N_MEG_PARTITIONS] = { "training", "test", "test_extended" };

/* name, whole, default, reference, min, max, meaning */
static const param params[] = {
    { "subject", true, 1, 1, 1, 99, "number of the person" },
    { "start", false, 0, 0, -100, 100, "seconds from which on samples are kept" },
    { "end", false, 1, 1, -100, 100, "seconds up to which samples are kept, itself included" },
    { "zero_shot", true, 1, 1, 0, 1, "1: training trials of the concepts of test images are left out" },
    { "average", true, 0, 0, 0, 1, "1: the repetitions of a test image are averaged, in stores" },
    { "extended", true, 0, 0, 0, 1, "1: also the test trials together with the training trials left out" },
    { "pickles", true, 0, 0, 0, 1, "1: also the pickled dicts of the reference system, in the folder preprocessed_meg" },
    { "atm", true, 0, 0, 0, 1, "1: also the pickled dicts of ATM, in a folder of the person" },
};

typedef struct meg {
    meg_epochs epochs;
    size_t *trials[N_MEG_PARTITIONS], n[N_MEG_PARTITIONS];
} meg;

static void release(void *own)
{
    meg *g = own;
    for (int i = 0; i < N_MEG_PARTITIONS; i++) ndi_free(g->trials[i]);
    ndi_meg_close(&g->epochs);
}

static bool asked(const nd_preparation *p, const char *name) { return ndi_preparation_param(p, name) > 0; }

/* ---- rows of an output ---- */

typedef struct trial_rows {
    const meg_epochs *epochs;
    size_t *members, *begin, n; /* row r is the mean of the trials members[begin[r]] .. members[begin[r + 1] - 1] */
    size_t size;                /* of a row */
    double *whole, *trial, *sum;
    progress report;
} trial_rows;

static nd_status make_row(trial_rows *r, size_t row, double *x)
{
    const size_t count = r->begin[row + 1] - r->begin[row];
    memset(x, 0, r->size * sizeof *x);
    for (size_t k = r->begin[row]; k < r->begin[row + 1]; k++) {
        TRY(ndi_meg_read(r->epochs, r->members[k], r->whole, count == 1 ? x : r->trial));
        for (size_t i = 0; count > 1 && i < r->size; i++) x[i] += r->trial[i];
    }
    for (size_t i = 0; count > 1 && i < r->size; i++) x[i] /= (double)count;
    return ndi_progress_at(&r->report, r->begin[row + 1]);
}

static nd_status read_f64(void *context, size_t first, size_t count, void *x)
{
    trial_rows *r = context;
    for (size_t i = 0; i < count; i++) TRY(make_row(r, first + i, (double *)x + i * r->size));
    return ND_OK;
}

static nd_status read_f32(void *context, size_t first, size_t count, float *x)
{
    trial_rows *r = context;
    for (size_t i = 0; i < count; i++, x += r->size) {
        TRY(make_row(r, first + i, r->sum));
        for (size_t k = 0; k < r->size; k++) x[k] = (float)r->sum[k];
    }
    return ND_OK;
}

/* Trials of one group make one row, rows in the order of the groups; group_of NULL = each trial for itself. */
static nd_status list_rows(trial_rows *r, const size_t *trials, size_t n, const uint32_t *group_of, size_t n_groups)
{
    uint32_t *own = NULL;
    r->n = n_groups;
    if (!group_of) TRY(NEW(own, n));
    for (size_t i = 0; own && i < n; i++) own[i] = (uint32_t)i;
    nd_status status = ndi_sort_by_group(own ? own : group_of, n, n_groups, &r->members, &r->begin);
    for (size_t k = 0; status == ND_OK && k < n; k++) r->members[k] = trials[r->members[k]];
    ndi_free(own);
    return status;
}

static nd_status start_rows(trial_rows *r, nd_preparation *p, const size_t *trials, size_t n, const uint32_t *group_of, size_t n_groups)
{
    const meg_epochs *m = &((meg *)p->own)->epochs;
    *r = (trial_rows){ .epochs = m, .size = m->n_sensors * m->n_samples };
    TRY(list_rows(r, trials, n, group_of, n_groups));
    TRY(NEW(r->whole, m->data->shape[1] * m->data->shape[2]));
    TRY(NEW(r->trial, r->size));
    TRY(NEW(r->sum, r->size));
    ndi_progress_begin(&r->report, p->progress, p->user, "write", "trials", 0, n);
    return ND_OK;
}

static void end_rows(trial_rows *r)
{
    ndi_free(r->members);
    ndi_free(r->begin);
    ndi_free(r->whole);
    ndi_free(r->trial);
    ndi_free(r->sum);
}

/* ---- stores ---- */

/* Image ids of the trials, and which each has. */
static nd_status number_images(const meg_epochs *m, const size_t *trials, size_t n, ids *images, uint32_t *image_of)
{
    text id = { 0 };
    nd_status status = ND_OK;
    for (size_t i = 0; i < n && status == ND_OK; i++) {
        size_t index = 0;
        status = ndi_things_meg_id(&id, m->images[trials[i]]);
        if (status == ND_OK) status = ndi_prefix(ndi_add_id(images, id.s, "image id", &index), "%s", m->path);
        image_of[i] = (uint32_t)index;
    }
    ndi_text_free(&id);
    return status;
}

static nd_status label(storage *s, const meg_epochs *m, const trial_rows *r, const uint32_t *image_of, bool average, int32_t subject)
{
    s->rate = m->rate;
    s->start = m->start;
    for (size_t i = 0; i < r->n; i++) {
        const size_t count = r->begin[i + 1] - r->begin[i];
        s->image[i] = average ? (uint32_t)i : image_of[i]; /* rows of averages are images */
        s->subject[i] = subject;
        if (count > (size_t)s->averaged) s->averaged = (int32_t)count;
    }
    TRY(ndi_storage_count_repetitions(s));
    return ndi_storage_name_channels(s, m->names, m->n_sensors);
}

static nd_status run_store(nd_preparation *p, const preparation_step *step)
{
    const meg *g = p->own;
    const size_t *trials = g->trials[step->a], n = g->n[step->a];
    const bool average = step->a != MEG_TRAINING && asked(p, "average");
    trial_rows r = { 0 };
    ids images = { 0 };
    uint32_t *image_of = NULL;
    storage *s = NULL;
    nd_status status;
    GO(NEW(image_of, n));
    GO(number_images(&g->epochs, trials, n, &images, image_of));
    GO(start_rows(&r, p, trials, n, average ? image_of : NULL, average ? images.n : n));
    GO(ndi_storage_create(&s, r.n, g->epochs.n_sensors, g->epochs.n_samples));
    s->images = images;
    images = (ids){ 0 };
    GO(label(s, &g->epochs, &r, image_of, average, (int32_t)ndi_preparation_param(p, "subject")));
    const sample_source from = { read_f32, &r, BATCH };
    GO(ndi_store_write(step->path, s, &from, ND_PRECISION_FLOAT32, NULL));
done:
    ndi_storage_free(s);
    ndi_ids_free(&images);
    ndi_free(image_of);
    end_rows(&r);
    return status;
}

/* ---- pickles ---- */

/* Writes `meg_data`, the trials in the shape given, with further arrays and texts; free places come first in `arrays`. */
static nd_status write_pickle(nd_preparation *p, const preparation_step *step, put_array arrays[2], const put_texts *list)
{
    const meg *g = p->own;
    trial_rows r = { 0 };
    double *buffer = NULL;
    nd_status status;
    GO(start_rows(&r, p, g->trials[step->a], g->n[step->a], NULL, g->n[step->a]));
    GO(NEW(buffer, BATCH * r.size));
    feed f = {
        .read = read_f64, .context = &r, .n_rows = r.n, .row_elements = r.size, .element_size = sizeof(double), .batch = BATCH, .buffer = buffer
    };
    arrays[0].name = "meg_data";
    arrays[0].type = DTYPE_F64;
    arrays[0].fill = ndi_feed_fill;
    arrays[0].context = &f;
    GO(ndi_format_write(step->path, "pickle", &(put){ .arrays = arrays, .n_arrays = 2, .texts = list, .n_texts = 1 }));
done:
    ndi_free(buffer);
    end_rows(&r);
    return status;
}

static nd_status run_pickle(nd_preparation *p, const preparation_step *step)
{
    const meg *g = p->own;
    const meg_epochs *m = &g->epochs;
    const size_t n = g->n[step->a], *trials = g->trials[step->a];
    int64_t *labels = NULL;
    const char **images = NULL;
    nd_status status;
    GO(NEW(labels, n));
    GO(NEW(images, n));
    for (size_t i = 0; i < n; i++) {
        labels[i] = m->categories[trials[i]];
        images[i] = m->images[trials[i]];
    }
    put_array arrays[] = { { .n_dims = 3, .shape = { n, m->n_sensors, m->n_samples } },
                           { .name = "meg_labels", .type = DTYPE_I64, .n_dims = 1, .shape = { n }, .data = labels } };
    const put_texts list = { .name = "meg_images", .items = images, .n = n, .list = true, .objects = true };
    GO(write_pickle(p, step, arrays, &list));
done:
    ndi_free(labels);
    ndi_free(images);
    return status;
}

/* Length of the runs of equal concepts (training) or images (test), which must all be of one length and different. */
static nd_status run_length(const meg *g, size_t partition, size_t *length)
{
    const meg_epochs *m = &g->epochs;
    const size_t n = g->n[partition], *trials = g->trials[partition];
    size_t begin = 0;
    *length = 0;
    for (size_t i = 1; i <= n; i++) {
        const bool same = i < n && (partition == MEG_TRAINING ? m->categories[trials[i]] == m->categories[trials[begin]]
                                                              : strcmp(m->images[trials[i]], m->images[trials[begin]]) == 0);
        if (same) continue;
        if (*length == 0) *length = i - begin;
        CHECK(i - begin == *length, ND_ERR_FORMAT,
              "%s: %zu trials of '%s' follow each other in the order of events, %zu of the first: an array needs as many of each", m->path, i - begin,
              m->images[trials[begin]], *length);
        begin = i;
    }
    return ND_OK;
}

static nd_status run_atm(nd_preparation *p, const preparation_step *step)
{
    const meg *g = p->own;
    const meg_epochs *m = &g->epochs;
    size_t length;
    double *times;
    TRY(run_length(g, step->a, &length));
    TRY(NEW(times, m->n_samples));
    for (size_t i = 0; i < m->n_samples; i++) times[i] = m->start + (double)i / m->rate;
    const bool training = step->a == MEG_TRAINING;
    put_array arrays[] = { { .n_dims = 5,
                             .shape = { g->n[step->a] / length, training ? length : 1, training ? 1 : length, m->n_sensors, m->n_samples } },
                           { .name = "times", .type = DTYPE_F64, .n_dims = 1, .shape = { m->n_samples }, .data = times } };
    const put_texts names = { .name = "ch_names", .items = m->names, .n = m->n_sensors, .list = true };
    nd_status status = write_pickle(p, step, arrays, &names);
    ndi_free(times);
    return status;
}

/* ---- the plan ---- */

/* The further files have names of their own; the next one counts as missing if the first says that it goes on. */
static nd_status look_for_parts(nd_preparation *p, const char *first, bool incomplete)
{
    preparation_input *input;
    for (int k = 1; k < 1000; k++) {
        const char *next = ndi_preparation_text(p, "%.*s-%d.fif", (int)(strlen(first) - strlen(".fif")), first, k);
        CHECK(next, ND_ERR_MEMORY, "things-meg: out of memory");
        TRY(ndi_preparation_look(p, next, false, &input));
        if (input) continue;
        return incomplete ? ndi_preparation_look(p, next, true, &input) : ND_OK;
    }
    return ND_OK;
}

static nd_status look_for_epochs(nd_preparation *p)
{
    static const char *const places[] = { "", "preprocessed/", "derivatives/preprocessed/" };
    meg *g = p->own;
    preparation_input *input = NULL;
    const char *file = NULL;
    for (size_t i = 0; i <= COUNT(places) && !input; i++) { /* the last place is the one that is called missing */
        const bool last = i == COUNT(places);
        file = ndi_preparation_text(p, "%spreprocessed_P%d-epo.fif", places[last ? i - 1 : i], (int)ndi_preparation_param(p, "subject"));
        CHECK(file, ND_ERR_MEMORY, "things-meg: out of memory");
        TRY(ndi_preparation_look(p, file, last, &input));
    }
    if (!input) return ND_OK;
    nd_status status = ndi_meg_open(&g->epochs, input->path, ndi_preparation_param(p, "start"), ndi_preparation_param(p, "end"));
    if (status == ND_ERR_IO) ndi_meg_close(&g->epochs);
    if (status != ND_OK && status != ND_ERR_IO) return status;
    if (status == ND_OK) {
        input->n_dims = g->epochs.data->n_dims;
        memcpy(input->shape, g->epochs.data->shape, sizeof input->shape);
    }
    return look_for_parts(p, file, status == ND_ERR_IO);
}

static nd_status add_step(nd_preparation *p, size_t partition, const char *what, const char *file, size_t n, size_t element,
                          nd_status (*run)(nd_preparation *p, const preparation_step *step))
{
    const meg_epochs *m = &((meg *)p->own)->epochs;
    const char *name = ndi_preparation_text(p, "%s %s: %s", p->name, partition_names[partition], what);
    if (m->file && name) name = ndi_preparation_text(p, "%s, %zu trials", name, n);
    const preparation_step step = {
        .name = name, .file = file, .bytes = (uint64_t)n * m->n_sensors * m->n_samples * element, .run = run, .a = partition
    };
    return ndi_preparation_add_step(p, &step);
}

static nd_status count_rows(const nd_preparation *p, size_t partition, size_t *n)
{
    const meg *g = p->own;
    *n = g->n[partition];
    if (partition == MEG_TRAINING || !asked(p, "average")) return ND_OK;
    ids images = { 0 };
    uint32_t *image_of = NULL;
    nd_status status = NEW(image_of, *n);
    if (status == ND_OK) status = number_images(&g->epochs, g->trials[partition], g->n[partition], &images, image_of);
    *n = images.n;
    ndi_free(image_of);
    ndi_ids_free(&images);
    return status;
}

static nd_status add_outputs(nd_preparation *p, size_t i)
{
    static const char *const pickles[] = { "train", "test", "test_extended" }, *const atm[] = { "training", "zs_test", NULL };
    meg *g = p->own;
    size_t n_rows = 0;
    const int subject = (int)ndi_preparation_param(p, "subject");
    if (g->epochs.file) TRY(ndi_meg_partition(&g->epochs, (int)i, asked(p, "zero_shot"), &g->trials[i], &g->n[i]));
    if (g->epochs.file) TRY(count_rows(p, i, &n_rows));
    if (i != MEG_EXTENDED || asked(p, "extended"))
        TRY(add_step(p, i, "store", ndi_preparation_text(p, "%s_%s.safetensors", p->name, partition_names[i]), n_rows, sizeof(float), run_store));
    if (asked(p, "pickles"))
        TRY(add_step(p, i, "pickle", ndi_preparation_text(p, "preprocessed_meg/%s_sub%d.pkl", pickles[i], subject), g->n[i], sizeof(double),
                     run_pickle));
    if (asked(p, "atm") && atm[i])
        TRY(add_step(p, i, "pickle of ATM", ndi_preparation_text(p, "%s/preprocessed_meg_%s.pkl", p->name, atm[i]), g->n[i], sizeof(double),
                     run_atm));
    return ND_OK;
}

static nd_status plan(nd_preparation *p)
{
    const meg_epochs *m = &((meg *)p->own)->epochs;
    p->name = ndi_preparation_text(p, "sub-%02d", (int)ndi_preparation_param(p, "subject"));
    CHECK(p->name, ND_ERR_MEMORY, "things-meg: out of memory");
    TRY(look_for_epochs(p));
    for (size_t i = 0; i < N_MEG_PARTITIONS; i++) TRY(add_outputs(p, i));
    p->memory_bytes = LOADED_BYTES;
    if (m->data) p->memory_bytes += (BATCH + 4) * m->data->shape[1] * m->data->shape[2] * sizeof(double);
    return ND_OK;
}

const preparation_kind ndi_prepare_things_meg = {
    .name = "things-meg",
    .title = "epochs of THINGS-MEG, one person: one second of all sensors, training and test without a concept in common",
    .source = "Hebart et al., eLife 2023, https://openneuro.org/datasets/ds004212 (derivatives/preprocessed)",
    .params = params,
    .n_params = COUNT(params),
    .own = sizeof(meg),
    .plan = plan,
    .release = release,
};
