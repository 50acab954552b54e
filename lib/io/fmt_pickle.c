/* Pickles: the preprocessed THINGS-EEG2 and THINGS-MEG recordings are such, under names that end in .npy. Written ones are protocol 4 and hold a
 * dict. */
#include <string.h>

#include "base/bytes.h"
#include "base/text.h"
#include "io/numpy.h"
#include "io/pickle.h"
#include "io/put.h"

/* Protocol 2 and later begin with their number and end nowhere a probe could see; the oldest has no mark, so only its usual beginnings under the
 * usual names count. */
static int probe(const uint8_t *head, size_t n, const char *extension)
{
    if (n >= 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5) return 90;
    const bool named = strcmp(extension, "pkl") == 0 || strcmp(extension, "pickle") == 0 || strcmp(extension, "p") == 0;
    return named && n > 0 && strchr("(}]c", head[0]) ? 30 : 0;
}

static nd_status read(content *c, stream *s) { return ndi_pickle_read(c, s, 0, "", NULL); }

/* ---- writing: each value is spelled out in the operations that build it ---- */

static void say(text *t, const char *bytes, size_t n) { ndi_text_add_bytes(t, bytes, n); }
#define SAY(t, literal) say((t), (literal), sizeof(literal) - 1)

static void say_text(text *t, const char *s)
{
    uint8_t length[8];
    const size_t n = strlen(s);
    ndi_put_le64(length, n);
    if (n > UINT32_MAX) {
        SAY(t, "\x8d");
        say(t, (const char *)length, 8);
    } else {
        SAY(t, "X");
        say(t, (const char *)length, 4);
    }
    say(t, s, n);
}

/* LONG1 of eight bytes is signed, which holds every size there is. */
static void say_size(text *t, size_t n)
{
    uint8_t bytes[8];
    ndi_put_le64(bytes, n);
    if (n < 256) {
        SAY(t, "K");
        say(t, (const char *)bytes, 1);
    } else {
        SAY(t, "\x8a\x08");
        say(t, (const char *)bytes, sizeof bytes);
    }
}

/* numpy.dtype(name, False, True) with its state; '|' says that there is no byte order. */
static void say_type(text *t, const char *descr)
{
    SAY(t, "cnumpy\ndtype\n");
    say_text(t, descr + 1);
    SAY(t, "\x89\x88\x87R(K\x03");
    const char order[] = { descr[0], '\0' };
    say_text(t, order);
    SAY(t, "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff");
    if (descr[1] == 'O')
        SAY(t, "K\x3f");
    else
        SAY(t, "K\x00");
    SAY(t, "tb");
}

/* An array up to its elements, which follow as bytes or as a list and are closed with "tb". The old module name is the one that every NumPy knows. */
static void say_array(text *t, const char *descr, size_t n_dims, const size_t *shape)
{
    SAY(t, "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85"
           "C\x01"
           "b\x87R(K\x01(");
    for (size_t i = 0; i < n_dims; i++) say_size(t, shape[i]);
    SAY(t, "t");
    say_type(t, descr);
    SAY(t, "\x89");
}

static nd_status flush(out *o, text *t)
{
    TRY(ndi_text_status(t));
    TRY(ndi_out_write(o, t->s, t->n));
    t->n = 0;
    return ND_OK;
}

static nd_status write_array(out *o, text *t, const put_array *a)
{
    const char *descr = ndi_numpy_descr(a->type);
    size_t n, bytes;
    uint8_t length[8];
    CHECK(descr, ND_ERR_UNSUPPORTED, "%s: array '%s': NumPy has no %s", ndi_out_name(o), a->name, ndi_dtype_name(a->type));
    TRY(ndi_put_size(o, a, &n, &bytes));
    say_text(t, a->name);
    say_array(t, descr, a->n_dims, a->shape);
    SAY(t, "\x8e");
    ndi_put_le64(length, bytes);
    say(t, (const char *)length, sizeof length);
    TRY(flush(o, t));
    TRY(ndi_put_elements(o, a, NULL));
    SAY(t, "tb");
    return ND_OK;
}

static nd_status write_texts(out *o, text *t, const put_texts *list)
{
    const bool objects = list->list && list->objects;
    say_text(t, list->name);
    if (objects) say_array(t, "|O", 1, &list->n);
    if (list->list) SAY(t, "](");
    for (size_t i = 0; i < list->n; i++) say_text(t, list->items[i]);
    if (list->list) SAY(t, "e");
    if (objects) SAY(t, "tb");
    return flush(o, t);
}

static nd_status write_dict(out *o, text *t, const put *what)
{
    SAY(t, "}(");
    for (size_t i = 0; i < what->n_arrays; i++) TRY(write_array(o, t, &what->arrays[i]));
    for (size_t i = 0; i < what->n_texts; i++) TRY(write_texts(o, t, &what->texts[i]));
    if (what->metadata) {
        say_text(t, NDI_METADATA_NAME);
        say_text(t, what->metadata);
    }
    SAY(t, "u");
    return flush(o, t);
}

static nd_status write_pickle(out *o, text *t, const put *what, bool boxed)
{
    SAY(t, "\x80\x04");
    if (boxed) {
        say_array(t, "|O", 0, NULL);
        SAY(t, "](");
    }
    TRY(write_dict(o, t, what));
    if (boxed) SAY(t, "etb");
    SAY(t, ".");
    return flush(o, t);
}

nd_status ndi_pickle_write(out *o, const put *what, bool boxed)
{
    text t = { 0 };
    nd_status status = write_pickle(o, &t, what, boxed);
    ndi_text_free(&t);
    return status;
}

static nd_status write(out *o, const put *what) { return ndi_pickle_write(o, what, false); }

const format ndi_format_pickle = { "pickle", "Python pickle of plain data and NumPy arrays", "pickle pkl", probe, read, write };
