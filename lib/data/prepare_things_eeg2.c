/* THINGS-EEG2 (Gifford et al. 2022): the raw recordings of one person, a training and a test file in each of four sessions, become trials of 63 or 17 channels.
 * Steps: each recording becomes a file of trials (raw_session.h); then the sessions are merged, whitened and written. */
#include "data/prepare_things_eeg2.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "data/electrodes.h"
#include "data/images.h"
#include "data/merge_sessions.h"
#include "data/raw_session.h"
#include "io/files.h"

enum { N_SESSIONS = MERGE_MOST_SESSIONS, TRAINING = 0, TEST, N_PARTITIONS };
enum { WHITEN_NONE = 0, WHITEN_TRAINING, WHITEN_BOTH };

static const char *const partition_names[N_PARTITIONS] = { "training", "test" };
static const double EPOCH_START = -0.2;

/* name, whole, default, reference, min, max, meaning */
static const param params[] = {
    { "subject", true, 1, 1, 1, 99, "number of the person" },
    { "published", true, 0, 0, 0, 1,
      "1: as the data published at 100 Hz: 17 channels in the order of the file, -0.2 .. 0.8 s, whitened by both partitions" },
    { "channels", true, 63, 63, 17, 63, "63, or 17 for the occipital and parietal ones" },
    { "rate", false, 250, 250, 1, 1000, "samples per second of the trials" },
    { "end", false, 1, 1, 0.1, 5, "seconds after the image at which epochs end; they begin 0.2 s before it" },
    { "keep", false, 0, 0, -0.2, 1, "seconds from which on samples are kept" },
    { "whiten", true, 1, 1, 0, 2, "noise normalisation by the covariance of: 0 nothing, 1 training trials, 2 the mean of both partitions" },
    { "per_time", true, 0, 0, 0, 1, "the covariance is taken 0 over the samples of each trial, 1 over repetitions at each sample" },
    { "repetitions", true, 2, 2, 1, 1000, "of a training image in a session" },
    { "test_repetitions", true, 20, 20, 1, 1000, "of a test image in a session" },
    { "average", true, 0, 0, 0, 1, "1: the repetitions of an image are averaged" },
    { "pickles", true, 0, 0, 0, 1, "1: also the pickled dicts of the reference system" },
    { "seed", true, 20200220, 20200220, 0, 4294967295.0, "of the order of repetitions" },
};

typedef struct eeg2 {
    bool there[N_SESSIONS];
    const char *raw[N_SESSIONS][N_PARTITIONS], *trials[N_SESSIONS][N_PARTITIONS]; /* paths */
    image_list images[N_PARTITIONS];
    const char *channels[NDI_N_ELECTRODES];
    size_t n_channels, first_kept, n_samples;
} eeg2;

static void release(void *own)
{
    eeg2 *e = own;
    for (int i = 0; i < N_PARTITIONS; i++) ndi_images_free(&e->images[i]);
}

static bool asked(const nd_preparation *p, const char *name) { return ndi_preparation_param(p, name) > 0; }
static size_t repetitions_of(const nd_preparation *p, size_t partition)
{
    return (size_t)ndi_preparation_param(p, partition == TEST ? "test_repetitions" : "repetitions");
}

/* ---- steps ---- */

static session_plan plan_session(const nd_preparation *p, size_t session, size_t partition)
{
    const eeg2 *e = p->own;
    return (session_plan){ .path = e->raw[session][partition],
                           .channels = e->channels,
                           .n_channels = e->n_channels,
                           .n_images = e->images[partition].n,
                           .repetitions = repetitions_of(p, partition),
                           .all_images = partition == TEST,
                           .start = EPOCH_START,
                           .end = ndi_preparation_param(p, "end"),
                           .rate = ndi_preparation_param(p, "rate"),
                           .keep = ndi_preparation_param(p, "keep"),
                           .seed = (uint32_t)ndi_preparation_param(p, "seed"),
                           .covariance = asked(p, "whiten") && !asked(p, "per_time") };
}

