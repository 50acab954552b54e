/* What views share: the samples of trials with their labels, in memory or in a mapped file. Immutable once a dataset holds it. */
#ifndef NDI_STORAGE_H
#define NDI_STORAGE_H

#include <stdatomic.h>

#include "base/ids.h"
#include "io/content.h"

typedef struct storage {
    atomic_size_t refs;
    content *file;     /* the file that `data` is mapped from, or NULL */
    float *owned;      /* `data` in memory, or NULL */
    const float *data; /* trials x channels x samples; NULL where they are mapped in 16 bits: */
    const uint16_t *brief;
    size_t n_trials, n_channels, n_samples;
    double rate, start;
    int32_t normalise, averaged; /* how the samples as they stand came about */
    ids channels, images;
    uint32_t *image; /* per trial: index into images */
    int32_t *subject, *repetition, *session, *run;
} storage;

/* Labels only; rate 1, start 0. */
nd_status ndi_storage_create(storage **s, size_t n_trials, size_t n_channels, size_t n_samples);
nd_status ndi_storage_alloc(storage *s); /* room for the samples, in `owned` and `data` */
storage *ndi_storage_ref(storage *s);
void ndi_storage_free(storage *s); /* drops one reference */

/* Names the channels: by an array of n_names, by a list separated by blanks or commas, or "0", "1", ... Names must be distinct and as many as
 * channels. */
nd_status ndi_storage_name_channels(storage *s, const char *const *names, size_t n_names);
nd_status ndi_storage_list_channels(storage *s, const char *list);
nd_status ndi_storage_number_channels(storage *s);

/* Numbers the pairs (subject, image) from 0 in order of first appearance. */
nd_status ndi_number_pairs(const int32_t *subject, const uint32_t *image, size_t n, uint32_t *pair_of, size_t *n_pairs);

#define NDI_NO_GROUP UINT32_MAX

/* Trials sorted by group: group g has (*members)[(*begin)[g]] .. (*members)[(*begin)[g + 1] - 1], in rising order; those of NDI_NO_GROUP are left out.
 * The caller frees both, also after a failure. */
nd_status ndi_sort_by_group(const uint32_t *group_of, size_t n, size_t n_groups, size_t **members, size_t **begin);

/* Sets `repetition` by counting the trials of each (subject, image). */
nd_status ndi_count_repetitions(const int32_t *subject, const uint32_t *image, size_t n, int32_t *repetition);
nd_status ndi_storage_count_repetitions(storage *s);

/* Adds an id that must be UTF-8 and not empty; `what` names it in the message. */
nd_status ndi_add_id(ids *set, const char *id, const char *what, size_t *index);
nd_status ndi_add_text(ids *set, const char *s, size_t n, const char *what, size_t *index); /* the same for n bytes */
nd_status ndi_add_number(ids *set, size_t number, size_t *index);                           /* the id is the number in decimals */

/* The one-line description of a sample that is not finite. */
nd_status ndi_not_finite(const char *where, size_t trial, const char *image, int32_t repetition, const char *channel);

#endif
