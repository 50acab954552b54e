#include "data/electrodes.h"

#include <math.h>
#include <string.h>

const char *const ndi_electrodes[NDI_N_ELECTRODES] = {
    "Fp1", "Fp2", "AF7", "AF3",  "AFz",  "AF4", "AF8", "F7", "F5", "F3", "F1", "F2", "F4", "F6",  "F8",  "FT9", "FT7", "FC5", "FC3", "FC1", "FCz",
    "FC2", "FC4", "FC6", "FT8",  "FT10", "T7",  "C5",  "C3", "C1", "Cz", "C2", "C4", "C6", "T8",  "TP9", "TP7", "CP5", "CP3", "CP1", "CPz", "CP2",
    "CP4", "CP6", "TP8", "TP10", "P7",   "P5",  "P3",  "P1", "Pz", "P2", "P4", "P6", "P8", "PO7", "PO3", "POz", "PO4", "PO8", "O1",  "Oz",  "O2",
};

/* A row of electrodes runs over the head from ear to ear. It is a straight line in the map of the head that keeps distance and direction from Cz:
 * from where it crosses the midline to where it meets the ring through Fpz, T7, Oz and T8, 72 degrees from Cz. */
typedef struct row {
    const char *letters;
    double midline; /* degrees from Cz to the front */
    double ring;    /* degrees from the nose along the ring */
    int ring_digit; /* number (on the left) of the electrode on the ring */
} row;

static const row rows[] = {
    { "Fp", 72, 18, 1 }, { "AF", 54, 36, 7 },   { "F", 36, 54, 7 },    { "FC", 18, 72, 7 },  { "FT", 18, 72, 7 },   { "C", 0, 90, 7 },
    { "T", 0, 90, 7 },   { "CP", -18, 108, 7 }, { "TP", -18, 108, 7 }, { "P", -36, 126, 7 }, { "PO", -54, 144, 7 }, { "O", -72, 162, 1 },
};

static const double RADIANS = 3.14159265358979323846 / 180;

static const row *find_row(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strlen(rows[i].letters) == n && strncmp(rows[i].letters, name, n) == 0) return &rows[i];
    return NULL;
}

/* Odd numbers are on the left, even ones on the right, both counted from the midline; "z" is on it. */
static bool parse_site(const char *site, int *number)
{
    if (strcmp(site, "z") == 0) {
        *number = 0;
    } else if (strcmp(site, "10") == 0) {
        *number = 10;
    } else if (site[0] >= '1' && site[0] <= '9' && site[1] == '\0') {
        *number = site[0] - '0';
    } else {
        return false;
    }
    return true;
}

bool ndi_electrode_position(const char *name, double xyz[3])
{
    size_t n = strcspn(name, "z0123456789");
    const row *r = find_row(name, n);
    int number;
    if (!r || !parse_site(name + n, &number)) return false;
    double out = number ? ((number + 1) / 2) / ((r->ring_digit + 1) / 2.0) : 0; /* 0 on the midline, 1 on the ring, above 1 below it */
    double side = number % 2 ? -1 : 1;
    double right = side * out * 72 * sin(r->ring * RADIANS), front = (1 - out) * r->midline + out * 72 * cos(r->ring * RADIANS);
    double from_cz = hypot(right, front), scale = from_cz > 0 ? sin(from_cz * RADIANS) / from_cz : 0;
    xyz[0] = right * scale;
    xyz[1] = front * scale;
    xyz[2] = cos(from_cz * RADIANS);
    return true;
}
