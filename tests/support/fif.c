#include "fif.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "temp.h"

/* ---- tags ---- */

typedef struct pen {
    uint8_t *at;
} pen;

static void put32(pen *p, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8) *p->at++ = (uint8_t)(v >> shift);
}

static void put_float(pen *p, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    put32(p, bits);
}

static void tag(pen *p, uint32_t kind, uint32_t type, uint32_t size)
{
    put32(p, kind);
    put32(p, type);
    put32(p, size);
    put32(p, 0);
}

static void tag_int(pen *p, uint32_t kind, uint32_t value)
{
    tag(p, kind, 3, 4);
    put32(p, value);
}

static void channel(pen *p, uint32_t number, uint32_t kind, uint32_t unit, float range, float calibration, const char *name)
{
    tag(p, 203, 30, 96);
    put32(p, number);
    put32(p, number);
    put32(p, kind);
    put_float(p, range);
    put_float(p, calibration);
    for (int i = 0; i < 13; i++) put32(p, 0);
    put32(p, unit);
    put32(p, 0);
    memset(p->at, 0, 16);
    memcpy(p->at, name, strlen(name));
    p->at += 16;
}

static void tag_float(pen *p, uint32_t kind, float value)
{
    tag(p, kind, 4, 4);
    put_float(p, value);
}

static void tag_text(pen *p, uint32_t kind, const char *s)
{
    const size_t n = strlen(s);
    tag(p, kind, 10, (uint32_t)n);
    memcpy(p->at, s, n);
    p->at += n;
}

static void file_id(pen *p)
{
    tag(p, 100, 31, 20);
    for (int i = 0; i < 5; i++) put32(p, 0);
}

/* ---- a recording ---- */

static float trigger(int k) { return k == 2 || k == 8 ? 5 : 0; }

size_t nd_test_fif(uint8_t bytes[ND_TEST_BYTES])
{
    pen p = { bytes };
    file_id(&p);
    tag_int(&p, 104, 100);
    tag_int(&p, 104, 101);
    tag_int(&p, 200, 2);
    tag_float(&p, 201, 100);
    channel(&p, 1, 2, 107, 2, 0.5e-6f, "A");
    channel(&p, 2, 3, 0, 1, 1, "STI 014");
    tag_int(&p, 105, 101);
    tag_int(&p, 104, 3810);
    tag_float(&p, 3568, 0.53f);
    tag_float(&p, 3569, 0.55f);
    tag_text(&p, 206, "x{COLON}y");
    tag_int(&p, 105, 3810);
    tag_int(&p, 104, 102);
    tag_int(&p, 208, 50);
    tag(&p, 300, 2, 24);
    for (int k = 0; k < 6; k++) put32(&p, (uint32_t)(uint16_t)(int16_t)(3 * k - 10) << 16 | (uint32_t)trigger(k));
    tag_int(&p, 301, 1);
    tag(&p, 300, 4, 48);
    for (int k = 6; k < 12; k++) {
        put_float(&p, (float)(3 * k - 10));
        put_float(&p, trigger(k));
    }
    tag_int(&p, 105, 102);
    tag_int(&p, 105, 100);
    return (size_t)(p.at - bytes);
}

/* ---- epochs and averages ---- */

static const float calibrations[ND_TEST_MEG_CHANNELS] = { 1, 0.25f, 1 };

int nd_test_meg_number(size_t trial, size_t channel, size_t sample) { return (int)((trial * 7 + channel * 31 + sample * 3) % 97) - 40; }

double nd_test_meg_value(size_t trial, size_t channel, size_t sample)
{
    return nd_test_meg_number(trial, channel, sample) * (double)calibrations[channel];
}

static void meg_info(pen *p)
{
    tag_int(p, 104, 100);
    tag_int(p, 104, 101);
    tag_int(p, 200, ND_TEST_MEG_CHANNELS);
    tag_float(p, 201, 200);
    channel(p, 1, 1, 112, 1, calibrations[0], "MLC11-1609");
    channel(p, 2, 1, 201, 1, calibrations[1], "MLC12-1609");
    channel(p, 3, 3, 107, 1, calibrations[2], "UPPT001");
    tag_int(p, 105, 101);
    tag_int(p, 104, 103);
}

static void put_double(pen *p, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    put32(p, (uint32_t)(bits >> 32));
    put32(p, (uint32_t)bits);
}

/* Imaginary parts are minus the real ones. */
static void put_number(pen *p, int type, int x)
{
    switch (type) {
    case ND_TEST_FIF_I16:
        *p->at++ = (uint8_t)((uint32_t)x >> 8);
        *p->at++ = (uint8_t)x;
        break;
    case ND_TEST_FIF_I32: put32(p, (uint32_t)x); break;
    case ND_TEST_FIF_C64:
        put_float(p, (float)x);
        put_float(p, (float)-x);
        break;
    case ND_TEST_FIF_C128:
        put_double(p, x);
        put_double(p, -x);
        break;
    case ND_TEST_FIF_F64: put_double(p, x); break;
    default: put_float(p, (float)x);
    }
}

static size_t number_size(int type)
{
    return type == ND_TEST_FIF_I16 ? 2 : type == ND_TEST_FIF_C128 ? 16 : type == ND_TEST_FIF_F64 || type == ND_TEST_FIF_C64 ? 8 : 4;
}

static void put_trial(pen *p, const nd_test_epochs *e, size_t trial)
{
    for (size_t c = 0; c < ND_TEST_MEG_CHANNELS; c++)
        for (size_t t = 0; t < e->n_samples; t++) put_number(p, e->type, nd_test_meg_number(trial, c, t));
}

