/* The thread-local message. Written with a fixed buffer so that "out of memory" can be said without memory. */
#include "base/status.h"

#include <stdarg.h>
#include <string.h>

#include "base/text.h"

enum { MESSAGE_SIZE = 1024 };
static _Thread_local char message[MESSAGE_SIZE];

void ndi_say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ndi_vformat(message, sizeof message, format, arguments);
    va_end(arguments);
}

nd_status ndi_prefix(nd_status status, const char *format, ...)
{
    if (status == ND_OK) return status;
    char before[MESSAGE_SIZE], after[MESSAGE_SIZE];
    memcpy(after, message, sizeof after);
    va_list arguments;
    va_start(arguments, format);
    ndi_vformat(before, sizeof before, format, arguments);
    va_end(arguments);
    ndi_format(message, sizeof message, "%s: %s", before, after);
    return status;
}

const char *nd_last_error(void) { return message; }

const char *nd_status_name(nd_status status)
{
    switch (status) {
#define STATUS_CASE(name, value, text) \
    case value: return "ND_" #name;
        ND_STATUS_MAP(STATUS_CASE)
#undef STATUS_CASE
    default: return "ND_ERR_?";
    }
}
