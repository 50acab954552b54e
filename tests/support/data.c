#include "data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "check.h"
#include "io/format.h"

nd_dataset_info nd_test_info(const nd_dataset *d)
{
    nd_dataset_info info = { .size = sizeof info };
    OK(nd_dataset_get_info(d, &info));
    return info;
}

nd_trial nd_test_trial(const nd_dataset *d, size_t i)
{
    nd_trial t = { .size = sizeof t };
    OK(nd_dataset_get_trial(d, i, &t));
    return t;
}

float *nd_test_data(const nd_dataset *d)
{
    const nd_dataset_info info = nd_test_info(d);
    const size_t n = info.n_trials * info.n_channels * info.n_samples;
    float *x = calloc(n + 1, sizeof *x);
    assert_non_null(x);
    OK(nd_dataset_get_data(d, 0, info.n_trials, x, n));
    return x;
}

void nd_test_write_array(const char *path, dtype type, size_t n_dims, const size_t *shape, const void *data)
{
    put_array a = { .name = "x", .type = type, .n_dims = n_dims, .data = data };
    for (size_t i = 0; i < n_dims; i++) a.shape[i] = shape[i];
    const put all = { .arrays = &a, .n_arrays = 1 };
    OK(ndi_format_write(path, NULL, &all));
}
