/* Hyper-parameters that keep a test quick where an architecture's defaults are made for a hundred million weights. */
#ifndef ND_TEST_SMALL_H
#define ND_TEST_SMALL_H

#include "encoders/encoder.h"

/* Hidden layers and filters by the hundred become few. Valid until the next call. */
const char *nd_test_small(const encoder_kind *kind);

#endif
