/* Runs a fuzz target over files and folders without any fuzzing engine: to replay a corpus or a finding, or with --mutate[=POSITIONS] to read each file
 * cut short at every byte and with every bit flipped; of files of more than 8 KB so many positions (1024), evenly spread, with one bit each.
 * Each file is mutated in a process of its own, so that one finding does not hide the others. Files of HDF5 are passed over unless --hdf5 is
 * given: the library that reads them does not promise to survive. */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "target.h"

enum { SMALL = 8192, PATIENCE = 60, FINDING = 99 }; /* bytes, seconds for one input, exit status */

void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static struct {
    size_t positions; /* 0: replay */
    bool hdf5;
    size_t files, runs, findings, passed_over;
} work;

/* The input at hand. */
static struct {
    const char *path, *change;
    size_t at;
} now;

static void say_where(void) { fprintf(stderr, "%s: %s %zu\n", now.path, now.change, now.at); }

static void on_signal(int signal)
{
    if (signal == SIGALRM) fprintf(stderr, "no answer within %d seconds\n", PATIENCE);
    say_where();
    _exit(FINDING);
}

/* A copy without a byte to spare, so that a sanitizer sees what is read behind it. */
static void run(const uint8_t *bytes, size_t n, const char *change, size_t at)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy) abort();
    if (n) memcpy(copy, bytes, n);
    now.change = change;
    now.at = at;
    alarm(PATIENCE);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    work.runs++;
}

static void mutate(uint8_t *bytes, size_t n)
{
    const bool all = n <= SMALL || n <= work.positions;
    const size_t positions = all ? n : work.positions;
    for (size_t k = 0; k < positions; k++) {
        const size_t at = all ? k : (size_t)((double)k * (double)n / (double)positions);
        run(bytes, at, "cut short at byte", at);
        for (unsigned bit = all ? 0 : k % 8, end = all ? 8 : bit + 1; bit < end; bit++) {
            bytes[at] ^= (uint8_t)(1 << bit);
            run(bytes, n, "flipped bit", 8 * at + bit);
            bytes[at] ^= (uint8_t)(1 << bit);
        }
    }
}

/* Counts of runs come back through a pipe. */
static void mutate_apart(uint8_t *bytes, size_t n)
{
    size_t runs = 0;
    int ends[2], status;
    if (pipe(ends) != 0) abort();
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        if (__sanitizer_set_death_callback) __sanitizer_set_death_callback(say_where);
        work.runs = 0;
        mutate(bytes, n);
        free(bytes); /* so that what leaks is not the driver's */
        exit(write(ends[1], &work.runs, sizeof work.runs) == sizeof work.runs ? 0 : 1);
    }
    close(ends[1]);
    if (read(ends[0], &runs, sizeof runs) == sizeof runs) work.runs += runs;
    close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) work.findings++;
}

static bool is_hdf5(const uint8_t *bytes, size_t n)
{
    static const uint8_t mark[8] = "\211HDF\r\n\032\n";
    for (size_t at = 0; at + 8 <= n && at <= 2048; at = at ? 2 * at : 512)
        if (memcmp(bytes + at, mark, 8) == 0) return true;
    return false;
}

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
    const char *dot = strrchr(path, '.');
    now.path = path;
    if (work.positions && dot && !strchr(dot, '/')) fuzz_extension = dot + 1;
    if (work.positions && !work.hdf5 && is_hdf5(bytes, n))
        work.passed_over++;
    else if (work.positions)
        mutate_apart(bytes, n);
    else
        run(bytes, n, "as it is, bytes", n);
    free(bytes);
    work.files++;
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
    const time_t start = time(NULL);
    signal(SIGALRM, on_signal);
    signal(SIGABRT, on_signal);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--mutate", 8) == 0)
            work.positions = argv[i][8] == '=' ? strtoul(argv[i] + 9, NULL, 10) : 1024;
        else if (strcmp(argv[i], "--hdf5") == 0)
            work.hdf5 = true;
        else
            run_path(argv[i]);
    }
    printf("%zu files, %zu runs, %zu findings, %zu files of HDF5 passed over, %.0f s\n", work.files, work.runs, work.findings, work.passed_over,
           difftime(time(NULL), start));
    return work.files > 0 && work.findings == 0 ? 0 : 1;
}
