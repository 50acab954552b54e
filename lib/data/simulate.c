/* The files of a simulated THINGS-EEG2: names and shapes as in the real data set, where `times` has 50 more entries than there are samples, from
 * -0.2 s on. */
#include "data/simulate.h"

#include <jansson.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "data/electrodes.h"
#include "data/simulate_brain.h"
#include "data/simulate_raw.h"
#include "data/simulate_world.h"
#include "io/files.h"
#include "io/format.h"

enum { PATH_SIZE = 4096, SAMPLES_BEFORE = 50, BLOCK_TRIALS = 64, BLOCK_IMAGES = 64, WAITING_THREADS = 16 };

const nd_simulate_options ndi_simulate_defaults = {
    .size = sizeof(nd_simulate_options),
    .n_subjects = 1,
    .n_concepts = 200,
    .images_per_concept = 10,
    .n_test = 200,
    .train_repetitions = 4,
    .test_repetitions = 20,
    .n_channels = NDI_N_ELECTRODES,
    .n_samples = 250,
    .embed_dim = 512,
    .snr = 0.02,
    .seed = 42,
};

static const char *const partition_names[N_PARTITIONS] = { "training", "test" };

/* One table for what an option may be and for simulation.json. */
static const struct field {
    const char *name;
    size_t offset;
    uint32_t low, high;
} fields[] = {
    { "n_subjects", offsetof(nd_simulate_options, n_subjects), 1, 10 },
    { "n_concepts", offsetof(nd_simulate_options, n_concepts), 1, 99999 },
    { "images_per_concept", offsetof(nd_simulate_options, images_per_concept), 1, 99 },
    { "n_test", offsetof(nd_simulate_options, n_test), 1, 99999 },
    { "train_repetitions", offsetof(nd_simulate_options, train_repetitions), 1, 1000 },
    { "test_repetitions", offsetof(nd_simulate_options, test_repetitions), 1, 1000 },
    { "n_channels", offsetof(nd_simulate_options, n_channels), NDI_N_POSTERIOR, NDI_N_ELECTRODES },
    { "n_samples", offsetof(nd_simulate_options, n_samples), 50, 1000 },
    { "embed_dim", offsetof(nd_simulate_options, embed_dim), 2, 16384 },
    { "n_sessions", offsetof(nd_simulate_options, n_sessions), 0, 4 },
};

static uint32_t field_value(const nd_simulate_options *o, const struct field *f)
{
    uint32_t value;
    memcpy(&value, (const char *)o + f->offset, sizeof value);
    return value;
}

static nd_status check_options(const nd_simulate_options *o)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        uint32_t value = field_value(o, &fields[i]);
        CHECK(value >= fields[i].low && value <= fields[i].high, ND_ERR_ARGUMENT, "simulate: %s is %u, expected %u to %u", fields[i].name, value,
              fields[i].low, fields[i].high);
    }
    CHECK(o->n_channels == NDI_N_ELECTRODES || o->n_channels == NDI_N_POSTERIOR, ND_ERR_ARGUMENT, "simulate: n_channels is %u, expected %d or %d",
          o->n_channels, NDI_N_ELECTRODES, NDI_N_POSTERIOR);
    for (int p = 0; p < N_PARTITIONS; p++) {
        uint32_t times;
        CHECK(ndi_simulate_shown(o, (partition)p, &times), ND_ERR_ARGUMENT,
              "simulate: %u repetitions of a %s image are not to be dealt out to %u sessions evenly",
              p == TRAINING ? o->train_repetitions : o->test_repetitions, partition_names[p], o->n_sessions);
    }
    CHECK(isfinite(o->snr) && o->snr >= 0 && o->snr <= 1000, ND_ERR_ARGUMENT, "simulate: snr is %g, expected 0 to 1000", o->snr);
    return ND_OK;
}

/* One simulation on its way into a folder. */
typedef struct writer {
    const char *folder;
    const world *w;
    pool *workers;
    progress watch;
    uint64_t done;
    /* the block of trials that the file being written is at */
    brain *person;
    partition p;
    size_t trial_size, block_images, block; /* block: number of the one in `data`, SIZE_MAX = none */
    float *data;
} writer;

/* The path of a file or folder below the root. */
static nd_status make_path(char path[PATH_SIZE], const writer *to, const char *pattern, ...) __attribute__((format(printf, 3, 4)));
static nd_status make_path(char path[PATH_SIZE], const writer *to, const char *pattern, ...)
{
    char below[PATH_SIZE];
    va_list arguments;
    va_start(arguments, pattern);
    ndi_vformat(below, sizeof below, pattern, arguments);
    va_end(arguments);
    CHECK(strlen(to->folder) + strlen(below) + 2 <= PATH_SIZE, ND_ERR_ARGUMENT, "simulate: the name of the folder is too long");
    ndi_format(path, PATH_SIZE, "%s%s%s", to->folder, *below ? "/" : "", below);
    return ND_OK;
}

