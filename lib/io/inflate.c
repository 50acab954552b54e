/* Streams that unpack gzip files (RFC 1952), zlib data (RFC 1950) and raw deflate data (RFC 1951) with zlib: forward, with a restart when something earlier is asked
 * for. Memory is a buffer for packed bytes, one for skipped bytes and zlib's own state, whatever the file says; at the end of the data it is given
 * back, so that an archive of many members costs no more than those that are being read. The exception are zlib data, the variables of MAT-files, which
 * are read against their order as a rule: up to MOST_KEPT bytes of them stay in memory from the first step back until the last byte has been read. */
#include <limits.h>
#include <string.h>
#include <zlib.h>

#include "base/mem.h"
#include "io/stream_kind.h"

enum { CHUNK = 65536, RAW_DEFLATE = -15, ZLIB = 15, GZIP = 15 + 16, FILLING = 8, MOST_KEPT = 1 << 28 };
static const uint64_t unknown = UINT64_MAX, deflate_limit = 1032; /* bytes out of one byte at the most */

typedef struct work {
    z_stream z;
    uint8_t in[CHUNK], skipped[CHUNK];
} work;

typedef struct inflate_stream {
    stream head;
    stream *parent;
    work *work;   /* NULL while nothing is being unpacked */
    char *kept;   /* all unpacked bytes, or NULL */
    int wrapping; /* RAW_DEFLATE, ZLIB or GZIP */
    bool own, ended, check_crc;
    uint64_t at, packed;     /* where the packed bytes are; packed may be `unknown`: to the end of the parent */
    uint64_t taken;          /* packed bytes handed to zlib so far */
    uint64_t position, size; /* unpacked bytes produced so far, and in all, when known */
    uint32_t crc, wanted_crc;
} inflate_stream;

static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    (void)opaque;
    return ndi_alloc(count, size);
}

static void zlib_free(void *opaque, void *block)
{
    (void)opaque;
    ndi_free(block);
}

static void release(inflate_stream *f)
{
    if (!f->work) return;
    inflateEnd(&f->work->z);
    ndi_free(f->work);
    f->work = NULL;
}

/* To the beginning of the data. */
static nd_status start(inflate_stream *f)
{
    release(f);
    f->taken = f->position = 0;
    f->ended = false;
    f->crc = 0;
    TRY(NEW(f->work, 1));
    f->work->z.zalloc = zlib_alloc;
    f->work->z.zfree = zlib_free;
    int code = inflateInit2(&f->work->z, f->wrapping);
    if (code == Z_OK) return ND_OK;
    ndi_free(f->work);
    f->work = NULL;
    return code == Z_MEM_ERROR ? ndi_fail(ND_ERR_MEMORY, "%s: out of memory", f->head.name)
                               : ndi_fail(ND_ERR_INTERNAL, "%s: zlib does not start", f->head.name);
}

static nd_status refill(inflate_stream *f)
{
    uint64_t left = f->packed == unknown ? CHUNK : f->packed - f->taken;
    size_t got;
    TRY(ndi_stream_read_some(f->parent, f->at + f->taken, f->work->in, left < CHUNK ? (size_t)left : CHUNK, &got));
    f->taken += got;
    f->work->z.next_in = f->work->in;
    f->work->z.avail_in = (uInt)got;
    return ND_OK;
}

/* At the end of a member: a gzip file may hold another one; anything else after it is padding. */
static nd_status end_member(inflate_stream *f)
{
    f->ended = true;
    if (f->wrapping != GZIP) return ND_OK;
    if (f->work->z.avail_in == 0) TRY(refill(f));
    if (f->work->z.avail_in == 0 || f->work->z.next_in[0] != 0x1f) return ND_OK;
    CHECK(inflateReset(&f->work->z) == Z_OK, ND_ERR_INTERNAL, "%s: zlib does not start over", f->head.name);
    f->ended = false;
    return ND_OK;
}

static nd_status account(inflate_stream *f, const void *bytes, size_t n)
{
    f->position += n;
    if (!f->check_crc) return ND_OK;
    f->crc = (uint32_t)crc32(f->crc, bytes, (uInt)n);
    CHECK(f->position < f->size || f->crc == f->wanted_crc, ND_ERR_FORMAT, "%s: checksum is %08x, expected %08x", f->head.name, f->crc,
          f->wanted_crc);
    return ND_OK;
}

