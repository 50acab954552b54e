/* Channels of a recording by name, type, region or regular expression, and re-referencing. */
#include <regex.h>
#include <string.h>

#include "base/text.h"
#include "data/recording.h"
#include "data/regions.h"

typedef struct choice {
    const nd_recording *r;
    size_t *picked, n;
    bool *taken;
} choice;

static void pick(choice *k, size_t c)
{
    if (!k->taken[c]) k->picked[k->n++] = c;
    k->taken[c] = true;
}

static bool same(const char *s, const char *word, size_t n) { return strncmp(s, word, n) == 0 && s[n] == '\0'; }

/* All channels of that name, or else of that type, or else of that region. */
static bool pick_word(choice *k, const char *word, size_t n)
{
    bool found = false;
    for (size_t pass = 0; pass < 3 && !found; pass++)
        for (size_t c = 0; c < k->r->n_channels; c++) {
            const channel *ch = ndi_recording_channel(k->r, c);
            if (pass == 0 ? !same(ch->name, word, n) : pass == 1 ? !same(ch->type, word, n) : !ndi_in_region(word, n, ch->name)) continue;
            pick(k, c);
            found = true;
        }
    return found;
}

/* The text between two slashes. */
static nd_status pick_pattern(choice *k, const char *pattern, size_t n, bool *found)
{
    char whole[256], why[128];
    regex_t compiled;
    CHECK(n < sizeof whole, ND_ERR_ARGUMENT, "channels: a regular expression of %zu bytes, expected at most %zu", n, sizeof whole - 1);
    memcpy(whole, pattern, n);
    whole[n] = '\0';
    const int failed = regcomp(&compiled, whole, REG_EXTENDED | REG_NOSUB);
    if (failed) {
        regerror(failed, &compiled, why, sizeof why);
        return ndi_fail(ND_ERR_ARGUMENT, "channels: /%s/: %s", whole, why);
    }
    for (size_t c = 0; c < k->r->n_channels; c++) {
        if (regexec(&compiled, ndi_recording_channel(k->r, c)->name, 0, NULL, 0) != 0) continue;
        pick(k, c);
        *found = true;
    }
    regfree(&compiled);
    return ND_OK;
}

/* The next item: between slashes, up to a comma, or up to a blank if there is no comma in the whole list. */
static const char *next_item(const char **list, bool commas, size_t *n)
{
    while (**list == ' ' || **list == ',') ++*list;
    const char *item = *list, *stop = *item == '/' ? strchr(item + 1, '/') : NULL;
    *n = stop ? (size_t)(stop - item) + 1 : strcspn(item, commas ? "," : " ");
    *list += *n;
    while (*n && item[*n - 1] == ' ') --*n;
    return item;
}

static nd_status pick_all(choice *k, const char *list)
{
    const bool commas = strchr(list, ',') != NULL;
    size_t n;
    if (pick_word(k, list, strlen(list))) return ND_OK; /* a single name may hold blanks and commas */
    for (const char *item; item = next_item(&list, commas, &n), n;) {
        bool found = false;
        if (n > 2 && item[0] == '/' && item[n - 1] == '/')
            TRY(pick_pattern(k, item + 1, n - 2, &found));
        else
            found = pick_word(k, item, n);
        CHECK(found, ND_ERR_ARGUMENT, "channels: '%.*s' is no channel, type or region of the recording", (int)n, item);
    }
    CHECK(k->n, ND_ERR_ARGUMENT, "channels: got an empty list");
    return ND_OK;
}

nd_status ndi_recording_pick(const nd_recording *r, const char *list, size_t *picked, size_t *n)
{
    choice k = { .r = r, .picked = picked };
    TRY(NEW(k.taken, r->n_channels));
    nd_status status = pick_all(&k, list);
    ndi_free(k.taken);
    *n = k.n;
    return status;
}

nd_status ndi_recording_select_channels(nd_recording **out, const nd_recording *from, const char *channels)
{
    nd_recording *r;
    size_t *picked, n;
    TRY(ndi_recording_derive(&r, from));
    nd_status status = NEW(picked, from->n_channels);
    if (status == ND_OK) status = ndi_recording_pick(from, channels, picked, &n);
    if (status != ND_OK) {
        ndi_recording_free(r);
        r = NULL;
    }
    for (size_t i = 0; r && i < n; i++) r->channels[i] = from->channels[picked[i]];
    if (r) r->n_channels = n;
    ndi_free(picked);
    if (r) *out = r;
    return status;
}

/* ---- reference ---- */

typedef struct referencing {
    const nd_recording *r;
    const size_t *reference;
    size_t n_reference;
    double *mean; /* of a block */
} referencing;

/* x_c(t) -= mean over the reference channels of x(t), for every channel of type eeg. */
static void subtract_mean(void *context, double *block, size_t n)
{
    const referencing *k = context;
    memset(k->mean, 0, n * sizeof *k->mean);
    for (size_t c = 0; c < k->n_reference; c++)
        for (size_t i = 0; i < n; i++) k->mean[i] += block[k->reference[c] * n + i];
    for (size_t i = 0; i < n; i++) k->mean[i] /= (double)k->n_reference;
    for (size_t c = 0; c < k->r->n_channels; c++)
        if (strcmp(ndi_recording_channel(k->r, c)->type, "eeg") == 0)
            for (size_t i = 0; i < n; i++) block[c * n + i] -= k->mean[i];
}

static nd_status rereference(nd_recording **out, const nd_recording *from, const size_t *reference, size_t n)
{
    origin *s;
    referencing k = { .r = from, .reference = reference, .n_reference = n };
    TRY(NEW(k.mean, NDI_BLOCK_SAMPLES));
    nd_status status = ndi_recording_copy_samples(&s, from, subtract_mean, &k, NULL);
    ndi_free(k.mean);
    return status == ND_OK ? ndi_recording_replace(out, from, s) : status;
}

nd_status ndi_recording_rereference(nd_recording **out, const nd_recording *from, const char *reference)
{
    size_t *picked, n;
    TRY(NEW(picked, from->n_channels));
    nd_status status = ndi_recording_pick(from, strcmp(reference, "average") == 0 ? "eeg" : reference, picked, &n);
    if (status == ND_OK) status = rereference(out, from, picked, n);
    ndi_free(picked);
    return ndi_prefix(status, "reference");
}