static nd_status run_session(nd_preparation *p, const preparation_step *step)
{
    const session_plan plan = plan_session(p, step->a, step->b);
    return ndi_session_write(&plan, step->path, p->workers, p->progress, p->user);
}

static merge_plan plan_merge(const nd_preparation *p, size_t partition)
{
    const eeg2 *e = p->own;
    const int whiten = (int)ndi_preparation_param(p, "whiten");
    merge_plan m = { .images = &e->images[partition],
                     .channels = e->channels,
                     .n_channels = e->n_channels,
                     .n_samples = e->n_samples,
                     .rate = ndi_preparation_param(p, "rate"),
                     .seed = (uint32_t)ndi_preparation_param(p, "seed"),
                     .per_time = asked(p, "per_time"),
                     .subject = (int32_t)ndi_preparation_param(p, "subject") };
    m.start = EPOCH_START + (double)e->first_kept / m.rate;
    if (fabs(m.start) < 1e-9) m.start = 0;
    for (size_t s = 0; s < N_SESSIONS; s++) {
        if (!e->there[s]) continue;
        m.trials[m.n_sessions] = e->trials[s][partition];
        if (whiten >= WHITEN_TRAINING) m.fits[0][m.n_sessions] = e->trials[s][TRAINING];
        if (whiten == WHITEN_BOTH) m.fits[1][m.n_sessions] = e->trials[s][TEST];
        m.n_sessions++;
    }
    m.complete = m.n_sessions == N_SESSIONS;
    return m;
}

static nd_status run_store(nd_preparation *p, const preparation_step *step)
{
    merge_plan m = plan_merge(p, step->a);
    m.average = asked(p, "average");
    return ndi_merge_to_store(&m, step->path, p->workers, p->progress, p->user);
}

static nd_status run_pickle(nd_preparation *p, const preparation_step *step)
{
    const eeg2 *e = p->own;
    const merge_plan m = plan_merge(p, step->a);
    return ndi_merge_to_pickle(&m, e->first_kept, asked(p, "published"), step->path, p->workers, p->progress, p->user);
}

/* ---- what is there ---- */

static nd_status look_for_images(nd_preparation *p)
{
    static const char *const places[] = { "image_metadata.npy", "image_embeddings/image_metadata.npy", "images/image_metadata.npy" };
    eeg2 *e = p->own;
    preparation_input *input = NULL;
    for (size_t i = 0; i < COUNT(places) && !input; i++) TRY(ndi_preparation_look(p, places[i], false, &input));
    if (!input) return ndi_preparation_look(p, places[0], true, &input);
    for (int i = 0; i < N_PARTITIONS; i++) TRY(ndi_images_open(&e->images[i], input->path, partition_names[i], 0, "things-eeg2"));
    return ND_OK;
}

/* A folder of a fifth session is a sign of another data set. */
static nd_status check_sessions(nd_preparation *p)
{
    const char *path = ndi_preparation_text(p, "%s/raw_eeg/%s", p->source, p->name);
    CHECK(path, ND_ERR_MEMORY, "things-eeg2: out of memory");
    DIR *folder = opendir(path);
    nd_status status = ND_OK;
    for (const struct dirent *entry; folder && status == ND_OK && (entry = readdir(folder));) {
        int session;
        if (sscanf(entry->d_name, "ses-%d", &session) == 1 && (session < 1 || session > N_SESSIONS))
            status = ndi_fail(ND_ERR_FORMAT, "%s/%s: session %d, expected 1 to %d", path, entry->d_name, session, N_SESSIONS);
    }
    if (folder) closedir(folder);
    return status;
}

/* The 17 channels of the published data: occipital and parietal ones, as the file has them. */
static void take_posterior(eeg2 *e, nd_preparation *p, const nd_recording *r)
{
    e->n_channels = 0;
    for (size_t c = 0; c < r->n_channels && e->n_channels < NDI_N_POSTERIOR; c++) {
        const char *name = ndi_recording_channel(r, c)->name;
        if (name[0] == 'O' || name[0] == 'P') e->channels[e->n_channels++] = ndi_preparation_text(p, "%s", name);
    }
}

