/* EDF and EDF+ (Kemp et al. 1992; Kemp and Olivan 2003; https://www.edfplus.info/specs/) and the 24-bit BDF of BioSemi: a header of fixed-width
 * text, then records of a fixed duration; in each, the samples of one signal after the other. Texts of EDF+ stand in signals called "EDF
 * Annotations" as lists of  onset [0x15 duration] 0x14 text 0x14 ... 0.
 * The fastest signal gives the rate. Slower signals hold each value until their next one. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/format.h"
#include "io/signals.h"

enum { HEADER_BYTES = 256, SIGNAL_BYTES = 256, FILTER_BYTES = 80, TRIGGER_BITS = (1 << 17) - 1 };

/* One signal of the header and where its samples stand in a record. */
typedef struct lane {
    size_t at, n;   /* bytes from the start of the record; samples */
    bool annotates; /* holds texts */
} lane;

typedef struct edf {
    stream *in;
    sample_type type;
    uint64_t data_at, record_bytes, n_records;
    double record_seconds;
    bool gaps;                  /* the header says that there may be time between records */
    size_t n_lanes, per_record; /* samples of the fastest signal in a record */
    lane *lanes;
    const lane **kept; /* per channel */
} edf;

static bool is_bdf(const uint8_t *head) { return head[0] == 0xff && memcmp(head + 1, "BIOSEMI", 7) == 0; }

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    (void)extension;
    if (n < HEADER_BYTES) return 0;
    if (is_bdf(head)) return 100;
    return memcmp(head, "0       ", 8) == 0 && head[170] == '.' && head[173] == '.' ? 95 : 0; /* the date: dd.mm.yy */
}

/* ---- header ---- */

static size_t trimmed(const char **s, size_t n)
{
    while (n > 0 && ((*s)[n - 1] == ' ' || (*s)[n - 1] == '\0')) n--;
    for (; n > 0 && **s == ' '; ++*s) n--;
    return n;
}

static nd_status field_number(const edf *f, const char *what, const char *s, size_t n, double *value)
{
    n = trimmed(&s, n);
    CHECK(ndi_parse_double(s, s + n, value) && isfinite(*value), ND_ERR_FORMAT, "%s: header: %s: got '%.*s', expected a number",
          ndi_stream_name(f->in), what, (int)n, s);
    return ND_OK;
}

static nd_status field_count(const edf *f, const char *what, const char *s, size_t n, double least, size_t *count)
{
    double value;
    TRY(field_number(f, what, s, n, &value));
    CHECK(value >= least && value <= 1e9 && value == floor(value), ND_ERR_FORMAT, "%s: header: %s: got %g, expected a whole number of %g or more",
          ndi_stream_name(f->in), what, value, least);
    *count = (size_t)value;
    return ND_OK;
}

/* How many whole records the file holds; one that was cut short has fewer than its header says. */
static nd_status count_records(edf *f, const char *header)
{
    uint64_t size;
    double said;
    TRY(field_number(f, "number of records", header + 236, 8, &said));
    TRY(ndi_stream_size(f->in, &size));
    f->n_records = size > f->data_at ? (size - f->data_at) / f->record_bytes : 0;
    CHECK(f->n_records > 0, ND_ERR_FORMAT, "%s: ends too early, got %llu bytes, expected %llu of header and at least %llu of samples",
          ndi_stream_name(f->in), (unsigned long long)size, (unsigned long long)f->data_at, (unsigned long long)f->record_bytes);
    if (said >= 0 && said != (double)f->n_records)
        ndi_log(ND_LOG_WARNING, "%s: the header says %.0f records, the file holds %llu", ndi_stream_name(f->in), said,
                (unsigned long long)f->n_records);
    return ND_OK;
}

