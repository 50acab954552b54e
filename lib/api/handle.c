#include "api/handle.h"

#include <string.h>

nd_status ndi_options_in(void *known, size_t known_size, const void *given, const char *what)
{
    if (!given) return ND_OK;
    size_t size;
    memcpy(&size, given, sizeof size);
    CHECK(size >= sizeof size && size <= 65536, ND_ERR_ARGUMENT, "%s: its size field says %zu; was it filled by its init function?", what, size);
    const char *bytes = given;
    for (size_t i = known_size; i < size; i++)
        CHECK(bytes[i] == 0, ND_ERR_UNSUPPORTED, "%s: has fields that version %s of the library does not know", what, nd_version());
    memcpy(known, given, size < known_size ? size : known_size);
    memcpy(known, &known_size, sizeof known_size);
    return ND_OK;
}

nd_status ndi_struct_out(void *given, const void *known, size_t known_size, const char *what)
{
    CHECK(given, ND_ERR_ARGUMENT, "%s: NULL", what);
    size_t size;
    memcpy(&size, given, sizeof size);
    CHECK(size >= sizeof size && size <= 65536, ND_ERR_ARGUMENT, "%s: its size field says %zu; set it to sizeof first", what, size);
    memset(given, 0, size);
    memcpy(given, known, size < known_size ? size : known_size);
    memcpy(given, &size, sizeof size);
    return ND_OK;
}

nd_status ndi_options_init(void *given, size_t size, const void *known, size_t known_size, const char *what)
{
    CHECK(given, ND_ERR_ARGUMENT, "%s: NULL", what);
    CHECK(size >= sizeof size && size <= 65536, ND_ERR_ARGUMENT, "%s: size is %zu", what, size);
    memset(given, 0, size);
    memcpy(given, known, size < known_size ? size : known_size);
    memcpy(given, &size, sizeof size);
    return ND_OK;
}
