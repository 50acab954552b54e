/* Numbers by rows, for what is computed once and read many times: small tables in memory, others in a file that has no name any more and goes away
 * with the process. The file lies in the folder TMPDIR, or else in /var/tmp. It is read and written, not mapped, so that its pages are the system's. */
#ifndef NDI_ROWS_H
#define NDI_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rows rows;

nd_status ndi_rows_create(rows **r, size_t n_rows, uint64_t n); /* all zeros */
void ndi_rows_free(rows *r);

/* Numbers first .. first + count - 1 of a row. Concurrent, as long as nobody reads what another writes. */
nd_status ndi_rows_read(const rows *r, size_t row, uint64_t first, size_t count, double *to);
nd_status ndi_rows_write(rows *r, size_t row, uint64_t first, size_t count, const double *from);

#endif
