/* NumPy's .npy, versions 1.0 to 3.0: a magic string, a Python dict literal that says type, order and shape, then the elements. Arrays of objects
 * hold a pickle instead; the restricted pickle reader takes those that are plain data. See NumPy's numpy/lib/format.py. */
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "io/numpy.h"
#include "io/pickle.h"
#include "io/put.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC_BYTES = 6, ALIGNMENT = 64, MAX_HEADER = 1 << 20 };

static int probe(const uint8_t *head, size_t n, const char *extension)
{
    (void)extension;
    return n >= 10 && memcmp(head, magic, MAGIC_BYTES) == 0 ? 100 : 0;
}

/* ---- the header: just as much Python as NumPy writes ---- */

typedef struct header {
    const char *file, *s, *end; /* what is left to read */
    const char *descr;
    size_t descr_n;
    bool has_shape, has_order;
    array a;
} header;

static nd_status bad(const header *h, const char *what) { return ndi_fail(ND_ERR_FORMAT, "%s: npy header: %s", h->file, what); }

static void skip_blanks(header *h)
{
    while (h->s < h->end && strchr(" \t\r\n", *h->s)) h->s++;
}

static bool take(header *h, char c)
{
    skip_blanks(h);
    if (h->s == h->end || *h->s != c) return false;
    h->s++;
    return true;
}

static bool take_word(header *h, const char *word)
{
    skip_blanks(h);
    size_t n = strlen(word);
    if ((size_t)(h->end - h->s) < n || memcmp(h->s, word, n) != 0) return false;
    h->s += n;
    return true;
}

static bool take_string(header *h, const char **s, size_t *n)
{
    skip_blanks(h);
    if (h->s == h->end || (*h->s != '\'' && *h->s != '"')) return false;
    const char *close = memchr(h->s + 1, *h->s, (size_t)(h->end - h->s - 1));
    if (!close) return false;
    *s = h->s + 1;
    *n = (size_t)(close - *s);
    h->s = close + 1;
    return true;
}

static nd_status read_descr(header *h)
{
    if (take_string(h, &h->descr, &h->descr_n)) return ND_OK;
    skip_blanks(h);
    const char *close = memchr(h->s, ']', (size_t)(h->end - h->s));
    if (close && *h->s == '[')
        return ndi_fail(ND_ERR_UNSUPPORTED, "%s: holds records, type %.*s, expected numbers or strings", h->file, (int)(close - h->s + 1), h->s);
    return bad(h, "'descr' is not a string");
}

static nd_status read_order(header *h)
{
    h->a.fortran = take_word(h, "True");
    if (!h->a.fortran && !take_word(h, "False")) return bad(h, "'fortran_order' is neither True nor False");
    h->has_order = true;
    return ND_OK;
}

/* (), (3,), (3, 4) and, from Python 2, (3L, 4L). */
static nd_status read_shape(header *h)
{
    if (!take(h, '(')) return bad(h, "'shape' is not a tuple");
    h->has_shape = true;
    while (!take(h, ')')) {
        size_t extent = 0;
        skip_blanks(h);
        const char *digits = h->s;
        while (h->s < h->end && *h->s >= '0' && *h->s <= '9')
            if (__builtin_mul_overflow(extent, 10, &extent) || __builtin_add_overflow(extent, (size_t)(*h->s++ - '0'), &extent))
                return bad(h, "an extent is too large");
        if (h->s == digits) return bad(h, "'shape' holds something that is no number");
        CHECK(h->a.n_dims < NDI_MAX_DIMS, ND_ERR_UNSUPPORTED, "%s: has more than %d dimensions", h->file, NDI_MAX_DIMS);
        h->a.shape[h->a.n_dims++] = extent;
        (void)take(h, 'L');
        if (!take(h, ',') && (h->s == h->end || *h->s != ')')) return bad(h, "'shape' does not end");
    }
    return ND_OK;
}

static nd_status read_header(header *h)
{
    if (!take(h, '{')) return bad(h, "is not a dict");
    while (!take(h, '}')) {
        const char *key;
        size_t n;
        if (!take_string(h, &key, &n) || !take(h, ':')) return bad(h, "a key is missing");
        if (n == 5 && memcmp(key, "descr", n) == 0)
            TRY(read_descr(h));
        else if (n == 13 && memcmp(key, "fortran_order", n) == 0)
            TRY(read_order(h));
        else if (n == 5 && memcmp(key, "shape", n) == 0 && !h->has_shape)
            TRY(read_shape(h));
        else
            return bad(h, "has an unknown key");
        skip_blanks(h);
        if (!take(h, ',') && (h->s == h->end || *h->s != '}')) return bad(h, "does not end");
    }
    return h->descr && h->has_order && h->has_shape ? ND_OK : bad(h, "lacks 'descr', 'fortran_order' or 'shape'");
}

