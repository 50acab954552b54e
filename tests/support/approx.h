/* Comparing float arrays. */
#ifndef ND_TEST_APPROX_H
#define ND_TEST_APPROX_H

#include <math.h>
#include <stddef.h>

/* max |a - b| / max |b|: the error in units of the largest value expected. 0 for two arrays of zeros; infinite where a or b is not finite. */
static inline double nd_test_relative_error(const float *a, const float *b, size_t n)
{
    double error = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) return (double)INFINITY;
        error = fmax(error, fabs((double)a[i] - (double)b[i]));
        scale = fmax(scale, fabs((double)b[i]));
    }
    if (error == 0) return 0;
    return scale > 0 ? error / scale : (double)INFINITY;
}

#endif
