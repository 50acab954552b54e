/* What FIF files call the kinds and units of channels. */
#include <string.h>

#include "io/fif_info.h"

enum { MEG = 1 };

/* The first is what unknown ones are taken for. */
static const fif_kind_of_channel kinds[] = {
    { "misc", 502, 0 }, { "mag", MEG, 3024 }, { "grad", MEG, 3012 }, { "ref_meg", 301, 3024 }, { "eeg", 2, 1 },    { "stim", 3, 0 },
    { "mcg", 201, 0 },  { "eog", 202, 0 },    { "emg", 302, 0 },     { "ecg", 402, 0 },        { "resp", 602, 0 }, { "seeg", 802, 1 },
    { "dbs", 803, 1 },  { "syst", 900, 0 },   { "ecog", 902, 1 },    { "exci", 920, 0 },
};

enum { TESLA = 112, TESLA_PER_METRE = 201 };
static const struct {
    const char *name;
    int32_t unit;
} units[] = { { "V", 107 }, { "T", TESLA }, { "T/m", TESLA_PER_METRE } };

const fif_kind_of_channel *ndi_fif_kind_of(const char *type)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strcmp(kinds[i].type, type) == 0) return &kinds[i];
    return &kinds[0];
}

const char *ndi_fif_type_of(int32_t kind, int32_t unit)
{
    if (kind == MEG) return unit == TESLA_PER_METRE ? "grad" : "mag";
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (kinds[i].kind == kind) return kinds[i].type;
    return kinds[0].type;
}

int32_t ndi_fif_unit_of(const char *name)
{
    for (size_t i = 0; i < COUNT(units); i++)
        if (strcmp(units[i].name, name) == 0) return units[i].unit;
    return -1;
}

const char *ndi_fif_unit_name(int32_t unit)
{
    for (size_t i = 0; i < COUNT(units); i++)
        if (units[i].unit == unit) return units[i].name;
    return "";
}
