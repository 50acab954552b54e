#include "recordings.h"

#include <stdio.h>
#include <string.h>

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
