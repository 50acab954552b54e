/* Reads an array of any supported file as trials: row by row from where it lies, normalised and averaged on the way, several rows at once.
 * A row is one trial of the result and is made by one worker from start to end, so the result does not depend on the number of threads;
 * memory holds a trial for each worker and a batch of rows. */
#include "data/import.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "data/images.h"
#include "data/layout.h"
#include "data/normalise.h"
#include "data/sidecar.h"
#include "data/store.h"
#include "data/volumes.h"

enum { BATCH_BYTES = 64 << 20, MAX_BATCH = 65536 };

typedef struct worker {
    double *trial, *sum; /* one trial each */
    double *volume;      /* all voxels of one, for images of the brain */
} worker;

typedef struct reader {
    const char *path;
    const nd_dataset_options *o;
    content *file;
    const array *a;
    layout l;
    volumes v;               /* of an image of the brain, else without `kept` */
    float *whole;            /* the array in memory, where it cannot be read trial by trial */
    storage *s;              /* labels of the rows; samples too if they go to memory */
    size_t *members, *begin; /* row r is the mean of the file's trials members[begin[r]] .. members[begin[r + 1] - 1] */
    pool *p;
    worker *workers;
    size_t n_workers;
    progress report;
    size_t first; /* the batch in hand */
    float *out;
} reader;

/* ---- names and times ---- */

nd_status ndi_import_pick(const content *c, const char *variable, const array **a)
{
    static const char *const usual[] = { "preprocessed_eeg_data", "meg_data", "data", "eeg" };
    for (size_t i = 0; !variable && i < COUNT(usual); i++) {
        *a = ndi_content_array(c, usual[i]);
        if (*a) return ND_OK;
    }
    return ndi_content_pick(c, variable, a);
}

static nd_status name_channels(reader *m)
{
    static const char *const usual[] = { "ch_names", "channels", "channel_names" };
    if (m->o->channels) return ndi_prefix(ndi_storage_list_channels(m->s, m->o->channels), "%s", m->path);
    for (size_t i = 0; i < COUNT(usual); i++) {
        const texts *t = ndi_content_texts(m->file, usual[i]);
        if (t && t->n > 0) return ndi_prefix(ndi_storage_name_channels(m->s, t->items, t->n), "%s", m->path);
    }
    const texts *columns = ndi_content_texts(m->file, "columns"); /* of a table, which need not be channels */
    if (columns && columns->n == m->l.n_channels) return ndi_prefix(ndi_storage_name_channels(m->s, columns->items, columns->n), "%s", m->path);
    return m->v.kept ? ndi_volumes_name(&m->v, m->s) : ndi_storage_number_channels(m->s);
}

/* A rate computed from rounded times, without the rounding. */
static double tidy(double value, double unit)
{
    return fabs(value - round(value / unit) * unit) < 1e-6 * fabs(value) ? round(value / unit) * unit : value;
}

/* Times in seconds; where there are more than samples, the samples are the last of them, as THINGS-EEG2 has it. */
static nd_status take_times(storage *s, const double *times, size_t n, const char *path)
{
    CHECK(n >= s->n_samples, ND_ERR_FORMAT, "%s: array 'times' has %zu entries, expected at least one for each of %zu samples", path, n,
          s->n_samples);
    for (size_t i = 0; i < n; i++)
        CHECK(isfinite(times[i]) && (i == 0 || times[i] > times[i - 1]), ND_ERR_FORMAT,
              "%s: array 'times': entry %zu is %g, expected seconds that go up", path, i, times[i]);
    if (n > 1) s->rate = tidy((double)(n - 1) / (times[n - 1] - times[0]), 1e-3);
    s->start = round(times[n - s->n_samples] * 1e9) / 1e9;
    return ND_OK;
}

static nd_status set_timing(reader *m)
{
    const array *a = ndi_content_array(m->file, "times");
    if (a && a != m->a && a->n > 0 && m->l.n_samples > 1 && !(m->o->rate > 0 && isfinite(m->o->start))) {
        double *times;
        TRY(NEW(times, a->n));
        nd_status status = ndi_array_read_f64(a, 0, a->n, times);
        if (status == ND_OK) status = take_times(m->s, times, a->n, m->path);
        ndi_free(times);
        TRY(status);
    }
    if (m->v.interval > 0) m->s->rate = 1 / m->v.interval;
    if (m->o->rate > 0) m->s->rate = m->o->rate;
    if (isfinite(m->o->start)) m->s->start = m->o->start;
    return ND_OK;
}

/* ---- trials of the file and rows of the result ---- */

