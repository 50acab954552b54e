/* From files and arrays to recordings: what a format describes as signals, and what can be read as such: an array of channels x samples with names,
 * as THINGS-EEG2 has it, or a table with a column for each channel, as Muse and LSL recorders write it. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "data/bids.h"
#include "data/recording.h"

/* An array as signals: element (channel c, sample t) at  c x channel_step + t x sample_step. One of the steps is 1. */
typedef struct array_reader {
    array a;
    size_t channel_step, sample_step, skipped; /* columns before the first channel count as channels that are passed over */
} array_reader;

static nd_status read_rows(const array_reader *g, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *numbers)
{
    for (size_t k = 0; k < n_chosen; k++)
        TRY(ndi_array_read_f64(&g->a, (chosen[k] + g->skipped) * g->channel_step + (size_t)first, count, numbers + k * count));
    return ND_OK;
}

static nd_status read_array(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *numbers)
{
    const array_reader *g = s->reader;
    if (g->sample_step == 1) return read_rows(g, chosen, n_chosen, first, count, numbers);
    return ndi_columns_read(&g->a, g->sample_step, g->skipped, chosen, n_chosen, first, count, numbers);
}

/* ---- which array, and how it lies ---- */

typedef struct opening {
    const char *path;
    const nd_recording_options *o;
    content *c;
    signals *s;
} opening;

static nd_status pick_array(const opening *m, const array **a)
{
    static const char *const usual[] = { "raw_eeg_data", "data" };
    const array *only = NULL;
    size_t n = 0;
    *a = NULL;
    for (size_t i = 0; !m->o->variable && i < COUNT(usual) && !*a; i++) *a = ndi_content_array(m->c, usual[i]);
    for (size_t i = 0; i < m->c->n_arrays; i++) {
        if (m->c->arrays[i].n_dims != 2) continue;
        only = &m->c->arrays[i];
        n++;
    }
    if (!*a && !m->o->variable && n == 1) *a = only;
    if (!*a) TRY(ndi_content_pick(m->c, m->o->variable, a));
    CHECK((*a)->n_dims == 2 && (*a)->n > 0, ND_ERR_FORMAT, "%s: array '%s' has %zu dimensions and %zu elements, expected channels x samples", m->path,
          (*a)->name, (*a)->n_dims, (*a)->n);
    return ND_OK;
}

static const texts *names_in_file(const content *c)
{
    static const char *const usual[] = { "ch_names", "channels", "channel_names", "columns" };
    for (size_t i = 0; i < COUNT(usual); i++) {
        const texts *t = ndi_content_texts(c, usual[i]);
        if (t && t->list) return t;
    }
    return NULL;
}

/* A table has a row for each sample; of other arrays the dimension that has as many entries as there are names is that of the channels. */
static bool samples_first(const opening *m, const array *a, size_t n_names)
{
    if (strcmp(m->c->format, "csv") == 0) return true;
    return n_names == a->shape[1] && n_names != a->shape[0];
}

static nd_status add_array(opening *m, size_t n_names)
{
    const array *a;
    TRY(pick_array(m, &a));
    const bool turned = samples_first(m, a, n_names);
    array_reader *g = ndi_arena_alloc(&m->c->memory, sizeof *g);
    CHECK(g, ND_ERR_MEMORY, "%s: out of memory", m->path);
    g->a = *a;
    if (a->fortran) { /* the transposed array in C order */
        g->a.fortran = false;
        g->a.shape[0] = a->shape[1];
        g->a.shape[1] = a->shape[0];
    }
    g->channel_step = turned != a->fortran ? 1 : g->a.shape[1];
    g->sample_step = turned != a->fortran ? g->a.shape[1] : 1;
    TRY(ndi_content_add_signals(m->c, a->in, a->shape[turned], &m->s));
    m->s->n_samples = a->shape[!turned];
    m->s->rate = 1;
    m->s->reader = g;
    m->s->read = read_array;
    return ND_OK;
}

/* ---- names, types, rate ---- */

