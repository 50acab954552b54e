/* Leaves every group of trials out in turn: a fresh encoder, loss, projector and trainer for each fold. */
#include "train/cross.h"

#include <string.h>

#include "data/view.h"
#include "train/trainer.h"

/* What all folds share: the groups, and room for the trials of one fold. */
typedef struct folds {
    const cross_setup *setup;
    const nd_dataset *dataset, *test;
    const nd_bank *bank;
    size_t *group_of, *test_group_of; /* the same number is the same group in both */
    size_t n_groups, *in, *out;
    fold_fn use;
    void *user;
} folds;

/* One fold under way. */
typedef struct fold {
    const folds *all;
    size_t index, n_out;
    nd_dataset *train, *held;
    nd_encoder *encoder, *projector;
    nd_loss *loss;
    nd_trainer *trainer;
    char stage[48]; /* "fold 3 of 10" */
} fold;

static void free_fold(fold *f)
{
    ndi_trainer_free(f->trainer);
    ndi_loss_free(f->loss);
    ndi_encoder_free(f->projector);
    ndi_encoder_free(f->encoder);
    ndi_dataset_free(f->held);
    ndi_dataset_free(f->train);
}

static nd_status select_trials(fold *f)
{
    const folds *all = f->all;
    size_t n_in = 0;
    for (size_t i = 0; i < ndi_dataset_trials(all->dataset); i++)
        if (all->group_of[i] != f->index) all->in[n_in++] = i;
    for (size_t i = 0; i < ndi_dataset_trials(all->test); i++)
        if (all->test_group_of[i] == f->index) all->out[f->n_out++] = i;
    CHECK(f->n_out > 0, ND_ERR_ARGUMENT, "no test trials of this %s", all->setup->group);
    TRY(ndi_dataset_select(&f->train, all->dataset, all->in, n_in));
    return ndi_dataset_select(&f->held, all->test, all->out, f->n_out);
}

static nd_status make_encoders(fold *f)
{
    const cross_setup *s = f->all->setup;
    nd_encoder_options o = s->encoder_options, p = s->projector_options;
    size_t dim = ndi_bank_dim(f->all->bank, 0);
    if (!s->projector || o.embed_dim == 0) o.embed_dim = dim;
    TRY(ndi_encoder_create_for(&f->encoder, s->kind, f->train, &o));
    if (!s->projector) return ND_OK;
    p.n_channels = dim;
    p.n_samples = 1;
    p.embed_dim = o.embed_dim;
    return ndi_encoder_create(&f->projector, s->projector, &p);
}

static int32_t relay(const nd_progress *seen, void *user)
{
    const fold *f = user;
    nd_progress told = *seen;
    told.stage = f->stage;
    return f->all->setup->progress(&told, f->all->setup->user);
}

static nd_status train_fold(fold *f)
{
    const cross_setup *s = f->all->setup;
    nd_train_options o = s->train_options;
    TRY(select_trials(f));
    TRY(make_encoders(f));
    o.projector = f->projector;
    TRY(ndi_loss_create(&f->loss, s->loss, &s->loss_options));
    TRY(ndi_trainer_create(&f->trainer, f->encoder, f->loss, f->train, f->all->bank, &o));
    return ndi_trainer_run(f->trainer, s->progress ? relay : NULL, f);
}

static nd_status run_fold(const folds *all, size_t index)
{
    fold f = { .all = all, .index = index };
    ndi_format(f.stage, sizeof f.stage, "fold %zu of %zu", index + 1, all->n_groups);
    nd_status status = train_fold(&f);
    if (status == ND_OK) {
        nd_fold told = { sizeof told, index, all->n_groups, f.encoder, f.projector, f.train, f.held, all->out, f.n_out };
        status = all->use(&told, all->user);
    }
    free_fold(&f);
    return ndi_prefix(status, "cross: fold %zu of %zu", index + 1, all->n_groups);
}