/* ---- reading ---- */

static nd_status add_body(content *c, header *h)
{
    numpy_type type;
    TRY(ndi_prefix(ndi_numpy_type(&type, h->descr, h->descr_n), "%s", h->file));
    if (type.kind == NUMPY_OBJECT) return ndi_pickle_read(c, h->a.in, h->a.at, h->a.name, NULL);
    if (!*h->a.name) h->a.name = "data";
    return ndi_numpy_add(c, &type, &h->a);
}

nd_status ndi_npy_read(content *c, stream *s, const char *name)
{
    uint8_t head[12];
    header h = { .file = ndi_stream_name(s), .a = { .name = name, .in = s } };
    TRY(ndi_stream_read(s, 0, head, 10));
    CHECK(memcmp(head, magic, MAGIC_BYTES) == 0, ND_ERR_FORMAT, "%s: is not a .npy file", h.file);
    CHECK(head[6] >= 1 && head[6] <= 3 && head[7] == 0, ND_ERR_UNSUPPORTED, "%s: npy version %d.%d, expected 1.0 to 3.0", h.file, head[6], head[7]);
    const size_t start = head[6] == 1 ? 10 : 12;
    TRY(ndi_stream_read(s, 0, head, start));
    const size_t n = head[6] == 1 ? ndi_le16(head + 8) : ndi_le32(head + 8);
    CHECK(n <= MAX_HEADER, ND_ERR_FORMAT, "%s: npy header of %zu bytes, expected at most %d", h.file, n, MAX_HEADER);
    char *bytes;
    TRY(NEW(bytes, n + 1));
    nd_status status = ndi_stream_read(s, start, bytes, n);
    if (memchr(bytes, 0, n) && status == ND_OK) status = bad(&h, "holds a NUL");
    h.s = bytes;
    h.end = bytes + n;
    h.a.at = start + n;
    if (status == ND_OK) status = read_header(&h);
    if (status == ND_OK) status = add_body(c, &h);
    ndi_free(bytes);
    return status;
}

static nd_status read(content *c, stream *s) { return ndi_npy_read(c, s, ""); }

/* ---- writing ---- */

nd_status ndi_npy_header(text *to, const char *descr, size_t n_dims, const size_t *shape)
{
    text dict = { 0 };
    ndi_text_add(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (size_t i = 0; i < n_dims; i++) ndi_text_add(&dict, "%zu%s", shape[i], n_dims == 1 ? "," : i + 1 < n_dims ? ", " : "");
    ndi_text_add(&dict, "), }");
    while (!dict.failed && (10 + dict.n + 1) % ALIGNMENT) ndi_text_add_bytes(&dict, " ", 1);
    ndi_text_add_bytes(&dict, "\n", 1);
    uint8_t head[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0 };
    ndi_put_le16(head + 8, (uint16_t)dict.n);
    ndi_text_add_bytes(to, (const char *)head, sizeof head);
    if (!dict.failed) ndi_text_add_bytes(to, dict.s, dict.n);
    if (dict.failed) to->failed = true;
    ndi_text_free(&dict);
    return ndi_text_status(to);
}

/* One array is written as it is. Anything more becomes what numpy.save() makes of a dict: an array of no dimensions whose one object is the dict,
 * pickled. */
static nd_status write(out *o, const put *what)
{
    const bool plain = what->n_arrays == 1 && what->n_texts == 0 && !what->metadata;
    const put_array *a = what->arrays;
    const char *descr = plain ? ndi_numpy_descr(a->type) : "|O";
    CHECK(descr, ND_ERR_UNSUPPORTED, "%s: NumPy has no %s", ndi_out_name(o), ndi_dtype_name(a->type));
    text head = { 0 };
    nd_status status = ndi_npy_header(&head, descr, plain ? a->n_dims : 0, plain ? a->shape : NULL);
    if (status == ND_OK) status = ndi_out_write(o, head.s, head.n);
    ndi_text_free(&head);
    TRY(status);
    return plain ? ndi_put_elements(o, a, NULL) : ndi_pickle_write(o, what, true);
}

const format ndi_format_npy = { "npy", "NumPy array", "npy", probe, read, write };