/* All is unpacked: what is left is the checksum of zlib data, which zlib compares. */
static nd_status finish_zlib(inflate_stream *f)
{
    uint8_t nothing;
    while (f->wrapping == ZLIB && !f->ended) {
        if (f->work->z.avail_in == 0) TRY(refill(f));
        CHECK(f->work->z.avail_in > 0, ND_ERR_FORMAT, "%s: packed data end before their checksum", f->head.name);
        f->work->z.next_out = &nothing;
        f->work->z.avail_out = 0;
        const int code = inflate(&f->work->z, Z_NO_FLUSH);
        CHECK(code != Z_MEM_ERROR, ND_ERR_MEMORY, "%s: out of memory", f->head.name);
        f->ended = code == Z_STREAM_END;
        CHECK(f->ended || code == Z_OK || (code == Z_BUF_ERROR && f->work->z.avail_in == 0), ND_ERR_FORMAT,
              "%s: packed data have a wrong checksum or do not end after %llu bytes", f->head.name, (unsigned long long)f->size);
    }
    return ND_OK;
}

/* The next bytes in order, at most n; none at the end. */
static nd_status unpack(inflate_stream *f, void *buffer, size_t n, size_t *got)
{
    *got = 0;
    if (f->size != unknown && n > f->size - f->position) n = (size_t)(f->size - f->position);
    while (*got < n && !f->ended) {
        if (f->work->z.avail_in == 0) TRY(refill(f));
        CHECK(f->work->z.avail_in > 0, ND_ERR_FORMAT, "%s: packed data end too early, after %llu unpacked bytes", f->head.name,
              (unsigned long long)f->position);
        size_t room = n - *got < (size_t)INT_MAX ? n - *got : (size_t)INT_MAX;
        uint8_t *to = (uint8_t *)buffer + *got;
        f->work->z.next_out = to;
        f->work->z.avail_out = (uInt)room;
        int code = inflate(&f->work->z, Z_NO_FLUSH);
        CHECK(code != Z_MEM_ERROR, ND_ERR_MEMORY, "%s: out of memory", f->head.name);
        CHECK(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR, ND_ERR_FORMAT, "%s: packed data are damaged after %llu unpacked bytes",
              f->head.name, (unsigned long long)f->position);
        size_t step = room - f->work->z.avail_out;
        TRY(account(f, to, step));
        *got += step;
        if (code == Z_STREAM_END) TRY(end_member(f));
    }
    return f->position == f->size ? finish_zlib(f) : ND_OK;
}

/* Bytes before `at` are unpacked and dropped; *reached is false if the data end before it. */
static nd_status skip_to(inflate_stream *f, uint64_t at, bool *reached)
{
    if (!f->work || at < f->position) TRY(start(f));
    for (size_t got = 1; got > 0 && f->position < at;) {
        uint64_t left = at - f->position;
        TRY(unpack(f, f->work->skipped, left < CHUNK ? (size_t)left : CHUNK, &got));
    }
    *reached = f->position == at;
    return ND_OK;
}

static void forget(inflate_stream *f)
{
    ndi_free(f->kept);
    f->kept = NULL;
}

/* From the start, all of it. */
static nd_status keep(inflate_stream *f)
{
    size_t got;
    TRY(start(f));
    TRY(NEW(f->kept, (size_t)f->size));
    nd_status status = unpack(f, f->kept, (size_t)f->size, &got);
    release(f);
    if (status == ND_OK && got < f->size)
        status = ndi_fail(ND_ERR_FORMAT, "%s: unpacks to %zu bytes, expected %llu", f->head.name, got, (unsigned long long)f->size);
    if (status != ND_OK) forget(f);
    return status;
}

static nd_status read_kept(inflate_stream *f, uint64_t at, void *buffer, size_t n, size_t *got)
{
    *got = n < f->size - at ? n : (size_t)(f->size - at);
    memcpy(buffer, f->kept + at, *got);
    if (f->size - at - *got < FILLING) forget(f);
    return ND_OK;
}

