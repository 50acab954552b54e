/* AdamW (Loshchilov and Hutter 2019), Adam (Kingma and Ba 2015), SGD with momentum. With x the clipped gradient:
 *   Adam   m <- b1 m + (1 - b1) x;  v <- b2 v + (1 - b2) x^2;  p <- p - lr m^ / (sqrt(v^) + eps), m^ and v^ being corrected for their start at 0;
 *   AdamW  the same behind p <- p (1 - lr wd), where Adam adds wd p to x;
 *   SGD    x <- x + wd p;  v <- mu v + x;  p <- p - lr v, or p - lr (x + mu v) by Nesterov. As PyTorch has it: the learning rate is not part of v. */
#include "train/optimiser.h"

#include <math.h>

#include "math/vec.h"
#include "neurodecode/train.h"

enum { BLOCK = 16384 };

static void adam(const update *u, size_t at, const float *g, size_t n) { ndi_vec->adam(&u->adam, g, u->p + at, u->first + at, u->second + at, n); }

static void adam_number(const rule *r, double g, double *x, double moments[NDI_MOMENTS])
{
    moments[0] = r->beta1 * moments[0] + (1 - r->beta1) * g;
    moments[1] = r->beta2 * moments[1] + (1 - r->beta2) * g * g;
    double m = moments[0] / (1 - pow(r->beta1, (double)r->step)), v = moments[1] / (1 - pow(r->beta2, (double)r->step));
    *x -= r->learning_rate * m / (sqrt(v) + r->epsilon);
}

static void sgd(const update *u, size_t at, const float *g, size_t n) { ndi_vec->sgd(&u->sgd, g, u->p + at, u->first + at, n); }

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

update ndi_update(const rule *r, float scale, float *p, float *const moments[NDI_MOMENTS])
{
    double correct1 = 1 - pow(r->beta1, (double)r->step), correct2 = 1 - pow(r->beta2, (double)r->step), rate = r->learning_rate, mu = r->momentum;
    float coupled = r->kind->decoupled ? 0 : (float)r->weight_decay;
    return (update){ .kind = r->kind,
                     .p = p,
                     .first = moments[0],
                     .second = moments[1],
                     .adam = { .scale = scale,
                               .coupled = coupled,
                               .decay = r->kind->decoupled ? (float)(1 - rate * r->weight_decay) : 1,
                               .beta1 = (float)r->beta1,
                               .rest1 = (float)(1 - r->beta1), /* not from the rounded beta: 1 - 0.999f is 1.3e-5 too small */
                               .beta2 = (float)r->beta2,
                               .rest2 = (float)(1 - r->beta2),
                               .step_size = (float)(rate / correct1),
                               .root_scale = (float)(1 / sqrt(correct2)),
                               .epsilon = (float)r->epsilon },
                     .sgd = { .scale = scale,
                              .coupled = coupled,
                              .momentum = (float)mu,
                              .along = (float)(r->nesterov ? rate * mu : rate),
                              .ahead = r->nesterov ? (float)rate : 0 } };
}

/* ---- passes over memory ---- */

typedef struct sweep {
    const update *u;
    const float *g;
    size_t n;
    double *blocks;
} sweep;

size_t ndi_norm_blocks(size_t n) { return (n + BLOCK - 1) / BLOCK; }

static size_t block_size(const sweep *s, size_t task) { return s->n - task * BLOCK < BLOCK ? s->n - task * BLOCK : BLOCK; }

static void norm_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const sweep *s = context;
    const float *g = s->g + task * BLOCK;
    s->blocks[task] = ndi_dot_f64(g, g, block_size(s, task));
}

double ndi_squares(pool *threads, const float *g, size_t n, double *blocks)
{
    sweep s = { .g = g, .n = n, .blocks = blocks };
    ndi_pool_run(threads, ndi_norm_blocks(n), norm_block, &s);
    double sum = 0;
    for (size_t i = 0; i < ndi_norm_blocks(n); i++) sum += blocks[i];
    return sum;
}

static void step_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const sweep *s = context;
    s->u->kind->block(s->u, task * BLOCK, s->g + task * BLOCK, block_size(s, task));
}

void ndi_optimise(pool *threads, const update *u, const float *g, size_t n)
{
    sweep s = { .u = u, .g = g, .n = n };
    ndi_pool_run(threads, ndi_norm_blocks(n), step_block, &s);
}
