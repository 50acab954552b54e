/* The Natural Scenes Dataset (Allen et al. 2022): the responses of one person's voxels, in one file of all trials or in one of each session, become a store of training trials
 * and one of the shared pictures. What cannot be read in any order, such as a packed volume, is copied session by session first. */
#include "data/prepare_nsd.h"

#include <string.h>

#include "data/nsd.h"
#include "io/files.h"
#include "io/format.h"

enum { TRAINING, TEST, N_PARTITIONS };
enum { ZSCORE_NONE, ZSCORE_TRAINING, ZSCORE_ALL };
static const char *const partition_names[N_PARTITIONS] = { "training", "test" };
static const char *const array_names[N_PARTITIONS] = { "train", "test" };

/* name, whole, default, reference, min, max, meaning */
static const param params[] = {
    { "subject", true, 1, 1, 1, NSD_PEOPLE, "number of the person" },
    { "sessions", true, 0, 0, 0, NSD_SESSIONS, "the first so many; 0 = all that are there" },
    { "zscore", true, 1, 0, 0, 2, "each voxel in each session, by mean and deviation of: 0 not, 1 training trials, 2 all trials" },
    { "average", true, 1, 0, 0, 1, "training: 1 one trial for each picture, the mean of its repetitions, 0 single trials" },
    { "average_test", true, 1, 1, 0, 1, "the same for the test pictures" },
    { "arrays", true, 0, 0, 0, 1, "1: also the float64 arrays of the reference system" },
    { "check", true, 1, 1, 0, 1, "0: take another number of voxels than that of the published region nsdgeneral" },
};

typedef struct nsd {
    size_t subject, n_trials;
    bool by_session, copied; /* a file for each session; stores are made of copies of the sessions */
    nsd_design design;
    nsd_voxels whole, mask, voxels; /* all trials in one file; no trials but where voxels are; what stores are made of, once it is there */
    const char *session[NSD_SESSIONS];
    nsd_scale scale;
} nsd;

static void release(void *own)
{
    nsd *n = own;
    ndi_nsd_design_free(&n->design);
    ndi_nsd_voxels_free(&n->whole);
    ndi_nsd_voxels_free(&n->mask);
    ndi_nsd_voxels_free(&n->voxels);
    ndi_nsd_scale_free(&n->scale);
}

static bool is_on(const nd_preparation *p, const char *name) { return ndi_preparation_param(p, name) > 0; }

/* ---- looking ---- */

/* The first that is there of the files place + name + suffix, or NULL. */
static nd_status look(nd_preparation *p, const char *const *places, size_t n_places, const char *name, preparation_input **found)
{
    static const char *const suffixes[] = { ".nii.gz", ".nii", ".hdf5", ".h5", ".mat", ".npy", ".npy.gz", ".npz", ".safetensors" };
    for (size_t i = 0; i < n_places; i++)
        for (size_t k = 0; k < COUNT(suffixes); k++) {
            const char *file = ndi_preparation_text(p, "%s%s%s", places[i], name, suffixes[k]);
            CHECK(file, ND_ERR_MEMORY, "nsd: out of memory");
            TRY(ndi_preparation_look(p, file, false, found));
            if (*found) return ND_OK;
        }
    return ND_OK;
}

static nd_status lacks(nd_preparation *p, const char *file)
{
    preparation_input *none;
    CHECK(file, ND_ERR_MEMORY, "nsd: out of memory");
    return ndi_preparation_look(p, file, true, &none);
}

static nd_status look_for_design(nd_preparation *p, nsd *n)
{
    static const char *const places[] = { "", "nsddata/experiments/nsd/" };
    preparation_input *found;
    TRY(look(p, places, COUNT(places), "nsd_expdesign", &found));
    if (!found) return lacks(p, "nsd_expdesign.mat");
    return ndi_nsd_design_open(&n->design, found->path, n->subject);
}

static void take_shape(preparation_input *input, size_t n_trials, size_t n_voxels)
{
    input->n_dims = 2;
    input->shape[0] = n_trials;
    input->shape[1] = n_voxels;
}

/* All trials in one file. */
static nd_status look_for_whole(nd_preparation *p, nsd *n, bool *there)
{
    static const char *const places[] = { "nsdgeneral/", "" };
    const char *const names[] = { ndi_preparation_text(p, "subj%02zu_nsdgeneral", n->subject),
                                  ndi_preparation_text(p, "betas_all_subj%02zu_fp32_renorm", n->subject) };
    preparation_input *found = NULL;
    for (size_t i = 0; i < COUNT(names) && !found; i++) {
        CHECK(names[i], ND_ERR_MEMORY, "nsd: out of memory");
        TRY(look(p, places, COUNT(places), names[i], &found));
    }
    *there = found != NULL;
    if (!found) return ND_OK;
    TRY(ndi_nsd_voxels_add(&n->whole, found->path));
    n->n_trials = n->whole.n_trials;
    take_shape(found, n->n_trials, n->whole.n_voxels);
    return ND_OK;
}

