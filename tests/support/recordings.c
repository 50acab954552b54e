#include "recordings.h"

#include <stdio.h>
#include <string.h>

/* ---- EDF ---- */

static char *field(char *at, size_t width, const char *text)
{
    memset(at, ' ', width);
    memcpy(at, text, strlen(text));
    return at + width;
}

static char *row(char *at, size_t width, const char *a, const char *b, const char *c)
{
    return field(field(field(at, width, a), width, b), width, c);
}

static uint8_t *numbers(uint8_t *at, int first, int n)
{
    for (int k = first; k < first + n; k++) {
        const int16_t x = (int16_t)(7 * k - 50);
        *at++ = (uint8_t)x;
        *at++ = (uint8_t)((uint16_t)x >> 8);
    }
    return at;
}

size_t nd_test_edf(uint8_t bytes[ND_TEST_BYTES])
{
    static const char *const lists[] = { ("+0\x14\x14\0+0.25\x15"
                                          "0.5\x14"
                                          "a\x14"),
                                         "+0.5\x14\x14",
                                         ("+1\x14\x14\0+1\x14"
                                          "b: c\x14") };
    static const size_t lengths[] = { 18, 6, 14 };
    char *at = (char *)bytes;
    memset(bytes, 0, ND_TEST_BYTES);
    at = field(field(field(at, 8, "0"), 80, "X X X X"), 80, "Startdate X X X X");
    at = field(field(field(field(at, 8, "01.01.20"), 8, "10.00.00"), 8, "1024"), 44, "EDF+C");
    at = field(field(field(at, 8, "3"), 8, "0.5"), 4, "3");
    at = row(at, 16, "EEG Cz", "Slow", "EDF Annotations");
    at = row(at, 80, "", "", "");
    at = row(at, 8, "uV", "mV", "");
    at = row(at, 8, "-3276.8", "0", "-1");
    at = row(at, 8, "3276.7", "65535", "1");
    at = row(at, 8, "-32768", "-32768", "-32768");
    at = row(at, 8, "32767", "32767", "32767");
    at = row(at, 80, "HP: 0.1Hz LP:75Hz N:50Hz", "", "");
    at = row(at, 8, "10", "5", "10");
    at = row(at, 32, "", "", "");
    uint8_t *to = (uint8_t *)at;
    for (int r = 0; r < 3; r++) {
        to = numbers(numbers(to, 10 * r, 10), 5 * r, 5);
        memcpy(to, lists[r], lengths[r]);
        to += 20;
    }
    return (size_t)(to - bytes);
}

/* ---- FIF ---- */

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

static float trigger(int k) { return k == 2 || k == 8 ? 5 : 0; }

size_t nd_test_fif(uint8_t bytes[ND_TEST_BYTES])
{
    static const char text[] = "x{COLON}y";
    pen p = { bytes };
    tag(&p, 100, 31, 20);
    for (int i = 0; i < 5; i++) put32(&p, 0);
    tag_int(&p, 104, 100);
    tag_int(&p, 104, 101);
    tag_int(&p, 200, 2);
    tag(&p, 201, 4, 4);
    put_float(&p, 100);
    channel(&p, 1, 2, 107, 2, 0.5e-6f, "A");
    channel(&p, 2, 3, 0, 1, 1, "STI 014");
    tag_int(&p, 105, 101);
    tag_int(&p, 104, 3810);
    tag(&p, 3568, 4, 4);
    put_float(&p, 0.53f);
    tag(&p, 3569, 4, 4);
    put_float(&p, 0.55f);
    tag(&p, 206, 10, sizeof text - 1);
    memcpy(p.at, text, sizeof text - 1);
    p.at += sizeof text - 1;
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
