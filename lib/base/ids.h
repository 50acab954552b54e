/* A set of texts with an index each, in order of first appearance: image ids, concepts, names. */
#ifndef NDI_IDS_H
#define NDI_IDS_H

#include "base/mem.h"

typedef struct ids {
    arena memory;
    const char **items; /* n texts */
    size_t n, capacity;
    uint32_t *slots;    /* open-addressed hash table of index + 1 */
    size_t n_slots;
} ids;

#define NDI_NO_ID SIZE_MAX

/* Index of the text, added if new. Start from {0}. On failure the set is as before. */
nd_status ndi_ids_add(ids *set, const char *id, size_t n, size_t *index);
size_t ndi_ids_find(const ids *set, const char *id); /* NDI_NO_ID if absent */
void ndi_ids_free(ids *set);

/* 64-bit FNV-1a, continued from `hash`; start from NDI_HASH_START. */
#define NDI_HASH_START 0xcbf29ce484222325u
uint64_t ndi_hash(uint64_t hash, const void *bytes, size_t n);

#endif
