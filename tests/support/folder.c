#include "folder.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/mem.h"

static char folder[512];
static arena paths;

const char *nd_test_folder_make(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/neurodecode-test-XXXXXX", base && *base ? base : P_tmpdir);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *walk)
{
    (void)about;
    (void)kind;
    (void)walk;
    return remove(path);
}

void nd_test_folder_remove(void)
{
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    ndi_arena_free(&paths);
}

const char *nd_test_file(const char *name)
{
    char path[1024];
    int n = snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_true(n > 0 && (size_t)n < sizeof path);
    const char *copy = ndi_arena_text(&paths, path, (size_t)n);
    assert_non_null(copy);
    return copy;
}

void nd_test_subfolder(const char *name)
{
    char path[1024];
    int n = snprintf(path, sizeof path, "%s/%s/", folder, name);
    assert_true(n > 0 && (size_t)n < sizeof path);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
}

void nd_test_write_text(const char *name, const char *text)
{
    FILE *f = fopen(nd_test_file(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}
