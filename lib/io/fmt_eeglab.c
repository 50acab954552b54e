/* EEGLAB's .set: a MAT-file of the struct EEG, or of its fields. Samples are in it (data) or, as float32, in the file beside that data names (.fdt);
 * microvolts, channels x samples x trials in MATLAB's order. One trial is a continuous recording; more are arrays with what goes with them. */
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/text.h"
#include "io/format.h"
#include "io/mat_value.h"
#include "io/signals.h"

static const size_t most_unpacked = (size_t)1 << 30;

typedef struct eeglab {
    content *c;
    const char *file;
    const mat_value *eeg;
    size_t n_channels, n_samples, n_trials;
    double rate, start; /* start: of a trial, in seconds */
    array samples;      /* trials x samples x channels in C order */
} eeglab;

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    return strcmp(extension, "set") == 0 && (ndi_mat_probe(head, n, extension) > 50 || ndi_hdf5_probe(head, n)) ? 98 : 0;
}

/* ---- what the fields say ---- */

static double number(const eeglab *e, const char *name, double otherwise)
{
    const mat_value *v = ndi_mat_field(e->eeg, 0, name);
    return v && v->kind == MAT_NUMBERS && v->n == 1 && !isnan(v->scalar) ? v->scalar : otherwise;
}

static nd_status count(const eeglab *e, const char *name, double otherwise, size_t *n)
{
    const double x = number(e, name, otherwise);
    CHECK(x >= 1 && x <= INT32_MAX && x == floor(x), ND_ERR_FORMAT, "%s: EEG.%s: got %g, expected a whole number from 1 on", e->file, name, x);
    *n = (size_t)x;
    return ND_OK;
}

static const char *word(const mat_value *v) { return v && v->kind == MAT_TEXT && v->n_rows == 1 ? v->rows[0] : NULL; }

static nd_status find_eeg(eeglab *e, const mat_value *root)
{
    CHECK(!ndi_mat_field(root, 0, "ALLEEG"), ND_ERR_UNSUPPORTED, "%s: holds several recordings (ALLEEG), expected one", e->file);
    for (const mat_value *v = root; v; v = ndi_mat_field(v, 0, "EEG")) e->eeg = v;
    CHECK(e->eeg->kind == MAT_STRUCT && ndi_mat_field(e->eeg, 0, "data"), ND_ERR_FORMAT, "%s: has no field 'data' in a struct 'EEG' or beside it",
          e->file);
    TRY(count(e, "nbchan", -1, &e->n_channels));
    TRY(count(e, "pnts", -1, &e->n_samples));
    TRY(count(e, "trials", 1, &e->n_trials));
    e->rate = number(e, "srate", -1);
    e->start = number(e, "xmin", 0);
    CHECK(isfinite(e->rate) && e->rate > 0 && isfinite(e->start), ND_ERR_FORMAT, "%s: EEG.srate: got %g, expected more than 0", e->file, e->rate);
    return ND_OK;
}

/* ---- samples ---- */

/* The file beside may have been renamed with its header: then it is called as that. */
static nd_status open_beside(const eeglab *e, const stream *in, const char *name, stream **s)
{
    const size_t n = strlen(name);
    CHECK(n < 4 || strcmp(name + n - 4, ".dat") != 0, ND_ERR_UNSUPPORTED, "%s: EEG.data: '%s' is of the old layout .dat, expected .fdt", e->file,
          name);
    nd_status status = ndi_stream_open_beside(s, in, name, n);
    if (status != ND_ERR_IO) return status;
    text own = { 0 };
    const char *dot = strrchr(e->file, '.');
    if (dot) ndi_text_add_bytes(&own, e->file, (size_t)(dot - e->file));
    ndi_text_add(&own, ".fdt");
    status = ndi_text_status(&own);
    if (status == ND_OK) status = ndi_stream_open_beside(s, in, own.s, own.n);
    ndi_text_free(&own);
    return ndi_prefix(status, "%s: EEG.data: '%s' is not there", e->file, name);
}

static nd_status find_samples(eeglab *e, const stream *in)
{
    const mat_value *v = ndi_mat_field(e->eeg, 0, "data");
    const char *name = word(v);
    size_t n = 0, bytes;
    CHECK(name || v->kind == MAT_NUMBERS, ND_ERR_FORMAT, "%s: EEG.data is neither numbers nor the name of a file", e->file);
    if (name) {
        e->samples = (array){ .name = "data", .type = DTYPE_F32 };
        TRY(open_beside(e, in, name, &e->samples.in));
        TRY(ndi_content_add_stream(e->c, e->samples.in));
    } else {
        e->samples = *v->numbers;
    }
    CHECK(ndi_mul(e->n_channels, e->n_samples, &n) && ndi_mul(n, e->n_trials, &n) && ndi_mul(n, ndi_dtype_size(e->samples.type), &bytes) &&
              (name || n == v->n),
          ND_ERR_FORMAT, "%s: EEG.data has %zu numbers, expected %zu channels x %zu samples x %zu trials", e->file, v->n, e->n_channels, e->n_samples,
          e->n_trials);
    uint64_t size;
    TRY(ndi_stream_size(e->samples.in, &size));
    CHECK(e->samples.at <= size && bytes <= size - e->samples.at, ND_ERR_FORMAT, "%s: %zu bytes of samples, got a file of %llu", e->file, bytes,
          (unsigned long long)size);
    e->samples.name = "data";
    e->samples.fortran = false;
    e->samples.n_dims = 3;
    e->samples.n = n;
    memcpy(e->samples.shape, (const size_t[]){ e->n_trials, e->n_samples, e->n_channels }, 3 * sizeof(size_t));
    return ND_OK;
}

