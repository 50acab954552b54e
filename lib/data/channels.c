/* Selection of channels by name or by region of the scalp.
 * A region is made of the letters in front of the number (or the z) of a 10-10 name (Oostenveld and Praamstra 2001), by the lobe or line the
 * letters stand for. The sets drawn in the NICE study differ: they count CP* as parietal and FC5, FC6, C5, C6 as temporal; name channels one by
 * one to get those. */
#include <string.h>

#include "base/text.h"
#include "data/regions.h"
#include "data/view.h"

static const struct region {
    const char *name, *letters[7];
} regions[] = {
    { "frontal", { "Fp", "AFp", "AF", "AFF", "F" } },        { "central", { "FC", "FFC", "FCC", "C", "CCP", "CP" } },
    { "temporal", { "FT", "FTT", "T", "TTP", "TP" } },       { "parietal", { "P", "CPP" } },
    { "occipital", { "PO", "PPO", "POO", "O", "OI", "I" } },
};

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

static bool same_letters(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lower(a[i]) != lower(b[i])) return false;
    return b[n] == '\0';
}

/* Length of the letters of a 10-10 name such as "FC5", "Cz", "TPP9h"; 0 if it is not one. */
static size_t letters_of(const char *name)
{
    size_t n = 0;
    while (lower(name[n]) >= 'a' && lower(name[n]) <= 'z') n++;
    if (name[n] == '\0') return n > 1 && lower(name[n - 1]) == 'z' ? n - 1 : 0;
    size_t end = n + strspn(name + n, "0123456789");
    if (name[end] == 'h') end++;
    return name[end] == '\0' && end - n <= 3 ? n : 0;
}

static const struct region *find_region(const char *word, size_t n)
{
    for (size_t i = 0; i < COUNT(regions); i++)
        if (strlen(regions[i].name) == n && memcmp(regions[i].name, word, n) == 0) return &regions[i];
    return NULL;
}

static bool in_region(const struct region *r, const char *channel)
{
    size_t n = letters_of(channel);
    for (size_t i = 0; n && i < COUNT(r->letters) && r->letters[i]; i++)
        if (same_letters(channel, r->letters[i], n)) return true;
    return false;
}

bool ndi_in_region(const char *word, size_t n, const char *channel)
{
    const struct region *r = find_region(word, n);
    return r && in_region(r, channel);
}

typedef struct choice {
    const nd_dataset *d;
    size_t *picked, n; /* channels of the view, each at most once */
    bool *taken;
    text missing;
} choice;

static void pick(choice *k, size_t channel)
{
    if (k->taken[channel]) return;
    k->taken[channel] = true;
    k->picked[k->n++] = channel;
}

/* Takes what one word means: a channel of that name, else a region. */
static void pick_word(choice *k, const char *word, size_t length)
{
    bool found = false;
    const struct region *r = find_region(word, length);
    for (size_t pass = 0; pass < 2 && !found; pass++) {
        for (size_t c = 0; c < k->d->n_channels; c++) {
            const char *name = ndi_dataset_channel(k->d, c);
            if (pass == 0 ? strncmp(name, word, length) == 0 && name[length] == '\0' : r && in_region(r, name)) {
                pick(k, c);
                found = true;
            }
        }
    }
    if (!found) ndi_text_add(&k->missing, "%s'%.*s'", k->missing.n ? ", " : "", (int)length, word);
}

/* Turns the choice into the places of one part's storage. */
static nd_status narrow(part *p, const choice *k)
{
    size_t *places;
    TRY(NEW(places, k->n));
    for (size_t i = 0; i < k->n; i++) places[i] = p->channels ? p->channels[k->picked[i]] : k->picked[i];
    ndi_free(p->channels);
    p->channels = places;
    return ND_OK;
}

nd_status ndi_dataset_select_channels(nd_dataset **out, const nd_dataset *source, const char *channels)
{
    nd_dataset *d = NULL;
    choice k = { .d = source };
    nd_status status;
    GO(NEW(k.picked, source->n_channels));
    GO(NEW(k.taken, source->n_channels));
    size_t length;
    for (const char *word; ndi_next_word(&channels, &word, &length);) pick_word(&k, word, length);
    GO(ndi_text_status(&k.missing));
    if (k.missing.n) GO(ndi_fail(ND_ERR_ARGUMENT, "channels: the dataset has no %s", k.missing.s));
    if (k.n == 0) GO(ndi_fail(ND_ERR_ARGUMENT, "channels: none named"));
    GO(ndi_dataset_derive(&d, source, NULL, 0));
    for (size_t i = 0; i < d->n_parts; i++) GO(narrow(&d->parts[i], &k));
    d->n_channels = k.n;
    *out = d;
    d = NULL;
done:
    ndi_dataset_free(d);
    ndi_free(k.picked);
    ndi_free(k.taken);
    ndi_text_free(&k.missing);
    return status;
}
