/* Python pickles, read by a machine that knows plain data, NumPy arrays and PyTorch tensors and refuses everything else by its name. Nothing is ever executed. */
#ifndef NDI_PICKLE_H
#define NDI_PICKLE_H

#include "io/format.h"

/* Where the bytes are that a pickle keeps outside under a key, as PyTorch does. The stream that is found belongs to somebody else. */
typedef struct pickle_outside {
    void *context;
    nd_status (*find)(void *context, const char *key, stream **s);
    bool big_endian;
} pickle_outside;

/* The pickle at byte `at` of the stream. Keys of dicts and places in lists become names, begun with `name`, where that is not "". They are joined
 * by '/', or by '.', the habit of PyTorch, in a pickle with `outside` (else NULL). A single thing without a name is called "data". Arrays stay in
 * the stream. */
nd_status ndi_pickle_read(content *c, stream *s, uint64_t at, const char *name, const pickle_outside *outside);

/* A dict of arrays and texts, protocol 4; `boxed` = as the only element of an object array of no dimensions. */
nd_status ndi_pickle_write(out *o, const put *what, bool boxed);

#endif
