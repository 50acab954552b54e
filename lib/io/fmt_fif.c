/* FIF (Neuromag, MNE): continuous recordings, also those that go on in further files, and lists of events. A recording is a row of buffers, each
 * samples x channels of int16, int32, float32 or float64, between which there may be gaps; those read as zeros. What a channel measures, its unit and
 * calibration stand in the block of measurement information. Projections and compensation are neither applied nor undone. */
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/text.h"
#include "io/fif.h"
#include "io/format.h"
#include "io/signals.h"

enum { CHANNEL_BYTES = 96, NEXT_FILE = 2, MAX_FILES = 1000, MAX_GAP = 1 << 30 };

typedef struct buffer {
    stream *in; /* NULL: a gap */
    uint64_t at, first, n;
    sample_type type;
} buffer;

typedef struct fif_file {
    content *c;
    channel *channels;
    size_t n_channels, channels_capacity, n_named;
    double rate, highpass, lowpass;
    buffer *buffers;
    size_t n_buffers, buffers_capacity;
    uint64_t n_samples, n_missing; /* in all, in gaps */
    int64_t first_sample, waiting; /* of the numbering; buffers of a gap before the next one */
    char *times[2], *texts;        /* of the annotations: when they begin and end, big-endian float32; what they say */
    size_t n_times[2];
    double date, origin; /* seconds since 1970 of the recording and of the annotations; NaN = not said */
    char next[1024];     /* name of the file in which the recording goes on */
    int32_t role;
} fif_file;

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    (void)extension;
    return n >= 16 && ndi_fif_i32(head) == FIF_FILE_ID && ndi_fif_i32(head + 4) == 31 && ndi_fif_i32(head + 8) == 20 ? 100 : 0;
}

/* ---- measurement information ---- */

static nd_status grow(fif_file *f, void *list, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) return ND_OK;
    const size_t more = *capacity ? 2 * *capacity : 64;
    void *bigger = ndi_arena_alloc(&f->c->memory, more * size), *old;
    CHECK(bigger, ND_ERR_MEMORY, "out of memory for %zu entries", more);
    memcpy(&old, list, sizeof old);
    if (n) memcpy(bigger, old, n * size);
    memcpy(list, &bigger, sizeof bigger);
    *capacity = more;
    return ND_OK;
}

static const char *type_of(int32_t kind, int32_t unit)
{
    static const struct {
        int32_t kind;
        const char *type;
    } types[] = {
        { 2, "eeg" },    { 3, "stim" },   { 201, "mcg" },  { 202, "eog" }, { 301, "ref_meg" }, { 302, "emg" },  { 402, "ecg" },
        { 502, "misc" }, { 602, "resp" }, { 802, "seeg" }, { 803, "dbs" }, { 900, "syst" },    { 902, "ecog" }, { 920, "exci" },
    };
    if (kind == 1) return unit == 201 ? "grad" : "mag";
    for (size_t i = 0; i < COUNT(types); i++)
        if (types[i].kind == kind) return types[i].type;
    return "misc";
}

/* scan number, number, kind, range, calibration, coil, 12 numbers of its place, unit, power of ten, name of 16 bytes. */
static nd_status add_channel(fif_file *f, const fif_cursor *at, const fif_tag *tag)
{
    char bytes[CHANNEL_BYTES];
    CHECK(tag->n >= sizeof bytes, ND_ERR_FORMAT, "%s: channel %zu takes %zu bytes, expected %zu", ndi_stream_name(at->in), f->n_channels, tag->n,
          sizeof bytes);
    TRY(ndi_stream_read(at->in, tag->at, bytes, sizeof bytes));
    TRY(grow(f, &f->channels, f->n_channels, &f->channels_capacity, sizeof *f->channels));
    const int32_t unit = ndi_fif_i32(bytes + 72);
    channel *ch = &f->channels[f->n_channels];
    *ch = (channel){ .type = type_of(ndi_fif_i32(bytes + 8), unit),
                     .unit = unit == 107   ? "V"
                             : unit == 112 ? "T"
                             : unit == 201 ? "T/m"
                                           : "",
                     .scale = (double)ndi_fif_f32(bytes + 12) * (double)ndi_fif_f32(bytes + 16) };
    TRY(ndi_content_text(f->c, bytes + 80, strnlen(bytes + 80, 16), &ch->name));
    CHECK(isfinite(ch->scale), ND_ERR_FORMAT, "%s: channel '%s' has no finite calibration", ndi_stream_name(at->in), ch->name);
    f->n_channels++;
    return ND_OK;
}

