#include "io/signals_write.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

static const signals_writer writers[] = {
    { "bdf", ndi_write_edf },
    { "edf", ndi_write_edf },
    { "fif", ndi_write_fif },
    { "vhdr", ndi_write_brainvision },
};

const signals_writer *ndi_signals_writer(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    for (size_t i = 0; dot && i < COUNT(writers); i++)
        if (strcasecmp(dot + 1, writers[i].extension) == 0) return &writers[i];
    return NULL;
}

static nd_status each_block(const signals *s, const size_t *all, double *values, uint64_t first, uint64_t stop, size_t most, ndi_use_block use,
                            void *context, progress *report)
{
    for (size_t n; first < stop; first += n) {
        n = stop - first < most ? (size_t)(stop - first) : most;
        TRY(ndi_signals_read(s, all, s->n_channels, first, n, values));
        TRY(use(context, n, values));
        TRY(ndi_progress_at(report, report->report.done + n));
    }
    return ND_OK;
}

nd_status ndi_signals_each_block(const signals *s, uint64_t first, uint64_t stop, size_t most, ndi_use_block use, void *context, progress *report)
{
    double *values = NULL;
    size_t *all, n;
    CHECK(ndi_mul(s->n_channels, most, &n), ND_ERR_MEMORY, "recording: blocks of %zu x %zu are too large", s->n_channels, most);
    TRY(NEW(all, s->n_channels));
    for (size_t c = 0; c < s->n_channels; c++) all[c] = c;
    nd_status status = NEW(values, n);
    if (status == ND_OK) status = each_block(s, all, values, first, stop, most, use, context, report);
    ndi_free(values);
    ndi_free(all);
    return status;
}

double ndi_unit_for_file(const char *unit, const char **name)
{
    static const struct {
        const char *si, *name;
        double factor;
    } known[] = { { "V", "uV", 1e6 }, { "T", "fT", 1e15 }, { "T/m", "fT/cm", 1e13 }, { "S", "uS", 1e6 } };
    *name = unit;
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(unit, known[i].si) != 0) continue;
        *name = known[i].name;
        return known[i].factor;
    }
    return 1;
}

const char *ndi_event_text(const event *e, char *digits)
{
    if (*e->text) return e->text;
    ndi_format(digits, 16, "%d", (int)e->code);
    return digits;
}

void ndi_put_i32(uint8_t *to, int32_t value, bool big_endian)
{
    const uint32_t bits = (uint32_t)value;
    for (size_t i = 0; i < 4; i++) to[i] = (uint8_t)(bits >> 8 * (big_endian ? 3 - i : i));
}

void ndi_put_f32(uint8_t *to, double value, bool big_endian)
{
    const float single = (float)value;
    int32_t bits;
    memcpy(&bits, &single, sizeof bits);
    ndi_put_i32(to, bits, big_endian);
}
