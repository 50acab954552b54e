/* Cells of a text file of rows and columns, one after the other, as often as wanted. */
#ifndef NDI_TABLE_H
#define NDI_TABLE_H

#include <stdbool.h>

#include "io/stream.h"

typedef struct cell {
    const char *s; /* n bytes, without quotes and blanks around them; valid until the next cell */
    size_t n, row, column;
} cell;

typedef struct table {
    const char *file;
    char *bytes;            /* the whole file and a NUL */
    const char *body, *end; /* without byte order mark and comments */
    char separator;
    size_t n_columns;
    nd_status status; /* why ndi_table_next() stopped, ND_OK at the end */
    /* private */
    const char *at;
    size_t row, column;
    bool due; /* a cell is due even if there is nothing left, as after a separator */
    char *unquoted;
} table;

/* Loads the file, finds the separator and counts the columns of the first row. Free in any case. */
nd_status ndi_table_open(table *t, stream *s);
nd_status ndi_table_by_blanks(table *t); /* takes blanks as what separates the cells */
void ndi_table_close(table *t);

void ndi_table_start(table *t);
bool ndi_table_next(table *t, cell *x); /* false at the end or on failure; a row of another length than the first is one */

/* The first column whose name, in the first row, is one of those listed. */
#define NDI_NO_COLUMN SIZE_MAX
size_t ndi_table_find(table *t, const char *names);

bool ndi_cell_is_missing(const cell *x); /* "", "n/a" and the like */

/* A whole text file, NUL-terminated. */
nd_status ndi_text_load(stream *s, char **bytes, size_t *n);

#endif