/* A file for each session and the mask; sessions before the last that is there are needed. They are packed and big: none is opened before its turn. */
static nd_status look_for_sessions(nd_preparation *p, nsd *n)
{
    const char *const places[] = { ndi_preparation_text(p, "nsddata_betas/ppdata/subj%02zu/func1pt8mm/betas_fithrf_GLMdenoise_RR/", n->subject),
                                   ndi_preparation_text(p, "subj%02zu/", n->subject) };
    const char *const mask_places[] = { ndi_preparation_text(p, "nsddata/ppdata/subj%02zu/func1pt8mm/roi/", n->subject), places[1] };
    CHECK(places[0] && places[1] && mask_places[0], ND_ERR_MEMORY, "nsd: out of memory");
    preparation_input *found;
    size_t count = 0;
    for (size_t i = 0; i < ndi_nsd_sessions(n->subject); i++) {
        const char *name = ndi_preparation_text(p, "betas_session%02zu", i + 1);
        CHECK(name, ND_ERR_MEMORY, "nsd: out of memory");
        TRY(look(p, places, COUNT(places), name, &found));
        if (!found) continue;
        n->session[i] = found->path;
        count = i + 1;
    }
    for (size_t i = 0; i < count; i++)
        if (!n->session[i]) TRY(lacks(p, ndi_preparation_text(p, "%sbetas_session%02zu.nii.gz", places[0], i + 1)));
    n->by_session = count > 0;
    n->n_trials = count * NSD_SESSION;
    if (!n->by_session) return ND_OK;
    TRY(look(p, mask_places, COUNT(mask_places), "nsdgeneral", &found));
    if (!found) return lacks(p, ndi_preparation_text(p, "%snsdgeneral.nii.gz", mask_places[0]));
    TRY(ndi_nsd_voxels_mask(&n->mask, found->path));
    return ND_OK;
}

static nd_status look_for_voxels(nd_preparation *p, nsd *n)
{
    bool there;
    TRY(look_for_whole(p, n, &there));
    if (there) return ND_OK;
    TRY(look_for_sessions(p, n));
    return n->by_session ? ND_OK : lacks(p, ndi_preparation_text(p, "nsdgeneral/subj%02zu_nsdgeneral.hdf5", n->subject));
}

/* ---- identity ---- */

static size_t count_voxels(const nsd *n) { return n->by_session ? n->mask.n_voxels : n->whole.n_voxels; }

static nd_status check_identity(const nd_preparation *p, nsd *n)
{
    const size_t held = ndi_nsd_sessions(n->subject), wanted = (size_t)ndi_preparation_param(p, "sessions"), voxels = count_voxels(n);
    CHECK(n->n_trials <= held * NSD_SESSION, ND_ERR_FORMAT, "nsd: subject %zu: %zu trials, expected at most %zu, %zu sessions of %d", n->subject,
          n->n_trials, held * NSD_SESSION, held, (int)NSD_SESSION);
    CHECK(wanted * NSD_SESSION <= n->n_trials, ND_ERR_ARGUMENT, "nsd: sessions: got %zu, expected at most %zu that are there", wanted,
          n->n_trials / NSD_SESSION);
    CHECK(!is_on(p, "check") || voxels == ndi_nsd_voxels(n->subject), ND_ERR_FORMAT,
          "nsd: subject %zu: %zu voxels, expected the %zu of nsdgeneral; check=0 takes another region", n->subject, voxels,
          ndi_nsd_voxels(n->subject));
    if (wanted) n->n_trials = wanted * NSD_SESSION;
    return ND_OK;
}

/* ---- work ---- */

static nd_status copy_session(nd_preparation *p, const preparation_step *step)
{
    nsd *n = p->own;
    if (!n->by_session) return ndi_nsd_voxels_copy(&n->whole, step->a * NSD_SESSION, NSD_SESSION, step->path, p->progress, p->user);
    nsd_voxels one = n->mask; /* lends the mask */
    nd_status status = ndi_nsd_voxels_add(&one, n->session[step->a]);
    if (status == ND_OK && one.n_trials != NSD_SESSION)
        status = ndi_fail(ND_ERR_FORMAT, "%s: has %zu trials, expected %d", n->session[step->a], one.n_trials, (int)NSD_SESSION);
    if (status == ND_OK) status = ndi_nsd_voxels_copy(&one, 0, NSD_SESSION, step->path, p->progress, p->user);
    one.mask = NULL;
    ndi_nsd_voxels_free(&one);
    return status;
}

