#include "neurodecode/cross.h"

#include "api/handle.h"
#include "loss/loss.h"
#include "train/cross.h"

static const nd_cross_options defaults = { .size = sizeof defaults, .encoder = "nice", .group = "subject" };

nd_status nd_cross_options_init(nd_cross_options *options, size_t size)
{
    return ndi_options_init(options, size, &defaults, sizeof defaults, "nd_cross_options");
}

/* The structs that the caller's struct points to, each over its own defaults. */
static nd_status setup_of(cross_setup *s, const nd_cross_options *given)
{
    nd_cross_options o = defaults;
    TRY(ndi_options_in(&o, sizeof o, given, "nd_cross_options"));
    CHECK(o.encoder && o.group, ND_ERR_ARGUMENT, "nd_cross_options: encoder or group is NULL");
    *s = (cross_setup){ .loss = o.loss, .group = o.group, .test = o.test, .progress = o.progress, .user = o.user };
    TRY(ndi_encoder_kind_find(o.encoder, &s->kind));
    if (o.projector) TRY(ndi_encoder_kind_find(o.projector, &s->projector));
    TRY(nd_encoder_options_init(&s->encoder_options, sizeof s->encoder_options));
    TRY(nd_encoder_options_init(&s->projector_options, sizeof s->projector_options));
    TRY(nd_loss_options_init(&s->loss_options, sizeof s->loss_options));
    TRY(nd_train_options_init(&s->train_options, sizeof s->train_options));
    TRY(ndi_options_in(&s->encoder_options, sizeof s->encoder_options, o.encoder_options, "nd_encoder_options"));
    TRY(ndi_options_in(&s->projector_options, sizeof s->projector_options, o.projector_options, "nd_encoder_options"));
    TRY(ndi_options_in(&s->loss_options, sizeof s->loss_options, o.loss_options, "nd_loss_options"));
    return ndi_options_in(&s->train_options, sizeof s->train_options, o.train_options, "nd_train_options");
}

typedef struct teller {
    nd_fold_fn fn;
    void *user;
} teller;

static nd_status tell(const nd_fold *fold, void *user)
{
    const teller *t = user;
    CHECK(t->fn(fold, t->user) == 0, ND_ERR_CANCELLED, "cancelled by the caller");
    return ND_OK;
}

nd_status nd_cross_run(const nd_dataset *dataset, const nd_bank *bank, const nd_cross_options *options, nd_fold_fn fold, void *user)
{
    REQUIRE(dataset);
    REQUIRE(bank);
    REQUIRE(fold);
    cross_setup s;
    teller t = { fold, user };
    TRY(setup_of(&s, options));
    return ndi_cross_run(dataset, bank, &s, tell, &t);
}

nd_status nd_cross_embed(const char *kind, const nd_dataset *dataset, const nd_bank *bank, const char *group,
                         const nd_encoder_options *encoder_options, const nd_loss_options *loss_options, const nd_train_options *train_options,
                         float *embeddings, size_t capacity, nd_progress_fn fn, void *user)
{
    REQUIRE(kind);
    REQUIRE(dataset);
    REQUIRE(bank);
    REQUIRE(group);
    REQUIRE(embeddings);
    nd_cross_options o = { .size = sizeof o,
                           .encoder = kind,
                           .encoder_options = encoder_options,
                           .loss_options = loss_options,
                           .train_options = train_options,
                           .group = group,
                           .progress = fn,
                           .user = user };
    cross_setup s;
    TRY(setup_of(&s, &o));
    return ndi_cross_embed(dataset, bank, &s, embeddings, capacity);
}
