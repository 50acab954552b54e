/* FIF (Neuromag, MNE): continuous recordings, epochs and averages, also those that go on in further files, and lists of events. A recording is a row of
 * buffers, each samples x channels of int16, int32, float32 or float64, between which there may be gaps; those read as zeros. What a channel measures, its
 * unit and calibration stand in the block of measurement information. Projections and compensation are neither applied nor undone. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/fif_info.h"
#include "io/fif_trials.h"
#include "io/format.h"

enum { NEXT_FILE = 2, MAX_FILES = 1000, MAX_GAP = 1 << 30 };

typedef struct buffer {
    stream *in; /* NULL: a gap */
    uint64_t at, first, n;
    sample_type type;
} buffer;

typedef struct fif_file {
    content *c;
    fif_info info;
    fif_trials trials;
    buffer *buffers;
    size_t n_buffers, buffers_capacity;
    uint64_t n_samples, n_missing; /* in all, in gaps */
    int64_t first_sample, waiting; /* of the numbering; buffers of a gap before the next one */
    char *times[2], *texts;        /* of the annotations: when they begin and end, big-endian float32; what they say */
    size_t n_times[2];
    double origin;   /* seconds since 1970 of the annotations, NaN = not said */
    char next[1024]; /* name of the file that goes on */
    int32_t role;
    const char *other; /* what the file holds that is not for us, or NULL */
} fif_file;

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    (void)extension;
    return n >= 16 && ndi_fif_i32(head) == FIF_FILE_ID && ndi_fif_i32(head + 4) == 31 && ndi_fif_i32(head + 8) == 20 ? 100 : 0;
}

/* ---- buffers ---- */

static nd_status push(fif_file *f, const buffer *b, const char *file)
{
    TRY(ndi_fif_make_room(f->c, &f->buffers, f->n_buffers, &f->buffers_capacity, sizeof *f->buffers));
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
    CHECK(f->info.n_channels > 0, ND_ERR_FORMAT, "%s: samples before any channel", file);
    const size_t frame = f->info.n_channels * ndi_sample_size(b.type);
    CHECK(tag->n % frame == 0 && tag->n > 0, ND_ERR_FORMAT, "%s: a buffer of %zu bytes for %zu channels of %zu bytes", file, tag->n,
          f->info.n_channels, ndi_sample_size(b.type));
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
        const frames layout = { b->in, b->at, b->type, true, f->info.n_channels };
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
    case FIF_MEAS_DATE: return ndi_fif_date(at, tag, &f->origin);
    default: return ND_OK;
    }
}

