/* The samples of a file are one matrix for all its epochs, or one for each average; older averages have a vector for each channel. Either way the numbers
 * follow each other as trials x channels x samples, divided by the calibration of their channel, so that all parts of all files make one array. */
#include "io/fif_trials.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { EVENT_BYTES = 12, STANDARD_ERROR = 101 };

/* ---- samples ---- */

static nd_status type_of(const fif_tag *tag, const char *file, dtype *type)
{
    static const struct {
        int32_t stored;
        dtype type;
    } types[] = { { FIF_INT16, DTYPE_I16 },  { FIF_PACK16, DTYPE_I16 },        { FIF_INT32, DTYPE_I32 },          { FIF_FLOAT, DTYPE_F32 },
                  { FIF_DOUBLE, DTYPE_F64 }, { FIF_COMPLEX_FLOAT, DTYPE_C64 }, { FIF_COMPLEX_DOUBLE, DTYPE_C128 } };
    for (size_t i = 0; i < COUNT(types); i++) {
        *type = types[i].type;
        if (types[i].stored == (tag->type & ~FIF_MATRIX)) return ND_OK;
    }
    return ndi_fail(ND_ERR_FORMAT, "%s: samples of type %d, expected int16, int32, float32, float64 or complex", file, (int)tag->type);
}

/* Bytes of a matrix without the extents behind it. */
static nd_status matrix_bytes(const fif_cursor *at, const fif_tag *tag, size_t *n)
{
    uint8_t bytes[4];
    const char *file = ndi_stream_name(at->in);
    CHECK(tag->n >= sizeof bytes, ND_ERR_FORMAT, "%s: a matrix of %zu bytes", file, tag->n);
    TRY(ndi_stream_read(at->in, tag->at + tag->n - sizeof bytes, bytes, sizeof bytes));
    const int32_t n_dims = ndi_fif_i32(bytes);
    CHECK(n_dims >= 1 && n_dims <= NDI_MAX_DIMS && tag->n >= 4 * ((size_t)n_dims + 1), ND_ERR_FORMAT, "%s: a matrix of %zu bytes with %d dimensions",
          file, tag->n, (int)n_dims);
    *n = tag->n - 4 * ((size_t)n_dims + 1);
    return ND_OK;
}

static nd_status add_samples(fif_trials *t, content *c, const fif_cursor *at, const fif_tag *tag)
{
    const char *file = ndi_stream_name(at->in);
    size_t n = tag->n;
    dtype type;
    TRY(type_of(tag, file, &type));
    if (tag->type & FIF_MATRIX) TRY(matrix_bytes(at, tag, &n));
    CHECK(t->n_parts == 0 || type == t->type, ND_ERR_UNSUPPORTED, "%s: holds samples of %s after some of %s, expected one type", file,
          ndi_dtype_name(type), ndi_dtype_name(t->type));
    TRY(ndi_fif_make_room(c, &t->parts, t->n_parts, &t->parts_capacity, sizeof *t->parts));
    t->parts[t->n_parts++] = (stream_part){ at->in, tag->at, n };
    t->n_bytes += n; /* parts lie inside files and do not overlap */
    t->type = type;
    return ND_OK;
}

/* ---- time ---- */

static nd_status read_window(fif_trials *t, const fif_cursor *at, const fif_tag *tag)
{
    fif_window *w = &t->now;
    switch (tag->kind) {
    case FIF_FIRST_SAMPLE: w->numbered = true; return ndi_fif_int(at, tag, &w->first);
    case FIF_LAST_SAMPLE: return ndi_fif_int(at, tag, &w->last);
    case FIF_N_SAMPLES: return ndi_fif_int(at, tag, &w->n);
    case FIF_FIRST_TIME: w->timed = true; return ndi_fif_float(at, tag, &w->start);
    case FIF_BEGIN_TIMES: return ndi_fif_float(at, tag, &t->baseline[0]);
    case FIF_END_TIMES: return ndi_fif_float(at, tag, &t->baseline[1]);
    default: return ND_OK;
    }
}

static int64_t length_of(const fif_window *w) { return w->timed && w->n > 0 ? w->n : (int64_t)w->last - w->first + 1; }
static double start_of(const fif_window *w, double rate) { return w->timed && w->n > 0 ? w->start : w->first / rate; }

