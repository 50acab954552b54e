/* neurodecode evaluate: finds the seen images among candidates, with statistics; one model or two on the same trials. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outcome.h"
#include "recording.h"
#include "training.h"

typedef struct values {
    shared all;
    recording brain;
    images pictures;
    training_values how;
    words models;
    const char *compare, *cross, *ranks;
    int32_t vectors;
    bool centre_gallery;
} values;

static const values defaults = { .all = SHARED_DEFAULTS, .brain = RECORDING_DEFAULTS, .how = TRAINING_DEFAULTS, .vectors = ND_VECTOR_CENTRED_L2 };

#define AT(field) offsetof(values, field)
static const option options[] = {
    { .help = "Model, either trained:" },
    { "model", 'm', "FILE", WORDS, AT(models), 0, 0, "an encoder saved by neurodecode train; a second one is compared with the first" },
    { .help = "or trained here, by cross-validation:" },
    { "cross", 0, "GROUP", WORD, AT(cross), 0, 0, "leave one out in turn: trial, image, concept, subject, session, run or repetition" },
    NETWORK_OPTIONS(values, how, "ridge"),
    TRAINING_OPTIONS(values, how),
    { .help = "Retrieval:" },
    { "vectors", 0, "l2|centred", CHOICE, AT(vectors), 0, 0, "similarity: cosine, or Pearson correlation (default centred)" },
    { "centre-gallery", 0, NULL, FLAG, AT(centre_gallery), 0, 0, "subtract the mean of the candidates from candidates and predictions first" },
    { "compare", 0, "MODEL|SUFFIX|BANK", WORD, AT(compare), 0, 0,
      "test against another model, or with --cross against other embeddings, on the same trials" },
    { "ranks", 0, "FILE", WORD, AT(ranks), 0, 0, "write the rank of each trial's image, a column for each model: .csv or .npy" },
    RECORDING_OPTIONS(values, brain),
    IMAGE_OPTIONS(values, pictures),
    { 0 },
};

static const char help[] =
    "Embeds trials, ranks all candidate images by similarity and says how often the seen one is found: top-1, top-3 and top-5 with 95 % bootstrap "
    "intervals, chance level and exact test, mean "
    "rank, pairwise and k-way accuracy, and the protocol. DIR is a data set laid out as THINGS-EEG2, of which the test partition is taken. Of two "
    "models, top-1 and top-5 are compared on the "
    "same trials (exact McNemar test). A model remembers its embeddings, channels, window and normalisation; options override them. With --cross, a "
    "fresh "
    "encoder is trained for every group on all other groups; of a DIR's people left out in turn, on the training partition of all others, and used "
    "on the test partition of the one left out.\v"
    "Examples:\n"
    "  neurodecode evaluate world --subject 1 --model aligned.safetensors --model unaligned.safetensors\n"
    "  neurodecode evaluate --data betas.npy --bank alexnet.npy --cross trial \\\n"
    "      --encoder ridge --params \"penalty=100\" --vectors l2 --centre-gallery\n"
    "  neurodecode evaluate world --cross subject --subject 1,2,3 --encoder nice --epochs 20\n";

/* What made the embeddings of the trials. */
typedef struct maker {
    const char *kind, *params;
    size_t dim;
    const json_t *training; /* how a saved encoder was trained, or NULL */
} maker;

/* How the weights were chosen. */
static const char *selection_of(const values *v, const json_t *training)
{
    if (v->cross)
        return v->how.kind && strcmp(v->how.kind, "ridge") != 0 ? "trained on all other groups, lowest validation loss within them"
                                                                : "trained on all other groups, closed form";
    if (!json_is_object(training)) return "unknown";
    if (json_integer_value(json_object_get(training, "n_validation")) > 0) return "lowest validation loss within the training data";
    return json_integer_value(json_object_get(training, "epochs")) > 0 ? "last epoch, no selection" : "closed form, no selection";
}

static bool leaves_people_out(const values *v) { return v->cross && strcmp(v->cross, "subject") == 0; }

/* Which trials these are, as far as the options say. */
static const char *trials_of(const values *v, const char *folder)
{
    if (folder && leaves_people_out(v)) return "test partition of each person, trained on the training partition of all others";
    if (folder) return v->cross ? "test partition, cross-validated" : "test partition";
    return v->cross ? "whole file, cross-validated" : "whole file; not known whether the model was trained on it";
}