/* Times count from the same zero as the numbers of the samples; texts are separated by colons, and a colon in one is written {COLON}. */
static nd_status add_annotations(fif_file *f, signals *s)
{
    static const char colon[] = "{COLON}";
    const double late = isfinite(f->origin) && isfinite(f->info.date) ? f->origin - f->info.date : 0;
    const size_t n = f->n_times[0] / 4;
    const char *at = f->texts;
    for (size_t i = 0; i < n && at && f->n_times[1] == f->n_times[0]; i++) {
        const double begins = (double)ndi_fif_f32(f->times[0] + 4 * i), ends = (double)ndi_fif_f32(f->times[1] + 4 * i);
        const double sample = round((begins + late) * f->info.rate) - (double)f->first_sample, length = round((ends - begins) * f->info.rate);
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

/* What this library has no use for is called by its name. */
static const char *other_content(int32_t block)
{
    switch (block) {
    case FIF_BLOCK_COVARIANCE: return "a covariance of noise";
    case FIF_BLOCK_FORWARD: return "a forward solution";
    case FIF_BLOCK_INVERSE: return "an inverse operator";
    case FIF_BLOCK_SOURCE_SPACE: return "a source space";
    case FIF_BLOCK_ICA: return "an independent component analysis";
    case FIF_BLOCK_PROJECTIONS: return "projections";
    case FIF_BLOCK_EPOCHS: return "no epochs";
    default: return NULL;
    }
}

/* Projections come with much else. */
static void note_other(fif_file *f, int32_t block)
{
    const char *other = other_content(block);
    if (other && (!f->other || block != FIF_BLOCK_PROJECTIONS)) f->other = other;
}

static nd_status read_tag(fif_file *f, const fif_cursor *at, const fif_tag *tag, bool continued)
{
    if (at->depth == 0) return ND_OK;
    if (tag->kind == FIF_BLOCK_START) note_other(f, at->blocks[at->depth - 1]);
    if (!continued) TRY(ndi_fif_info_read(&f->info, f->c, at, tag));
    TRY(ndi_fif_trials_read(&f->trials, f->c, at, tag));
    switch (at->blocks[at->depth - 1]) {
    case FIF_BLOCK_RAW:
    case FIF_BLOCK_CONTINUOUS:
    case FIF_BLOCK_SHIELDED_RAW: return read_raw(f, at, tag);
    case FIF_BLOCK_ANNOTATIONS: return continued ? ND_OK : read_annotations(f, at, tag);
    case FIF_BLOCK_EVENTS: return ndi_fif_outer(at) == FIF_BLOCK_EPOCHS ? ND_OK : add_event_list(f, at, tag);
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
        if (at.end) return ndi_fif_trials_end_file(&f->trials, f->c, ndi_stream_name(in));
        TRY(read_tag(f, &at, &tag, continued));
    }
}

/* The n-th further file: as the file before it says or, where files have been renamed, "<name of the first>-<n>.fif". */
static nd_status open_further(stream **more, const fif_file *f, const stream *first, size_t n)
{
    nd_status status = ndi_stream_open_beside(more, first, f->next, strlen(f->next));
    const char *slash = strrchr(ndi_stream_name(first), '/'), *own = slash ? slash + 1 : ndi_stream_name(first), *ending = strstr(own, ".fif");
    if (status != ND_ERR_IO || !ending) return status;
    text renamed = { 0 };
    ndi_text_add(&renamed, "%.*s-%zu%s", (int)(ending - own), own, n, ending);
    status = ndi_text_status(&renamed);
    if (status == ND_OK) status = ndi_stream_open_beside(more, first, renamed.s, renamed.n);
    if (status == ND_ERR_IO) ndi_say("%s: goes on in the file '%s', which cannot be read, nor can '%s'", ndi_stream_name(first), f->next, renamed.s);
    ndi_text_free(&renamed);
    return status;
}

static nd_status read_further_files(fif_file *f, stream *in)
{
    for (size_t n = 1; *f->next; n++) {
        stream *more;
        CHECK(n < MAX_FILES, ND_ERR_FORMAT, "%s: goes on in more than %d files", ndi_stream_name(in), MAX_FILES);
        TRY(open_further(&more, f, in, n));
        TRY(ndi_content_add_stream(f->c, more));
        TRY(read_file(f, more, true));
    }
    return ND_OK;
}

static nd_status add_recording(fif_file *f, stream *in)
{
    signals *s;
    content *c = f->c;
    TRY(ndi_content_add_signals(c, in, f->info.n_channels, &s));
    for (size_t i = 0; i < f->info.n_channels; i++) s->channels[i] = f->info.channels[i].is;
    for (size_t i = 1; i < c->n_streams; i++) s->concurrent = s->concurrent && ndi_stream_concurrent(c->streams[i]);
    s->rate = f->info.rate;
    s->highpass = f->info.highpass;
    s->lowpass = f->info.lowpass;
    s->n_samples = f->n_samples;
    s->reader = f;
    s->read = read_samples;
    TRY(add_annotations(f, s));
    TRY(ndi_signals_settle(s, c, ndi_stream_name(in)));
    return ndi_signals_code_texts(s);
}

static nd_status read_all(fif_file *f, stream *in)
{
    TRY(read_file(f, in, false));
    if (f->n_samples || f->trials.n) TRY(read_further_files(f, in));
    if (f->n_samples) return add_recording(f, in);
    if (f->trials.n) return ndi_fif_trials_settle(&f->trials, f->c, &f->info, ndi_stream_name(in));
    CHECK(f->c->n_arrays, ND_ERR_UNSUPPORTED, "%s: is a FIF file of %s, expected a continuous recording, epochs, averages or a list of events",
          ndi_stream_name(in), f->other ? f->other : "something else");
    return ND_OK;
}

static nd_status read(content *c, stream *in)
{
    fif_file *f = ndi_arena_alloc(&c->memory, sizeof *f);
    CHECK(f, ND_ERR_MEMORY, "%s: out of memory", ndi_stream_name(in));
    *f = (fif_file){ .c = c, .info.date = (double)NAN, .origin = (double)NAN, .trials.baseline = { (double)NAN, (double)NAN } };
    nd_status status = read_all(f, in);
    ndi_fif_trials_free(&f->trials);
    return status;
}

const format ndi_format_fif = { "fif", "FIF of Neuromag and MNE: continuous recordings, epochs, averages", "fif", probe, read, NULL };
