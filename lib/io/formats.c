/* The table of formats, how a file finds its row, and how a file is written. */
#include <string.h>

#include "io/json.h"
#include "io/put.h"

extern const format ndi_format_edf, ndi_format_brainvision, ndi_format_fif, ndi_format_mat, ndi_format_nifti, ndi_format_hdf5, ndi_format_eeglab;
extern const format ndi_format_npy, ndi_format_npz, ndi_format_safetensors, ndi_format_pickle, ndi_format_torch, ndi_format_csv, ndi_format_text;

const format *const ndi_formats[] = {
    &ndi_format_npy,
    &ndi_format_npz,
    &ndi_format_safetensors,
    &ndi_format_pickle,
    &ndi_format_torch,
    &ndi_format_edf,
    &ndi_format_brainvision,
    &ndi_format_fif,
    &ndi_format_mat,
    &ndi_format_nifti,
    &ndi_format_hdf5,
    &ndi_format_eeglab,
    &ndi_format_csv,
    &ndi_format_text,
    NULL,
};

enum { HEAD_BYTES = 4096, EXTENSION_BYTES = 16 };

/* Lower case, without its dot; a ".gz" at the end is passed over. "" if there is none. */
static void find_extension(const char *path, char extension[EXTENSION_BYTES])
{
    const char *end = path + strlen(path), *slash = strrchr(path, '/');
    if (end - path > 3 && strcmp(end - 3, ".gz") == 0) end -= 3;
    const char *dot = end;
    while (dot > path && dot > slash && dot[-1] != '.') dot--;
    size_t n = dot > path && dot[-1] == '.' ? (size_t)(end - dot) : 0;
    if (n >= EXTENSION_BYTES) n = 0;
    for (size_t i = 0; i < n; i++) extension[i] = (char)(dot[i] >= 'A' && dot[i] <= 'Z' ? dot[i] + 'a' - 'A' : dot[i]);
    extension[n] = '\0';
}

static const format *recognise(const uint8_t *head, size_t n, const char *extension)
{
    const format *best = NULL;
    int best_score = 0;
    for (size_t i = 0; ndi_formats[i]; i++) {
        int score = ndi_formats[i]->probe(head, n, extension);
        if (score > best_score) {
            best_score = score;
            best = ndi_formats[i];
        }
    }
    return best;
}

/* Formats without a place for metadata keep it as a text. */
static nd_status find_metadata(content *c)
{
    const texts *t = c->metadata ? NULL : ndi_content_texts(c, NDI_METADATA_NAME);
    if (!t || t->list) return ND_OK;
    json_t *j;
    TRY(ndi_json_parse(&j, t->items[0], strlen(t->items[0]), NDI_METADATA_NAME));
    const bool object = json_is_object(j);
    json_decref(j);
    if (!object) return ND_OK;
    c->metadata = t->items[0];
    const size_t i = (size_t)(t - c->texts);
    memmove(&c->texts[i], &c->texts[i + 1], (c->n_texts - i - 1) * sizeof *c->texts);
    c->n_texts--;
    return ND_OK;
}

static nd_status read_content(content *c, stream *s, const char *extension)
{
    uint8_t head[HEAD_BYTES];
    size_t n;
    TRY(ndi_stream_read_some(s, 0, head, sizeof head, &n));
    CHECK(n > 0, ND_ERR_FORMAT, "%s: is empty", ndi_stream_name(s));
    const format *f = recognise(head, n, extension);
    CHECK(f, ND_ERR_UNSUPPORTED, "%s: is of no known format", ndi_stream_name(s));
    CHECK(f->read, ND_ERR_UNSUPPORTED, "%s: is a file of the format '%s', which is only written", ndi_stream_name(s), f->name);
    c->format = f->name;
    TRY(f->read(c, s));
    return ndi_prefix(find_metadata(c), "%s", ndi_stream_name(s));
}

nd_status ndi_content_open_stream(content **c, stream *s, const char *extension)
{
    *c = NULL;
    content *made;
    nd_status status = NEW(made, 1);
    if (status != ND_OK) {
        ndi_stream_close(s);
        return status;
    }
    status = ndi_content_add_stream(made, s);
    if (status == ND_OK) status = read_content(made, s, extension);
    if (status != ND_OK) {
        ndi_content_free(made);
        return status;
    }
    *c = made;
    return ND_OK;
}

nd_status ndi_content_open(content **c, const char *path)
{
    stream *s;
    char extension[EXTENSION_BYTES];
    *c = NULL;
    find_extension(path, extension);
    TRY(ndi_stream_open_file(&s, path));
    return ndi_content_open_stream(c, s, extension);
}

/* ---- writing ---- */

static bool has_word(const char *list, const char *word)
{
    const char *w;
    size_t n;
    while (ndi_next_word(&list, &w, &n))
        if (strlen(word) == n && strncmp(w, word, n) == 0) return true;
    return false;
}

static const format *find_row(const char *name, const char *extension)
{
    for (size_t i = 0; ndi_formats[i]; i++)
        if (name ? strcmp(ndi_formats[i]->name, name) == 0 : has_word(ndi_formats[i]->extensions, extension)) return ndi_formats[i];
    return NULL;
}

nd_status ndi_format_write(const char *path, const char *name, const put *what)
{
    char extension[EXTENSION_BYTES];
    find_extension(path, extension);
    const format *f = find_row(name, extension);
    CHECK(f, ND_ERR_UNSUPPORTED, "%s: no format is called '%s'", path, name ? name : extension);
    CHECK(f->write, ND_ERR_UNSUPPORTED, "%s: the format '%s' is only read", path, f->name);
    out *o;
    TRY(ndi_out_open(&o, path));
    nd_status status = f->write(o, what);
    if (status == ND_OK) return ndi_out_commit(&o);
    ndi_out_discard(&o);
    return status;
}