static nd_status name_channels(opening *m, const texts *names)
{
    if (m->o->channels) {
        const char *list = m->o->channels, *word;
        size_t n, i = 0;
        const size_t n_words = ndi_count_words(list);
        CHECK(n_words == m->s->n_channels, ND_ERR_ARGUMENT, "%s: got %zu channel names for %zu channels", m->path, n_words, m->s->n_channels);
        while (ndi_next_word(&list, &word, &n)) TRY(ndi_content_text(m->c, word, n, &m->s->channels[i++].name));
        return ND_OK;
    }
    CHECK(!names || names->n == m->s->n_channels, ND_ERR_FORMAT, "%s: has %zu channel names for %zu channels", m->path, names ? names->n : 0,
          m->s->n_channels);
    for (size_t i = 0; i < m->s->n_channels; i++) {
        char number[24];
        ndi_format(number, sizeof number, "%zu", i);
        const char *name = names ? names->items[i] : number;
        TRY(ndi_content_text(m->c, name, strlen(name), &m->s->channels[i].name));
    }
    return ND_OK;
}

static nd_status set_types(opening *m)
{
    const texts *t = ndi_content_texts(m->c, "ch_types");
    for (size_t i = 0; i < m->s->n_channels; i++) {
        const char *type = t && t->list && t->n == m->s->n_channels ? t->items[i] : ndi_channel_type_by_name(m->s->channels[i].name);
        if (type) m->s->channels[i].type = type;
    }
    return ND_OK;
}

/* Times in seconds, of the first and the last sample. */
static nd_status take_times(opening *m, const double *times, size_t n)
{
    const double rate = (double)(n - 1) / (times[n - 1] - times[0]), whole = round(rate);
    CHECK(isfinite(rate) && rate > 0, ND_ERR_FORMAT, "%s: column '%s': goes from %g to %g, expected seconds that go up", m->path,
          m->s->channels[0].name, times[0], times[n - 1]);
    m->s->rate = fabs(rate - whole) < 5e-3 * rate && whole > 0 ? whole : rate; /* clocks drift, recorders have whole rates */
    return ND_OK;
}

static bool is_time(const char *name)
{
    static const char *const usual[] = { "timestamps", "timestamp", "time", "times", "lsl_timestamp" };
    for (size_t i = 0; i < COUNT(usual); i++)
        if (strcmp(name, usual[i]) == 0) return true;
    return false;
}

/* A first column of times is no channel. */
static nd_status take_out_times(opening *m)
{
    array_reader *g = (array_reader *)(uintptr_t)m->s->reader;
    double *times;
    if (strcmp(m->c->format, "csv") != 0 || m->s->n_channels < 2 || m->s->n_samples < 2 || !is_time(m->s->channels[0].name)) return ND_OK;
    TRY(NEW(times, (size_t)m->s->n_samples));
    nd_status status = ndi_columns_read(&g->a, g->sample_step, 0, (const size_t[]){ 0 }, 1, 0, (size_t)m->s->n_samples, times);
    if (status == ND_OK) status = take_times(m, times, (size_t)m->s->n_samples);
    ndi_free(times);
    g->skipped = 1;
    m->s->channels++;
    m->s->n_channels--;
    return status;
}

static nd_status set_rate(opening *m)
{
    const array *a = ndi_content_array(m->c, "sfreq");
    if (a && a->n == 1) TRY(ndi_array_read_f64(a, 0, 1, &m->s->rate));
    TRY(take_out_times(m));
    if (m->o->rate > 0) m->s->rate = m->o->rate;
    return ND_OK;
}

/* ---- what options say of any recording ---- */

static nd_status apply_types(content *c, signals *s, const char *types, const char *where)
{
    const char *word;
    size_t n, i = 0;
    if (!types) return ND_OK;
    const size_t n_words = ndi_count_words(types);
    CHECK(n_words == 1 || n_words == s->n_channels, ND_ERR_ARGUMENT, "%s: got %zu channel types, expected 1 or %zu", where, n_words, s->n_channels);
    for (const char *list = types; ndi_next_word(&list, &word, &n); i++) TRY(ndi_content_text(c, word, n, &s->channels[i].type));
    for (; n_words == 1 && i < s->n_channels; i++) s->channels[i].type = s->channels[0].type;
    return ND_OK;
}

