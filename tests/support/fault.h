/* Makes allocations fail: the first, then the second, and so on until nothing fails any more; each once alone and once with all that follow. */
#ifndef ND_TEST_FAULT_H
#define ND_TEST_FAULT_H

#include <stddef.h>

#include "base/status.h"

/* Runs `body` (on this thread, without others) until it has seen every allocation fail. Each time it must succeed or return ND_ERR_MEMORY and free
 * what it took; without a fault it must succeed. Blocks of the library and of jansson are counted; leaks fail the test. Returns the number of
 * allocations of an undisturbed run. */
size_t nd_test_faults(nd_status (*body)(void *context), void *context);

#endif