static nd_status read_image_ids(const reader *m, ids *images, uint32_t *id_of)
{
    image_list list;
    TRY(ndi_images_find(&list, m->file, m->o->images, m->o->partition, m->l.n_images, m->path));
    nd_status status = ND_OK;
    for (size_t i = 0; status == ND_OK && i < m->l.n_images; i++) {
        size_t index;
        status = list.n ? ndi_prefix(ndi_add_id(images, list.items[i], "image id", &index), "%s", m->o->images ? m->o->images : m->path)
                        : ndi_add_number(images, i, &index);
        if (status == ND_OK) id_of[i] = (uint32_t)index;
    }
    ndi_images_free(&list);
    return status;
}

static nd_status label_rows(reader *m, const int32_t *subject, const uint32_t *image, size_t n_rows)
{
    TRY(ndi_prefix(ndi_storage_create(&m->s, n_rows, m->l.n_channels, m->l.n_samples), "%s", m->path));
    m->s->normalise = m->o->normalise;
    for (size_t r = 0; r < n_rows; r++) {
        size_t trial = m->members[m->begin[r]], count = m->begin[r + 1] - m->begin[r];
        m->s->subject[r] = subject[trial];
        m->s->session[r] = m->o->session;
        m->s->run[r] = m->o->run;
        m->s->image[r] = image[trial];
        if (count > (size_t)m->s->averaged) m->s->averaged = (int32_t)count;
    }
    return ndi_storage_count_repetitions(m->s);
}

static nd_status plan_rows(reader *m)
{
    size_t n = m->l.n_trials, n_rows = n;
    uint32_t *id_of = NULL, *image = NULL, *row_of = NULL;
    int32_t *subject = NULL;
    ids images = { 0 };
    nd_status status;
    if (n >= INT32_MAX) return ndi_fail(ND_ERR_UNSUPPORTED, "%s: %zu trials are too many", m->path, n);
    GO(NEW(id_of, m->l.n_images));
    GO(NEW(image, n));
    GO(NEW(row_of, n));
    GO(NEW(subject, n));
    GO(read_image_ids(m, &images, id_of));
    for (size_t i = 0; i < n; i++) {
        trial_origin origin = ndi_layout_trial(&m->l, i);
        image[i] = id_of[origin.image];
        subject[i] = origin.subject ? (int32_t)origin.subject : m->o->subject;
        row_of[i] = (uint32_t)i;
    }
    if (m->o->average) GO(ndi_number_pairs(subject, image, n, row_of, &n_rows));
    GO(ndi_sort_by_group(row_of, n, n_rows, &m->members, &m->begin));
    GO(label_rows(m, subject, image, n_rows));
    m->s->images = images;
    images = (ids){ 0 };
done:
    ndi_free(id_of);
    ndi_free(image);
    ndi_free(row_of);
    ndi_free(subject);
    ndi_ids_free(&images);
    return status;
}

/* ---- samples ---- */

/* Trials can be read one by one where their samples lie together and, in packed files, where they are wanted in the order of the file. */
static bool can_stream(const reader *m)
{
    if (m->v.kept) return true;
    if (!m->l.compact || !ndi_array_is_c_order(m->a)) return false;
    if (ndi_stream_concurrent(m->a->in)) return true;
    for (size_t i = 0; i < m->l.n_trials; i++)
        if (m->members[i] != i) return false;
    return true;
}

static nd_status load_trial(const reader *m, size_t trial, worker *w, double *x)
{
    const layout *l = &m->l;
    if (m->v.kept) return ndi_volumes_read(&m->v, trial, w->volume, x);
    size_t offset = ndi_layout_trial(l, trial).offset;
    if (!m->whole) return ndi_array_read_f64(m->a, offset, l->n_channels * l->n_samples, x);
    for (size_t c = 0; c < l->n_channels; c++)
        for (size_t t = 0; t < l->n_samples; t++) *x++ = (double)m->whole[offset + c * l->channel_stride + t * l->sample_stride];
    return ND_OK;
}

/* One trial of the file, checked and normalised, into x. */
static nd_status prepare_trial(const reader *m, size_t trial, size_t repetition, size_t row, worker *w, double *x)
{
    const storage *s = m->s;
    TRY(load_trial(m, trial, w, x));
    for (size_t c = 0; c < s->n_channels; c++, x += s->n_samples) {
        if (!ndi_finite_f64(x, s->n_samples))
            return ndi_not_finite(m->path, trial, s->images.items[s->image[row]], s->repetition[row] + (int32_t)repetition, s->channels.items[c]);
        ndi_normalise_f64(x, s->n_samples, m->o->normalise);
    }
    return ND_OK;
}