static int add_json(const char *bytes, size_t n, void *to)
{
    ndi_text_add_bytes(to, bytes, n);
    return 0;
}

static nd_status describe_options(const nd_simulate_options *o, text *json)
{
    json_t *object = json_object();
    int failed = object == NULL;
    for (size_t i = 0; i < COUNT(fields) && !failed; i++) {
        const uint32_t value = field_value(o, &fields[i]);
        if (value) failed |= json_object_set_new(object, fields[i].name, json_integer(value));
    }
    failed |= json_object_set_new(object, "snr", json_real(o->snr));
    failed |= json_object_set_new(object, "seed", json_integer((json_int_t)o->seed));
    failed |= json_object_set_new(object, "rate", json_real(SIMULATE_RATE));
    failed |= json_object_set_new(object, "version", json_string(nd_version()));
    failed = failed || json_dump_callback(object, add_json, json, JSON_INDENT(4)) != 0;
    json_decref(object);
    ndi_text_add(json, "\n");
    CHECK(!failed, ND_ERR_MEMORY, "simulation.json: out of memory");
    return ndi_text_status(json);
}

static const char *const data_folders[] = { "Preprocessed_data_250Hz", "raw_eeg" };

/* The folder may be new, or hold this very simulation, perhaps cut short. Anything else is left alone: real recordings are not written over, nor
 * are two simulations mixed. */
static nd_status check_folder(writer *to, const text *description)
{
    char path[PATH_SIZE];
    struct stat about;
    bool same;
    bool has_data = false;
    for (size_t i = 0; i < COUNT(data_folders); i++) {
        TRY(make_path(path, to, "%s", data_folders[i]));
        has_data = has_data || stat(path, &about) == 0;
    }
    TRY(make_path(path, to, "simulation.json"));
    if (stat(path, &about) != 0) {
        CHECK(!has_data, ND_ERR_ARGUMENT, "%s: holds recordings that were not simulated; use another folder", to->folder);
        return ND_OK;
    }
    TRY(ndi_file_holds(path, description, &same));
    CHECK(same, ND_ERR_ARGUMENT, "%s: holds a simulation with other options; use another folder", to->folder);
    return ND_OK;
}

static nd_status write_description(writer *to)
{
    char path[PATH_SIZE];
    text json = { 0 };
    nd_status status = ND_OK;
    GO(describe_options(&to->w->options, &json));
    GO(check_folder(to, &json));
    GO(make_path(path, to, "%s", ""));
    GO(ndi_folder_make(path));
    GO(make_path(path, to, "simulation.json"));
    GO(ndi_file_write(path, &json));
done:
    ndi_text_free(&json);
    return status;
}

/* Names of all images: three lists for each partition, as one dict. */
typedef struct names {
    char concept[NDI_NAME_SIZE], things[NDI_NAME_SIZE], file[NDI_NAME_SIZE + 4];
} names;

static nd_status list_names(const world *w, partition p, names **made, const char ***items, put_texts lists[3])
{
    static const char *const keys[N_PARTITIONS][3] = { { "train_img_concepts", "train_img_concepts_THINGS", "train_img_files" },
                                                       { "test_img_concepts", "test_img_concepts_THINGS", "test_img_files" } };
    size_t n = ndi_world_images(w, p);
    TRY(NEW(*made, n));
    TRY(NEW(*items, 3 * n));
    for (size_t i = 0; i < n; i++) {
        names *one = *made + i;
        ndi_world_names(w, p, i, one->concept, one->things, one->file);
        memcpy(one->file + strlen(one->file), ".jpg", 5);
        (*items)[i] = one->concept;
        (*items)[n + i] = one->things;
        (*items)[2 * n + i] = one->file;
    }
    for (size_t k = 0; k < 3; k++) lists[k] = (put_texts){ .name = keys[p][k], .items = *items + k * n, .n = n, .list = true };
    return ND_OK;
}

static nd_status write_metadata(writer *to)
{
    char path[PATH_SIZE];
    names *made[N_PARTITIONS] = { NULL };
    const char **items[N_PARTITIONS] = { NULL };
    put_texts lists[3 * N_PARTITIONS];
    put what = { .texts = lists, .n_texts = COUNT(lists) };
    nd_status status = ND_OK;
    for (int p = 0; p < N_PARTITIONS; p++) GO(list_names(to->w, (partition)p, &made[p], &items[p], lists + 3 * p));
    GO(make_path(path, to, "image_metadata.npy"));
    GO(ndi_format_write(path, "npy", &what));
    GO(make_path(path, to, "image_embeddings"));
    GO(ndi_folder_make(path));
    GO(make_path(path, to, "image_embeddings/image_metadata.npy"));
    GO(ndi_format_write(path, "npy", &what));
done:
    for (int p = 0; p < N_PARTITIONS; p++) {
        ndi_free(made[p]);
        ndi_free(items[p]);
    }
    return status;
}

