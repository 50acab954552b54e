/* Parts of other streams, one after the other, as one stream: an array that goes on in further files. */
#include <string.h>

#include "base/mem.h"
#include "io/stream_kind.h"

typedef struct joined_stream {
    stream head;
    stream_part *parts;
    uint64_t *begin; /* of each part; one more: the size of all */
    size_t n;
} joined_stream;

/* The part that holds a byte; there is one. */
static size_t find_part(const joined_stream *j, uint64_t at)
{
    size_t low = 0, high = j->n;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (j->begin[middle] <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static nd_status joined_read(stream *s, uint64_t at, void *buffer, size_t n, size_t *got)
{
    const joined_stream *j = (joined_stream *)s;
    if (at >= j->begin[j->n]) return ND_OK;
    for (size_t i = find_part(j, at); i < j->n && *got < n; i++) {
        const uint64_t within = at + *got - j->begin[i], left = j->parts[i].n - within;
        const size_t step = left < n - *got ? (size_t)left : n - *got;
        TRY(ndi_stream_read(j->parts[i].in, j->parts[i].at + within, (char *)buffer + *got, step));
        *got += step;
    }
    return ND_OK;
}

static nd_status joined_size(stream *s, uint64_t *size)
{
    const joined_stream *j = (joined_stream *)s;
    *size = j->begin[j->n];
    return ND_OK;
}

static void joined_close(stream *s)
{
    joined_stream *j = (joined_stream *)s;
    ndi_free(j->parts);
    ndi_free(j->begin);
}

static const stream_kind joined_kind = { .read = joined_read, .size = joined_size, .close = joined_close };

static nd_status set_parts(joined_stream *j, const stream_part *parts, size_t n)
{
    TRY(NEW(j->parts, n));
    TRY(NEW(j->begin, n + 1));
    j->n = n;
    memcpy(j->parts, parts, n * sizeof *parts);
    for (size_t i = 0; i < n; i++)
        CHECK(!__builtin_add_overflow(j->begin[i], parts[i].n, &j->begin[i + 1]), ND_ERR_FORMAT, "%s: is too long", j->head.name);
    return ND_OK;
}

nd_status ndi_stream_open_joined(stream **s, const stream_part *parts, size_t n_parts, const char *name)
{
    bool concurrent = true;
    for (size_t i = 0; i < n_parts; i++) concurrent = concurrent && ndi_stream_concurrent(parts[i].in);
    TRY(ndi_stream_new(s, sizeof(joined_stream), &joined_kind, name, concurrent));
    nd_status status = set_parts((joined_stream *)*s, parts, n_parts);
    if (status == ND_OK) return ND_OK;
    ndi_stream_close(*s);
    *s = NULL;
    return status;
}
