#include "io/signals.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/text.h"

enum { BLOCK_BYTES = 1 << 18 };

nd_status ndi_signals_read(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *values)
{
    if (count == 0 || n_chosen == 0) return ND_OK;
    TRY(s->read(s, chosen, n_chosen, first, count, values));
    for (size_t k = 0; k < n_chosen; k++, values += count) {
        const channel *c = &s->channels[chosen[k]];
        for (size_t i = 0; (c->scale != 1 || c->offset != 0) && i < count; i++) values[i] = values[i] * c->scale + c->offset;
        for (size_t i = 0; c->mask && i < count; i++) values[i] = fabs(values[i]) <= (double)INT32_MAX ? (double)((int32_t)values[i] & c->mask) : 0;
    }
    return ND_OK;
}

/* ---- numbers ---- */

size_t ndi_sample_size(sample_type type)
{
    static const size_t sizes[] = { [SAMPLE_I16] = 2, [SAMPLE_I24] = 3, [SAMPLE_I32] = 4, [SAMPLE_F32] = 4, [SAMPLE_F64] = 8 };
    return sizes[type];
}

/* The n least bytes of a number, n = 2, 3, 4 or 8, as an unsigned integer. */
static inline uint64_t load(const uint8_t *p, size_t n, bool big_endian)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) bits = bits << 8 | p[big_endian ? i : n - 1 - i];
    return bits;
}

static inline double number(sample_type type, bool big_endian, const uint8_t *p)
{
    float single;
    double wide;
    uint32_t bits;
    uint64_t all;
    switch (type) {
    case SAMPLE_I16: return (int16_t)load(p, 2, big_endian);
    case SAMPLE_I24: return (int32_t)((uint32_t)load(p, 3, big_endian) << 8) / 256;
    case SAMPLE_I32: return (int32_t)load(p, 4, big_endian);
    case SAMPLE_F32:
        bits = (uint32_t)load(p, 4, big_endian);
        memcpy(&single, &bits, sizeof single);
        return (double)single;
    case SAMPLE_F64:
        all = load(p, 8, big_endian);
        memcpy(&wide, &all, sizeof wide);
        return wide;
    }
    return 0;
}

/* One loop for each type and order, so that the switch is outside of it. */
void ndi_samples_decode(sample_type type, bool big_endian, const uint8_t *from, size_t step, size_t n, double *to)
{
#define DECODE(kind, order) \
    if (type == (kind) && big_endian == (order)) \
        for (size_t i = 0; i < n; i++, from += step) to[i] = number(kind, order, from);
    DECODE(SAMPLE_I16, false)
    else DECODE(SAMPLE_I16, true) else DECODE(SAMPLE_I24, false) else DECODE(SAMPLE_I24, true) else DECODE(SAMPLE_I32, false) else DECODE(
        SAMPLE_I32, true) else DECODE(SAMPLE_F32, false) else DECODE(SAMPLE_F32, true) else DECODE(SAMPLE_F64, false) else DECODE(SAMPLE_F64, true)
#undef DECODE
}

nd_status ndi_frames_read(const frames *f, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *to, size_t row)
{
    const size_t size = ndi_sample_size(f->type), frame = f->n_channels * size;
    size_t most = BLOCK_BYTES / frame;
    if (most < 1) most = 1;
    if (most > count) most = count;
    uint8_t *block;
    TRY(NEW(block, most * frame));
    nd_status status = ND_OK;
    for (size_t done = 0, n; done < count && status == ND_OK; done += n) {
        n = count - done < most ? count - done : most;
        status = ndi_stream_read(f->in, f->at + (first + done) * frame, block, n * frame);
        for (size_t k = 0; k < n_chosen && status == ND_OK; k++)
            ndi_samples_decode(f->type, f->big_endian, block + chosen[k] * size, frame, n, to + k * row + done);
    }
    ndi_free(block);
    return status;
}

