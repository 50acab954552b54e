/* MATLAB's MAT-files, versions 4 to 7. Version 7.3 is HDF5 and read there. */
#include <string.h>

#include "io/format.h"
#include "io/mat_value.h"
#include "io/mat.h"

int ndi_mat_probe(const uint8_t *head, size_t n, const char *extension)
{
    if (ndi_mat5_probe(head, n)) return 95;
    if (!ndi_mat4_probe(head, n)) return 0;
    return strcmp(extension, "mat") == 0 ? 60 : 5; /* version 4 has no mark of its own */
}

nd_status ndi_mat_read(mat_file *f, mat_value *root)
{
    uint8_t head[128];
    size_t n;
    TRY(ndi_stream_read_some(f->in, 0, head, sizeof head, &n));
    return ndi_mat5_probe(head, n) ? ndi_mat5_read(f, root) : ndi_mat4_read(f, root);
}

static nd_status read(content *c, stream *s)
{
    mat_file f = { .c = c, .in = s, .name = ndi_stream_name(s) };
    mat_value root = { 0 };
    TRY(ndi_mat_read(&f, &root));
    return ndi_mat_add(&f, &root);
}

const format ndi_format_mat = { "mat", "MATLAB file, version 4 to 7", "mat", ndi_mat_probe, read, NULL };