/* Names longer than 15 bytes follow in blocks of their own, one for each channel. */
static nd_status name_channel(fif_file *f, const fif_cursor *at, const fif_tag *tag)
{
    char *name;
    if (f->n_named >= f->n_channels) return ND_OK;
    TRY(ndi_fif_bytes(at, tag, &name));
    nd_status status = ndi_content_text(f->c, name, tag->n, &f->channels[f->n_named++].name);
    ndi_free(name);
    return status;
}

static nd_status read_date(const fif_cursor *at, const fif_tag *tag, double *date)
{
    uint8_t bytes[8];
    if (tag->n < sizeof bytes) return ND_OK;
    TRY(ndi_stream_read(at->in, tag->at, bytes, sizeof bytes));
    const uint64_t bits = ndi_be64(bytes);
    if (tag->type == FIF_DOUBLE)
        memcpy(date, &bits, sizeof bits);
    else
        *date = ndi_fif_i32(bytes) + 1e-6 * ndi_fif_i32(bytes + 4);
    return ND_OK;
}

/* Of a filter; worth telling, but no reason to refuse a file. */
static nd_status read_edge(const fif_cursor *at, const fif_tag *tag, double *edge)
{
    return tag->type == FIF_FLOAT && tag->n >= 4 ? ndi_fif_float(at, tag, edge) : ND_OK;
}

static nd_status read_info(fif_file *f, const fif_cursor *at, const fif_tag *tag)
{
    switch (tag->kind) {
    case FIF_RATE: return ndi_fif_float(at, tag, &f->rate);
    case FIF_HIGHPASS: return read_edge(at, tag, &f->highpass);
    case FIF_LOWPASS: return read_edge(at, tag, &f->lowpass);
    case FIF_CHANNEL: return add_channel(f, at, tag);
    case FIF_MEAS_DATE: return read_date(at, tag, &f->date);
    default: return ND_OK;
    }
}

/* ---- buffers ---- */

static nd_status push(fif_file *f, const buffer *b, const char *file)
{
    TRY(grow(f, &f->buffers, f->n_buffers, &f->buffers_capacity, sizeof *f->buffers));
    if (!b->in) f->n_missing += b->n;
    CHECK(f->n_missing <= (uint64_t)MAX_GAP, ND_ERR_FORMAT, "%s: gaps of %llu samples", file, (unsigned long long)f->n_missing);
    f->buffers[f->n_buffers] = *b;
    f->buffers[f->n_buffers++].first = f->n_samples;
    f->n_samples += b->n;
    return ND_OK;
}

static nd_status add_buffer(fif_file *f, const fif_cursor *at, const fif_tag *tag)
{
    const char *file = ndi_stream_name(at->in);
    buffer b = { .in = at->in, .at = tag->at };
    switch (tag->type) {
    case FIF_INT16:
    case FIF_PACK16: b.type = SAMPLE_I16; break;
    case FIF_INT32: b.type = SAMPLE_I32; break;
    case FIF_FLOAT: b.type = SAMPLE_F32; break;
    case FIF_DOUBLE: b.type = SAMPLE_F64; break;
    case FIF_COMPLEX_FLOAT:
    case FIF_COMPLEX_DOUBLE: return ndi_fail(ND_ERR_UNSUPPORTED, "%s: holds complex samples, expected real ones", file);
    default: return ndi_fail(ND_ERR_FORMAT, "%s: a buffer of type %d, expected int16, int32, float32 or float64", file, (int)tag->type);
    }
    CHECK(f->n_channels > 0, ND_ERR_FORMAT, "%s: samples before any channel", file);
    const size_t frame = f->n_channels * ndi_sample_size(b.type);
    CHECK(tag->n % frame == 0 && tag->n > 0, ND_ERR_FORMAT, "%s: a buffer of %zu bytes for %zu channels of %zu bytes", file, tag->n, f->n_channels,
          ndi_sample_size(b.type));
    b.n = tag->n / frame;
    const int64_t gap = f->waiting; /* each int32, so that their product fits */
    f->waiting = 0;
    if (gap && f->n_samples == 0)
        f->first_sample += gap * (int64_t)b.n; /* time before the first buffer only moves the numbering */
    else if (gap)
        TRY(push(f, &(buffer){ .n = (uint64_t)gap * b.n }, file));
    return push(f, &b, file);
}