/* Images of both partitions, counted through. */
static nd_status write_embedding(const writer *to, size_t image)
{
    static const char *const folders[N_PARTITIONS] = { "training_images", "test_images" };
    size_t n_training = ndi_world_images(to->w, TRAINING);
    partition p = image < n_training ? TRAINING : TEST;
    char concept[NDI_NAME_SIZE], things[NDI_NAME_SIZE], file[NDI_NAME_SIZE], path[PATH_SIZE];
    float *vector = NULL;
    nd_status status = ND_OK;
    if (p == TEST) image -= n_training;
    ndi_world_names(to->w, p, image, concept, things, file);
    GO(NEW(vector, to->w->options.embed_dim));
    GO(make_path(path, to, "image_embeddings/%s/%s", folders[p], concept));
    GO(ndi_folder_make(path));
    for (int m = 0; m < N_IMAGE_MODELS; m++) {
        put_array one = { .name = "data", .type = DTYPE_F32, .n_dims = 2, .shape = { 1, to->w->options.embed_dim }, .data = vector };
        ndi_world_embed(to->w, (image_model)m, p, image, vector);
        GO(make_path(path, to, "image_embeddings/%s/%s/%s_%s.npy", folders[p], concept, file, ndi_world_model_name((image_model)m)));
        GO(ndi_format_write(path, "npy", &(put){ .arrays = &one, .n_arrays = 1 }));
    }
done:
    ndi_free(vector);
    return status;
}

typedef struct embedding_job {
    const writer *to;
    size_t first;
    bool failed[BLOCK_IMAGES];
} embedding_job;

static void write_embedding_task(void *context, size_t task, size_t worker)
{
    (void)worker;
    embedding_job *j = context;
    j->failed[task] = write_embedding(j->to, j->first + task) != ND_OK;
}

/* Small files wait for the disk, each on its own: many threads wait together. What a thread failed at is tried again on this one, where its
 * message is seen. */
static nd_status write_embeddings(writer *to, nd_progress_fn fn, void *user)
{
    size_t total = ndi_world_images(to->w, TRAINING) + ndi_world_images(to->w, TEST);
    pool *waiting;
    nd_status status = ND_OK;
    TRY(ndi_pool_create(&waiting, WAITING_THREADS));
    ndi_progress_begin(&to->watch, fn, user, "embed", "images", 0, total);
    for (size_t first = 0; first < total; first += BLOCK_IMAGES) {
        size_t n = total - first < BLOCK_IMAGES ? total - first : BLOCK_IMAGES;
        embedding_job j = { .to = to, .first = first };
        ndi_pool_run(waiting, n, write_embedding_task, &j);
        for (size_t i = 0; i < n; i++)
            if (j.failed[i]) GO(write_embedding(to, first + i));
        GO(ndi_progress_at(&to->watch, first + n));
    }
done:
    ndi_pool_free(waiting);
    return status;
}

static nd_status load_block(writer *to, size_t block)
{
    size_t first = block * to->block_images, n = ndi_world_images(to->w, to->p) - first;
    if (n > to->block_images) n = to->block_images;
    to->block = SIZE_MAX;
    TRY(ndi_brain_record(to->person, to->workers, to->p, first, n, to->data));
    to->block = block;
    to->done += n * ndi_world_repetitions(to->w, to->p);
    return ndi_progress_at(&to->watch, to->done);
}

/* Asked for elements in order, gives them out of the present block of images. */
static nd_status fill(void *context, size_t first, size_t count, void *elements)
{
    writer *to = context;
    double *values = elements;
    size_t block_size = to->block_images * ndi_world_repetitions(to->w, to->p) * to->trial_size;
    while (count > 0) {
        size_t block = first / block_size, at = first % block_size, n = block_size - at < count ? block_size - at : count;
        if (block != to->block) TRY(load_block(to, block));
        for (size_t i = 0; i < n; i++) values[i] = to->data[at + i];
        values += n;
        first += n;
        count -= n;
    }
    return ND_OK;
}

