/* Selection of trials by what was seen. */
#include <string.h>

#include "base/text.h"
#include "data/view.h"

static bool is_word(const char *s, const char *word, size_t n) { return strncmp(s, word, n) == 0 && s[n] == '\0'; }

nd_status ndi_dataset_find_labels(const nd_dataset *d, const char *list, const char *where, bool *found)
{
    const char *word;
    size_t n;
    memset(found, false, d->n_trials * sizeof *found);
    CHECK(ndi_count_words(list) > 0, ND_ERR_ARGUMENT, "%s: no label named", where);
    while (ndi_next_word(&list, &word, &n)) {
        bool any = false;
        for (size_t i = 0; i < d->n_trials; i++) {
            const char *image = d->images.items[d->image[i]], *concept = d->concepts.items[d->concept[d->image[i]]];
            const bool is = is_word(image, word, n) || is_word(concept, word, n);
            found[i] = found[i] || is;
            any = any || is;
        }
        CHECK(any, ND_ERR_ARGUMENT, "%s: no trial has the label '%.*s', the first one has '%s'", where, (int)n, word, d->images.items[d->image[0]]);
    }
    return ND_OK;
}

nd_status ndi_dataset_select_labels(nd_dataset **d, const nd_dataset *source, const char *keep, const char *drop)
{
    bool *kept = NULL, *dropped = NULL;
    size_t *trials = NULL, n = 0;
    nd_status status;
    GO(NEW(kept, source->n_trials));
    GO(NEW(dropped, source->n_trials));
    GO(NEW(trials, source->n_trials));
    if (keep) GO(ndi_dataset_find_labels(source, keep, "keep", kept));
    if (drop) GO(ndi_dataset_find_labels(source, drop, "drop", dropped));
    for (size_t i = 0; i < source->n_trials; i++)
        if ((!keep || kept[i]) && !dropped[i]) trials[n++] = i;
    if (n == 0) GO(ndi_fail(ND_ERR_ARGUMENT, "labels: none of %zu trials is left", source->n_trials));
    GO(ndi_dataset_derive(d, source, trials, n));
done:
    ndi_free(kept);
    ndi_free(dropped);
    ndi_free(trials);
    return status;
}