static json_t *protocol_of(const values *v, const char *folder, const nd_dataset *d, const nd_bank *bank, const maker *m)
{
    nd_dataset_info about = { .size = sizeof about };
    nd_bank_info pictures = { .size = sizeof pictures };
    const char *layer = "", *normalise[] = { "none", "zscore", "reference" };
    nd_dataset_get_info(d, &about);
    nd_bank_get_info(bank, &pictures);
    nd_bank_get_layer(bank, 0, &layer, NULL);
    json_t *p = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:f, s:f, s:s, s:s, s:b, s:s}", "data", folder ? folder : v->brain.data,
        "partition", trials_of(v, folder), "encoder", m->kind, "params", m->params ? m->params : "defaults", "embedding_size", (json_int_t)m->dim,
        "gallery", strcmp(layer, "one_hot") == 0 ? "one-hot" : layer, "candidates", (json_int_t)pictures.n_images, "subjects",
        (json_int_t)about.n_subjects, "trials", (json_int_t)about.n_trials, "repetitions_averaged", (json_int_t)about.averaged, "channels",
        (json_int_t)about.n_channels, "normalise", normalise[about.normalise], "every", (json_int_t)v->brain.every, "first_sample", about.start,
        "last_sample", about.start + (double)(about.n_samples - 1) / about.rate, "similarity", v->vectors == ND_VECTOR_L2 ? "cosine" : "correlation",
        "calibration", "none", "centred_gallery", v->centre_gallery, "model_selection", selection_of(v, m->training));
    must(p);
    if (v->brain.subjects) json_object_set_new(p, "people", json_string(v->brain.subjects));
    if (v->cross) json_object_set_new(p, "left_out_in_turn", json_string(v->cross));
    if (v->pictures.align) json_object_set_new(p, "aligned_by", json_string(v->pictures.align));
    if (!isnan(v->brain.baseline[0])) json_object_set_new(p, "baseline", json_pack("[f, f]", v->brain.baseline[0], v->brain.baseline[1]));
    return p;
}

/* Ranks the image of each trial among the images of the bank. */
static size_t *rank_trials(const values *v, const nd_dataset *d, const nd_bank *bank, const float *embeddings, size_t n)
{
    nd_retrieval *gallery = NULL;
    nd_retrieval_options o;
    nd_trial trial = { .size = sizeof trial };
    size_t *ranks = must(calloc(n, sizeof *ranks)), *truth = must(calloc(n, sizeof *truth));
    nd_retrieval_options_init(&o, sizeof o);
    o.vectors = v->vectors;
    o.centre_gallery = v->centre_gallery;
    o.n_threads = (int32_t)v->all.threads;
    nd_status status = nd_retrieval_create_for(&gallery, bank, NULL, &o);
    for (size_t i = 0; status == ND_OK && i < n; i++) {
        status = nd_dataset_get_trial(d, i, &trial);
        if (status == ND_OK) status = nd_retrieval_find(gallery, trial.image, &truth[i]);
    }
    if (status == ND_OK) status = nd_retrieval_rank(gallery, embeddings, truth, n, ranks);
    nd_retrieval_free(gallery);
    free(truth);
    if (status == ND_OK) return ranks;
    failed();
    free(ranks);
    return NULL;
}

/* The report of an outcome whose ranks are known. */
static bool finish(const values *v, const char *folder, const nd_dataset *d, const nd_bank *bank, const maker *m, outcome *o)
{
    json_t *protocol = protocol_of(v, folder, d, bank, m);
    o->report = report_of(o, protocol, v->all.seed);
    json_decref(protocol);
    return o->report != NULL;
}

static size_t trials_in(const nd_dataset *d)
{
    nd_dataset_info about = { .size = sizeof about };
    return nd_dataset_get_info(d, &about) == ND_OK ? about.n_trials : 0;
}

static size_t images_in(const nd_bank *bank)
{
    nd_bank_info about = { .size = sizeof about };
    return nd_bank_get_info(bank, &about) == ND_OK ? about.n_images : 0;
}

/* The vectors of the bank have to be as long as what the encoder makes of trials. */
static bool check_length(const values *v, const nd_bank *bank, const char *path, size_t dim)
{
    nd_bank_info about = { .size = sizeof about };
    const char *layer = "";
    nd_bank_get_info(bank, &about);
    nd_bank_get_layer(bank, 0, &layer, NULL);
    if (about.dim == dim) return true;
    refused("%s: vectors of %zu, the encoder %s gives %zu", v->pictures.bank ? v->pictures.bank : layer, about.dim, path, dim);
    return false;
}

