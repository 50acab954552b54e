/* Embedding trials in evaluation mode. What a call needs (threads, workspace) is a session; the encoder keeps the last one, so that the next call allocates nothing. */
#include <math.h>
#include <string.h>

#include "encoders/encoder.h"
#include "math/vec.h"

enum { MAX_BATCH = 128 };

typedef struct session {
    pool *threads;
    workspace *w;
    float *x; /* room for trials read from a dataset */
    int32_t *subjects;
} session;

void ndi_session_free(session *s)
{
    if (!s) return;
    ndi_workspace_free(s->w);
    ndi_pool_free(s->threads);
    ndi_free(s->x);
    ndi_free(s->subjects);
    ndi_free(s);
}

/* The kept session if nobody else has it and it is large enough, else a new one. */
static nd_status take_session(const nd_encoder *e, size_t n, session **out)
{
    nd_encoder *shared = (nd_encoder *)(uintptr_t)e; /* only its atomic slot changes */
    size_t capacity = n < MAX_BATCH ? n : MAX_BATCH;
    session *s = atomic_exchange(&shared->spare, NULL);
    if (s && s->w->capacity >= capacity) {
        *out = s;
        return ND_OK;
    }
    ndi_session_free(s);
    nd_status status = NEW(s, 1);
    if (status != ND_OK) return status;
    GO(ndi_pool_create(&s->threads, e->n_threads));
    GO(ndi_workspace_create(&s->w, e->g, capacity, false, false, s->threads));
    GO(NEW(s->x, capacity * e->s.channels * e->s.samples));
    GO(NEW(s->subjects, capacity));
    *out = s;
    return ND_OK;
done:
    ndi_session_free(s);
    return status;
}

static void give_back(const nd_encoder *e, session *s)
{
    nd_encoder *shared = (nd_encoder *)(uintptr_t)e;
    session *expected = NULL;
    if (!atomic_compare_exchange_strong(&shared->spare, &expected, s)) ndi_session_free(s);
}

static nd_status embed_batch(const nd_encoder *e, session *s, const float *x, size_t n, float *embeddings)
{
    pass p = { .w = s->w, .B = n, .x = x, .subjects = s->subjects, .params = e->params, .state = e->state, .revision = e->revision };
    uint32_t before = ndi_fp_begin();
    ndi_forward(&p);
    ndi_fp_end(before);
    CHECK(ndi_all_finite(ndi_output(&p), n * e->s.dim), ND_ERR_NUMERIC,
          "embed: an embedding is not finite; are the samples too large, or the weights?");
    memcpy(embeddings, ndi_output(&p), n * e->s.dim * sizeof *embeddings);
    return ND_OK;
}

/* Trials from memory (x, subjects or NULL) or from a dataset. */
typedef struct source {
    const nd_encoder *e;
    session *s;
    const float *x;
    const int32_t *subjects;
    const nd_dataset *d; /* NULL = from memory */
    size_t first, size;  /* of the batch; of a trial */
} source;

static nd_status check_finite(const nd_encoder *e, const float *x, size_t trial)
{
    size_t n = e->s.channels * e->s.samples, i = 0;
    if (ndi_all_finite(x, n)) return ND_OK;
    while (i + 1 < n && isfinite(x[i])) i++;
    return ndi_fail(ND_ERR_NUMERIC, "embed: trial %zu, channel %zu: a sample is not finite", trial, i / e->s.samples);
}

static nd_status take_trial(void *context, size_t task, size_t worker)
{
    (void)worker;
    const source *f = context;
    size_t trial = f->first + task;
    float *room = f->s->x + task * f->size;
    int32_t *subject = &f->s->subjects[task];
    if (!f->d) {
        *subject = f->subjects ? ndi_encoder_subject(f->e, f->subjects[trial]) : 0;
        return check_finite(f->e, f->x + trial * f->size, trial);
    }
    ndi_dataset_read(f->d, trial, room);
    *subject = ndi_encoder_subject(f->e, ndi_dataset_subject_of(f->d, trial));
    return check_finite(f->e, room, trial);
}

