#include "temp.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATHS = 64, PATH_BYTES = 1024 };
static char folder[PATH_BYTES / 2];
static size_t entries;

static int count_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)path;
    (void)about;
    (void)kind;
    entries += walk->level == 1;
    return 0;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    return walk->level > 0 ? remove(path) : 0;
}

size_t nd_test_temp_count(void)
{
    entries = 0;
    nftw(nd_test_temp_folder(), count_one, 16, FTW_PHYS);
    return entries;
}

void nd_test_temp_clear(void) { nftw(nd_test_temp_folder(), remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static void remove_folder(void)
{
    nd_test_temp_clear();
    rmdir(folder);
}

const char *nd_test_temp_folder(void)
{
    if (folder[0]) return folder;
    const char *place = getenv("TMPDIR");
    if (!place || !*place) place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : P_tmpdir;
    snprintf(folder, sizeof folder, "%s/neurodecode-test-XXXXXX", place);
    if (!mkdtemp(folder)) abort();
    atexit(remove_folder);
    return folder;
}

const char *nd_test_temp(const char *name)
{
    static char paths[PATHS][PATH_BYTES];
    static size_t next;
    char *path = paths[next++ % PATHS];
    if (snprintf(path, PATH_BYTES, "%s/%s", nd_test_temp_folder(), name) >= PATH_BYTES) abort();
    return path;
}

void nd_test_subfolder(const char *name)
{
    char path[PATH_BYTES];
    if (snprintf(path, sizeof path, "%s/", nd_test_temp(name)) >= (int)sizeof path) abort();
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
}

void nd_test_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) abort();
}

void nd_test_write_text(const char *name, const char *text) { nd_test_write(nd_test_temp(name), text, strlen(text)); }

uint8_t *nd_test_read(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    uint8_t *bytes = size >= 0 ? malloc((size_t)size + 1) : NULL;
    if (!bytes || fread(bytes, 1, (size_t)size, f) != (size_t)size) abort();
    fclose(f);
    *n = (size_t)size;
    return bytes;
}