/* Where a model was trained together with a projector, its images are projected too: the projector lies beside the model. */
static bool project(nd_bank **bank, const json_t *training, const char *path)
{
    if (!*bank || !json_object_get(training, "projector")) return *bank != NULL;
    char *beside = projector_path(path);
    nd_encoder *projector = NULL;
    nd_bank *projected = NULL;
    nd_status status = nd_encoder_open(&projector, beside, NULL);
    if (status == ND_OK) status = nd_encoder_embed_bank(projector, *bank, &projected);
    if (status != ND_OK) failed();
    nd_bank_free(*bank);
    *bank = projected;
    nd_encoder_free(projector);
    free(beside);
    return status == ND_OK;
}

/* A trained model. The embeddings are those it was trained against unless the options name others. */
static bool run_model(const values *given, const char *folder, const char *path, outcome *o)
{
    values v = *given;
    nd_encoder *encoder = NULL;
    nd_dataset *d = NULL;
    nd_bank *bank = NULL;
    nd_encoder_options reading;
    nd_encoder_info info = { .size = sizeof info };
    nd_encoder_options_init(&reading, sizeof reading);
    reading.n_threads = (int32_t)v.all.threads;
    if (nd_encoder_open(&encoder, path, &reading) != ND_OK || nd_encoder_get_info(encoder, &info) != ND_OK) {
        failed();
        nd_encoder_free(encoder);
        return false;
    }
    json_t *metadata = json_loads(info.metadata, 0, NULL);
    const json_t *training = json_object_get(metadata, "training");
    char *channels = take_input(&v.brain, encoder, folder != NULL);
    d = open_recording(&v.brain, folder, "test", &v.all);
    if (d)
        bank = open_images(&v.pictures, v.pictures.suffix || v.pictures.bank ? NULL : json_string_value(json_object_get(training, "bank")), folder,
                           "test", d, &v.all);
    bool fits = project(&bank, training, path) && check_length(&v, bank, path, info.embed_dim);
    float *embeddings = fits ? embed_trials(encoder, d, folder ? folder : v.brain.data, &v.all) : NULL;
    end_progress();
    *o = (outcome){ .name = path };
    if (embeddings) {
        o->n = trials_in(d);
        o->n_gallery = images_in(bank);
        o->ranks = rank_trials(&v, d, bank, embeddings, o->n);
    }
    bool done = o->ranks && finish(&v, folder, d, bank, &(maker){ info.kind, info.params, info.embed_dim, training }, o);
    free(embeddings);
    free(channels);
    json_decref(metadata);
    nd_bank_free(bank);
    nd_dataset_free(d);
    nd_encoder_free(encoder);
    return done;
}

/* Cross-validation under way: where the ranks of each fold go. */
typedef struct folds {
    const values *v;
    const nd_bank *gallery;
    outcome *o;
    size_t dim;
    bool told; /* what went wrong was said already */
} folds;

static int32_t use_fold(const nd_fold *fold, void *user)
{
    folds *f = user;
    nd_bank *projected = NULL;
    nd_encoder_info info = { .size = sizeof info };
    nd_status status = nd_encoder_get_info(fold->encoder, &info);
    if (status == ND_OK && fold->projector) status = nd_encoder_embed_bank(fold->projector, f->gallery, &projected);
    size_t n = fold->n_trials * info.embed_dim;
    float *embeddings = must(calloc(n + 1, sizeof *embeddings));
    if (status == ND_OK) status = nd_encoder_embed_dataset(fold->encoder, fold->held, embeddings, n, show_progress, (void *)&f->v->all);
    end_progress();
    if (status != ND_OK) failed();
    size_t *ranks = status == ND_OK ? rank_trials(f->v, fold->held, projected ? projected : f->gallery, embeddings, fold->n_trials) : NULL;
    for (size_t i = 0; ranks && i < fold->n_trials; i++) f->o->ranks[fold->trials[i]] = ranks[i];
    f->dim = info.embed_dim;
    f->told = !ranks;
    free(ranks);
    free(embeddings);
    nd_bank_free(projected);
    return f->told;
}

