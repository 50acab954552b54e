/* Reads ZIP archives (PKWARE's APPNOTE.TXT) from the directory at their end. Every place and size is checked against the file before it is used. */
#include "io/zip.h"

#include <string.h>

#include "base/bytes.h"
#include "io/stream_kind.h"

enum {
    END_BYTES = 22,
    MAX_COMMENT = 65535,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    STORED = 0,
    DEFLATED = 8,
    FLAG_ENCRYPTED = 1,
    EXTRA_ZIP64 = 1
};

static nd_status bad(const zip *z, const char *what) { return ndi_fail(ND_ERR_FORMAT, "%s: zip: %s", ndi_stream_name(z->in), what); }

bool ndi_zip_probe(const uint8_t *head, size_t n) { return n >= 4 && (ndi_le32(head) == 0x04034b50 || ndi_le32(head) == 0x06054b50); }

/* ---- finding the directory ---- */

typedef struct directory {
    uint64_t at, bytes, n;
} directory;

/* The end record lies before a comment of unknown length: looked for from the end backwards. */
static nd_status find_end(const zip *z, uint64_t size, uint64_t *at, uint8_t end[END_BYTES])
{
    const size_t tail = size < END_BYTES + MAX_COMMENT ? (size_t)size : END_BYTES + MAX_COMMENT;
    uint8_t *bytes;
    TRY(NEW(bytes, tail + 1));
    nd_status status = ndi_stream_read(z->in, size - tail, bytes, tail);
    bool found = false;
    for (size_t i = tail; status == ND_OK && !found && i-- > 0;) {
        found = tail - i >= END_BYTES && ndi_le32(bytes + i) == 0x06054b50 && ndi_le16(bytes + i + 20) <= tail - i - END_BYTES;
        if (found) {
            *at = size - tail + i;
            memcpy(end, bytes + i, END_BYTES);
        }
    }
    ndi_free(bytes);
    TRY(status);
    return found ? ND_OK : bad(z, "has no directory; is it complete?");
}

/* A record of its own holds what is too large for the end record. */
static nd_status find_end64(const zip *z, uint64_t end_at, directory *d)
{
    uint8_t locator[LOCATOR_BYTES], end[END64_BYTES];
    if (end_at < LOCATOR_BYTES) return ND_OK;
    TRY(ndi_stream_read(z->in, end_at - LOCATOR_BYTES, locator, sizeof locator));
    if (ndi_le32(locator) != 0x07064b50) return ND_OK;
    const uint64_t at = ndi_le64(locator + 8);
    if (at > end_at || end_at - at < END64_BYTES) return bad(z, "zip64 record lies outside");
    TRY(ndi_stream_read(z->in, at, end, sizeof end));
    if (ndi_le32(end) != 0x06064b50) return bad(z, "zip64 record is missing");
    *d = (directory){ .n = ndi_le64(end + 32), .bytes = ndi_le64(end + 40), .at = ndi_le64(end + 48) };
    return ND_OK;
}

static nd_status find_directory(const zip *z, directory *d)
{
    uint64_t size, end_at = 0;
    uint8_t end[END_BYTES] = { 0 };
    TRY(ndi_stream_size(z->in, &size));
    if (size < END_BYTES) return bad(z, "is too short");
    TRY(find_end(z, size, &end_at, end));
    *d = (directory){ .n = ndi_le16(end + 10), .bytes = ndi_le32(end + 12), .at = ndi_le32(end + 16) };
    TRY(find_end64(z, end_at, d));
    if (d->at > end_at || d->bytes > end_at - d->at || d->n > d->bytes / ENTRY_BYTES) return bad(z, "the directory lies outside");
    return ND_OK;
}

/* ---- reading it ---- */

/* Sizes and places that are all ones stand in the extra field, in this order. */
static nd_status read_zip64(const zip *z, zip_entry *e, const uint8_t *extra, size_t n)
{
    uint64_t *const values[] = { &e->unpacked, &e->packed, &e->at };
    const uint8_t *field = NULL;
    size_t left = 0, used = 0;
    for (size_t i = 0; i + 4 <= n && !field; i += 4 + left) {
        left = ndi_le16(extra + i + 2);
        if (left > n - i - 4) return bad(z, "an extra field is cut short");
        if (ndi_le16(extra + i) == EXTRA_ZIP64) field = extra + i + 4;
    }
    for (size_t i = 0; i < COUNT(values); i++) {
        if (*values[i] != UINT32_MAX) continue;
        if (!field || left - used < 8) return bad(z, "the size of a member is missing");
        *values[i] = ndi_le64(field + used);
        used += 8;
    }
    return ND_OK;
}

