/* FIF as MNE writes it: measurement information, annotations, buffers of float32. What does not fit into one file of 2 GB goes on in further ones,
 * `name-1.fif`, `name-2.fif`, ..., each naming the next. */
#include <string.h>

#include "base/text.h"
#include "io/fif_info.h"
#include "io/signals_write.h"

enum { NAME_BYTES = 16, ID_BYTES = 20, MAX_PARTS = 1000 };
enum { TYPE_TEXT = 10, TYPE_CHANNEL = 30, TYPE_ID = 31 };
enum { DIR_POINTER = 101, FREE_LIST = 106, NOP = 108, REF_FILE_NUMBER = 119, BLOCK_MEAS = 100, ROLE_PREVIOUS = 1, ROLE_NEXT = 2 };
static const uint64_t most_bytes = 2000000000; /* of samples in a file; places in it are int32 */

typedef struct fif_out {
    out *o;
    const signals *s;
    uint8_t *bytes; /* of a buffer */
    nd_status status;
} fif_out;

/* ---- tags ---- */

static void put(fif_out *f, const void *bytes, size_t n)
{
    if (f->status == ND_OK) f->status = ndi_out_write(f->o, bytes, n);
}

static void put_i32(fif_out *f, int32_t value)
{
    uint8_t bytes[4];
    ndi_put_i32(bytes, value, true);
    put(f, bytes, sizeof bytes);
}

static void put_f32(fif_out *f, double value)
{
    uint8_t bytes[4];
    ndi_put_f32(bytes, value, true);
    put(f, bytes, sizeof bytes);
}

static void put_tag(fif_out *f, int32_t kind, int32_t type, size_t n)
{
    put_i32(f, kind);
    put_i32(f, type);
    put_i32(f, (int32_t)n);
    put_i32(f, 0); /* the next one follows */
}

static void put_int(fif_out *f, int32_t kind, int32_t value)
{
    put_tag(f, kind, FIF_INT32, 4);
    put_i32(f, value);
}

static void put_float(fif_out *f, int32_t kind, double value)
{
    put_tag(f, kind, FIF_FLOAT, 4);
    put_f32(f, value);
}

static void put_text(fif_out *f, int32_t kind, const char *s, size_t n)
{
    put_tag(f, kind, TYPE_TEXT, n);
    put(f, s, n);
}

static void put_id(fif_out *f, int32_t kind)
{
    static const uint8_t id[ID_BYTES] = { 0, 1, 0, 4 }; /* version 1.4, no machine, no time */
    put_tag(f, kind, TYPE_ID, sizeof id);
    put(f, id, sizeof id);
}

static void begin(fif_out *f, int32_t block) { put_int(f, FIF_BLOCK_START, block); }
static void end(fif_out *f, int32_t block) { put_int(f, FIF_BLOCK_END, block); }

/* ---- channels ---- */

/* Of MEG channels and triggers the type says it. */
static int32_t unit_of(const channel *ch)
{
    static const char *const of_type[][2] = { { "mag", "T" }, { "grad", "T/m" }, { "stim", "V" } };
    for (size_t i = 0; i < COUNT(of_type); i++)
        if (strcmp(of_type[i][0], ch->type) == 0) return ndi_fif_unit_of(of_type[i][1]);
    return ndi_fif_unit_of(ch->unit);
}

static bool is_long(const channel *ch) { return strlen(ch->name) >= NAME_BYTES; }

