/* BrainVision Core Data Format 1 and 2 (Brain Products): a header .vhdr, which is opened; samples (.eeg, .dat) and markers (.vmrk) lie beside it. All
 * texts are INI files. A comma in a name is written \1. */
#include <math.h>
#include <string.h>

#include "base/ids.h"
#include "base/log.h"
#include "base/text.h"
#include "io/format.h"
#include "io/ini.h"
#include "io/signals.h"
#include "io/table.h"

enum { NEW_SEGMENT = 99999, SYNC_ON = 99998, OTHER_CODES = 10001 };

typedef struct brainvision {
    stream *in;       /* of the samples */
    bool vectorised;  /* channel after channel, otherwise sample after sample */
    sample_type type; /* of binary files */
    double *numbers;  /* those of an ASCII file, in the order of the file */
    size_t n_channels;
    uint64_t n_samples;
} brainvision;

/* What the header says, as it stands there. */
typedef struct header {
    content *c;
    stream *in;
    const char *file, *text, *end;
} header;

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    char line[65] = { 0 };
    (void)extension;
    memcpy(line, head, n < 64 ? n : 64);
    const char *brain = strstr(line, "Vision Data Exchange Header");
    return brain && strncmp(line + (memcmp(line, "\xef\xbb\xbf", 3) == 0 ? 3 : 0), "Brain", 5) == 0 ? 100 : 0;
}

/* ---- header ---- */

static bool find(const header *h, const char *section, const char *key, ini_value *v) { return ndi_ini_find(h->text, h->end, section, key, v); }

static bool is(const ini_value *v, const char *word) { return v->n == strlen(word) && memcmp(v->s, word, v->n) == 0; }

static nd_status need(const header *h, const char *section, const char *key, ini_value *v)
{
    CHECK(find(h, section, key, v) && v->n > 0, ND_ERR_FORMAT, "%s: section [%s] lacks '%s'", h->file, section, key);
    return ND_OK;
}

static nd_status need_number(const header *h, const char *section, const char *key, double least, double most, double *number)
{
    ini_value v;
    TRY(need(h, section, key, &v));
    CHECK(ndi_parse_double(v.s, v.s + v.n, number) && *number >= least && *number <= most, ND_ERR_FORMAT,
          "%s: %s: got '%.*s', expected a number from %g on", h->file, key, (int)v.n, v.s, least);
    return ND_OK;
}

/* The next part of a comma-separated list. */
static ini_value next_part(ini_value *list)
{
    const char *comma = list->n ? memchr(list->s, ',', list->n) : NULL;
    const ini_value part = { list->s, comma ? (size_t)(comma - list->s) : list->n };
    const size_t step = comma ? part.n + 1 : list->n;
    list->s += step;
    list->n -= step;
    return part;
}

static nd_status add_name(content *c, ini_value v, const char **name)
{
    text t = { 0 };
    for (size_t i = 0; i < v.n; i++) {
        const bool comma = v.s[i] == '\\' && i + 1 < v.n && v.s[i + 1] == '1';
        ndi_text_add_bytes(&t, comma ? "," : v.s + i, 1);
        i += comma;
    }
    nd_status status = ndi_text_status(&t);
    if (status == ND_OK) status = ndi_content_text(c, t.s ? t.s : "", t.n, name);
    ndi_text_free(&t);
    return status;
}

/* name, reference, resolution, unit; microvolts where there is no unit, 1 where there is no resolution. */
static nd_status read_channel(const header *h, channel *ch, ini_value v)
{
    TRY(add_name(h->c, next_part(&v), &ch->name));
    next_part(&v);
    const ini_value resolution = next_part(&v), unit = next_part(&v);
    if (resolution.n)
        CHECK(ndi_parse_double(resolution.s, resolution.s + resolution.n, &ch->scale) && isfinite(ch->scale), ND_ERR_FORMAT,
              "%s: channel '%s': resolution: got '%.*s', expected a number", h->file, ch->name, (int)resolution.n, resolution.s);
    TRY(unit.n ? ndi_channel_unit(h->c, ch, unit.s, unit.n) : ndi_channel_unit(h->c, ch, "uV", 2));
    const char *type = ndi_channel_type_by_name(ch->name);
    ch->type = type ? type : strcmp(ch->unit, "V") == 0 ? "eeg" : "misc";
    return ND_OK;
}

