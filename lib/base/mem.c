#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

bool (*ndi_fault_hook)(void) = NULL;

enum { ALIGNMENT = 64, BLOCK_BYTES = 16384, LARGE_PAGE = 2 << 20, LARGE = 4 * LARGE_PAGE };

bool ndi_mul(size_t a, size_t b, size_t *product) { return !__builtin_mul_overflow(a, b, product); }

/* Weights of hundreds of megabytes are read in strips, each row on a page of its own: with small pages the processor looks pages up more than it computes. */
static void ask_for_large_pages(char *raw, size_t bytes)
{
#if defined(MADV_HUGEPAGE)
    char *first = (char *)(((uintptr_t)raw + LARGE_PAGE - 1) & ~(uintptr_t)(LARGE_PAGE - 1));
    size_t length = (size_t)(raw + bytes - first) / LARGE_PAGE * LARGE_PAGE;
    madvise(first, length, MADV_HUGEPAGE); /* where refused, small ones do */
#else
    (void)raw;
    (void)bytes;
#endif
}

/* Zeroing large blocks would touch every page at once; calloc's pages come zeroed from the system, so align by hand inside one: the word before the block keeps
 * what calloc returned. */
void *ndi_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (!ndi_mul(count, size, &bytes) || bytes > SIZE_MAX - 2 * ALIGNMENT) return NULL;
    if (ndi_fault_hook && ndi_fault_hook()) return NULL;
    char *raw = calloc(1, bytes + ALIGNMENT + sizeof(void *));
    if (!raw) return NULL;
    if (bytes >= LARGE) ask_for_large_pages(raw, bytes);
    char *block = (char *)(((uintptr_t)raw + sizeof(void *) + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1));
    memcpy(block - sizeof(void *), &raw, sizeof(void *));
    return block;
}

void ndi_free(void *block)
{
    if (!block) return;
    void *raw;
    memcpy(&raw, (char *)block - sizeof(void *), sizeof(void *));
    free(raw);
}

void ndi_will_read(const void *from, size_t bytes)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)from & ~(page - 1);
    posix_madvise((void *)first, (uintptr_t)from + bytes - first, POSIX_MADV_WILLNEED); /* where refused, reading waits */
}

void *ndi_realloc(void *block, size_t old_bytes, size_t new_bytes)
{
    void *bigger = ndi_alloc(new_bytes, 1);
    if (!bigger) return NULL;
    if (block) memcpy(bigger, block, old_bytes < new_bytes ? old_bytes : new_bytes);
    ndi_free(block);
    return bigger;
}

char *ndi_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = ndi_alloc(n, 1);
    return copy ? memcpy(copy, s, n) : NULL;
}

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(16) char bytes[];
};

void *ndi_arena_alloc(arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX / 2) return NULL;
    bytes = (bytes + 15) & ~(size_t)15;
    struct arena_block *b = a->blocks;
    if (!b || b->size - b->used < bytes) {
        size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
        b = ndi_alloc(1, sizeof *b + size);
        if (!b) return NULL;
        b->size = size;
        b->next = a->blocks;
        a->blocks = b;
    }
    void *p = b->bytes + b->used;
    b->used += bytes;
    return p;
}

char *ndi_arena_text(arena *a, const char *s, size_t n)
{
    char *copy = n < SIZE_MAX ? ndi_arena_alloc(a, n + 1) : NULL;
    if (copy && n) memcpy(copy, s, n);
    return copy;
}

void ndi_arena_free(arena *a)
{
    for (struct arena_block *b = a->blocks; b;) {
        struct arena_block *next = b->next;
        ndi_free(b);
        b = next;
    }
    a->blocks = NULL;
}
