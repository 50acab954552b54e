#include "train/augment.h"

#include <math.h>
#include <string.h>

#include "base/random.h"

const param ndi_augmentations[NDI_AUGMENTATIONS] = {
    /* name, whole, default, reference, min, max, meaning */
    [NDI_SHIFT] = { "shift", true, 0, 0, 0, 10000,
                    "each trial is moved in time by up to so many samples either way, its first or last sample repeated" },
    [NDI_SMOOTH] = { "smooth", false, 0, 0, 0, 1, "probability that a trial is smoothed by a moving average" },
    [NDI_SMOOTH_WIDTH] = { "smooth_width", true, 9, 9, 3, 9999, "largest width of that average, samples; odd widths from 3 on are drawn" },
    [NDI_NOISE] = { "noise", false, 0, 0, 0, 100, "standard deviation of Gaussian noise that is added, relative to that of the trial" },
    [NDI_CHANNEL_DROPOUT] = { "channel_dropout", false, 0, 0, 0, 0.99, "probability that a channel of a trial is set to 0" },
    [NDI_MIXCO] = { "mixco", false, 0, 0, 0, 1,
                    "a of the Beta(a, a) by which half of the trials are mixed with another of the batch (needs the loss mixco)" },
};

nd_status ndi_augment_parse(augment *a, const char *list)
{
    return ndi_params_parse("train: augment", ndi_augmentations, NDI_AUGMENTATIONS, list, a->values, NULL);
}

/* ---- one trial ---- */

typedef struct job {
    const augment *a;
    double value;
    uint32_t step;
    uint64_t place;
    float *x, *row;
} job;

static double draw(const job *j, uint32_t purpose, uint64_t index) { return ndi_uniform(j->a->seed, purpose, j->step, j->place << 32 | index); }

/* x[t] <- x[t - by], the ends being held. */
static void shift(const job *j)
{
    ptrdiff_t most = (ptrdiff_t)j->value, by = (ptrdiff_t)(draw(j, NDI_RANDOM_SHIFT, 0) * (double)(2 * most + 1)) - most,
              T = (ptrdiff_t)j->a->samples;
    for (size_t c = 0; c < j->a->channels; c++) {
        float *x = j->x + c * j->a->samples;
        memcpy(j->row, x, j->a->samples * sizeof *x);
        for (ptrdiff_t t = 0; t < T; t++) {
            ptrdiff_t from = t - by;
            x[t] = j->row[from < 0 ? 0 : from >= T ? T - 1 : from];
        }
    }
}

/* x[t] <- mean of x[t - half .. t + half], of those that there are. */
static void smooth_row(float *x, float *row, size_t T, size_t half)
{
    double sum = 0;
    memcpy(row, x, T * sizeof *x);
    for (size_t t = 0; t < half && t < T; t++) sum += (double)row[t];
    for (size_t t = 0; t < T; t++) {
        if (t + half < T) sum += (double)row[t + half];
        if (t > half) sum -= (double)row[t - half - 1];
        size_t first = t > half ? t - half : 0, end = t + half < T ? t + half + 1 : T;
        x[t] = (float)(sum / (double)(end - first));
    }
}

static void smooth(const job *j)
{
    size_t widths = (size_t)(j->a->values[NDI_SMOOTH_WIDTH] - 1) / 2, half = 1 + (size_t)(draw(j, NDI_RANDOM_SMOOTH, 1) * (double)widths);
    if (draw(j, NDI_RANDOM_SMOOTH, 0) >= j->value) return;
    for (size_t c = 0; c < j->a->channels; c++) smooth_row(j->x + c * j->a->samples, j->row, j->a->samples, half);
}

/* x <- x + value sd(x) N(0, 1), the deviation being that of all samples of the trial. */
static void noise(const job *j)
{
    size_t n = j->a->channels * j->a->samples;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (double)j->x[i];
    for (size_t i = 0; i < n; i++) squares += ((double)j->x[i] - sum / (double)n) * ((double)j->x[i] - sum / (double)n);
    double sd = j->value * sqrt(squares / (double)n), pair[2];
    for (size_t i = 0; i < n; i++) {
        if (i % 2 == 0) ndi_normal2(j->a->seed, NDI_RANDOM_NOISE, j->step, j->place << 32 | i / 2, pair);
        j->x[i] += (float)(sd * pair[i % 2]);
    }
}

static void channel_dropout(const job *j)
{
    for (size_t c = 0; c < j->a->channels; c++)
        if (draw(j, NDI_RANDOM_CHANNEL_DROPOUT, c) < j->value) memset(j->x + c * j->a->samples, 0, j->a->samples * sizeof *j->x);
}

/* In the order in which they are done. */
static void (*const steps[NDI_AUGMENTATIONS])(const job *j) = {
    [NDI_SHIFT] = shift, [NDI_SMOOTH] = smooth, [NDI_NOISE] = noise, [NDI_CHANNEL_DROPOUT] = channel_dropout
};

bool ndi_augment_any(const augment *a)
{
    bool any = a->values[NDI_MIXCO] > 0;
    for (size_t i = 0; i < NDI_AUGMENTATIONS; i++) any |= steps[i] && a->values[i] > 0;
    return any;
}

void ndi_augment_trial(const augment *a, uint32_t step, size_t place, float *x, float *row)
{
    for (size_t i = 0; i < NDI_AUGMENTATIONS; i++)
        if (steps[i] && a->values[i] > 0) steps[i](&(job){ a, a->values[i], step, place, x, row });
}

/* ---- mixtures (MixCo, Kim et al. 2020) ---- */

/* Beta(a, a) for a <= 1 by Jöhnk's method: u^(1/a) over its sum with v^(1/a), where that sum is at most 1. In logarithms, as the powers underflow. */
static double beta(const job *j)
{
    double a = j->value;
    for (uint64_t k = 1;; k += 2) {
        double u = log(1 - draw(j, NDI_RANDOM_MIXCO_SHARE, k)), v = log(1 - draw(j, NDI_RANDOM_MIXCO_SHARE, k + 1));
        if (exp(u / a) + exp(v / a) <= 1) return 1 / (1 + exp((v - u) / a));
    }
}

typedef struct mixing {
    size_t size;
    const float *x;
    float *mixed;
    const size_t *partner;
    const float *share;
} mixing;

static void mix_trial(void *context, size_t task, size_t worker)
{
    (void)worker;
    const mixing *m = context;
    const float *x = m->x + task * m->size, *other = m->x + m->partner[task] * m->size;
    float *to = m->mixed + task * m->size, share = m->share[task];
    for (size_t i = 0; i < m->size; i++) to[i] = share * x[i] + (1 - share) * other[i];
}

void ndi_augment_mix(const augment *a, pool *threads, uint32_t step, size_t n, const float *x, float *mixed, size_t *partner, float *share)
{
    ndi_permutation(partner, n, a->seed, NDI_RANDOM_MIXCO, step);
    for (size_t i = 0; i < n; i++) {
        job j = { .a = a, .value = a->values[NDI_MIXCO], .step = step, .place = i };
        bool chosen = draw(&j, NDI_RANDOM_MIXCO_SHARE, 0) < 0.5 && partner[i] != i;
        share[i] = chosen ? (float)beta(&j) : 1;
    }
    mixing m = { a->channels * a->samples, x, mixed, partner, share };
    ndi_pool_run(threads, n, mix_trial, &m);
}
