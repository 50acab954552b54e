/* Status and message of the last failure, and the three macros every function is written with. */
#ifndef NDI_STATUS_H
#define NDI_STATUS_H

#include "neurodecode/common.h"

/* Stores the message for this thread (no allocation, locale-free) and has the value of the code: `return ndi_fail(ND_ERR_FORMAT, "…", …)`. A macro, so that compiler and analyser
 * see that a failure is not ND_OK. */
#define ndi_fail(code, ...) (ndi_say(__VA_ARGS__), (nd_status)(code))
void ndi_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

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
