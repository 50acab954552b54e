/** @file file.h
 *  @brief What is in a file, and writing plain arrays. */
#ifndef NEURODECODE_FILE_H
#define NEURODECODE_FILE_H

#include "common.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup file Files
 *  @brief Looking into files of any supported format. The format is recognised by content; an extension only breaks ties.
 *  @{ */

/** @brief One row of the table of formats. */
typedef struct nd_format_info {
    size_t size;             /**< set by the caller */
    const char *name;        /**< "npy" */
    const char *title;       /**< "NumPy array" */
    const char *extensions;  /**< without dots, separated by blanks */
    int32_t can_read;        /**< 1 = this build reads it */
    int32_t can_write;       /**< 1 = this build writes it */
} nd_format_info;

/** @brief Describes the format at @p index of the table.
 *  @return ::ND_ERR_ARGUMENT past the end of the table, which is how to find the end. */
ND_API nd_status nd_format_get_info(size_t index, nd_format_info *info);

/** @brief Explains a file as one JSON object: `path`, `format`, `bytes`, `arrays` (a list of `name`, `dtype`, `shape`, `order`, which is "C", "F" or
 *  "strided", and the `value` of those without dimensions), `text` (named strings and lists of strings), for a continuous recording `recording` (`rate`, `samples`, `seconds`, `channels` as a
 *  list of `name`, `type` and `unit`, `events` with the number of each), for epochs and averages `trials` (`kind`, which is "epochs" or "averages", `trials`, `samples`, `rate`, `start` and `end`
 *  in seconds, `channels` and `events` as above, `columns` of the metadata), for files this library wrote, `kind` ("dataset", "bank", "encoder", "trainer")
 *  and `metadata`, and for weights of other programs `resembles`, the encoder whose tensors they seem to be. No array is loaded.
 *  @return ::ND_ERR_IO, ::ND_ERR_FORMAT, ::ND_ERR_UNSUPPORTED or ::ND_ERR_BUFFER. */
ND_API nd_status nd_file_describe(const char *path, char *json, size_t capacity, size_t *needed);

/** @brief Writes everything in a file in another format, by the extension of @p to: arrays with their names and types, in C order, texts and metadata. Arrays are streamed; the file appears
 *  whole or not at all.
 *  @param from any supported file, such as a PyTorch checkpoint
 *  @param to `.npz`, `.safetensors` or `.pickle`; a `.npy`, `.csv` or `.tsv` takes what fits into it
 *  @return ::ND_ERR_IO, ::ND_ERR_FORMAT, ::ND_ERR_UNSUPPORTED (extension, or something the format has no place for, such as bfloat16 in NumPy's), ::ND_ERR_MEMORY. */
ND_API nd_status nd_file_convert(const char *from, const char *to);

/** @brief Reads one numeric array as float32, C order, whatever its stored type and order.
 *  @param path any supported file
 *  @param variable name of the array inside; NULL = the only one
 *  @param shape receives the extents, @p n_dims of them; at most 8
 *  @param n_dims in: room in @p shape; out: number of dimensions
 *  @param values receives the elements; NULL with @p capacity 0 asks for the shape only
 *  @param capacity room in @p values, in elements
 *  @return ::ND_ERR_IO, ::ND_ERR_FORMAT, ::ND_ERR_UNSUPPORTED, ::ND_ERR_BUFFER. */
ND_API nd_status nd_array_read(const char *path, const char *variable, size_t *shape, size_t *n_dims, float *values, size_t capacity);

/** @brief Writes a float32 array as `.npy`, `.npz` (array name "data"), `.safetensors` ("data") or `.csv`/`.tsv` (two dimensions at most), by the extension of @p path. The file
 *  appears whole or not at all.
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_UNSUPPORTED (extension) or ::ND_ERR_IO. */
ND_API nd_status nd_array_write(const char *path, const float *values, const size_t *shape, size_t n_dims);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
