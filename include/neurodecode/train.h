/** @file train.h
 *  @brief Training an encoder against a bank of image embeddings. */
#ifndef NEURODECODE_TRAIN_H
#define NEURODECODE_TRAIN_H

#include "bank.h"
#include "encoder.h"
#include "loss.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup train Trainer
 *  @brief AdamW, Adam or SGD on a contrastive loss, or the closed form of a linear encoder.
 *
 *  Everything random is a function of the seed and of the step, so a training continued from a checkpoint, or run with another number of threads, gives the same bits.
 *  @{ */

/** @brief A training under way. */
typedef struct nd_trainer nd_trainer;

/** @brief Learning-rate schedules. */
enum {
    ND_SCHEDULE_CONSTANT = 0,   /**< the learning rate, after warm-up */
    ND_SCHEDULE_COSINE = 1,     /**< half a cosine from the learning rate to `min_learning_rate` over all epochs, step by step, after warm-up */
    ND_SCHEDULE_PLATEAU = 2,    /**< times `plateau_factor` whenever the validation loss has not improved for `plateau_patience` epochs */
    ND_SCHEDULE_REFERENCE = 3   /**< the reference system's: a cosine of period 10 whose position after each epoch is the validation loss itself (modulo 10) */
};

/** @brief Optimisers. With x the clipped gradient of a parameter p, and lr the learning rate: */
enum {
    ND_OPTIMISER_ADAMW = 0,     /**< Loshchilov and Hutter 2019: weight decay takes lr wd p from the parameters themselves */
    ND_OPTIMISER_ADAM = 1,      /**< Kingma and Ba 2015: weight decay adds wd p to the gradient */
    ND_OPTIMISER_SGD = 2        /**< v <- momentum v + x + wd p, p <- p - lr v, as PyTorch has it; wants a much larger learning rate */
};

/** @brief Choices of a training. */
typedef struct nd_train_options {
    size_t size;                 /**< set by nd_train_options_init() */
    uint32_t epochs;             /**< at the most; default 50 */
    uint32_t batch_size;         /**< trials per step; the last, incomplete batch of an epoch is dropped; default 128 */
    double learning_rate;        /**< default 2e-4 */
    double min_learning_rate;    /**< default 1e-7 */
    double weight_decay;         /**< by the rule of the optimiser; default 0.1 */
    double beta1;                /**< default 0.9 */
    double beta2;                /**< default 0.999 */
    double epsilon;              /**< default 1e-8 */
    double clip_norm;            /**< gradients are scaled to this global norm where above; 0 = not; default 1 */
    double validation_fraction;  /**< of the training groups, used to select the best epoch; 0 = no validation: the last epoch is kept; default 0.1 */
    double plateau_factor;       /**< default 0.1 */
    int32_t schedule;            /**< ND_SCHEDULE_...; default cosine */
    uint32_t warmup_steps;       /**< linear from `min_learning_rate`; default 0 */
    uint32_t plateau_patience;   /**< epochs; default 10 */
    uint32_t patience;           /**< stop after so many epochs without a better validation loss; 0 = never; default 25 */
    uint32_t validation_batch;   /**< trials per validation batch; default 64 */
    int32_t split_by_image;      /**< 1 = the validation set is drawn by image, as the reference does; 0 = by concept; default 0 */
    uint64_t seed;               /**< of split, order, dropout and augmentation; default 42 */
    int32_t n_threads;           /**< 0 = all this process may use */
    uint32_t checkpoint_every;   /**< epochs between checkpoints; default 1 */
    const char *checkpoint;      /**< file written whole after every so many epochs and on cancel; NULL = none */
    double momentum;             /**< of #ND_OPTIMISER_SGD; default 0.9 */
    double ema_decay;            /**< above 0: moving averages of parameters and buffers are what is validated, kept as the best and put into the encoder at the end, while training goes on
                                      with the raw ones. After step t: mean <- d mean + (1 - d) value, d = min(ema_decay, (1 + t) / (10 + t)); counters are copied. As in 0.999; default 0 = off */
    const char *no_decay;        /**< words separated by blanks or commas: a parameter whose state-dict name contains one of them is not decayed; `vectors` stands for all of at most one dimension, that is
                                      biases and normalisations. A word that names none is refused. NULL (the default) = all are decayed, as the reference does */
    const char *augment;         /**< changes to the trials of each training batch, "shift=5 noise=0.1", see nd_augmentation_get_info(); NULL = none, the default */
    nd_encoder *projector;       /**< a second, small encoder on the image side, trained together with the first: from the bank's vectors (n_channels = their length, n_samples = 1) into the same
                                      embed_dim. The trainer keeps a reference. NULL = none, the default: the targets are the bank's vectors as they are */
    int32_t optimiser;           /**< ND_OPTIMISER_...; default #ND_OPTIMISER_ADAMW. A temperature that is learned follows it too */
    int32_t nesterov;            /**< 1 = Nesterov's momentum, p <- p - lr (x + momentum v), for #ND_OPTIMISER_SGD; default 0 */
} nd_train_options;

/** @brief Where a training stands. */
typedef struct nd_train_info {
    size_t size;                 /**< set by the caller */
    uint64_t epoch;              /**< finished epochs */
    uint64_t step;               /**< finished steps in all */
    uint64_t steps_per_epoch;    /**< optimiser steps */
    uint64_t best_epoch;         /**< with the lowest validation loss, from 1; 0 = none yet */
    double train_loss;           /**< mean over the last finished epoch */
    double validation_loss;      /**< after the last finished epoch; NaN without validation */
    double best_validation_loss; /**< NaN without validation */
    double learning_rate;        /**< of the next step */
    double temperature;          /**< of the loss, at the last finished step; that of the best epoch is in the loss itself after nd_trainer_take_best() */
    size_t n_train;              /**< trials trained on */
    size_t n_validation;         /**< trials held out */
    int32_t finished;            /**< 1 = all epochs done or stopped early */
    int32_t reserved;            /**< 0 */
} nd_train_info;

/** @brief Describes row @p index of the table of augmentations, those of `augment` in nd_train_options: name, meaning, range, default. 0 = off. They are done in the order of the table, to the trials
 *  of training batches only; all that is random is a function of the seed, the step and the place in the batch.
 *  @return ::ND_ERR_ARGUMENT past the end. */
ND_API nd_status nd_augmentation_get_info(size_t index, nd_param_info *info);

/** @brief Writes the defaults into @p options, @p size bytes of it. */
ND_API nd_status nd_train_options_init(nd_train_options *options, size_t size);

/** @brief Writes the values of a recipe: "default", or "reference" for what the reference code does (its schedule, split by image, patience 30). */
ND_API nd_status nd_train_options_init_recipe(nd_train_options *options, size_t size, const char *recipe);

/** @brief Prepares a training.
 *  @param trainer receives the handle, which keeps references to all it is given
 *  @param encoder is trained in place
 *  @param loss its temperature, and the bias of a loss that has one, are trained too if `learn_temperature` says so; not used by encoders with a closed form
 *  @param dataset trials; split into training and validation as the options say
 *  @param bank must hold every image of the dataset; its first layer is the target, of length `embed_dim` unless there is a projector
 *  @param options NULL = defaults
 *  @return ::ND_ERR_ARGUMENT (sizes, missing images, a batch larger than the training set), ::ND_ERR_NUMERIC (a sample that is not finite, with trial and channel), ... */
ND_API nd_status nd_trainer_create(nd_trainer **trainer, nd_encoder *encoder, nd_loss *loss, const nd_dataset *dataset, const nd_bank *bank, const nd_train_options *options);

/** @brief Continues from a checkpoint: the arguments must be those of nd_trainer_create(); what differs is named. Encoder, projector, optimiser, averages and
 *  counters are restored exactly. */
ND_API nd_status nd_trainer_resume(nd_trainer *trainer, const char *checkpoint);

/** @brief Writes a checkpoint, whole or not at all. */
ND_API nd_status nd_trainer_save(const nd_trainer *trainer, const char *checkpoint);

/** @brief Frees the handle; NULL is allowed. Encoder and projector keep their present weights. */
ND_API void nd_trainer_free(nd_trainer *trainer);

/** @brief Where the training stands. @param trainer the handle @param info its `size` must be set. */
ND_API nd_status nd_trainer_get_info(const nd_trainer *trainer, nd_train_info *info);

/** @brief One optimiser step; at the end of an epoch also validation and schedule. @param trainer the handle @param loss receives the loss of the batch; may be NULL
 *  @return ::ND_ERR_STATE when finished; ::ND_ERR_NUMERIC when loss or gradient are not finite, naming the step, with parameters as before it. */
ND_API nd_status nd_trainer_step(nd_trainer *trainer, double *loss);

/** @brief Steps until finished, then puts the best weights into the encoder and the projector, whose metadata then tell of the training and of each other; both are saved by nd_encoder_save().
 *  With a closed form: solves it.
 *  @param trainer the handle @param progress may be NULL @param user for @p progress
 *  @return ::ND_ERR_CANCELLED leaves everything as at the last finished step, and the checkpoint, if any, written. */
ND_API nd_status nd_trainer_run(nd_trainer *trainer, nd_progress_fn progress, void *user);

/** @brief Puts the weights with the lowest validation loss into the encoder and the projector. Done by nd_trainer_run(); for loops of your own. */
ND_API nd_status nd_trainer_take_best(nd_trainer *trainer);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
