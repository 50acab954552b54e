/* The handle: sources, views over them and their marks. */
#include "data/recording.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SAMPLES = 1 << 14 };

const nd_recording_options ndi_recording_defaults = { .size = sizeof(nd_recording_options) };

const channel *ndi_recording_channel(const nd_recording *r, size_t index) { return &r->from->s.channels[r->channels[index]]; }
double ndi_recording_rate(const nd_recording *r) { return r->from->s.rate; }

bool ndi_recording_is_signal(const nd_recording *r, size_t index)
{
    static const char *const others[] = { "stim", "misc", "syst", "exci" };
    for (size_t i = 0; i < COUNT(others); i++)
        if (strcmp(ndi_recording_channel(r, index)->type, others[i]) == 0) return false;
    return true;
}

nd_status ndi_recording_read(const nd_recording *r, uint64_t first, size_t count, double *values)
{
    return ndi_signals_read(&r->from->s, r->channels, r->n_channels, r->first + first, count, values);
}

nd_status ndi_recording_read_some(const nd_recording *r, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *values)
{
    size_t *places;
    TRY(NEW(places, n_chosen));
    for (size_t k = 0; k < n_chosen; k++) places[k] = r->channels[chosen[k]];
    nd_status status = ndi_signals_read(&r->from->s, places, n_chosen, r->first + first, count, values);
    ndi_free(places);
    return status;
}

/* ---- sources ---- */

void ndi_origin_free(origin *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    ndi_content_free(s->file);
    ndi_free(s->samples);
    ndi_arena_free(&s->memory);
    ndi_free(s);
}

static nd_status new_origin(origin **s)
{
    TRY(NEW(*s, 1));
    atomic_init(&(*s)->refs, 1);
    return ND_OK;
}

nd_status ndi_origin_of_content(origin **s, content *c, const signals *about, const char *format)
{
    nd_status status = new_origin(s);
    if (status != ND_OK) {
        ndi_content_free(c);
        return status;
    }
    (*s)->file = c;
    (*s)->s = *about;
    (*s)->format = format;
    return ND_OK;
}

static nd_status read_memory(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *numbers)
{
    const double *samples = s->reader;
    for (size_t k = 0; k < n_chosen; k++) memcpy(numbers + k * count, samples + chosen[k] * s->n_samples + first, count * sizeof *numbers);
    return ND_OK;
}

static nd_status keep_text(arena *memory, const char **text)
{
    *text = ndi_arena_text(memory, *text, strlen(*text));
    CHECK(*text, ND_ERR_MEMORY, "recording: out of memory");
    return ND_OK;
}

static nd_status copy_channels(origin *s, const nd_recording *like)
{
    for (size_t i = 0; i < s->s.n_channels; i++) {
        channel *ch = &s->s.channels[i];
        *ch = (channel){ .name = "", .type = "eeg", .unit = "", .scale = 1 };
        if (!like) continue;
        const channel *from = ndi_recording_channel(like, i);
        ch->name = from->name;
        ch->type = from->type;
        ch->unit = from->unit;
        ch->bad = from->bad;
        TRY(keep_text(&s->memory, &ch->name));
        TRY(keep_text(&s->memory, &ch->type));
        TRY(keep_text(&s->memory, &ch->unit));
    }
    return ND_OK;
}

nd_status ndi_origin_in_memory(origin **out, const nd_recording *like, size_t n_channels, size_t n_samples, double rate)
{
    size_t n, bytes;
    origin *s;
    CHECK(n_channels > 0 && n_samples > 0, ND_ERR_ARGUMENT, "recording: got %zu channels x %zu samples, expected at least one of each", n_channels,
          n_samples);
    CHECK(ndi_mul(n_channels, n_samples, &n) && ndi_mul(n_channels, sizeof(channel), &bytes), ND_ERR_MEMORY,
          "recording: %zu channels x %zu samples are too many", n_channels, n_samples);
    TRY(new_origin(&s));
    nd_status status = NEW(s->samples, n);
    s->format = "memory";
    s->s = (signals){ .n_channels = n_channels, .n_samples = n_samples, .rate = rate, .concurrent = true, .reader = s->samples, .read = read_memory };
    s->s.channels = ndi_arena_alloc(&s->memory, bytes);
    if (status == ND_OK && !s->s.channels) status = ndi_fail(ND_ERR_MEMORY, "recording: out of memory for %zu channels", n_channels);
    if (status == ND_OK) status = copy_channels(s, like);
    if (status != ND_OK) {
        ndi_origin_free(s);
        return status;
    }
    *out = s;
    return ND_OK;
}

