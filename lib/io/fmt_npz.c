/* NumPy's .npz: a ZIP archive with one .npy file per array. Texts are arrays of type U, metadata is one string. */
#include <string.h>
#include <utf8proc.h>

#include "base/bytes.h"
#include "io/numpy.h"
#include "io/put.h"
#include "io/stream_kind.h"
#include "io/zip.h"

static const char suffix[] = ".npy";
enum { SUFFIX_BYTES = 4, MAX_NAME = 1024 };

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    if (!ndi_zip_probe(head, n)) return 0;
    return strcmp(extension, "npz") == 0 ? 95 : 40;
}

/* ---- reading ---- */

static bool is_array(const zip_entry *e)
{
    const size_t n = strlen(e->name);
    return n > SUFFIX_BYTES && strcmp(e->name + n - SUFFIX_BYTES, suffix) == 0;
}

static nd_status read_member(content *c, const zip *z, const zip_entry *e)
{
    char name[MAX_NAME];
    const size_t n = strlen(e->name);
    CHECK(n < sizeof name, ND_ERR_UNSUPPORTED, "%s: a name of %zu bytes, expected less than %zu", ndi_stream_name(z->in), n, sizeof name);
    memcpy(name, e->name, n - SUFFIX_BYTES);
    name[n - SUFFIX_BYTES] = '\0';
    stream *s;
    TRY(ndi_zip_open(z, e, &s));
    TRY(ndi_content_add_stream(c, s));
    TRY(ndi_npy_read(c, s, name));
    ndi_stream_release(s);
    return ND_OK;
}

static nd_status read_members(content *c, const zip *z)
{
    size_t n = 0;
    for (size_t i = 0; i < z->n; i++) {
        if (!is_array(&z->entries[i])) continue;
        TRY(read_member(c, z, &z->entries[i]));
        n++;
    }
    CHECK(n > 0 || z->n == 0, ND_ERR_UNSUPPORTED, "%s: is a ZIP archive without .npy files in it, '%s' is its first member", ndi_stream_name(z->in),
          z->entries[0].name);
    return ND_OK;
}

static nd_status read(content *c, stream *s)
{
    zip z = { 0 };
    nd_status status = ndi_zip_read(&z, s);
    if (status == ND_OK) status = read_members(c, &z);
    ndi_zip_free(&z);
    return status;
}

/* ---- writing ---- */

static nd_status begin(zip_out *z, const char *name, const char *descr, size_t n_dims, const size_t *shape, size_t bytes, uint32_t *crc)
{
    text head = { 0 };
    nd_status status = ndi_npy_header(&head, descr, n_dims, shape);
    if (status == ND_OK) status = ndi_zip_begin(z, name, suffix, head.n + (uint64_t)bytes);
    if (status == ND_OK) status = ndi_put_bytes(z->o, head.s, head.n, crc);
    ndi_text_free(&head);
    return status;
}

static nd_status write_array(zip_out *z, const put_array *a)
{
    size_t n, bytes;
    uint32_t crc = 0;
    const char *descr = ndi_numpy_descr(a->type);
    CHECK(descr, ND_ERR_UNSUPPORTED, "%s: array '%s': NumPy has no %s; safetensors has", ndi_out_name(z->o), a->name, ndi_dtype_name(a->type));
    TRY(ndi_put_size(z->o, a, &n, &bytes));
    TRY(begin(z, a->name, descr, a->n_dims, a->shape, bytes, &crc));
    TRY(ndi_put_elements(z->o, a, &crc));
    return ndi_zip_end(z, crc);
}

/* Number of characters, or of UCS-4 characters written to `to`, which has room for them. */
static size_t decode(const char *s, uint8_t *to)
{
    const size_t bytes = strlen(s);
    size_t n = 0;
    for (size_t at = 0; at < bytes; n++) {
        utf8proc_int32_t point;
        utf8proc_ssize_t step = utf8proc_iterate((const uint8_t *)s + at, (utf8proc_ssize_t)(bytes - at), &point);
        if (step <= 0) { /* not UTF-8: byte by byte */
            step = 1;
            point = (uint8_t)s[at];
        }
        at += (size_t)step;
        if (to) ndi_put_le32(to + 4 * n, (uint32_t)point);
    }
    return n;
}

static nd_status write_texts(zip_out *z, const put_texts *t)
{
    size_t width = 1, bytes;
    uint32_t crc = 0;
    char descr[32];
    for (size_t i = 0; i < t->n; i++) {
        size_t n = decode(t->items[i], NULL);
        if (n > width) width = n;
    }
    CHECK(ndi_mul(4 * width, t->n, &bytes), ND_ERR_ARGUMENT, "%s: '%s' is too large", ndi_out_name(z->o), t->name);
    ndi_format(descr, sizeof descr, "<U%zu", width);
    TRY(begin(z, t->name, descr, t->list ? 1 : 0, &t->n, bytes, &crc));
    uint8_t *item;
    TRY(NEW(item, 4 * width));
    nd_status status = ND_OK;
    for (size_t i = 0; i < t->n && status == ND_OK; i++) {
        memset(item, 0, 4 * width);
        decode(t->items[i], item);
        status = ndi_put_bytes(z->o, item, 4 * width, &crc);
    }
    ndi_free(item);
    return status == ND_OK ? ndi_zip_end(z, crc) : status;
}

static nd_status write_all(zip_out *z, const put *what)
{
    for (size_t i = 0; i < what->n_arrays; i++) TRY(write_array(z, &what->arrays[i]));
    for (size_t i = 0; i < what->n_texts; i++) TRY(write_texts(z, &what->texts[i]));
    if (what->metadata) TRY(write_texts(z, &(put_texts){ .name = NDI_METADATA_NAME, .items = &what->metadata, .n = 1 }));
    return ndi_zip_finish(z);
}

static nd_status write(out *o, const put *what)
{
    zip_out z = { .o = o };
    nd_status status = write_all(&z, what);
    ndi_zip_out_free(&z);
    return status;
}

const format ndi_format_npz = { "npz", "NumPy archive of arrays", "npz", probe, read, write };