static size_t group_of_subject(const folds *all, int32_t subject)
{
    for (size_t i = 0; i < ndi_dataset_trials(all->dataset); i++)
        if (ndi_dataset_subject_of(all->dataset, i) == subject) return all->group_of[i];
    return SIZE_MAX;
}

/* Groups of the test trials, numbered as those of the dataset. Somebody whom the dataset lacks belongs to no fold. */
static void match_groups(folds *all)
{
    if (all->test == all->dataset) {
        memcpy(all->test_group_of, all->group_of, ndi_dataset_trials(all->test) * sizeof *all->group_of);
        return;
    }
    for (size_t i = 0; i < ndi_dataset_trials(all->test); i++) {
        int32_t subject = ndi_dataset_subject_of(all->test, i);
        bool as_before = i > 0 && subject == ndi_dataset_subject_of(all->test, i - 1);
        all->test_group_of[i] = as_before ? all->test_group_of[i - 1] : group_of_subject(all, subject);
    }
}

static nd_status run_folds(folds *all)
{
    const cross_setup *s = all->setup;
    size_t n = ndi_dataset_trials(all->dataset), n_test = ndi_dataset_trials(all->test);
    TRY(NEW(all->group_of, n + 1));
    TRY(NEW(all->test_group_of, n_test + 1));
    TRY(NEW(all->in, n + 1));
    TRY(NEW(all->out, n_test + 1));
    TRY(ndi_dataset_groups(all->dataset, s->group, all->group_of, &all->n_groups));
    CHECK(all->n_groups >= 2, ND_ERR_ARGUMENT, "cross: %zu group by %s, expected at least 2", all->n_groups, s->group);
    match_groups(all);
    for (size_t g = 0; g < all->n_groups; g++) TRY(run_fold(all, g));
    return ND_OK;
}

nd_status ndi_cross_run(const nd_dataset *dataset, const nd_bank *bank, const cross_setup *s, fold_fn use, void *user)
{
    CHECK(!s->train_options.checkpoint, ND_ERR_ARGUMENT, "cross: a checkpoint file serves one training, not one per fold");
    CHECK(!s->train_options.projector, ND_ERR_ARGUMENT, "cross: a projector serves one training; name its kind, and every fold makes its own");
    CHECK(!s->test || strcmp(s->group, "subject") == 0, ND_ERR_ARGUMENT, "cross: group: got '%s', but test trials are matched by subject only",
          s->group);
    folds all = { .setup = s, .dataset = dataset, .test = s->test ? s->test : dataset, .bank = bank, .use = use, .user = user };
    nd_status status = run_folds(&all);
    size_t *blocks[] = { all.group_of, all.test_group_of, all.in, all.out };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
    return status;
}

/* Collects the embeddings of the trials left out. */
typedef struct collection {
    float *embeddings, *held;
    size_t dim;
} collection;

static nd_status collect(const nd_fold *f, void *user)
{
    const collection *c = user;
    TRY(ndi_encoder_embed_dataset(f->encoder, f->held, c->held, f->n_trials * c->dim, NULL, NULL));
    for (size_t i = 0; i < f->n_trials; i++) memcpy(c->embeddings + f->trials[i] * c->dim, c->held + i * c->dim, c->dim * sizeof *c->held);
    return ND_OK;
}

nd_status ndi_cross_embed(const nd_dataset *dataset, const nd_bank *bank, const cross_setup *s, float *embeddings, size_t capacity)
{
    size_t n = ndi_dataset_trials(dataset);
    collection c = { .embeddings = embeddings, .dim = ndi_bank_dim(bank, 0) };
    CHECK(capacity / c.dim >= n, ND_ERR_BUFFER, "cross: room for %zu numbers, need %zu x %zu", capacity, n, c.dim);
    TRY(NEW(c.held, (n + 1) * c.dim));
    nd_status status = ndi_cross_run(dataset, bank, s, collect, &c);
    ndi_free(c.held);
    return status;
}
