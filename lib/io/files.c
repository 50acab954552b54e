#include "io/files.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "io/out.h"
#include "io/stream.h"

bool ndi_file_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

nd_status ndi_folder_make(const char *given)
{
    char *path = ndi_strdup(given);
    CHECK(path, ND_ERR_MEMORY, "%s: out of memory", given);
    nd_status status = ND_OK;
    for (char *s = path + (*path != '\0'); status == ND_OK; s++) {
        const char c = *s;
        if (c != '/' && c != '\0') continue;
        *s = '\0';
        struct stat about;
        const bool made = mkdir(path, 0777) == 0;
        const int why = errno;
        if (!made && (stat(path, &about) != 0 || !S_ISDIR(about.st_mode)))
            status = ndi_fail(ND_ERR_IO, "%s: the folder cannot be made: %s", path, strerror(why));
        *s = c;
        if (c == '\0') break;
    }
    ndi_free(path);
    return status;
}

nd_status ndi_file_holds(const char *path, const text *expected, bool *holds)
{
    stream *s = NULL;
    char *bytes = NULL;
    uint64_t size = 0;
    nd_status status = ND_OK;
    *holds = false;
    GO(ndi_stream_open_file(&s, path));
    GO(ndi_stream_size(s, &size));
    if (size != expected->n) goto done;
    GO(NEW(bytes, size));
    GO(ndi_stream_read(s, 0, bytes, size));
    *holds = memcmp(bytes, expected->s, size) == 0;
done:
    ndi_free(bytes);
    ndi_stream_close(s);
    return status;
}

nd_status ndi_file_write(const char *path, const text *bytes)
{
    out *o = NULL;
    nd_status status = ND_OK;
    GO(ndi_out_open(&o, path));
    GO(ndi_out_write(o, bytes->s, bytes->n));
    GO(ndi_out_commit(&o));
done:
    ndi_out_discard(&o);
    return status;
}