static nd_status read_channels(const header *h, signals *s)
{
    ini_entry e;
    double number;
    ini_cursor at = ndi_ini_start(h->text, h->end);
    for (size_t i = 0; i < s->n_channels; i++) s->channels[i].name = NULL;
    while (ndi_ini_next(&at, &e)) {
        if (!ndi_ini_same(e.section, "Channel Infos") || e.key.n < 3) continue;
        if (!ndi_parse_double(e.key.s + 2, e.key.s + e.key.n, &number) || !(number >= 1 && number <= (double)s->n_channels)) continue;
        TRY(read_channel(h, &s->channels[(size_t)number - 1], e.value));
    }
    for (size_t i = 0; i < s->n_channels; i++) CHECK(s->channels[i].name, ND_ERR_FORMAT, "%s: section [Channel Infos] lacks 'Ch%zu'", h->file, i + 1);
    return ND_OK;
}

/* A file beside the header; $b stands for the name of the header without its extension. */
static nd_status open_named(const header *h, stream **s, ini_value v)
{
    const char *slash = strrchr(h->file, '/'), *name = slash ? slash + 1 : h->file, *dot = strrchr(name, '.');
    text t = { 0 };
    const size_t same = v.n > 2 && memcmp(v.s, "$b", 2) == 0 ? 2 : 0;
    *s = NULL;
    if (same) ndi_text_add_bytes(&t, name, dot ? (size_t)(dot - name) : strlen(name));
    ndi_text_add_bytes(&t, v.s + same, v.n - same);
    nd_status status = ndi_text_status(&t);
    if (status == ND_OK) status = ndi_stream_open_beside(s, h->in, t.s, t.n);
    ndi_text_free(&t);
    return status;
}

/* ---- samples ---- */

static nd_status read_samples(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *numbers)
{
    const brainvision *b = s->reader;
    if (b->numbers) {
        const uint64_t channel_step = b->vectorised ? b->n_samples : 1, sample_step = b->vectorised ? 1 : b->n_channels;
        for (size_t k = 0; k < n_chosen; k++)
            for (size_t i = 0; i < count; i++) *numbers++ = b->numbers[chosen[k] * channel_step + (first + i) * sample_step];
        return ND_OK;
    }
    frames f = { .in = b->in, .type = b->type, .n_channels = b->vectorised ? 1 : b->n_channels };
    if (!b->vectorised) return ndi_frames_read(&f, chosen, n_chosen, first, count, numbers, count);
    for (size_t k = 0; k < n_chosen; k++) {
        f.at = chosen[k] * b->n_samples * ndi_sample_size(b->type);
        TRY(ndi_frames_read(&f, (const size_t[]){ 0 }, 1, first, count, numbers + k * count, count));
    }
    return ND_OK;
}

/* The next word of a line: false at its end. */
static bool next_word(const char **s, const char *end, const char **word, size_t *n)
{
    while (*s < end && (**s == ' ' || **s == '\t' || **s == ';')) ++*s;
    *word = *s;
    while (*s < end && **s != ' ' && **s != '\t' && **s != ';') ++*s;
    *n = (size_t)(*s - *word);
    return *n > 0;
}

/* One line of numbers after `skip` words; `decimal` is what the file writes for the point. */
static nd_status read_line(brainvision *b, const char *s, const char *end, size_t skip, char decimal, size_t *n, size_t capacity)
{
    const char *word;
    size_t length;
    for (size_t i = 0; next_word(&s, end, &word, &length); i++) {
        char digits[64];
        if (i < skip) continue;
        const size_t fits = length < sizeof digits ? length : 0;
        for (size_t k = 0; k < fits; k++) digits[k] = word[k] == decimal ? '.' : word[k];
        CHECK(fits && *n < capacity && ndi_parse_double(digits, digits + fits, &b->numbers[*n]), ND_ERR_FORMAT,
              "%s: number %zu: got '%.*s', expected a number with the decimal symbol '%c'", ndi_stream_name(b->in), *n,
              (int)(length < 40 ? length : 40), word, decimal);
        ++*n;
    }
    return ND_OK;
}

static nd_status parse_ascii(const header *h, brainvision *b, const char *bytes, size_t n_bytes)
{
    ini_value v;
    double skip_lines = 0, skip_columns = 0;
    const char *end = bytes + n_bytes;
    const size_t capacity = n_bytes / 2 + 1;
    if (find(h, "ASCII Infos", "SkipLines", &v)) TRY(need_number(h, "ASCII Infos", "SkipLines", 0, 1e6, &skip_lines));
    if (find(h, "ASCII Infos", "SkipColumns", &v)) TRY(need_number(h, "ASCII Infos", "SkipColumns", 0, 1e6, &skip_columns));
    const char decimal = find(h, "ASCII Infos", "DecimalSymbol", &v) && v.n == 1 ? *v.s : '.';
    b->numbers = ndi_arena_alloc(&h->c->memory, capacity * sizeof *b->numbers);
    CHECK(b->numbers, ND_ERR_MEMORY, "%s: out of memory for %zu numbers", ndi_stream_name(b->in), capacity);
    size_t n = 0, line = 0;
    for (const char *s = bytes, *stop; s < end; s = stop + 1, line++) {
        stop = memchr(s, '\n', (size_t)(end - s));
        if (!stop) stop = end;
        const char *last = stop > s && stop[-1] == '\r' ? stop - 1 : stop;
        if (line >= (size_t)skip_lines) TRY(read_line(b, s, last, (size_t)skip_columns, decimal, &n, capacity));
    }
    b->n_samples = n / b->n_channels;
    CHECK(n > 0 && n % b->n_channels == 0, ND_ERR_FORMAT, "%s: holds %zu numbers for %zu channels", ndi_stream_name(b->in), n, b->n_channels);
    return ND_OK;
}

