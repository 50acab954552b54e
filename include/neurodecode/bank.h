/** @file bank.h
 *  @brief Image embeddings by image id, in one or more named layers. */
#ifndef NEURODECODE_BANK_H
#define NEURODECODE_BANK_H

#include "dataset.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup bank Bank
 *  @brief A bank holds for each image id one vector per layer. Trials find their vector by image id, never by position.
 *  @{ */

/** @brief Image embeddings by id. */
typedef struct nd_bank nd_bank;

/** @brief How to read a bank. */
typedef struct nd_bank_options {
    size_t size;             /**< set by nd_bank_options_init() */
    const char *variable;    /**< array to read from a file with several; NULL = every two-dimensional one becomes a layer */
    const char *images;      /**< a file of image ids in row order, as in nd_dataset_options; NULL = ids from the file, else "0", "1", ... */
    const char *partition;   /**< "training" or "test", as in nd_dataset_options */
    const char *suffix;      /**< folders: files are `<id>_<suffix>.npy`; NULL = the only suffix there is */
    const char *layer;       /**< name for the layer of a file with one array; NULL = `suffix`, or the file's name */
} nd_bank_options;

/** @brief Sizes of a bank. */
typedef struct nd_bank_info {
    size_t size;             /**< set by the caller */
    size_t n_images;         /**< rows of every layer */
    size_t n_layers;         /**< named layers */
    size_t dim;              /**< length of the vectors of the first layer */
    uint64_t hash;           /**< of ids, layer names and values: two banks with the same hash are the same */
} nd_bank_info;

/** @brief Writes the defaults into @p options, @p size bytes of it. */
ND_API nd_status nd_bank_options_init(nd_bank_options *options, size_t size);

/** @brief Makes a bank of one layer.
 *  @param bank receives the handle
 *  @param vectors n_images x dim, C order, finite
 *  @param n_images rows @param dim columns
 *  @param image_ids one distinct id per row; NULL = "0", "1", ...
 *  @param layer its name; NULL = "embedding"
 *  @return ::ND_ERR_ARGUMENT (duplicate id), ::ND_ERR_NUMERIC, ::ND_ERR_MEMORY. */
ND_API nd_status nd_bank_create(nd_bank **bank, const float *vectors, size_t n_images, size_t dim, const char *const *image_ids, const char *layer);

/** @brief A bank that tells images apart and nothing else: the vector of image i is the i-th unit vector. Retrieval in it is classification.
 *  @param bank receives the handle @param dataset whose images. */
ND_API nd_status nd_bank_create_one_hot(nd_bank **bank, const nd_dataset *dataset);

/** @brief Reads a bank from `.npy` (images x dim, images x 1 x dim or, with `images`, concepts x images x dim), `.npz`, `.safetensors`, `.csv`, a pickled dict; or a folder of one `.npy` per image named
 *  `<id>_<suffix>.npy`, the folder of the concept being part of the id. With `images`, every image listed must be there and their order is the list's; an error names the file
 *  that is missing. */
ND_API nd_status nd_bank_open(nd_bank **bank, const char *path, const nd_bank_options *options, nd_progress_fn progress, void *user);

/** @brief Opens the embeddings of one partition of a folder laid out as THINGS-EEG2: `image_embeddings/{training_images|test_images}/<concept>/<file>_<suffix>.npy`, checked
 *  against `image_metadata.npy`. @param bank receives the handle @param folder the data set's root @param partition "training", "test" or "all" @param suffix name of the image model; NULL = the only one there
 *  @param progress may be NULL @param user for @p progress */
ND_API nd_status nd_bank_open_things_eeg2(nd_bank **bank, const char *folder, const char *partition, const char *suffix, nd_progress_fn progress, void *user);

/** @brief Writes the bank as a safetensors file that nd_bank_open() reads. */
ND_API nd_status nd_bank_save(const nd_bank *bank, const char *path);

/** @brief The same in a chosen precision. @param bank whose vectors @param path of the file @param precision ND_PRECISION_FLOAT32 or ND_PRECISION_BFLOAT16: half the space, relative error up to
 *  2^-8; in memory a bank is always float32 @return ::ND_ERR_ARGUMENT, ::ND_ERR_IO. */
ND_API nd_status nd_bank_save_as(const nd_bank *bank, const char *path, int32_t precision);

/** @brief Frees the handle; NULL is allowed. */
ND_API void nd_bank_free(nd_bank *bank);

/** @brief Describes the bank. @param bank the handle @param info its `size` must be set. */
ND_API nd_status nd_bank_get_info(const nd_bank *bank, nd_bank_info *info);

/** @brief Name and vector length of layer @p index; either output may be NULL. */
ND_API nd_status nd_bank_get_layer(const nd_bank *bank, size_t index, const char **name, size_t *dim);

/** @brief Id of the image in row @p index. */
ND_API nd_status nd_bank_get_image(const nd_bank *bank, size_t index, const char **id);

/** @brief Copies all vectors of a layer (n_images x dim). @param layer NULL = the first. @param bank the handle @param vectors receives them @param capacity room, in elements */
ND_API nd_status nd_bank_get_vectors(const nd_bank *bank, const char *layer, float *vectors, size_t capacity);

/** @brief Keeps the images named, in that order. @return ::ND_ERR_ARGUMENT naming the first id that the bank lacks. */
ND_API nd_status nd_bank_select(nd_bank **bank, const nd_bank *source, const char *const *image_ids, size_t n_images);

/** @brief The images of a dataset, in its order: the gallery for its trials. @return ::ND_ERR_ARGUMENT naming the first image that the bank lacks and how many. */
ND_API nd_status nd_bank_select_for(nd_bank **bank, const nd_bank *source, const nd_dataset *dataset);

/** @brief Appends images: the rows of @p second after those of @p first. Layers must agree, ids must differ. */
ND_API nd_status nd_bank_append(nd_bank **bank, const nd_bank *first, const nd_bank *second);

/** @brief Joins layers of two banks over the images of @p first; a layer name in both is an error. */
ND_API nd_status nd_bank_add_layers(nd_bank **bank, const nd_bank *first, const nd_bank *second);

/** @brief One layer out of several, side by side. @param bank receives the handle @param source whose layers
 *  @param layers names separated by blanks or commas; NULL = all @param unit_length 1 = each part is scaled to length 1 first, so that each has the same say. */
ND_API nd_status nd_bank_concat_layers(nd_bank **bank, const nd_bank *source, const char *layers, int32_t unit_length);

/** @brief Standardises each dimension of each layer to mean 0 and population deviation 1 as measured on @p fit (NULL = on @p source); constant dimensions become 0. */
ND_API nd_status nd_bank_standardise(nd_bank **bank, const nd_bank *source, const nd_bank *fit);

/** @brief Applies a human-alignment transform y = ((x - mean) / std) W + b to every layer whose length fits (gLocal, Muttenthaler et al. 2023).
 *  @param bank receives the handle @param source what to align @param transform `.npz` with `weights` (dim x dim'), scalars `mean` and `std`, and perhaps `bias`.
 *  @return ::ND_ERR_FORMAT with both shapes where they do not fit. */
ND_API nd_status nd_bank_align(nd_bank **bank, const nd_bank *source, const char *transform);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
