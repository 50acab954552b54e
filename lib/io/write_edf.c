/* EDF+ with 16 bits and BDF+ with 24 bits per sample: one pass over the samples finds the range of each channel, a second one writes records of about a second,
 * each with the texts of its events. Volts are written as microvolts, teslas as femtoteslas. Types of channels other than eog, ecg and emg have no place
 * in it. The header is what fmt_edf.c reads. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/signals_write.h"

enum { FIELD = 8, LABEL = 16, BLOCK_SAMPLES = 4096, MAX_RECORD_SAMPLES = 1 << 24 };

/* One channel: value in the unit of the file = (number - digital minimum) x range / digital range + low. */
typedef struct lane {
    double factor, low, high; /* from SI; the range as it is printed */
    char low_text[FIELD + 1], high_text[FIELD + 1];
} lane;

typedef struct edf_out {
    out *o;
    const signals *s;
    bool wide; /* 24 bits */
    double least, most;
    size_t size;       /* bytes of a sample */
    size_t per_record; /* samples */
    char seconds[FIELD + 1];
    lane *lanes;
    size_t text_samples; /* of the texts in a record */
    uint8_t *record;
    uint64_t n_records, at; /* record in hand */
    size_t next_event;
} edf_out;

/* ---- ranges ---- */

/* Triggers are numbers, whatever unit they are said to have. */
static double factor_of(const channel *ch, const char **unit) { return ndi_unit_for_file(strcmp(ch->type, "stim") == 0 ? "" : ch->unit, unit); }

static nd_status find_range(void *context, size_t n, const double *values)
{
    edf_out *f = context;
    for (size_t c = 0; c < f->s->n_channels; c++, values += n) {
        lane *l = &f->lanes[c];
        for (size_t i = 0; i < n; i++) {
            const double x = values[i] * l->factor;
            CHECK(isfinite(x), ND_ERR_NUMERIC, "%s: channel '%s': got NaN or infinity, EDF has no number for it", ndi_out_name(f->o),
                  f->s->channels[c].name);
            l->low = fmin(l->low, x);
            l->high = fmax(l->high, x);
        }
    }
    return ND_OK;
}

/* A bound in eight characters, not inside of x: up for direction 1, down for -1. */
static bool print_bound(char s[FIELD + 1], double *x, double direction)
{
    for (int digits = 6; digits >= 0; digits--) {
        const double unit = pow(10, -digits), outside = direction * ceil(direction * *x / unit) * unit;
        char wide[400];
        ndi_format(wide, sizeof wide, "%.*f", digits, outside);
        double printed;
        if (strlen(wide) > FIELD || !ndi_parse_double(wide, wide + strlen(wide), &printed) || direction * (printed - *x) < 0) continue;
        memcpy(s, wide, strlen(wide) + 1);
        *x = printed;
        return true;
    }
    return false;
}

static nd_status settle_lane(const edf_out *f, const channel *ch, lane *l)
{
    const bool trigger = strcmp(ch->type, "stim") == 0;
    if (trigger)
        CHECK(l->low >= f->least && l->high <= f->most, ND_ERR_UNSUPPORTED, "%s: channel '%s': triggers from %g to %g do not fit into %zu bits",
              ndi_out_name(f->o), ch->name, l->low, l->high, 8 * f->size);
    if (trigger || l->low > l->high) {
        l->low = f->least;
        l->high = f->most;
    }
    if (l->low == l->high) l->high += 1;
    CHECK(print_bound(l->low_text, &l->low, -1) && print_bound(l->high_text, &l->high, 1), ND_ERR_UNSUPPORTED,
          "%s: channel '%s': values from %g to %g are too large for EDF", ndi_out_name(f->o), ch->name, l->low, l->high);
    return ND_OK;
}

static nd_status find_ranges(edf_out *f, progress *report)
{
    const char *unit;
    for (size_t c = 0; c < f->s->n_channels; c++)
        f->lanes[c] = (lane){ .factor = factor_of(&f->s->channels[c], &unit), .low = (double)INFINITY, .high = -(double)INFINITY };
    TRY(ndi_signals_each_block(f->s, 0, f->s->n_samples, BLOCK_SAMPLES, find_range, f, report));
    for (size_t c = 0; c < f->s->n_channels; c++) TRY(settle_lane(f, &f->s->channels[c], &f->lanes[c]));
    return ND_OK;
}

/* ---- records ---- */

/* Whether so many samples take a time that eight characters say exactly. */
static bool fits_time(edf_out *f, size_t samples)
{
    double seconds = 0;
    for (int digits = FIELD; digits > 0; digits--) {
        char s[32];
        ndi_format(s, sizeof s, "%.*g", digits, (double)samples / f->s->rate);
        if (strlen(s) > FIELD || strchr(s, 'e')) continue;
        ndi_parse_double(s, s + strlen(s), &seconds);
        memcpy(f->seconds, s, strlen(s) + 1);
        break;
    }
    return seconds > 0 && fabs((double)samples / seconds - f->s->rate) <= 1e-9 * f->s->rate;
}

