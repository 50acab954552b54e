#include "io/fif.h"

#include <string.h>

#include "base/mem.h"

enum { TAG_BYTES = 16, MAX_BACK = 64 };

float ndi_fif_f32(const void *p)
{
    float value;
    const int32_t bits = ndi_fif_i32(p);
    memcpy(&value, &bits, sizeof value);
    return value;
}

nd_status ndi_fif_start(fif_cursor *c, stream *in)
{
    *c = (fif_cursor){ .in = in };
    return ndi_stream_size(in, &c->size);
}

bool ndi_fif_inside(const fif_cursor *c, int32_t block) { return c->depth > 0 && c->blocks[c->depth - 1] == block; }

int32_t ndi_fif_outer(const fif_cursor *c) { return c->depth > 1 ? c->blocks[c->depth - 2] : 0; }

static nd_status follow_blocks(fif_cursor *c, const fif_tag *tag)
{
    int32_t block;
    if (tag->kind == FIF_BLOCK_START) {
        TRY(ndi_fif_int(c, tag, &block));
        CHECK(c->depth < FIF_MAX_DEPTH, ND_ERR_FORMAT, "%s: blocks are nested more than %d deep", ndi_stream_name(c->in), FIF_MAX_DEPTH);
        c->blocks[c->depth++] = block;
    }
    if (tag->kind == FIF_BLOCK_END && c->depth > 0) c->depth--;
    return ND_OK;
}

nd_status ndi_fif_next(fif_cursor *c, fif_tag *tag)
{
    uint8_t head[TAG_BYTES];
    const uint64_t at = c->next;
    c->end = c->end || at == c->size;
    if (c->end) return ND_OK;
    TRY(ndi_stream_read(c->in, at, head, sizeof head));
    const int32_t size = ndi_fif_i32(head + 8), next = ndi_fif_i32(head + 12);
    *tag = (fif_tag){ ndi_fif_i32(head), ndi_fif_i32(head + 4), at + TAG_BYTES, (size_t)(size < 0 ? 0 : size) };
    CHECK(size >= 0 && tag->n <= c->size - tag->at, ND_ERR_FORMAT,
          "%s: the tag of kind %d at byte %llu is said to take %d bytes, the file ends at %llu", ndi_stream_name(c->in), (int)tag->kind,
          (unsigned long long)at, (int)size, (unsigned long long)c->size);
    c->next = next > 0 ? (uint64_t)next : tag->at + tag->n;
    c->n_back += c->next <= at; /* files that were edited lead back a few times; one that leads back for ever goes in circles */
    CHECK(c->n_back <= MAX_BACK && c->next <= c->size, ND_ERR_FORMAT, "%s: the tag at byte %llu is followed by one at byte %llu",
          ndi_stream_name(c->in), (unsigned long long)at, (unsigned long long)c->next);
    if (next < 0) c->next = c->size;
    return follow_blocks(c, tag);
}

static nd_status get(const fif_cursor *c, const fif_tag *tag, int32_t type, uint8_t bytes[4])
{
    CHECK(tag->n >= 4 && (tag->type == type || type == FIF_VOID), ND_ERR_FORMAT,
          "%s: the tag of kind %d has %zu bytes of type %d, expected a number of type %d", ndi_stream_name(c->in), (int)tag->kind, tag->n,
          (int)tag->type, (int)type);
    return ndi_stream_read(c->in, tag->at, bytes, 4);
}

nd_status ndi_fif_int(const fif_cursor *c, const fif_tag *tag, int32_t *value)
{
    uint8_t bytes[4];
    TRY(get(c, tag, FIF_INT32, bytes));
    *value = ndi_fif_i32(bytes);
    return ND_OK;
}

nd_status ndi_fif_float(const fif_cursor *c, const fif_tag *tag, double *value)
{
    uint8_t bytes[4];
    TRY(get(c, tag, FIF_FLOAT, bytes));
    *value = (double)ndi_fif_f32(bytes);
    return ND_OK;
}

nd_status ndi_fif_bytes(const fif_cursor *c, const fif_tag *tag, char **bytes)
{
    TRY(NEW(*bytes, tag->n + 1));
    nd_status status = ndi_stream_read(c->in, tag->at, *bytes, tag->n);
    if (status == ND_OK) return ND_OK;
    ndi_free(*bytes);
    *bytes = NULL;
    return status;
}
