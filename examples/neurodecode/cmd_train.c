/* neurodecode train: trains an encoder against image embeddings and saves it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording.h"

typedef struct values {
    shared all;
    recording brain;
    images pictures;
    const char *kind, *params, *output, *checkpoint;
    int32_t recipe, schedule, split;
    uint32_t epochs, batch, patience, warmup;
    double learning_rate, weight_decay, validation_fraction, temperature;
    bool learn_temperature, sum_directions, resume;
} values;

enum { RECIPE_DEFAULT, RECIPE_REFERENCE };

static const values defaults = { .all = SHARED_DEFAULTS,
                                 .brain = RECORDING_DEFAULTS,
                                 .kind = "nice",
                                 .schedule = -1,
                                 .split = -1,
                                 .epochs = UNSET,
                                 .batch = UNSET,
                                 .patience = UNSET,
                                 .warmup = UNSET,
                                 .learning_rate = NAN,
                                 .weight_decay = NAN,
                                 .validation_fraction = NAN,
                                 .temperature = NAN };

#define AT(field) offsetof(values, field)
static const option options[] = {
    { .help = "What to train:" },
    { "encoder", 0, "NAME", WORD, AT(kind), 0, 0, "architecture (default nice); neurodecode info --encoders lists them" },
    { "params", 0, "TEXT", WORD, AT(params), 0, 0, "its hyper-parameters, as in \"maps=40 dropout=0.5\"" },
    { "recipe", 0, "default|reference", CHOICE, AT(recipe), 0, 0, "all defaults: this library's, or those of the reference system with its quirks" },
    { "output", 'o', "FILE", WORD, AT(output), 0, 0, "the trained encoder (default model.safetensors)" },
    { "checkpoint", 0, "FILE", WORD, AT(checkpoint), 0, 0, "written after every epoch and when stopped" },
    { "resume", 0, NULL, FLAG, AT(resume), 0, 0, "go on from the checkpoint" },
    { .help = "How to train it:" },
    { "epochs", 0, "N", WHOLE, AT(epochs), 1, 1e6, "at the most (default 50)" },
    { "batch", 0, "N", WHOLE, AT(batch), 1, 1e6, "trials in a step (default 128)" },
    { "lr", 0, "X", REAL, AT(learning_rate), 0, 10, "learning rate (default 2e-4)" },
    { "weight-decay", 0, "X", REAL, AT(weight_decay), 0, 10, "decoupled, times the learning rate (default 0.1)" },
    { "schedule", 0, "constant|cosine|plateau|reference", CHOICE, AT(schedule), 0, 0, "of the learning rate (default cosine)" },
    { "warmup", 0, "N", WHOLE, AT(warmup), 0, 1e9, "steps in which the learning rate rises (default 0)" },
    { "patience", 0, "N", WHOLE, AT(patience), 0, 1e6, "epochs without a better validation loss before stopping; 0 = never stop (default 25)" },
    { "validation-fraction", 0, "X", REAL, AT(validation_fraction), 0, 0.9, "held out to choose the best epoch; 0 = none (default 0.1)" },
    { "split", 0, "concept|image", CHOICE, AT(split), 0, 0, "what is held out together (default concept)" },
    { "temperature", 0, "X", REAL, AT(temperature), 1e-4, 100, "of the contrastive loss (default 0.04)" },
    { "learn-temperature", 0, NULL, FLAG, AT(learn_temperature), 0, 0, "let it be trained too" },
    { "loss-sum", 0, NULL, FLAG, AT(sum_directions), 0, 0, "sum of both directions of the loss, not their mean" },
    RECORDING_OPTIONS(values, brain),
    IMAGE_OPTIONS(values, pictures),
    { 0 },
};

static const char help[] = "Trains an encoder of brain recordings against the embeddings of the images that were seen, and saves it with all that is "
                           "needed to use it again. DIR is a data set laid out as "
                           "THINGS-EEG2, of which the training partition is taken; the test partition is never touched. The weights kept are those "
                           "of the epoch with the lowest validation loss.\v"
                           "Examples:\n"
                           "  neurodecode train world --subject 1 --embeddings aligned -o model.safetensors\n"
                           "  neurodecode train --data eeg.npy --axes \"trial channel sample\" --rate 250 --images ids.txt \\\n"
                           "      --bank clip.safetensors --encoder nice --epochs 80 -o model.safetensors\n"
                           "\n"
                           "Ctrl-C stops after the present step; with --checkpoint, --resume goes on exactly there.\n";

/* A training and all it stands on. */
typedef struct session {
    const values *v;
    nd_dataset *dataset;
    nd_bank *bank;
    nd_encoder *encoder;
    nd_loss *loss;
    nd_trainer *trainer;
    uint64_t epochs_shown;
} session;

static nd_status make_encoder(session *s)
{
    nd_encoder_options o;
    nd_bank_info about = { .size = sizeof about };
    char params[1024];
    const char *given = s->v->params ? s->v->params : "";
    nd_status status = nd_bank_get_info(s->bank, &about);
    if (status != ND_OK) return status;
    nd_encoder_options_init(&o, sizeof o);
    snprintf(params, sizeof params, "%s%s", s->v->recipe == RECIPE_REFERENCE ? "recipe=reference " : "", given);
    o.embed_dim = about.dim;
    o.params = params;
    o.seed = s->v->all.seed;
    o.n_threads = (int32_t)s->v->all.threads;
    return nd_encoder_create_for(&s->encoder, s->v->kind, s->dataset, &o);
}

static nd_status make_loss(session *s)
{
    nd_loss_options o;
    nd_loss_options_init(&o, sizeof o);
    if (!isnan(s->v->temperature)) o.temperature = s->v->temperature;
    o.learn_temperature = s->v->learn_temperature;
    o.sum_directions = s->v->sum_directions;
    return nd_loss_create(&s->loss, NULL, &o);
}