static nd_status read_entry(zip *z, const uint8_t *record, size_t left, size_t *length)
{
    zip_entry *e = &z->entries[z->n];
    if (left < ENTRY_BYTES || ndi_le32(record) != 0x02014b50) return bad(z, "a record of the directory is damaged");
    const size_t name = ndi_le16(record + 28), extra = ndi_le16(record + 30), comment = ndi_le16(record + 32);
    *length = ENTRY_BYTES + name + extra + comment;
    if (*length > left) return bad(z, "a record of the directory is cut short");
    *e = (zip_entry){ .flags = ndi_le16(record + 8),
                      .method = ndi_le16(record + 10),
                      .crc = ndi_le32(record + 16),
                      .packed = ndi_le32(record + 20),
                      .unpacked = ndi_le32(record + 24),
                      .at = ndi_le32(record + 42) };
    TRY(read_zip64(z, e, record + ENTRY_BYTES + name, extra));
    e->name = ndi_arena_text(&z->names, (const char *)record + ENTRY_BYTES, name);
    CHECK(e->name, ND_ERR_MEMORY, "%s: zip: out of memory", ndi_stream_name(z->in));
    z->n++;
    return ND_OK;
}

nd_status ndi_zip_read(zip *z, stream *s)
{
    directory d = { 0 };
    uint8_t *records;
    z->in = s;
    TRY(find_directory(z, &d));
    TRY(NEW(z->entries, (size_t)d.n));
    TRY(NEW(records, (size_t)d.bytes));
    nd_status status = ndi_stream_read(s, d.at, records, (size_t)d.bytes);
    size_t length = 0;
    for (size_t at = 0; status == ND_OK && z->n < d.n; at += length) status = read_entry(z, records + at, (size_t)d.bytes - at, &length);
    ndi_free(records);
    return status;
}

void ndi_zip_free(zip *z)
{
    ndi_free(z->entries);
    ndi_arena_free(&z->names);
    *z = (zip){ 0 };
}

/* ---- members ---- */

static nd_status open_member(const zip *z, const zip_entry *e, uint64_t at, const char *name, stream **s)
{
    if (e->method == DEFLATED) {
        TRY(ndi_stream_open_inflate(s, z->in, at, e->packed, e->unpacked, name));
        ndi_stream_expect_crc(*s, e->crc);
        return ND_OK;
    }
    CHECK(e->method == STORED, ND_ERR_UNSUPPORTED, "%s: packed by method %d, expected stored or deflated", name, e->method);
    CHECK(e->packed == e->unpacked, ND_ERR_FORMAT, "%s: is stored, but in %llu bytes for %llu", name, (unsigned long long)e->packed,
          (unsigned long long)e->unpacked);
    return ndi_stream_open_section(s, z->in, at, e->packed, name);
}

nd_status ndi_zip_open(const zip *z, const zip_entry *e, stream **s)
{
    uint8_t local[LOCAL_BYTES];
    text name = { 0 };
    *s = NULL;
    CHECK(!(e->flags & FLAG_ENCRYPTED), ND_ERR_UNSUPPORTED, "%s: '%s' is encrypted", ndi_stream_name(z->in), e->name);
    TRY(ndi_stream_read(z->in, e->at, local, sizeof local));
    if (ndi_le32(local) != 0x04034b50) return bad(z, "a member is not where the directory says");
    const uint64_t at = e->at + LOCAL_BYTES + ndi_le16(local + 26) + ndi_le16(local + 28);
    ndi_text_add(&name, "%s: %s", ndi_stream_name(z->in), e->name);
    nd_status status = ndi_text_status(&name);
    if (status == ND_OK) status = open_member(z, e, at, name.s, s);
    ndi_text_free(&name);
    return status;
}
