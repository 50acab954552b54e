/* The folder layout of THINGS-EEG2 (Gifford et al. 2022): which file holds whose trials, and where the image ids are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/images.h"
#include "data/import.h"
#include "data/normalise.h"
#include "data/store.h"
#include "data/things_eeg2.h"

static bool exists(const char *path) { return access(path, R_OK) == 0; }

/* Tries `folder/<place>` for each place; the error names the first. */
static nd_status find_file(text *found, const char *folder, const char *const *places, size_t n_places)
{
    for (size_t i = 0; i <= n_places; i++) {
        ndi_text_free(found);
        ndi_text_add(found, "%s/%s", folder, places[i % n_places]);
        TRY(ndi_text_status(found));
        if (exists(found->s)) return ND_OK;
    }
    text others = { 0 };
    for (size_t i = 1; i < n_places; i++) ndi_text_add(&others, "%s%s/%s", i > 1 ? ", " : "", folder, places[i]);
    ndi_say("%s: no such file, nor %s", found->s, others.s ? others.s : "elsewhere");
    ndi_text_free(&others);
    return ND_ERR_IO;
}

nd_status ndi_things_metadata(text *path, const char *folder)
{
    static const char *const places[] = { "image_metadata.npy", "image_embeddings/image_metadata.npy", "images/image_metadata.npy",
                                          "image_set/image_metadata.npy" };
    return find_file(path, folder, places, COUNT(places));
}

static nd_status find_trials(text *path, const char *folder, int32_t subject, const char *partition)
{
    char places[3][120];
    const char *const list[] = { places[0], places[1], places[2] };
    snprintf(places[0], sizeof places[0], "Preprocessed_data_250Hz/sub-%02d/preprocessed_eeg_%s.npy", (int)subject, partition);
    snprintf(places[1], sizeof places[1], "preprocessed_eeg/sub-%02d/preprocessed_eeg_%s.npy", (int)subject, partition);
    snprintf(places[2], sizeof places[2], "preprocessed_eeg/sub-%02d/%s.npy", (int)subject, strcmp(partition, "training") == 0 ? "train" : partition);
    return find_file(path, folder, list, COUNT(list));
}

nd_status ndi_things_partition(const char *partition)
{
    bool known = partition && (strcmp(partition, "training") == 0 || strcmp(partition, "test") == 0);
    CHECK(known, ND_ERR_ARGUMENT, "partition: got '%s', expected training or test", partition ? partition : "NULL");
    return ND_OK;
}

/* ---- is it the published data set? ---- */

enum { TRAINING_IMAGES = 16540, TRAINING_REPETITIONS = 4, TEST_IMAGES = 200, TEST_REPETITIONS = 80 };

/* By how many images the metadata list and the first of them: data sets of the same layout have their own numbers. */
static nd_status is_published(const char *metadata, bool *is)
{
    image_list training, test;
    TRY(ndi_images_open(&training, metadata, "training", 0, metadata));
    *is = training.n == TRAINING_IMAGES && strcmp(training.items[0], "00001_aardvark/aardvark_01b") == 0;
    ndi_images_free(&training);
    if (!*is) return ND_OK;
    TRY(ndi_images_open(&test, metadata, "test", 0, metadata));
    *is = test.n == TEST_IMAGES;
    ndi_images_free(&test);
    return ND_OK;
}

/* Images x repetitions x channels x samples, or concepts x images x ... */
static nd_status check_shape(const array *a, const char *path, const char *partition)
{
    const bool test = strcmp(partition, "test") == 0;
    const size_t images = test ? TEST_IMAGES : TRAINING_IMAGES, repetitions = test ? TEST_REPETITIONS : TRAINING_REPETITIONS;
    size_t got = 1;
    text shape = { 0 };
    for (size_t i = 0; i < a->n_dims; i++) ndi_text_add(&shape, "%s%zu", i ? " x " : "", a->shape[i]);
    for (size_t i = 0; i + 3 < a->n_dims; i++) got *= a->shape[i];
    nd_status status = ndi_text_status(&shape);
    if (status == ND_OK && (a->n_dims < 4 || got != images || a->shape[a->n_dims - 3] != repetitions))
        status = ndi_fail(ND_ERR_FORMAT,
                          "%s: array '%s' has shape (%s), expected %zu images x %zu repetitions x channels x samples, as THINGS-EEG2 has for %s",
                          path, a->name, shape.s, images, repetitions, partition);
    ndi_text_free(&shape);
    return status;
}

static nd_status check_published(const char *trials, const char *metadata, const char *partition)
{
    bool published;
    content *c;
    TRY(is_published(metadata, &published));
    if (!published) return ND_OK;
    TRY(ndi_content_open(&c, trials));
    const array *a = NULL;
    nd_status status = ndi_import_pick(c, NULL, &a);
    if (status == ND_OK) status = check_shape(a, trials, partition);
    ndi_content_free(c);
    return status;
}

/* ---- opening ---- */

/* One store for each subject, partition and way of reading. */
static nd_status name_store(text *path, const char *dir, const nd_dataset_options *o)
{
    static const char *const normalised[] = { "", "_zscore", "_reference" };
    ndi_text_add(path, "%s/sub-%02d_%s_%s%s%s.safetensors", dir, (int)o->subject, o->partition, o->average ? "averaged" : "single",
                 normalised[o->normalise], o->precision == ND_PRECISION_BFLOAT16 ? "_bf16" : "");
    TRY(ndi_text_status(path));
    CHECK(mkdir(dir, 0777) == 0 || errno == EEXIST, ND_ERR_IO, "%s: cannot make the folder: %s", dir, strerror(errno));
    return ND_OK;
}

static nd_status open_through_store(nd_dataset **d, const char *trials, const char *store_dir, const nd_dataset_options *o, nd_progress_fn fn,
                                    void *user)
{
    text store = { 0 }, identity = { 0 };
    nd_status status;
    GO(name_store(&store, store_dir, o));
    GO(ndi_import_identity(&identity, trials, o));
    GO(ndi_store_is_current(store.s, identity.s) ? ndi_store_open(d, store.s) : ndi_dataset_import(d, trials, store.s, o, fn, user));
done:
    ndi_text_free(&store);
    ndi_text_free(&identity);
    return status;
}

nd_status ndi_dataset_open_things_eeg2(nd_dataset **d, const char *folder, int32_t subject, const char *partition, const char *store_dir,
                                       const nd_dataset_options *given, nd_progress_fn fn, void *user)
{
    CHECK(subject >= 1, ND_ERR_ARGUMENT, "subject: got %d, expected 1 or more", (int)subject);
    TRY(ndi_things_partition(partition));
    TRY(ndi_normalise_check(given->normalise));
    TRY(ndi_precision_check(given->precision));
    text trials = { 0 }, metadata = { 0 };
    nd_dataset_options o = ndi_dataset_defaults;
    nd_status status;
    GO(find_trials(&trials, folder, subject, partition));
    GO(ndi_things_metadata(&metadata, folder));
    GO(check_published(trials.s, metadata.s, partition));
    o.subject = subject;
    o.partition = partition;
    o.images = metadata.s;
    o.normalise = given->normalise;
    o.average = given->average;
    o.n_threads = given->n_threads;
    o.precision = given->precision;
    GO(store_dir ? open_through_store(d, trials.s, store_dir, &o, fn, user) : ndi_dataset_open(d, trials.s, &o, fn, user));
done:
    ndi_text_free(&trials);
    ndi_text_free(&metadata);
    return status;
}
