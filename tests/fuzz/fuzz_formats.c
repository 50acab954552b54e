/* Any bytes as a file: opening succeeds or fails cleanly, and what it promises can be read. Built once as it is and once per format with
 * -DFORMAT="npz" and so on, which is the extension that the file is said to have. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "io/format.h"
#include "io/signals.h"
#include "io/stream_kind.h"
#include "target.h"

#ifndef FORMAT
#define FORMAT ""
#endif

enum { MOST = 1 << 16, PIECE = 7 };

const char *fuzz_extension = FORMAT;

static void insist(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "%s: %s\n", what, nd_last_error());
    abort();
}

/* Integers of 64 bits are rounded once on one way and twice on the other. */
static int agree(double x, float y) { return isnan(x) ? isnan(y) : (float)x == y || fabs(x - (double)y) <= 1e-7 * fabs(x); }

/* In one go as doubles and piece by piece as floats: both work or neither, and they agree. */
static void read_array(const array *a)
{
    static double whole[MOST];
    static float pieces[MOST];
    const size_t n = a->n < MOST ? a->n : MOST;
    nd_status wide = ndi_array_read_f64(a, 0, n, whole), narrow = ND_OK;
    for (size_t at = 0; at < n && narrow == ND_OK; at += PIECE) {
        narrow = ndi_array_read_f32(a, at, n - at < PIECE ? n - at : PIECE, pieces + at);
        if (at > 64 * PIECE && !ndi_stream_concurrent(a->in)) return; /* every step back unpacks from the start: enough is enough */
    }
    insist(n == 0 || wide == narrow || !ndi_stream_concurrent(a->in), a->name);
    for (size_t i = 0; i < n && wide == ND_OK && narrow == ND_OK; i++) insist(agree(whole[i], pieces[i]), "float32 and float64 differ");
    (void)ndi_array_map(a, DTYPE_F32);
}

static void check_text(const char *s)
{
    utf8proc_int32_t point;
    for (utf8proc_ssize_t step; *s; s += step) {
        step = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &point);
        insist(step > 0, "text is not UTF-8");
    }
}

/* The beginning of every channel, and the end of them all. */
static void read_signals(const signals *s)
{
    static double x[PIECE * 64];
    const size_t n = s->n_samples < PIECE ? (size_t)s->n_samples : PIECE, channels = s->n_channels < 64 ? s->n_channels : 64;
    size_t chosen[64];
    insist(s->rate > 0 && s->n_channels > 0 && s->n_samples > 0, "a recording of nothing");
    for (size_t k = 0; k < channels; k++) {
        chosen[k] = k;
        check_text(s->channels[k].name);
        check_text(s->channels[k].unit);
        (void)ndi_signals_read(s, &k, 1, 0, n, x);
    }
    (void)ndi_signals_read(s, chosen, channels, s->n_samples - n, n, x);
    for (size_t i = 0; i < s->n_events; i++) {
        insist(s->events[i].sample < s->n_samples && s->events[i].duration <= s->n_samples - s->events[i].sample, "an event outside");
        check_text(s->events[i].text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    stream *s;
    content *c;
    if (ndi_stream_open_memory(&s, bytes, n, "input") != ND_OK) return 0;
    if (n > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b && ndi_stream_open_gzip(&s, s, true, "input") != ND_OK) return 0; /* as for a file */
    if (ndi_content_open_stream(&c, s, fuzz_extension) != ND_OK) {
        insist(strlen(nd_last_error()) > 0, "failure without a message");
        return 0;
    }
    for (size_t i = 0; i < c->n_arrays; i++) {
        check_text(c->arrays[i].name);
        read_array(&c->arrays[i]);
    }
    for (size_t i = 0; i < c->n_texts; i++) {
        check_text(c->texts[i].name);
        for (size_t k = 0; k < c->texts[i].n; k++) check_text(c->texts[i].items[k]);
    }
    if (c->signals) read_signals(c->signals);
    ndi_content_free(c);
    return 0;
}
