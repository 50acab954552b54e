/** @file retrieval.h
 *  @brief Finding the seen image, and how sure one can be of the figures. */
#ifndef NEURODECODE_RETRIEVAL_H
#define NEURODECODE_RETRIEVAL_H

#include "bank.h"
#include "encoder.h"
#include "loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup retrieval Retrieval
 *  @brief A gallery of candidate embeddings, search in it, ranks and statistics.
 *  @{ */

/** @brief A gallery: image embeddings with ids, normalised once. */
typedef struct nd_retrieval nd_retrieval;

/** @brief Choices of a gallery. */
typedef struct nd_retrieval_options {
    size_t size;             /**< set by nd_retrieval_options_init() */
    int32_t vectors;         /**< ND_VECTOR_... applied to gallery and queries; default ::ND_VECTOR_CENTRED_L2 */
    int32_t centre_gallery;  /**< 1 = the mean of the gallery is first subtracted from gallery and queries; default 0 */
    int32_t n_threads;       /**< 0 = all this process may use */
    int32_t reserved;        /**< 0 */
} nd_retrieval_options;

/** @brief Figures of a retrieval. Ties count against the model: a candidate as similar as the true one ranks before it. */
typedef struct nd_metrics {
    size_t size;             /**< set by the caller */
    size_t n_queries;        /**< trials */
    size_t n_gallery;        /**< candidates */
    double top1;             /**< fraction of queries whose image ranks first */
    double top3;             /**< ... among the first three */
    double top5;             /**< ... among the first five */
    double mean_rank;        /**< from 1 */
    double median_rank;      /**< from 1 */
    double mrr;              /**< mean of 1 / rank */
    double pairwise;         /**< mean fraction of other candidates less similar than the true one: 2-way accuracy; chance 0.5 */
    double chance1;          /**< 1 / n_gallery */
    double chance5;          /**< 5 / n_gallery, at most 1 */
} nd_metrics;

/** @brief A fraction with what is needed to judge it. */
typedef struct nd_estimate {
    size_t size;             /**< set by the caller */
    double value;            /**< the fraction of hits */
    double low;              /**< lower end of the 95 % bootstrap interval */
    double high;             /**< upper end */
    double chance;           /**< expected by guessing */
    double p_value;          /**< probability of at least so many hits by guessing: exact, one-sided binomial */
    uint64_t hits;           /**< number of hits */
    uint64_t n;              /**< number of queries */
} nd_estimate;

/** @brief A comparison of two models on the same queries. */
typedef struct nd_comparison {
    size_t size;             /**< set by the caller */
    double difference;       /**< hit fraction of the first minus that of the second */
    double low;              /**< lower end of the 95 % bootstrap interval, queries resampled in pairs */
    double high;             /**< upper end */
    double p_value;          /**< exact two-sided McNemar test */
    uint64_t only_first;     /**< queries that only the first model gets */
    uint64_t only_second;    /**< queries that only the second model gets */
    uint64_t n;              /**< number of queries */
} nd_comparison;

/** @brief Writes the defaults into @p options, @p size bytes of it. */
ND_API nd_status nd_retrieval_options_init(nd_retrieval_options *options, size_t size);

/** @brief Makes a gallery of @p n x @p dim vectors. @param retrieval receives the handle @param gallery the vectors, finite @param n candidates @param dim their length
 *  @param ids one per candidate; NULL = "0", "1", ... @param options NULL = defaults */
ND_API nd_status nd_retrieval_create(nd_retrieval **retrieval, const float *gallery, size_t n, size_t dim, const char *const *ids, const nd_retrieval_options *options);

/** @brief Makes a gallery of a layer of a bank. @param retrieval receives the handle @param bank all its images are candidates @param layer NULL = the first @param options NULL = defaults */
ND_API nd_status nd_retrieval_create_for(nd_retrieval **retrieval, const nd_bank *bank, const char *layer, const nd_retrieval_options *options);

/** @brief Frees the handle; NULL is allowed. */
ND_API void nd_retrieval_free(nd_retrieval *retrieval);

/** @brief Number of candidates and length of their vectors; either output may be NULL. */
ND_API nd_status nd_retrieval_get_size(const nd_retrieval *retrieval, size_t *n_gallery, size_t *dim);

/** @brief Id of candidate @p index. */
ND_API nd_status nd_retrieval_get_id(const nd_retrieval *retrieval, size_t index, const char **id);

/** @brief Index of the candidate called @p id. @return ::ND_ERR_ARGUMENT if there is none. */
ND_API nd_status nd_retrieval_find(const nd_retrieval *retrieval, const char *id, size_t *index);

/** @brief The @p k most similar candidates of each query, best first; equal ones by index.
 *  @param retrieval the handle @param queries n_queries x dim @param n_queries rows @param k at most the size of the gallery
 *  @param indices receives n_queries x k @param scores receives n_queries x k similarities in -1 .. 1; may be NULL */
ND_API nd_status nd_retrieval_search(const nd_retrieval *retrieval, const float *queries, size_t n_queries, size_t k, size_t *indices, float *scores);

/** @brief Rank (from 1) of the true candidate of each query. @param retrieval the handle @param queries n_queries x dim @param truth index of the true candidate of each
 *  @param n_queries rows @param ranks receives them */
ND_API nd_status nd_retrieval_rank(const nd_retrieval *retrieval, const float *queries, const size_t *truth, size_t n_queries, size_t *ranks);

/** @brief Embeds a dataset and ranks the true image of each trial. @param retrieval the handle @param encoder the model @param dataset its images must be in the gallery
 *  @param ranks receives one per trial @param capacity room for ranks @param progress may be NULL @param user for @p progress */
ND_API nd_status nd_retrieval_rank_dataset(const nd_retrieval *retrieval, const nd_encoder *encoder, const nd_dataset *dataset, size_t *ranks, size_t capacity,
                                           nd_progress_fn progress, void *user);

/** @brief Summary of ranks. @param ranks from 1 @param n_ranks queries @param n_gallery candidates @param metrics its `size` must be set */
ND_API nd_status nd_metrics_compute(const size_t *ranks, size_t n_ranks, size_t n_gallery, nd_metrics *metrics);

/** @brief Top-k accuracy with bootstrap interval over queries, chance level and exact test. @param ranks from 1 @param n_ranks queries @param n_gallery candidates @param k at most @p n_gallery
 *  @param n_resamples of the bootstrap, 0 = 10,000 @param seed of the bootstrap @param estimate its `size` must be set */
ND_API nd_status nd_metrics_top_k(const size_t *ranks, size_t n_ranks, size_t n_gallery, size_t k, uint32_t n_resamples, uint64_t seed, nd_estimate *estimate);

/** @brief Top-1 accuracy among k candidates, the true one and k - 1 others drawn from the gallery: exact expectation over all draws, and the mean over @p n_draws random draws per query.
 *  @param ranks from 1 @param n_ranks queries @param n_gallery candidates @param k at least 2 @param n_draws 0 = 1000 @param seed of the draws
 *  @param expected receives the expectation; may be NULL @param sampled receives the mean over the draws; may be NULL */
ND_API nd_status nd_metrics_k_way(const size_t *ranks, size_t n_ranks, size_t n_gallery, size_t k, uint32_t n_draws, uint64_t seed, double *expected, double *sampled);

/** @brief Area under the receiver operating characteristic of two classes: the probability that a positive trial scores higher than a negative one, equal scores counting
 *  half. Does not depend on a threshold, nor on how many trials each class has; chance 0.5.
 *  @param scores finite @param positive other than 0 for trials of the positive class @param n trials @param auc receives it
 *  @return ::ND_ERR_ARGUMENT unless there are trials of both classes; ::ND_ERR_NUMERIC. */
ND_API nd_status nd_metrics_auc(const double *scores, const int32_t *positive, size_t n, double *auc);

/** @brief Compares the top-k hits of two models on the same queries. @param first ranks of one model @param second ranks of the other @param n_ranks queries @param k hits are ranks up to k
 *  @param n_resamples 0 = 10,000 @param seed of the bootstrap @param comparison its `size` must be set */
ND_API nd_status nd_metrics_compare(const size_t *first, const size_t *second, size_t n_ranks, size_t k, uint32_t n_resamples, uint64_t seed, nd_comparison *comparison);

/** @brief All figures of a retrieval as one JSON object: metrics, top-1/3/5 with interval, chance and p, k-way accuracies, and the protocol it was given.
 *  @param ranks from 1 @param n_ranks queries @param n_gallery candidates @param protocol a JSON object that is copied in as "protocol"; NULL = none @param seed of bootstrap and draws
 *  @param json buffer @param capacity its bytes @param needed may be NULL */
ND_API nd_status nd_metrics_to_json(const size_t *ranks, size_t n_ranks, size_t n_gallery, const char *protocol, uint64_t seed, char *json, size_t capacity, size_t *needed);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
