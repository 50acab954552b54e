/* THINGS-EEG2 (Gifford et al. 2022): the raw recordings of one person, a training and a test file in each of four sessions, become trials of 63 or 17 channels. */
#include "data/prepare_things_eeg2.h"

#include <string.h>

#include "data/images.h"
#include "data/recording.h"
#include "io/files.h"

enum { N_SESSIONS = 4, TRAINING = 0, TEST, N_PARTITIONS };

static const char *const partition_names[N_PARTITIONS] = { "training", "test" };

/* name, whole, default, reference, min, max, meaning */
static const param params[] = {
    { "subject", true, 1, 1, 1, 99, "number of the person" },
    { "published", true, 0, 0, 0, 1, "1: as the data published at 100 Hz: 17 channels, -0.2 .. 0.8 s, whitened by both partitions" },
    { "channels", true, 63, 63, 17, 63, "63, or 17 for the occipital and parietal ones" },
    { "rate", false, 250, 250, 1, 1000, "samples per second of the trials" },
    { "end", false, 1, 1, 0.1, 5, "seconds after the image at which trials end; they begin 0.2 s before it" },
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
    const char *path[N_SESSIONS][N_PARTITIONS];
    image_list images[N_PARTITIONS];
} eeg2;

static void release(void *own)
{
    eeg2 *e = own;
    for (int i = 0; i < N_PARTITIONS; i++) ndi_images_free(&e->images[i]);
}

/* A session counts where one of its files is there; then the other must be, too. */
static nd_status look_for_session(nd_preparation *p, size_t session, bool needed)
{
    eeg2 *e = p->own;
    preparation_input *input;
    const int subject = (int)ndi_preparation_param(p, "subject");
    const char *names[N_PARTITIONS];
    for (int i = 0; i < N_PARTITIONS; i++) {
        names[i] = ndi_preparation_text(p, "raw_eeg/sub-%02d/ses-%02zu/raw_eeg_%s.npy", subject, session + 1, partition_names[i]);
        CHECK(names[i], ND_ERR_MEMORY, "things-eeg2: out of memory");
        const char *path = ndi_preparation_text(p, "%s/%s", p->source, names[i]);
        CHECK(path, ND_ERR_MEMORY, "things-eeg2: out of memory");
        e->path[session][i] = path;
        needed = needed || ndi_file_exists(path);
    }
    for (int i = 0; i < N_PARTITIONS; i++) TRY(ndi_preparation_look(p, names[i], needed, &input));
    e->there[session] = needed;
    return ND_OK;
}

static nd_status run_nothing(nd_preparation *p, const preparation_step *step)
{
    return ndi_fail(ND_ERR_UNSUPPORTED, "%s: step '%s' is not made yet", p->kind->name, step->name);
}

static nd_status plan(nd_preparation *p)
{
    const int subject = (int)ndi_preparation_param(p, "subject");
    p->name = ndi_preparation_text(p, "sub-%02d", subject);
    CHECK(p->name, ND_ERR_MEMORY, "things-eeg2: out of memory");
    for (size_t s = 0; s < N_SESSIONS; s++) TRY(look_for_session(p, s, false));
    for (size_t i = 0; i < N_PARTITIONS; i++) {
        const preparation_step step = { .name = ndi_preparation_text(p, "%s %s", p->name, partition_names[i]),
                                        .file = ndi_preparation_text(p, "%s_%s.safetensors", p->name, partition_names[i]),
                                        .run = run_nothing };
        TRY(ndi_preparation_add_step(p, &step));
    }
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
