/* The k best of a row of candidates that come in index order: a binary heap with the worst kept on top, in the caller's two arrays. */
#ifndef NDI_TOP_K_H
#define NDI_TOP_K_H

#include <stdbool.h>
#include <stddef.h>

typedef struct top_k {
    float *scores;
    size_t *indices;
    size_t n; /* held so far */
} top_k;

/* Of equal candidates the later one is worse. */
static inline bool ndi_worse(const top_k *t, size_t a, size_t b)
{
    return t->scores[a] < t->scores[b] || (t->scores[a] == t->scores[b] && t->indices[a] > t->indices[b]);
}

static inline void ndi_top_k_swap(top_k *t, size_t a, size_t b)
{
    float score = t->scores[a];
    size_t index = t->indices[a];
    t->scores[a] = t->scores[b];
    t->indices[a] = t->indices[b];
    t->scores[b] = score;
    t->indices[b] = index;
}

/* Restores the order of the first n below `at`. */
static inline void ndi_top_k_sink(top_k *t, size_t at, size_t n)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && ndi_worse(t, child + 1, child)) child++;
        if (ndi_worse(t, at, child)) return;
        ndi_top_k_swap(t, at, child);
    }
}

/* Adds a candidate to fewer than k. */
static inline void ndi_top_k_add(top_k *t, float score, size_t index)
{
    size_t at = t->n++;
    t->scores[at] = score;
    t->indices[at] = index;
    for (; at > 0 && ndi_worse(t, at, (at - 1) / 2); at = (at - 1) / 2) ndi_top_k_swap(t, at, (at - 1) / 2);
}

/* Puts a candidate in the place of the worst. */
static inline void ndi_top_k_replace(top_k *t, float score, size_t index)
{
    t->scores[0] = score;
    t->indices[0] = index;
    ndi_top_k_sink(t, 0, t->n);
}

/* Best first. */
static inline void ndi_top_k_sort(top_k *t)
{
    for (size_t n = t->n; n > 1; n--) {
        ndi_top_k_swap(t, 0, n - 1);
        ndi_top_k_sink(t, 0, n - 1);
    }
}

#endif