static nd_status read_start(edf *f, char header[HEADER_BYTES])
{
    size_t bytes;
    uint64_t size;
    TRY(ndi_stream_read(f->in, 0, header, HEADER_BYTES));
    TRY(ndi_stream_size(f->in, &size));
    f->type = is_bdf((const uint8_t *)header) ? SAMPLE_I24 : SAMPLE_I16;
    f->gaps = memcmp(header + 192, "EDF+D", 5) == 0 || memcmp(header + 192, "BDF+D", 5) == 0;
    TRY(field_count(f, "bytes of header", header + 184, 8, HEADER_BYTES + SIGNAL_BYTES, &bytes));
    TRY(field_count(f, "number of signals", header + 252, 4, 1, &f->n_lanes));
    CHECK(bytes == HEADER_BYTES + f->n_lanes * SIGNAL_BYTES, ND_ERR_FORMAT, "%s: header: got %zu bytes for %zu signals, expected %zu",
          ndi_stream_name(f->in), bytes, f->n_lanes, HEADER_BYTES + f->n_lanes * SIGNAL_BYTES);
    CHECK(bytes <= size, ND_ERR_FORMAT, "%s: ends too early, got %llu bytes, expected %zu of header", ndi_stream_name(f->in),
          (unsigned long long)size, bytes);
    f->data_at = bytes;
    TRY(field_number(f, "seconds of a record", header + 244, 8, &f->record_seconds));
    CHECK(f->record_seconds >= 0, ND_ERR_FORMAT, "%s: header: a record of %g seconds", ndi_stream_name(f->in), f->record_seconds);
    if (f->record_seconds == 0) f->record_seconds = 1; /* files of annotations only say 0 */
    return ND_OK;
}

/* The header has a column for each kind of field: `name` stands at `column` bytes x number of signals. */
static const char *cell_of(const char *columns, size_t n_lanes, size_t column, size_t width, size_t i)
{
    return columns + column * n_lanes + width * i;
}

static nd_status lay_out(edf *f, content *c, const char *columns)
{
    static const char annotations[] = "DF Annotations";
    f->lanes = ndi_arena_alloc(&c->memory, f->n_lanes * sizeof *f->lanes);
    CHECK(f->lanes, ND_ERR_MEMORY, "%s: out of memory", ndi_stream_name(f->in));
    for (size_t i = 0; i < f->n_lanes; i++) {
        lane *l = &f->lanes[i];
        const char *label = cell_of(columns, f->n_lanes, 0, 16, i);
        l->annotates = (label[0] == 'E' || label[0] == 'B') && memcmp(label + 1, annotations, sizeof annotations - 1) == 0;
        TRY(field_count(f, "samples in a record", cell_of(columns, f->n_lanes, 216, 8, i), 8, 1, &l->n));
        l->at = f->record_bytes;
        f->record_bytes += l->n * ndi_sample_size(f->type);
    }
    return ND_OK;
}

/* EDF+ writes the kind of signal before the name: "EEG Fp1". */
static nd_status name_channel(content *c, channel *ch, const char *label)
{
    static const char *const kinds[][2] = { { "EEG ", "eeg" }, { "EOG ", "eog" }, { "ECG ", "ecg" }, { "EKG ", "ecg" }, { "EMG ", "emg" } };
    size_t n = trimmed(&label, 16);
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (n <= 4 || memcmp(label, kinds[i][0], 4) != 0) continue;
        ch->type = kinds[i][1];
        label += 4;
        n = trimmed(&label, n - 4);
        return ndi_content_text(c, label, n, &ch->name);
    }
    TRY(ndi_content_text(c, label, n, &ch->name));
    const char *type = ndi_channel_type_by_name(ch->name);
    if (type) ch->type = type;
    return ND_OK;
}

/* value = (number - digital minimum) x physical range / digital range + physical minimum. Trigger channels stay numbers. */
static nd_status calibrate(const edf *f, content *c, channel *ch, const char *columns, size_t i)
{
    const bool trigger = strcmp(ch->type, "stim") == 0;
    const char *unit = cell_of(columns, f->n_lanes, 96, 8, i);
    double v[4];
    for (size_t k = 0; k < 4; k++)
        TRY(field_number(f, k < 2 ? "physical range" : "digital range", cell_of(columns, f->n_lanes, 104 + 8 * k, 8, i), 8, &v[k]));
    const double physical = v[1] == v[0] ? 1 : v[1] - v[0], digital = v[3] == v[2] ? 1 : v[3] - v[2];
    if (trigger) ch->mask = TRIGGER_BITS;
    if (trigger && f->type == SAMPLE_I24) return ND_OK;
    ch->scale = physical / digital;
    ch->offset = v[0] - v[2] * ch->scale;
    const size_t n = trimmed(&unit, 8);
    return trigger ? ND_OK : ndi_channel_unit(c, ch, unit, n);
}