static nd_status write_recording(writer *to, uint32_t subject, partition p, const double *times, const char *const *channels)
{
    const nd_simulate_options *o = &to->w->options;
    char path[PATH_SIZE];
    size_t repetitions = ndi_world_repetitions(to->w, p);
    nd_status status = ND_OK;
    to->p = p;
    to->block = SIZE_MAX;
    to->trial_size = (size_t)o->n_channels * o->n_samples;
    to->block_images = (BLOCK_TRIALS + repetitions - 1) / repetitions;
    TRY(NEW(to->data, to->block_images * repetitions * to->trial_size));
    put_array arrays[] = {
        { .name = "preprocessed_eeg_data",
          .type = DTYPE_F64,
          .n_dims = 4,
          .shape = { ndi_world_images(to->w, p), repetitions, o->n_channels, o->n_samples },
          .fill = fill,
          .context = to },
        { .name = "times", .type = DTYPE_F64, .n_dims = 1, .shape = { (size_t)o->n_samples + SAMPLES_BEFORE }, .data = times },
    };
    put_texts names_of_channels = { .name = "ch_names", .items = channels, .n = o->n_channels, .list = true };
    GO(make_path(path, to, "Preprocessed_data_250Hz/sub-%02u/preprocessed_eeg_%s.npy", subject + 1, partition_names[p]));
    GO(ndi_format_write(path, "pickle", &(put){ .arrays = arrays, .n_arrays = COUNT(arrays), .texts = &names_of_channels, .n_texts = 1 }));
done:
    ndi_free(to->data);
    to->data = NULL;
    return status;
}

static nd_status write_person(writer *to, uint32_t subject)
{
    const nd_simulate_options *o = &to->w->options;
    char path[PATH_SIZE];
    size_t n_times = (size_t)o->n_samples + SAMPLES_BEFORE;
    const char *channels[NDI_N_ELECTRODES];
    double *times = NULL;
    nd_status status = ND_OK;
    for (size_t c = 0; c < o->n_channels; c++) channels[c] = ndi_brain_channel(to->w, c);
    GO(NEW(times, n_times));
    for (size_t i = 0; i < n_times; i++) times[i] = SIMULATE_START + ((double)i - SAMPLES_BEFORE) / SIMULATE_RATE;
    GO(make_path(path, to, "Preprocessed_data_250Hz/sub-%02u", subject + 1));
    GO(ndi_folder_make(path));
    GO(ndi_brain_create(&to->person, to->w, subject));
    for (int p = 0; p < N_PARTITIONS; p++) GO(write_recording(to, subject, (partition)p, times, channels));
done:
    ndi_brain_free(to->person);
    to->person = NULL;
    ndi_free(times);
    return status;
}

static nd_status write_session(writer *to, uint32_t subject, uint32_t session)
{
    char path[PATH_SIZE];
    TRY(make_path(path, to, "raw_eeg/sub-%02u/ses-%02u", subject + 1, session + 1));
    TRY(ndi_folder_make(path));
    for (int p = 0; p < N_PARTITIONS; p++) {
        TRY(make_path(path, to, "raw_eeg/sub-%02u/ses-%02u/raw_eeg_%s.npy", subject + 1, session + 1, partition_names[p]));
        TRY(ndi_simulate_session(path, to->person, to->workers, to->w, (partition)p, subject, session));
        to->done += ndi_simulate_session_trials(to->w, (partition)p, session);
        TRY(ndi_progress_at(&to->watch, to->done));
    }
    return ND_OK;
}

static nd_status write_raw_person(writer *to, uint32_t subject)
{
    nd_status status;
    TRY(ndi_brain_create(&to->person, to->w, subject));
    for (uint32_t session = 0; session < to->w->options.n_sessions; session++) GO(write_session(to, subject, session));
    status = ND_OK;
done:
    ndi_brain_free(to->person);
    to->person = NULL;
    return status;
}

static nd_status write_recordings(writer *to, nd_progress_fn fn, void *user)
{
    const nd_simulate_options *o = &to->w->options;
    uint64_t each = 0;
    for (int p = 0; p < N_PARTITIONS; p++) each += (uint64_t)ndi_world_images(to->w, (partition)p) * ndi_world_repetitions(to->w, (partition)p);
    ndi_progress_begin(&to->watch, fn, user, "simulate", "trials", 0, each * o->n_subjects);
    for (uint32_t subject = 0; subject < o->n_subjects; subject++) TRY(o->n_sessions ? write_raw_person(to, subject) : write_person(to, subject));
    return ND_OK;
}

nd_status ndi_simulate(const char *folder, const nd_simulate_options *options, nd_progress_fn fn, void *user)
{
    CHECK(*folder, ND_ERR_ARGUMENT, "simulate: the name of the folder is empty");
    TRY(check_options(options));
    writer *to;
    world *w = NULL;
    nd_status status = ND_OK;
    TRY(NEW(to, 1));
    to->folder = folder;
    GO(ndi_world_create(&w, options));
    to->w = w;
    GO(write_description(to));
    GO(ndi_pool_create(&to->workers, 0));
    GO(write_metadata(to));
    GO(write_embeddings(to, fn, user));
    GO(write_recordings(to, fn, user));
done:
    ndi_pool_free(to->workers);
    ndi_world_free(w);
    ndi_free(to);
    return status;
}
