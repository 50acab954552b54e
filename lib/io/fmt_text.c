/* Plain text: one string per line becomes the texts "lines". The last resort for a file that is text at all. */
#include <string.h>

#include "io/format.h"
#include "io/table.h"

/* Control characters other than white space do not occur in text. */
static int probe(const uint8_t *head, size_t n, const char *extension)
{
    (void)extension;
    for (size_t i = 0; i < n; i++)
        if (head[i] < ' ' && (head[i] < '\t' || head[i] > '\r')) return 0;
    return 5;
}

/* The next line without its end; false when there is none. */
static bool next_line(const char **at, const char *end, const char **line, size_t *n)
{
    if (*at == end) return false;
    const char *stop = memchr(*at, '\n', (size_t)(end - *at));
    *line = *at;
    *n = (size_t)((stop ? stop : end) - *at);
    *at = stop ? stop + 1 : end;
    if (*n > 0 && (*line)[*n - 1] == '\r') --*n;
    return true;
}

static nd_status add_lines(content *c, const char *body, const char *end)
{
    const char *line, **items;
    size_t n, n_lines = 0;
    for (const char *at = body; next_line(&at, end, &line, &n);) n_lines++;
    TRY(ndi_content_add_texts(c, "lines", n_lines, true, &items));
    for (const char *at = body; next_line(&at, end, &line, &n);) TRY(ndi_content_text(c, line, n, items++));
    return ND_OK;
}

static nd_status read(content *c, stream *s)
{
    char *bytes;
    size_t n = 0;
    nd_status status = ndi_text_load(s, &bytes, &n);
    const size_t mark = n >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (status == ND_OK) status = add_lines(c, bytes + mark, bytes + n);
    ndi_free(bytes);
    return status;
}

const format ndi_format_text = { "text", "Plain text, one string per line", "txt", probe, read, NULL };
