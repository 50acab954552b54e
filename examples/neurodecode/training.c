#include "training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

nd_status encoder_options(const training_values *t, const shared *all, size_t bank_dim, char room[PARAMS_ROOM], nd_encoder_options *o)
{
    nd_status status = nd_encoder_options_init(o, sizeof *o);
    snprintf(room, PARAMS_ROOM, "%s%s", t->recipe == RECIPE_REFERENCE ? "recipe=reference " : "", t->params ? t->params : "");
    o->embed_dim = t->dim != UNSET ? t->dim : bank_dim;
    o->params = room;
    o->seed = all->seed;
    o->n_threads = (int32_t)all->threads;
    return status;
}

nd_status projector_options(const training_values *t, const shared *all, nd_encoder_options *o)
{
    nd_status status = nd_encoder_options_init(o, sizeof *o);
    o->params = t->projector_params;
    o->seed = all->seed + 1;
    o->n_threads = (int32_t)all->threads;
    return status;
}

nd_status loss_options(const training_values *t, nd_loss_options *o)
{
    nd_status status = nd_loss_options_init(o, sizeof *o);
    if (!isnan(t->temperature)) o->temperature = t->temperature;
    o->learn_temperature = t->learn_temperature;
    o->sum_directions = t->sum_directions;
    o->mask_same_image = t->mask_same_image;
    return status;
}

nd_status train_options(const training_values *t, const shared *all, nd_train_options *o)
{
    nd_status status = nd_train_options_init_recipe(o, sizeof *o, t->recipe == RECIPE_REFERENCE ? "reference" : "default");
    if (t->epochs != UNSET) o->epochs = t->epochs;
    if (t->batch != UNSET) o->batch_size = t->batch;
    if (t->patience != UNSET) o->patience = t->patience;
    if (t->warmup != UNSET) o->warmup_steps = t->warmup;
    if (!isnan(t->learning_rate)) o->learning_rate = t->learning_rate;
    if (!isnan(t->weight_decay)) o->weight_decay = t->weight_decay;
    if (!isnan(t->momentum)) o->momentum = t->momentum;
    if (!isnan(t->ema)) o->ema_decay = t->ema;
    if (!isnan(t->validation_fraction)) o->validation_fraction = t->validation_fraction;
    if (t->schedule >= 0) o->schedule = t->schedule;
    if (t->split >= 0) o->split_by_image = t->split;
    if (t->optimiser >= 0) o->optimiser = t->optimiser;
    o->no_decay = t->no_decay;
    o->augment = t->augment;
    o->seed = all->seed;
    o->n_threads = (int32_t)all->threads;
    return status;
}

int check_training(const training_values *t)
{
    if (t->projector_params && !t->projector) return misused("--projector-params goes with --projector NAME");
    if (t->dim != UNSET && !t->projector)
        return misused("--dim goes with --projector NAME; without one the embeddings are as long as those of the images");
    return 0;
}

char *projector_path(const char *model)
{
    static const char end[] = ".safetensors", inserted[] = ".images.safetensors";
    size_t n = strlen(model) - (ends_with(model, end) ? sizeof end - 1 : 0);
    char *path = must(malloc(n + sizeof inserted));
    memcpy(path, model, n);
    memcpy(path + n, inserted, sizeof inserted);
    return path;
}
