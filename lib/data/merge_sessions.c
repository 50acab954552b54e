#include "data/merge_sessions.h"

#include <string.h>

#include "base/mersenne.h"
#include "data/raw_session.h"
#include "data/storage.h"
#include "data/store.h"
#include "io/feed.h"
#include "io/format.h"
#include "math/covariance.h"
#include "math/gemm.h"

enum { BATCH = 128 };

/* A trial of a session. */
typedef struct source {
    uint32_t session, row;
} source;

typedef struct merger {
    const merge_plan *plan;
    session_trials sessions[MERGE_MOST_SESSIONS];
    double *roots[MERGE_MOST_SESSIONS]; /* what a session's trials are multiplied by, or NULL */
    source *sources;                    /* those of image i are begin[i] .. begin[i + 1] - 1 */
    size_t *begin, most;                /* repetitions of an image at the most */
    size_t n_sources;
    pool *workers;
    progress report;
    /* the batch in hand: trials of the result, each the mean of members[k] sources from first_of[k] on */
    size_t *first_of, *members, n_made;
    size_t first, element_size;
    void *to;
    double *scratch;
    nd_status failed[BATCH];
} merger;

/* ---- which trial goes where ---- */

static nd_status count_repetitions(merger *m)
{
    const size_t n_images = m->plan->images->n;
    TRY(NEW(m->begin, n_images + 1));
    for (size_t s = 0; s < m->plan->n_sessions; s++) {
        const session_trials *t = &m->sessions[s];
        for (size_t i = 0; i < t->n_trials; i++) {
            CHECK((size_t)t->image[i] < n_images, ND_ERR_FORMAT, "%s: trial %zu is of image %d of %zu", m->plan->trials[s], i, (int)t->image[i],
                  n_images);
            m->begin[t->image[i] + 1]++;
        }
    }
    for (size_t i = 0; i < n_images; i++) {
        CHECK(m->begin[i + 1] > 0 || !m->plan->complete, ND_ERR_FORMAT, "image %zu (%s) is in none of the sessions", i + 1,
              m->plan->images->items[i]);
        m->most = m->begin[i + 1] > m->most ? m->begin[i + 1] : m->most;
        m->begin[i + 1] += m->begin[i];
    }
    m->n_sources = m->begin[n_images];
    return ND_OK;
}

/* Sessions one after the other, the repetitions of each in their order. */
static nd_status line_up(merger *m, size_t *taken)
{
    TRY(NEW(m->sources, m->n_sources));
    for (size_t s = 0; s < m->plan->n_sessions; s++) {
        const session_trials *t = &m->sessions[s];
        for (size_t i = 0; i < t->n_trials; i++) {
            const size_t image = (size_t)t->image[i], at = m->begin[image] + taken[image] + (size_t)t->repetition[i];
            CHECK(at < m->begin[image + 1], ND_ERR_FORMAT, "%s: trial %zu is repetition %d of image %zu", m->plan->trials[s], i,
                  (int)t->repetition[i], image);
            m->sources[at] = (source){ (uint32_t)s, (uint32_t)i };
        }
        for (size_t i = 0; i < t->n_trials; i++) taken[t->image[i]]++;
    }
    return ND_OK;
}

static void shuffle(merger *m, size_t *order, source *before)
{
    size_t n_before = 0; /* of the order in hand */
    for (size_t i = 0; i < m->plan->images->n; i++) {
        const size_t n = m->begin[i + 1] - m->begin[i];
        source *of_image = m->sources + m->begin[i];
        if (n != n_before) ndi_numpy_permutation(m->plan->seed, n, order);
        n_before = n;
        memcpy(before, of_image, n * sizeof *before);
        for (size_t k = 0; k < n; k++) of_image[k] = before[order[k]];
    }
}

static nd_status arrange(merger *m)
{
    size_t *taken = NULL, *order = NULL;
    source *before = NULL;
    nd_status status;
    GO(count_repetitions(m));
    GO(NEW(taken, m->plan->images->n));
    GO(line_up(m, taken));
    GO(NEW(order, m->most));
    GO(NEW(before, m->most));
    shuffle(m, order, before);
done:
    ndi_free(taken);
    ndi_free(order);
    ndi_free(before);
    return status;
}

