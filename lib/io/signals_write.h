/* Writing continuous recordings: one file per format, one row in the table. */
#ifndef NDI_SIGNALS_WRITE_H
#define NDI_SIGNALS_WRITE_H

#include "base/log.h"
#include "io/out.h"
#include "io/signals.h"

typedef struct signals_writer {
    const char *extension;
    nd_status (*write)(const char *path, const signals *s, progress *report); /* whole or not at all; progress in samples */
} signals_writer;

/* The row for a name of a file; NULL if there is none. */
const signals_writer *ndi_signals_writer(const char *path);
nd_status ndi_write_edf(const char *path, const signals *s, progress *report); /* .edf: 16 bits, .bdf: 24 bits */
nd_status ndi_write_brainvision(const char *path, const signals *s, progress *report);
nd_status ndi_write_fif(const char *path, const signals *s, progress *report);
nd_status ndi_write_fif_parts(const char *path, const signals *s, uint64_t most_bytes, progress *report); /* of samples in one file */

/* ---- for formats ---- */

/* Samples first .. stop - 1 of all channels, `most` at a time at most: `use` gets values of n_channels x n; progress goes on by n. */
typedef nd_status (*ndi_use_block)(void *context, size_t n, const double *values);
nd_status ndi_signals_each_block(const signals *s, uint64_t first, uint64_t stop, size_t most, ndi_use_block use, void *context, progress *report);

/* How much of a unit that formats know there is in one SI unit: "V" -> "uV", 1e6; "T" -> "fT", 1e15; others stay. */
double ndi_unit_for_file(const char *unit, const char **name);

/* What an event says: its text, or its code in decimals. `digits` has room for 16 characters. */
const char *ndi_event_text(const event *e, char *digits);

/* Bytes of numbers in either order. */
void ndi_put_f32(uint8_t *to, double value, bool big_endian);
void ndi_put_i32(uint8_t *to, int32_t value, bool big_endian);

#endif