/* scan number, number, kind, range, calibration, coil, 12 numbers of its place, unit, power of ten, name. A long name is shortened to one that no other has. */
static void put_channel(fif_out *f, size_t c)
{
    const channel *ch = &f->s->channels[c];
    const fif_kind_of_channel *k = ndi_fif_kind_of(ch->type);
    char name[NAME_BYTES] = { 0 };
    if (is_long(ch))
        ndi_format(name, sizeof name, "%.8s#%zu", ch->name, c + 1);
    else
        memcpy(name, ch->name, strlen(ch->name));
    put_tag(f, FIF_CHANNEL, TYPE_CHANNEL, FIF_CHANNEL_BYTES);
    put_i32(f, (int32_t)c + 1);
    put_i32(f, (int32_t)c + 1);
    put_i32(f, k->kind);
    put_f32(f, 1);
    put_f32(f, 1);
    put_i32(f, k->coil);
    for (size_t i = 0; i < 12; i++) put_f32(f, 0);
    put_i32(f, unit_of(ch));
    put_i32(f, 0);
    put(f, name, sizeof name);
}

static void put_info(fif_out *f)
{
    bool any_long = false;
    begin(f, FIF_BLOCK_MEAS_INFO);
    put_float(f, FIF_RATE, f->s->rate);
    put_int(f, FIF_N_CHANNELS, (int32_t)f->s->n_channels);
    for (size_t c = 0; c < f->s->n_channels; c++) {
        put_channel(f, c);
        any_long = any_long || is_long(&f->s->channels[c]);
    }
    for (size_t c = 0; any_long && c < f->s->n_channels; c++) {
        begin(f, FIF_BLOCK_CHANNEL);
        put_text(f, FIF_CHANNEL_NAME, f->s->channels[c].name, strlen(f->s->channels[c].name));
        end(f, FIF_BLOCK_CHANNEL);
    }
    end(f, FIF_BLOCK_MEAS_INFO);
}

/* ---- annotations ---- */

static void put_times(fif_out *f, int32_t tag, bool ends)
{
    put_tag(f, tag, FIF_FLOAT, 4 * f->s->n_events);
    for (size_t i = 0; i < f->s->n_events; i++) {
        const event *e = &f->s->events[i];
        put_f32(f, ((double)e->sample + (ends ? (double)e->duration : 0)) / f->s->rate);
    }
}

/* Texts are separated by colons, and a colon in one is written {COLON}. */
static void put_annotations(fif_out *f)
{
    text all = { 0 };
    char digits[16];
    if (f->s->n_events == 0) return;
    for (size_t i = 0; i < f->s->n_events; i++) {
        if (i) ndi_text_add(&all, ":");
        for (const char *s = ndi_event_text(&f->s->events[i], digits); *s; s++)
            *s == ':' ? ndi_text_add(&all, "{COLON}") : ndi_text_add_bytes(&all, s, 1);
    }
    if (f->status == ND_OK) f->status = ndi_text_status(&all);
    if (f->status == ND_OK) {
        begin(f, FIF_BLOCK_ANNOTATIONS);
        put_times(f, FIF_BEGIN_TIMES, false);
        put_times(f, FIF_END_TIMES, true);
        put_text(f, FIF_COMMENT, all.s ? all.s : "", all.n);
        end(f, FIF_BLOCK_ANNOTATIONS);
    }
    ndi_text_free(&all);
}

/* ---- files ---- */

typedef struct part_name {
    char s[4096];
} part_name;

/* name.fif, name-1.fif, name-2.fif, ... */
static nd_status name_part(part_name *name, const char *path, size_t part)
{
    const size_t stem = (size_t)(strrchr(path, '.') - path);
    CHECK(strlen(path) + 16 < sizeof name->s, ND_ERR_ARGUMENT, "%s: the name of the file is too long", path);
    part ? ndi_format(name->s, sizeof name->s, "%.*s-%zu%s", (int)stem, path, part, path + stem) : ndi_format(name->s, sizeof name->s, "%s", path);
    return ND_OK;
}

static nd_status put_reference(fif_out *f, const char *path, size_t part, int32_t role)
{
    part_name name;
    TRY(name_part(&name, path, part));
    const char *slash = strrchr(name.s, '/'), *file = slash ? slash + 1 : name.s;
    begin(f, FIF_BLOCK_REF);
    put_int(f, FIF_REF_ROLE, role);
    put_text(f, FIF_REF_FILE_NAME, file, strlen(file));
    put_int(f, REF_FILE_NUMBER, (int32_t)part);
    end(f, FIF_BLOCK_REF);
    return f->status;
}