/* About a second, and if possible a part of the whole, so that the last record is full. */
static nd_status choose_record(edf_out *f)
{
    const double rate = f->s->rate;
    CHECK(rate < MAX_RECORD_SAMPLES, ND_ERR_UNSUPPORTED, "%s: %g samples per second are too many for EDF", ndi_out_name(f->o), rate);
    const size_t second = rate < 1 ? 1 : (size_t)rint(rate);
    for (size_t n = second; n >= 1 && n >= second / 10; n--)
        if (f->s->n_samples % n == 0 && fits_time(f, n)) {
            f->per_record = n;
            return ND_OK;
        }
    for (size_t n = second; n <= 100 * second && n < MAX_RECORD_SAMPLES; n++)
        if (fits_time(f, n)) {
            f->per_record = n;
            ndi_log(ND_LOG_WARNING, "%s: the last record is filled up with the last sample", ndi_out_name(f->o));
            return ND_OK;
        }
    return ndi_fail(ND_ERR_UNSUPPORTED, "%s: EDF cannot say %.17g samples per second exactly; resample, or write FIF or BrainVision",
                    ndi_out_name(f->o), rate);
}

/* The texts of a record: when it begins, then onset, duration and text of each event in it. `next` goes on behind them. */
static void list_texts(const edf_out *f, uint64_t record, size_t *next, text *t)
{
    const double rate = f->s->rate;
    char digits[16];
    ndi_text_add(t, "+%.6f\x14\x14", (double)(record * f->per_record) / rate);
    ndi_text_add_bytes(t, "", 1);
    for (; *next < f->s->n_events && f->s->events[*next].sample < (record + 1) * f->per_record; ++*next) {
        const event *e = &f->s->events[*next];
        ndi_text_add(t, "+%.6f", (double)e->sample / rate);
        if (e->duration) ndi_text_add(t, "\x15%.6f", (double)e->duration / rate);
        ndi_text_add(t, "\x14");
        for (const char *s = ndi_event_text(e, digits); *s; s++) ndi_text_add_bytes(t, (unsigned char)*s < 0x20 ? " " : s, 1);
        ndi_text_add(t, "\x14");
        ndi_text_add_bytes(t, "", 1);
    }
}

static nd_status measure_texts(edf_out *f)
{
    size_t next = 0, most = 0;
    f->n_records = (f->s->n_samples + f->per_record - 1) / f->per_record;
    for (uint64_t r = 0; r < f->n_records; r++) {
        text t = { 0 };
        list_texts(f, r, &next, &t);
        nd_status status = ndi_text_status(&t);
        most = t.n > most ? t.n : most;
        ndi_text_free(&t);
        TRY(status);
    }
    f->text_samples = (most + f->size - 1) / f->size;
    return ND_OK;
}

static void put_number(const edf_out *f, uint8_t *to, double number)
{
    const uint32_t bits = (uint32_t)(int32_t)fmin(fmax(rint(number), f->least), f->most);
    for (size_t i = 0; i < f->size; i++) to[i] = (uint8_t)(bits >> 8 * i);
}

static nd_status put_record(void *context, size_t n, const double *values)
{
    edf_out *f = context;
    uint8_t *to = f->record;
    text t = { 0 };
    for (size_t c = 0; c < f->s->n_channels; c++, values += n) {
        const lane *l = &f->lanes[c];
        const double scale = (f->most - f->least) / (l->high - l->low);
        for (size_t i = 0; i < f->per_record; i++, to += f->size)
            put_number(f, to, (values[i < n ? i : n - 1] * l->factor - l->low) * scale + f->least);
    }
    memset(to, 0, f->text_samples * f->size);
    list_texts(f, f->at++, &f->next_event, &t);
    nd_status status = ndi_text_status(&t);
    if (status == ND_OK) memcpy(to, t.s, t.n);
    ndi_text_free(&t);
    if (status == ND_OK) status = ndi_out_write(f->o, f->record, (size_t)(to - f->record) + f->text_samples * f->size);
    return status;
}

/* ---- header ---- */

static void put_field(text *t, size_t width, const char *s)
{
    char field[81];
    ndi_format(field, sizeof field, "%-*.*s", (int)width, (int)width, s);
    for (size_t i = 0; i < width; i++)
        if (field[i] < 0x20 || field[i] > 0x7e) field[i] = '_';
    ndi_text_add_bytes(t, field, width);
}

static void put_count(text *t, size_t width, uint64_t value)
{
    char digits[24];
    ndi_format(digits, sizeof digits, "%llu", (unsigned long long)value);
    put_field(t, width, digits);
}