static nd_status cross(folds *f, const nd_dataset *d, const nd_dataset *test, const nd_bank *bank)
{
    const training_values *how = &f->v->how;
    nd_encoder_options encoder, projector;
    nd_loss_options loss;
    nd_train_options train;
    nd_cross_options o;
    char params[PARAMS_ROOM];
    nd_status status = encoder_options(how, &f->v->all, 0, params, &encoder);
    if (status == ND_OK) status = projector_options(how, &f->v->all, &projector);
    if (status == ND_OK) status = loss_options(how, &loss);
    if (status == ND_OK) status = train_options(how, &f->v->all, &train);
    if (status == ND_OK) status = nd_cross_options_init(&o, sizeof o);
    if (status != ND_OK) return status;
    o.encoder = how->kind ? how->kind : "ridge";
    o.encoder_options = &encoder;
    o.projector = how->projector;
    o.projector_options = &projector;
    o.loss = how->loss;
    o.loss_options = &loss;
    o.train_options = &train;
    o.group = f->v->cross;
    o.test = test;
    o.progress = show_progress;
    o.user = (void *)&f->v->all;
    return nd_cross_run(d, bank, &o, use_fold, f);
}

/* Trained here on all groups but one, in turn. `which` names other embeddings than the options do, or is NULL. */
static bool run_cross(const values *v, const char *folder, const char *which, outcome *o)
{
    bool people = folder && leaves_people_out(v);
    nd_dataset *test = open_recording(&v->brain, folder, "test", &v->all);
    nd_bank *gallery = test ? open_images(&v->pictures, which, folder, "test", test, &v->all) : NULL;
    nd_dataset *d = gallery && people ? open_recording(&v->brain, folder, "training", &v->all) : NULL;
    nd_bank *bank = d ? open_images(&v->pictures, which, folder, "training", d, &v->all) : NULL;
    bool ready = people ? bank != NULL : gallery != NULL, done = false;
    const char *architecture = v->how.kind ? v->how.kind : "ridge";
    *o = (outcome){ .name = which ? which : v->pictures.bank ? v->pictures.bank : v->pictures.suffix ? v->pictures.suffix : architecture };
    if (ready) {
        folds f = { .v = v, .gallery = gallery, .o = o };
        o->n = trials_in(test);
        o->n_gallery = images_in(gallery);
        o->ranks = must(calloc(o->n + 1, sizeof *o->ranks));
        nd_status status = cross(&f, people ? d : test, people ? test : NULL, people ? bank : gallery);
        end_progress();
        if (status != ND_OK && !f.told) failed();
        done = status == ND_OK && finish(v, folder, test, gallery, &(maker){ architecture, v->how.params, f.dim, NULL }, o);
        if (done && leaves_people_out(v)) add_people(o, test);
    }
    nd_bank_free(bank);
    nd_dataset_free(d);
    nd_bank_free(gallery);
    nd_dataset_free(test);
    return done;
}

static int run(const void *values_given, char *const *arguments)
{
    const values *v = values_given;
    const char *folder = arguments[0];
    words models = v->models;
    outcome o[MAX_WORDS] = { { 0 } };
    int status = check_sources(&v->brain, &v->pictures, folder);
    if (status == 0) status = check_training(&v->how);
    if (status) return status;
    if (v->cross && models.n) return misused("evaluate: give --model or --cross, not both");
    if (!v->cross && !models.n) return misused("evaluate: which model? Give --model FILE, or --cross GROUP");
    if (models.n && (v->how.kind || v->how.params || v->how.projector))
        return misused("evaluate: --encoder and --params go with --cross, a model knows its own");
    if (v->compare && models.n == MAX_WORDS) return misused("evaluate: two models are compared, --compare is a third");
    if (v->compare && !v->cross) models.items[models.n++] = v->compare;
    status = check_output(
        "--ranks", v->ranks, ANY_ARRAY,
        FILES(v->brain.data, v->brain.images, v->pictures.bank, v->pictures.ids, v->pictures.align, v->compare, models.items[0], models.items[1]));
    size_t n = v->cross ? (v->compare ? 2 : 1) : models.n;
    for (size_t i = 0; status == 0 && i < n; i++) {
        bool done = v->cross ? run_cross(v, folder, i ? v->compare : NULL, &o[i]) : run_model(v, folder, models.items[i], &o[i]);
        status = done ? 0 : 1;
    }
    if (status == 0) status = n == 2 ? report_two(&v->all, o) : report_one(&v->all, o);
    if (status == 0 && v->ranks) status = write_ranks(v->ranks, o, n);
    for (size_t i = 0; i < n; i++) {
        free(o[i].ranks);
        json_decref(o[i].report);
    }
    return status;
}

const command evaluate_command = {
    "evaluate", "find the seen images among candidates, with statistics", "[DIR]", help, options, &defaults, sizeof defaults, 0, 1, run
};
