/** @file loss.h
 *  @brief Contrastive losses between brain and image embeddings. */
#ifndef NEURODECODE_LOSS_H
#define NEURODECODE_LOSS_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup loss Loss
 *  @brief Symmetric InfoNCE (van den Oord et al. 2018; CLIP, Radford et al. 2021).
 *
 *  With a, b the normalised rows of v and z and S = A B' / temperature: L = (CE(S) + CE(S')) / 2, the true partner of each row being the one of the same index.
 *  @{ */

/** @brief A loss and, where it is learned, its temperature. */
typedef struct nd_loss nd_loss;

/** @brief How vectors are normalised before they are compared. */
enum {
    ND_VECTOR_L2 = 0,           /**< divided by their length: cosine similarity */
    ND_VECTOR_CENTRED_L2 = 1    /**< minus their own mean over the dimensions, then divided by their length: Pearson correlation; as the reference system has it */
};

/** @brief Choices of a loss. */
typedef struct nd_loss_options {
    size_t size;                /**< set by nd_loss_options_init() */
    double temperature;         /**< fixed value or start; default 0.04 */
    int32_t learn_temperature;  /**< 1 = the trainer learns log(1 / temperature), held within 1/100 .. 1 as in CLIP; default 0 */
    int32_t sum_directions;     /**< 1 = the sum of both directions, as the paper's equation has it; default 0: their mean, as the reference code has it */
    int32_t vectors;            /**< ND_VECTOR_...; default ::ND_VECTOR_CENTRED_L2 */
    int32_t reserved;           /**< 0 */
} nd_loss_options;

/** @brief Writes the defaults into @p options, @p size bytes of it. */
ND_API nd_status nd_loss_options_init(nd_loss_options *options, size_t size);

/** @brief Makes a loss. @param loss receives the handle @param kind "infonce"; NULL = that @param options NULL = defaults */
ND_API nd_status nd_loss_create(nd_loss **loss, const char *kind, const nd_loss_options *options);

/** @brief Frees the handle; NULL is allowed. */
ND_API void nd_loss_free(nd_loss *loss);

/** @brief Current temperature. */
ND_API nd_status nd_loss_get_temperature(const nd_loss *loss, double *temperature);

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
ND_API nd_status nd_loss_evaluate(const nd_loss *loss, const float *v, const float *z, size_t n, size_t dim, double *value, float *grad_v, float *grad_z,
                                  double *grad_log_scale);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