static nd_status make_row(const reader *m, size_t row, worker *w, float *out)
{
    size_t n = m->s->n_channels * m->s->n_samples, first = m->begin[row], count = m->begin[row + 1] - first;
    double *sum = count > 1 ? w->sum : w->trial, scale = 1 / (double)count;
    TRY(prepare_trial(m, m->members[first], 0, row, w, sum));
    for (size_t k = 1; k < count; k++) {
        TRY(prepare_trial(m, m->members[first + k], k, row, w, w->trial));
        for (size_t i = 0; i < n; i++) sum[i] += w->trial[i];
    }
    for (size_t i = 0; i < n; i++) out[i] = (float)(sum[i] * scale);
    return ND_OK;
}

static nd_status row_task(void *context, size_t task, size_t index)
{
    reader *m = context;
    return make_row(m, m->first + task, &m->workers[index], m->out + task * m->s->n_channels * m->s->n_samples);
}

/* Makes rows first .. first + count - 1. */
static nd_status make_rows(void *context, size_t first, size_t count, float *out)
{
    reader *m = context;
    m->first = first;
    m->out = out;
    TRY(ndi_pool_try(m->p, count, row_task, m));
    return ndi_progress_at(&m->report, m->begin[first + count]);
}

static size_t batch_of(const reader *m)
{
    size_t per_trial = m->s->n_channels * m->s->n_samples * sizeof(double), rows = (size_t)BATCH_BYTES / per_trial * m->s->n_trials / m->l.n_trials;
    return rows < 1 ? 1 : rows > MAX_BATCH ? MAX_BATCH : rows;
}

static nd_status start_workers(reader *m)
{
    if (ndi_stream_concurrent(m->a->in) || m->whole) TRY(ndi_pool_create(&m->p, m->o->n_threads));
    m->n_workers = ndi_pool_threads(m->p);
    TRY(NEW(m->workers, m->n_workers));
    for (size_t i = 0; i < m->n_workers; i++) {
        TRY(NEW(m->workers[i].trial, m->s->n_channels * m->s->n_samples));
        if (m->v.kept) TRY(NEW(m->workers[i].volume, m->v.n_voxels));
        if (m->o->average) TRY(NEW(m->workers[i].sum, m->s->n_channels * m->s->n_samples));
    }
    return ND_OK;
}

/* ---- the whole ---- */

static nd_status check_options(const nd_dataset_options *o)
{
    TRY(ndi_normalise_check(o->normalise));
    TRY(ndi_precision_check(o->precision));
    CHECK(o->rate >= 0 && isfinite(o->rate), ND_ERR_ARGUMENT, "dataset: rate %g, expected more than 0, or 0 for unknown", o->rate);
    CHECK(o->average == 0 || o->average == 1, ND_ERR_ARGUMENT, "dataset: average %d, expected 0 or 1", (int)o->average);
    return ND_OK;
}

/* What the trials are: volumes of an image, else what the axes say. */
static nd_status lay_out(reader *m)
{
    const bool image = ndi_volumes_are(m->file);
    CHECK(image || !m->o->mask, ND_ERR_ARGUMENT, "%s: is no image of the brain, a mask goes with NIfTI", m->path);
    if (!image) return ndi_layout_set(&m->l, m->a, m->o->axes, m->path);
    CHECK(!m->o->axes, ND_ERR_ARGUMENT, "%s: is an image of the brain, whose axes are known", m->path);
    TRY(ndi_volumes_open(&m->v, m->file, m->a, m->o->mask, m->path));
    m->l = (layout){ .n_trials = m->v.n_volumes, .n_images = m->v.n_volumes, .n_channels = m->v.n_kept, .n_samples = 1 };
    return ND_OK;
}

/* Everything but the samples. */
static nd_status prepare(reader *m)
{
    TRY(ndi_import_pick(m->file, m->o->variable, &m->a));
    TRY(lay_out(m));
    TRY(plan_rows(m));
    TRY(name_channels(m));
    TRY(set_timing(m));
    if (!can_stream(m)) {
        TRY(NEW(m->whole, m->a->n));
        TRY(ndi_array_read_f32(m->a, 0, m->a->n, m->whole));
    }
    return start_workers(m);
}

static void finish(reader *m)
{
    for (size_t i = 0; m->workers && i < m->n_workers; i++) {
        ndi_free(m->workers[i].trial);
        ndi_free(m->workers[i].sum);
        ndi_free(m->workers[i].volume);
    }
    ndi_free(m->workers);
    ndi_pool_free(m->p);
    ndi_free(m->members);
    ndi_free(m->begin);
    ndi_free(m->whole);
    ndi_volumes_free(&m->v);
    ndi_storage_free(m->s);
    ndi_content_free(m->file);
}

static nd_status to_memory(reader *m, nd_dataset **d)
{
    storage *s = m->s;
    TRY(ndi_storage_alloc(s));
    size_t batch = batch_of(m), n = 0;
    for (size_t first = 0; first < s->n_trials; first += n) {
        n = s->n_trials - first < batch ? s->n_trials - first : batch;
        TRY(make_rows(m, first, n, s->owned + first * s->n_channels * s->n_samples));
    }
    m->s = NULL;
    return ndi_dataset_of_storage(d, s);
}