/* ---- views ---- */

void ndi_recording_free(nd_recording *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1) return;
    ndi_origin_free(r->from);
    ndi_free(r->channels);
    ndi_free(r->marks);
    ndi_arena_free(&r->memory);
    ndi_free(r);
}

/* All of a source, without marks. */
static nd_status new_view(nd_recording **out, origin *s)
{
    nd_recording *r;
    nd_status status = NEW(r, 1);
    if (status != ND_OK) {
        ndi_origin_free(s);
        return status;
    }
    atomic_init(&r->refs, 1);
    r->from = s;
    r->n_channels = s->s.n_channels;
    r->n_samples = s->s.n_samples;
    status = NEW(r->channels, r->n_channels);
    if (status != ND_OK) {
        ndi_recording_free(r);
        return status;
    }
    for (size_t i = 0; i < r->n_channels; i++) r->channels[i] = i;
    *out = r;
    return ND_OK;
}

static nd_status copy_marks(nd_recording *r, const nd_recording *from)
{
    TRY(NEW(r->marks, from->n_marks));
    for (size_t i = 0; i < from->n_marks; i++) {
        r->marks[i] = from->marks[i];
        TRY(keep_text(&r->memory, &r->marks[i].text));
    }
    r->n_marks = from->n_marks;
    return ND_OK;
}

nd_status ndi_recording_of_source(nd_recording **out, origin *s)
{
    nd_recording *r;
    TRY(new_view(&r, s));
    nd_status status = NEW(r->marks, s->s.n_events);
    for (size_t i = 0; i < s->s.n_events && status == ND_OK; i++) {
        const event *e = &s->s.events[i];
        r->marks[i] = (mark){ .sample = e->sample, .duration = e->duration, .code = e->code, .text = e->text };
        status = keep_text(&r->memory, &r->marks[i].text);
    }
    if (status != ND_OK) {
        ndi_recording_free(r);
        return status;
    }
    r->n_marks = s->s.n_events;
    *out = r;
    return ND_OK;
}

nd_status ndi_recording_derive(nd_recording **out, const nd_recording *from)
{
    nd_recording *r;
    atomic_fetch_add_explicit(&from->from->refs, 1, memory_order_relaxed);
    TRY(new_view(&r, from->from));
    memcpy(r->channels, from->channels, from->n_channels * sizeof *r->channels);
    r->n_channels = from->n_channels;
    r->first = from->first;
    r->n_samples = from->n_samples;
    nd_status status = copy_marks(r, from);
    if (status != ND_OK) {
        ndi_recording_free(r);
        return status;
    }
    *out = r;
    return ND_OK;
}

nd_status ndi_recording_replace(nd_recording **out, const nd_recording *like, origin *s)
{
    nd_recording *r;
    TRY(new_view(&r, s));
    nd_status status = copy_marks(r, like);
    if (status != ND_OK) {
        ndi_recording_free(r);
        return status;
    }
    *out = r;
    return ND_OK;
}

/* Block by block, so that besides the copy there is only one block in memory. */
static nd_status fill_rows(const nd_recording *r, double *rows, double *block, progress *report)
{
    for (uint64_t first = 0, n; first < r->n_samples; first += n) {
        n = r->n_samples - first < (uint64_t)BLOCK_SAMPLES ? r->n_samples - first : (uint64_t)BLOCK_SAMPLES;
        TRY(ndi_recording_read(r, first, (size_t)n, block));
        for (size_t k = 0; k < r->n_channels; k++) memcpy(rows + k * r->n_samples + first, block + k * n, (size_t)n * sizeof *rows);
        if (report) TRY(ndi_progress_at(report, first + n));
    }
    return ND_OK;
}

