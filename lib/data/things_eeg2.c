/* The folder layout of THINGS-EEG2 (Gifford et al. 2022): which file holds whose trials, and where the image ids are. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/import.h"
#include "data/normalise.h"
#include "data/store.h"
#include "data/things_eeg2.h"

static bool exists(const char *path) { return access(path, R_OK) == 0; }

/* Tries `folder/<place>/name` for each place; the error names the first. */
static nd_status find_file(text *found, const char *folder, const char *const *places, size_t n_places, const char *name)
{
    for (size_t i = 0; i <= n_places; i++) {
        ndi_text_free(found);
        ndi_text_add(found, "%s/%s%s", folder, places[i % n_places], name);
        TRY(ndi_text_status(found));
        if (exists(found->s)) return ND_OK;
    }
    text others = { 0 };
    for (size_t i = 1; i < n_places; i++) ndi_text_add(&others, "%s%s/%s%s", i > 1 ? ", " : "", folder, places[i], name);
    ndi_say("%s: no such file, nor %s", found->s, others.s ? others.s : "elsewhere");
    ndi_text_free(&others);
    return ND_ERR_IO;
}

nd_status ndi_things_metadata(text *path, const char *folder)
{
    static const char *const places[] = { "", "image_embeddings/", "images/" };
    return find_file(path, folder, places, COUNT(places), "image_metadata.npy");
}

static nd_status find_trials(text *path, const char *folder, int32_t subject, const char *partition)
{
    static const char *const places[] = { "Preprocessed_data_250Hz/", "preprocessed_eeg/" };
    char name[80];
    snprintf(name, sizeof name, "sub-%02d/preprocessed_eeg_%s.npy", (int)subject, partition);
    return find_file(path, folder, places, COUNT(places), name);
}

nd_status ndi_things_partition(const char *partition)
{
    bool known = partition && (strcmp(partition, "training") == 0 || strcmp(partition, "test") == 0);
    CHECK(known, ND_ERR_ARGUMENT, "partition: got '%s', expected training or test", partition ? partition : "NULL");
    return ND_OK;
}

/* One store for each subject, partition and way of reading. */
static nd_status name_store(text *path, const char *dir, const nd_dataset_options *o)
{
    static const char *const normalised[] = { "", "_zscore", "_reference" };
    ndi_text_add(path, "%s/sub-%02d_%s_%s%s.safetensors", dir, (int)o->subject, o->partition, o->average ? "averaged" : "single",
                 normalised[o->normalise]);
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
    text trials = { 0 }, metadata = { 0 };
    nd_dataset_options o = ndi_dataset_defaults;
    nd_status status;
    GO(find_trials(&trials, folder, subject, partition));
    GO(ndi_things_metadata(&metadata, folder));
    o.subject = subject;
    o.partition = partition;
    o.images = metadata.s;
    o.normalise = given->normalise;
    o.average = given->average;
    o.n_threads = given->n_threads;
    GO(store_dir ? open_through_store(d, trials.s, store_dir, &o, fn, user) : ndi_dataset_open(d, trials.s, &o, fn, user));
done:
    ndi_text_free(&trials);
    ndi_text_free(&metadata);
    return status;
}