/* All epochs or averages have the window of the first. */
static nd_status end_window(fif_trials *t, const char *file)
{
    const fif_window now = t->now;
    t->now = (fif_window){ 0 };
    if (!now.numbered && !now.timed) return ND_OK;
    const bool first = !t->window.numbered && !t->window.timed;
    if (first) t->window = now;
    CHECK(length_of(&now) == length_of(&t->window) && start_of(&now, 1) == start_of(&t->window, 1), ND_ERR_UNSUPPORTED,
          "%s: trials of %lld samples after some of %lld, or from another time on, expected one window", file, (long long)length_of(&now),
          (long long)length_of(&t->window));
    return ND_OK;
}

/* ---- epochs ---- */

static nd_status keep_text(content *c, const fif_cursor *at, const fif_tag *tag, const char **copy)
{
    char *bytes;
    TRY(ndi_fif_bytes(at, tag, &bytes));
    nd_status status = ndi_content_text(c, bytes, tag->n, copy);
    ndi_free(bytes);
    return status;
}

static nd_status add_events(fif_trials *t, content *c, const fif_cursor *at, const fif_tag *tag)
{
    uint8_t bytes[EVENT_BYTES];
    CHECK(!t->averages, ND_ERR_UNSUPPORTED, "%s: holds averages and epochs, expected one of them", ndi_stream_name(at->in));
    CHECK(tag->n % EVENT_BYTES == 0, ND_ERR_FORMAT, "%s: events of %zu bytes, expected three int32 for each", ndi_stream_name(at->in), tag->n);
    for (size_t i = 0; i < tag->n / EVENT_BYTES; i++) {
        TRY(ndi_fif_make_room(c, &t->events, t->n, &t->events_capacity, EVENT_BYTES));
        TRY(ndi_stream_read(at->in, tag->at + i * EVENT_BYTES, bytes, sizeof bytes));
        for (size_t k = 0; k < 3; k++) t->events[3 * t->n + k] = ndi_fif_i32(bytes + 4 * k);
        t->n++;
    }
    return ND_OK;
}

static nd_status read_events(fif_trials *t, content *c, const fif_cursor *at, const fif_tag *tag)
{
    if (tag->kind == FIF_EVENT_LIST) return add_events(t, c, at, tag);
    if (tag->kind != FIF_COMMENT) return ND_OK;
    ndi_free(t->event_id);
    t->event_id = NULL;
    return ndi_fif_bytes(at, tag, &t->event_id);
}

static nd_status read_metadata(fif_trials *t, content *c, const fif_cursor *at, const fif_tag *tag)
{
    char *json;
    if (tag->kind != FIF_COMMENT) return ND_OK;
    TRY(ndi_fif_bytes(at, tag, &json));
    nd_status status = ndi_fif_metadata_add(&t->metadata, c, json, tag->n, ndi_stream_name(at->in));
    ndi_free(json);
    return status;
}

/* ---- averages ---- */

static nd_status begin_average(fif_trials *t, content *c, const char *file)
{
    CHECK(!t->events, ND_ERR_UNSUPPORTED, "%s: holds epochs and averages, expected one of them", file);
    TRY(ndi_fif_make_room(c, &t->names, t->n, &t->names_capacity, sizeof *t->names));
    TRY(ndi_fif_make_room(c, &t->kinds, t->n, &t->kinds_capacity, sizeof *t->kinds));
    TRY(ndi_fif_make_room(c, &t->counts, t->n, &t->counts_capacity, sizeof *t->counts));
    t->averages = true;
    t->names[t->n] = t->comment ? t->comment : "";
    t->kinds[t->n] = "average";
    t->counts[t->n++] = 1;
    return ND_OK;
}

static nd_status read_evoked(fif_trials *t, content *c, const fif_cursor *at, const fif_tag *tag)
{
    if (tag->kind == FIF_BLOCK_START) {
        t->comment = NULL;
        return end_window(t, ndi_stream_name(at->in));
    }
    return tag->kind == FIF_COMMENT ? keep_text(c, at, tag, &t->comment) : read_window(t, at, tag);
}

static nd_status read_aspect(fif_trials *t, content *c, const fif_cursor *at, const fif_tag *tag)
{
    int32_t kind;
    switch (tag->kind) {
    case FIF_BLOCK_START: return begin_average(t, c, ndi_stream_name(at->in));
    case FIF_COMMENT: return keep_text(c, at, tag, &t->names[t->n - 1]);
    case FIF_N_AVERAGED: return ndi_fif_int(at, tag, &t->counts[t->n - 1]);
    case FIF_EPOCH: return add_samples(t, c, at, tag);
    case FIF_ASPECT_KIND:
        TRY(ndi_fif_int(at, tag, &kind));
        if (kind == STANDARD_ERROR) t->kinds[t->n - 1] = "standard_error";
        return ND_OK;
    default: return ND_OK;
    }
}