/* ---- whitening ---- */

/* Covariances over the repetitions of each image at each sample; trials are read image by image. */
static nd_status fit_per_time(const session_trials *t, double *sum)
{
    const size_t p = t->n_channels, n = t->n_samples;
    size_t n_images = 0;
    size_t *begin = NULL, *members = NULL, most = 0, present = 0;
    float *x = NULL;
    double *z = NULL;
    nd_status status;
    for (size_t i = 0; i < t->n_trials; i++) n_images = (size_t)t->image[i] < n_images ? n_images : (size_t)t->image[i] + 1;
    GO(ndi_sort_by_group((const uint32_t *)t->image, t->n_trials, n_images, &members, &begin));
    for (size_t k = 0; k < n_images; k++) {
        const size_t count = begin[k + 1] - begin[k];
        most = count > most ? count : most;
        present += count > 0;
    }
    if (most < 2) GO(ndi_fail(ND_ERR_ARGUMENT, "things-eeg2: per_time=1 takes two repetitions in a session"));
    GO(NEW(x, most * p * n));
    GO(NEW(z, p * most + ndi_shrunk_scratch(p, most)));
    for (size_t k = 0; k < n_images; k++) {
        const size_t count = begin[k + 1] - begin[k];
        for (size_t i = 0; i < count; i++) GO(ndi_array_read_f32(t->data, members[begin[k] + i] * p * n, p * n, x + i * p * n));
        for (size_t at = 0; count && at < n; at++) {
            for (size_t c = 0; c < p; c++)
                for (size_t i = 0; i < count; i++) z[c * count + i] = (double)x[(i * p + c) * n + at];
            ndi_shrunk_covariance(z, p, count, 1 / ((double)n * (double)present), sum, z + p * count);
        }
    }
done:
    ndi_free(begin);
    ndi_free(members);
    ndi_free(x);
    ndi_free(z);
    return status;
}

/* Adds the covariance of one file's trials. */
static nd_status add_covariance(const merger *m, const char *path, double *sum, double *one)
{
    session_trials t;
    const size_t p = m->plan->n_channels;
    TRY(ndi_session_open(&t, path));
    nd_status status = t.n_channels == p ? ND_OK : ndi_fail(ND_ERR_FORMAT, "%s: has %zu channels, expected %zu", path, t.n_channels, p);
    memset(one, 0, p * p * sizeof *one);
    if (status == ND_OK) status = m->plan->per_time ? fit_per_time(&t, one) : ndi_session_covariance(&t, one);
    for (size_t i = 0; i < p * p; i++) sum[i] += one[i];
    ndi_session_close(&t);
    return status;
}

static nd_status make_root(merger *m, size_t session)
{
    const size_t p = m->plan->n_channels;
    const char *const fits[2] = { m->plan->fits[0][session], m->plan->fits[1][session] };
    const double n_fits = (fits[0] != NULL) + (fits[1] != NULL);
    double *one;
    if (n_fits == 0) return ND_OK;
    TRY(NEW(one, p * p));
    nd_status status = NEW(m->roots[session], p * p);
    for (size_t k = 0; k < 2 && status == ND_OK; k++)
        if (fits[k]) status = add_covariance(m, fits[k], m->roots[session], one);
    ndi_free(one);
    TRY(status);
    for (size_t i = 0; i < p * p; i++) m->roots[session][i] /= n_fits;
    return ndi_prefix(ndi_inverse_root(m->roots[session], p), "%s", m->plan->trials[session]);
}

/* ---- trials of the result ---- */

