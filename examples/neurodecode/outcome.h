/* What came of decoding: ranks, their report, and how it is shown. */
#ifndef OUTCOME_H
#define OUTCOME_H

#include "common.h"

/* One model on the trials: its name and the rank of each trial's image. */
typedef struct outcome {
    const char *name;
    size_t *ranks, n, n_gallery;
    double *scores;    /* of two candidates: how much more like the second than the first; or NULL */
    int32_t *positive; /* whether the second is the true one */
    json_t *report; /* as nd_metrics_to_json() has it */
} outcome;

/* The report of the ranks, with the protocol in it; NULL after a message. */
json_t *report_of(const outcome *o, json_t *protocol, uint64_t seed);
void add_people(outcome *o, const nd_dataset *d); /* adds how well each person was decoded */

/* Show one outcome, or two and their difference; exit status. */
int report_one(const shared *all, const outcome *o);
int report_two(const shared *all, const outcome *o);
int write_ranks(const char *path, const outcome *o, size_t n_models);

#endif