/* ---- tags and files ---- */

nd_status ndi_fif_trials_read(fif_trials *t, content *c, const fif_cursor *at, const fif_tag *tag)
{
    const int32_t outer = ndi_fif_outer(at);
    switch (at->depth ? at->blocks[at->depth - 1] : 0) {
    case FIF_BLOCK_EPOCHS: return tag->kind == FIF_EPOCH ? add_samples(t, c, at, tag) : read_window(t, at, tag);
    case FIF_BLOCK_EVENTS: return outer == FIF_BLOCK_EPOCHS ? read_events(t, c, at, tag) : ND_OK;
    case FIF_BLOCK_METADATA: return outer == FIF_BLOCK_EPOCHS ? read_metadata(t, c, at, tag) : ND_OK;
    case FIF_BLOCK_EVOKED: return read_evoked(t, c, at, tag);
    case FIF_BLOCK_ASPECT:
    case FIF_BLOCK_SHIELDED_ASPECT: return outer == FIF_BLOCK_EVOKED ? read_aspect(t, c, at, tag) : ND_OK;
    default: return ND_OK;
    }
}

/* ---- names of events ---- */

typedef struct event_name {
    int32_t code;
    const char *name;
} event_name;

static int by_code(const void *a, const void *b)
{
    const int32_t x = ((const event_name *)a)->code, y = ((const event_name *)b)->code;
    return (x > y) - (x < y);
}

/* "name:code" up to `end`; a name may hold colons. */
static nd_status parse_name(content *c, const char *s, const char *end, event_name *made, const char *file)
{
    const char *colon = end;
    double code;
    while (colon > s && colon[-1] != ':') colon--;
    CHECK(colon > s && ndi_parse_double(colon, end, &code) && code == floor(code) && fabs(code) <= INT32_MAX, ND_ERR_FORMAT,
          "%s: names of events: got '%.*s', expected name:number", file, (int)(end - s < 80 ? end - s : 80), s);
    made->code = (int32_t)code;
    return ndi_content_text(c, s, (size_t)(colon - 1 - s), &made->name);
}

/* The names of this file by code. */
static nd_status parse_names(const fif_trials *t, content *c, event_name **names, size_t *n, const char *file)
{
    const char *s = t->event_id ? t->event_id : "";
    size_t most = 1;
    for (const char *p = s; *p; p++) most += *p == ';';
    TRY(NEW(*names, most));
    for (const char *end; *s; s = *end ? end + 1 : end) {
        end = s + strcspn(s, ";");
        TRY(parse_name(c, s, end, &(*names)[(*n)++], file));
    }
    if (*n) qsort(*names, *n, sizeof **names, by_code);
    return ND_OK;
}

/* An event without a name is called by its number. */
static nd_status name_event(content *c, int32_t code, const event_name *names, size_t n, const char **name)
{
    const event_name wanted = { .code = code }, *found = n ? bsearch(&wanted, names, n, sizeof *names, by_code) : NULL;
    char digits[16];
    if (found) {
        *name = found->name;
        return ND_OK;
    }
    ndi_format(digits, sizeof digits, "%d", (int)code);
    return ndi_content_text(c, digits, strlen(digits), name);
}

static nd_status name_events(fif_trials *t, content *c, const char *file)
{
    event_name *names = NULL;
    size_t n = 0;
    nd_status status;
    GO(parse_names(t, c, &names, &n, file));
    for (; t->n_named < t->n; t->n_named++) {
        GO(ndi_fif_make_room(c, &t->names, t->n_named, &t->names_capacity, sizeof *t->names));
        GO(name_event(c, t->events[3 * t->n_named + 2], names, n, &t->names[t->n_named]));
    }
done:
    ndi_free(names);
    ndi_fif_trials_free(t);
    return status;
}

nd_status ndi_fif_trials_end_file(fif_trials *t, content *c, const char *file)
{
    TRY(end_window(t, file));
    return t->averages ? ND_OK : name_events(t, c, file);
}

void ndi_fif_trials_free(fif_trials *t)
{
    ndi_free(t->event_id);
    t->event_id = NULL;
}

/* ---- content ---- */

