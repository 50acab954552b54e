/* Python pickles, read by a machine that knows plain data and NumPy arrays and refuses everything else by its name. Nothing is ever executed. */
#ifndef NDI_PICKLE_H
#define NDI_PICKLE_H

#include "io/format.h"

/* The pickle at byte `at` of the stream. Keys of dicts and places in lists become names, joined by '/' and begun with `name`, where that is not
 * "". A single thing without a name is called "data". Arrays stay in the stream. */
nd_status ndi_pickle_read(content *c, stream *s, uint64_t at, const char *name);

/* A dict of arrays and texts, protocol 4; `boxed` = as the only element of an object array of no dimensions. */
nd_status ndi_pickle_write(out *o, const put *what, bool boxed);

#endif
