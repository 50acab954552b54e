/* Groups of trials and random splits that keep a group on one side. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "data/view.h"

typedef void (*key_fn)(const trial_label *l, char *key, size_t capacity);

static void subject_key(const trial_label *l, char *key, size_t capacity) { snprintf(key, capacity, "%d", (int)l->subject); }
static void repetition_key(const trial_label *l, char *key, size_t capacity) { snprintf(key, capacity, "%d", (int)l->repetition); }
static void session_key(const trial_label *l, char *key, size_t capacity) { snprintf(key, capacity, "%d %d", (int)l->subject, (int)l->session); }
static void run_key(const trial_label *l, char *key, size_t capacity)
{
    snprintf(key, capacity, "%d %d %d", (int)l->subject, (int)l->session, (int)l->run);
}

static const struct {
    const char *name;
    key_fn make;
} keys[] = { { "subject", subject_key }, { "repetition", repetition_key }, { "session", session_key }, { "run", run_key } };

static nd_status group_by_key(const nd_dataset *d, key_fn make, size_t *group_of, size_t *n_groups)
{
    ids seen = { 0 };
    nd_status status = ND_OK;
    for (size_t i = 0; i < d->n_trials; i++) {
        char key[48];
        make(&d->labels[i], key, sizeof key);
        GO(ndi_ids_add(&seen, key, strlen(key), &group_of[i]));
    }
    *n_groups = seen.n;
done:
    ndi_ids_free(&seen);
    return status;
}

nd_status ndi_dataset_groups(const nd_dataset *d, const char *group, size_t *group_of, size_t *n_groups)
{
    for (size_t i = 0; i < COUNT(keys); i++)
        if (strcmp(group, keys[i].name) == 0) return group_by_key(d, keys[i].make, group_of, n_groups);
    bool image = strcmp(group, "image") == 0, concept = strcmp(group, "concept") == 0;
    CHECK(image || concept || strcmp(group, "trial") == 0, ND_ERR_ARGUMENT,
          "group: got '%s', expected trial, image, concept, subject, session, run or repetition", group);
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