static nd_status read_samples(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t n, double *numbers)
{
    return ndi_columns_read(s->reader, s->n_channels, 0, chosen, n_chosen, first, n, numbers);
}

/* ---- channels ---- */

/* "" where the file names none. */
static const char *channel_text(const eeglab *e, size_t i, const char *field)
{
    const char *s = word(ndi_mat_field(ndi_mat_field(e->eeg, 0, "chanlocs"), i, field));
    return s ? s : "";
}

static nd_status set_name(const eeglab *e, size_t i, channel *ch)
{
    char own[24];
    ndi_format(own, sizeof own, "EEG %03zu", i);
    const char *label = channel_text(e, i, "labels");
    return ndi_content_text(e->c, *label ? label : own, strlen(*label ? label : own), &ch->name);
}

static void set_type(const eeglab *e, size_t i, channel *ch)
{
    static const char *const known[] = { "eeg", "eog",  "ecg",     "emg",  "mag",  "grad", "stim", "misc",
                                         "bio", "resp", "ref_meg", "seeg", "ecog", "dbs",  "syst" };
    const char *type = channel_text(e, i, "type"), *by_name = ndi_channel_type_by_name(ch->name);
    if (by_name) ch->type = by_name;
    for (size_t k = 0; k < COUNT(known); k++)
        if (strcasecmp(type, known[k]) == 0) ch->type = known[k];
}

static nd_status set_channels(const eeglab *e, channel *channels)
{
    const mat_value *places = ndi_mat_field(e->eeg, 0, "chanlocs");
    CHECK(!places || places->kind != MAT_STRUCT || places->n == e->n_channels || places->n == 0, ND_ERR_FORMAT,
          "%s: EEG.chanlocs names %zu channels, expected %zu", e->file, places ? places->n : 0, e->n_channels);
    for (size_t i = 0; i < e->n_channels; i++) {
        TRY(set_name(e, i, &channels[i]));
        set_type(e, i, &channels[i]);
        if (strcmp(channels[i].type, "stim") != 0) TRY(ndi_channel_unit(e->c, &channels[i], "uV", 2));
    }
    return ND_OK;
}

/* ---- events ---- */

typedef struct mark {
    double latency, duration; /* samples; latency from 0, NaN = unknown */
    double trial;             /* from 1 */
    char number[32];
    const char *type;
} mark;

static double event_number(const mat_value *events, size_t i, const char *field, double otherwise)
{
    const mat_value *v = ndi_mat_field(events, i, field);
    return v && v->kind == MAT_NUMBERS && v->n == 1 ? v->scalar : otherwise;
}

static void read_mark(const mat_value *events, size_t i, mark *m)
{
    const mat_value *type = ndi_mat_field(events, i, "type");
    m->latency = event_number(events, i, "latency", (double)NAN) - 1;
    m->duration = event_number(events, i, "duration", 0);
    m->trial = event_number(events, i, "epoch", (double)NAN);
    ndi_format(m->number, sizeof m->number, "%.10g", event_number(events, i, "type", 0));
    m->type = word(type) ? word(type) : m->number;
}

static nd_status add_events(const eeglab *e, signals *s)
{
    const mat_value *events = ndi_mat_field(e->eeg, 0, "event");
    size_t n_lost = 0;
    for (size_t i = 0; events && events->kind == MAT_STRUCT && i < events->n; i++) {
        mark m;
        read_mark(events, i, &m);
        const double at = rint(m.latency), duration = m.duration > 0 && m.duration < 1e15 ? rint(m.duration) : 0;
        if (at >= 0 && at < 1e15)
            TRY(ndi_signals_add_event(s, e->c, (uint64_t)at, (uint64_t)duration, 0, m.type, strlen(m.type)));
        else
            n_lost++;
    }
    if (n_lost) ndi_log(ND_LOG_WARNING, "%s: %zu events without a latency from 1 on are passed over", e->file, n_lost);
    return ndi_signals_code_texts(s);
}

/* ---- a continuous recording ---- */

static nd_status add_recording(const eeglab *e)
{
    signals *s;
    array *reader = ndi_arena_alloc(&e->c->memory, sizeof *reader);
    CHECK(reader, ND_ERR_MEMORY, "%s: out of memory", e->file);
    *reader = e->samples;
    TRY(ndi_content_add_signals(e->c, e->samples.in, e->n_channels, &s));
    s->n_samples = e->n_samples;
    s->rate = e->rate;
    s->reader = reader;
    s->read = read_samples;
    TRY(set_channels(e, s->channels));
    TRY(add_events(e, s));
    return ndi_signals_settle(s, e->c, e->file);
}