/* Adds weight x the whitened trial; `x` holds a trial in both types. */
static nd_status add_source(const merger *m, const source *from, double weight, double *x, double *sum)
{
    const size_t p = m->plan->n_channels, n = m->plan->n_samples;
    const double *root = m->roots[from->session];
    TRY(ndi_array_read_f64(m->sessions[from->session].data, (size_t)from->row * p * n, p * n, x));
    if (root)
        ndi_gemm_f64(false, false, p, n, p, weight, root, p, x, n, 1, sum, n);
    else
        for (size_t i = 0; i < p * n; i++) sum[i] += weight * x[i];
    return ND_OK;
}

static void make_task(void *context, size_t task, size_t worker)
{
    merger *m = context;
    const size_t size = m->plan->n_channels * m->plan->n_samples, k = m->first + task;
    double *sum = m->scratch + worker * 2 * size, *x = sum + size;
    memset(sum, 0, size * sizeof *sum);
    m->failed[task] = ND_OK;
    for (size_t i = 0; i < m->members[k] && m->failed[task] == ND_OK; i++)
        m->failed[task] = add_source(m, &m->sources[m->first_of[k] + i], 1 / (double)m->members[k], x, sum);
    if (m->element_size == sizeof(double)) {
        memcpy((double *)m->to + task * size, sum, size * sizeof *sum);
    } else {
        float *y = (float *)m->to + task * size;
        for (size_t i = 0; i < size; i++) y[i] = (float)sum[i];
    }
}

static nd_status make_rows(void *context, size_t first, size_t count, void *trials)
{
    merger *m = context;
    const size_t row_bytes = m->plan->n_channels * m->plan->n_samples * m->element_size;
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < (size_t)BATCH ? count - done : (size_t)BATCH;
        m->first = first + done;
        m->to = (char *)trials + done * row_bytes;
        ndi_pool_run(m->workers, n, make_task, m);
        for (size_t i = 0; i < n; i++) CHECK(m->failed[i] == ND_OK, m->failed[i], "%s: the trials of a session cannot be read", m->plan->trials[0]);
    }
    return ndi_progress_at(&m->report, first + count);
}

static nd_status read_floats(void *context, size_t first, size_t count, float *x) { return make_rows(context, first, count, x); }

/* ---- opening, closing ---- */

static nd_status open_all(merger *m)
{
    const merge_plan *p = m->plan;
    for (size_t s = 0; s < p->n_sessions; s++) {
        TRY(ndi_session_open(&m->sessions[s], p->trials[s]));
        CHECK(m->sessions[s].n_channels == p->n_channels && m->sessions[s].n_samples == p->n_samples, ND_ERR_FORMAT,
              "%s: trials of %zu x %zu, expected %zu x %zu", p->trials[s], m->sessions[s].n_channels, m->sessions[s].n_samples, p->n_channels,
              p->n_samples);
    }
    TRY(arrange(m));
    for (size_t s = 0; s < p->n_sessions; s++) TRY(make_root(m, s));
    return NEW(m->scratch, ndi_pool_threads(m->workers) * 2 * p->n_channels * p->n_samples);
}

static void close_all(merger *m)
{
    for (size_t s = 0; s < m->plan->n_sessions; s++) {
        ndi_session_close(&m->sessions[s]);
        ndi_free(m->roots[s]);
    }
    ndi_free(m->sources);
    ndi_free(m->begin);
    ndi_free(m->first_of);
    ndi_free(m->members);
    ndi_free(m->scratch);
}

static nd_status list_made(merger *m)
{
    const size_t n_images = m->plan->images->n;
    TRY(NEW(m->first_of, m->n_sources));
    TRY(NEW(m->members, m->n_sources));
    for (size_t i = 0; i < n_images; i++) {
        const size_t n = m->begin[i + 1] - m->begin[i], each = m->plan->average ? n : 1;
        for (size_t k = 0; k < n; k += each) {
            m->first_of[m->n_made] = m->begin[i] + k;
            m->members[m->n_made++] = each;
        }
    }
    return ND_OK;
}

/* ---- a store ---- */