static nd_status read_ascii(const header *h, brainvision *b)
{
    char *bytes;
    size_t n = 0;
    nd_status status = ndi_text_load(b->in, &bytes, &n);
    if (status == ND_OK) status = parse_ascii(h, b, bytes, n);
    ndi_free(bytes);
    return status;
}

static nd_status measure_binary(const header *h, brainvision *b)
{
    static const struct {
        const char *name;
        sample_type type;
    } types[] = { { "INT_16", SAMPLE_I16 }, { "INT_32", SAMPLE_I32 }, { "IEEE_FLOAT_32", SAMPLE_F32 } };
    ini_value v;
    uint64_t size;
    size_t i = 0;
    double said;
    TRY(need(h, "Binary Infos", "BinaryFormat", &v));
    while (i < COUNT(types) && !is(&v, types[i].name)) i++;
    CHECK(i < COUNT(types), ND_ERR_UNSUPPORTED, "%s: BinaryFormat: got '%.*s', expected INT_16, INT_32 or IEEE_FLOAT_32", h->file, (int)v.n, v.s);
    b->type = types[i].type;
    TRY(ndi_stream_size(b->in, &size));
    const uint64_t fits = size / ndi_sample_size(b->type) / b->n_channels;
    b->n_samples = fits;
    if (b->vectorised && find(h, "Common Infos", "DataPoints", &v)) { /* where each channel begins depends on it */
        TRY(need_number(h, "Common Infos", "DataPoints", 1, 1e15, &said));
        CHECK(said <= (double)fits, ND_ERR_FORMAT, "%s: ends too early, got %llu samples of each channel, the header says %.0f",
              ndi_stream_name(b->in), (unsigned long long)fits, said);
        b->n_samples = (uint64_t)said;
    }
    return ND_OK;
}

/* ---- markers ---- */

/* Codes as they are usual: S 1 .. 255 as they stand, R from 1001 on, O from 2001 on, others from 10001 on in the order of appearance. */
static nd_status code_marker(ids *others, const char *name, int32_t *code)
{
    static const struct {
        const char *begin;
        int32_t add;
    } known[] = { { "Event/", 0 }, { "Stimulus/S", 0 }, { "Response/R", 1000 }, { "Optic/O", 2000 } };
    const size_t n = strlen(name), head = n >= 3 ? n - 3 : 0;
    double number;
    size_t index;
    *code = strcmp(name, "New Segment/") == 0 ? NEW_SEGMENT : strcmp(name, "SyncStatus/Sync On") == 0 ? SYNC_ON : 0;
    for (size_t i = 0; i < COUNT(known) && !*code; i++)
        if (strlen(known[i].begin) == head && memcmp(name, known[i].begin, head) == 0 && ndi_parse_double(name + head, name + n, &number) &&
            number >= 0 && number == floor(number)) {
            *code = (int32_t)number + known[i].add;
            return ND_OK;
        }
    if (*code) return ND_OK;
    TRY(ndi_ids_add(others, name, n, &index));
    *code = OTHER_CODES + (int32_t)index;
    return ND_OK;
}

/* type, description, position from 1, length, ... */
static nd_status add_marker(content *c, signals *s, ids *others, ini_value v, size_t index)
{
    const char *type, *description;
    double position, length = 0;
    int32_t code;
    text t = { 0 };
    const ini_value kind = next_part(&v), what = next_part(&v), at = next_part(&v), size = next_part(&v);
    if (index == 0 && is(&kind, "New Segment")) return ND_OK; /* says when the recording began */
    CHECK(ndi_parse_double(at.s, at.s + at.n, &position) && position >= 0 && position <= 1e15, ND_ERR_FORMAT,
          "marker %zu: position: got '%.*s', expected a sample from 1 on", index + 1, (int)at.n, at.s);
    if (!ndi_parse_double(size.s, size.s + size.n, &length) || !(length >= 0 && length <= 1e15)) length = 0;
    TRY(add_name(c, kind, &type));
    TRY(add_name(c, what, &description));
    ndi_text_add(&t, "%s/%s", type, description);
    nd_status status = ndi_text_status(&t);
    if (status == ND_OK) status = code_marker(others, t.s, &code);
    if (status == ND_OK) status = ndi_signals_add_event(s, c, position >= 1 ? (uint64_t)position - 1 : 0, (uint64_t)length, code, t.s, t.n);
    ndi_text_free(&t);
    return status;
}