/* ---- trials ---- */

/* Packed samples come in the order of the file only: they go to memory, as those of a recording do. */
static nd_status unpack(eeglab *e)
{
    array *a = &e->samples;
    const size_t bytes = a->n * ndi_dtype_size(a->type);
    if (ndi_stream_concurrent(a->in)) return ND_OK;
    CHECK(bytes <= most_unpacked, ND_ERR_UNSUPPORTED, "%s: %zu bytes of packed trials, expected at most %zu: save them unpacked", e->file, bytes,
          most_unpacked);
    void *copy = ndi_arena_alloc(&e->c->memory, bytes);
    CHECK(copy, ND_ERR_MEMORY, "%s: out of memory for %zu bytes of trials", e->file, bytes);
    TRY(ndi_array_read_native(a, 0, a->n, copy));
    TRY(ndi_stream_open_memory(&a->in, copy, bytes, e->file));
    a->at = 0;
    a->big_endian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
    return ndi_content_add_stream(e->c, a->in);
}

/* Trials x channels x samples. */
static nd_status add_samples(eeglab *e)
{
    array a;
    TRY(unpack(e));
    a = e->samples;
    a.strided = true;
    memcpy(a.shape, (const size_t[]){ e->n_trials, e->n_channels, e->n_samples }, 3 * sizeof(size_t));
    memcpy(a.strides, (const size_t[]){ e->n_samples * e->n_channels, 1, e->n_channels }, 3 * sizeof(size_t));
    return ndi_content_add_array(e->c, &a);
}

static nd_status add_names(const eeglab *e)
{
    const char **names, **types;
    channel *channels;
    TRY(ndi_content_add_texts(e->c, "ch_names", e->n_channels, true, &names));
    TRY(ndi_content_add_texts(e->c, "ch_types", e->n_channels, true, &types));
    TRY(NEW(channels, e->n_channels));
    for (size_t i = 0; i < e->n_channels; i++) {
        channels[i].type = "eeg";
        names[i] = types[i] = "";
    }
    nd_status status = set_channels(e, channels);
    for (size_t i = 0; i < e->n_channels && status == ND_OK; i++) {
        names[i] = channels[i].name;
        types[i] = channels[i].type;
    }
    ndi_free(channels);
    return status;
}

static nd_status add_times(const eeglab *e)
{
    double *times;
    TRY(NEW(times, e->n_samples));
    for (size_t i = 0; i < e->n_samples; i++) times[i] = e->start + (double)i / e->rate;
    nd_status status = ndi_content_add_numbers(e->c, "times", DTYPE_F64, 1, &e->n_samples, times);
    ndi_free(times);
    return status == ND_OK ? ndi_content_add_numbers(e->c, "sfreq", DTYPE_F64, 0, NULL, &e->rate) : status;
}

/* What each trial is about: the type of its event next to time 0. */
static nd_status add_types(const eeglab *e)
{
    const mat_value *events = ndi_mat_field(e->eeg, 0, "event");
    const char **types;
    double *distance;
    if (!events || events->kind != MAT_STRUCT || events->n == 0) return ND_OK;
    TRY(ndi_content_add_texts(e->c, "event_types", e->n_trials, true, &types));
    for (size_t i = 0; i < e->n_trials; i++) types[i] = "";
    TRY(NEW(distance, e->n_trials));
    for (size_t i = 0; i < e->n_trials; i++) distance[i] = (double)INFINITY;
    nd_status status = ND_OK;
    for (size_t i = 0; i < events->n && status == ND_OK; i++) {
        mark m;
        read_mark(events, i, &m);
        if (!(m.trial >= 1 && m.trial <= (double)e->n_trials)) continue;
        const size_t trial = (size_t)m.trial - 1;
        const double away = fabs(m.latency - (double)trial * (double)e->n_samples + e->start * e->rate);
        if (!(away < distance[trial])) continue;
        distance[trial] = away;
        status = ndi_content_text(e->c, m.type, strlen(m.type), &types[trial]);
    }
    ndi_free(distance);
    return status;
}

static nd_status add_trials(eeglab *e)
{
    TRY(add_samples(e));
    TRY(add_names(e));
    TRY(add_times(e));
    return add_types(e);
}

static nd_status read(content *c, stream *in)
{
    uint8_t head[4096];
    size_t n;
    mat_file m = { .c = c, .in = in, .name = ndi_stream_name(in) };
    mat_value root = { 0 };
    eeglab e = { .c = c, .file = m.name };
    TRY(ndi_stream_read_some(in, 0, head, sizeof head, &n));
    TRY(ndi_hdf5_probe(head, n) ? ndi_mat_read_hdf5(&m, &root) : ndi_mat_read(&m, &root));
    TRY(find_eeg(&e, &root));
    TRY(find_samples(&e, in));
    return e.n_trials == 1 ? add_recording(&e) : add_trials(&e);
}

const format ndi_format_eeglab = { "eeglab", "EEGLAB recording or trials", "set", probe, read, NULL };
