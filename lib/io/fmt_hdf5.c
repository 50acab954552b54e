/* HDF5, and MAT-files of version 7.3, which are HDF5 behind 512 bytes of text. Read by libhdf5 where the library was built with it. */
#include <string.h>

#include "io/format.h"
#include "io/mat_value.h"
#ifdef ND_HAVE_HDF5
#include "io/hdf5.h"
#endif

/* The signature stands at 0, 512, 1024, 2048, ... */
bool ndi_hdf5_probe(const uint8_t *head, size_t n)
{
    static const uint8_t signature[] = { 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n' };
    for (size_t at = 0; at + sizeof signature <= n; at = at ? 2 * at : 512)
        if (memcmp(head + at, signature, sizeof signature) == 0) return true;
    return false;
}

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    (void)extension;
    return ndi_hdf5_probe(head, n) ? 96 : 0;
}

#ifdef ND_HAVE_HDF5
static nd_status read(content *c, stream *s) { return ndi_hdf5_read(c, s); }
#else
static nd_status missing(const stream *s) { return ndi_fail(ND_ERR_UNSUPPORTED, "%s: unsupported: built without hdf5", ndi_stream_name(s)); }

static nd_status read(content *c, stream *s)
{
    (void)c;
    return missing(s);
}

nd_status ndi_mat_read_hdf5(mat_file *f, mat_value *root)
{
    (void)root;
    return missing(f->in);
}
#endif

const format ndi_format_hdf5 = { "hdf5", "HDF5, and MATLAB file of version 7.3", "h5 hdf5 mat", probe, read, NULL };
