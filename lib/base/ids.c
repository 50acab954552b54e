#include "base/ids.h"

#include <string.h>

uint64_t ndi_hash(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

/* Slot that holds the text or the empty one where it belongs; n_slots is a power of two and never full. */
static size_t slot_of(const ids *set, const char *id, size_t n)
{
    size_t mask = set->n_slots - 1;
    size_t slot = (size_t)ndi_hash(NDI_HASH_START, id, n) & mask;
    while (set->slots[slot]) {
        const char *item = set->items[set->slots[slot] - 1];
        if (strncmp(item, id, n) == 0 && item[n] == '\0') break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static nd_status grow(ids *set)
{
    size_t capacity = set->capacity ? 2 * set->capacity : 64;
    ids bigger = *set;
    bigger.items = NULL;
    bigger.slots = NULL;
    TRY(NEW(bigger.items, capacity));
    bigger.n_slots = 2 * capacity;
    nd_status status = NEW(bigger.slots, bigger.n_slots);
    if (status != ND_OK) {
        ndi_free(bigger.items);
        return status;
    }
    bigger.capacity = capacity;
    for (size_t i = 0; i < set->n; i++) {
        bigger.items[i] = set->items[i];
        bigger.slots[slot_of(&bigger, set->items[i], strlen(set->items[i]))] = (uint32_t)(i + 1);
    }
    ndi_free(set->items);
    ndi_free(set->slots);
    *set = bigger;
    return ND_OK;
}

nd_status ndi_ids_add(ids *set, const char *id, size_t n, size_t *index)
{
    if (memchr(id, 0, n)) n = strlen(id);
    if (set->n == set->capacity) TRY(grow(set));
    CHECK(set->n < UINT32_MAX - 1, ND_ERR_UNSUPPORTED, "more than %u different texts", UINT32_MAX - 1);
    size_t slot = slot_of(set, id, n);
    if (!set->slots[slot]) {
        char *copy = ndi_arena_text(&set->memory, id, n);
        CHECK(copy, ND_ERR_MEMORY, "out of memory");
        set->items[set->n++] = copy;
        set->slots[slot] = (uint32_t)set->n;
    }
    *index = set->slots[slot] - 1;
    return ND_OK;
}

size_t ndi_ids_find(const ids *set, const char *id)
{
    if (set->n == 0) return NDI_NO_ID;
    size_t slot = slot_of(set, id, strlen(id));
    return set->slots[slot] ? set->slots[slot] - 1 : NDI_NO_ID;
}

void ndi_ids_free(ids *set)
{
    ndi_free(set->items);
    ndi_free(set->slots);
    ndi_arena_free(&set->memory);
    memset(set, 0, sizeof *set);
}