/* What stores are made of: the file itself, or the copies of all sessions. */
static nd_status open_voxels(nd_preparation *p, nsd_voxels **v)
{
    nsd *n = p->own;
    *v = n->copied ? &n->voxels : &n->whole;
    for (size_t i = 0; n->copied && n->voxels.n_trials < n->n_trials; i++) TRY(ndi_nsd_voxels_add(&n->voxels, p->steps[i].path));
    (*v)->n_trials = n->n_trials;
    return ND_OK;
}

/* Trials whose mean and deviation are taken: all but the shared ones, or NULL = all. */
static nd_status measure(nd_preparation *p, const preparation_step *step)
{
    nsd *n = p->own;
    nsd_voxels *v;
    bool *marked = NULL;
    nd_status status;
    GO(open_voxels(p, &v));
    if (ndi_preparation_param(p, "zscore") == ZSCORE_TRAINING) {
        GO(NEW(marked, n->n_trials));
        for (size_t i = 0; i < n->n_trials; i++) marked[i] = !n->design.shared[i];
    }
    GO(ndi_nsd_scale_find(&n->scale, v, marked, p->workers, p->progress, p->user));
    GO(ndi_nsd_scale_save(&n->scale, v->n_voxels, step->path));
done:
    ndi_free(marked);
    return status;
}

static nsd_choice choose(const nd_preparation *p, size_t partition)
{
    const nsd *n = p->own;
    return (nsd_choice){ .subject = n->subject,
                         .shared = partition == TEST,
                         .average = is_on(p, partition == TEST ? "average_test" : "average"),
                         .scale = n->scale.mean ? &n->scale : NULL };
}

static nd_status write_store(nd_preparation *p, const preparation_step *step)
{
    nsd *n = p->own;
    nsd_voxels *v;
    TRY(open_voxels(p, &v));
    if (is_on(p, "zscore") && !n->scale.mean) {
        const char *path = ndi_preparation_text(p, "%s/%s_scale.npz", p->output, p->name);
        CHECK(path, ND_ERR_MEMORY, "nsd: out of memory");
        TRY(ndi_nsd_scale_open(&n->scale, n->n_trials / NSD_SESSION, v->n_voxels, path));
    }
    const nsd_choice c = choose(p, step->a);
    return ndi_nsd_store_write(&c, &n->design, v, step->path, p->workers, p->progress, p->user);
}

static nd_status open_store(nd_preparation *p, size_t partition, content **c)
{
    const char *path = ndi_preparation_text(p, "%s/%s_%s.safetensors", p->output, p->name, partition_names[partition]);
    CHECK(path, ND_ERR_MEMORY, "nsd: out of memory");
    return ndi_content_open(c, path);
}

/* Ids of all 73,000 pictures, or of those in a store in its order. */
static nd_status write_ids(nd_preparation *p, const preparation_step *step)
{
    text lines = { 0 };
    content *c = NULL;
    nd_status status;
    if (step->a < N_PARTITIONS) {
        GO(open_store(p, step->a, &c));
        const texts *t = ndi_content_texts(c, "image_ids");
        for (size_t i = 0; t && i < t->n; i++) ndi_text_add(&lines, "%s\n", t->items[i]);
    } else {
        char id[NSD_ID_SIZE];
        for (uint32_t i = 0; i < NSD_PICTURES; i++) {
            ndi_nsd_id(id, i);
            ndi_text_add(&lines, "%s\n", id);
        }
    }
    GO(ndi_text_status(&lines));
    GO(ndi_file_write(step->path, &lines));
done:
    ndi_content_free(c);
    ndi_text_free(&lines);
    return status;
}

static nd_status fill_array(void *context, size_t first, size_t count, void *elements) { return ndi_array_read_f64(context, first, count, elements); }

/* The samples of a store, trials x voxels, in float64. */
static nd_status write_array(nd_preparation *p, const preparation_step *step)
{
    content *c;
    const array *data;
    TRY(open_store(p, step->a, &c));
    nd_status status = ndi_content_pick(c, "data", &data);
    if (status == ND_OK) {
        const put_array a = {
            .name = "data", .type = DTYPE_F64, .n_dims = 2, .shape = { data->shape[0], data->shape[1] }, .fill = fill_array, .context = (void *)data
        };
        const put all = { .arrays = &a, .n_arrays = 1 };
        status = ndi_format_write(step->path, "npy", &all);
    }
    ndi_content_free(c);
    return status;
}

/* ---- the plan ---- */

static nd_status plan_copies(nd_preparation *p, nsd *n)
{
    n->copied = n->by_session || !ndi_nsd_voxels_concurrent(&n->whole);
    for (size_t i = 0; n->copied && i < n->n_trials / NSD_SESSION; i++) {
        const preparation_step step = { .name = ndi_preparation_text(p, "%s session %zu", p->name, i + 1),
                                        .file = ndi_preparation_text(p, ".%s/session%02zu.npy", p->name, i + 1),
                                        .bytes = NSD_SESSION * count_voxels(n) * sizeof(float),
                                        .temporary = true,
                                        .run = copy_session,
                                        .a = i };
        TRY(ndi_preparation_add_step(p, &step));
    }
    return ND_OK;
}

