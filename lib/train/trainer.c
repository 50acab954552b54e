/* Making a training: recipes, checks, the split, the memory. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

#include "base/random.h"
#include "data/view.h"
#include "train/schedule.h"

nd_status ndi_train_recipe(nd_train_options *o, const char *recipe)
{
    *o = (nd_train_options){ .size = sizeof *o,
                             .epochs = 50,
                             .batch_size = 128,
                             .learning_rate = 2e-4,
                             .min_learning_rate = 1e-7,
                             .weight_decay = 0.1,
                             .beta1 = 0.9,
                             .beta2 = 0.999,
                             .epsilon = 1e-8,
                             .clip_norm = 1,
                             .validation_fraction = 0.1,
                             .plateau_factor = 0.1,
                             .schedule = ND_SCHEDULE_COSINE,
                             .plateau_patience = 10,
                             .patience = 25,
                             .validation_batch = 64,
                             .seed = 42,
                             .checkpoint_every = 1,
                             .momentum = 0.9,
                             .optimiser = ND_OPTIMISER_ADAMW };
    if (strcmp(recipe, "default") == 0) return ND_OK;
    CHECK(strcmp(recipe, "reference") == 0, ND_ERR_ARGUMENT, "train: recipe: got '%s', expected default or reference", recipe);
    o->schedule = ND_SCHEDULE_REFERENCE;
    o->split_by_image = 1;
    o->patience = 30;
    return ND_OK;
}

static nd_status check_options(const nd_train_options *o)
{
    CHECK(o->epochs > 0, ND_ERR_ARGUMENT, "train: epochs: got 0, expected at least 1");
    CHECK(o->batch_size > 1, ND_ERR_ARGUMENT, "train: batch_size: got %u, expected at least 2", o->batch_size);
    CHECK(o->validation_batch > 0, ND_ERR_ARGUMENT, "train: validation_batch: got 0, expected at least 1");
    CHECK(o->checkpoint_every > 0, ND_ERR_ARGUMENT, "train: checkpoint_every: got 0, expected at least 1");
    CHECK(o->plateau_patience > 0, ND_ERR_ARGUMENT, "train: plateau_patience: got 0, expected at least 1");
    CHECK(o->validation_fraction >= 0 && o->validation_fraction < 1, ND_ERR_ARGUMENT, "train: validation_fraction: got %g, expected 0 to below 1",
          o->validation_fraction);
    const struct {
        const char *name;
        double value, min, max;
    } ranges[] = {
        { "learning_rate", o->learning_rate, 0, 1e3 }, { "min_learning_rate", o->min_learning_rate, 0, 1e3 },
        { "weight_decay", o->weight_decay, 0, 1e3 },   { "beta1", o->beta1, 0, 0.999999999 },
        { "beta2", o->beta2, 0, 0.999999999 },         { "epsilon", o->epsilon, 1e-30, 1 },
        { "clip_norm", o->clip_norm, 0, 1e30 },        { "plateau_factor", o->plateau_factor, 0, 1 },
        { "momentum", o->momentum, 0, 0.999999999 },   { "ema_decay", o->ema_decay, 0, 0.999999999 },
    };
    for (size_t i = 0; i < COUNT(ranges); i++)
        CHECK(ranges[i].value >= ranges[i].min && ranges[i].value <= ranges[i].max, ND_ERR_ARGUMENT, "train: %s: got %g, expected %g to %g",
              ranges[i].name, ranges[i].value, ranges[i].min, ranges[i].max);
    return ndi_schedule_check(o);
}

static nd_status check_projector(const nd_trainer *t, const char *layer, size_t dim)
{
    const spec *p = &t->projector->s;
    CHECK(t->projector != t->encoder, ND_ERR_ARGUMENT, "train: projector: is the encoder itself, expected another");
    CHECK(!t->encoder->s.kind->fit && !p->kind->fit, ND_ERR_ARGUMENT,
          "train: projector: encoder %s has a closed form, expected one that is trained in steps",
          p->kind->fit ? p->kind->name : t->encoder->s.kind->name);
    CHECK(p->channels == dim && p->samples == 1, ND_ERR_ARGUMENT,
          "train: projector: takes %zu x %zu, expected %zu x 1 for the vectors of layer '%s' of the bank", p->channels, p->samples, dim, layer);
    CHECK(p->dim == t->encoder->s.dim, ND_ERR_ARGUMENT, "train: projector: its embedding has %zu, expected %zu as that of the encoder", p->dim,
          t->encoder->s.dim);
    return ND_OK;
}

static nd_status check_handles(const nd_trainer *t)
{
    TRY(ndi_encoder_check_dataset(t->encoder, t->dataset));
    size_t dim = ndi_bank_dim(t->bank, 0), wanted = t->encoder->s.dim;
    const char *layer = ndi_bank_layer_name(t->bank, 0);
    if (t->projector) TRY(check_projector(t, layer, dim));
    CHECK(t->projector || dim == wanted, ND_ERR_ARGUMENT, "train: layer '%s' of the bank has vectors of %zu, the encoder's embedding has %zu", layer,
          dim, wanted);
    return ndi_dataset_check_finite(t->dataset, t->threads);
}

/* Trials whose group is among the first n_held of a random order are held out. */
static nd_status split(nd_trainer *t)
{
    size_t n = ndi_dataset_trials(t->dataset), n_groups, *group = NULL, *order = NULL;
    nd_status status = NEW(t->train, n + 1);
    if (status != ND_OK) return status;
    GO(NEW(t->validation, n + 1));
    GO(NEW(group, n + 1));
    GO(ndi_dataset_groups(t->dataset, t->o.split_by_image ? "image" : "concept", group, &n_groups));
    GO(NEW(order, n_groups + 1));
    ndi_permutation(order, n_groups, t->o.seed, NDI_RANDOM_SPLIT, 0);
    size_t n_held = 0;
    if (t->o.validation_fraction > 0 && !t->encoder->s.kind->fit) {
        n_held = (size_t)floor(t->o.validation_fraction * (double)n_groups + 0.5);
        if (n_held == 0) n_held = 1;
        if (n_held >= n_groups) {
            status = ndi_fail(ND_ERR_ARGUMENT, "train: a validation fraction of %g leaves none of %zu %s to train on", t->o.validation_fraction,
                              n_groups, t->o.split_by_image ? "images" : "concepts");
            goto done;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (order[group[i]] < n_held)
            t->validation[t->n_validation++] = i;
        else
            t->train[t->n_train++] = i;
    }
done:
    ndi_free(group);
    ndi_free(order);
    return status;
}

/* A word that no parameter answers to is a slip. */
static nd_status check_no_decay(const nd_trainer *t)
{
    const char *list = t->no_decay, *word;
    size_t n;
    while (list && ndi_next_word(&list, &word, &n)) {
        bool known = false;
        for (size_t i = 0; i < t->n_networks; i++) known |= ndi_no_decay_names(t->networks[i].encoder->g, word, n);
        CHECK(known, ND_ERR_ARGUMENT, "train: no_decay: got '%.*s', expected 'vectors' or a part of a parameter's name", (int)(n < 64 ? n : 64),
              word);
    }
    return ND_OK;
}

static nd_status create_networks(nd_trainer *t, size_t most)
{
    nd_encoder *encoders[NETWORKS] = { t->encoder, t->projector };
    const char *prefixes[NETWORKS] = { "", "projector/" };
    t->n_networks = t->projector ? NETWORKS : 1;
    for (size_t i = 0; i < t->n_networks; i++) {
        network *n = &t->networks[i];
        n->encoder = encoders[i];
        n->prefix = prefixes[i];
        n->seed = t->o.seed + i * 0x9E3779B97F4A7C15u; /* other dropout masks in each */
        n->threads = t->threads;
        TRY(ndi_network_create(n, &t->o, most));
    }
    return check_no_decay(t);
}

static nd_status create_mixtures(nd_trainer *t, size_t size)
{
    if (t->augment.values[NDI_MIXCO] == 0) return ND_OK;
    CHECK(t->loss->kind->mixes, ND_ERR_ARGUMENT, "train: augment: mixco mixes trials, which the loss %s does not know; expected the loss mixco",
          t->loss->kind->name);
    TRY(NEW(t->mixed, t->o.batch_size * size));
    TRY(NEW(t->partner, t->o.batch_size));
    return NEW(t->share, t->o.batch_size);
}

/* Memory for steps: everything a step will touch. */
static nd_status allocate(nd_trainer *t)
{
    size_t batch = t->o.batch_size, validation = t->o.validation_batch < t->n_validation ? t->o.validation_batch : t->n_validation;
    size_t most = batch > validation ? batch : validation, size = t->encoder->s.channels * t->encoder->s.samples;
    CHECK(t->n_train >= batch, ND_ERR_ARGUMENT, "train: a batch of %zu trials, but only %zu to train on", batch, t->n_train);
    t->steps_per_epoch = t->n_train / batch;
    TRY(create_networks(t, most));
    TRY(create_mixtures(t, size));
    TRY(ndi_loss_space_create(&t->space, most, t->encoder->s.dim, t->threads));
    TRY(NEW(t->order, t->n_train));
    TRY(NEW(t->x, most * size));
    TRY(NEW(t->z, most * ndi_bank_dim(t->bank, 0)));
    TRY(NEW(t->seconds, most));
    TRY(NEW(t->subjects, most));
    TRY(NEW(t->images, most));
    return NEW(t->channel, ndi_pool_threads(t->threads) * t->encoder->s.samples);
}

/* Texts are the caller's: what is needed later is copied, the augmentations in their full form. */
static nd_status take_options(nd_trainer *t, const nd_train_options *o)
{
    TRY(check_options(o));
    TRY(ndi_optimiser_find(o->optimiser, &t->optimiser));
    TRY(ndi_augment_parse(&t->augment, o->augment));
    t->augment.seed = o->seed;
    t->augment.channels = t->encoder->s.channels;
    t->augment.samples = t->encoder->s.samples;
    if (ndi_augment_any(&t->augment)) ndi_params_format(ndi_augmentations, NDI_AUGMENTATIONS, t->augment.values, &t->augmented);
    if (o->checkpoint) t->checkpoint = ndi_strdup(o->checkpoint);
    if (o->no_decay) t->no_decay = ndi_strdup(o->no_decay);
    CHECK((t->checkpoint || !o->checkpoint) && (t->no_decay || !o->no_decay) && !t->augmented.failed, ND_ERR_MEMORY, "train: out of memory");
    t->o = *o;
    t->o.checkpoint = t->checkpoint;
    t->o.no_decay = t->no_decay;
    t->o.augment = t->augmented.s;
    return ND_OK;
}

static nd_status take(nd_trainer *t, const nd_train_options *o)
{
    TRY(take_options(t, o));
    TRY(ndi_pool_create(&t->threads, o->n_threads));
    TRY(check_handles(t));
    TRY(NEW(t->rows, ndi_dataset_trials(t->dataset) + 1));
    TRY(ndi_bank_join(t->bank, t->dataset, t->rows));
    TRY(split(t));
    if (t->encoder->s.kind->fit) return ND_OK;
    CHECK(t->loss, ND_ERR_ARGUMENT, "train: encoder %s needs a loss", t->encoder->s.kind->name);
    return allocate(t);
}

nd_status ndi_trainer_create(nd_trainer **out, nd_encoder *encoder, nd_loss *loss, const nd_dataset *dataset, const nd_bank *bank,
                             const nd_train_options *o)
{
    nd_trainer *t;
    TRY(NEW(t, 1));
    t->encoder = ndi_encoder_ref(encoder);
    t->projector = o->projector ? ndi_encoder_ref(o->projector) : NULL;
    t->loss = loss ? ndi_loss_ref(loss) : NULL;
    t->dataset = ndi_dataset_ref(dataset);
    t->bank = ndi_bank_ref(bank);
    t->at.train_loss = t->at.validation_loss = t->at.best_validation_loss = NAN;
    t->at.log_scale.value = t->at.log_scale.best = loss ? loss->log_scale : 0;
    t->at.bias.value = t->at.bias.best = loss ? loss->bias : 0;
    nd_status status = take(t, o);
    if (status != ND_OK) {
        ndi_trainer_free(t);
        return status;
    }
    *out = t;
    return ND_OK;
}

void ndi_trainer_free(nd_trainer *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->n_networks; i++) ndi_network_free(&t->networks[i]);
    ndi_loss_space_free(t->space);
    ndi_pool_free(t->threads);
    ndi_text_free(&t->augmented);
    void *blocks[] = { t->checkpoint, t->no_decay, t->rows,   t->train,   t->validation, t->order,   t->x,    t->z,
                       t->seconds,    t->subjects, t->images, t->channel, t->mixed,      t->partner, t->share };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
    ndi_encoder_free(t->encoder);
    ndi_encoder_free(t->projector);
    ndi_loss_free(t->loss);
    ndi_dataset_free((nd_dataset *)(uintptr_t)t->dataset); /* counted references: const to us, not to their last holder */
    ndi_bank_free((nd_bank *)(uintptr_t)t->bank);
    ndi_free(t);
}

double ndi_trainer_rate(const nd_trainer *t)
{
    standing s = { .step = (uint64_t)t->at.step,
                   .total_steps = t->o.epochs * t->steps_per_epoch,
                   .plateaus = (uint64_t)t->at.plateaus,
                   .validation_loss = t->at.validation_loss };
    return ndi_learning_rate(&t->o, &s);
}

void ndi_trainer_info(const nd_trainer *t, nd_train_info *info)
{
    *info = (nd_train_info){ .size = sizeof *info,
                             .epoch = (uint64_t)t->at.epoch,
                             .step = (uint64_t)t->at.step,
                             .steps_per_epoch = t->steps_per_epoch,
                             .best_epoch = (uint64_t)t->at.best_epoch,
                             .train_loss = t->at.train_loss,
                             .validation_loss = t->at.validation_loss,
                             .best_validation_loss = t->at.best_validation_loss,
                             .learning_rate = ndi_trainer_rate(t),
                             .temperature = exp(-t->at.log_scale.value),
                             .n_train = t->n_train,
                             .n_validation = t->n_validation,
                             .finished = t->at.finished > 0 };
}
