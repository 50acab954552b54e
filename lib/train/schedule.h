/* Learning-rate schedules: a function of where the training stands. One row each in schedule.c. */
#ifndef NDI_SCHEDULE_H
#define NDI_SCHEDULE_H

#include "neurodecode/train.h"

typedef struct standing {
    uint64_t step, total_steps;     /* steps done; steps of all epochs */
    uint64_t plateaus;              /* how often the validation loss stood still long enough */
    double validation_loss;         /* after the last epoch, NaN before the first */
} standing;

nd_status ndi_schedule_check(const nd_train_options *o);
double ndi_learning_rate(const nd_train_options *o, const standing *s);

#endif