static void put_events(pen *p, const nd_test_epochs *e, size_t begin, size_t end)
{
    tag_int(p, 104, 361);
    tag(p, 3561, 3, (uint32_t)(12 * (end - begin)));
    for (size_t i = begin; i < end; i++) {
        put32(p, (uint32_t)(100 * i));
        put32(p, 0);
        put32(p, (uint32_t)e->codes[i]);
    }
    if (e->event_id) tag_text(p, 206, e->event_id);
    tag_int(p, 105, 361);
}

static void put_metadata(pen *p, const nd_test_epochs *e, size_t begin, size_t end)
{
    if (!e->metadata) return;
    tag_int(p, 104, 3811);
    uint8_t *head = p->at;
    tag(p, 206, 10, 0);
    *p->at++ = '[';
    for (size_t i = begin; i < end; i++) {
        const char *row = e->metadata(i);
        if (i > begin) *p->at++ = ',';
        memcpy(p->at, row, strlen(row));
        p->at += strlen(row);
    }
    *p->at++ = ']';
    pen again = { head };
    tag(&again, 206, 10, (uint32_t)(p->at - head - 16));
    tag_int(p, 105, 3811);
}

static void put_matrix(pen *p, const nd_test_epochs *e, size_t begin, size_t end)
{
    tag(p, 302, (uint32_t)e->type | 1u << 30, (uint32_t)((end - begin) * ND_TEST_MEG_CHANNELS * e->n_samples * number_size(e->type) + 16));
    for (size_t i = begin; i < end; i++) put_trial(p, e, i);
    put32(p, (uint32_t)e->n_samples);
    put32(p, ND_TEST_MEG_CHANNELS);
    put32(p, (uint32_t)(end - begin));
    put32(p, 3);
}

static void put_epochs(pen *p, const nd_test_epochs *e, size_t begin, size_t end, const char *next)
{
    file_id(p);
    meg_info(p);
    tag_int(p, 104, 373);
    put_events(p, e, begin, end);
    put_metadata(p, e, begin, end);
    tag_int(p, 208, (uint32_t)e->first);
    tag_int(p, 209, (uint32_t)(e->first + (int)e->n_samples - 1));
    tag_float(p, 3568, -0.1f);
    tag_float(p, 3569, 0);
    put_matrix(p, e, begin, end);
    if (next) {
        tag_int(p, 104, 118);
        tag_int(p, 115, 2);
        tag_text(p, 118, next);
        tag_int(p, 105, 118);
    }
    tag_int(p, 105, 373);
    tag_int(p, 105, 103);
    tag_int(p, 105, 100);
}

static void name_part(char name[256], const char *first, size_t part)
{
    const char *dot = strstr(first, ".fif");
    if (part)
        snprintf(name, 256, "%.*s-%zu%s", (int)(dot - first), first, part, dot);
    else
        snprintf(name, 256, "%s", first);
}

void nd_test_write_epochs(const char *name, const nd_test_epochs *e)
{
    const size_t per_file = e->per_file ? e->per_file : e->n_trials;
    uint8_t *bytes = malloc(4096 + per_file * (ND_TEST_MEG_CHANNELS * e->n_samples * 16 + 512));
    for (size_t part = 0, begin = 0; begin < e->n_trials; part++, begin += per_file) {
        const size_t end = e->n_trials - begin < per_file ? e->n_trials : begin + per_file;
        char own[256], next[256];
        pen p = { bytes };
        name_part(own, name, part);
        name_part(next, name, part + 1);
        const char *base = strrchr(next, '/') ? strrchr(next, '/') + 1 : next;
        put_epochs(&p, e, begin, end, end < e->n_trials ? base : NULL);
        nd_test_write(nd_test_temp(own), bytes, (size_t)(p.at - bytes));
    }
    free(bytes);
}

/* One vector for each channel, as older programs write averages. */
static void put_vectors(pen *p, const nd_test_epochs *e, size_t trial)
{
    for (size_t c = 0; c < ND_TEST_MEG_CHANNELS; c++) {
        tag(p, 302, (uint32_t)e->type, (uint32_t)(e->n_samples * number_size(e->type)));
        for (size_t t = 0; t < e->n_samples; t++) put_number(p, e->type, nd_test_meg_number(trial, c, t));
    }
}

void nd_test_write_averages(const char *name, const nd_test_epochs *e, bool vectors)
{
    uint8_t *bytes = malloc(4096 + e->n_trials * (ND_TEST_MEG_CHANNELS * e->n_samples * 16 + 512));
    pen p = { bytes };
    file_id(&p);
    meg_info(&p);
    for (size_t i = 0; i < e->n_trials; i++) {
        char comment[16];
        snprintf(comment, sizeof comment, "condition %zu", i);
        tag_int(&p, 104, 104);
        tag_text(&p, 206, comment);
        tag_int(&p, 208, (uint32_t)e->first);
        tag_int(&p, 209, (uint32_t)(e->first + (int)e->n_samples - 1));
        tag_int(&p, 104, 105);
        tag_int(&p, 210, i == 1 ? 101 : 100);
        tag_int(&p, 207, (uint32_t)e->codes[i]);
        if (vectors)
            put_vectors(&p, e, i);
        else
            put_matrix(&p, e, i, i + 1);
        tag_int(&p, 105, 105);
        tag_int(&p, 105, 104);
    }
    tag_int(&p, 105, 103);
    tag_int(&p, 105, 100);
    nd_test_write(nd_test_temp(name), bytes, (size_t)(p.at - bytes));
    free(bytes);
}
