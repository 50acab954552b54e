/* y = P x / max(||P x||, 1e-12) with P the identity or the removal of the row's own mean, and dx = P (dy - y (y . dy)) / max(||P x||, 1e-12). */
#include <math.h>

#include "math/vec.h"
#include "math/vectors.h"

enum { ROWS = 16 };

typedef struct job {
    bool centred;
    size_t n, dim;
    const float *x, *y, *dy, *in_norm;
    float *out, *out_norm;
} job;

static void forward_rows(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    for (size_t i = task * ROWS; i < j->n && i < (task + 1) * ROWS; i++) {
        const float *x = j->x + i * j->dim;
        float *y = j->out + i * j->dim;
        float mean = j->centred ? (float)(ndi_sum_f64(x, j->dim) / (double)j->dim) : 0.0f;
        ndi_vec->scale_shift(1, -mean, x, y, j->dim);
        double length = sqrt(ndi_dot_f64(y, y, j->dim));
        float norm = length > 1e-12 ? (float)length : 1e-12f;
        ndi_vec->scale_shift(1 / norm, 0, y, y, j->dim);
        if (j->out_norm) j->out_norm[i] = norm;
    }
}

void ndi_normalise_rows(pool *threads, bool centred, const float *x, size_t n, size_t dim, float *y, float *norm)
{
    job j = { .centred = centred, .n = n, .dim = dim, .x = x, .out = y, .out_norm = norm };
    ndi_pool_run(threads, (n + ROWS - 1) / ROWS, forward_rows, &j);
}

static void backward_rows(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    for (size_t i = task * ROWS; i < j->n && i < (task + 1) * ROWS; i++) {
        const float *y = j->y + i * j->dim, *dy = j->dy + i * j->dim;
        float *dx = j->out + i * j->dim, along = (float)ndi_dot_f64(y, dy, j->dim), scale = 1 / j->in_norm[i];
        for (size_t k = 0; k < j->dim; k++) dx[k] = scale * (dy[k] - along * y[k]);
        if (j->centred) ndi_vec->scale_shift(1, -(float)(ndi_sum_f64(dx, j->dim) / (double)j->dim), dx, dx, j->dim);
    }
}

void ndi_normalise_rows_back(pool *threads, bool centred, const float *y, const float *norm, const float *dy, size_t n, size_t dim, float *dx)
{
    job j = { .centred = centred, .n = n, .dim = dim, .y = y, .dy = dy, .in_norm = norm, .out = dx };
    ndi_pool_run(threads, (n + ROWS - 1) / ROWS, backward_rows, &j);
}
