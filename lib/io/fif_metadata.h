/* The table that epochs carry with them: a row for each epoch, columns of numbers or text; in the file a JSON list of objects. */
#ifndef NDI_FIF_METADATA_H
#define NDI_FIF_METADATA_H

#include "io/content.h"

typedef struct fif_column fif_column;

typedef struct fif_metadata {
    fif_column *columns; /* those of the first row */
    size_t n_columns;
    size_t n_rows;
} fif_metadata;

/* Appends the rows of a list; `where` begins the messages. */
nd_status ndi_fif_metadata_add(fif_metadata *m, content *c, const char *json, size_t n, const char *where);

/* Gives the content an array or a list of texts for each column, called "metadata/<column>". Cells without a value are NaN or "". */
nd_status ndi_fif_metadata_settle(const fif_metadata *m, content *c);

#endif
