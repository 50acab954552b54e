/* What every public function does with its structs: options in by the rule of the public headers, results out. */
#ifndef NDI_HANDLE_H
#define NDI_HANDLE_H

#include <stddef.h>

#include "base/status.h"

/* Copies a caller's size-first struct over `known` (already holding the defaults, `known_size` bytes): what the caller's is too short for keeps its default, and
 * bytes the library does not know must be zero. NULL leaves the defaults. `what` names the struct in messages. */
nd_status ndi_options_in(void *known, size_t known_size, const void *given, const char *what);

/* The other way: writes what fits into the caller's struct and zeroes the rest; `size` stays as the caller set it. */
nd_status ndi_struct_out(void *given, const void *known, size_t known_size, const char *what);

/* For x_options_init: writes `known` into the first `size` bytes at `given` and sets its size field. */
nd_status ndi_options_init(void *given, size_t size, const void *known, size_t known_size, const char *what);

/* A pointer argument that may not be NULL. */
#define REQUIRE(pointer) CHECK((pointer) != NULL, ND_ERR_ARGUMENT, "%s: " #pointer " is NULL", __func__)

#endif