static nd_status check_recording(nd_preparation *p, preparation_input *input)
{
    eeg2 *e = p->own;
    nd_recording *r;
    size_t found[NDI_N_ELECTRODES];
    TRY(ndi_recording_open(&r, input->path, &ndi_recording_defaults));
    input->n_dims = 2;
    input->shape[0] = r->n_channels;
    input->shape[1] = (size_t)r->n_samples;
    if (asked(p, "published") && !e->n_channels) take_posterior(e, p, r);
    nd_status status = ndi_session_channels(r, input->path, e->channels, e->n_channels, found);
    const double rate = ndi_recording_rate(r);
    ndi_recording_free(r);
    TRY(status);
    CHECK(rate == RAW_RATE, ND_ERR_FORMAT, "%s: %g samples per second, expected %g", input->path, rate, RAW_RATE);
    return ND_OK;
}

/* A session counts where one of its files is there; then the other must be, too. */
static nd_status look_for_session(nd_preparation *p, size_t session, bool needed)
{
    eeg2 *e = p->own;
    const char *files[N_PARTITIONS];
    for (int i = 0; i < N_PARTITIONS; i++) {
        files[i] = ndi_preparation_text(p, "raw_eeg/%s/ses-%02zu/raw_eeg_%s.npy", p->name, session + 1, partition_names[i]);
        e->raw[session][i] = ndi_preparation_text(p, "%s/%s", p->source, files[i] ? files[i] : "");
        e->trials[session][i] = ndi_preparation_text(p, "%s/.%s/ses-%02zu_%s.pickle", p->output, p->name, session + 1, partition_names[i]);
        CHECK(files[i] && e->raw[session][i] && e->trials[session][i], ND_ERR_MEMORY, "things-eeg2: out of memory");
        e->there[session] = e->there[session] || ndi_file_exists(e->raw[session][i]);
    }
    for (int i = 0; (needed || e->there[session]) && i < N_PARTITIONS; i++) {
        preparation_input *input;
        TRY(ndi_preparation_look(p, files[i], true, &input));
        if (input) TRY(check_recording(p, input));
    }
    return ND_OK;
}

static nd_status look_for_sessions(nd_preparation *p)
{
    const eeg2 *e = p->own;
    bool any = false;
    for (size_t s = 0; s < N_SESSIONS; s++) {
        TRY(look_for_session(p, s, false));
        any = any || e->there[s];
    }
    for (size_t s = 0; s < N_SESSIONS && !any; s++) TRY(look_for_session(p, s, true));
    return ND_OK;
}

/* ---- the plan ---- */

/* A training image stands in two of four sessions, a test image in all. */
static uint64_t expected_trials(const nd_preparation *p, size_t partition, size_t n_sessions)
{
    const eeg2 *e = p->own;
    return (uint64_t)e->images[partition].n * repetitions_of(p, partition) * n_sessions / (partition == TEST ? 1 : 2);
}

static nd_status add_session_steps(nd_preparation *p, size_t session)
{
    const eeg2 *e = p->own;
    for (size_t i = 0; i < N_PARTITIONS; i++) {
        const preparation_step step = { .name = ndi_preparation_text(p, "%s session %zu, %s: trials", p->name, session + 1, partition_names[i]),
                                        .file = e->trials[session][i] + strlen(p->output) + 1,
                                        .bytes = expected_trials(p, i, 1) * e->n_channels * e->n_samples * sizeof(float),
                                        .temporary = true,
                                        .run = run_session,
                                        .a = session,
                                        .b = i };
        TRY(ndi_preparation_add_step(p, &step));
    }
    return ND_OK;
}

