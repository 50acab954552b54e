#include "data/storage.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"

nd_status ndi_storage_create(storage **out, size_t n_trials, size_t n_channels, size_t n_samples)
{
    CHECK(n_trials > 0 && n_channels > 0 && n_samples > 0, ND_ERR_ARGUMENT,
          "dataset: got %zu trials x %zu channels x %zu samples, expected at least one of each", n_trials, n_channels, n_samples);
    size_t per_trial, all;
    CHECK(n_trials < UINT32_MAX && ndi_mul(n_channels, n_samples, &per_trial) && ndi_mul(per_trial, n_trials, &all) &&
              all <= SIZE_MAX / sizeof(double),
          ND_ERR_ARGUMENT, "dataset: %zu trials x %zu channels x %zu samples are too many", n_trials, n_channels, n_samples);
    storage *s;
    TRY(NEW(s, 1));
    *s = (storage){ .n_trials = n_trials, .n_channels = n_channels, .n_samples = n_samples, .rate = 1, .averaged = 1 };
    atomic_init(&s->refs, 1);
    nd_status status;
    GO(NEW(s->image, n_trials));
    GO(NEW(s->subject, n_trials));
    GO(NEW(s->repetition, n_trials));
    GO(NEW(s->session, n_trials));
    GO(NEW(s->run, n_trials));
    *out = s;
    s = NULL;
done:
    ndi_storage_free(s);
    return status;
}

nd_status ndi_storage_alloc(storage *s)
{
    TRY(NEW(s->owned, s->n_trials * s->n_channels * s->n_samples));
    s->data = s->owned;
    return ND_OK;
}

storage *ndi_storage_ref(storage *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void ndi_storage_free(storage *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    ndi_content_free(s->file);
    ndi_free(s->owned);
    ndi_ids_free(&s->channels);
    ndi_ids_free(&s->images);
    ndi_free(s->image);
    ndi_free(s->subject);
    ndi_free(s->repetition);
    ndi_free(s->session);
    ndi_free(s->run);
    ndi_free(s);
}

nd_status ndi_add_text(ids *set, const char *s, size_t n, const char *what, size_t *index)
{
    CHECK(n > 0, ND_ERR_ARGUMENT, "%s: is empty", what);
    for (size_t i = 0; i < n;) {
        utf8proc_int32_t character;
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(n - i), &character);
        CHECK(step > 0, ND_ERR_FORMAT, "%s: is not UTF-8 at byte %zu", what, i);
        i += (size_t)step;
    }
    return ndi_ids_add(set, s, n, index);
}

nd_status ndi_add_id(ids *set, const char *id, const char *what, size_t *index) { return ndi_add_text(set, id, strlen(id), what, index); }

nd_status ndi_add_number(ids *set, size_t number, size_t *index)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%zu", number);
    return ndi_ids_add(set, digits, (size_t)n, index);
}

static nd_status add_channel(storage *s, const char *name, size_t n)
{
    size_t index, before = s->channels.n;
    char what[40];
    ndi_format(what, sizeof what, "name of channel %zu", before);
    TRY(ndi_add_text(&s->channels, name, n, what, &index));
    CHECK(index == before, ND_ERR_ARGUMENT, "channel names: '%s' stands twice", s->channels.items[index]);
    return ND_OK;
}

nd_status ndi_storage_name_channels(storage *s, const char *const *names, size_t n_names)
{
    CHECK(n_names == s->n_channels, ND_ERR_ARGUMENT, "channel names: got %zu, the array has %zu channels", n_names, s->n_channels);
    for (size_t i = 0; i < n_names; i++) TRY(add_channel(s, names[i], strlen(names[i])));
    return ND_OK;
}

nd_status ndi_storage_list_channels(storage *s, const char *list)
{
    size_t n_names = ndi_count_words(list), length;
    CHECK(n_names == s->n_channels, ND_ERR_ARGUMENT, "channel names: got %zu, the array has %zu channels", n_names, s->n_channels);
    for (const char *word; ndi_next_word(&list, &word, &length);) TRY(add_channel(s, word, length));
    return ND_OK;
}

nd_status ndi_storage_number_channels(storage *s)
{
    size_t index;
    for (size_t i = 0; i < s->n_channels; i++) TRY(ndi_add_number(&s->channels, i, &index));
    return ND_OK;
}

nd_status ndi_number_pairs(const int32_t *subject, const uint32_t *image, size_t n, uint32_t *pair_of, size_t *n_pairs)
{
    ids pairs = { 0 };
    nd_status status = ND_OK;
    for (size_t i = 0; i < n; i++) {
        char key[32];
        size_t index;
        int length = snprintf(key, sizeof key, "%d %u", (int)subject[i], (unsigned)image[i]);
        GO(ndi_ids_add(&pairs, key, (size_t)length, &index));
        pair_of[i] = (uint32_t)index;
    }
    *n_pairs = pairs.n;
done:
    ndi_ids_free(&pairs);
    return status;
}

nd_status ndi_sort_by_group(const uint32_t *group_of, size_t n, size_t n_groups, size_t **members, size_t **begin)
{
    TRY(NEW(*members, n));
    TRY(NEW(*begin, n_groups + 2));
    size_t *at = *begin + 1; /* where the next member of each group goes, which ends up where the next group begins */
    for (size_t i = 0; i < n; i++)
        if (group_of[i] != NDI_NO_GROUP) at[group_of[i] + 1]++;
    for (size_t g = 1; g <= n_groups; g++) at[g] += at[g - 1];
    for (size_t i = 0; i < n; i++)
        if (group_of[i] != NDI_NO_GROUP) (*members)[at[group_of[i]]++] = i;
    return ND_OK;
}

nd_status ndi_count_repetitions(const int32_t *subject, const uint32_t *image, size_t n, int32_t *repetition)
{
    uint32_t *pair_of = NULL;
    int32_t *count = NULL;
    size_t n_pairs;
    nd_status status;
    GO(NEW(pair_of, n));
    GO(NEW(count, n));
    GO(ndi_number_pairs(subject, image, n, pair_of, &n_pairs));
    for (size_t i = 0; i < n; i++) repetition[i] = count[pair_of[i]]++;
done:
    ndi_free(pair_of);
    ndi_free(count);
    return status;
}

nd_status ndi_storage_count_repetitions(storage *s) { return ndi_count_repetitions(s->subject, s->image, s->n_trials, s->repetition); }

nd_status ndi_not_finite(const char *where, size_t trial, const char *image, int32_t repetition, const char *channel)
{
    return ndi_fail(ND_ERR_NUMERIC,
                    "%s: trial %zu (image '%s', repetition %d), channel '%s': got NaN, infinity or a number beyond float32, expected finite samples",
                    where, trial, image, (int)repetition, channel);
}
