/** @file common.h
 *  @brief Status codes, versions, messages, progress: what every other header builds on. */
#ifndef NEURODECODE_COMMON_H
#define NEURODECODE_COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup common Common
 *  @brief Rules that hold for the whole interface.
 *
 *  - **Arguments** come in one order: the handle (or where to put it), inputs, outputs, options, callback and its user pointer.
 *    Every array is followed by its size in elements. Strings are UTF-8.
 *  - **Results**: ::ND_OK or a negative code; nd_last_error() then says in one line what was wrong. On failure a handle output is
 *    NULL and every other output is untouched.
 *  - **Ownership**: what you pass is copied. A handle you receive is yours and goes to its `free` exactly once, in any order: handles
 *    that need each other keep hidden references. A `const char *` you receive lives as long as the handle it came from.
 *  - **Threads**: a `const` handle may be used from several threads at once, a non-const one from one at a time. Callbacks run on the
 *    calling thread. Handles made before `fork` may be used in the child, if no other thread was inside the
 *    library at that moment.
 *  - **Structs** that cross the border begin with their `size`. Fill options with their `_init` function; set `size` of a struct that
 *    receives results. NULL options mean all defaults.
 *  - **Text results** are written into a buffer of `capacity` bytes, terminator included; `needed` (may be NULL) receives the size it
 *    takes. Too small a buffer gives ::ND_ERR_BUFFER; capacity 0 with a NULL buffer asks for the size and gives ::ND_OK.
 *  @{ */

/** @brief Major version; also the number in the shared library's name. */
#define ND_VERSION_MAJOR 0
/** @brief Minor version. */
#define ND_VERSION_MINOR 1
/** @brief Patch version. */
#define ND_VERSION_PATCH 0

/** @brief Marks the exported functions. */
#if defined(_WIN32)
#  define ND_API
#elif defined(__GNUC__)
#  define ND_API __attribute__((visibility("default")))
#else
#  define ND_API
#endif

/** @brief Every status: X(name, value, meaning). Values are never reused. */
#define ND_STATUS_MAP(X)                                                  \
    X(OK, 0, "success")                                                   \
    X(ERR_ARGUMENT, -1, "an argument is wrong: mend the call")            \
    X(ERR_MEMORY, -2, "out of memory")                                    \
    X(ERR_IO, -3, "a file could not be opened, read or written")          \
    X(ERR_FORMAT, -4, "a file is damaged or not what it says it is")      \
    X(ERR_UNSUPPORTED, -5, "understood, but not supported here")          \
    X(ERR_STATE, -6, "the handle is not in a state that allows this")     \
    X(ERR_NUMERIC, -7, "not-a-number, infinity or a singular matrix")     \
    X(ERR_CANCELLED, -8, "a callback asked to stop")                      \
    X(ERR_BUFFER, -9, "the buffer passed is too small")                   \
    X(ERR_INTERNAL, -10, "a defect of this library: please report it")

/** @brief Result of nearly every function: ::ND_OK or one of the negative codes. */
typedef int32_t nd_status;

/** @brief The status codes of #ND_STATUS_MAP as constants. */
enum {
#define ND_STATUS_ENUM(name, value, text) ND_##name = value,
    ND_STATUS_MAP(ND_STATUS_ENUM)
#undef ND_STATUS_ENUM
    ND_STATUS_LAST_ = -10 /**< the lowest code in use */
};

/** @brief Version of the library that runs, "major.minor.patch". */
ND_API const char *nd_version(void);

/** @brief Version of the library that runs as major * 65536 + minor * 256 + patch. */
ND_API uint32_t nd_version_number(void);

/** @brief What the library was built with and what it uses here, as one JSON object: its version, the BLIS version and the BLIS kernels
 *  in use, the instruction set of its own kernels, optional features. Lives for ever. */
ND_API const char *nd_build_info(void);

/** @brief Name of a status, "ND_ERR_FORMAT"; "ND_ERR_?" for an unknown value. Lives for ever. */
ND_API const char *nd_status_name(nd_status status);

/** @brief What the last failing call on this thread said: one line of the form `where: what, got, expected`. Never NULL, valid until the
 *  next failing call on this thread, meaningful only after a failure. */
ND_API const char *nd_last_error(void);

/** @brief Levels of log lines. */
enum {
    ND_LOG_WARNING = 1, /**< something works, but probably not as meant */
    ND_LOG_INFO = 2,    /**< what is being done */
    ND_LOG_DEBUG = 3    /**< details for finding a fault */
};

/** @brief Receives log lines. @param level ::ND_LOG_WARNING and so on @param line one line, no newline @param user as given */
typedef void (*nd_log_fn)(int32_t level, const char *line, void *user);

/** @brief Sends log lines up to @p level to @p fn, from any thread; NULL makes the library silent, as it is at first. Set it before other
 *  threads use the library.
 *  @return ::ND_OK; ::ND_ERR_ARGUMENT for a level outside 1..3. */
ND_API nd_status nd_set_log(int32_t level, nd_log_fn fn, void *user);

/** @brief How far a long operation has come. Values that do not apply are 0. */
typedef struct nd_progress {
    size_t size;             /**< bytes of this struct as the library knows it */
    const char *stage;       /**< what is going on: "read", "train", "validate", "embed", ... */
    uint64_t done;           /**< units finished */
    uint64_t total;          /**< units in all, 0 = unknown */
    const char *unit;        /**< what is counted: "trials", "images", "steps", "bytes" */
    double seconds;          /**< since the operation began */
    double rate;             /**< units per second */
    double seconds_left;     /**< estimate, 0 = unknown */
    uint64_t epoch;          /**< training: current epoch, from 1 */
    uint64_t n_epochs;       /**< training: epochs at the most */
    double train_loss;       /**< training: mean loss of this epoch so far */
    double validation_loss;  /**< training: after the last finished epoch */
    double learning_rate;    /**< training: of this step */
    double temperature;      /**< training: of the contrastive loss */
} nd_progress;

/** @brief Receives progress on the calling thread, several times a second at the most and always at the end of a stage.
 *  @return 0 to go on; anything else stops the operation with ::ND_ERR_CANCELLED, everything as at the last finished step. */
typedef int32_t (*nd_progress_fn)(const nd_progress *progress, void *user);

/** @} */

#ifdef __cplusplus
}
#endif
#endif