nd_status ndi_recording_copy_samples(origin **out, const nd_recording *r, progress *report)
{
    origin *s;
    double *block;
    CHECK(r->n_samples <= SIZE_MAX / sizeof(double), ND_ERR_MEMORY, "recording: %llu samples are too many", (unsigned long long)r->n_samples);
    TRY(ndi_origin_in_memory(&s, r, r->n_channels, (size_t)r->n_samples, ndi_recording_rate(r)));
    nd_status status = NEW(block, r->n_channels * BLOCK_SAMPLES);
    if (status == ND_OK) status = fill_rows(r, s->samples, block, report);
    ndi_free(block);
    if (status != ND_OK) {
        ndi_origin_free(s);
        return status;
    }
    *out = s;
    return ND_OK;
}

/* ---- marks ---- */

bool ndi_mark_is_bad(const mark *m)
{
    static const char word[] = "bad";
    for (size_t i = 0; i < sizeof word - 1; i++)
        if ((m->text[i] | 0x20) != word[i]) return false;
    return true;
}

nd_status ndi_recording_clear_marks(nd_recording *r, size_t n)
{
    mark *marks;
    size_t kept = 0;
    CHECK(n < SIZE_MAX / sizeof *marks - r->n_marks, ND_ERR_MEMORY, "recording: %zu events are too many", n);
    TRY(NEW(marks, n + r->n_marks));
    for (size_t i = 0; i < r->n_marks; i++)
        if (ndi_mark_is_bad(&r->marks[i])) marks[kept++] = r->marks[i];
    ndi_free(r->marks);
    r->marks = marks;
    r->n_marks = kept;
    return ND_OK;
}

static int compare(const void *a, const void *b)
{
    const mark *x = a, *y = b;
    if (x->sample != y->sample) return x->sample < y->sample ? -1 : 1;
    if (x->code != y->code) return x->code < y->code ? -1 : 1;
    return (x->previous > y->previous) - (x->previous < y->previous);
}

void ndi_recording_sort_marks(nd_recording *r)
{
    if (r->n_marks > 1) qsort(r->marks, r->n_marks, sizeof *r->marks, compare);
}

nd_status ndi_recording_crop(nd_recording **out, const nd_recording *from, double start, double end)
{
    const double rate = ndi_recording_rate(from), n = (double)from->n_samples;
    nd_recording *r;
    CHECK(!isnan(start) && !isnan(end), ND_ERR_ARGUMENT, "crop: its bounds are not numbers");
    const double low = fmin(fmax(ceil(start * rate - 1e-6), 0), n), high = fmin(fmax(ceil(end * rate - 1e-6), 0), n);
    CHECK(low < high, ND_ERR_ARGUMENT, "crop: no samples from %g to %g s, the recording has %g s", start, end, n / rate);
    TRY(ndi_recording_derive(&r, from));
    const uint64_t first = (uint64_t)low, stop = (uint64_t)high;
    size_t kept = 0;
    for (size_t i = 0; i < r->n_marks; i++) {
        mark m = r->marks[i];
        if (m.sample >= stop || (m.sample < first && m.sample + m.duration <= first)) continue;
        if (m.sample < first && !ndi_mark_is_bad(&m)) continue; /* a bad span reaches in, an event does not */
        if (m.sample < first) m.duration -= first - m.sample;
        m.sample = m.sample < first ? 0 : m.sample - first;
        r->marks[kept++] = m;
    }
    r->n_marks = kept;
    r->first += first;
    r->n_samples = stop - first;
    *out = r;
    return ND_OK;
}

nd_status ndi_recording_set_events(nd_recording **out, const nd_recording *from, const uint64_t *samples, const int32_t *codes, size_t n)
{
    nd_recording *r;
    for (size_t i = 0; i < n; i++)
        CHECK(samples[i] < from->n_samples, ND_ERR_ARGUMENT, "events: entry %zu is at sample %llu, the recording has %llu", i,
              (unsigned long long)samples[i], (unsigned long long)from->n_samples);
    TRY(ndi_recording_derive(&r, from));
    nd_status status = ndi_recording_clear_marks(r, n);
    if (status != ND_OK) {
        ndi_recording_free(r);
        return status;
    }
    for (size_t i = 0; i < n; i++) r->marks[r->n_marks++] = (mark){ .sample = samples[i], .code = codes[i], .text = "" };
    ndi_recording_sort_marks(r);
    *out = r;
    return ND_OK;
}