static nd_status put_buffer(void *context, size_t n, const double *values)
{
    fif_out *f = context;
    const size_t n_channels = f->s->n_channels;
    for (size_t c = 0; c < n_channels; c++)
        for (size_t i = 0; i < n; i++) ndi_put_f32(f->bytes + 4 * (i * n_channels + c), values[c * n + i], true);
    put_tag(f, FIF_DATA_BUFFER, FIF_FLOAT, 4 * n * n_channels);
    put(f, f->bytes, 4 * n * n_channels);
    return f->status;
}

/* Samples of one buffer: about a second. */
static size_t buffer_samples(const signals *s) { return s->rate < 1 ? 1 : s->rate > 65536 ? 65536 : (size_t)s->rate; }

static nd_status put_part(fif_out *f, const char *path, size_t part, uint64_t first, uint64_t stop, progress *report)
{
    put_id(f, FIF_FILE_ID);
    put_int(f, DIR_POINTER, -1);
    put_int(f, FREE_LIST, -1);
    begin(f, BLOCK_MEAS);
    put_info(f);
    if (part == 0) put_annotations(f);
    begin(f, FIF_BLOCK_RAW);
    if (first) put_int(f, FIF_FIRST_SAMPLE, (int32_t)first);
    if (part) TRY(put_reference(f, path, part - 1, ROLE_PREVIOUS));
    TRY(f->status);
    TRY(ndi_signals_each_block(f->s, first, stop, buffer_samples(f->s), put_buffer, f, report));
    if (stop < f->s->n_samples) TRY(put_reference(f, path, part + 1, ROLE_NEXT));
    end(f, FIF_BLOCK_RAW);
    end(f, BLOCK_MEAS);
    put_i32(f, NOP);
    put_i32(f, FIF_VOID);
    put_i32(f, 0);
    put_i32(f, -1); /* nothing follows */
    return f->status;
}

static nd_status write_part(fif_out *f, const char *path, size_t part, uint64_t first, uint64_t stop, progress *report)
{
    part_name name;
    TRY(name_part(&name, path, part));
    TRY(ndi_out_open(&f->o, name.s));
    nd_status status = put_part(f, path, part, first, stop, report);
    if (status == ND_OK) return ndi_out_commit(&f->o);
    ndi_out_discard(&f->o);
    return status;
}

/* The last part is written first: the one that is opened comes when all others are there. */
nd_status ndi_write_fif_parts(const char *path, const signals *s, uint64_t bytes, progress *report)
{
    fif_out f = { .s = s };
    const size_t per_buffer = buffer_samples(s);
    const uint64_t fits = bytes / (4 * s->n_channels) / per_buffer * per_buffer, per_part = fits ? fits : per_buffer;
    const uint64_t n_parts = (s->n_samples + per_part - 1) / per_part;
    CHECK(n_parts <= MAX_PARTS && s->n_samples <= INT32_MAX, ND_ERR_UNSUPPORTED, "%s: %llu samples of %zu channels are too many for FIF", path,
          (unsigned long long)s->n_samples, s->n_channels);
    TRY(NEW(f.bytes, 4 * per_buffer * s->n_channels));
    nd_status status = ND_OK;
    for (uint64_t part = n_parts; part-- > 0 && status == ND_OK;) {
        const uint64_t first = part * per_part, stop = s->n_samples - first < per_part ? s->n_samples : first + per_part;
        status = write_part(&f, path, (size_t)part, first, stop, report);
    }
    ndi_free(f.bytes);
    return status;
}

nd_status ndi_write_fif(const char *path, const signals *s, progress *report) { return ndi_write_fif_parts(path, s, most_bytes, report); }
