/* The table of formats: one file, one row. */
#ifndef NDI_FORMAT_H
#define NDI_FORMAT_H

#include "io/content.h"
#include "io/out.h"

/* An array to write: either all `data` (native, C order) or a function that is asked for consecutive runs of elements. */
typedef struct put_array {
    const char *name;
    dtype type;
    size_t n_dims, shape[NDI_MAX_DIMS];
    const void *data;
    nd_status (*fill)(void *context, size_t first, size_t count, void *elements);
    void *context;
} put_array;

typedef struct put_texts {
    const char *name;
    const char *const *items;
    size_t n;
    bool list;
    bool objects; /* of a list: as a NumPy array of objects, where the format knows such */
} put_texts;

typedef struct put {
    const put_array *arrays;
    size_t n_arrays;
    const put_texts *texts;
    size_t n_texts;
    const char *metadata; /* JSON object or NULL */
} put;

typedef struct format {
    const char *name, *title, *extensions;
    int (*probe)(const uint8_t *head, size_t n, const char *extension); /* 0 no .. 100 certain; `extension` without dot, may be "" */
    nd_status (*read)(content *c, stream *s);                           /* NULL: cannot */
    nd_status (*write)(out *o, const put *what);                        /* NULL: cannot; says ND_ERR_UNSUPPORTED for what it has no place for */
} format;

extern const format *const ndi_formats[]; /* NULL-terminated */

/* Writes a file, whole or not at all, as the format called `name`; NULL = by the extension of path. */
nd_status ndi_format_write(const char *path, const char *name, const put *what);

#endif