/* EDF+ writes the kind of signal before the name; here only where the name does not say it. */
static nd_status put_label(const edf_out *f, text *t, const channel *ch)
{
    static const char *const kinds[][2] = { { "eog", "EOG " }, { "ecg", "ECG " }, { "emg", "EMG " } };
    const char *said = ndi_channel_type_by_name(ch->name), *kind = "";
    char label[LABEL + 1];
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strcmp(ch->type, kinds[i][0]) == 0 && (!said || strcmp(said, ch->type) != 0)) kind = kinds[i][1];
    CHECK(strlen(kind) + strlen(ch->name) <= LABEL, ND_ERR_UNSUPPORTED, "%s: channel '%s%s': a name of %zu bytes, EDF has room for %d",
          ndi_out_name(f->o), kind, ch->name, strlen(kind) + strlen(ch->name), LABEL);
    ndi_format(label, sizeof label, "%s%s", kind, ch->name);
    put_field(t, LABEL, label);
    return ND_OK;
}

/* A column for each kind of field, the texts being the last signal. */
static nd_status list_signals(const edf_out *f, text *t)
{
    const size_t n = f->s->n_channels;
    const char *unit, *least = f->wide ? "-8388608" : "-32768", *most = f->wide ? "8388607" : "32767";
    for (size_t c = 0; c < n; c++) TRY(put_label(f, t, &f->s->channels[c]));
    put_field(t, LABEL, f->wide ? "BDF Annotations" : "EDF Annotations");
    for (size_t c = 0; c <= n; c++) put_field(t, 80, "");
    for (size_t c = 0; c <= n; c++) {
        if (c < n) factor_of(&f->s->channels[c], &unit);
        put_field(t, FIELD, c < n ? unit : "");
    }
    for (size_t c = 0; c <= n; c++) put_field(t, FIELD, c < n ? f->lanes[c].low_text : "-1");
    for (size_t c = 0; c <= n; c++) put_field(t, FIELD, c < n ? f->lanes[c].high_text : "1");
    for (size_t c = 0; c <= n; c++) put_field(t, FIELD, least);
    for (size_t c = 0; c <= n; c++) put_field(t, FIELD, most);
    for (size_t c = 0; c <= n; c++) put_field(t, 80, "");
    for (size_t c = 0; c <= n; c++) put_count(t, FIELD, c < n ? f->per_record : f->text_samples);
    for (size_t c = 0; c <= n; c++) put_field(t, 32, "");
    return ND_OK;
}

static nd_status put_header(const edf_out *f)
{
    text t = { 0 };
    if (f->wide)
        ndi_text_add_bytes(&t,
                           "\xff"
                           "BIOSEMI",
                           8);
    else
        put_field(&t, 8, "0");
    put_field(&t, 80, "X X X X");
    put_field(&t, 80, "Startdate X X X X");
    put_field(&t, 8, "01.01.85"); /* EDF+: the earliest date there is */
    put_field(&t, 8, "00.00.00");
    put_count(&t, 8, 256 * (f->s->n_channels + 2));
    put_field(&t, 44, f->wide ? "BDF+C" : "EDF+C");
    put_count(&t, 8, f->n_records);
    put_field(&t, 8, f->seconds);
    put_count(&t, 4, f->s->n_channels + 1);
    nd_status status = list_signals(f, &t);
    if (status == ND_OK) status = ndi_text_status(&t);
    if (status == ND_OK) status = ndi_out_write(f->o, t.s, t.n);
    ndi_text_free(&t);
    return status;
}

/* ---- the whole ---- */

static nd_status put_all(edf_out *f, progress *report)
{
    CHECK(f->s->n_channels < 9999, ND_ERR_UNSUPPORTED, "%s: %zu channels are too many for EDF", ndi_out_name(f->o), f->s->n_channels);
    TRY(NEW(f->lanes, f->s->n_channels));
    report->report.total *= 2; /* two passes */
    TRY(find_ranges(f, report));
    TRY(choose_record(f));
    TRY(measure_texts(f));
    TRY(NEW(f->record, (f->s->n_channels * f->per_record + f->text_samples) * f->size));
    TRY(put_header(f));
    return ndi_signals_each_block(f->s, 0, f->s->n_samples, f->per_record, put_record, f, report);
}

nd_status ndi_write_edf(const char *path, const signals *s, progress *report)
{
    const char *dot = strrchr(path, '.');
    const bool wide = dot && (dot[1] | 0x20) == 'b';
    edf_out f = { .s = s, .wide = wide, .size = wide ? 3 : 2, .least = wide ? -8388608 : -32768, .most = wide ? 8388607 : 32767 };
    TRY(ndi_out_open(&f.o, path));
    nd_status status = put_all(&f, report);
    ndi_free(f.lanes);
    ndi_free(f.record);
    if (status == ND_OK) return ndi_out_commit(&f.o);
    ndi_out_discard(&f.o);
    return status;
}