static nd_status check_sizes(const fif_trials *t, const fif_info *info, const char *file)
{
    const int64_t n_samples = length_of(&t->window);
    size_t n;
    CHECK(info->rate > 0 && isfinite(info->rate), ND_ERR_FORMAT, "%s: sampling rate %g, expected more than 0", file, info->rate);
    const bool fits =
        n_samples > 0 && ndi_mul(t->n, info->n_channels, &n) && ndi_mul(n, (size_t)n_samples, &n) && ndi_mul(n, ndi_dtype_size(t->type), &n);
    CHECK(fits && n == t->n_bytes && n > 0, ND_ERR_FORMAT, "%s: samples of %llu bytes, expected %zu trials x %zu channels x %lld samples of %s", file,
          (unsigned long long)t->n_bytes, t->n, info->n_channels, (long long)n_samples, ndi_dtype_name(t->type));
    CHECK(t->metadata.n_rows == 0 || t->metadata.n_rows == t->n, ND_ERR_FORMAT, "%s: metadata of %zu rows for %zu epochs", file, t->metadata.n_rows,
          t->n);
    return ND_OK;
}

static nd_status add_data(const fif_trials *t, content *c, const fif_info *info, const char *file)
{
    array a = { .name = "data", .type = t->type, .big_endian = true, .n_dims = 3, .in = t->parts[0].in, .at = t->parts[0].at };
    double *scale = ndi_arena_alloc(&c->memory, info->n_channels * sizeof *scale);
    CHECK(scale, ND_ERR_MEMORY, "%s: out of memory", file);
    for (size_t i = 0; i < info->n_channels; i++) {
        scale[i] = info->channels[i].calibration;
        if (scale[i] != 1) a.scale = scale;
    }
    a.scaled_dim = 1;
    a.shape[0] = t->n;
    a.shape[1] = info->n_channels;
    a.shape[2] = (size_t)length_of(&t->window);
    if (t->n_parts > 1) {
        TRY(ndi_stream_open_joined(&a.in, t->parts, t->n_parts, file));
        TRY(ndi_content_add_stream(c, a.in));
        a.at = 0;
    }
    return ndi_content_add_array(c, &a);
}

static nd_status add_times(const fif_trials *t, content *c, double rate)
{
    const size_t n = (size_t)length_of(&t->window), two = 2;
    const double start = start_of(&t->window, rate);
    double *times;
    TRY(NEW(times, n));
    for (size_t i = 0; i < n; i++) times[i] = t->window.timed ? start + (double)i / rate : ((double)t->window.first + (double)i) / rate;
    nd_status status = ndi_content_add_numbers(c, "times", DTYPE_F64, 1, &n, times);
    ndi_free(times);
    TRY(status);
    return isfinite(t->baseline[0]) && isfinite(t->baseline[1]) ? ndi_content_add_numbers(c, "baseline", DTYPE_F64, 1, &two, t->baseline) : ND_OK;
}

static nd_status add_channels(content *c, const fif_info *info)
{
    const char **names, **types, **units;
    TRY(ndi_content_add_texts(c, "ch_names", info->n_channels, true, &names));
    TRY(ndi_content_add_texts(c, "ch_types", info->n_channels, true, &types));
    TRY(ndi_content_add_texts(c, "ch_units", info->n_channels, true, &units));
    for (size_t i = 0; i < info->n_channels; i++) {
        names[i] = info->channels[i].is.name;
        types[i] = info->channels[i].is.type;
        units[i] = info->channels[i].is.unit;
    }
    return ND_OK;
}

static nd_status add_list(content *c, const char *name, const char *const *items, size_t n)
{
    const char **copy;
    TRY(ndi_content_add_texts(c, name, n, true, &copy));
    memcpy(copy, items, n * sizeof *items);
    return ND_OK;
}

static nd_status add_epochs(fif_trials *t, content *c)
{
    const size_t shape[] = { t->n, 3 };
    TRY(ndi_content_add_numbers(c, "events", DTYPE_I32, 2, shape, t->events));
    TRY(add_list(c, "event_names", t->names, t->n));
    return ndi_fif_metadata_settle(&t->metadata, c);
}

static nd_status add_averages(fif_trials *t, content *c)
{
    TRY(ndi_content_add_numbers(c, "n_averaged", DTYPE_I32, 1, &t->n, t->counts));
    TRY(add_list(c, "conditions", t->names, t->n));
    return add_list(c, "kinds", t->kinds, t->n);
}

nd_status ndi_fif_trials_settle(fif_trials *t, content *c, const fif_info *info, const char *file)
{
    CHECK(t->n_parts > 0, ND_ERR_FORMAT, "%s: %zu epochs without samples", file, t->n);
    TRY(check_sizes(t, info, file));
    TRY(add_data(t, c, info, file));
    TRY(add_times(t, c, info->rate));
    TRY(add_channels(c, info));
    return t->averages ? add_averages(t, c) : add_epochs(t, c);
}