nd_status ndi_columns_read(const array *a, size_t width, size_t skipped, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count,
                           double *to)
{
    const size_t fits = BLOCK_BYTES / sizeof(double) / width, most = fits < 1 ? 1 : fits > count ? count : fits;
    double *slice;
    TRY(NEW(slice, most * width));
    nd_status status = ND_OK;
    for (size_t done = 0, n; done < count && status == ND_OK; done += n) {
        n = count - done < most ? count - done : most;
        status = ndi_array_read_f64(a, ((size_t)first + done) * width, n * width, slice);
        for (size_t k = 0; k < n_chosen && status == ND_OK; k++)
            for (size_t i = 0; i < n; i++) to[k * count + done + i] = slice[i * width + chosen[k] + skipped];
    }
    ndi_free(slice);
    return status;
}

/* ---- channels ---- */

nd_status ndi_content_add_signals(content *c, const stream *in, size_t n_channels, signals **s)
{
    size_t bytes;
    signals *made = ndi_arena_alloc(&c->memory, sizeof *made);
    channel *channels = ndi_mul(n_channels, sizeof *channels, &bytes) ? ndi_arena_alloc(&c->memory, bytes) : NULL;
    CHECK(made && channels, ND_ERR_MEMORY, "%s: out of memory for %zu channels", ndi_stream_name(in), n_channels);
    for (size_t i = 0; i < n_channels; i++) channels[i] = (channel){ .name = "", .type = "eeg", .unit = "", .scale = 1 };
    *made = (signals){ .n_channels = n_channels, .channels = channels, .concurrent = ndi_stream_concurrent(in) };
    c->signals = *s = made;
    return ND_OK;
}

nd_status ndi_channel_unit(content *c, channel *ch, const char *unit, size_t n)
{
    static const struct {
        const char *unit, *si;
        double scale;
    } known[] = {
        { "V", "V", 1 },        { "mV", "V", 1e-3 },       { "uV", "V", 1e-6 }, { "\xc2\xb5V", "V", 1e-6 }, { "\xce\xbcV", "V", 1e-6 },
        { "\xb5V", "V", 1e-6 }, { "nV", "V", 1e-9 },       { "T", "T", 1 },     { "pT", "T", 1e-12 },       { "fT", "T", 1e-15 },
        { "T/m", "T/m", 1 },    { "fT/cm", "T/m", 1e-13 }, { "uS", "S", 1e-6 }, { "\xc2\xb5S", "S", 1e-6 }, { "n/a", "", 1 },
    };
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strlen(known[i].unit) != n || memcmp(known[i].unit, unit, n) != 0) continue;
        ch->unit = known[i].si;
        ch->scale *= known[i].scale;
        ch->offset *= known[i].scale;
        return ND_OK;
    }
    return ndi_content_text(c, unit, n, &ch->unit);
}

static bool begins(const char *name, const char *with)
{
    for (; *with; name++, with++)
        if ((*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name) != *with) return false;
    return true;
}

const char *ndi_channel_type_by_name(const char *name)
{
    static const char *const known[][2] = {
        { "EOG", "eog" },   { "HEOG", "eog" },    { "VEOG", "eog" },     { "ECG", "ecg" },   { "EKG", "ecg" },
        { "EMG", "emg" },   { "STATUS", "stim" }, { "TRIGGER", "stim" }, { "STIM", "stim" }, { "STI ", "stim" },
        { "STI0", "stim" }, { "STI1", "stim" },   { "MARKER", "stim" },
    };
    for (size_t i = 0; i < COUNT(known); i++)
        if (begins(name, known[i][0])) return known[i][1];
    return NULL;
}

/* ---- events ---- */

nd_status ndi_signals_add_event(signals *s, content *c, uint64_t sample, uint64_t duration, int32_t code, const char *words, size_t n)
{
    if ((s->n_events & (s->n_events - 1)) == 0) { /* full at every power of two */
        const size_t capacity = s->n_events ? 2 * s->n_events : 1;
        event *more = ndi_arena_alloc(&c->memory, capacity * sizeof *more);
        CHECK(more, ND_ERR_MEMORY, "out of memory for %zu events", capacity);
        if (s->n_events) memcpy(more, s->events, s->n_events * sizeof *more);
        s->events = more;
    }
    event *e = &s->events[s->n_events];
    *e = (event){ .sample = sample, .duration = duration, .code = code };
    TRY(ndi_content_text(c, words, n, &e->text));
    s->n_events++;
    return ND_OK;
}

