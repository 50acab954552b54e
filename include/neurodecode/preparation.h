/** @file preparation.h
 *  @brief From the published files of a data set to stores. */
#ifndef NEURODECODE_PREPARATION_H
#define NEURODECODE_PREPARATION_H

#include "encoder.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup preparation Preparation
 *  @brief Makes stores out of what a data set publishes, one data set a row of a table.
 *
 *  A preparation first looks which files are there and plans its steps; nd_preparation_run() works them off. Every finished step leaves a file in the output
 *  folder, so that work that was cancelled or killed goes on where it was. `<name>_preparation.json` there says what was made of which files with which
 *  parameters; files made otherwise are not written over.
 *  @{ */

/** @brief The way from the files of one data set, for one person, to stores. */
typedef struct nd_preparation nd_preparation;

/** @brief One row of the table of data sets. Texts live for ever. */
typedef struct nd_preparation_kind_info {
    size_t size;         /**< set by the caller */
    const char *name;    /**< "things-eeg2" */
    const char *title;   /**< one line */
    const char *source;  /**< who published the files, and where */
} nd_preparation_kind_info;

/** @brief Where to and how. */
typedef struct nd_preparation_options {
    size_t size;          /**< set by nd_preparation_options_init() */
    const char *output;   /**< folder that receives the stores, made if need be; must be given */
    const char *params;   /**< parameters of the kind, as "subject=2 rate=100"; NULL = defaults */
    int32_t n_threads;    /**< 0 = all this process may use */
    int32_t reserved;     /**< 0 */
} nd_preparation_options;

/** @brief Row @p index of the table of data sets. @param index from 0 @param info its `size` must be set.
 *  @return ::ND_ERR_ARGUMENT after the last row. */
ND_API nd_status nd_preparation_kind_get_info(size_t index, nd_preparation_kind_info *info);

/** @brief Parameter @p index of a kind. @param kind name of the row @param index from 0 @param info its `size` must be set.
 *  @return ::ND_ERR_ARGUMENT after the last one or for an unknown kind. */
ND_API nd_status nd_preparation_kind_get_param(const char *kind, size_t index, nd_param_info *info);

/** @brief Writes the defaults into @p options, @p size bytes of it. @return ::ND_ERR_ARGUMENT for NULL or an impossible size. */
ND_API nd_status nd_preparation_options_init(nd_preparation_options *options, size_t size);

/** @brief Looks at names, sizes and headers of the files and plans the steps; writes nothing. Missing files are no failure, see nd_preparation_get_report().
 *  @param preparation receives the handle
 *  @param kind name of a row
 *  @param source folder of the published files
 *  @param options `output` must be set
 *  @return ::ND_ERR_ARGUMENT, ::ND_ERR_FORMAT for a file that is not what it should be, ::ND_ERR_IO, ::ND_ERR_MEMORY. */
ND_API nd_status nd_preparation_create(nd_preparation **preparation, const char *kind, const char *source, const nd_preparation_options *options);

/** @brief The plan and how far it has come, as one JSON object: `kind`, `source`, `output`, `name`, `params` (object), `found` (list of `file`, `bytes`, `shape`),
 *  `missing` (list of file names), `steps` (list of `name`, `done`), `outputs` (list of `file`, `bytes`, `exists`), `memory_bytes` (what the work takes at the
 *  most), `disk_bytes` (what the steps that are left will write), `done`.
 *  @param preparation the handle @param json receives the text @param capacity its bytes @param needed receives the bytes it takes; may be NULL
 *  @return ::ND_ERR_BUFFER, ::ND_ERR_ARGUMENT, ::ND_ERR_MEMORY. */
ND_API nd_status nd_preparation_get_report(const nd_preparation *preparation, char *json, size_t capacity, size_t *needed);

/** @brief Works off the steps that are left. @param preparation the handle @param progress may be NULL @param user for @p progress
 *  @return ::ND_ERR_IO where files are missing (the message names them) or the disk is too small; ::ND_ERR_STATE where the output folder holds files that were made
 *  otherwise; ::ND_ERR_FORMAT, ::ND_ERR_NUMERIC, ::ND_ERR_CANCELLED, ... */
ND_API nd_status nd_preparation_run(nd_preparation *preparation, nd_progress_fn progress, void *user);

/** @brief Frees the handle; NULL is allowed. */
ND_API void nd_preparation_free(nd_preparation *preparation);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
