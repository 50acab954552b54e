/* The tags of a FIF file (Neuromag; as documented by MNE): kind, type, size and place of the next, big endian, nested in blocks. */
#ifndef NDI_FIF_H
#define NDI_FIF_H

#include "io/stream.h"

enum fif_kind {
    FIF_FILE_ID = 100,
    FIF_BLOCK_START = 104,
    FIF_BLOCK_END = 105,
    FIF_REF_ROLE = 115,
    FIF_REF_FILE_NAME = 118,
    FIF_N_CHANNELS = 200,
    FIF_RATE = 201,
    FIF_CHANNEL = 203,
    FIF_MEAS_DATE = 204,
    FIF_COMMENT = 206,
    FIF_N_AVERAGED = 207,
    FIF_FIRST_SAMPLE = 208,
    FIF_LAST_SAMPLE = 209,
    FIF_ASPECT_KIND = 210,
    FIF_LOWPASS = 219,
    FIF_HIGHPASS = 223,
    FIF_N_SAMPLES = 228,
    FIF_FIRST_TIME = 229,
    FIF_CHANNEL_NAME = 258,
    FIF_DATA_BUFFER = 300,
    FIF_DATA_SKIP = 301,
    FIF_EPOCH = 302,
    FIF_EVENT_LIST = 3561,
    FIF_EVENT_COMMENTS = 3566,
    FIF_BEGIN_TIMES = 3568, /* in a block of epochs or an average: of the baseline */
    FIF_END_TIMES = 3569
};

enum fif_block {
    FIF_BLOCK_MEAS_INFO = 101,
    FIF_BLOCK_RAW = 102,
    FIF_BLOCK_EVOKED = 104,
    FIF_BLOCK_ASPECT = 105,
    FIF_BLOCK_CONTINUOUS = 112,
    FIF_BLOCK_CHANNEL = 113,
    FIF_BLOCK_REF = 118,
    FIF_BLOCK_SHIELDED_RAW = 119,
    FIF_BLOCK_SHIELDED_ASPECT = 120,
    FIF_BLOCK_PROJECTIONS = 313,
    FIF_BLOCK_SOURCE_SPACE = 351,
    FIF_BLOCK_FORWARD = 352,
    FIF_BLOCK_COVARIANCE = 355,
    FIF_BLOCK_INVERSE = 356,
    FIF_BLOCK_EVENTS = 361,
    FIF_BLOCK_EPOCHS = 373,
    FIF_BLOCK_ICA = 374,
    FIF_BLOCK_ANNOTATIONS = 3810,
    FIF_BLOCK_METADATA = 3811
};

enum fif_type {
    FIF_VOID = 0,
    FIF_INT16 = 2,
    FIF_INT32 = 3,
    FIF_FLOAT = 4,
    FIF_DOUBLE = 5,
    FIF_PACK16 = 16,
    FIF_COMPLEX_FLOAT = 20,
    FIF_COMPLEX_DOUBLE = 21,
    FIF_MATRIX = 1 << 30 /* added to the type of the elements; the extents follow them, the fastest first, and their number */
};

enum { FIF_MAX_DEPTH = 32 };

typedef struct fif_tag {
    int32_t kind, type;
    uint64_t at; /* of the content */
    size_t n;    /* bytes of it */
} fif_tag;

/* Goes from tag to tag as each names the next. */
typedef struct fif_cursor {
    stream *in;
    uint64_t next, size;
    bool end;
    size_t n_back;                 /* steps back so far */
    int32_t blocks[FIF_MAX_DEPTH]; /* that are open, the innermost last */
    size_t depth;
} fif_cursor;

nd_status ndi_fif_start(fif_cursor *c, stream *in);
nd_status ndi_fif_next(fif_cursor *c, fif_tag *tag);     /* sets `end` after the last one */
bool ndi_fif_inside(const fif_cursor *c, int32_t block); /* the innermost block */
int32_t ndi_fif_outer(const fif_cursor *c);              /* the block around the innermost one, 0 = none */

nd_status ndi_fif_int(const fif_cursor *c, const fif_tag *tag, int32_t *value);
nd_status ndi_fif_float(const fif_cursor *c, const fif_tag *tag, double *value);
nd_status ndi_fif_bytes(const fif_cursor *c, const fif_tag *tag, char **bytes); /* NUL-terminated, to be freed */

static inline int32_t ndi_fif_i32(const void *p)
{
    const uint8_t *b = p;
    return (int32_t)((uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | (uint32_t)b[3]);
}

float ndi_fif_f32(const void *p);

#endif
