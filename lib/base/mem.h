/* The only place that allocates. Sizes are multiplied with an overflow check; blocks are zeroed and 64-byte aligned. */
#ifndef NDI_MEM_H
#define NDI_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

void *ndi_alloc(size_t count, size_t size);                           /* NULL when it cannot; sets no message */
void *ndi_realloc(void *block, size_t old_bytes, size_t new_bytes);   /* the old block stays valid on failure; new bytes are zero */
void ndi_free(void *block);
char *ndi_strdup(const char *s);
void ndi_will_read(const void *from, size_t bytes);                   /* of a mapped file: the system may fetch it ahead; does not wait */

/* a * b, false on overflow. */
bool ndi_mul(size_t a, size_t b, size_t *product);

/* Allocates into a pointer or returns ND_ERR_MEMORY with the size asked for: TRY(ndi_new((void **)&p, n, sizeof *p)). */
static inline nd_status ndi_new_(void **block, size_t count, size_t size)
{
    *block = ndi_alloc(count, size);
    return *block ? ND_OK : ndi_fail(ND_ERR_MEMORY, "out of memory: %zu x %zu bytes", count, size);
}
#define NEW(pointer, count) ndi_new_((void **)&(pointer), (count), sizeof *(pointer))

/* Tests set this: asked before every allocation, true makes it fail. NULL otherwise. */
extern bool (*ndi_fault_hook)(void);

/* Many small things that die together, such as names. Start from {0}. */
typedef struct arena {
    struct arena_block *blocks;
} arena;

void *ndi_arena_alloc(arena *a, size_t bytes); /* 16-byte aligned, zeroed, NULL when it cannot */
char *ndi_arena_text(arena *a, const char *s, size_t n);
void ndi_arena_free(arena *a);

#endif
