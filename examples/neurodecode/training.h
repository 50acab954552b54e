/* Options that say what to train and how, the same for training and for cross-validation. */
#ifndef TRAINING_H
#define TRAINING_H

#include "common.h"

typedef struct training_values {
    const char *kind, *params, *projector, *projector_params; /* networks */
    const char *loss, *augment, *no_decay;
    int32_t recipe, schedule, split, optimiser; /* -1 = not given */
    uint32_t dim, epochs, batch, patience, warmup;
    double learning_rate, weight_decay, momentum, ema, validation_fraction, temperature;
    bool learn_temperature, sum_directions, mask_same_image;
} training_values;

enum { RECIPE_DEFAULT, RECIPE_REFERENCE };

#define TRAINING_DEFAULTS \
    { \
        .recipe = RECIPE_DEFAULT, .schedule = -1, .split = -1, .optimiser = -1, .dim = UNSET, .epochs = UNSET, .batch = UNSET, .patience = UNSET, .warmup = UNSET, \
        .learning_rate = NAN, .weight_decay = NAN, .momentum = NAN, .ema = NAN, .validation_fraction = NAN, .temperature = NAN \
    }

/* What to train; `what` says which architecture is the default. */
#define NETWORK_OPTIONS(values, field, what) \
    { "encoder", 0, "NAME", WORD, offsetof(values, field.kind), 0, 0, "architecture (default " what "); neurodecode info --encoders lists them" }, \
        { "params", 0, "TEXT", WORD, offsetof(values, field.params), 0, 0, "its hyper-parameters, as in \"maps=40 dropout=0.5\"" }, \
        { "recipe", \
          0, \
          "default|reference", \
          CHOICE, \
          offsetof(values, field.recipe), \
          0, \
          0, \
          "all defaults: this library's, or those of the reference system with its quirks" }, \
        { "projector", \
          0, \
          "NAME", \
          WORD, \
          offsetof(values, field.projector), \
          0, \
          0, \
          "train an image-side encoder too, as linear or mlp: both sides meet in a space of --dim" }, \
        { "projector-params", 0, "TEXT", WORD, offsetof(values, field.projector_params), 0, 0, "its hyper-parameters" }, \
    { \
        "dim", 0, "N", WHOLE, offsetof(values, field.dim), 1, 1e6, "length of the embeddings, with --projector (default that of the image embeddings)" \
    }

/* How to train it. */
#define TRAINING_OPTIONS(values, field) \
    { .help = "How to train it:" }, { "epochs", 0, "N", WHOLE, offsetof(values, field.epochs), 1, 1e6, "at the most (default 50)" }, \
        { "batch", 0, "N", WHOLE, offsetof(values, field.batch), 1, 1e6, "trials in a step (default 128)" }, \
        { "optimiser", 0, "adamw|adam|sgd", CHOICE, offsetof(values, field.optimiser), 0, 0, "default adamw" }, \
        { "lr", 0, "X", REAL, offsetof(values, field.learning_rate), 0, 10, "learning rate (default 2e-4)" }, \
        { "momentum", 0, "X", REAL, offsetof(values, field.momentum), 0, 0.9999, "of sgd (default 0.9)" }, \
        { "weight-decay", 0, "X", REAL, offsetof(values, field.weight_decay), 0, 10, "decoupled for adamw, else in the gradient (default 0.1)" }, \
        { "no-decay", \
          0, \
          "WORDS", \
          WORD, \
          offsetof(values, field.no_decay), \
          0, \
          0, \
          "parts of the names of tensors that do not decay; 'vectors' = biases and norms (default none)" }, \
        { "ema", 0, "X", REAL, offsetof(values, field.ema), 0, 0.999999, "keep the running average of the weights with this decay, as 0.999 (default 0 = off)" }, \
        { "schedule", 0, "constant|cosine|plateau|reference", CHOICE, offsetof(values, field.schedule), 0, 0, "of the learning rate (default cosine)" }, \
        { "warmup", 0, "N", WHOLE, offsetof(values, field.warmup), 0, 1e9, "steps in which the learning rate rises (default 0)" }, \
        { "augment", \
          0, \
          "TEXT", \
          WORD, \
          offsetof(values, field.augment), \
          0, \
          0, \
          "change trials at random, as in \"noise=0.1 shift=5\"; neurodecode info --augmentations lists how (default not)" }, \
        { "patience", 0, "N", WHOLE, offsetof(values, field.patience), 0, 1e6, "epochs without a better validation loss before stopping; 0 = never stop (default 25)" }, \
        { "validation-fraction", 0, "X", REAL, offsetof(values, field.validation_fraction), 0, 0.9, "held out to choose the best epoch; 0 = none (default 0.1)" }, \
        { "split", 0, "concept|image", CHOICE, offsetof(values, field.split), 0, 0, "what is held out together (default concept)" }, \
        { .help = "Loss:" }, { "loss", 0, "NAME", WORD, offsetof(values, field.loss), 0, 0, "default infonce; neurodecode info --losses lists them" }, \
        { "temperature", 0, "X", REAL, offsetof(values, field.temperature), 1e-4, 100, "of the similarities (default that of the loss; infonce 0.04)" }, \
        { "learn-temperature", 0, NULL, FLAG, offsetof(values, field.learn_temperature), 0, 0, "let it be trained too" }, \
        { "mask-same-image", 0, NULL, FLAG, offsetof(values, field.mask_same_image), 0, 0, "trials of one image are not each other's negatives" }, \
    { \
        "loss-sum", 0, NULL, FLAG, offsetof(values, field.sum_directions), 0, 0, "sum of both directions of the loss, not their mean" \
    }

/* The options of the library for it. `room` holds the text of the hyper-parameters. */
enum { PARAMS_ROOM = 1024 };
nd_status encoder_options(const training_values *t, const shared *all, size_t bank_dim, char room[PARAMS_ROOM], nd_encoder_options *o);
nd_status projector_options(const training_values *t, const shared *all, nd_encoder_options *o);
nd_status loss_options(const training_values *t, nd_loss_options *o);
nd_status train_options(const training_values *t, const shared *all, nd_train_options *o);

/* 0, or 2 after a message: options that do not go together. */
int check_training(const training_values *t);

/* Name of the file of a model's projector: model.safetensors -> model.images.safetensors; the caller frees it. */
char *projector_path(const char *model);

#endif
