/* neurodecode embed: the embedding of every trial. */
#include <stdio.h>
#include <stdlib.h>

#include "recording.h"

typedef struct values {
    shared all;
    recording brain;
    const char *model, *kind, *params, *weights, *output;
    uint32_t dim;
} values;

static const values defaults = { .all = SHARED_DEFAULTS, .brain = RECORDING_DEFAULTS };

#define AT(field) offsetof(values, field)
static const option options[] = {
    { .help = "Encoder, either trained here:" },
    { "model", 'm', "FILE", WORD, AT(model), 0, 0, "an encoder saved by neurodecode train" },
    { .help = "or elsewhere:" },
    { "encoder", 0, "NAME", WORD, AT(kind), 0, 0, "architecture; neurodecode info --encoders lists them" },
    { "weights", 0, "FILE", WORD, AT(weights), 0, 0, "a PyTorch checkpoint (.pth), or its state dict as .npz or .safetensors" },
    { "params", 0, "TEXT", WORD, AT(params), 0, 0, "hyper-parameters that differ from the defaults, as in \"maps=40\"" },
    { "dim", 0, "N", WHOLE, AT(dim), 1, 1e6, "length of the embeddings (default from the weights)" },
    { .help = "Result:" },
    { "out", 'o', "FILE", WORD, AT(output), 0, 0, "trials x length: .npy, .npz, .safetensors or .csv (default embeddings.npy)" },
    RECORDING_OPTIONS(values, brain),
    { 0 },
};

static const char help[] = "Embeds every trial by a trained encoder. Recordings are trials x channels x samples (or trials x 1 x channels x "
                           "samples); DIR is a data set laid out as THINGS-EEG2, of which the "
                           "test partition is taken.\v"
                           "Examples:\n"
                           "  neurodecode embed --model model.safetensors --data eeg.npy --out embeddings.npy\n"
                           "  neurodecode embed --encoder nice --weights checkpoint.pth --data eeg.npy --out embeddings.npy\n";

static nd_encoder *open_weights(const values *v, const nd_dataset *d)
{
    nd_encoder *encoder = NULL;
    nd_encoder_options o;
    nd_dataset_info about = { .size = sizeof about };
    nd_dataset_get_info(d, &about);
    nd_encoder_options_init(&o, sizeof o);
    o.n_channels = about.n_channels;
    o.n_samples = about.n_samples;
    o.embed_dim = v->dim;
    o.params = v->params;
    o.n_threads = (int32_t)v->all.threads;
    if (nd_encoder_open_weights(&encoder, v->kind, v->weights, &o) != ND_OK) failed();
    return encoder;
}

static nd_encoder *open_model(const values *v)
{
    nd_encoder *encoder = NULL;
    nd_encoder_options o;
    nd_encoder_options_init(&o, sizeof o);
    o.n_threads = (int32_t)v->all.threads;
    if (nd_encoder_open(&encoder, v->model, &o) != ND_OK) failed();
    return encoder;
}

static int embed(const values *v, const nd_encoder *encoder, const nd_dataset *d, const char *name, const char *output)
{
    nd_dataset_info about = { .size = sizeof about };
    nd_encoder_info info = { .size = sizeof info };
    if (nd_dataset_get_info(d, &about) != ND_OK || nd_encoder_get_info(encoder, &info) != ND_OK) return failed();
    float *embeddings = embed_trials(encoder, d, name, &v->all);
    if (!embeddings) return 1;
    end_progress();
    nd_status status = nd_array_write(output, embeddings, (size_t[]){ about.n_trials, info.embed_dim }, 2);
    free(embeddings);
    if (status != ND_OK) return failed();
    if (v->all.json)
        print_json(json_pack("{s:s, s:[I, I]}", "out", output, "shape", (json_int_t)about.n_trials, (json_int_t)info.embed_dim));
    else if (!v->all.quiet)
        printf("%s: %zu x %zu\n", output, about.n_trials, info.embed_dim);
    return 0;
}

static int run(const void *values_given, char *const *arguments)
{
    values v = *(const values *)values_given;
    const char *folder = arguments[0], *output = v.output ? v.output : "embeddings.npy";
    int status = check_sources(&v.brain, NULL, folder);
    if (status) return status;
    if (!v.model == !v.weights) return misused("embed: which encoder? Give --model FILE, or --encoder NAME with --weights FILE");
    if (v.weights && !v.kind) return misused("embed: --weights needs --encoder NAME");
    if (v.model && (v.kind || v.params)) return misused("embed: --encoder and --params go with --weights, a model knows its own");
    status = check_output("--out", output, ANY_ARRAY, FILES(v.brain.data, v.brain.images, v.model, v.weights));
    if (status) return status;
    nd_encoder *encoder = NULL;
    nd_dataset *d = NULL;
    char *channels = NULL;
    if (v.model) encoder = open_model(&v);
    if (encoder) channels = take_input(&v.brain, encoder, folder != NULL);
    if (encoder || v.weights) d = open_recording(&v.brain, folder, "test", &v.all);
    if (d && v.weights) encoder = open_weights(&v, d);
    status = d && encoder ? embed(&v, encoder, d, folder ? folder : v.brain.data, output) : 1;
    nd_dataset_free(d);
    nd_encoder_free(encoder);
    free(channels);
    return status;
}

const command embed_command = { "embed", "embed trials by a trained encoder", "[DIR]", help, options, &defaults, sizeof defaults, 0, 1, run };