static nd_status make_trainer(session *s)
{
    const values *v = s->v;
    nd_train_options o;
    nd_status status = nd_train_options_init_recipe(&o, sizeof o, v->recipe == RECIPE_REFERENCE ? "reference" : "default");
    if (status != ND_OK) return status;
    if (v->epochs != UNSET) o.epochs = v->epochs;
    if (v->batch != UNSET) o.batch_size = v->batch;
    if (v->patience != UNSET) o.patience = v->patience;
    if (v->warmup != UNSET) o.warmup_steps = v->warmup;
    if (!isnan(v->learning_rate)) o.learning_rate = v->learning_rate;
    if (!isnan(v->weight_decay)) o.weight_decay = v->weight_decay;
    if (!isnan(v->validation_fraction)) o.validation_fraction = v->validation_fraction;
    if (v->schedule >= 0) o.schedule = v->schedule;
    if (v->split >= 0) o.split_by_image = v->split;
    o.seed = v->all.seed;
    o.n_threads = (int32_t)v->all.threads;
    o.checkpoint = v->checkpoint;
    status = nd_trainer_create(&s->trainer, s->encoder, s->loss, s->dataset, s->bank, &o);
    return status == ND_OK && v->resume ? nd_trainer_resume(s->trainer, v->checkpoint) : status;
}

/* A line for each finished epoch, and the usual progress. */
static int32_t watch(const nd_progress *p, void *user)
{
    session *s = user;
    nd_train_info t = { .size = sizeof t };
    bool talk = !s->v->all.quiet && !s->v->all.json;
    if (talk && nd_trainer_get_info(s->trainer, &t) == ND_OK && t.epoch > s->epochs_shown) {
        end_progress();
        printf("epoch %3llu  training loss %.4f", (unsigned long long)t.epoch, t.train_loss);
        if (t.n_validation) printf("  validation loss %.4f%s", t.validation_loss, t.best_epoch == t.epoch ? "  best" : "");
        putchar('\n');
        fflush(stdout);
        s->epochs_shown = t.epoch;
    }
    return show_progress(p, (void *)&s->v->all);
}

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static int report(const session *s, const char *output)
{
    nd_train_info t = { .size = sizeof t };
    nd_encoder_info e = { .size = sizeof e };
    if (nd_trainer_get_info(s->trainer, &t) != ND_OK || nd_encoder_get_info(s->encoder, &e) != ND_OK) return failed();
    if (s->v->all.json) {
        print_json(json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "model", output, "encoder", e.kind, "params", e.params,
                             "parameters", (json_int_t)e.n_parameters, "epochs", (json_int_t)t.epoch, "best_epoch", (json_int_t)t.best_epoch,
                             "n_train", (json_int_t)t.n_train, "n_validation", (json_int_t)t.n_validation, "validation_loss",
                             number(t.best_validation_loss), "train_loss", number(t.train_loss)));
    } else if (!s->v->all.quiet) {
        printf("%s, %zu parameters, trained on %zu trial%s", e.kind, e.n_parameters, t.n_train, PLURAL(t.n_train));
        if (t.n_validation)
            printf("; validation loss %.4f on %zu trials at epoch %llu of %llu", t.best_validation_loss, t.n_validation,
                   (unsigned long long)t.best_epoch, (unsigned long long)t.epoch);
        printf("\n%s\n", output);
    }
    return 0;
}

static int train(session *s, const char *output)
{
    if (make_encoder(s) != ND_OK || make_loss(s) != ND_OK || make_trainer(s) != ND_OK) return failed();
    nd_status status = nd_trainer_run(s->trainer, watch, s);
    end_progress();
    if (status == ND_ERR_CANCELLED && s->v->checkpoint)
        return refused("train: stopped; --checkpoint %s --resume goes on from there", s->v->checkpoint);
    if (status != ND_OK || nd_encoder_save(s->encoder, output) != ND_OK) return failed();
    return report(s, output);
}

static int run(const void *values_given, char *const *arguments)
{
    values v = *(const values *)values_given;
    const char *folder = arguments[0], *output = v.output ? v.output : "model.safetensors";
    int status = check_sources(&v.brain, &v.pictures, folder);
    if (status) return status;
    if (v.resume && !v.checkpoint) return misused("--resume needs --checkpoint FILE");
    if (v.checkpoint && strcmp(v.kind, "ridge") == 0) return misused("--checkpoint: ridge is solved at once, there is nothing to go on from");
    status = check_output("--output", output, "safetensors",
                          FILES(v.brain.data, v.brain.images, v.pictures.bank, v.pictures.ids, v.pictures.align, v.checkpoint));
    if (status == 0) status = check_output("--checkpoint", v.checkpoint, NULL, FILES(v.brain.data, v.brain.images, v.pictures.bank, v.pictures.ids));
    if (status) return status;
    if (v.brain.normalise < 0 && v.recipe == RECIPE_REFERENCE) v.brain.normalise = ND_NORMALISE_REFERENCE;
    session s = { .v = &v };
    s.dataset = open_recording(&v.brain, folder, "training", &v.all);
    if (s.dataset) s.bank = open_images(&v.pictures, NULL, folder, "training", s.dataset, &v.all);
    status = s.bank ? train(&s, output) : 1;
    nd_trainer_free(s.trainer);
    nd_loss_free(s.loss);
    nd_encoder_free(s.encoder);
    nd_bank_free(s.bank);
    nd_dataset_free(s.dataset);
    return status;
}

const command train_command = { "train", "train an encoder against image embeddings", "[DIR]", help, options, &defaults, sizeof defaults, 0, 1, run };
