/* What the fuzz targets offer to a fuzzing engine, and to the driver that replays and mutates without one. */
#ifndef ND_FUZZ_TARGET_H
#define ND_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

extern const char *fuzz_extension; /* which the bytes, as a file, are said to have */

#endif