static nd_status plan_scale(nd_preparation *p, const nsd *n)
{
    if (!is_on(p, "zscore")) return ND_OK;
    const preparation_step step = { .name = ndi_preparation_text(p, "%s mean and deviation of each session", p->name),
                                    .file = ndi_preparation_text(p, "%s_scale.npz", p->name),
                                    .bytes = 2 * n->n_trials / NSD_SESSION * count_voxels(n) * sizeof(double),
                                    .run = measure };
    return ndi_preparation_add_step(p, &step);
}

static nd_status plan_ids(nd_preparation *p, size_t partition, const char *name, size_t count)
{
    const preparation_step step = { .name = ndi_preparation_text(p, "%s ids of %zu images", p->name, count),
                                    .file = ndi_preparation_text(p, "%s_%s.txt", p->name, name),
                                    .bytes = count * (sizeof "nsd-00000\n" - 1),
                                    .run = write_ids,
                                    .a = partition };
    return ndi_preparation_add_step(p, &step);
}

static nd_status count_rows(const nd_preparation *p, const nsd *n, size_t partition, bool average, size_t *n_rows)
{
    nsd_choice c = choose(p, partition);
    uint32_t *row_of;
    c.average = average;
    TRY(NEW(row_of, n->n_trials));
    nd_status status = ndi_nsd_rows(&c, &n->design, n->n_trials, row_of, n_rows);
    ndi_free(row_of);
    return status;
}

static nd_status plan_partition(nd_preparation *p, const nsd *n, size_t partition)
{
    size_t n_rows, n_images;
    TRY(count_rows(p, n, partition, choose(p, partition).average, &n_rows));
    TRY(count_rows(p, n, partition, true, &n_images));
    const preparation_step store = { .name = ndi_preparation_text(p, "%s %s, %zu trials", p->name, partition_names[partition], n_rows),
                                     .file = ndi_preparation_text(p, "%s_%s.safetensors", p->name, partition_names[partition]),
                                     .bytes = n_rows * count_voxels(n) * sizeof(float),
                                     .run = write_store,
                                     .a = partition };
    TRY(ndi_preparation_add_step(p, &store));
    TRY(plan_ids(p, partition, ndi_preparation_text(p, "%s_images", partition_names[partition]), n_images));
    if (!is_on(p, "arrays")) return ND_OK;
    const preparation_step numbers = { .name = ndi_preparation_text(p, "%s %s, float64", p->name, partition_names[partition]),
                                       .file = ndi_preparation_text(p, "processed_data/sub%02zu/nsd_%s_fmri_sub%02zu.npy", n->subject,
                                                                    array_names[partition], n->subject),
                                       .bytes = n_rows * count_voxels(n) * sizeof(double),
                                       .run = write_array,
                                       .a = partition };
    return ndi_preparation_add_step(p, &numbers);
}

static uint64_t estimate_memory(const nd_preparation *p, const nsd *n)
{
    static const uint64_t batch = 48 << 20;
    const uint64_t row = count_voxels(n) * sizeof(double), sessions = is_on(p, "zscore") ? n->n_trials / NSD_SESSION : 0;
    return batch + 2 * sessions * row + 3 * row * (uint64_t)(p->n_threads > 0 ? p->n_threads : 8) + n->mask.volume * 2 * sizeof(double);
}

static nd_status plan(nd_preparation *p)
{
    nsd *n = p->own;
    n->subject = (size_t)ndi_preparation_param(p, "subject");
    p->name = ndi_preparation_text(p, "subj%02zu", n->subject);
    CHECK(p->name, ND_ERR_MEMORY, "nsd: out of memory");
    TRY(look_for_design(p, n));
    TRY(look_for_voxels(p, n));
    if (p->n_missing > 0) return ND_OK;
    TRY(check_identity(p, n));
    p->memory_bytes = estimate_memory(p, n);
    TRY(plan_copies(p, n));
    TRY(plan_scale(p, n));
    for (size_t i = 0; i < N_PARTITIONS; i++) TRY(plan_partition(p, n, i));
    return plan_ids(p, N_PARTITIONS, "images", NSD_PICTURES);
}

const preparation_kind ndi_prepare_nsd = {
    .name = "nsd",
    .title = "fMRI of the Natural Scenes Dataset, one person: trials of voxels, z-scored by session, averaged",
    .source = "Allen et al., Nature Neuroscience 2022, https://naturalscenesdataset.org (nsd_expdesign.mat, betas or nsdgeneral)",
    .params = params,
    .n_params = COUNT(params),
    .own = sizeof(nsd),
    .plan = plan,
    .release = release,
};