static nd_status read_forward(inflate_stream *f, uint64_t at, void *buffer, size_t n, size_t *got)
{
    bool reached;
    nd_status status = skip_to(f, at, &reached);
    if (status == ND_OK && reached) status = unpack(f, buffer, n, got);
    /* Nobody reads the bytes that fill up the end of a variable: they are passed over here, so that its checksum is compared. */
    if (status == ND_OK && f->wrapping == ZLIB && f->size - f->position < FILLING) status = skip_to(f, f->size, &reached);
    if (status != ND_OK) *got = 0;
    if (status != ND_OK || f->ended || f->position == f->size) release(f);
    return status;
}

static nd_status inflate_read(stream *s, uint64_t at, void *buffer, size_t n, size_t *got)
{
    inflate_stream *f = (inflate_stream *)s;
    if (f->size != unknown && at >= f->size) return ND_OK;
    if (f->wrapping == ZLIB && f->work && at < f->position && f->size <= MOST_KEPT) TRY(keep(f));
    return f->kept ? read_kept(f, at, buffer, n, got) : read_forward(f, at, buffer, n, got);
}

static nd_status inflate_size(stream *s, uint64_t *size)
{
    inflate_stream *f = (inflate_stream *)s;
    if (f->size == unknown) {
        bool reached;
        nd_status status = skip_to(f, unknown, &reached);
        release(f);
        TRY(status);
        f->size = f->position;
    }
    *size = f->size;
    return ND_OK;
}

static nd_status inflate_bound(stream *s, uint64_t *most)
{
    inflate_stream *f = (inflate_stream *)s;
    *most = f->size;
    if (f->size != unknown) return ND_OK;
    uint64_t packed;
    TRY(ndi_stream_size(f->parent, &packed));
    *most = packed < unknown / deflate_limit ? packed * deflate_limit : unknown;
    return ND_OK;
}

static void inflate_close(stream *s)
{
    inflate_stream *f = (inflate_stream *)s;
    release(f);
    forget(f);
    if (f->own) ndi_stream_close(f->parent);
}

static const stream_kind inflate_kind = { .read = inflate_read, .size = inflate_size, .bound = inflate_bound, .close = inflate_close };

static nd_status open_packed(stream **s, stream *parent, uint64_t at, uint64_t packed, uint64_t unpacked, const char *name, int wrapping)
{
    TRY(ndi_stream_new(s, sizeof(inflate_stream), &inflate_kind, name, false));
    inflate_stream *f = (inflate_stream *)*s;
    f->parent = parent;
    f->wrapping = wrapping;
    f->at = at;
    f->packed = packed;
    f->size = unpacked;
    return ND_OK;
}

nd_status ndi_stream_open_gzip(stream **s, stream *parent, bool own, const char *name)
{
    nd_status status = open_packed(s, parent, 0, unknown, unknown, name, GZIP);
    if (status == ND_OK)
        ((inflate_stream *)*s)->own = own;
    else if (own)
        ndi_stream_close(parent);
    return status;
}

/* A section whose packed and unpacked sizes are known. */
static nd_status open_section(stream **s, stream *parent, uint64_t at, uint64_t packed, uint64_t unpacked, const char *name, int wrapping)
{
    *s = NULL;
    uint64_t size;
    TRY(ndi_stream_size(parent, &size));
    CHECK(at <= size && packed <= size - at, ND_ERR_FORMAT, "%s: is said to lie at bytes %llu + %llu, got a file of %llu", name,
          (unsigned long long)at, (unsigned long long)packed, (unsigned long long)size);
    CHECK(unpacked / deflate_limit <= packed, ND_ERR_FORMAT, "%s: %llu bytes cannot unpack to %llu", name, (unsigned long long)packed,
          (unsigned long long)unpacked);
    return open_packed(s, parent, at, packed, unpacked, name, wrapping);
}

nd_status ndi_stream_open_inflate(stream **s, stream *parent, uint64_t at, uint64_t packed, uint64_t unpacked, const char *name)
{
    return open_section(s, parent, at, packed, unpacked, name, RAW_DEFLATE);
}

nd_status ndi_stream_open_zlib(stream **s, stream *parent, uint64_t at, uint64_t packed, uint64_t unpacked, const char *name)
{
    return open_section(s, parent, at, packed, unpacked, name, ZLIB);
}

void ndi_stream_release(stream *s)
{
    if (s->kind == &inflate_kind) release((inflate_stream *)s);
}

void ndi_stream_expect_crc(stream *s, uint32_t crc)
{
    inflate_stream *f = (inflate_stream *)s;
    f->check_crc = true;
    f->wanted_crc = crc;
}
