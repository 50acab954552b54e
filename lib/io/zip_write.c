/* Writes ZIP archives of stored members. Sizes are known before, checksums after: those are put in at the end of each member. */
#include <string.h>

#include "base/bytes.h"
#include "io/zip.h"

enum {
    ALIGNMENT = 64,
    LOCAL_BYTES = 30,
    ENTRY_BYTES = 46,
    ZIP64_LOCAL = 20, /* the extra field with two sizes */
    ZIP64_ENTRY = 28, /* and with the place as well */
    CRC_AT = 14,
    EXTRA_ZIP64 = 1,
    EXTRA_ALIGNMENT = 0xd935,
    VERSION = 45, /* the first that knows zip64 */
    UNIX = 3 << 8,
    FLAG_UTF8 = 0x800,
    DATE = 1 << 5 | 1 /* 1 January 1980: files do not change with the day they are written */
};
static const uint32_t elsewhere = UINT32_MAX;

static uint32_t clip32(uint64_t n) { return n < elsewhere ? (uint32_t)n : elsewhere; }
static bool is_large(const zip_entry *e) { return e->unpacked >= elsewhere || e->at >= elsewhere; }

static void put_sizes(uint8_t *to, const zip_entry *e, size_t bytes)
{
    ndi_put_le16(to, EXTRA_ZIP64);
    ndi_put_le16(to + 2, (uint16_t)(bytes - 4));
    ndi_put_le64(to + 4, e->unpacked);
    ndi_put_le64(to + 12, e->packed);
    if (bytes == ZIP64_ENTRY) ndi_put_le64(to + 20, e->at);
}

nd_status ndi_zip_begin(zip_out *z, const char *name, const char *suffix, uint64_t size)
{
    uint8_t local[LOCAL_BYTES] = { 'P', 'K', 3, 4 }, extra[ZIP64_LOCAL + 4 + ALIGNMENT] = { 0 };
    z->name.n = 0;
    ndi_text_add(&z->name, "%s%s", name, suffix);
    TRY(ndi_text_status(&z->name));
    const size_t n_name = z->name.n;
    CHECK(n_name <= UINT16_MAX, ND_ERR_UNSUPPORTED, "%s: a name of %zu bytes, expected at most %d", ndi_out_name(z->o), n_name, UINT16_MAX);
    z->now = (zip_entry){ .name = z->name.s, .at = ndi_out_position(z->o), .packed = size, .unpacked = size };
    size_t n_extra = is_large(&z->now) ? ZIP64_LOCAL : 0;
    const bool large = n_extra > 0;
    if (large) put_sizes(extra, &z->now, ZIP64_LOCAL);
    const size_t padding = (ALIGNMENT - (z->now.at + LOCAL_BYTES + n_name + n_extra + 4) % ALIGNMENT) % ALIGNMENT;
    ndi_put_le16(extra + n_extra, EXTRA_ALIGNMENT);
    ndi_put_le16(extra + n_extra + 2, (uint16_t)padding);
    n_extra += 4 + padding;
    ndi_put_le16(local + 4, VERSION);
    ndi_put_le16(local + 6, FLAG_UTF8);
    ndi_put_le16(local + 12, DATE);
    ndi_put_le32(local + 18, large ? elsewhere : (uint32_t)size);
    ndi_put_le32(local + 22, large ? elsewhere : (uint32_t)size);
    ndi_put_le16(local + 26, (uint16_t)n_name);
    ndi_put_le16(local + 28, (uint16_t)n_extra);
    TRY(ndi_out_write(z->o, local, sizeof local));
    TRY(ndi_out_write(z->o, z->name.s, n_name));
    return ndi_out_write(z->o, extra, n_extra);
}

nd_status ndi_zip_end(zip_out *z, uint32_t crc)
{
    uint8_t record[ENTRY_BYTES] = { 'P', 'K', 1, 2 }, sizes[ZIP64_ENTRY], checksum[4];
    const zip_entry *e = &z->now;
    const bool large = is_large(e);
    ndi_put_le32(checksum, crc);
    TRY(ndi_out_write_at(z->o, e->at + CRC_AT, checksum, sizeof checksum));
    ndi_put_le16(record + 4, UNIX | VERSION);
    ndi_put_le16(record + 6, VERSION);
    ndi_put_le16(record + 8, FLAG_UTF8);
    ndi_put_le16(record + 14, DATE);
    ndi_put_le32(record + 16, crc);
    ndi_put_le32(record + 20, large ? elsewhere : (uint32_t)e->packed);
    ndi_put_le32(record + 24, large ? elsewhere : (uint32_t)e->unpacked);
    ndi_put_le16(record + 28, (uint16_t)strlen(e->name));
    ndi_put_le16(record + 30, large ? ZIP64_ENTRY : 0);
    ndi_put_le32(record + 38, 0644u << 16);
    ndi_put_le32(record + 42, large ? elsewhere : (uint32_t)e->at);
    put_sizes(sizes, e, ZIP64_ENTRY);
    ndi_text_add_bytes(&z->directory, (const char *)record, sizeof record);
    ndi_text_add_bytes(&z->directory, e->name, strlen(e->name));
    if (large) ndi_text_add_bytes(&z->directory, (const char *)sizes, sizeof sizes);
    z->n++;
    return ndi_text_status(&z->directory);
}

/* The zip64 record and its locator, written where one of the numbers does not fit into the plain record. */
static void add_end64(zip_out *z, uint64_t at, uint64_t bytes)
{
    uint8_t end[56] = { 'P', 'K', 6, 6 }, locator[20] = { 'P', 'K', 6, 7 };
    ndi_put_le64(end + 4, sizeof end - 12);
    ndi_put_le16(end + 12, UNIX | VERSION);
    ndi_put_le16(end + 14, VERSION);
    ndi_put_le64(end + 24, z->n);
    ndi_put_le64(end + 32, z->n);
    ndi_put_le64(end + 40, bytes);
    ndi_put_le64(end + 48, at);
    ndi_put_le64(locator + 8, at + bytes);
    ndi_put_le32(locator + 16, 1);
    ndi_text_add_bytes(&z->directory, (const char *)end, sizeof end);
    ndi_text_add_bytes(&z->directory, (const char *)locator, sizeof locator);
}

nd_status ndi_zip_finish(zip_out *z)
{
    uint8_t end[22] = { 'P', 'K', 5, 6 };
    const uint64_t at = ndi_out_position(z->o), bytes = z->directory.n;
    if (at >= elsewhere || bytes >= elsewhere || z->n >= UINT16_MAX) add_end64(z, at, bytes);
    const uint16_t n = z->n < UINT16_MAX ? (uint16_t)z->n : UINT16_MAX;
    ndi_put_le16(end + 8, n);
    ndi_put_le16(end + 10, n);
    ndi_put_le32(end + 12, clip32(bytes));
    ndi_put_le32(end + 16, clip32(at));
    ndi_text_add_bytes(&z->directory, (const char *)end, sizeof end);
    TRY(ndi_text_status(&z->directory));
    return ndi_out_write(z->o, z->directory.s, z->directory.n);
}

void ndi_zip_out_free(zip_out *z)
{
    ndi_text_free(&z->directory);
    ndi_text_free(&z->name);
}