static nd_status add_output_steps(nd_preparation *p, size_t i, size_t n_sessions)
{
    const eeg2 *e = p->own;
    const uint64_t trials = expected_trials(p, i, n_sessions), size = e->n_channels * e->n_samples;
    const preparation_step store = { .name = ndi_preparation_text(p, "%s %s: store", p->name, partition_names[i]),
                                     .file = ndi_preparation_text(p, "%s_%s.safetensors", p->name, partition_names[i]),
                                     .bytes = (asked(p, "average") ? e->images[i].n : trials) * size * sizeof(float),
                                     .run = run_store,
                                     .a = i };
    TRY(ndi_preparation_add_step(p, &store));
    if (!asked(p, "pickles")) return ND_OK;
    const char *folder =
        asked(p, "published") ? "preprocessed_eeg" : ndi_preparation_text(p, "Preprocessed_data_%gHz", ndi_preparation_param(p, "rate"));
    CHECK(folder, ND_ERR_MEMORY, "things-eeg2: out of memory");
    const preparation_step pickle = { .name = ndi_preparation_text(p, "%s %s: pickle", p->name, partition_names[i]),
                                      .file = ndi_preparation_text(p, "%s/%s/preprocessed_eeg_%s.npy", folder, p->name, partition_names[i]),
                                      .bytes = trials * size * sizeof(double),
                                      .run = run_pickle,
                                      .a = i };
    return ndi_preparation_add_step(p, &pickle);
}

static nd_status choose(nd_preparation *p)
{
    eeg2 *e = p->own;
    const size_t n = (size_t)ndi_preparation_param(p, "channels");
    CHECK(n == NDI_N_ELECTRODES || n == NDI_N_POSTERIOR, ND_ERR_ARGUMENT, "things-eeg2: channels: got %zu, expected %d or %d", n, NDI_N_ELECTRODES,
          NDI_N_POSTERIOR);
    if (asked(p, "published")) {
        ndi_preparation_preset(p, "channels", NDI_N_POSTERIOR);
        ndi_preparation_preset(p, "rate", 100);
        ndi_preparation_preset(p, "end", 0.8);
        ndi_preparation_preset(p, "keep", EPOCH_START);
        ndi_preparation_preset(p, "whiten", WHITEN_BOTH);
    } else {
        e->n_channels = n;
        for (size_t c = 0; c < n; c++) e->channels[c] = ndi_electrodes[NDI_N_ELECTRODES - n + c];
    }
    p->name = ndi_preparation_text(p, "sub-%02d", (int)ndi_preparation_param(p, "subject"));
    CHECK(p->name, ND_ERR_MEMORY, "things-eeg2: out of memory");
    const session_plan plan = plan_session(p, 0, TRAINING);
    return ndi_session_samples(&plan, &e->first_kept, &e->n_samples);
}

static nd_status plan(nd_preparation *p)
{
    const eeg2 *e = p->own;
    size_t n_sessions = 0;
    TRY(choose(p));
    TRY(check_sessions(p));
    TRY(look_for_images(p));
    TRY(look_for_sessions(p));
    for (size_t s = 0; s < N_SESSIONS; s++) {
        if (!e->there[s]) continue;
        TRY(add_session_steps(p, s));
        n_sessions++;
    }
    for (size_t i = 0; i < N_PARTITIONS; i++) TRY(add_output_steps(p, i, n_sessions));
    p->memory_bytes = ndi_session_memory(e->n_channels, e->n_samples, p->n_threads > 0 ? (size_t)p->n_threads : 16);
    return ND_OK;
}

const preparation_kind ndi_prepare_things_eeg2 = {
    .name = "things-eeg2",
    .title = "raw EEG of THINGS-EEG2, one person: trials of 63 or 17 channels, whitened",
    .source = "Gifford et al., NeuroImage 2022, https://osf.io/3jk45/ (raw_eeg, image_metadata.npy)",
    .params = params,
    .n_params = COUNT(params),
    .own = sizeof(eeg2),
    .plan = plan,
    .release = release,
};