/* "HP:0.1Hz LP:75Hz": what stands behind the word, 0 where it does not stand there. */
static double filter_edge(const char *field, const char *word)
{
    double value;
    for (const char *s = field; s + strlen(word) <= field + FILTER_BYTES; s++) {
        if (memcmp(s, word, strlen(word)) != 0) continue;
        const char *from = s + strlen(word), *to = from;
        while (to < field + FILTER_BYTES && ((*to >= '0' && *to <= '9') || *to == '.' || (*to == ' ' && to == from))) to++;
        return ndi_parse_double(from, to, &value) ? value : 0;
    }
    return 0;
}

static nd_status add_channels(edf *f, content *c, const char *columns, signals **s)
{
    size_t n = 0, k = 0;
    for (size_t i = 0; i < f->n_lanes; i++) n += !f->lanes[i].annotates;
    CHECK(n > 0, ND_ERR_UNSUPPORTED, "%s: holds annotations only, expected signals", ndi_stream_name(f->in));
    TRY(ndi_content_add_signals(c, f->in, n, s));
    f->kept = ndi_arena_alloc(&c->memory, n * sizeof *f->kept);
    CHECK(f->kept, ND_ERR_MEMORY, "%s: out of memory", ndi_stream_name(f->in));
    for (size_t i = 0; i < f->n_lanes; i++) {
        if (f->lanes[i].annotates) continue;
        channel *ch = &(*s)->channels[k];
        TRY(name_channel(c, ch, cell_of(columns, f->n_lanes, 0, 16, i)));
        TRY(calibrate(f, c, ch, columns, i));
        if (k == 0) {
            const char *filters = cell_of(columns, f->n_lanes, 136, FILTER_BYTES, i);
            (*s)->highpass = filter_edge(filters, "HP:");
            (*s)->lowpass = filter_edge(filters, "LP:");
        }
        f->kept[k++] = &f->lanes[i];
    }
    for (size_t pass = 0; pass < 2 && f->per_record == 0; pass++) /* trigger channels give the rate only where there is nothing else */
        for (k = 0; k < n; k++)
            if ((pass || !(*s)->channels[k].mask) && f->kept[k]->n > f->per_record) f->per_record = f->kept[k]->n;
    return ND_OK;
}

/* ---- samples ---- */

/* `m` samples of a record from `within` on. A slower signal holds its values, a faster trigger channel gives every so manyth. */
static void take(const edf *f, const lane *l, const uint8_t *record, size_t within, size_t m, double *to)
{
    const size_t size = ndi_sample_size(f->type);
    if (l->n == f->per_record) {
        ndi_samples_decode(f->type, false, record + within * size, size, m, to);
        return;
    }
    for (size_t i = 0; i < m; i++) {
        const uint64_t k = (uint64_t)(within + i) * l->n / f->per_record;
        ndi_samples_decode(f->type, false, record + k * size, size, 1, to + i);
    }
}

/* Reads of each record what lies between the first and the last of the channels chosen. */
static nd_status read_samples(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *numbers)
{
    const edf *f = s->reader;
    size_t from = SIZE_MAX, to = 0, m;
    for (size_t k = 0; k < n_chosen; k++) {
        const lane *l = f->kept[chosen[k]];
        const size_t end = l->at + l->n * ndi_sample_size(f->type);
        from = l->at < from ? l->at : from;
        to = end > to ? end : to;
    }
    uint8_t *record;
    TRY(NEW(record, to - from));
    nd_status status = ND_OK;
    for (size_t done = 0; done < count && status == ND_OK; done += m) {
        const uint64_t r = (first + done) / f->per_record;
        const size_t within = (size_t)((first + done) % f->per_record);
        m = f->per_record - within < count - done ? f->per_record - within : count - done;
        status = ndi_stream_read(f->in, f->data_at + r * f->record_bytes + from, record, to - from);
        for (size_t k = 0; k < n_chosen && status == ND_OK; k++)
            take(f, f->kept[chosen[k]], record + f->kept[chosen[k]]->at - from, within, m, numbers + k * count + done);
    }
    ndi_free(record);
    return status;
}

/* ---- annotations ---- */

typedef struct annotations {
    edf *f;
    content *c;
    signals *s;
    double began; /* what the first record says of its own beginning */
    bool first;
} annotations;

