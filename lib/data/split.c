/* Groups of trials and random splits that keep a group on one side. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "data/view.h"

static nd_status group_numbers(const nd_dataset *d, int32_t (*number_of)(const nd_dataset *, size_t), size_t *group_of, size_t *n_groups)
{
    ids seen = { 0 };
    nd_status status = ND_OK;
    for (size_t i = 0; i < d->n_trials; i++) {
        char key[16];
        int n = snprintf(key, sizeof key, "%d", (int)number_of(d, i));
        GO(ndi_ids_add(&seen, key, (size_t)n, &group_of[i]));
    }
    *n_groups = seen.n;
done:
    ndi_ids_free(&seen);
    return status;
}

nd_status ndi_dataset_groups(const nd_dataset *d, const char *group, size_t *group_of, size_t *n_groups)
{
    if (strcmp(group, "subject") == 0) return group_numbers(d, ndi_dataset_subject_of, group_of, n_groups);
    if (strcmp(group, "repetition") == 0) return group_numbers(d, ndi_dataset_repetition_of, group_of, n_groups);
    bool image = strcmp(group, "image") == 0, concept = strcmp(group, "concept") == 0;
    CHECK(image || concept || strcmp(group, "trial") == 0, ND_ERR_ARGUMENT, "group: got '%s', expected trial, image, concept, subject or repetition",
          group);
    for (size_t i = 0; i < d->n_trials; i++) group_of[i] = image ? d->image[i] : concept ? ndi_dataset_concept_of(d, i) : i;
    *n_groups = image ? d->images.n : concept ? d->concepts.n : d->n_trials;
    return ND_OK;
}

/* Marks the groups of the second side: the first of a random order. */
static nd_status draw(bool *second, size_t n_groups, double fraction, uint64_t seed)
{
    size_t *order;
    TRY(NEW(order, n_groups));
    ndi_permutation(order, n_groups, seed, NDI_RANDOM_SPLIT, 0);
    double wanted = floor(fraction * (double)n_groups + 0.5);
    size_t n = wanted < 1 ? 1 : wanted > (double)(n_groups - 1) ? n_groups - 1 : (size_t)wanted;
    for (size_t i = 0; i < n; i++) second[order[i]] = true;
    ndi_free(order);
    return ND_OK;
}

nd_status ndi_dataset_split(nd_dataset **first, nd_dataset **second, const nd_dataset *source, double fraction, const char *group, uint64_t seed)
{
    CHECK(fraction > 0 && fraction < 1, ND_ERR_ARGUMENT, "split: fraction %g, expected between 0 and 1", fraction);
    size_t *group_of = NULL, *trials = NULL, n_groups, n = source->n_trials, front = 0, back = n;
    bool *is_second = NULL;
    nd_dataset *rest = NULL, *held_out = NULL;
    nd_status status;
    GO(NEW(group_of, n));
    GO(NEW(trials, n));
    GO(ndi_dataset_groups(source, group, group_of, &n_groups));
    if (n_groups < 2) GO(ndi_fail(ND_ERR_ARGUMENT, "split by %s: the dataset has only one, expected at least two", group));
    GO(NEW(is_second, n_groups));
    GO(draw(is_second, n_groups, fraction, seed));
    for (size_t i = 0; i < n; i++)
        if (!is_second[group_of[i]]) trials[front++] = i;
    for (size_t i = n; i-- > 0;)
        if (is_second[group_of[i]]) trials[--back] = i;
    GO(ndi_dataset_derive(&rest, source, trials, front));
    GO(ndi_dataset_derive(&held_out, source, trials + back, n - back));
    *first = rest;
    *second = held_out;
    rest = NULL;
done:
    ndi_dataset_free(rest);
    ndi_free(group_of);
    ndi_free(trials);
    ndi_free(is_second);
    return status;
}