static nd_status to_store(reader *m, const char *path)
{
    text identity = { 0 };
    const sample_source from = { make_rows, m, batch_of(m) };
    nd_status status = ndi_import_identity(&identity, m->path, m->o);
    if (status == ND_OK) status = ndi_store_write(path, m->s, &from, m->o->precision, identity.s);
    ndi_text_free(&identity);
    return status;
}

/* A store has labels and timing of its own; what the options ask for beyond that is done on the view. */
static nd_status open_store(nd_dataset **d, content *c, const char *path, const nd_dataset_options *o)
{
    if (o->variable || o->axes || o->images || o->partition || o->channels || o->rate > 0 || isfinite(o->start) || o->subject || o->session ||
        o->run || o->mask) {
        ndi_content_free(c);
        return ndi_fail(ND_ERR_ARGUMENT, "%s: is a store, which has names and times of its own; only normalise and average can be asked for", path);
    }
    nd_dataset *stored = NULL, *normal = NULL;
    nd_status status;
    GO(ndi_store_from_content(&stored, c, path));
    if (o->normalise != ND_NORMALISE_NONE && o->normalise != stored->normalise) {
        GO(ndi_prefix(ndi_dataset_normalise(&normal, stored, o->normalise), "%s", path));
        ndi_dataset_free(stored);
        stored = normal;
    }
    if (o->average) {
        GO(ndi_dataset_average(d, stored));
    } else {
        *d = stored;
        stored = NULL;
    }
done:
    ndi_dataset_free(stored);
    return status;
}

/* Reads into memory, or into the store if there is a path for one. */
static nd_status read_source(nd_dataset **d, const char *source, const char *store, const nd_dataset_options *o, nd_progress_fn fn, void *user)
{
    reader m = { .path = source, .o = o };
    bool is_store;
    nd_dataset *view = NULL;
    nd_status status;
    GO(check_options(o));
    GO(ndi_content_open(&m.file, source));
    GO(ndi_sidecar_add(m.file, source));
    GO(ndi_store_is(m.file, &is_store));
    if (is_store) {
        content *c = m.file;
        m.file = NULL;
        GO(open_store(&view, c, source, o));
        if (store) GO(ndi_dataset_save(view, store, o->precision, fn, user));
    } else {
        GO(prepare(&m));
        ndi_progress_begin(&m.report, fn, user, "read", "trials", 0, m.l.n_trials);
        GO(store ? to_store(&m, store) : to_memory(&m, &view));
    }
    if (store) {
        GO(ndi_store_open(d, store));
    } else {
        *d = view;
        view = NULL;
    }
done:
    ndi_dataset_free(view);
    finish(&m);
    return status;
}

nd_status ndi_dataset_open(nd_dataset **d, const char *path, const nd_dataset_options *o, nd_progress_fn fn, void *user)
{
    return read_source(d, path, NULL, o, fn, user);
}

nd_status ndi_dataset_import(nd_dataset **d, const char *source, const char *path, const nd_dataset_options *o, nd_progress_fn fn, void *user)
{
    return read_source(d, source, path, o, fn, user);
}

/* ---- identity ---- */

static void add_file(text *t, const char *what, const char *path)
{
    struct stat about;
    const char *slash = strrchr(path, '/');
    if (stat(path, &about) != 0) memset(&about, 0, sizeof about);
    ndi_text_add(t, "%s=%s size=%lld changed=%lld.%09ld ", what, slash ? slash + 1 : path, (long long)about.st_size, (long long)about.st_mtim.tv_sec,
                 (long)about.st_mtim.tv_nsec);
}

nd_status ndi_import_identity(text *t, const char *path, const nd_dataset_options *o)
{
    const char *const words[][2] = { { "variable", o->variable }, { "axes", o->axes }, { "partition", o->partition }, { "channels", o->channels } };
    text info = { 0 };
    TRY(ndi_sidecar_find(&info, path));
    add_file(t, "file", path);
    if (info.s) add_file(t, "info", info.s);
    ndi_text_free(&info);
    if (o->images) add_file(t, "images", o->images);
    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i][1]) ndi_text_add(t, "%s='%s' ", words[i][0], words[i][1]);
    if (o->mask) add_file(t, "mask", o->mask);
    ndi_text_add(t, "rate=%.17g start=%.17g subject=%d session=%d run=%d normalise=%d average=%d", o->rate, o->start, (int)o->subject,
                 (int)o->session, (int)o->run, (int)o->normalise, (int)o->average);
    if (o->precision != ND_PRECISION_FLOAT32) ndi_text_add(t, " precision=%d", (int)o->precision);
    return ndi_text_status(t);
}
