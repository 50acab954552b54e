/* PyTorch checkpoints, as torch.save() writes them since version 1.6: a ZIP archive whose members are <root>/data.pkl, a pickle, and <root>/data/<key>,
 * the bytes of one storage each. The restricted pickle reader takes tensors, texts and numbers in dicts and lists and refuses everything else by its
 * name; nothing is executed. The formats before and TorchScript programs are recognised to say what to do about them. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "io/format.h"
#include "io/pickle.h"
#include "io/stream_kind.h"
#include "io/zip.h"

static const char extensions[] = "pth pt ckpt bin tar", pickle_name[] = "/data.pkl";

/* A pickled number that opens the files of PyTorch 0.1.10 to 1.5. */
static const uint8_t legacy_magic[] = { 0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.' };

static bool is_legacy(const uint8_t *head, size_t n) { return n >= sizeof legacy_magic && memcmp(head, legacy_magic, sizeof legacy_magic) == 0; }
static bool is_tar(const uint8_t *head, size_t n) { return n >= 262 && memcmp(head + 257, "ustar", 5) == 0; }

static bool ends_in(const char *s, size_t n, const char *end) { return n >= strlen(end) && memcmp(s + n - strlen(end), end, strlen(end)) == 0; }

/* data.pkl comes first in what PyTorch writes, so its name stands in the head. */
static int probe(const uint8_t *head, size_t n, const char *extension)
{
    enum { LOCAL_BYTES = 30 };
    const char *list = extensions, *word;
    size_t length, named = 0;
    while (*extension && ndi_next_word(&list, &word, &length)) named |= strlen(extension) == length && memcmp(word, extension, length) == 0;
    if (is_legacy(head, n)) return 99;
    if (is_tar(head, n)) return named ? 80 : 0;
    if (!ndi_zip_probe(head, n)) return 0;
    const size_t name = n > LOCAL_BYTES ? ndi_le16(head + 26) : 0;
    const bool first = name && name <= n - LOCAL_BYTES && ends_in((const char *)head + LOCAL_BYTES, name, pickle_name);
    return first ? 98 : named ? 60 : 0;
}

/* ---- members ---- */

typedef struct archive {
    content *c;
    zip z;
    zip_entry **by_name; /* sorted */
    stream **opened;     /* of by_name[i]: the storages that are in use, which belong to the content */
    char root[256];
} archive;

static int compare_names(const void *x, const void *y) { return strcmp((*(zip_entry *const *)x)->name, (*(zip_entry *const *)y)->name); }

/* The member <root><name><key>. */
static bool find_member(const archive *a, const char *name, const char *key, size_t *i)
{
    char full[512];
    zip_entry wanted = { .name = full }, *pointer = &wanted;
    ndi_format(full, sizeof full, "%s%s%s", a->root, name, key);
    zip_entry **found = bsearch(&pointer, a->by_name, a->z.n, sizeof *found, compare_names);
    if (found) *i = (size_t)(found - a->by_name);
    return found != NULL;
}

static nd_status find_storage(void *context, const char *key, stream **s)
{
    archive *a = context;
    size_t i;
    CHECK(find_member(a, "/data/", key, &i), ND_ERR_FORMAT, "%s: storage '%.64s' is missing", ndi_stream_name(a->z.in), key);
    if (!a->opened[i]) {
        stream *opened;
        TRY(ndi_zip_open(&a->z, a->by_name[i], &opened));
        TRY(ndi_content_add_stream(a->c, opened));
        a->opened[i] = opened;
    }
    *s = a->opened[i];
    return ND_OK;
}

/* "little" or "big"; older files lack it and are little. */
static nd_status read_byte_order(const archive *a, bool *big)
{
    size_t i, got;
    char order[8] = { 0 };
    stream *s;
    *big = false;
    if (!find_member(a, "/byteorder", "", &i)) return ND_OK;
    TRY(ndi_zip_open(&a->z, a->by_name[i], &s));
    nd_status status = ndi_stream_read_some(s, 0, order, sizeof order - 1, &got);
    *big = strcmp(order, "big") == 0;
    if (status == ND_OK && !*big && strcmp(order, "little") != 0)
        status = ndi_fail(ND_ERR_FORMAT, "%s: got '%s', expected little or big", ndi_stream_name(s), order);
    ndi_stream_close(s);
    return status;
}

/* ---- reading ---- */

static nd_status sort_members(archive *a)
{
    TRY(NEW(a->by_name, a->z.n));
    TRY(NEW(a->opened, a->z.n));
    for (size_t i = 0; i < a->z.n; i++) a->by_name[i] = &a->z.entries[i];
    qsort(a->by_name, a->z.n, sizeof *a->by_name, compare_names);
    return ND_OK;
}

/* The first data.pkl says what the root is called. */
static nd_status find_root(archive *a)
{
    const char *file = ndi_stream_name(a->z.in);
    size_t i = 0, n = 0, other;
    for (; i < a->z.n; i++) {
        n = strlen(a->z.entries[i].name);
        if (ends_in(a->z.entries[i].name, n, pickle_name)) break;
    }
    CHECK(i < a->z.n, ND_ERR_UNSUPPORTED, "%s: is a ZIP archive without data.pkl, expected what torch.save() writes", file);
    n -= strlen(pickle_name);
    CHECK(n < sizeof a->root, ND_ERR_UNSUPPORTED, "%s: a name of %zu bytes, expected less than %zu", file, n, sizeof a->root);
    memcpy(a->root, a->z.entries[i].name, n);
    CHECK(!find_member(a, "/constants.pkl", "", &other), ND_ERR_UNSUPPORTED,
          "%s: is a TorchScript program: load it with torch.jit.load() and save its state_dict() with torch.save()", file);
    return ND_OK;
}

static nd_status read_archive(archive *a)
{
    pickle_outside outside = { .context = a, .find = find_storage };
    size_t i = 0;
    stream *pickle;
    TRY(ndi_zip_read(&a->z, a->z.in));
    TRY(sort_members(a));
    TRY(find_root(a));
    TRY(read_byte_order(a, &outside.big_endian));
    CHECK(find_member(a, pickle_name, "", &i), ND_ERR_FORMAT, "%s: data.pkl is missing", ndi_stream_name(a->z.in));
    TRY(ndi_zip_open(&a->z, a->by_name[i], &pickle));
    TRY(ndi_content_add_stream(a->c, pickle));
    TRY(ndi_pickle_read(a->c, pickle, 0, "", &outside));
    ndi_stream_release(pickle);
    return ND_OK;
}

static nd_status read(content *c, stream *s)
{
    uint8_t head[512];
    size_t n;
    TRY(ndi_stream_read_some(s, 0, head, sizeof head, &n));
    CHECK(!is_legacy(head, n) && !is_tar(head, n), ND_ERR_UNSUPPORTED,
          "%s: is %s, the format of PyTorch before %s: open it with torch.load() and save it again with torch.save() of a newer one",
          ndi_stream_name(s), is_tar(head, n) ? "a tar archive" : "no ZIP archive", is_tar(head, n) ? "0.1.10" : "1.6");
    archive a = { .c = c, .z = { .in = s } };
    nd_status status = read_archive(&a);
    ndi_free(a.by_name);
    ndi_free(a.opened);
    ndi_zip_free(&a.z);
    return status;
}

const format ndi_format_torch = { "torch", "PyTorch checkpoint", extensions, probe, read, NULL };