static nd_status label(const merger *m, storage *s)
{
    const merge_plan *p = m->plan;
    s->rate = p->rate;
    s->start = p->start;
    s->averaged = p->average ? (int32_t)m->most : 1;
    TRY(ndi_storage_name_channels(s, p->channels, p->n_channels));
    for (size_t i = 0, k = 0; i < p->images->n; i++) {
        size_t index;
        if (m->begin[i + 1] > m->begin[i]) TRY(ndi_add_id(&s->images, p->images->items[i], "image id", &index));
        for (; k < m->n_made && m->first_of[k] < m->begin[i + 1]; k++) {
            s->image[k] = (uint32_t)index;
            s->subject[k] = p->subject;
            s->repetition[k] = (int32_t)(m->first_of[k] - m->begin[i]);
        }
    }
    return ND_OK;
}

nd_status ndi_merge_to_store(const merge_plan *plan, const char *to, pool *workers, nd_progress_fn fn, void *user)
{
    merger m = { .plan = plan, .workers = workers, .element_size = sizeof(float) };
    storage *s = NULL;
    const sample_source from = { read_floats, &m, BATCH };
    nd_status status;
    GO(open_all(&m));
    GO(list_made(&m));
    GO(ndi_storage_create(&s, m.n_made, plan->n_channels, plan->n_samples));
    GO(label(&m, s));
    ndi_progress_begin(&m.report, fn, user, "merge", "trials", 0, m.n_made);
    GO(ndi_store_write(to, s, &from, ND_PRECISION_FLOAT32, NULL));
done:
    ndi_storage_free(s);
    close_all(&m);
    return status;
}

/* ---- a pickle ---- */

static nd_status check_equal(const merger *m)
{
    for (size_t i = 0; i < m->plan->images->n; i++)
        CHECK(m->begin[i + 1] - m->begin[i] == m->most, ND_ERR_FORMAT,
              "image %zu (%s) has %zu repetitions, another one %zu: an array needs as many of each", i + 1, m->plan->images->items[i],
              m->begin[i + 1] - m->begin[i], m->most);
    return ND_OK;
}

static nd_status write_pickle(merger *m, size_t n_cut, bool boxed, const char *to, double *times, double *buffer)
{
    const merge_plan *p = m->plan;
    const size_t size = p->n_channels * p->n_samples, n_times = n_cut + p->n_samples;
    feed f = { make_rows, m, m->n_made, size, sizeof(double), BATCH, buffer, 0, 0 };
    for (size_t i = 0; i < n_times; i++) times[i] = p->start + ((double)i - (double)n_cut) / p->rate;
    const put_array arrays[] = {
        { .name = "preprocessed_eeg_data",
          .type = DTYPE_F64,
          .n_dims = 4,
          .shape = { p->images->n, m->most, p->n_channels, p->n_samples },
          .fill = ndi_feed_fill,
          .context = &f },
        { .name = "times", .type = DTYPE_F64, .n_dims = 1, .shape = { n_times }, .data = times },
    };
    const put_texts names = { .name = "ch_names", .items = p->channels, .n = p->n_channels, .list = true };
    return ndi_format_write(to, boxed ? "npy" : "pickle", &(put){ .arrays = arrays, .n_arrays = COUNT(arrays), .texts = &names, .n_texts = 1 });
}

nd_status ndi_merge_to_pickle(const merge_plan *plan, size_t n_cut, bool boxed, const char *to, pool *workers, nd_progress_fn fn, void *user)
{
    merger m = { .plan = plan, .workers = workers, .element_size = sizeof(double) };
    double *times = NULL, *buffer = NULL;
    nd_status status;
    GO(open_all(&m));
    GO(list_made(&m));
    GO(check_equal(&m));
    GO(NEW(times, n_cut + plan->n_samples));
    GO(NEW(buffer, (size_t)BATCH * plan->n_channels * plan->n_samples));
    ndi_progress_begin(&m.report, fn, user, "merge", "trials", 0, m.n_made);
    GO(write_pickle(&m, n_cut, boxed, to, times, buffer));
done:
    ndi_free(times);
    ndi_free(buffer);
    close_all(&m);
    return status;
}
