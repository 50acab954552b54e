/* A gallery of candidates, search in it, ranks. The similarity of two vectors is ndi_vec->dot of what normalise() makes of them, held within -1 ..
 * 1: it depends on the two vectors alone, not on how queries are batched, on threads or on the CPU. */
#ifndef NDI_RETRIEVAL_H
#define NDI_RETRIEVAL_H

#include "base/ids.h"
#include "base/log.h"
#include "neurodecode/retrieval.h"

/* `names` NULL = "0", "1", ... */
nd_status ndi_retrieval_create(nd_retrieval **r, const float *gallery, size_t n, size_t dim, const char *const *names, const nd_retrieval_options *o);
void ndi_retrieval_free(nd_retrieval *r);

size_t ndi_retrieval_candidates(const nd_retrieval *r);
size_t ndi_retrieval_dim(const nd_retrieval *r);
const ids *ndi_retrieval_ids(const nd_retrieval *r);

/* Nothing is written unless all queries are finite. `scores` may be NULL. */
nd_status ndi_retrieval_search(const nd_retrieval *r, const float *queries, size_t n_queries, size_t k, size_t *indices, float *scores);
nd_status ndi_retrieval_rank(const nd_retrieval *r, const float *queries, const size_t *truth, size_t n_queries, size_t *ranks);

/* rank_dataset.c: embeds all trials and ranks the image of each; images are found in the gallery by id. */
nd_status ndi_retrieval_rank_dataset(const nd_retrieval *r, const nd_encoder *e, const nd_dataset *d, size_t *ranks, size_t capacity,
                                     nd_progress_fn fn, void *user);

#endif
