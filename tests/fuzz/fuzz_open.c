/* Any bytes as a file that is opened as what it may be used for: a recording with its events, trials, embeddings, labels of trials. Each succeeds or fails
 * cleanly, and what opens can be used. */
#include <neurodecode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target.h"

const char *fuzz_extension = "";

enum { TRIALS = 6, MOST = 1 << 16 };

static void insist(int condition, const char *what)
{
    if (condition) return;
    fprintf(stderr, "%s: %s\n", what, nd_last_error());
    abort();
}

/* The bytes in a file of the extension; the same one each time. */
static const char *write_file(const uint8_t *bytes, size_t n)
{
    static char path[128];
    snprintf(path, sizeof path, "/dev/shm/neurodecode-fuzz-%ld.%.40s", (long)getpid(), fuzz_extension);
    FILE *f = fopen(path, "wb");
    insist(f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "write");
    return path;
}

static void try_dataset(nd_status status, nd_dataset *d)
{
    static float x[MOST];
    nd_dataset_info info = { .size = sizeof info };
    nd_dataset *mean;
    nd_trial trial = { .size = sizeof trial };
    insist(status == ND_OK || (!d && *nd_last_error()), "failure without a message");
    if (status != ND_OK) return;
    insist(nd_dataset_get_info(d, &info) == ND_OK, "info");
    for (size_t i = 0; i < info.n_trials && i < TRIALS; i++) insist(nd_dataset_get_trial(d, i, &trial) == ND_OK, "trial");
    const size_t values = info.n_channels * info.n_samples;
    if (values <= MOST) (void)nd_dataset_get_data(d, info.n_trials - 1, 1, x, MOST);
    if (values * info.n_trials <= MOST && nd_dataset_average(&mean, d) == ND_OK) nd_dataset_free(mean);
    nd_dataset_free(d);
}

static void try_recording(const char *path)
{
    static const char *const channels[] = { "0", "/./" };
    nd_recording *r, *found;
    nd_recording_info info = { .size = sizeof info };
    nd_epoch_options o;
    if (nd_recording_open(&r, path, NULL) != ND_OK) {
        insist(!r && *nd_last_error(), "failure without a message");
        return;
    }
    insist(nd_recording_get_info(r, &info) == ND_OK, "info");
    if (info.n_channels * info.n_samples <= MOST) {
        if (nd_recording_find_events(&found, r, NULL) == ND_OK) nd_recording_free(found);
        if (nd_recording_select_channels(&found, r, channels[info.n_samples % 2]) == ND_OK) nd_recording_free(found);
        nd_epoch_options_init(&o, sizeof o);
        o.start = 0;
        o.end = 2 / info.rate;
        o.n_threads = 1;
        nd_dataset *d = NULL;
        nd_status status = nd_recording_epoch(&d, r, &o, NULL, NULL, NULL);
        try_dataset(status, d);
    }
    nd_recording_free(r);
}

/* As a table of labels, of runs or of events, for a few volumes. */
static void try_labels(const char *path)
{
    const float x[TRIALS] = { 1, 2, 3, 4, 5, 6 };
    nd_dataset *source, *d = NULL;
    nd_dataset_options o;
    nd_dataset_options_init(&o, sizeof o);
    o.rate = 0.5;
    insist(nd_dataset_create(&source, x, TRIALS, 1, 1, NULL, &o) == ND_OK, "dataset");
    nd_status status = nd_dataset_label(&d, source, path, NULL);
    try_dataset(status, d);
    nd_dataset_free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *path = write_file(bytes, n);
    nd_dataset *d = NULL;
    nd_bank *b = NULL;
    nd_dataset_options o;
    size_t needed;
    try_recording(path);
    nd_status status = nd_dataset_open(&d, path, NULL, NULL, NULL);
    try_dataset(status, d);
    nd_dataset_options_init(&o, sizeof o);
    o.images = path; /* a list of ids, for trials that are in the file itself: numbers do not fit, which must be said */
    d = NULL;
    status = nd_dataset_open(&d, path, &o, NULL, NULL);
    try_dataset(status, d);
    if (nd_bank_open(&b, path, NULL, NULL, NULL) == ND_OK) nd_bank_free(b);
    try_labels(path);
    (void)nd_file_describe(path, NULL, 0, &needed);
    unlink(path);
    return 0;
}
