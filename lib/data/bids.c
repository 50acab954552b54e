/* Sidecars of the Brain Imaging Data Structure (https://bids-specification.readthedocs.io): tables separated by tabs, `n/a` for what is not known.
 * Events: onset and duration in seconds from the first sample, trial_type (the text), value (the code). Channels: name, type, units, status. */
#include "data/bids.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"
#include "data/recording.h"
#include "io/table.h"

enum { MOST_COLUMNS = 4 };

/* A row of a table: the cells of the columns asked for, "" where there is none or n/a. */
typedef struct row {
    size_t number; /* from 1, as in an editor */
    char cells[MOST_COLUMNS][256];
} row;

typedef struct sidecar {
    content *c;
    signals *s;
    table t;
    size_t rows; /* seen so far */
    bool coded;  /* an event has a value */
    bool known;  /* a channel has the name of one of the recording */
} sidecar;

static nd_status keep_cell(const sidecar *b, const cell *x, char to[256])
{
    CHECK(x->n < 256, ND_ERR_FORMAT, "%s: row %zu: a cell of %zu bytes, expected less than 256", b->t.file, x->row + 1, x->n);
    memcpy(to, x->s, x->n);
    to[x->n] = '\0';
    return ND_OK;
}

/* Calls `take` for each row below the header with the cells of the columns named. */
static nd_status walk(sidecar *b, const char *const *names, size_t n_names, nd_status (*take)(sidecar *b, const row *r))
{
    size_t column[MOST_COLUMNS];
    row r = { 0 };
    cell x;
    for (size_t k = 0; k < n_names; k++) column[k] = ndi_table_find(&b->t, names[k]);
    CHECK(column[0] != NDI_NO_COLUMN, ND_ERR_FORMAT, "%s: has no column '%s'", b->t.file, names[0]);
    ndi_table_start(&b->t);
    while (ndi_table_next(&b->t, &x)) {
        if (x.row == 0) continue;
        if (x.column == 0) r = (row){ .number = x.row + 1 };
        for (size_t k = 0; k < n_names; k++)
            if (column[k] == x.column && !ndi_cell_is_missing(&x)) TRY(keep_cell(b, &x, r.cells[k]));
        if (x.column + 1 == b->t.n_columns) TRY(take(b, &r));
    }
    return b->t.status;
}

/* ---- events ---- */

enum { ONSET, DURATION, TRIAL_TYPE, VALUE };

static nd_status seconds(const sidecar *b, const row *r, int column, double *x)
{
    const char *s = r->cells[column];
    *x = column == ONSET ? NAN : 0;
    CHECK(!*s || (ndi_parse_double(s, s + strlen(s), x) && isfinite(*x)), ND_ERR_FORMAT, "%s: row %zu: got '%s', expected seconds", b->t.file,
          r->number, s);
    return ND_OK;
}

static nd_status take_event(sidecar *b, const row *r)
{
    double onset, duration, code = 0;
    const char *value = r->cells[VALUE], *words = *r->cells[TRIAL_TYPE] ? r->cells[TRIAL_TYPE] : value;
    TRY(seconds(b, r, ONSET, &onset));
    TRY(seconds(b, r, DURATION, &duration));
    const double at = round(onset * b->s->rate), length = round(duration * b->s->rate);
    if (!(at >= 0 && at < (double)b->s->n_samples)) return ND_OK;
    const bool coded = *value && ndi_parse_double(value, value + strlen(value), &code) && code == floor(code) && fabs(code) <= INT32_MAX;
    b->coded = b->coded || coded;
    return ndi_signals_add_event(b->s, b->c, (uint64_t)at, length > 0 && length < 1e15 ? (uint64_t)length : 0, coded ? (int32_t)code : 0, words,
                                 strlen(words));
}

/* Events of the file go, but for spans that are bad. The list has room for the next power of two, as ndi_signals_add_event() supposes. */
static void drop_events(signals *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_events; i++)
        if (ndi_mark_is_bad(&(mark){ .text = s->events[i].text })) s->events[n++] = s->events[i];
    s->n_events = n;
}

static nd_status take_events(sidecar *b)
{
    static const char *const names[] = { "onset", "duration", "trial_type stim_type condition", "value" };
    drop_events(b->s);
    TRY(walk(b, names, COUNT(names), take_event));
    TRY(ndi_signals_settle(b->s, b->c, b->t.file));
    return b->coded ? ND_OK : ndi_signals_code_texts(b->s);
}

/* ---- channels ---- */

enum { NAME, TYPE, UNITS, STATUS };

