#include "fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/mem.h"

static size_t asked, target;
static bool persistent, hit;
static long json_blocks;

static bool fault(void)
{
    asked++;
    const bool fails = persistent ? asked >= target : asked == target;
    hit = hit || fails;
    return fails;
}

static void *json_alloc(size_t n)
{
    if (ndi_fault_hook && ndi_fault_hook()) return NULL;
    json_blocks++;
    return (malloc)(n);
}

static void json_release(void *block)
{
    json_blocks -= block != NULL;
    (free)(block);
}

/* One run with the n-th allocation failing. */
static bool run(nd_status (*body)(void *context), void *context, size_t n, bool all_that_follow)
{
    asked = 0;
    hit = false;
    target = n;
    persistent = all_that_follow;
    const long before = json_blocks;
    ndi_fault_hook = fault;
    nd_status status = body(context);
    ndi_fault_hook = NULL;
    if (status != ND_OK && !(hit && status == ND_ERR_MEMORY))
        fail_msg("allocation %zu%s: %s: %s", n, all_that_follow ? " and later" : "", nd_status_name(status), nd_last_error());
    assert_int_equal(json_blocks, before);
    return hit;
}

size_t nd_test_faults(nd_status (*body)(void *context), void *context)
{
    json_malloc_t former_alloc;
    json_free_t former_free;
    json_get_alloc_funcs(&former_alloc, &former_free);
    json_set_alloc_funcs(json_alloc, json_release);
    size_t n = 1;
    while (run(body, context, n, false)) n++;
    for (size_t i = 1; i < n; i++) (void)run(body, context, i, true);
    json_set_alloc_funcs(former_alloc, former_free);
    return n - 1;
}
