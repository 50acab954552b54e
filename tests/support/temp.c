#include "temp.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATHS = 4, PATH_BYTES = 1024 };
static char folder[PATH_BYTES / 2];

static size_t visit(int remove_them)
{
    size_t n = 0;
    DIR *d = folder[0] ? opendir(folder) : NULL;
    for (struct dirent *entry; d && (entry = readdir(d));) {
        char path[PATH_BYTES];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        n++;
        if (remove_them && snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) < (int)sizeof path && unlink(path) != 0) rmdir(path);
    }
    if (d) closedir(d);
    return n;
}

size_t nd_test_temp_count(void) { return visit(0); }
void nd_test_temp_clear(void) { visit(1); }

static void remove_folder(void)
{
    nd_test_temp_clear();
    rmdir(folder);
}

static void make_folder(void)
{
    const char *place = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/neurodecode-test-XXXXXX", place && *place ? place : P_tmpdir);
    if (!mkdtemp(folder)) abort();
    atexit(remove_folder);
}

const char *nd_test_temp(const char *name)
{
    static char paths[PATHS][PATH_BYTES];
    static size_t next;
    if (!folder[0]) make_folder();
    char *path = paths[next++ % PATHS];
    if (snprintf(path, PATH_BYTES, "%s/%s", folder, name) >= PATH_BYTES) abort();
    return path;
}

void nd_test_write(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0) abort();
}

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