static nd_status read_markers(content *c, signals *s, const char *bytes, size_t n)
{
    ids others = { 0 };
    ini_entry e;
    ini_cursor at = ndi_ini_start(bytes, bytes + n);
    nd_status status = ND_OK;
    size_t index = 0;
    while (status == ND_OK && ndi_ini_next(&at, &e))
        if (ndi_ini_same(e.section, "Marker Infos") && e.key.n > 2 && memcmp(e.key.s, "Mk", 2) == 0)
            status = add_marker(c, s, &others, e.value, index++);
    ndi_ids_free(&others);
    return status;
}

/* The marker file may be missing, as after a renaming: then the one that is called as the header. */
static nd_status open_markers(const header *h, stream **s)
{
    ini_value v;
    *s = NULL;
    if (!find(h, "Common Infos", "MarkerFile", &v) || v.n == 0) return ND_OK;
    nd_status status = open_named(h, s, v);
    if (status == ND_ERR_IO) status = open_named(h, s, (ini_value){ "$b.vmrk", 7 });
    if (status != ND_ERR_IO) return status;
    ndi_log(ND_LOG_WARNING, "%s: marker file '%.*s' is missing: a recording without events", h->file, (int)v.n, v.s);
    return ND_OK;
}

static nd_status add_markers(const header *h, signals *s)
{
    stream *in;
    char *bytes = NULL;
    size_t n = 0;
    TRY(open_markers(h, &in));
    if (!in) return ND_OK;
    nd_status status = ndi_text_load(in, &bytes, &n);
    if (status == ND_OK) status = ndi_prefix(read_markers(h->c, s, bytes, n), "%s", ndi_stream_name(in));
    ndi_free(bytes);
    ndi_stream_close(in);
    return status;
}

/* ---- the whole ---- */

static nd_status open_samples(const header *h, brainvision *b)
{
    ini_value v, order;
    TRY(need(h, "Common Infos", "DataFile", &v));
    TRY(open_named(h, &b->in, v));
    TRY(ndi_content_add_stream(h->c, b->in));
    TRY(need(h, "Common Infos", "DataOrientation", &order));
    b->vectorised = is(&order, "VECTORIZED");
    CHECK(b->vectorised || is(&order, "MULTIPLEXED"), ND_ERR_UNSUPPORTED, "%s: DataOrientation: got '%.*s', expected MULTIPLEXED or VECTORIZED",
          h->file, (int)order.n, order.s);
    TRY(need(h, "Common Infos", "DataFormat", &v));
    CHECK(is(&v, "BINARY") || is(&v, "ASCII"), ND_ERR_UNSUPPORTED, "%s: DataFormat: got '%.*s', expected BINARY or ASCII", h->file, (int)v.n, v.s);
    return is(&v, "ASCII") ? read_ascii(h, b) : measure_binary(h, b);
}

static nd_status read_header(const header *h)
{
    double n_channels, interval;
    signals *s;
    brainvision *b = ndi_arena_alloc(&h->c->memory, sizeof *b);
    CHECK(b, ND_ERR_MEMORY, "%s: out of memory", h->file);
    TRY(need_number(h, "Common Infos", "SamplingInterval", 1e-6, 1e12, &interval));
    TRY(need_number(h, "Common Infos", "NumberOfChannels", 1, (double)(h->end - h->text), &n_channels));
    b->n_channels = (size_t)n_channels;
    TRY(open_samples(h, b));
    TRY(ndi_content_add_signals(h->c, b->in, b->n_channels, &s));
    s->concurrent = s->concurrent || b->numbers;
    TRY(read_channels(h, s));
    s->rate = 1e6 / interval;
    s->n_samples = b->n_samples;
    s->reader = b;
    s->read = read_samples;
    TRY(add_markers(h, s));
    return ndi_signals_settle(s, h->c, h->file);
}

static nd_status read(content *c, stream *in)
{
    char *bytes;
    size_t n = 0;
    nd_status status = ndi_text_load(in, &bytes, &n);
    if (status == ND_OK) status = read_header(&(header){ .c = c, .in = in, .file = ndi_stream_name(in), .text = bytes, .end = bytes + n });
    ndi_free(bytes);
    return status;
}

const format ndi_format_brainvision = { "brainvision", "BrainVision header with samples and markers", "vhdr", probe, read, NULL };
