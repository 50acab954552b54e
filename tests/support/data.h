/* Looking into datasets, and arrays to make them from. What fails fails the test. */
#ifndef ND_TEST_DATA_H
#define ND_TEST_DATA_H

#include "io/content.h"
#include "neurodecode/dataset.h"

nd_dataset_info nd_test_info(const nd_dataset *d);
nd_trial nd_test_trial(const nd_dataset *d, size_t i);

/* All samples, trials x channels x samples, to be freed with free(). */
float *nd_test_data(const nd_dataset *d);

/* A file with the array `x`, in the format of its extension. */
void nd_test_write_array(const char *path, dtype type, size_t n_dims, const size_t *shape, const void *data);

#endif
