/* Hyper-parameters that keep a test quick where an architecture's defaults are made for a hundred million weights. */
#ifndef ND_TEST_SMALL_H
#define ND_TEST_SMALL_H

#include <stddef.h>
#include <string.h>

/* NULL = the defaults are small enough. */
static inline const char *nd_test_small(const char *kind) { return strcmp(kind, "brain-mlp") == 0 ? "hidden=40" : NULL; }

#endif