/* By sample, then by text and code, so that the order does not depend on the sort. */
static int compare_events(const void *a, const void *b)
{
    const event *x = a, *y = b;
    if (x->sample != y->sample) return x->sample < y->sample ? -1 : 1;
    const int by_text = strcmp(x->text, y->text);
    return by_text ? by_text : (x->code > y->code) - (x->code < y->code);
}

/* Every channel whose name stands more than once gets its place among them. */
static nd_status name_apart(signals *s, content *c)
{
    ids names = { 0 };
    size_t *count = NULL, *which = NULL, index;
    nd_status status = NEW(count, 2 * s->n_channels);
    if (status == ND_OK) status = NEW(which, s->n_channels);
    for (size_t i = 0; i < s->n_channels && status == ND_OK; i++) {
        status = ndi_ids_add(&names, s->channels[i].name, strlen(s->channels[i].name), &index);
        if (status == ND_OK) count[which[i] = index]++;
    }
    size_t *seen = count ? count + s->n_channels : NULL;
    for (size_t i = 0; i < s->n_channels && status == ND_OK; i++) {
        char name[256];
        if (count[which[i]] < 2) continue;
        ndi_format(name, sizeof name, "%s-%zu", s->channels[i].name, seen[which[i]]++);
        status = ndi_content_text(c, name, strlen(name), &s->channels[i].name);
    }
    ndi_free(count);
    ndi_free(which);
    ndi_ids_free(&names);
    return status;
}

nd_status ndi_signals_settle(signals *s, content *c, const char *file)
{
    TRY(name_apart(s, c));
    CHECK(isfinite(s->rate) && s->rate > 0, ND_ERR_FORMAT, "%s: got %g samples per second, expected more than 0", file, s->rate);
    CHECK(s->n_channels > 0 && s->n_samples > 0, ND_ERR_FORMAT, "%s: holds %zu channels x %llu samples, expected at least one of each", file,
          s->n_channels, (unsigned long long)s->n_samples);
    size_t n = 0;
    for (size_t i = 0; i < s->n_events; i++) {
        if (s->events[i].sample >= s->n_samples) continue;
        s->events[n] = s->events[i];
        if (s->events[n].duration > s->n_samples - s->events[n].sample) s->events[n].duration = s->n_samples - s->events[n].sample;
        n++;
    }
    s->n_events = n;
    if (n > 1) qsort(s->events, n, sizeof *s->events, compare_events);
    return ND_OK;
}

static bool whole_number(const char *s, int32_t *code)
{
    double x;
    if (!ndi_parse_double(s, s + strlen(s), &x) || x != floor(x) || fabs(x) > INT32_MAX) return false;
    *code = (int32_t)x;
    return true;
}

static int compare_texts(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

nd_status ndi_signals_code_texts(signals *s)
{
    bool numbers = true;
    const char **sorted;
    for (size_t i = 0; i < s->n_events; i++) numbers = whole_number(s->events[i].text, &s->events[i].code) && numbers;
    if (numbers) return ND_OK;
    TRY(NEW(sorted, s->n_events));
    for (size_t i = 0; i < s->n_events; i++) sorted[i] = s->events[i].text;
    qsort(sorted, s->n_events, sizeof *sorted, compare_texts);
    size_t n = 0;
    for (size_t i = 0; i < s->n_events; i++)
        if (n == 0 || strcmp(sorted[n - 1], sorted[i]) != 0) sorted[n++] = sorted[i];
    for (size_t i = 0; i < s->n_events; i++) {
        const char **place = bsearch(&s->events[i].text, sorted, n, sizeof *sorted, compare_texts);
        s->events[i].code = (int32_t)(place - sorted) + 1;
    }
    ndi_free(sorted);
    return ND_OK;
}
