/* Recordings to files: as signals for the formats of recording systems, or as arrays that ndi_recording_open() takes back. */
#include <string.h>
#include <strings.h>

#include "data/recording_rows.h"
#include "io/format.h"
#include "io/signals_write.h"

/* A recording as writers see it. */
typedef struct view {
    const nd_recording *r;
    channel *channels;
    event *events;
    signals s;
} view;

static nd_status read_view(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *numbers)
{
    return ndi_recording_read_some(s->reader, chosen, n_chosen, first, count, numbers);
}

static nd_status make_view(view *v, const nd_recording *r)
{
    *v = (view){ .r = r };
    TRY(NEW(v->channels, r->n_channels));
    TRY(NEW(v->events, r->n_marks));
    for (size_t c = 0; c < r->n_channels; c++) {
        const channel *ch = ndi_recording_channel(r, c);
        v->channels[c] = (channel){ .name = ch->name, .type = ch->type, .unit = ch->unit, .scale = 1 };
    }
    for (size_t i = 0; i < r->n_marks; i++) {
        const mark *m = &r->marks[i];
        v->events[i] = (event){ .sample = m->sample, .duration = m->duration, .code = m->code, .text = m->text };
    }
    v->s = (signals){ .n_channels = r->n_channels,
                      .channels = v->channels,
                      .n_samples = r->n_samples,
                      .rate = ndi_recording_rate(r),
                      .events = v->events,
                      .n_events = r->n_marks,
                      .reader = r,
                      .read = read_view };
    return ND_OK;
}

static void free_view(view *v)
{
    ndi_free(v->channels);
    ndi_free(v->events);
}

/* ---- arrays ---- */

/* Lists that go with the arrays: of the channels names, types and units, of the events samples, durations, codes and texts. */
typedef struct lists {
    const char **names, **types, **units, **texts;
    double *samples, *durations, *codes;
} lists;

static nd_status make_lists(lists *l, const signals *s)
{
    TRY(NEW(l->names, s->n_channels));
    TRY(NEW(l->types, s->n_channels));
    TRY(NEW(l->units, s->n_channels));
    TRY(NEW(l->texts, s->n_events));
    TRY(NEW(l->samples, s->n_events));
    TRY(NEW(l->durations, s->n_events));
    TRY(NEW(l->codes, s->n_events));
    for (size_t c = 0; c < s->n_channels; c++) {
        l->names[c] = s->channels[c].name;
        l->types[c] = s->channels[c].type;
        l->units[c] = s->channels[c].unit;
    }
    for (size_t i = 0; i < s->n_events; i++) {
        l->texts[i] = s->events[i].text;
        l->samples[i] = (double)s->events[i].sample;
        l->durations[i] = (double)s->events[i].duration;
        l->codes[i] = s->events[i].code;
    }
    return ND_OK;
}

static void free_lists(lists *l)
{
    ndi_free(l->names);
    ndi_free(l->types);
    ndi_free(l->units);
    ndi_free(l->texts);
    ndi_free(l->samples);
    ndi_free(l->durations);
    ndi_free(l->codes);
}

typedef struct feed {
    const origin *from;
    progress *report;
} feed;

/* Elements first .. first + count - 1 of channels x samples. */
static nd_status fill(void *context, size_t first, size_t count, void *elements)
{
    const feed *f = context;
    const size_t row = (size_t)f->from->s.n_samples;
    double *to = elements;
    for (size_t done = 0, n; done < count; done += n) {
        const size_t c = (first + done) / row, within = (first + done) % row;
        n = row - within < count - done ? row - within : count - done;
        TRY(ndi_rows_read(f->from->samples, c, within, n, to + done));
    }
    return ndi_progress_at(f->report, (first + count) / f->from->s.n_channels);
}

static nd_status put_arrays(const char *path, const signals *s, const lists *l, feed *f)
{
    const put_array arrays[] = {
        { .name = "data", .type = DTYPE_F64, .n_dims = 2, .shape = { s->n_channels, (size_t)s->n_samples }, .fill = fill, .context = f },
        { .name = "sfreq", .type = DTYPE_F64, .n_dims = 1, .shape = { 1 }, .data = &s->rate },
        { .name = "event_samples", .type = DTYPE_F64, .n_dims = 1, .shape = { s->n_events }, .data = l->samples },
        { .name = "event_durations", .type = DTYPE_F64, .n_dims = 1, .shape = { s->n_events }, .data = l->durations },
        { .name = "event_codes", .type = DTYPE_F64, .n_dims = 1, .shape = { s->n_events }, .data = l->codes },
    };
    const put_texts named[] = {
        { .name = "ch_names", .items = l->names, .n = s->n_channels, .list = true },
        { .name = "ch_types", .items = l->types, .n = s->n_channels, .list = true },
        { .name = "ch_units", .items = l->units, .n = s->n_channels, .list = true },
        { .name = "event_texts", .items = l->texts, .n = s->n_events, .list = true },
    };
    const bool events = s->n_events > 0;
    return ndi_format_write(path, NULL, &(put){ .arrays = arrays, .n_arrays = events ? 5 : 2, .texts = named, .n_texts = events ? 4 : 3 });
}

/* Channel by channel, from rows: reading one channel of a file of frames would read all of it. */
static nd_status save_arrays(const char *path, const view *v, progress *report)
{
    lists l = { 0 };
    origin *copy;
    TRY(ndi_recording_copy_samples(&copy, v->r, NULL, NULL, NULL));
    nd_status status = make_lists(&l, &v->s);
    if (status == ND_OK) status = put_arrays(path, &v->s, &l, &(feed){ copy, report });
    free_lists(&l);
    ndi_origin_free(copy);
    return status;
}

static bool holds_arrays(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".npz") == 0 || strcasecmp(dot, ".safetensors") == 0);
}

nd_status ndi_recording_save(const nd_recording *r, const char *path, nd_progress_fn fn, void *user)
{
    const signals_writer *w = ndi_signals_writer(path);
    progress report;
    view v;
    CHECK(w || holds_arrays(path), ND_ERR_UNSUPPORTED, "%s: recordings are written as .edf, .bdf, .vhdr, .fif, .npz or .safetensors", path);
    ndi_progress_begin(&report, fn, user, "write", "samples", 0, r->n_samples);
    nd_status status = make_view(&v, r);
    if (status == ND_OK) status = w ? w->write(path, &v.s, &report) : save_arrays(path, &v, &report);
    free_view(&v);
    return status;
}
