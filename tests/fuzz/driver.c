/* Runs a fuzz target over files and folders without any fuzzing engine: to replay a corpus or a finding. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static size_t runs;

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return;
    uint8_t *bytes = NULL;
    size_t n = 0, capacity = 0;
    for (size_t got = 1; got > 0; n += got) {
        if (n == capacity) {
            capacity = capacity ? 2 * capacity : 65536;
            bytes = realloc(bytes, capacity);
            if (!bytes) abort();
        }
        got = fread(bytes + n, 1, capacity - n, f);
    }
    fclose(f);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
    runs++;
}

static void run_path(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0) return;
    if (!S_ISDIR(about.st_mode)) {
        run_file(path);
        return;
    }
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char below[4096];
        if (entry->d_name[0] == '.' || snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below) continue;
        run_path(below);
    }
    if (folder) closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) run_path(argv[i]);
    printf("%zu files\n", runs);
    return runs > 0 ? 0 : 1;
}
