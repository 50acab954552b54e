#include "io/fif_info.h"

#include <math.h>
#include <string.h>

#include "base/bytes.h"

nd_status ndi_fif_make_room(content *c, void *list, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity) return ND_OK;
    const size_t more = *capacity ? 2 * *capacity : 64;
    void *bigger = ndi_arena_alloc(&c->memory, more * size), *old;
    CHECK(bigger, ND_ERR_MEMORY, "out of memory for %zu entries", more);
    memcpy(&old, list, sizeof old);
    if (n) memcpy(bigger, old, n * size);
    memcpy(list, &bigger, sizeof bigger);
    *capacity = more;
    return ND_OK;
}

/* scan number, number, kind, range, calibration, coil, 12 numbers of its place, unit, power of ten, name of 16 bytes. */
static nd_status add_channel(fif_info *info, content *c, const fif_cursor *at, const fif_tag *tag)
{
    char bytes[FIF_CHANNEL_BYTES];
    CHECK(tag->n >= sizeof bytes, ND_ERR_FORMAT, "%s: channel %zu takes %zu bytes, expected %zu", ndi_stream_name(at->in), info->n_channels, tag->n,
          sizeof bytes);
    TRY(ndi_stream_read(at->in, tag->at, bytes, sizeof bytes));
    TRY(ndi_fif_make_room(c, &info->channels, info->n_channels, &info->capacity, sizeof *info->channels));
    const int32_t unit = ndi_fif_i32(bytes + 72);
    const double range = (double)ndi_fif_f32(bytes + 12), calibration = (double)ndi_fif_f32(bytes + 16);
    channel *ch = &info->channels[info->n_channels].is;
    *ch = (channel){ .type = ndi_fif_type_of(ndi_fif_i32(bytes + 8), unit), .unit = ndi_fif_unit_name(unit), .scale = range * calibration };
    info->channels[info->n_channels].calibration = calibration;
    TRY(ndi_content_text(c, bytes + 80, strnlen(bytes + 80, 16), &ch->name));
    CHECK(isfinite(ch->scale), ND_ERR_FORMAT, "%s: channel '%s' has no finite calibration", ndi_stream_name(at->in), ch->name);
    info->n_channels++;
    return ND_OK;
}

/* Names longer than 15 bytes follow in blocks of their own, one for each channel. */
static nd_status name_channel(fif_info *info, content *c, const fif_cursor *at, const fif_tag *tag)
{
    char *name;
    if (info->n_named >= info->n_channels) return ND_OK;
    TRY(ndi_fif_bytes(at, tag, &name));
    nd_status status = ndi_content_text(c, name, tag->n, &info->channels[info->n_named++].is.name);
    ndi_free(name);
    return status;
}

nd_status ndi_fif_date(const fif_cursor *at, const fif_tag *tag, double *date)
{
    uint8_t bytes[8];
    if (tag->n < sizeof bytes) return ND_OK;
    TRY(ndi_stream_read(at->in, tag->at, bytes, sizeof bytes));
    const uint64_t bits = ndi_be64(bytes);
    if (tag->type == FIF_DOUBLE)
        memcpy(date, &bits, sizeof bits);
    else
        *date = ndi_fif_i32(bytes) + 1e-6 * ndi_fif_i32(bytes + 4);
    return ND_OK;
}

/* Of a filter; worth telling, but no reason to refuse a file. */
static nd_status read_edge(const fif_cursor *at, const fif_tag *tag, double *edge)
{
    return tag->type == FIF_FLOAT && tag->n >= 4 ? ndi_fif_float(at, tag, edge) : ND_OK;
}

nd_status ndi_fif_info_read(fif_info *info, content *c, const fif_cursor *at, const fif_tag *tag)
{
    if (ndi_fif_inside(at, FIF_BLOCK_CHANNEL)) return tag->kind == FIF_CHANNEL_NAME ? name_channel(info, c, at, tag) : ND_OK;
    if (!ndi_fif_inside(at, FIF_BLOCK_MEAS_INFO)) return ND_OK;
    switch (tag->kind) {
    case FIF_RATE: return ndi_fif_float(at, tag, &info->rate);
    case FIF_HIGHPASS: return read_edge(at, tag, &info->highpass);
    case FIF_LOWPASS: return read_edge(at, tag, &info->lowpass);
    case FIF_CHANNEL: return add_channel(info, c, at, tag);
    case FIF_MEAS_DATE: return ndi_fif_date(at, tag, &info->date);
    default: return ND_OK;
    }
}
