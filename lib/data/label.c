/* What was seen, and in which run, from a table: a row for each trial (with a header, or label, run and session in that order), or events in
 * seconds as BIDS has them (onset, duration, trial_type), each of which covers the trials that begin while it lasts. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "data/view.h"
#include "io/table.h"

enum { LABEL, RUN, SESSION, ONSET, DURATION, COLUMNS };

static const char *const column_names[COLUMNS] = {
    [LABEL] = "trial_type label labels condition stimulus image",
    [RUN] = "run runs chunk chunks",
    [SESSION] = "session sessions",
    [ONSET] = "onset",
    [DURATION] = "duration",
};

typedef struct event_row {
    double onset, duration; /* NaN where the table has n/a */
    uint32_t label;
} event_row;

typedef struct labels {
    const nd_label_options *o;
    table t;
    bool has_header;
    size_t column[COLUMNS];
    ids words[SESSION + 1];    /* cells of the columns label, run and session */
    size_t n;                  /* trials */
    uint32_t *of[SESSION + 1]; /* per trial: index into the words */
    event_row *events;
    size_t n_rows; /* without the header */
} labels;

/* ---- the table ---- */

/* Which columns there are. Without a header the first three are label, run and session. */
static nd_status find_columns(labels *l)
{
    for (int k = 0; k < COLUMNS; k++) {
        l->column[k] = ndi_table_find(&l->t, k == LABEL && l->o->column ? l->o->column : column_names[k]);
        l->has_header = l->has_header || l->column[k] != NDI_NO_COLUMN;
    }
    CHECK(l->has_header || !l->o->column, ND_ERR_FORMAT, "%s: has no column '%s'", l->t.file, l->o->column);
    for (size_t k = LABEL; !l->has_header && k <= SESSION && k < l->t.n_columns; k++) l->column[k] = k;
    CHECK(l->column[LABEL] != NDI_NO_COLUMN, ND_ERR_FORMAT, "%s: has no column of labels, expected one of: %s", l->t.file, column_names[LABEL]);
    return ND_OK;
}

static nd_status open_table(labels *l, stream *s)
{
    TRY(ndi_table_open(&l->t, s));
    if (l->t.n_columns == 1) TRY(ndi_table_by_blanks(&l->t));
    TRY(find_columns(l));
    cell x;
    ndi_table_start(&l->t);
    while (ndi_table_next(&l->t, &x)) l->n_rows = x.row + 1 - l->has_header;
    return l->t.status;
}

/* What a column holds; COLUMNS = nothing that is known. */
static int column_at(const labels *l, size_t column)
{
    int k = 0;
    while (k < COLUMNS && l->column[k] != column) k++;
    return k;
}

static const char *rest_of(const labels *l) { return l->o->rest ? l->o->rest : "rest"; }

static nd_status take_word(labels *l, int column, const cell *x, uint32_t *index)
{
    size_t found;
    const bool missing = ndi_cell_is_missing(x);
    CHECK(!missing || column == LABEL, ND_ERR_FORMAT, "%s: row %zu: got '%.*s' for the %s, expected a number", l->t.file, x->row + 1, (int)x->n, x->s,
          column == RUN ? "run" : "session");
    const char *s = missing ? rest_of(l) : x->s;
    TRY(ndi_prefix(ndi_add_text(&l->words[column], s, missing ? strlen(s) : x->n, "label", &found), "%s: row %zu", l->t.file, x->row + 1));
    *index = (uint32_t)found;
    return ND_OK;
}

/* ---- a row for each trial ---- */

static nd_status read_rows(labels *l)
{
    cell x;
    CHECK(l->n_rows == l->n, ND_ERR_ARGUMENT, "%s: has %zu rows%s, expected one for each of %zu trials", l->t.file, l->n_rows,
          l->has_header ? " below its header" : "", l->n);
    for (int k = LABEL; k <= SESSION; k++)
        if (l->column[k] != NDI_NO_COLUMN) TRY(NEW(l->of[k], l->n));
    ndi_table_start(&l->t);
    while (ndi_table_next(&l->t, &x)) {
        const int k = column_at(l, x.column);
        if (x.row < (size_t)l->has_header || k > SESSION) continue;
        TRY(take_word(l, k, &x, &l->of[k][x.row - l->has_header]));
    }
    return l->t.status;
}

/* ---- events ---- */

static nd_status take_seconds(const labels *l, const cell *x, double *seconds)
{
    *seconds = NAN;
    if (ndi_cell_is_missing(x)) return ND_OK;
    CHECK(ndi_parse_double(x->s, x->s + x->n, seconds) && isfinite(*seconds), ND_ERR_FORMAT, "%s: row %zu: got '%.*s', expected seconds", l->t.file,
          x->row + 1, (int)x->n, x->s);
    return ND_OK;
}