static nd_status embed_all(source *f, size_t n, float *embeddings, progress *p)
{
    for (; f->first < n; f->first += MAX_BATCH) {
        size_t count = n - f->first < MAX_BATCH ? n - f->first : MAX_BATCH;
        TRY(ndi_pool_try(f->s->threads, count, take_trial, f));
        TRY(embed_batch(f->e, f->s, f->d ? f->s->x : f->x + f->first * f->size, count, embeddings + f->first * f->e->s.dim));
        if (p) TRY(ndi_progress_at(p, f->first + count));
    }
    return ND_OK;
}

nd_status ndi_encoder_embed(const nd_encoder *e, const float *x, const int32_t *subjects, size_t n, float *embeddings)
{
    if (n == 0) return ND_OK;
    source f = { .e = e, .x = x, .subjects = subjects, .size = e->s.channels * e->s.samples };
    TRY(take_session(e, n, &f.s));
    nd_status status = embed_all(&f, n, embeddings, NULL);
    give_back(e, f.s);
    return status;
}

nd_status ndi_encoder_embed_dataset(const nd_encoder *e, const nd_dataset *d, float *embeddings, size_t capacity, nd_progress_fn fn, void *user)
{
    size_t n = ndi_dataset_trials(d);
    TRY(ndi_encoder_check_dataset(e, d));
    CHECK(capacity / e->s.dim >= n, ND_ERR_BUFFER, "embed: room for %zu numbers, need %zu x %zu", capacity, n, e->s.dim);
    if (n == 0) return ND_OK;
    source f = { .e = e, .d = d, .size = e->s.channels * e->s.samples };
    TRY(take_session(e, n, &f.s));
    progress p;
    ndi_progress_begin(&p, fn, user, "embed", "trials", 0, n);
    nd_status status = embed_all(&f, n, embeddings, &p);
    give_back(e, f.s);
    return status;
}

static nd_status check_channels(const json_t *names, const nd_dataset *d)
{
    for (size_t i = 0; i < json_array_size(names) && i < ndi_dataset_channels(d); i++) {
        const char *expected = json_string_value(json_array_get(names, i)), *found = ndi_dataset_channel(d, i);
        CHECK(!expected || strcmp(expected, found) == 0, ND_ERR_ARGUMENT, "encoder: channel %zu: the dataset has '%s', the encoder was made for '%s'",
              i, found, expected);
    }
    return ND_OK;
}

nd_status ndi_encoder_check_dataset(const nd_encoder *e, const nd_dataset *d)
{
    size_t C = ndi_dataset_channels(d), T = ndi_dataset_samples(d);
    CHECK(C == e->s.channels && T == e->s.samples, ND_ERR_ARGUMENT,
          "encoder: the dataset has %zu channels x %zu samples, the encoder takes %zu x %zu", C, T, e->s.channels, e->s.samples);
    const json_t *input = json_object_get(e->meta, "input");
    if (!input) return ND_OK;
    TRY(check_channels(json_object_get(input, "channels"), d));
    double rate = json_number_value(json_object_get(input, "rate")), start = json_number_value(json_object_get(input, "start"));
    CHECK(rate == ndi_dataset_rate(d), ND_ERR_ARGUMENT, "encoder: the dataset has %g samples per second, the encoder was made for %g",
          ndi_dataset_rate(d), rate);
    double shift = start - ndi_dataset_start(d);
    CHECK(shift < 1e-6 && shift > -1e-6, ND_ERR_ARGUMENT, "encoder: the dataset starts at %g s, the encoder was made for %g s", ndi_dataset_start(d),
          start);
    json_int_t normalise = json_integer_value(json_object_get(input, "normalise"));
    CHECK(normalise == ndi_dataset_normalised(d), ND_ERR_ARGUMENT, "encoder: the dataset is normalised by rule %d, the encoder was made for rule %d",
          (int)ndi_dataset_normalised(d), (int)normalise);
    return ND_OK;
}
