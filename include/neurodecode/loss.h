/** @file loss.h
 *  @brief Contrastive losses between brain and image embeddings. */
#ifndef NEURODECODE_LOSS_H
#define NEURODECODE_LOSS_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup loss Loss
 *  @brief Contrastive losses and regressions: InfoNCE, SoftCLIP, MixCo-NCE, multi-positive InfoNCE, SigLIP, cosine, mean squared error.
 *
 *  The loss called "infonce": with a, b the normalised rows of v and z and S = A B' / temperature, L = (CE(S) + CE(S')) / 2, the true partner of each row being the one of the
 *  same index. The page "Which loss?" of the manual has the formulas and sources of all. Gradients are exact, with respect to v, z, log(1 / temperature) and the bias.
 *  @{ */

/** @brief A loss and, where they are learned, its temperature and bias. */
typedef struct nd_loss nd_loss;

/** @brief How vectors are normalised before they are compared. */
enum {
    ND_VECTOR_L2 = 0, /**< divided by their length: cosine similarity */
    ND_VECTOR_CENTRED_L2 = 1 /**< minus their own mean over the dimensions, then divided by their length: Pearson correlation; as the reference system has it */
};

/** @brief One row of the table of losses. */
typedef struct nd_loss_kind_info {
    size_t size;        /**< set by the caller */
    const char *name;   /**< "infonce" */
    const char *title;  /**< one line */
    const char *source; /**< the paper */
    double temperature; /**< its default; 0 = it has none */
    double bias;        /**< its default; 0 = it has none */
} nd_loss_kind_info;

/** @brief Choices of a loss. A flag that a kind cannot honour is refused; `temperature`, `bias`, `vectors` and `reference` do nothing where a kind has no use for them. */
typedef struct nd_loss_options {
    size_t size;        /**< set by nd_loss_options_init() */
    double temperature; /**< fixed value or start, 1e-6 to 1e6; default 0 = that of the kind: 0.04 for infonce, 0.1 for siglip and mixco */
    int32_t learn_temperature; /**< 1 = the trainer learns log(1 / temperature), held within 1/100 .. 1 as in CLIP, and the bias of a kind that has one; default 0 */
    int32_t sum_directions; /**< 1 = the sum of both directions, as the paper's equation has it; default 0: their mean, as the reference code has it */
    int32_t vectors;    /**< ND_VECTOR_...; default ::ND_VECTOR_CENTRED_L2. "mse" compares raw vectors */
    int32_t reserved;   /**< 0 */
    int32_t mask_same_image; /**< 1 = rows that show the same image are not each other's negatives (infonce, mixco, siglip); default 0 */
    int32_t reference;       /**< 1 = as the reference code where it errs: mixco's trials mixed with themselves; default 0 */
    double bias;             /**< siglip: fixed value or start; default -10 */
} nd_loss_options;

/** @brief A batch of vectors and what is known of its rows. */
typedef struct nd_loss_batch {
    size_t size;           /**< set by the caller */
    const float *v;        /**< brain embeddings, n x dim, as they come from an encoder */
    const float *z;        /**< image embeddings, n x dim, row i the partner of row i of `v` */
    size_t n;              /**< rows, at least 1 */
    size_t dim;            /**< columns, at least 1 */
    const size_t *images;  /**< n: rows of equal numbers show the same image; NULL = all differ */
    const size_t *partner; /**< n, mixco: row i of `v` embeds a mixture of trial i and the trial of row partner[i]; NULL = no mixtures */
    const float *share;    /**< n, mixco: the part of trial i in it, 0 to 1; given together with `partner` */
} nd_loss_batch;

/** @brief A loss and its gradients with respect to single numbers. */
typedef struct nd_loss_result {
    size_t size;           /**< set by the caller */
    double value;          /**< the loss */
    double grad_log_scale; /**< dL/dlog(1 / temperature); 0 for a kind without */
    double grad_bias;      /**< dL/dbias; 0 for a kind without */
} nd_loss_result;

/** @brief Describes row @p index of the table of losses. @return ::ND_ERR_ARGUMENT past the end. */
ND_API nd_status nd_loss_kind_get_info(size_t index, nd_loss_kind_info *info);

/** @brief Writes the defaults into @p options, @p size bytes of it. */
ND_API nd_status nd_loss_options_init(nd_loss_options *options, size_t size);

/** @brief Makes a loss.
 *  @param loss receives the handle
 *  @param kind a name of the table, see nd_loss_kind_get_info(); NULL = "infonce"
 *  @param options NULL = defaults
 *  @return ::ND_ERR_ARGUMENT, for an unknown kind with the names there are; ::ND_ERR_MEMORY. */
ND_API nd_status nd_loss_create(nd_loss **loss, const char *kind, const nd_loss_options *options);

/** @brief Frees the handle; NULL is allowed. */
ND_API void nd_loss_free(nd_loss *loss);

/** @brief Current temperature; 1 for a kind without. */
ND_API nd_status nd_loss_get_temperature(const nd_loss *loss, double *temperature);

/** @brief Current bias; 0 for a kind without. */
ND_API nd_status nd_loss_get_bias(const nd_loss *loss, double *bias);

/** @brief Evaluates the loss and its exact gradients.
 *  @param loss the handle
 *  @param v brain embeddings, n x dim, as they come from an encoder
 *  @param z image embeddings, n x dim, row i the partner of row i of @p v
 *  @param n rows, at least 1
 *  @param dim columns
 *  @param value receives the loss
 *  @param grad_v receives dL/dv, n x dim; may be NULL
 *  @param grad_z receives dL/dz, n x dim; may be NULL
 *  @param grad_log_scale receives dL/dlog(1 / temperature); may be NULL
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_MEMORY, ::ND_ERR_NUMERIC (a value that is not finite, with its row). */
ND_API nd_status nd_loss_evaluate(const nd_loss *loss, const float *v, const float *z, size_t n, size_t dim, double *value, float *grad_v,
                                  float *grad_z, double *grad_log_scale);

/** @brief The same for a batch with repeated images or mixtures. The handle is not changed and may be shared by threads.
 *  @param loss the handle
 *  @param batch the vectors; its `size` must be set
 *  @param result receives value and gradients; its `size` must be set
 *  @param grad_v receives dL/dv, n x dim; may be NULL
 *  @param grad_z receives dL/dz, n x dim; may be NULL
 *  @return ::ND_ERR_ARGUMENT (also for mixtures where the loss does not know them), ::ND_ERR_MEMORY, ::ND_ERR_NUMERIC. */
ND_API nd_status nd_loss_evaluate_batch(const nd_loss *loss, const nd_loss_batch *batch, nd_loss_result *result, float *grad_v, float *grad_z);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