static nd_status read_events(labels *l)
{
    cell x;
    TRY(NEW(l->events, l->n_rows + 1));
    for (size_t i = 0; i < l->n_rows; i++) l->events[i].duration = NAN;
    ndi_table_start(&l->t);
    while (ndi_table_next(&l->t, &x)) {
        const int k = column_at(l, x.column);
        if (x.row < (size_t)l->has_header) continue;
        event_row *e = &l->events[x.row - l->has_header];
        if (k == ONSET) TRY(take_seconds(l, &x, &e->onset));
        if (k == DURATION) TRY(take_seconds(l, &x, &e->duration));
        if (k == LABEL) TRY(take_word(l, LABEL, &x, &e->label));
    }
    return l->t.status;
}

/* The first event that lasts at a time; one without a duration covers a single trial. A millionth of a second is forgiven for rounding. */
static const event_row *event_at(const labels *l, double time, double interval)
{
    for (size_t i = 0; i < l->n_rows; i++) {
        const event_row *e = &l->events[i];
        const double start = e->onset + l->o->shift - 1e-6, length = e->duration > 0 ? e->duration : interval;
        if (time >= start && time < start + length) return e;
    }
    return NULL;
}

static nd_status cover_trials(labels *l, const nd_dataset *d)
{
    const double interval = l->o->interval > 0 ? l->o->interval : 1 / d->rate;
    size_t outside, n_covered = 0;
    for (size_t i = 1; i < d->n_trials; i++)
        CHECK(d->labels[i].run == d->labels[0].run && d->labels[i].session == d->labels[0].session, ND_ERR_ARGUMENT,
              "%s: lists the events of one run, the trials are of several: label each run before they are joined", l->t.file);
    TRY(NEW(l->of[LABEL], d->n_trials));
    TRY(ndi_add_text(&l->words[LABEL], rest_of(l), strlen(rest_of(l)), "label of rest", &outside));
    for (size_t i = 0; i < d->n_trials; i++) {
        const event_row *e = event_at(l, (double)i * interval, interval);
        l->of[LABEL][i] = e ? e->label : (uint32_t)outside;
        n_covered += e != NULL;
    }
    CHECK(n_covered > 0, ND_ERR_ARGUMENT, "%s: none of %zu trials, one every %g s, begins during an event", l->t.file, d->n_trials, interval);
    return ND_OK;
}

/* ---- numbers of runs and sessions ---- */

/* The numbers the words are, raised by one where they count from 0, which stands for unknown; else their places from 1. */
static void number_words(const ids *words, int32_t *numbers)
{
    bool whole = true;
    int32_t least = 1;
    for (size_t i = 0; i < words->n && whole; i++) {
        double x;
        const char *s = words->items[i];
        whole = ndi_parse_double(s, s + strlen(s), &x) && x == floor(x) && x >= 0 && x < INT32_MAX;
        numbers[i] = whole ? (int32_t)x : 0;
        if (numbers[i] < least) least = numbers[i];
    }
    for (size_t i = 0; i < words->n; i++) numbers[i] = whole ? numbers[i] + (least == 0) : (int32_t)i + 1;
}

static nd_status set_numbers(const labels *l, int column, nd_dataset *d)
{
    int32_t *numbers;
    if (!l->of[column]) return ND_OK;
    TRY(NEW(numbers, l->words[column].n));
    number_words(&l->words[column], numbers);
    for (size_t i = 0; i < d->n_trials; i++) *(column == RUN ? &d->labels[i].run : &d->labels[i].session) = numbers[l->of[column][i]];
    ndi_free(numbers);
    return ND_OK;
}

/* ---- the whole ---- */

static nd_status apply(labels *l, nd_dataset *d)
{
    const bool are_events = l->column[ONSET] != NDI_NO_COLUMN;
    TRY(are_events ? read_events(l) : read_rows(l));
    if (are_events) TRY(cover_trials(l, d));
    TRY(set_numbers(l, RUN, d));
    TRY(set_numbers(l, SESSION, d));
    for (size_t i = 0; i < d->n_trials; i++) {
        if (l->o->run) d->labels[i].run = l->o->run;
        if (l->o->session) d->labels[i].session = l->o->session;
    }
    return ndi_dataset_relabel(d, &l->words[LABEL], l->of[LABEL]);
}

static void close_labels(labels *l)
{
    for (int k = LABEL; k <= SESSION; k++) {
        ndi_ids_free(&l->words[k]);
        ndi_free(l->of[k]);
    }
    ndi_free(l->events);
    ndi_table_close(&l->t);
}

const nd_label_options ndi_label_defaults = { .size = sizeof(nd_label_options) };

nd_status ndi_dataset_label(nd_dataset **out, const nd_dataset *source, const char *path, const nd_label_options *o)
{
    labels l = { .o = o, .n = source->n_trials };
    stream *s = NULL;
    nd_dataset *d = NULL;
    nd_status status;
    CHECK(isfinite(o->shift) && o->interval >= 0 && isfinite(o->interval), ND_ERR_ARGUMENT, "label: shift %g, interval %g, expected seconds",
          o->shift, o->interval);
    GO(ndi_stream_open_file(&s, path));
    GO(open_table(&l, s));
    GO(ndi_dataset_derive(&d, source, NULL, 0));
    GO(apply(&l, d));
    *out = d;
    d = NULL;
done:
    ndi_dataset_free(d);
    close_labels(&l);
    ndi_stream_close(s);
    return status;
}
