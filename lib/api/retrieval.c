#include "neurodecode/retrieval.h"

#include "api/handle.h"
#include "data/bank.h"
#include "eval/retrieval.h"
#include "eval/stats.h"

static const nd_retrieval_options defaults = { .size = sizeof defaults, .vectors = ND_VECTOR_CENTRED_L2 };

static nd_status take_options(nd_retrieval_options *o, const nd_retrieval_options *given)
{
    *o = defaults;
    TRY(ndi_options_in(o, sizeof *o, given, "nd_retrieval_options"));
    CHECK(o->reserved == 0, ND_ERR_ARGUMENT, "nd_retrieval_options: reserved: got %d, expected 0", (int)o->reserved);
    return ND_OK;
}

nd_status nd_retrieval_options_init(nd_retrieval_options *options, size_t size)
{
    return ndi_options_init(options, size, &defaults, sizeof defaults, "nd_retrieval_options");
}

nd_status nd_retrieval_create(nd_retrieval **retrieval, const float *gallery, size_t n, size_t dim, const char *const *names,
                              const nd_retrieval_options *options)
{
    REQUIRE(retrieval);
    *retrieval = NULL;
    REQUIRE(gallery);
    nd_retrieval_options o;
    TRY(take_options(&o, options));
    return ndi_retrieval_create(retrieval, gallery, n, dim, names, &o);
}

nd_status nd_retrieval_create_for(nd_retrieval **retrieval, const nd_bank *bank, const char *layer, const nd_retrieval_options *options)
{
    REQUIRE(retrieval);
    *retrieval = NULL;
    REQUIRE(bank);
    nd_retrieval_options o;
    TRY(take_options(&o, options));
    size_t l;
    TRY(ndi_bank_find_layer(bank, layer, &l));
    return ndi_retrieval_create(retrieval, ndi_bank_vectors(bank, l), ndi_bank_images(bank), ndi_bank_dim(bank, l), ndi_bank_ids(bank)->items, &o);
}

void nd_retrieval_free(nd_retrieval *retrieval) { ndi_retrieval_free(retrieval); }

nd_status nd_retrieval_get_size(const nd_retrieval *retrieval, size_t *n_gallery, size_t *dim)
{
    REQUIRE(retrieval);
    if (n_gallery) *n_gallery = ndi_retrieval_candidates(retrieval);
    if (dim) *dim = ndi_retrieval_dim(retrieval);
    return ND_OK;
}

nd_status nd_retrieval_get_id(const nd_retrieval *retrieval, size_t index, const char **id)
{
    REQUIRE(retrieval);
    REQUIRE(id);
    size_t n = ndi_retrieval_candidates(retrieval);
    CHECK(index < n, ND_ERR_ARGUMENT, "retrieval: candidate: got %zu, expected 0 to %zu", index, n - 1);
    *id = ndi_retrieval_ids(retrieval)->items[index];
    return ND_OK;
}

nd_status nd_retrieval_find(const nd_retrieval *retrieval, const char *id, size_t *index)
{
    REQUIRE(retrieval);
    REQUIRE(id);
    REQUIRE(index);
    size_t found = ndi_ids_find(ndi_retrieval_ids(retrieval), id);
    CHECK(found != NDI_NO_ID, ND_ERR_ARGUMENT, "retrieval: no candidate is called '%s'", id);
    *index = found;
    return ND_OK;
}

nd_status nd_retrieval_search(const nd_retrieval *retrieval, const float *queries, size_t n_queries, size_t k, size_t *indices, float *scores)
{
    REQUIRE(retrieval);
    REQUIRE(queries);
    REQUIRE(indices);
    return ndi_retrieval_search(retrieval, queries, n_queries, k, indices, scores);
}

nd_status nd_retrieval_rank(const nd_retrieval *retrieval, const float *queries, const size_t *truth, size_t n_queries, size_t *ranks)
{
    REQUIRE(retrieval);
    REQUIRE(queries);
    REQUIRE(truth);
    REQUIRE(ranks);
    return ndi_retrieval_rank(retrieval, queries, truth, n_queries, ranks);
}

nd_status nd_retrieval_rank_dataset(const nd_retrieval *retrieval, const nd_encoder *encoder, const nd_dataset *dataset, size_t *ranks,
                                    size_t capacity, nd_progress_fn fn, void *user)
{
    REQUIRE(retrieval);
    REQUIRE(encoder);
    REQUIRE(dataset);
    REQUIRE(ranks);
    return ndi_retrieval_rank_dataset(retrieval, encoder, dataset, ranks, capacity, fn, user);
}

nd_status nd_metrics_compute(const size_t *ranks, size_t n_ranks, size_t n_gallery, nd_metrics *metrics)
{
    REQUIRE(ranks);
    nd_metrics m;
    TRY(ndi_metrics_compute(ranks, n_ranks, n_gallery, &m));
    return ndi_struct_out(metrics, &m, sizeof m, "metrics");
}

nd_status nd_metrics_top_k(const size_t *ranks, size_t n_ranks, size_t n_gallery, size_t k, uint32_t n_resamples, uint64_t seed,
                           nd_estimate *estimate)
{
    REQUIRE(ranks);
    nd_estimate e;
    TRY(ndi_metrics_top_k(ranks, n_ranks, n_gallery, k, n_resamples, seed, &e));
    return ndi_struct_out(estimate, &e, sizeof e, "estimate");
}

nd_status nd_metrics_k_way(const size_t *ranks, size_t n_ranks, size_t n_gallery, size_t k, uint32_t n_draws, uint64_t seed, double *expected,
                           double *sampled)
{
    REQUIRE(ranks);
    return ndi_metrics_k_way(ranks, n_ranks, n_gallery, k, n_draws, seed, expected, sampled);
}

nd_status nd_metrics_auc(const double *scores, const int32_t *positive, size_t n, double *auc)
{
    REQUIRE(scores);
    REQUIRE(positive);
    REQUIRE(auc);
    return ndi_metrics_auc(scores, positive, n, auc);
}

nd_status nd_metrics_compare(const size_t *first, const size_t *second, size_t n_ranks, size_t k, uint32_t n_resamples, uint64_t seed,
                             nd_comparison *comparison)
{
    REQUIRE(first);
    REQUIRE(second);
    nd_comparison c;
    TRY(ndi_metrics_compare(first, second, n_ranks, k, n_resamples, seed, &c));
    return ndi_struct_out(comparison, &c, sizeof c, "comparison");
}

nd_status nd_metrics_to_json(const size_t *ranks, size_t n_ranks, size_t n_gallery, const char *protocol, uint64_t seed, char *json, size_t capacity,
                             size_t *needed)
{
    REQUIRE(ranks);
    text t = { 0 };
    nd_status status;
    GO(ndi_metrics_report(ranks, n_ranks, n_gallery, protocol, seed, &t));
    status = ndi_text_out(t.s, json, capacity, needed);
done:
    ndi_text_free(&t);
    return status;
}
