#include "io/out.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

enum { BUFFER_BYTES = 1 << 18, BEHIND_BYTES = 8 << 20, NAME_TRIES = 1000 };

struct out {
    int fd;
    char *path, *place, *temporary; /* as given; where it ends up (a link followed); the name meanwhile */
    uint64_t flushed;               /* bytes in the file; `used` more wait in the buffer */
    uint64_t started;               /* bytes that the disk has been told to write */
    size_t used;
    nd_status failed; /* the first failure; it sticks */
    uint8_t *buffer;
};

static nd_status fail_with_errno(const char *path, const char *what) { return ndi_fail(ND_ERR_IO, "%s: %s: %s", path, what, strerror(errno)); }

static void out_free(out *o)
{
    if (o->fd >= 0) close(o->fd);
    ndi_free(o->path);
    ndi_free(o->place);
    ndi_free(o->temporary);
    ndi_free(o->buffer);
    ndi_free(o);
}

/* A link keeps pointing where it does: the file it names is replaced. Anything that is there must be a plain file. */
static nd_status find_place(out *o)
{
    struct stat about;
    bool exists = stat(o->path, &about) == 0;
    CHECK(!exists || S_ISREG(about.st_mode), ND_ERR_IO, "%s: is not a plain file, cannot be replaced", o->path);
    char *resolved = exists ? realpath(o->path, NULL) : NULL;
    o->place = ndi_strdup(resolved ? resolved : o->path);
    free(resolved);
    CHECK(o->place, ND_ERR_MEMORY, "%s: out of memory", o->path);
    return ND_OK;
}

/* The mode 0666 leaves permissions to the umask; O_EXCL makes sure that the name is ours. */
static nd_status open_temporary(out *o)
{
    size_t room = strlen(o->place) + 40;
    TRY(NEW(o->temporary, room));
    for (int i = 0; i < NAME_TRIES; i++) {
        ndi_format(o->temporary, room, "%s.%ld-%d.part", o->place, (long)getpid(), i);
        o->fd = open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (o->fd >= 0) return ND_OK;
        if (errno != EEXIST) break;
    }
    return fail_with_errno(o->path, "cannot be written");
}

nd_status ndi_out_open(out **o, const char *path)
{
    *o = NULL;
    out *made;
    TRY(NEW(made, 1));
    made->fd = -1;
    nd_status status = ND_OK;
    made->path = ndi_strdup(path);
    if (!made->path) status = ndi_fail(ND_ERR_MEMORY, "%s: out of memory", path);
    if (status == ND_OK) status = NEW(made->buffer, BUFFER_BYTES);
    if (status == ND_OK) status = find_place(made);
    if (status == ND_OK) status = open_temporary(made);
    if (status != ND_OK) {
        out_free(made);
        return status;
    }
    *o = made;
    return ND_OK;
}

static nd_status write_through(out *o, uint64_t at, const uint8_t *bytes, size_t n)
{
    for (size_t sent = 0; sent < n;) {
        ssize_t step = pwrite(o->fd, bytes + sent, n - sent, (off_t)(at + sent));
        if (step < 0 && errno == EINTR) continue;
        if (step <= 0) return o->failed = fail_with_errno(o->path, "cannot be written");
        sent += (size_t)step;
    }
    return ND_OK;
}

/* Lets the disk write what is there while more is made, so that the sync at the end has little left to wait for. A hint: whether it works does not matter. */
static void start_disk(out *o)
{
#if defined(SYNC_FILE_RANGE_WRITE)
    if (o->flushed - o->started < BEHIND_BYTES) return;
    sync_file_range(o->fd, (off_t)o->started, (off_t)(o->flushed - o->started), SYNC_FILE_RANGE_WRITE);
    o->started = o->flushed;
#else
    (void)o;
#endif
}

static nd_status append(out *o, const void *bytes, size_t n)
{
    TRY(write_through(o, o->flushed, bytes, n));
    o->flushed += n;
    start_disk(o);
    return ND_OK;
}

static nd_status flush(out *o)
{
    TRY(append(o, o->buffer, o->used));
    o->used = 0;
    return ND_OK;
}

static nd_status stuck(const out *o) { return o->failed == ND_OK ? ND_OK : ndi_fail(o->failed, "%s: an earlier write failed", o->path); }

nd_status ndi_out_write(out *o, const void *bytes, size_t n)
{
    TRY(stuck(o));
    if (n > BUFFER_BYTES - o->used) TRY(flush(o));
    if (n >= BUFFER_BYTES) {
        TRY(append(o, bytes, n));
    } else if (n > 0) {
        memcpy(o->buffer + o->used, bytes, n);
        o->used += n;
    }
    return ND_OK;
}

nd_status ndi_out_write_at(out *o, uint64_t at, const void *bytes, size_t n)
{
    TRY(stuck(o));
    CHECK(at <= ndi_out_position(o) && n <= ndi_out_position(o) - at, ND_ERR_INTERNAL, "%s: %zu bytes at %llu are not written yet", o->path, n,
          (unsigned long long)at);
    TRY(flush(o));
    return write_through(o, at, bytes, n);
}

uint64_t ndi_out_position(const out *o) { return o->flushed + o->used; }
const char *ndi_out_name(const out *o) { return o->path; }

/* Makes the new name in the folder as lasting as the file. Some file systems cannot; the file itself is safe by then. */
static void sync_folder(char *place)
{
    int fd = open(dirname(place), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
}

nd_status ndi_out_commit(out **o)
{
    out *f = *o;
    *o = NULL;
    nd_status status = stuck(f);
    if (status == ND_OK) status = flush(f);
    if (status == ND_OK && fsync(f->fd) != 0) status = fail_with_errno(f->path, "cannot be written");
    int closed = close(f->fd);
    f->fd = -1;
    if (status == ND_OK && closed != 0) status = fail_with_errno(f->path, "cannot be written");
    if (status == ND_OK && rename(f->temporary, f->place) != 0) status = fail_with_errno(f->path, "cannot be put in place");
    if (status == ND_OK)
        sync_folder(f->place);
    else
        unlink(f->temporary);
    out_free(f);
    return status;
}

void ndi_out_discard(out **o)
{
    if (!*o) return;
    unlink((*o)->temporary);
    out_free(*o);
    *o = NULL;
}