/* Types whose names differ from ours by more than case. Those of MEG sensors stay as the file has them, which knows more about them. */
static const char *type_of(const char *bids)
{
    static const char *const types[][2] = { { "EEG", "eeg" },      { "EOG", "eog" },          { "VEOG", "eog" },    { "HEOG", "eog" },
                                            { "ECG", "ecg" },      { "EMG", "emg" },          { "TRIG", "stim" },   { "MISC", "misc" },
                                            { "SEEG", "seeg" },    { "ECOG", "ecog" },        { "DBS", "dbs" },     { "RESP", "resp" },
                                            { "GSR", "gsr" },      { "TEMP", "temperature" }, { "PUPIL", "pupil" }, { "EYEGAZE", "eyegaze" },
                                            { "SYSCLOCK", "syst" } };
    for (size_t i = 0; i < COUNT(types); i++)
        if (strcmp(bids, types[i][0]) == 0) return types[i][1];
    return NULL;
}

static channel *find_channel(const sidecar *b, const char *name)
{
    for (size_t i = 0; i < b->s->n_channels; i++)
        if (strcmp(b->s->channels[i].name, name) == 0) return &b->s->channels[i];
    return NULL;
}

static nd_status describe_channel(const sidecar *b, channel *ch, const row *r)
{
    const char *type = type_of(r->cells[TYPE]), *units = r->cells[UNITS];
    if (type) ch->type = type;
    ch->bad = strcmp(r->cells[STATUS], "bad") == 0;
    return *units && !*ch->unit && strcmp(ch->type, "stim") != 0 ? ndi_channel_unit(b->c, ch, units, strlen(units)) : ND_OK;
}

static nd_status take_channel(sidecar *b, const row *r)
{
    channel *ch = find_channel(b, r->cells[NAME]);
    if (ch) return describe_channel(b, ch, r);
    ndi_log(ND_LOG_WARNING, "%s: row %zu: the recording has no channel '%s'", b->t.file, r->number, r->cells[NAME]);
    return ND_OK;
}

/* Where no name is known, rows are channels in their order, if there are as many. */
static nd_status rename_channel(sidecar *b, const row *r)
{
    channel *ch = &b->s->channels[b->rows++];
    TRY(ndi_content_text(b->c, r->cells[NAME], strlen(r->cells[NAME]), &ch->name));
    return describe_channel(b, ch, r);
}

static nd_status count_row(sidecar *b, const row *r)
{
    CHECK(*r->cells[NAME], ND_ERR_FORMAT, "%s: row %zu: has no name", b->t.file, r->number);
    b->rows++;
    b->known = b->known || find_channel(b, r->cells[NAME]);
    return ND_OK;
}

static nd_status take_channels(sidecar *b)
{
    static const char *const names[] = { "name", "type", "units", "status" };
    TRY(walk(b, names, 1, count_row));
    const bool rename = !b->known && b->rows == b->s->n_channels;
    b->rows = 0;
    TRY(walk(b, names, COUNT(names), rename ? rename_channel : take_channel));
    return rename ? ndi_signals_settle(b->s, b->c, b->t.file) : ND_OK;
}

/* ---- the files ---- */

static nd_status beside(text *to, const char *path, const char *ending)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *end = strrchr(name, '_');
    if (!end) end = name + strcspn(name, ".");
    ndi_text_add(to, "%.*s_%s", (int)(end - path), path, ending);
    return ndi_text_status(to);
}

static nd_status apply(content *c, signals *s, const char *path, nd_status (*take)(sidecar *b))
{
    sidecar b = { .c = c, .s = s };
    stream *in;
    TRY(ndi_stream_open_file(&in, path));
    nd_status status = ndi_table_open(&b.t, in);
    if (status == ND_OK) status = take(&b);
    ndi_table_close(&b.t);
    ndi_stream_close(in);
    return status;
}

nd_status ndi_bids_apply(content *c, signals *s, const char *path)
{
    static const struct {
        const char *ending;
        nd_status (*take)(sidecar *b);
    } tables[] = { { "channels.tsv", take_channels }, { "events.tsv", take_events } };
    size_t n = 0;
    for (size_t i = 0; i < COUNT(tables); i++) {
        text name = { 0 };
        struct stat about;
        nd_status status = beside(&name, path, tables[i].ending);
        if (status == ND_OK && stat(name.s, &about) == 0) {
            status = apply(c, s, name.s, tables[i].take);
            n++;
        }
        ndi_text_free(&name);
        TRY(status);
    }
    CHECK(n > 0, ND_ERR_IO, "%s: has neither ..._channels.tsv nor ..._events.tsv beside it", path);
    return ND_OK;
}
