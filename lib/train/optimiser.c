#include "train/optimiser.h"

#include <math.h>

#include "math/vec.h"

enum { BLOCK = 16384 };

typedef struct job {
    size_t n;
    const float *g;
    float *p, *m, *v;
    double *blocks;
    float scale, decay, beta1, beta2, step_size, root_scale, epsilon;
} job;

size_t ndi_norm_blocks(size_t n) { return (n + BLOCK - 1) / BLOCK; }

static size_t block_size(const job *j, size_t task) { return j->n - task * BLOCK < BLOCK ? j->n - task * BLOCK : BLOCK; }

static void norm_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    const float *g = j->g + task * BLOCK;
    j->blocks[task] = ndi_dot_f64(g, g, block_size(j, task));
}

double ndi_norm(pool *threads, const float *g, size_t n, double *blocks)
{
    job j = { .n = n, .g = g, .blocks = blocks };
    ndi_pool_run(threads, ndi_norm_blocks(n), norm_block, &j);
    double sum = 0;
    for (size_t i = 0; i < ndi_norm_blocks(n); i++) sum += blocks[i];
    return sqrt(sum);
}

static void adamw_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job j = *(const job *)context;
    size_t n = block_size(&j, task), at = task * BLOCK;
    const float *restrict g = j.g + at;
    float *restrict p = j.p + at, *restrict m = j.m + at, *restrict v = j.v + at;
    for (size_t i = 0; i < n; i++) {
        float x = j.scale * g[i];
        m[i] = j.beta1 * m[i] + (1 - j.beta1) * x;
        v[i] = j.beta2 * v[i] + (1 - j.beta2) * (x * x);
        p[i] = p[i] * j.decay - j.step_size * m[i] / (sqrtf(v[i]) * j.root_scale + j.epsilon);
    }
}

void ndi_adamw(pool *threads, const adamw *a, float scale, const float *g, float *p, float *m, float *v, size_t n)
{
    double correct1 = 1 - pow(a->beta1, (double)a->step), correct2 = 1 - pow(a->beta2, (double)a->step);
    job j = { .n = n, .g = g, .p = p, .m = m, .v = v, .scale = scale, .decay = (float)(1 - a->learning_rate * a->weight_decay), .beta1 = (float)a->beta1,
              .beta2 = (float)a->beta2, .step_size = (float)(a->learning_rate / correct1), .root_scale = (float)(1 / sqrt(correct2)), .epsilon = (float)a->epsilon };
    ndi_pool_run(threads, ndi_norm_blocks(n), adamw_block, &j);
}