static nd_status apply_unit(content *c, signals *s, const char *unit)
{
    for (size_t i = 0; unit && i < s->n_channels; i++)
        if (!*s->channels[i].unit && strcmp(s->channels[i].type, "stim") != 0) TRY(ndi_channel_unit(c, &s->channels[i], unit, strlen(unit)));
    return ND_OK;
}

static nd_status check_options(const nd_recording_options *o)
{
    CHECK(o->rate >= 0 && isfinite(o->rate), ND_ERR_ARGUMENT, "recording: rate %g, expected more than 0, or 0 for unknown", o->rate);
    return ND_OK;
}

static nd_status describe(opening *m)
{
    m->s = m->c->signals;
    if (!m->s) {
        CHECK(m->o->variable || !ndi_content_array(m->c, "events"), ND_ERR_UNSUPPORTED, "%s: holds a list of events, expected samples", m->path);
        const texts *names = names_in_file(m->c);
        TRY(add_array(m, m->o->channels ? ndi_count_words(m->o->channels) : names ? names->n : 0));
        TRY(name_channels(m, names));
        TRY(set_rate(m));
        TRY(set_types(m));
        TRY(ndi_signals_settle(m->s, m->c, m->path));
    }
    if (m->o->bids) TRY(ndi_bids_apply(m->c, m->s, m->path));
    TRY(apply_types(m->c, m->s, m->o->types, m->path));
    return apply_unit(m->c, m->s, m->o->unit);
}

/* Samples of a packed file can only be unpacked forwards: they go to memory. */
static nd_status load_packed(nd_recording **out, nd_recording *r, const char *format)
{
    origin *s;
    nd_status status = ndi_recording_copy_samples(&s, r, NULL);
    if (status == ND_OK) {
        s->format = format;
        status = ndi_recording_replace(out, r, s);
    }
    ndi_recording_free(r);
    return status;
}

nd_status ndi_recording_open(nd_recording **out, const char *path, const nd_recording_options *o)
{
    opening m = { .path = path, .o = o };
    origin *s;
    nd_recording *r;
    TRY(check_options(o));
    TRY(ndi_content_open(&m.c, path));
    nd_status status = describe(&m);
    if (status != ND_OK) {
        ndi_content_free(m.c);
        return status;
    }
    const char *format = m.c->format;
    TRY(ndi_origin_of_content(&s, m.c, m.s, format));
    TRY(ndi_recording_of_source(&r, s));
    if (!m.s->concurrent) return load_packed(out, r, format);
    *out = r;
    return ND_OK;
}

static nd_status describe_created(content *c, origin *s, const nd_recording_options *o)
{
    opening m = { .path = "recording", .o = o, .c = c, .s = &s->s };
    TRY(name_channels(&m, NULL));
    TRY(set_types(&m));
    TRY(ndi_signals_settle(&s->s, c, m.path));
    TRY(apply_types(c, &s->s, o->types, m.path));
    TRY(apply_unit(c, &s->s, o->unit));
    return ND_OK;
}

nd_status ndi_recording_create(nd_recording **r, const double *data, size_t n_channels, size_t n_samples, const nd_recording_options *o)
{
    origin *s;
    TRY(check_options(o));
    TRY(ndi_origin_in_memory(&s, NULL, n_channels, n_samples, o->rate > 0 ? o->rate : 1));
    nd_status status = NEW(s->file, 1); /* holds the texts */
    if (status == ND_OK) status = describe_created(s->file, s, o);
    if (status != ND_OK) {
        ndi_origin_free(s);
        return status;
    }
    memcpy(s->samples, data, n_channels * n_samples * sizeof *data);
    return ndi_recording_of_source(r, s);
}
