#include "io/table.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const uint64_t max_bytes = (uint64_t)1 << 30;

nd_status ndi_text_load(stream *s, char **bytes, size_t *n)
{
    uint64_t size;
    *bytes = NULL;
    TRY(ndi_stream_size(s, &size));
    CHECK(size <= max_bytes, ND_ERR_UNSUPPORTED, "%s: %llu bytes of text, expected at most %llu: store it as .npy", ndi_stream_name(s),
          (unsigned long long)size, (unsigned long long)max_bytes);
    TRY(NEW(*bytes, (size_t)size + 1));
    *n = (size_t)size;
    return ndi_stream_read(s, 0, *bytes, *n);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }
static bool is_newline(char c) { return c == '\n' || c == '\r'; }

static const char *end_of_line(const char *s, const char *end)
{
    while (s < end && !is_newline(*s)) s++;
    return s;
}

/* Past the byte order mark, empty lines and, at the top only, lines that begin with '#'. */
static const char *find_body(const char *s, const char *end)
{
    if (end - s >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0) s += 3;
    for (;;) {
        while (s < end && is_newline(*s)) s++;
        if (s == end || *s != '#') return s;
        s = end_of_line(s, end);
    }
}

/* Numbers with blanks between them and nothing else. */
static bool is_blank_separated(const char *s, const char *end)
{
    size_t n = 0;
    while (s < end) {
        while (s < end && is_blank(*s)) s++;
        const char *from = s;
        double number;
        while (s < end && !is_blank(*s)) s++;
        if (s == from) break;
        if (!ndi_parse_double(from, s, &number)) return false;
        n++;
    }
    return n > 1;
}

/* The one that occurs most in the first line, outside of quotes. */
static char find_separator(const char *s, const char *end)
{
    static const char separators[] = "\t,;";
    size_t counts[3] = { 0 }, best = 1;
    const char *line_end = end_of_line(s, end);
    bool quoted = false;
    for (const char *p = s; p < line_end; p++) {
        const char *which = *p ? strchr(separators, *p) : NULL;
        if (*p == '"') quoted = !quoted;
        if (which && !quoted) counts[which - separators]++;
    }
    for (size_t i = 0; i < 3; i++)
        if (counts[i] > counts[best]) best = i;
    return counts[best] == 0 && is_blank_separated(s, line_end) ? ' ' : separators[best];
}

static nd_status count_columns(table *t)
{
    cell x;
    t->n_columns = 0;
    ndi_table_start(t);
    size_t n = 0;
    while (ndi_table_next(t, &x) && x.row == 0) n = x.column + 1;
    TRY(t->status);
    CHECK(n > 0, ND_ERR_FORMAT, "%s: holds no table", t->file);
    t->n_columns = n;
    return ND_OK;
}

nd_status ndi_table_open(table *t, stream *s)
{
    size_t n = 0;
    *t = (table){ .file = ndi_stream_name(s) };
    TRY(ndi_text_load(s, &t->bytes, &n));
    TRY(NEW(t->unquoted, n + 1));
    t->end = t->bytes + n;
    t->body = find_body(t->bytes, t->end);
    t->separator = find_separator(t->body, t->end);
    return count_columns(t);
}

nd_status ndi_table_by_blanks(table *t)
{
    t->separator = ' ';
    return count_columns(t);
}

void ndi_table_close(table *t)
{
    ndi_free(t->bytes);
    ndi_free(t->unquoted);
}

void ndi_table_start(table *t)
{
    t->at = t->body;
    t->row = t->column = 0;
    t->due = false;
    t->status = ND_OK;
}

/* Text between quotes; two quotes stand for one. */
static nd_status take_quoted(table *t, cell *x)
{
    char *to = t->unquoted;
    for (t->at++; t->at < t->end; t->at++) {
        if (*t->at == '"' && (t->at + 1 == t->end || t->at[1] != '"')) break;
        if (*t->at == '"') t->at++;
        *to++ = *t->at;
    }
    CHECK(t->at < t->end, ND_ERR_FORMAT, "%s: row %zu: quotes do not end", t->file, x->row + 1);
    t->at++;
    while (t->at < t->end && is_blank(*t->at) && *t->at != t->separator) t->at++;
    CHECK(t->at == t->end || *t->at == t->separator || is_newline(*t->at), ND_ERR_FORMAT, "%s: row %zu: text behind quotes", t->file, x->row + 1);
    x->s = t->unquoted;
    x->n = (size_t)(to - t->unquoted);
    return ND_OK;
}

static void take_plain(table *t, cell *x)
{
    x->s = t->at;
    while (t->at < t->end && *t->at != t->separator && !is_newline(*t->at)) t->at++;
    const char *end = t->at;
    while (end > x->s && is_blank(end[-1])) end--;
    x->n = (size_t)(end - x->s);
}

static void skip_blanks(table *t)
{
    while (t->at < t->end && is_blank(*t->at) && (*t->at != t->separator || t->separator == ' ')) t->at++;
}

/* Past the separator, or to the next row. */
static nd_status advance(table *t)
{
    if (t->separator == ' ') skip_blanks(t);
    const bool row_goes_on = t->at < t->end && !is_newline(*t->at);
    t->due = row_goes_on;
    t->column++;
    if (row_goes_on) {
        t->at += t->separator != ' ';
        CHECK(t->n_columns == 0 || t->column < t->n_columns, ND_ERR_FORMAT, "%s: row %zu has more cells than the first, which has %zu", t->file,
              t->row + 1, t->n_columns);
        return ND_OK;
    }
    CHECK(t->n_columns == 0 || t->column == t->n_columns, ND_ERR_FORMAT, "%s: row %zu has %zu cells, the first has %zu", t->file, t->row + 1,
          t->column, t->n_columns);
    t->column = 0;
    t->row++;
    return ND_OK;
}

bool ndi_table_next(table *t, cell *x)
{
    if (t->status != ND_OK) return false;
    if (!t->due) {
        while (t->at < t->end && is_newline(*t->at)) t->at++;
        if (t->at == t->end) return false;
    }
    *x = (cell){ .row = t->row, .column = t->column };
    skip_blanks(t);
    if (t->at < t->end && *t->at == '"')
        t->status = take_quoted(t, x);
    else
        take_plain(t, x);
    if (t->status == ND_OK) t->status = advance(t);
    return t->status == ND_OK;
}

static bool is_listed(const char *names, const cell *x)
{
    const char *word;
    size_t n;
    while (ndi_next_word(&names, &word, &n))
        if (n == x->n && memcmp(word, x->s, n) == 0) return true;
    return false;
}

size_t ndi_table_find(table *t, const char *names)
{
    cell x;
    ndi_table_start(t);
    while (ndi_table_next(t, &x) && x.row == 0)
        if (is_listed(names, &x)) return x.column;
    return NDI_NO_COLUMN;
}

bool ndi_cell_is_missing(const cell *x) { return x->n == 0 || is_listed("NA N/A n/a null NULL", x); }
