/* Reference vectors: `.npz` files in tests/data, or in the folder `golden` beside ND_DATA; a test that finds none is skipped and says so. */
#ifndef ND_TEST_GOLDEN_H
#define ND_TEST_GOLDEN_H

#include "io/content.h"

/* Opens the file or returns NULL. */
content *nd_test_golden(const char *name);

/* The array called `name` as float32, to be freed with ndi_free; fails the test if it is missing. */
float *nd_test_floats(const content *c, const char *name, size_t *n);
double nd_test_number(const content *c, const char *name);

/* Full path of a reference file, valid until the next call; NULL where absent. */
const char *nd_test_golden_path(const char *name);

/* Path below ND_DATA, valid until the next call; NULL where absent. */
const char *nd_test_data_path(const char *name);

#endif
