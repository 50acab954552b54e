/* Streams over plain files, memory and sections of other streams. Reading goes through pread() so that a file that shrinks meanwhile gives an
 * error, not a signal. */
#include "io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/stream_kind.h"

nd_status ndi_stream_new(stream **s, size_t bytes, const stream_kind *kind, const char *name, bool concurrent)
{
    *s = NULL;
    stream *made = ndi_alloc(1, bytes);
    char *copy = ndi_strdup(name);
    if (!made || !copy) {
        ndi_free(made);
        ndi_free(copy);
        return ndi_fail(ND_ERR_MEMORY, "%s: out of memory", name);
    }
    *made = (stream){ .kind = kind, .name = copy, .concurrent = concurrent };
    *s = made;
    return ND_OK;
}

void ndi_stream_close(stream *s)
{
    if (!s) return;
    s->kind->close(s);
    ndi_free(s->name);
    ndi_free(s);
}

const char *ndi_stream_name(const stream *s) { return s->name; }
bool ndi_stream_concurrent(const stream *s) { return s->concurrent; }
nd_status ndi_stream_size(stream *s, uint64_t *size) { return s->kind->size(s, size); }
nd_status ndi_stream_bound(stream *s, uint64_t *most) { return s->kind->bound ? s->kind->bound(s, most) : s->kind->size(s, most); }

nd_status ndi_stream_read_some(stream *s, uint64_t at, void *buffer, size_t n, size_t *got)
{
    *got = 0;
    return n ? s->kind->read(s, at, buffer, n, got) : ND_OK;
}

nd_status ndi_stream_read(stream *s, uint64_t at, void *buffer, size_t n)
{
    size_t got;
    TRY(ndi_stream_read_some(s, at, buffer, n, &got));
    CHECK(got == n, ND_ERR_FORMAT, "%s: ends too early, got %zu bytes at position %llu, expected %zu", s->name, got, (unsigned long long)at, n);
    return ND_OK;
}

const void *ndi_stream_map(stream *s, uint64_t at, uint64_t n)
{
    uint64_t size;
    if (!s->kind->map || s->kind->size(s, &size) != ND_OK || at > size || n > size - at) return NULL;
    return s->kind->map(s, at, n);
}

/* How much of a request for n bytes at `at` lies inside `size` bytes. */
static size_t clip(uint64_t size, uint64_t at, size_t n)
{
    if (at >= size) return 0;
    return n < size - at ? n : (size_t)(size - at);
}

/* ---- plain file ---- */

typedef struct file_stream {
    stream head;
    int fd;
    uint64_t size;
    const char *map; /* of the whole file; NULL where the system refuses */
} file_stream;

static nd_status file_read(stream *s, uint64_t at, void *buffer, size_t n, size_t *got)
{
    file_stream *f = (file_stream *)s;
    n = clip(f->size, at, n);
    while (*got < n) {
        ssize_t step = pread(f->fd, (char *)buffer + *got, n - *got, (off_t)(at + *got));
        if (step < 0 && errno == EINTR) continue;
        CHECK(step >= 0, ND_ERR_IO, "%s: cannot read: %s", s->name, strerror(errno));
        CHECK(step > 0, ND_ERR_IO, "%s: became shorter while it was read", s->name);
        *got += (size_t)step;
    }
    return ND_OK;
}

static nd_status file_size(stream *s, uint64_t *size)
{
    *size = ((file_stream *)s)->size;
    return ND_OK;
}

static const void *file_map(stream *s, uint64_t at, uint64_t n)
{
    (void)n;
    file_stream *f = (file_stream *)s;
    return f->map ? f->map + at : NULL;
}

static void file_close(stream *s)
{
    file_stream *f = (file_stream *)s;
    if (f->map) munmap((void *)(uintptr_t)f->map, (size_t)f->size);
    close(f->fd);
}

static const stream_kind file_kind = { .read = file_read, .size = file_size, .map = file_map, .close = file_close };