static nd_status read_raw(fif_file *f, const fif_cursor *at, const fif_tag *tag)
{
    int32_t value;
    switch (tag->kind) {
    case FIF_DATA_BUFFER: return add_buffer(f, at, tag);
    case FIF_FIRST_SAMPLE:
        TRY(ndi_fif_int(at, tag, &value));
        if (f->n_samples == 0) f->first_sample = value;
        return ND_OK;
    case FIF_DATA_SKIP:
        TRY(ndi_fif_int(at, tag, &value));
        CHECK(value >= 0, ND_ERR_FORMAT, "%s: a gap of %d buffers", ndi_stream_name(at->in), (int)value);
        f->waiting = value;
        return ND_OK;
    default: return ND_OK;
    }
}

/* The buffer that holds a sample. */
static const buffer *find_buffer(const fif_file *f, uint64_t sample)
{
    size_t low = 0, high = f->n_buffers;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (f->buffers[middle].first <= sample)
            low = middle;
        else
            high = middle;
    }
    return &f->buffers[low];
}

static nd_status read_samples(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *numbers)
{
    const fif_file *f = s->reader;
    const buffer *b = find_buffer(f, first);
    for (size_t done = 0, n; done < count; done += n, b++) {
        const uint64_t within = first + done - b->first;
        n = b->n - within < count - done ? (size_t)(b->n - within) : count - done;
        const frames layout = { b->in, b->at, b->type, true, f->n_channels };
        if (b->in) TRY(ndi_frames_read(&layout, chosen, n_chosen, within, n, numbers + done, count));
        for (size_t k = 0; !b->in && k < n_chosen; k++) memset(numbers + k * count + done, 0, n * sizeof *numbers);
    }
    return ND_OK;
}

/* ---- annotations, events, further files ---- */

static nd_status keep(fif_file *f, const fif_cursor *at, const fif_tag *tag, char **bytes, size_t *n)
{
    char *read;
    TRY(ndi_fif_bytes(at, tag, &read));
    *bytes = ndi_arena_text(&f->c->memory, read, tag->n);
    *n = tag->n;
    ndi_free(read);
    CHECK(*bytes, ND_ERR_MEMORY, "%s: out of memory", ndi_stream_name(at->in));
    return ND_OK;
}

static nd_status read_annotations(fif_file *f, const fif_cursor *at, const fif_tag *tag)
{
    size_t n;
    switch (tag->kind) {
    case FIF_BEGIN_TIMES: return keep(f, at, tag, &f->times[0], &f->n_times[0]);
    case FIF_END_TIMES: return keep(f, at, tag, &f->times[1], &f->n_times[1]);
    case FIF_COMMENT: return keep(f, at, tag, &f->texts, &n);
    case FIF_MEAS_DATE: return read_date(at, tag, &f->origin);
    default: return ND_OK;
    }
}

/* Times count from the same zero as the numbers of the samples; texts are separated by colons, and a colon in one is written {COLON}. */
static nd_status add_annotations(fif_file *f, signals *s)
{
    static const char colon[] = "{COLON}";
    const double late = isfinite(f->origin) && isfinite(f->date) ? f->origin - f->date : 0;
    const size_t n = f->n_times[0] / 4;
    const char *at = f->texts;
    for (size_t i = 0; i < n && at && f->n_times[1] == f->n_times[0]; i++) {
        const double begins = (double)ndi_fif_f32(f->times[0] + 4 * i), ends = (double)ndi_fif_f32(f->times[1] + 4 * i);
        const double sample = round((begins + late) * f->rate) - (double)f->first_sample, length = round((ends - begins) * f->rate);
        text t = { 0 };
        for (; *at && *at != ':';) {
            const bool is_colon = strncmp(at, colon, sizeof colon - 1) == 0;
            ndi_text_add_bytes(&t, is_colon ? ":" : at, 1);
            at += is_colon ? sizeof colon - 1 : 1;
        }
        if (*at) at++;
        nd_status status = ndi_text_status(&t);
        if (status == ND_OK && sample >= 0 && sample < (double)s->n_samples)
            status = ndi_signals_add_event(s, f->c, (uint64_t)sample, length > 0 && length < 1e15 ? (uint64_t)length : 0, 0, t.s ? t.s : "", t.n);
        ndi_text_free(&t);
        TRY(status);
    }
    return ND_OK;
}

