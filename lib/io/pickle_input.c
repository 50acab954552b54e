#include "io/pickle_input.h"

#include <string.h>

#include "base/bytes.h"

nd_status ndi_pickle_bad(const pickle_input *in, const char *what)
{
    return ndi_fail(ND_ERR_FORMAT, "%s: pickle: %s, at byte %llu", ndi_stream_name(in->s), what, (unsigned long long)in->at);
}

nd_status ndi_pickle_take(pickle_input *in, void *bytes, size_t n)
{
    if (n > in->size - in->at) return ndi_pickle_bad(in, "ends too early");
    if (n > NDI_PICKLE_BUFFER) {
        TRY(ndi_stream_read(in->s, in->at, bytes, n));
        in->at += n;
        return ND_OK;
    }
    if (in->at < in->buffer_at || in->at + n > in->buffer_at + in->buffer_n) {
        size_t want = in->size - in->at < NDI_PICKLE_BUFFER ? (size_t)(in->size - in->at) : NDI_PICKLE_BUFFER;
        in->buffer_n = 0;
        TRY(ndi_stream_read(in->s, in->at, in->buffer, want));
        in->buffer_at = in->at;
        in->buffer_n = want;
    }
    memcpy(bytes, in->buffer + (in->at - in->buffer_at), n);
    in->at += n;
    return ND_OK;
}

nd_status ndi_pickle_take_length(pickle_input *in, int width, size_t *n)
{
    uint8_t bytes[8] = { 0 };
    TRY(ndi_pickle_take(in, bytes, (size_t)width));
    uint64_t length = ndi_le64(bytes);
    if (length > in->size - in->at || length > SIZE_MAX / 4) return ndi_pickle_bad(in, "a length reaches past the end of the file");
    *n = (size_t)length;
    return ND_OK;
}

nd_status ndi_pickle_take_line(pickle_input *in, char line[NDI_PICKLE_LINE], size_t *n)
{
    for (*n = 0; *n < NDI_PICKLE_LINE; (*n)++) {
        TRY(ndi_pickle_take(in, line + *n, 1));
        if (line[*n] == '\n') {
            line[*n] = '\0';
            return ND_OK;
        }
    }
    return ndi_pickle_bad(in, "a line is too long");
}