static nd_status add_text(annotations *a, double onset, double duration, const char *s, size_t n)
{
    const double at = round((onset - a->began) * a->s->rate), length = round(duration * a->s->rate);
    if (!(at >= 0 && at < (double)a->s->n_samples)) return ND_OK;
    return ndi_signals_add_event(a->s, a->c, (uint64_t)at, length > 0 && length < 1e15 ? (uint64_t)length : 0, 0, s, n);
}

/* The list that begins a record says when the record begins. */
static nd_status keep_time(annotations *a, uint64_t record, double onset)
{
    const edf *f = a->f;
    if (a->first) a->began = onset;
    a->first = false;
    const double due = a->began + (double)record * f->record_seconds;
    CHECK(!f->gaps || fabs(onset - due) * a->s->rate < 0.5, ND_ERR_UNSUPPORTED,
          "%s: record %llu begins at %g s, expected %g s: recordings with gaps are not read", ndi_stream_name(f->in), (unsigned long long)record,
          onset, due);
    return ND_OK;
}

/* One list: onset, perhaps a duration, texts. A list that is broken is passed over. */
static nd_status read_list(annotations *a, uint64_t record, bool keeps_time, const char *s, size_t n)
{
    const char *end = s + n, *stop = memchr(s, 0x14, n), *mark = stop ? memchr(s, 0x15, (size_t)(stop - s)) : NULL;
    double onset, duration = 0;
    if (!stop || (*s != '+' && *s != '-') || !ndi_parse_double(*s == '+' ? s + 1 : s, mark ? mark : stop, &onset) || !isfinite(onset)) return ND_OK;
    if (mark && (!ndi_parse_double(mark + 1, stop, &duration) || !isfinite(duration))) duration = 0;
    for (const char *from = stop + 1; from < end; from = stop + 1) {
        stop = memchr(from, 0x14, (size_t)(end - from));
        if (!stop) break;
        if (stop > from)
            TRY(add_text(a, onset, duration, from, (size_t)(stop - from)));
        else if (keeps_time)
            TRY(keep_time(a, record, onset));
        keeps_time = false;
    }
    return ND_OK;
}

static nd_status read_annotations(annotations *a, const lane *l, bool keeps_time)
{
    char *bytes;
    const size_t n = l->n * ndi_sample_size(a->f->type);
    TRY(NEW(bytes, n));
    nd_status status = ND_OK;
    for (uint64_t r = 0; r < a->f->n_records && status == ND_OK; r++) {
        status = ndi_stream_read(a->f->in, a->f->data_at + r * a->f->record_bytes + l->at, bytes, n);
        bool starts = keeps_time;
        for (const char *s = bytes, *end = bytes + n; s < end && status == ND_OK;) {
            const size_t length = strnlen(s, (size_t)(end - s));
            if (length) status = read_list(a, r, starts, s, length);
            starts = false;
            s += length + 1;
        }
    }
    ndi_free(bytes);
    return status;
}

/* ---- the whole ---- */

static nd_status read_signals(edf *f, content *c, const char *header, const char *columns)
{
    signals *s;
    TRY(lay_out(f, c, columns));
    TRY(count_records(f, header));
    TRY(add_channels(f, c, columns, &s));
    s->rate = (double)f->per_record / f->record_seconds;
    s->n_samples = f->n_records * f->per_record;
    s->reader = f;
    s->read = read_samples;
    annotations a = { .f = f, .c = c, .s = s, .first = true };
    for (size_t i = 0, seen = 0; i < f->n_lanes; i++)
        if (f->lanes[i].annotates) TRY(read_annotations(&a, &f->lanes[i], seen++ == 0));
    TRY(ndi_signals_settle(s, c, ndi_stream_name(f->in)));
    return ndi_signals_code_texts(s);
}

static nd_status read(content *c, stream *in)
{
    char header[HEADER_BYTES], *columns;
    edf *f = ndi_arena_alloc(&c->memory, sizeof *f);
    CHECK(f, ND_ERR_MEMORY, "%s: out of memory", ndi_stream_name(in));
    f->in = in;
    TRY(read_start(f, header));
    TRY(NEW(columns, f->n_lanes * SIGNAL_BYTES));
    nd_status status = ndi_stream_read(in, HEADER_BYTES, columns, f->n_lanes * SIGNAL_BYTES);
    if (status == ND_OK) status = read_signals(f, c, header, columns);
    ndi_free(columns);
    return status;
}

const format ndi_format_edf = { "edf", "European Data Format, EDF+ and BioSemi BDF", "edf bdf rec", probe, read, NULL };
