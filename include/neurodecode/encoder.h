/** @file encoder.h
 *  @brief Encoders: from channels x samples to an embedding. */
#ifndef NEURODECODE_ENCODER_H
#define NEURODECODE_ENCODER_H

#include "bank.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup encoder Encoder
 *  @brief A named architecture with its parameters.
 *
 *  Parameters carry the names of the reference implementation's PyTorch state dict, so that weights can be exchanged.
 *  @{ */

/** @brief An encoder: architecture, sizes and parameters. */
typedef struct nd_encoder nd_encoder;

/** @brief One row of the table of architectures. */
typedef struct nd_encoder_kind_info {
    size_t size;             /**< set by the caller */
    const char *name;        /**< "nice" */
    const char *title;       /**< one line */
    const char *source;      /**< the paper */
} nd_encoder_kind_info;

/** @brief One hyper-parameter of an architecture. */
typedef struct nd_param_info {
    size_t size;             /**< set by the caller */
    const char *name;        /**< "dropout" */
    const char *meaning;     /**< one line */
    double value;            /**< default */
    double reference;        /**< what the reference system uses */
    double min;              /**< smallest allowed */
    double max;              /**< largest allowed */
} nd_param_info;

/** @brief Sizes and choices of an encoder. */
typedef struct nd_encoder_options {
    size_t size;             /**< set by nd_encoder_options_init() */
    size_t n_channels;       /**< channels or voxels; 0 = from the dataset, in nd_encoder_create_for() */
    size_t n_samples;        /**< time points; 0 = from the dataset */
    size_t embed_dim;        /**< length of the embedding; 0 is allowed only for nd_encoder_open() */
    const char *params;      /**< hyper-parameters as text, "maps=40 dropout=0.5"; `recipe=reference` sets all to what the reference system uses; NULL = defaults */
    uint64_t seed;           /**< of the initial weights */
    int32_t n_threads;       /**< 0 = all this process may use */
    int32_t reserved;        /**< 0 */
} nd_encoder_options;

/** @brief How an ensemble joins the embeddings of its members, each centred and brought to length 1. */
enum {
    ND_ENSEMBLE_AVERAGE = 0,    /**< their mean; all members embed into one size */
    ND_ENSEMBLE_CONCATENATE = 1 /**< one behind the other */
};

/** @brief What an encoder is. */
typedef struct nd_encoder_info {
    size_t size;             /**< set by the caller */
    const char *kind;        /**< name of the architecture */
    const char *params;      /**< all hyper-parameters as text */
    size_t n_channels;       /**< channels or voxels */
    size_t n_samples;        /**< time points */
    size_t embed_dim;        /**< length of the embedding */
    size_t n_parameters;     /**< trainable numbers */
    size_t n_tensors;        /**< parameters and buffers with a name */
    uint64_t multiply_adds;  /**< for one trial, forward */
    const char *metadata;    /**< JSON object: how it was trained, on what, with which library version; "{}" if unknown */
} nd_encoder_info;

/** @brief One named parameter or buffer. */
typedef struct nd_tensor_info {
    size_t size;             /**< set by the caller */
    const char *name;        /**< state-dict name */
    size_t n_dims;           /**< dimensions in use */
    size_t shape[4];         /**< extents */
    size_t n_values;         /**< their product */
    int32_t trainable;       /**< 0 = a buffer, such as a running mean */
    int32_t reserved;        /**< 0 */
} nd_tensor_info;

/** @brief Describes row @p index of the table of architectures. @return ::ND_ERR_ARGUMENT past the end. */
ND_API nd_status nd_encoder_kind_get_info(size_t index, nd_encoder_kind_info *info);

/** @brief Describes hyper-parameter @p index of architecture @p kind. @return ::ND_ERR_ARGUMENT past the end or for an unknown kind. */
ND_API nd_status nd_encoder_kind_get_param(const char *kind, size_t index, nd_param_info *info);

/** @brief Writes the defaults into @p options, @p size bytes of it. */
ND_API nd_status nd_encoder_options_init(nd_encoder_options *options, size_t size);

/** @brief Builds an encoder with initial weights.
 *  @param encoder receives the handle
 *  @param kind name of the architecture
 *  @param options sizes and hyper-parameters
 *  @return ::ND_ERR_ARGUMENT; sizes that an architecture cannot take are reported with the layer and both shapes. */
ND_API nd_status nd_encoder_create(nd_encoder **encoder, const char *kind, const nd_encoder_options *options);

/** @brief The same with channels and samples from @p dataset, whose channel names, rate, window and subject ids the encoder then remembers. Layers for subjects get a row for each subject of the
 *  dataset where the hyper-parameter `subjects` is not given; subjects that come later are unknown to it and share its common part. */
ND_API nd_status nd_encoder_create_for(nd_encoder **encoder, const char *kind, const nd_dataset *dataset, const nd_encoder_options *options);

/** @brief Joins encoders over the same input into one, with copies of their weights. It embeds, trains, is saved and opened as any encoder; its kind is "ensemble", its metadata list the members.
 *  @param ensemble receives the handle
 *  @param members single encoders with the same channels and samples, and the same channel names, rate, window and normalisation where they know them; those with layers for subjects must know the
 *  same subjects
 *  @param n_members how many, 1 to 256
 *  @param mode ::ND_ENSEMBLE_AVERAGE or ::ND_ENSEMBLE_CONCATENATE
 *  @return ::ND_ERR_ARGUMENT naming the member and what differs, ::ND_ERR_MEMORY. */
ND_API nd_status nd_ensemble_create(nd_encoder **ensemble, const nd_encoder *const *members, size_t n_members, int32_t mode);

/** @brief Opens an encoder saved by nd_encoder_save(): everything is in the file. @p options may give `n_threads`; its sizes, where not 0, must agree. NULL = defaults. */
ND_API nd_status nd_encoder_open(nd_encoder **encoder, const char *path, const nd_encoder_options *options);

/** @brief Opens weights without our metadata: a PyTorch state dict in a checkpoint that `torch.save()` wrote, in `.safetensors`, `.npz` or a pickled dict. It may stand below one of `state/`,
 *  `model_state_dict.`, `state_dict.`, `model.`, then one of `module.`, `model.`, with or without `brain_backbone.`: the place under which most tensors are found is taken, and what stands
 *  beside it (optimiser, epoch) is ignored. Numbers become float32. The embedding size is inferred where @p options has 0, and so is whether the reference's final `repr_layer` is there.
 *  Missing, extra and misshapen tensors are listed; nothing is half-loaded.
 *  @param encoder receives the handle @param kind architecture @param path weights @param options sizes (channels and samples needed) and hyper-parameters */
ND_API nd_status nd_encoder_open_weights(nd_encoder **encoder, const char *kind, const char *path, const nd_encoder_options *options);

/** @brief Writes parameters, buffers and metadata as safetensors, whole or not at all. */
ND_API nd_status nd_encoder_save(const nd_encoder *encoder, const char *path);

/** @brief Frees the handle; NULL is allowed. */
ND_API void nd_encoder_free(nd_encoder *encoder);

/** @brief Describes the encoder. @param encoder the handle @param info its `size` must be set. */
ND_API nd_status nd_encoder_get_info(const nd_encoder *encoder, nd_encoder_info *info);

/** @brief A table as text, one line per layer: name, output shape, parameters, multiply-adds. */
ND_API nd_status nd_encoder_get_layers(const nd_encoder *encoder, char *text, size_t capacity, size_t *needed);

/** @brief Describes tensor @p index. @return ::ND_ERR_ARGUMENT past the end. */
ND_API nd_status nd_encoder_get_tensor(const nd_encoder *encoder, size_t index, nd_tensor_info *info);

/** @brief Copies the values of the tensor called @p name. @return ::ND_ERR_ARGUMENT (no such name), ::ND_ERR_BUFFER. */
ND_API nd_status nd_encoder_get_values(const nd_encoder *encoder, const char *name, float *values, size_t capacity);

/** @brief Sets the values of the tensor called @p name, all @p n_values of them. */
ND_API nd_status nd_encoder_set_values(nd_encoder *encoder, const char *name, const float *values, size_t n_values);

/** @brief Embeds trials of unknown subjects in evaluation mode. Allocates nothing once it has been called with as many trials before.
 *  @param encoder the handle
 *  @param data n_trials x channels x samples
 *  @param n_trials rows
 *  @param embeddings receives n_trials x embed_dim; after a failure it may hold those of some trials
 *  @param capacity room in @p embeddings, in elements
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_BUFFER, ::ND_ERR_NUMERIC (samples that are not finite, with trial and channel), ::ND_ERR_MEMORY. */
ND_API nd_status nd_encoder_embed(const nd_encoder *encoder, const float *data, size_t n_trials, float *embeddings, size_t capacity);

/** @brief The same for trials of known subjects, which encoders with layers for subjects treat each in its own way.
 *  @param encoder the handle
 *  @param data n_trials x channels x samples
 *  @param subjects of each trial, ids as in the dataset the encoder was made for; those it does not know count as unknown; NULL = all unknown. Encoders without a list of subjects, such as plain
 *  weights, take an id as the row of their table, counted from 1
 *  @param n_trials rows
 *  @param embeddings receives n_trials x embed_dim
 *  @param capacity room in @p embeddings, in elements
 *  @return as nd_encoder_embed(). */
ND_API nd_status nd_encoder_embed_subjects(const nd_encoder *encoder, const float *data, const int32_t *subjects, size_t n_trials, float *embeddings, size_t capacity);

/** @brief Embeds all trials of a dataset (n_trials x embed_dim). Channels, rate and window must be those the encoder was trained with, where it knows them.
 *  @return ::ND_ERR_ARGUMENT naming what differs, ::ND_ERR_CANCELLED, ... */
ND_API nd_status nd_encoder_embed_dataset(const nd_encoder *encoder, const nd_dataset *dataset, float *embeddings, size_t capacity, nd_progress_fn progress, void *user);

/** @brief Embeds the image side: a bank of the same images whose one layer holds the embeddings of the vectors of the first layer of @p bank, under its name. With the projector of a training it makes
 *  the gallery for what the encoder trained with it embeds.
 *  @param projector takes n_channels = length of the vectors, n_samples = 1
 *  @param bank the vectors
 *  @param projected receives the handle
 *  @return ::ND_ERR_ARGUMENT where the sizes do not fit, ::ND_ERR_NUMERIC, ::ND_ERR_MEMORY. */
ND_API nd_status nd_encoder_embed_bank(const nd_encoder *projector, const nd_bank *bank, nd_bank **projected);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