static nd_status add_event_list(fif_file *f, const fif_cursor *at, const fif_tag *tag)
{
    if (tag->kind != FIF_EVENT_LIST || tag->n == 0 || tag->n % 12 || ndi_content_array(f->c, "events")) return ND_OK;
    const array a = {
        .name = "events", .type = DTYPE_I32, .big_endian = true, .n_dims = 2, .shape = { tag->n / 12, 3 }, .in = at->in, .at = tag->at
    };
    return ndi_content_add_array(f->c, &a);
}

static nd_status read_reference(fif_file *f, const fif_cursor *at, const fif_tag *tag)
{
    if (tag->kind == FIF_REF_ROLE) return ndi_fif_int(at, tag, &f->role);
    if (tag->kind != FIF_REF_FILE_NAME || f->role != NEXT_FILE || tag->n >= sizeof f->next) return ND_OK;
    TRY(ndi_stream_read(at->in, tag->at, f->next, tag->n));
    f->next[tag->n] = '\0';
    return ND_OK;
}

/* ---- the whole ---- */

static nd_status read_tag(fif_file *f, const fif_cursor *at, const fif_tag *tag, bool continued)
{
    if (at->depth == 0) return ND_OK;
    switch (at->blocks[at->depth - 1]) {
    case FIF_BLOCK_MEAS_INFO: return continued ? ND_OK : read_info(f, at, tag);
    case FIF_BLOCK_CHANNEL: return !continued && tag->kind == FIF_CHANNEL_NAME ? name_channel(f, at, tag) : ND_OK;
    case FIF_BLOCK_RAW:
    case FIF_BLOCK_CONTINUOUS:
    case FIF_BLOCK_SHIELDED_RAW: return read_raw(f, at, tag);
    case FIF_BLOCK_ANNOTATIONS: return continued ? ND_OK : read_annotations(f, at, tag);
    case FIF_BLOCK_EVENTS: return add_event_list(f, at, tag);
    case FIF_BLOCK_REF: return read_reference(f, at, tag);
    default: return ND_OK;
    }
}

static nd_status read_file(fif_file *f, stream *in, bool continued)
{
    fif_cursor at;
    fif_tag tag;
    f->role = 0;
    *f->next = '\0';
    TRY(ndi_fif_start(&at, in));
    for (;;) {
        TRY(ndi_fif_next(&at, &tag));
        if (at.end) return ND_OK;
        TRY(read_tag(f, &at, &tag, continued));
    }
}

static nd_status read_further_files(fif_file *f, stream *in)
{
    for (size_t n = 1; *f->next; n++) {
        stream *more;
        CHECK(n < MAX_FILES, ND_ERR_FORMAT, "%s: goes on in more than %d files", ndi_stream_name(in), MAX_FILES);
        TRY(ndi_stream_open_beside(&more, in, f->next, strlen(f->next)));
        TRY(ndi_content_add_stream(f->c, more));
        TRY(read_file(f, more, true));
    }
    return ND_OK;
}

static nd_status read(content *c, stream *in)
{
    signals *s;
    fif_file *f = ndi_arena_alloc(&c->memory, sizeof *f);
    CHECK(f, ND_ERR_MEMORY, "%s: out of memory", ndi_stream_name(in));
    *f = (fif_file){ .c = c, .date = (double)NAN, .origin = (double)NAN };
    TRY(read_file(f, in, false));
    if (f->n_samples == 0) {
        CHECK(c->n_arrays, ND_ERR_UNSUPPORTED, "%s: is a FIF file without a continuous recording or a list of events", ndi_stream_name(in));
        return ND_OK;
    }
    TRY(read_further_files(f, in));
    TRY(ndi_content_add_signals(c, in, f->n_channels, &s));
    memcpy(s->channels, f->channels, f->n_channels * sizeof *s->channels);
    for (size_t i = 1; i < c->n_streams; i++) s->concurrent = s->concurrent && ndi_stream_concurrent(c->streams[i]);
    s->rate = f->rate;
    s->highpass = f->highpass;
    s->lowpass = f->lowpass;
    s->n_samples = f->n_samples;
    s->reader = f;
    s->read = read_samples;
    TRY(add_annotations(f, s));
    TRY(ndi_signals_settle(s, c, ndi_stream_name(in)));
    return ndi_signals_code_texts(s);
}

const format ndi_format_fif = { "fif", "FIF of Neuromag and MNE: continuous recordings", "fif", probe, read, NULL };
