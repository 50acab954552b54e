/* A continuous recording inside a file: its channels, its events, and any stretch of any of its channels. */
#ifndef NDI_SIGNALS_H
#define NDI_SIGNALS_H

#include "io/content.h"

typedef struct channel {
    const char *name;
    const char *type; /* "eeg", "eog", "ecg", "emg", "mag", "grad", "ref_meg", "stim", "misc", ... */
    const char *unit; /* of value = number x scale + offset: "V", "T", "T/m", as the file has it, or "" = not known */
    double scale, offset;
    int32_t mask; /* for trigger channels: value = value & mask; 0 = all bits */
    bool bad;
} channel;

typedef struct event {
    uint64_t sample, duration; /* samples from the beginning of the recording */
    int32_t code;
    const char *text; /* "" = none */
} event;

typedef struct signals {
    size_t n_channels;
    channel *channels;
    uint64_t n_samples;
    double rate;
    event *events; /* in the order of their samples */
    size_t n_events;
    bool concurrent; /* may be read from several threads, in any order; otherwise forwards and from one */
    const void *reader;
    nd_status (*read)(const struct signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *numbers);
} signals;

/* Samples first .. first + count - 1 of the channels chosen, n_chosen x count, in the channels' units. The caller keeps within the recording. */
nd_status ndi_signals_read(const signals *s, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *values);

/* ---- for formats ---- */

/* Gives the content signals with room for the channels; scale 1, unit "", type "eeg". Concurrent if `in` is. */
nd_status ndi_content_add_signals(content *c, const stream *in, size_t n_channels, signals **s);

/* Room for one more event; events may come in any order and are sorted by ndi_signals_settle(). */
nd_status ndi_signals_add_event(signals *s, content *c, uint64_t sample, uint64_t duration, int32_t code, const char *text, size_t n);

/* Checks rate and sizes, tells channels of the same name apart ("A-0", "A-1"), drops events after the end and sorts the others. */
nd_status ndi_signals_settle(signals *s, content *c, const char *file);

/* Codes for events that have only a text: the number where all texts are whole numbers, else the place (from 1) in alphabetical order. */
nd_status ndi_signals_code_texts(signals *s);

/* "uV", "mV", "fT", ...: the SI unit and the factor to it; any other unit stays as it is. */
nd_status ndi_channel_unit(content *c, channel *ch, const char *unit, size_t n);

/* What a channel is called tells what it records: "eog", "ecg", "emg", "stim"; NULL if it does not. */
const char *ndi_channel_type_by_name(const char *name);

/* Numbers of one type at equal steps. */
typedef enum sample_type { SAMPLE_I16, SAMPLE_I24, SAMPLE_I32, SAMPLE_F32, SAMPLE_F64 } sample_type;

size_t ndi_sample_size(sample_type type);
void ndi_samples_decode(sample_type type, bool big_endian, const uint8_t *from, size_t step, size_t n, double *to);

/* Samples t of channel k at  at + (t x n_channels + k) x size: reads frames first .. first + count - 1 of the channels chosen into rows that are
 * `row` apart. */
typedef struct frames {
    stream *in;
    uint64_t at;
    sample_type type;
    bool big_endian;
    size_t n_channels;
} frames;

nd_status ndi_frames_read(const frames *f, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *to, size_t row);

/* The same from an array, row by row: each row is a sample of `width` columns, of which column skipped + k is channel k. */
nd_status ndi_columns_read(const array *a, size_t width, size_t skipped, const size_t *chosen, size_t n_chosen, uint64_t first, size_t count, double *to);

#endif
