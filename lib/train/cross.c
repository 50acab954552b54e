/* Out-of-fold embeddings: every group of trials is embedded by a fresh encoder that was trained on all others. */
#include <string.h>

#include "data/view.h"
#include "train/trainer.h"

typedef struct cross {
    const encoder_kind *kind;
    const nd_dataset *dataset;
    const nd_bank *bank;
    const nd_encoder_options *eo;
    const nd_loss_options *lo;
    const nd_train_options *to;
    size_t *group_of, *in, *out; /* trials of the present fold: trained on, left out */
    float *held;                 /* embeddings of those left out */
} cross;

static nd_status train_fold(const cross *c, const nd_dataset *train, const nd_dataset *held)
{
    nd_encoder *e = NULL;
    nd_loss *loss = NULL;
    nd_trainer *t = NULL;
    nd_encoder_options eo = *c->eo;
    eo.embed_dim = ndi_bank_dim(c->bank, 0);
    nd_status status = ndi_encoder_create_for(&e, c->kind, train, &eo);
    if (status != ND_OK) goto done;
    GO(ndi_loss_create(&loss, NULL, c->lo));
    GO(ndi_trainer_create(&t, e, loss, train, c->bank, c->to));
    GO(ndi_trainer_run(t, NULL, NULL));
    status = ndi_encoder_embed_dataset(e, held, c->held, ndi_dataset_trials(held) * eo.embed_dim, NULL, NULL);
done:
    ndi_trainer_free(t);
    ndi_loss_free(loss);
    ndi_encoder_free(e);
    return status;
}

static nd_status run_fold(const cross *c, size_t group, float *embeddings)
{
    size_t n = ndi_dataset_trials(c->dataset), n_in = 0, n_out = 0, dim = ndi_bank_dim(c->bank, 0);
    nd_dataset *train = NULL, *held = NULL;
    for (size_t i = 0; i < n; i++) {
        if (c->group_of[i] == group)
            c->out[n_out++] = i;
        else
            c->in[n_in++] = i;
    }
    nd_status status = ndi_dataset_select(&train, c->dataset, c->in, n_in);
    if (status != ND_OK) goto done;
    GO(ndi_dataset_select(&held, c->dataset, c->out, n_out));
    GO(train_fold(c, train, held));
    for (size_t i = 0; i < n_out; i++) memcpy(embeddings + c->out[i] * dim, c->held + i * dim, dim * sizeof *embeddings);
done:
    ndi_dataset_free(train);
    ndi_dataset_free(held);
    return status;
}

static nd_status run_folds(const cross *c, size_t n_groups, float *embeddings, progress *p)
{
    for (size_t g = 0; g < n_groups; g++) {
        TRY(ndi_prefix(run_fold(c, g, embeddings), "fold %zu of %zu", g + 1, n_groups));
        TRY(ndi_progress_at(p, g + 1));
    }
    return ND_OK;
}

nd_status ndi_cross_embed(const encoder_kind *kind, const nd_dataset *dataset, const nd_bank *bank, const char *group, const nd_encoder_options *eo, const nd_loss_options *lo,
                          const nd_train_options *to, float *embeddings, size_t capacity, nd_progress_fn fn, void *user)
{
    size_t n = ndi_dataset_trials(dataset), dim = ndi_bank_dim(bank, 0), n_groups;
    cross c = { .kind = kind, .dataset = dataset, .bank = bank, .eo = eo, .lo = lo, .to = to };
    CHECK(to->checkpoint == NULL, ND_ERR_ARGUMENT, "cross: a checkpoint file serves one training, not one per fold");
    CHECK(to->projector == NULL, ND_ERR_ARGUMENT, "cross: a projector would give every fold a space of its own; cross-validate without one");
    CHECK(capacity / dim >= n, ND_ERR_BUFFER, "cross: room for %zu numbers, need %zu x %zu", capacity, n, dim);
    nd_status status = NEW(c.group_of, n + 1);
    if (status != ND_OK) return status;
    GO(NEW(c.in, n + 1));
    GO(NEW(c.out, n + 1));
    GO(NEW(c.held, (n + 1) * dim));
    GO(ndi_dataset_groups(dataset, group, c.group_of, &n_groups));
    if (n_groups < 2) {
        status = ndi_fail(ND_ERR_ARGUMENT, "cross: %zu group by %s, expected at least 2", n_groups, group);
        goto done;
    }
    progress p;
    ndi_progress_begin(&p, fn, user, "cross-validate", "folds", 0, n_groups);
    status = run_folds(&c, n_groups, embeddings, &p);
done:
    ndi_free(c.group_of);
    ndi_free(c.in);
    ndi_free(c.out);
    ndi_free(c.held);
    return status;
}
