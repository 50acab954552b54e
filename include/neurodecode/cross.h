/** @file cross.h
 *  @brief Cross-validation: every group of trials is decoded by an encoder that has not seen it. */
#ifndef NEURODECODE_CROSS_H
#define NEURODECODE_CROSS_H

#include "train.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup cross Cross-validation
 *  @brief Leaves one group out in turn, with a fresh encoder, loss and trainer for every fold.
 *
 *  Left out by subject and with test trials given, this is decoding for people who were never seen: the encoder is trained on the training trials of all others, and embeds the test
 *  trials of the one left out.
 *  @{ */

/** @brief What is trained in every fold, and on what it is used. */
typedef struct nd_cross_options {
    size_t size;                                 /**< set by nd_cross_options_init() */
    const char *encoder;                         /**< architecture; default "nice" */
    const nd_encoder_options *encoder_options;   /**< hyper-parameters and seed; channels, samples and, without a projector, `embed_dim` come from the data; NULL = defaults */
    const char *loss;                            /**< kind of loss; NULL = "infonce" */
    const nd_loss_options *loss_options;         /**< NULL = defaults */
    const nd_train_options *train_options;       /**< NULL = defaults; its `checkpoint` and `projector` must be NULL, since each fold has its own */
    const char *projector;                       /**< kind of the image-side projector of every fold; NULL = none: embeddings are as long as the bank's vectors */
    const nd_encoder_options *projector_options; /**< its hyper-parameters and seed; sizes come from the bank and from `embed_dim` of the encoder; NULL = defaults */
    const char *group;                           /**< "trial", "image", "concept", "subject", "session", "run" or "repetition": what is left out together; default "subject" */
    const nd_dataset *test;                      /**< trials to decode: those of the subject left out; only with the group "subject". NULL = the trials left out of the dataset themselves */
    nd_progress_fn progress;                     /**< told of every step of every fold; may be NULL */
    void *user;                                  /**< for `progress` */
} nd_cross_options;

/** @brief One fold, after its training. Everything in it lives until the function that is given it returns. */
typedef struct nd_fold {
    size_t size;                                 /**< bytes of this struct as the library knows it */
    size_t index;                                /**< from 0 */
    size_t n_folds;                              /**< in all */
    const nd_encoder *encoder;                   /**< fresh, trained on all other groups */
    const nd_encoder *projector;                 /**< trained with it, for the vectors of the gallery; NULL without one */
    const nd_dataset *train;                     /**< trials of all other groups, of which the trainer held out some for validation */
    const nd_dataset *held;                      /**< trials to decode */
    const size_t *trials;                        /**< where these stand in `test`, or in the dataset */
    size_t n_trials;                             /**< how many there are */
} nd_fold;

/** @brief Receives a trained fold on the calling thread. @return 0 to go on; anything else ends the cross-validation with ::ND_ERR_CANCELLED. */
typedef int32_t (*nd_fold_fn)(const nd_fold *fold, void *user);

/** @brief Writes the defaults into @p options, @p size bytes of it. */
ND_API nd_status nd_cross_options_init(nd_cross_options *options, size_t size);

/** @brief Trains one encoder per group, on the trials of all others, and hands each to @p fold.
 *  @param dataset trials to train on
 *  @param bank must hold every image of the dataset; its first layer is the target
 *  @param options NULL = defaults
 *  @param fold receives each trained fold
 *  @param user for @p fold
 *  @return ::ND_ERR_ARGUMENT (fewer than two groups, no test trials for one), what training returns with the fold named, ::ND_ERR_CANCELLED. */
ND_API nd_status nd_cross_run(const nd_dataset *dataset, const nd_bank *bank, const nd_cross_options *options, nd_fold_fn fold, void *user);

/** @brief Embeds every trial of a dataset by the encoder of the fold that left its group out: for each group a fresh encoder is made, trained on all other groups and used on this one.
 *  @param kind architecture
 *  @param dataset trials
 *  @param bank targets
 *  @param group "trial", "image", "concept", "subject", "session", "run" or "repetition": what is left out together
 *  @param encoder_options hyper-parameters; sizes come from dataset and bank
 *  @param loss_options NULL = defaults
 *  @param train_options NULL = defaults; a projector is refused, since every fold would have a space of its own: use nd_cross_run()
 *  @param embeddings receives n_trials x dim of the bank's first layer
 *  @param capacity room, in elements
 *  @param progress told of every step of every fold; may be NULL @param user for @p progress */
ND_API nd_status nd_cross_embed(const char *kind, const nd_dataset *dataset, const nd_bank *bank, const char *group, const nd_encoder_options *encoder_options,
                                const nd_loss_options *loss_options, const nd_train_options *train_options, float *embeddings, size_t capacity,
                                nd_progress_fn progress, void *user);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
