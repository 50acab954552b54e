/* Status and message of the last failure, and the three macros every function is written with. */
#ifndef NDI_STATUS_H
#define NDI_STATUS_H

#include "neurodecode/common.h"

/* Stores the message for this thread (no allocation, locale-free) and returns the code: `return ndi_fail(ND_ERR_FORMAT, "…", …)`. */
nd_status ndi_fail(nd_status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the present message, for a caller that knows the file or the field; returns `status` and does nothing when it is ND_OK. */
nd_status ndi_prefix(nd_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* TRY forwards a failure. GO does so through the label `done` with a local `status`, where something must be freed. CHECK fails unless a condition holds. */
#define TRY(expression)                                                                                                                        \
    do {                                                                                                                                       \
        nd_status try_status_ = (expression);                                                                                                  \
        if (try_status_ != ND_OK) return try_status_;                                                                                          \
    } while (0)
#define GO(expression)                                                                                                                         \
    do {                                                                                                                                       \
        status = (expression);                                                                                                                 \
        if (status != ND_OK) goto done;                                                                                                        \
    } while (0)
#define CHECK(condition, code, ...)                                                                                                            \
    do {                                                                                                                                       \
        if (!(condition)) return ndi_fail((code), __VA_ARGS__);                                                                                \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