/* O_NONBLOCK keeps open() from waiting for the other end of a named pipe, which is then refused. */
static nd_status open_plain(stream **s, const char *path)
{
    *s = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    CHECK(fd >= 0, ND_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    struct stat about;
    nd_status status = ND_OK;
    if (fstat(fd, &about) != 0)
        status = ndi_fail(ND_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    else if (!S_ISREG(about.st_mode))
        status = ndi_fail(ND_ERR_IO, "%s: is %s, expected a file", path, S_ISDIR(about.st_mode) ? "a folder" : "a device or a pipe");
    else
        status = ndi_stream_new(s, sizeof(file_stream), &file_kind, path, true);
    if (status != ND_OK) {
        close(fd);
        return status;
    }
    file_stream *f = (file_stream *)*s;
    f->fd = fd;
    f->size = (uint64_t)about.st_size;
    void *map = f->size && f->size <= SIZE_MAX ? mmap(NULL, (size_t)f->size, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    f->map = map == MAP_FAILED ? NULL : map;
    return ND_OK;
}

nd_status ndi_stream_open_file(stream **s, const char *path)
{
    static const uint8_t gzip[] = { 0x1f, 0x8b, 8 };
    TRY(open_plain(s, path));
    stream *plain = *s;
    uint8_t head[sizeof gzip];
    size_t got;
    nd_status status = ndi_stream_read_some(plain, 0, head, sizeof head, &got);
    if (status != ND_OK) {
        ndi_stream_close(plain);
        *s = NULL;
        return status;
    }
    if (got == sizeof gzip && memcmp(head, gzip, sizeof gzip) == 0) return ndi_stream_open_gzip(s, plain, true, path);
    return ND_OK;
}

nd_status ndi_stream_open_beside(stream **s, const stream *of, const char *name, size_t n)
{
    const char *slash = strrchr(of->name, '/');
    const size_t folder = slash ? (size_t)(slash - of->name) + 1 : 0;
    *s = NULL;
    const char *end = name + n, *from = end;
    while (from > name && from[-1] != '/' && from[-1] != '\\') from--;
    n = (size_t)(end - from);
    CHECK(n > 0, ND_ERR_FORMAT, "%s: names no file where one is due", of->name);
    char *path;
    TRY(NEW(path, folder + n + 1));
    memcpy(path, of->name, folder);
    memcpy(path + folder, from, n);
    nd_status status = ndi_stream_open_file(s, path);
    ndi_free(path);
    return status;
}

/* ---- memory ---- */

typedef struct memory_stream {
    stream head;
    const char *bytes;
    size_t size;
} memory_stream;

static nd_status memory_read(stream *s, uint64_t at, void *buffer, size_t n, size_t *got)
{
    memory_stream *m = (memory_stream *)s;
    *got = clip(m->size, at, n);
    if (*got) memcpy(buffer, m->bytes + at, *got);
    return ND_OK;
}

static nd_status memory_size(stream *s, uint64_t *size)
{
    *size = ((memory_stream *)s)->size;
    return ND_OK;
}

static const void *memory_map(stream *s, uint64_t at, uint64_t n)
{
    (void)n;
    return ((memory_stream *)s)->bytes + at;
}

static void close_nothing(stream *s) { (void)s; }

static const stream_kind memory_kind = { .read = memory_read, .size = memory_size, .map = memory_map, .close = close_nothing };

nd_status ndi_stream_open_memory(stream **s, const void *bytes, size_t n, const char *name)
{
    TRY(ndi_stream_new(s, sizeof(memory_stream), &memory_kind, name, true));
    memory_stream *m = (memory_stream *)*s;
    m->bytes = n ? bytes : "";
    m->size = n;
    return ND_OK;
}

/* ---- section of another stream ---- */

typedef struct section_stream {
    stream head;
    stream *parent;
    uint64_t at, size;
} section_stream;

static nd_status section_read(stream *s, uint64_t at, void *buffer, size_t n, size_t *got)
{
    section_stream *c = (section_stream *)s;
    return ndi_stream_read_some(c->parent, c->at + at, buffer, clip(c->size, at, n), got);
}

static nd_status section_size(stream *s, uint64_t *size)
{
    *size = ((section_stream *)s)->size;
    return ND_OK;
}

static const void *section_map(stream *s, uint64_t at, uint64_t n)
{
    section_stream *c = (section_stream *)s;
    return ndi_stream_map(c->parent, c->at + at, n);
}

static const stream_kind section_kind = { .read = section_read, .size = section_size, .map = section_map, .close = close_nothing };

nd_status ndi_stream_open_section(stream **s, stream *parent, uint64_t at, uint64_t n, const char *name)
{
    *s = NULL;
    uint64_t size;
    TRY(ndi_stream_size(parent, &size));
    CHECK(at <= size && n <= size - at, ND_ERR_FORMAT, "%s: is said to lie at bytes %llu + %llu, got a file of %llu", name, (unsigned long long)at,
          (unsigned long long)n, (unsigned long long)size);
    TRY(ndi_stream_new(s, sizeof(section_stream), &section_kind, name, parent->concurrent));
    section_stream *c = (section_stream *)*s;
    c->parent = parent;
    c->at = at;
    c->size = n;
    return ND_OK;
}
