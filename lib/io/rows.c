#include "io/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

enum { MEMORY_BYTES = 1 << 24 }; /* up to here in memory */

struct rows {
    uint64_t n;
    double *memory; /* or NULL: in the file */
    int fd;
    char folder[1024]; /* of the file, for messages */
};

void ndi_rows_free(rows *r)
{
    if (!r) return;
    if (!r->memory && r->fd >= 0) close(r->fd);
    ndi_free(r->memory);
    ndi_free(r);
}

static nd_status fail(const rows *r, const char *what)
{
    return ndi_fail(ND_ERR_IO, "%s: temporary file: %s: %s; TMPDIR names another folder", r->folder, what, strerror(errno));
}

/* The name is taken away at once: whatever becomes of the process, nothing is left. */
static nd_status open_file(rows *r, uint64_t bytes)
{
    char name[sizeof r->folder + 32];
    const char *given = getenv("TMPDIR");
    ndi_format(r->folder, sizeof r->folder, "%s", given && *given ? given : "/var/tmp");
    ndi_format(name, sizeof name, "%s/neurodecode-XXXXXX", r->folder);
    r->fd = mkstemp(name);
    if (r->fd < 0) return fail(r, "cannot be made");
    unlink(name);
    return ftruncate(r->fd, (off_t)bytes) == 0 ? ND_OK : fail(r, "cannot be made as large as it has to be");
}

nd_status ndi_rows_create(rows **out, size_t n_rows, uint64_t n)
{
    rows *r;
    size_t all, bytes;
    CHECK(n <= SIZE_MAX && ndi_mul(n_rows, (size_t)n, &all) && ndi_mul(all, sizeof(double), &bytes) && bytes <= INT64_MAX, ND_ERR_MEMORY,
          "%zu rows of %llu numbers are too many", n_rows, (unsigned long long)n);
    TRY(NEW(r, 1));
    r->n = n;
    r->fd = -1;
    nd_status status = bytes <= MEMORY_BYTES ? NEW(r->memory, all) : open_file(r, bytes);
    if (status != ND_OK) {
        ndi_rows_free(r);
        return status;
    }
    *out = r;
    return ND_OK;
}

/* All bytes of a run of numbers, out of the file or into it. */
static nd_status transfer(const rows *r, size_t row, uint64_t first, size_t count, double *numbers, bool write)
{
    char *at = (char *)numbers;
    off_t place = (off_t)((row * r->n + first) * sizeof *numbers);
    for (size_t left = count * sizeof *numbers; left > 0;) {
        const ssize_t n = write ? pwrite(r->fd, at, left, place) : pread(r->fd, at, left, place);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(r, write ? "cannot be written" : "cannot be read");
        at += n;
        place += n;
        left -= (size_t)n;
    }
    return ND_OK;
}

nd_status ndi_rows_read(const rows *r, size_t row, uint64_t first, size_t count, double *to)
{
    if (!r->memory) return transfer(r, row, first, count, to, false);
    memcpy(to, r->memory + row * r->n + first, count * sizeof *to);
    return ND_OK;
}

nd_status ndi_rows_write(rows *r, size_t row, uint64_t first, size_t count, const double *from)
{
    if (!r->memory) return transfer(r, row, first, count, (double *)(uintptr_t)from, true);
    memcpy(r->memory + row * r->n + first, from, count * sizeof *from);
    return ND_OK;
}
