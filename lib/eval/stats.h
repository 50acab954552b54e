/* What ranks say: summaries, exact tests, bootstrap intervals, k-way accuracies. Every function that takes ranks checks that they are 1 ..
 * n_gallery. */
#ifndef NDI_STATS_H
#define NDI_STATS_H

#include "base/text.h"
#include "neurodecode/retrieval.h"

/* P(X >= hits) for X ~ Binomial(n, p). */
double ndi_binomial_tail(uint64_t hits, uint64_t n, double p);

nd_status ndi_metrics_compute(const size_t *ranks, size_t n_ranks, size_t n_gallery, nd_metrics *m);
nd_status ndi_metrics_top_k(const size_t *ranks, size_t n_ranks, size_t n_gallery, size_t k, uint32_t n_resamples, uint64_t seed, nd_estimate *e);
nd_status ndi_metrics_k_way(const size_t *ranks, size_t n_ranks, size_t n_gallery, size_t k, uint32_t n_draws, uint64_t seed, double *expected,
                            double *sampled);
nd_status ndi_metrics_compare(const size_t *first, const size_t *second, size_t n_ranks, size_t k, uint32_t n_resamples, uint64_t seed,
                              nd_comparison *c);

nd_status ndi_metrics_auc(const double *scores, const int32_t *positive, size_t n, double *auc);

/* report.c: all of it as a JSON object. `protocol` may be NULL. */
nd_status ndi_metrics_report(const size_t *ranks, size_t n_ranks, size_t n_gallery, const char *protocol, uint64_t seed, text *json);

#endif
