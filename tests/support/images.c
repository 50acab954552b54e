#include "images.h"

#include <string.h>

enum { X = 2, Y = 3, Z = 4 };

typedef struct writer {
    uint8_t *bytes;
    bool big_endian, wide; /* wide: NIfTI-2 */
} writer;

static void put_bits(const writer *w, size_t at, uint64_t bits, size_t size)
{
    for (size_t i = 0; i < size; i++) w->bytes[at + (w->big_endian ? size - 1 - i : i)] = (uint8_t)(bits >> 8 * i);
}

static void put_real(const writer *w, size_t at, double x, size_t size)
{
    uint64_t bits;
    uint32_t low;
    const float single = (float)x;
    memcpy(&bits, &x, 8);
    memcpy(&low, &single, 4);
    put_bits(w, at, size == 8 ? bits : low, size);
}

/* A number of the header, in the place of the version. */
static void put_field(const writer *w, size_t at_1, size_t at_2, double x) { put_real(w, w->wide ? at_2 : at_1, x, w->wide ? 8 : 4); }

static size_t size_of(int code)
{
    switch (code) {
    case 2:
    case 256: return 1;
    case 4:
    case 512: return 2;
    case 8:
    case 16:
    case 768: return 4;
    default: return 8;
    }
}

static void put_header(const writer *w, const nd_test_image *i, size_t n_volumes, size_t start)
{
    static const double pixels[] = { -1, X, Y, Z, 1.5 };
    const size_t dims[] = { 4, X, Y, Z, n_volumes };
    const char *magic = w->wide ? (i->pair ? "ni2\0\r\n\032\n" : "n+2\0\r\n\032\n") : i->pair ? "ni1" : "n+1";
    put_bits(w, 0, w->wide ? 540 : 348, 4);
    memcpy(w->bytes + (w->wide ? 4 : 344), magic, w->wide ? 8 : 4);
    for (size_t k = 0; k < 5; k++) {
        put_bits(w, w->wide ? 16 + 8 * k : 40 + 2 * k, dims[k], w->wide ? 8 : 2);
        put_field(w, 76 + 4 * k, 104 + 8 * k, pixels[k]);
    }
    put_bits(w, w->wide ? 12 : 70, (uint64_t)i->code, 2);
    put_bits(w, w->wide ? 500 : 123, 2 | 8, 1 + 3 * w->wide);
    if (w->wide)
        put_bits(w, 168, start, 8);
    else
        put_real(w, 108, (double)start, 4);
    put_field(w, 112, 176, i->slope);
    put_field(w, 116, 184, i->intercept);
    put_bits(w, w->wide ? 344 : 252, (uint64_t)i->qform, 2 + 2 * w->wide);
    put_bits(w, w->wide ? 348 : 254, (uint64_t)i->sform, 2 + 2 * w->wide);
    put_field(w, 260, 360, 1); /* quaternion (0, 0, 1, 0) */
    for (size_t k = 0; k < 3; k++) put_field(w, 268 + 4 * k, 376 + 8 * k, 10 * (double)(k + 1));
    for (size_t k = 0; k < 12; k++) put_field(w, 280 + 4 * k, 400 + 8 * k, (double)(k + 1));
}

size_t nd_test_image_bytes(const nd_test_image *i, uint8_t bytes[ND_TEST_IMAGE_BYTES])
{
    const writer w = { bytes, i->big_endian, i->version == 2 };
    const size_t n_volumes = i->n_volumes ? i->n_volumes : 2, header = w.wide ? 540 : 348, start = header + (i->pair ? 0 : 4),
                 size = size_of(i->code);
    memset(bytes, 0, ND_TEST_IMAGE_BYTES);
    put_header(&w, i, n_volumes, i->pair ? 0 : start);
    for (size_t k = 0; k < X * Y * Z * n_volumes; k++) {
        const double x = i->value ? i->value(k % (X * Y * Z), k / (X * Y * Z)) : (double)k;
        if (i->code == 16 || i->code == 64)
            put_real(&w, start + k * size, x, size);
        else
            put_bits(&w, start + k * size, (uint64_t)(int64_t)x, size);
    }
    return start + X * Y * Z * n_volumes * size;
}
