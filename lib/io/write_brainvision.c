/* BrainVision Core Data Format 1: the header that is named, and beside it samples as float32 (.eeg) and markers (.vmrk). Volts are written as microvolts. Types
 * of channels have no place in it. */
#include <string.h>

#include "base/text.h"
#include "io/signals_write.h"

enum { BLOCK_SAMPLES = 1024 };

/* A name without its folder, and the same with another extension. */
typedef struct names {
    const char *folder_end; /* of the path */
    size_t n_stem;
} names;

static names split(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return (names){ name, dot ? (size_t)(dot - name) : strlen(name) };
}

/* Commas separate parts: in one they are written \1. Controls become blanks. */
static void add_part(text *t, const char *s)
{
    for (; *s; s++) {
        const char c = (unsigned char)*s < 0x20 ? ' ' : *s;
        c == ',' ? ndi_text_add_bytes(t, "\\1", 2) : ndi_text_add_bytes(t, &c, 1);
    }
}

static void add_header(text *t, const names *n, const signals *s)
{
    ndi_text_add(t, "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\nDataFile=%.*s.eeg\nMarkerFile=%.*s.vmrk\n",
                 (int)n->n_stem, n->folder_end, (int)n->n_stem, n->folder_end);
    ndi_text_add(t, "DataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=%zu\nSamplingInterval=%.17g\n\n", s->n_channels, 1e6 / s->rate);
    ndi_text_add(t, "[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n[Channel Infos]\n");
    for (size_t c = 0; c < s->n_channels; c++) {
        const char *unit = s->channels[c].unit;
        ndi_text_add(t, "Ch%zu=", c + 1);
        add_part(t, s->channels[c].name);
        ndi_text_add(t, ",,1,%s\n", strcmp(unit, "V") == 0 ? "\xc2\xb5V" : *unit ? unit : "n/a");
    }
}

/* "Stimulus/S  7" is a type and a description; a bare text is a comment, one of a bad span says so, a bare code is a stimulus. */
static void add_marker(text *t, const event *e)
{
    const char *slash = strchr(e->text, '/');
    if (!*e->text) {
        ndi_text_add(t, "Stimulus,S%3d", (int)e->code);
    } else if (slash && slash > e->text) {
        char type[64];
        ndi_format(type, sizeof type, "%.*s", (int)(slash - e->text), e->text);
        add_part(t, type);
        ndi_text_add(t, ",");
        add_part(t, slash + 1);
    } else {
        ndi_text_add(t, strncasecmp(e->text, "bad", 3) == 0 ? "Bad Interval," : "Comment,");
        add_part(t, e->text);
    }
}

static void add_markers(text *t, const names *n, const signals *s)
{
    ndi_text_add(t, "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\nDataFile=%.*s.eeg\n\n[Marker Infos]\n",
                 (int)n->n_stem, n->folder_end);
    ndi_text_add(t, "Mk1=New Segment,,1,1,0\n");
    for (size_t i = 0; i < s->n_events; i++) {
        const event *e = &s->events[i];
        ndi_text_add(t, "Mk%zu=", i + 2);
        add_marker(t, e);
        ndi_text_add(t, ",%llu,%llu,0\n", (unsigned long long)e->sample + 1, (unsigned long long)e->duration);
    }
}

typedef struct sink {
    out *o;
    const signals *s;
    uint8_t *bytes; /* of a block */
} sink;

static nd_status put_block(void *context, size_t n, const double *values)
{
    const sink *k = context;
    const size_t n_channels = k->s->n_channels;
    for (size_t c = 0; c < n_channels; c++) {
        const double factor = strcmp(k->s->channels[c].unit, "V") == 0 ? 1e6 : 1;
        for (size_t i = 0; i < n; i++) ndi_put_f32(k->bytes + 4 * (i * n_channels + c), values[c * n + i] * factor, false);
    }
    return ndi_out_write(k->o, k->bytes, 4 * n * n_channels);
}

static nd_status put_text(out *o, text *t)
{
    nd_status status = ndi_text_status(t);
    if (status == ND_OK) status = ndi_out_write(o, t->s, t->n);
    ndi_text_free(t);
    return status;
}

/* The file beside the header that ends in `extension`. */
static nd_status open_beside(out **o, const char *path, const names *n, const char *extension)
{
    text t = { 0 };
    ndi_text_add(&t, "%.*s.%s", (int)(n->folder_end - path + (ptrdiff_t)n->n_stem), path, extension);
    nd_status status = ndi_text_status(&t);
    if (status == ND_OK) status = ndi_out_open(o, t.s);
    ndi_text_free(&t);
    return status;
}

static nd_status put_all(out *const files[3], const names *n, const signals *s, progress *report)
{
    text header = { 0 }, markers = { 0 };
    sink k = { .o = files[0], .s = s };
    TRY(NEW(k.bytes, 4 * BLOCK_SAMPLES * s->n_channels));
    nd_status status = ndi_signals_each_block(s, 0, s->n_samples, BLOCK_SAMPLES, put_block, &k, report);
    ndi_free(k.bytes);
    TRY(status);
    add_markers(&markers, n, s);
    TRY(put_text(files[1], &markers));
    add_header(&header, n, s);
    return put_text(files[2], &header);
}

/* The header comes last: while it is not there, nobody reads the others. */
nd_status ndi_write_brainvision(const char *path, const signals *s, progress *report)
{
    out *files[3] = { NULL };
    const names n = split(path);
    nd_status status = open_beside(&files[0], path, &n, "eeg");
    if (status == ND_OK) status = open_beside(&files[1], path, &n, "vmrk");
    if (status == ND_OK) status = ndi_out_open(&files[2], path);
    if (status == ND_OK) status = put_all(files, &n, s, report);
    for (size_t i = 0; i < COUNT(files); i++) {
        if (status == ND_OK)
            status = ndi_out_commit(&files[i]);
        else
            ndi_out_discard(&files[i]);
    }
    return status;
}
