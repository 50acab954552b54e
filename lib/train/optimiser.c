/* AdamW (Loshchilov and Hutter 2019), Adam (Kingma and Ba 2015), SGD with momentum. With x the clipped gradient:
 *   Adam   m <- b1 m + (1 - b1) x;  v <- b2 v + (1 - b2) x^2;  p <- p - lr m^ / (sqrt(v^) + eps), m^ and v^ being corrected for their start at 0;
 *   AdamW  the same behind p <- p (1 - lr wd), where Adam adds wd p to x;
 *   SGD    x <- x + wd p;  v <- mu v + x;  p <- p - lr v, or p - lr (x + mu v) by Nesterov. As PyTorch has it: the learning rate is not part of v. */
#include "train/optimiser.h"

#include <math.h>

#include "math/vec.h"
#include "neurodecode/train.h"

enum { BLOCK = 16384 };

typedef struct optimiser_job {
    const optimiser *kind;
    size_t n;
    const float *g;
    float *p, *first, *second;
    double *blocks;
    float scale, decay, coupled, beta1, beta2, rest1, rest2, step_size, root_scale, epsilon, momentum, along, ahead;
} job;

static void adam(const job *a, size_t at, size_t n)
{
    const job j = *a;
    const float *restrict g = j.g + at;
    float *restrict p = j.p + at, *restrict m = j.first + at, *restrict v = j.second + at;
    for (size_t i = 0; i < n; i++) {
        float x = j.scale * g[i] + j.coupled * p[i];
        m[i] = j.beta1 * m[i] + j.rest1 * x;
        v[i] = j.beta2 * v[i] + j.rest2 * (x * x);
        p[i] = p[i] * j.decay - j.step_size * m[i] / (sqrtf(v[i]) * j.root_scale + j.epsilon);
    }
}

static void adam_number(const rule *r, double g, double *x, double moments[NDI_MOMENTS])
{
    moments[0] = r->beta1 * moments[0] + (1 - r->beta1) * g;
    moments[1] = r->beta2 * moments[1] + (1 - r->beta2) * g * g;
    double m = moments[0] / (1 - pow(r->beta1, (double)r->step)), v = moments[1] / (1 - pow(r->beta2, (double)r->step));
    *x -= r->learning_rate * m / (sqrt(v) + r->epsilon);
}

/* p <- p - along v - ahead x: along and ahead are lr and 0, or lr mu and lr by Nesterov. */
static void sgd(const job *a, size_t at, size_t n)
{
    const job j = *a;
    const float *restrict g = j.g + at;
    float *restrict p = j.p + at, *restrict v = j.first + at;
    for (size_t i = 0; i < n; i++) {
        float x = j.scale * g[i] + j.coupled * p[i];
        v[i] = j.momentum * v[i] + x;
        p[i] -= j.along * v[i] + j.ahead * x;
    }
}

static void sgd_number(const rule *r, double g, double *x, double moments[NDI_MOMENTS])
{
    moments[0] = r->momentum * moments[0] + g;
    *x -= r->learning_rate * (r->nesterov ? g + r->momentum * moments[0] : moments[0]);
}

static const optimiser optimisers[] = {
    [ND_OPTIMISER_ADAMW] = { "adamw", { "adam_m", "adam_v" }, true, adam, adam_number },
    [ND_OPTIMISER_ADAM] = { "adam", { "adam_m", "adam_v" }, false, adam, adam_number },
    [ND_OPTIMISER_SGD] = { "sgd", { "velocity" }, false, sgd, sgd_number },
};

nd_status ndi_optimiser_find(int32_t code, const optimiser **kind)
{
    CHECK(code >= 0 && (size_t)code < COUNT(optimisers), ND_ERR_ARGUMENT, "train: optimiser: got %d, expected 0 to %zu", (int)code,
          COUNT(optimisers) - 1);
    *kind = &optimisers[code];
    return ND_OK;
}

/* ---- the pass over memory ---- */

size_t ndi_norm_blocks(size_t n) { return (n + BLOCK - 1) / BLOCK; }

static size_t block_size(const job *j, size_t task) { return j->n - task * BLOCK < BLOCK ? j->n - task * BLOCK : BLOCK; }

static void norm_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    const float *g = j->g + task * BLOCK;
    j->blocks[task] = ndi_dot_f64(g, g, block_size(j, task));
}

double ndi_squares(pool *threads, const float *g, size_t n, double *blocks)
{
    job j = { .n = n, .g = g, .blocks = blocks };
    ndi_pool_run(threads, ndi_norm_blocks(n), norm_block, &j);
    double sum = 0;
    for (size_t i = 0; i < ndi_norm_blocks(n); i++) sum += blocks[i];
    return sum;
}

static void step_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const job *j = context;
    j->kind->block(j, task * BLOCK, block_size(j, task));
}

void ndi_optimise(pool *threads, const rule *r, float scale, const float *g, float *p, float *const moments[NDI_MOMENTS], size_t n)
{
    double correct1 = 1 - pow(r->beta1, (double)r->step), correct2 = 1 - pow(r->beta2, (double)r->step), rate = r->learning_rate, mu = r->momentum;
    job j = { .kind = r->kind,
              .n = n,
              .g = g,
              .p = p,
              .first = moments[0],
              .second = moments[1],
              .scale = scale,
              .decay = r->kind->decoupled ? (float)(1 - rate * r->weight_decay) : 1,
              .coupled = r->kind->decoupled ? 0 : (float)r->weight_decay,
              .beta1 = (float)r->beta1,
              .beta2 = (float)r->beta2,
              .rest1 = (float)(1 - r->beta1), /* not from the rounded beta: 1 - 0.999f is 1.3e-5 too small */
              .rest2 = (float)(1 - r->beta2),
              .step_size = (float)(rate / correct1),
              .root_scale = (float)(1 / sqrt(correct2)),
              .epsilon = (float)r->epsilon,
              .momentum = (float)mu,
              .along = (float)(r->nesterov ? rate * mu : rate),
              .ahead = r->nesterov ? (float)rate : 0 };
    ndi_pool_run(threads, ndi_norm_blocks(n), step_block, &j);
}
