#include "train/schedule.h"

#include <math.h>
#include <stdbool.h>

#include "base/status.h"

static const double pi = 3.14159265358979323846;

static double constant(const nd_train_options *o, const standing *s)
{
    (void)s;
    return o->learning_rate;
}

static double cosine(const nd_train_options *o, const standing *s)
{
    double total = (double)s->total_steps - (double)o->warmup_steps, done = (double)s->step - (double)o->warmup_steps;
    double part = total > 0 ? done / total : 1;
    return o->min_learning_rate + (o->learning_rate - o->min_learning_rate) * (1 + cos(pi * (part < 1 ? part : 1))) / 2;
}

static double plateau(const nd_train_options *o, const standing *s) { return o->learning_rate * pow(o->plateau_factor, (double)s->plateaus); }

/* The reference hands the validation loss to a cosine with warm restarts of period 10 as if it were the epoch: the rate depends on the last validation loss alone. */
static double reference(const nd_train_options *o, const standing *s)
{
    if (!isfinite(s->validation_loss)) return o->learning_rate;
    double position = fmod(s->validation_loss, 10);
    return o->min_learning_rate + (o->learning_rate - o->min_learning_rate) * (1 + cos(pi * position / 10)) / 2;
}

static double (*const schedules[])(const nd_train_options *, const standing *) = {
    [ND_SCHEDULE_CONSTANT] = constant,
    [ND_SCHEDULE_COSINE] = cosine,
    [ND_SCHEDULE_PLATEAU] = plateau,
    [ND_SCHEDULE_REFERENCE] = reference,
};

nd_status ndi_schedule_check(const nd_train_options *o)
{
    CHECK(o->schedule >= 0 && (size_t)o->schedule < COUNT(schedules), ND_ERR_ARGUMENT, "train: schedule: got %d, expected 0 to %zu", (int)o->schedule, COUNT(schedules) - 1);
    bool needs_validation = o->schedule == ND_SCHEDULE_PLATEAU || o->schedule == ND_SCHEDULE_REFERENCE;
    CHECK(!needs_validation || o->validation_fraction > 0, ND_ERR_ARGUMENT, "train: this schedule follows the validation loss, but validation_fraction is 0");
    return ND_OK;
}

double ndi_learning_rate(const nd_train_options *o, const standing *s)
{
    if (s->step < o->warmup_steps) return o->min_learning_rate + (o->learning_rate - o->min_learning_rate) * (double)(s->step + 1) / (double)o->warmup_steps;
    return schedules[o->schedule](o, s);
}
