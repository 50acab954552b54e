/* Reading and writing files that lie in the page cache, one thread: arrays of 64 MB, recordings of 64 channels x 100,000 samples. One CSV line each: GB/s of the file, and per cent of the
 * memory's bandwidth. Writing ends with the disk's word that all is there. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

enum { ROWS = 4096, COLUMNS = 4096, CHANNELS = 64, SAMPLES = 100000, PATH = 200 };

static char folder[PATH / 2];

typedef struct file_case {
    char path[PATH];
    float *values;
    double *samples;
    nd_recording *recording;
} file_case;

static void write_array(void *context)
{
    const file_case *f = context;
    OK(nd_array_write(f->path, f->values, (const size_t[]){ ROWS, COLUMNS }, 2));
}

static void read_array(void *context)
{
    const file_case *f = context;
    size_t shape[8], n_dims = 8;
    OK(nd_array_read(f->path, NULL, shape, &n_dims, f->values, (size_t)ROWS * COLUMNS));
}

static void write_recording(void *context)
{
    const file_case *f = context;
    OK(nd_recording_save(f->recording, f->path, NULL, NULL));
}

static void read_recording(void *context)
{
    const file_case *f = context;
    nd_recording *r;
    OK(nd_recording_open(&r, f->path, NULL));
    OK(nd_recording_get_data(r, 0, SAMPLES, f->samples, (size_t)CHANNELS * SAMPLES));
    nd_recording_free(r);
}

/* MATLAB's version 4, single precision: five numbers, a name, the values. */
static void write_matlab(const file_case *f)
{
    const int32_t head[] = { 10, ROWS, COLUMNS, 0, 5 };
    FILE *out = fopen(f->path, "wb");
    if (!out || fwrite(head, sizeof head, 1, out) != 1 || fwrite("data", 5, 1, out) != 1 ||
        fwrite(f->values, (size_t)ROWS * COLUMNS * 4, 1, out) != 1 || fclose(out))
        exit(1);
}

static double gigabytes(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 ? 1e-9 * (double)about.st_size : 0;
}

static void line(const machine *m, const char *what, file_case *f, const char *data, void (*call)(void *))
{
    char name[PATH];
    snprintf(name, sizeof name, "%s %s", strrchr(f->path, '.') + 1, what);
    const double seconds = least_time(call, f, 0.5);
    print_case(m, name, seconds, 0, gigabytes(data));
}

static void bench_arrays(const machine *m, file_case *f)
{
    static const char *const formats[] = { "npy", "npz", "pickle", "safetensors" };
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        snprintf(f->path, PATH, "%s/array.%s", folder, formats[i]);
        line(m, "writing", f, f->path, write_array);
        line(m, "reading", f, f->path, read_array);
        unlink(f->path);
    }
    snprintf(f->path, PATH, "%s/array.mat", folder);
    write_matlab(f);
    line(m, "reading", f, f->path, read_array);
    unlink(f->path);
}

/* `data`: the ending of the file with the samples. */
static void bench_recording(const machine *m, file_case *f, const char *ending, const char *data)
{
    char samples[PATH];
    snprintf(f->path, PATH, "%s/recording.%s", folder, ending);
    snprintf(samples, PATH, "%s/recording.%s", folder, data);
    line(m, "writing", f, samples, write_recording);
    line(m, "reading", f, samples, read_recording);
    unlink(f->path);
    unlink(samples);
}

int main(void)
{
    temporary(folder, sizeof folder);
    if (!mkdtemp(folder)) return 1;
    const machine m = begin_table();
    file_case f = { .values = noise((size_t)ROWS * COLUMNS), .samples = malloc((size_t)CHANNELS * SAMPLES * sizeof(double)) };
    nd_recording_options o;
    for (size_t i = 0; i < (size_t)CHANNELS * SAMPLES; i++) f.samples[i] = 1e-5 * (double)f.values[i];
    OK(nd_recording_options_init(&o, sizeof o));
    o.rate = 1000;
    bench_arrays(&m, &f);
    OK(nd_recording_create(&f.recording, f.samples, CHANNELS, SAMPLES, &o));
    bench_recording(&m, &f, "edf", "edf");
    bench_recording(&m, &f, "vhdr", "eeg");
    bench_recording(&m, &f, "fif", "fif");
    nd_recording_free(f.recording);
    free(f.values);
    free(f.samples);
    char marker[PATH];
    snprintf(marker, PATH, "%s/recording.vmrk", folder);
    unlink(marker);
    return rmdir(folder);
}
