/* neurodecode train: trains an encoder against image embeddings and saves it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording.h"
#include "training.h"

typedef struct values {
    shared all;
    recording brain;
    images pictures;
    training_values how;
    const char *output, *checkpoint;
    bool resume;
} values;

static const values defaults = { .all = SHARED_DEFAULTS, .brain = RECORDING_DEFAULTS, .how = TRAINING_DEFAULTS };

#define AT(field) offsetof(values, field)
static const option options[] = {
    { .help = "What to train:" },
    NETWORK_OPTIONS(values, how, "nice"),
    { "output", 'o', "FILE", WORD, AT(output), 0, 0,
      "the trained encoder (default model.safetensors); a projector goes beside it, model.images.safetensors" },
    { "checkpoint", 0, "FILE", WORD, AT(checkpoint), 0, 0, "written after every epoch and when stopped" },
    { "resume", 0, NULL, FLAG, AT(resume), 0, 0, "go on from the checkpoint" },
    TRAINING_OPTIONS(values, how),
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
    nd_encoder *encoder, *projector;
    nd_loss *loss;
    nd_trainer *trainer;
    uint64_t epochs_shown;
} session;

static const char *kind_of(const values *v) { return v->how.kind ? v->how.kind : "nice"; }

static nd_status make_encoders(session *s)
{
    const training_values *how = &s->v->how;
    nd_encoder_options o;
    nd_bank_info about = { .size = sizeof about };
    char params[PARAMS_ROOM];
    nd_status status = nd_bank_get_info(s->bank, &about);
    if (status == ND_OK) status = encoder_options(how, &s->v->all, about.dim, params, &o);
    size_t dim = o.embed_dim;
    if (status == ND_OK) status = nd_encoder_create_for(&s->encoder, kind_of(s->v), s->dataset, &o);
    if (status != ND_OK || !how->projector) return status;
    status = projector_options(how, &s->v->all, &o);
    o.n_channels = about.dim;
    o.n_samples = 1;
    o.embed_dim = dim;
    return status == ND_OK ? nd_encoder_create(&s->projector, how->projector, &o) : status;
}

static nd_status make_loss(session *s)
{
    nd_loss_options o;
    nd_status status = loss_options(&s->v->how, &o);
    return status == ND_OK ? nd_loss_create(&s->loss, s->v->how.loss, &o) : status;
}

static nd_status make_trainer(session *s)
{
    nd_train_options o;
    nd_status status = train_options(&s->v->how, &s->v->all, &o);
    o.checkpoint = s->v->checkpoint;
    o.projector = s->projector;
    if (status == ND_OK) status = nd_trainer_create(&s->trainer, s->encoder, s->loss, s->dataset, s->bank, &o);
    return status == ND_OK && s->v->resume ? nd_trainer_resume(s->trainer, s->v->checkpoint) : status;
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

static nd_status save(const session *s, const char *output)
{
    nd_status status = nd_encoder_save(s->encoder, output);
    if (status != ND_OK || !s->projector) return status;
    char *beside = projector_path(output);
    status = nd_encoder_save(s->projector, beside);
    free(beside);
    return status;
}

static int train(session *s, const char *output)
{
    if (make_encoders(s) != ND_OK || make_loss(s) != ND_OK || make_trainer(s) != ND_OK) return failed();
    nd_status status = nd_trainer_run(s->trainer, watch, s);
    end_progress();
    if (status == ND_ERR_CANCELLED && s->v->checkpoint)
        return refused("train: stopped; --checkpoint %s --resume goes on from there", s->v->checkpoint);
    if (status != ND_OK || save(s, output) != ND_OK) return failed();
    return report(s, output);
}

static int run(const void *values_given, char *const *arguments)
{
    values v = *(const values *)values_given;
    const char *folder = arguments[0], *output = v.output ? v.output : "model.safetensors";
    int status = check_sources(&v.brain, &v.pictures, folder);
    if (status == 0) status = check_training(&v.how);
    if (status) return status;
    if (v.resume && !v.checkpoint) return misused("--resume needs --checkpoint FILE");
    if (v.checkpoint && strcmp(kind_of(&v), "ridge") == 0) return misused("--checkpoint: ridge is solved at once, there is nothing to go on from");
    status = check_output("--output", output, "safetensors",
                          FILES(v.brain.data, v.brain.images, v.pictures.bank, v.pictures.ids, v.pictures.align, v.checkpoint));
    if (status == 0) status = check_output("--checkpoint", v.checkpoint, NULL, FILES(v.brain.data, v.brain.images, v.pictures.bank, v.pictures.ids));
    if (status) return status;
    if (v.brain.normalise < 0 && v.how.recipe == RECIPE_REFERENCE) v.brain.normalise = ND_NORMALISE_REFERENCE;
    session s = { .v = &v };
    s.dataset = open_recording(&v.brain, folder, "training", &v.all);
    if (s.dataset) s.bank = open_images(&v.pictures, NULL, folder, "training", s.dataset, &v.all);
    status = s.bank ? train(&s, output) : 1;
    nd_trainer_free(s.trainer);
    nd_loss_free(s.loss);
    nd_encoder_free(s.projector);
    nd_encoder_free(s.encoder);
    nd_bank_free(s.bank);
    nd_dataset_free(s.dataset);
    return status;
}

const command train_command = { "train", "train an encoder against image embeddings", "[DIR]", help, options, &defaults, sizeof defaults, 0, 1, run };
