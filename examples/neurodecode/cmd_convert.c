/* neurodecode convert: arrays and continuous recordings between formats, trials into a store, image embeddings into a bank. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "about.h"
#include "recording.h"

typedef struct values {
    shared all;
    recording brain; /* its data is the argument */
    bool store, bank;
    int32_t precision;
    const char *partition, *suffix;
} values;

static const values defaults = { .all = SHARED_DEFAULTS, .brain = RECORDING_DEFAULTS };

#define AT(field) offsetof(values, field)
static const option options[] = {
    { .help = "What IN is (default one array or several, written as what OUT's extension says):" },
    { "store", 0, NULL, FLAG, AT(store), 0, 0, "recordings: OUT becomes a store, which opens at once and uses no memory" },
    { "bank", 'b', NULL, FLAG, AT(bank), 0, 0, "image embeddings, in a file or a folder: OUT becomes a bank" },
    { "variable", 0, "NAME", WORD, AT(brain.variable), 0, 0, "array to read, of a file with several" },
    { "images", 0, "FILE", WORD, AT(brain.images), 0, 0, "image ids, one a line, or an image_metadata.npy (default 0, 1, ...)" },
    { "partition", 0, "training|test", WORD, AT(partition), 0, 0, "which list of an image_metadata.npy to take (default by the number of images)" },
    { "precision", 0, "float32|bfloat16", CHOICE, AT(precision), 0, 0, "of a store or a bank: bfloat16 takes half the space (default float32)" },
    { .help = "Banks:" },
    { "suffix", 0, "NAME", WORD, AT(suffix), 0, 0, "of a folder: take the files <image>_<NAME>.npy (default the only one)" },
    { .help = "Stores:" },
    { "axes", 0, "LIST", WORD, AT(brain.axes), 0, 0,
      "what the dimensions are, in order: trial concept image repetition subject channel sample (default by their number)" },
    { "average", 0, NULL, FLAG, AT(brain.average), 0, 0, "average the repetitions of each image" },
    { "normalise", 0, "none|zscore|reference", CHOICE, AT(brain.normalise), 0, 0, "each channel of each trial, before averaging (default none)" },
    { "channels", 0, "LIST", WORD, AT(brain.channel_names), 0, 0, "names for a file without them" },
    { "rate", 0, "HZ", REAL, AT(brain.rate), 0, 1e6, "samples per second (default from the file, else 1)" },
    { "start", 0, "S", REAL, AT(brain.start), -1e6, 1e6, "time of the first sample, seconds (default from the file, else 0)" },
    { "subject", 'n', "N", WORD, AT(brain.subjects), 0, 0, "number of the person" },
    { 0 },
};

static const char help[] = "Converts a file. OUT as .npz or .safetensors holds everything that is in IN, names and types kept; another OUT, or "
                           "--variable, takes one array as "
                           "float32. OUT as .edf, .bdf, .vhdr or .fif takes a continuous recording with its events. A store holds recordings as "
                           "float32 with image ids, channel "
                           "names and timing; it is made in constant memory, so a recording of "
                           "any size goes through.\v"
                           "Examples:\n"
                           "  neurodecode convert checkpoint.pth weights.safetensors\n"
                           "  neurodecode convert features.npz features.npy --variable X\n"
                           "  neurodecode convert task.bdf task_raw.fif\n"
                           "  neurodecode convert --store preprocessed_eeg_training.npy sub-01.safetensors --average \\\n"
                           "      --images image_metadata.npy --partition training\n"
                           "  neurodecode convert --bank image_embeddings/test_images clip.safetensors --suffix clip\n";

static int convert_array(const values *v, const char *in, const char *out)
{
    size_t shape[8], n_dims = 8, n = 1;
    if (nd_array_read(in, v->brain.variable, shape, &n_dims, NULL, 0) != ND_OK) return failed();
    for (size_t i = 0; i < n_dims; i++) n *= shape[i];
    float *values_read = must(malloc(n ? n * sizeof *values_read : 1));
    nd_status status = nd_array_read(in, v->brain.variable, shape, &n_dims, values_read, n);
    if (status == ND_OK) status = nd_array_write(out, values_read, shape, n_dims);
    free(values_read);
    if (status != ND_OK) return failed();
    if (v->all.json) {
        json_t *list = must(json_array());
        for (size_t i = 0; i < n_dims; i++) json_array_append_new(list, json_integer((json_int_t)shape[i]));
        print_json(json_pack("{s:s, s:o}", "out", out, "shape", list));
    } else if (!v->all.quiet) {
        printf("%s:", out);
        for (size_t i = 0; i < n_dims; i++) printf("%s%zu", i ? " x " : " ", shape[i]);
        puts(n_dims ? "" : " a number");
    }
    return 0;
}

/* These formats have names for arrays, and place for all of them. */
static bool holds_all(const char *path) { return ends_with(path, ".npz") || ends_with(path, ".safetensors"); }

static int convert_all(const values *v, const char *in, const char *out)
{
    if (nd_file_convert(in, out) != ND_OK) return failed();
    json_t *about = describe_file(out);
    if (!about) return failed();
    json_t *arrays = json_object_get(about, "arrays");
    const size_t n = json_array_size(arrays);
    if (v->all.json)
        print_json(json_pack("{s:s, s:O}", "out", out, "arrays", arrays));
    else if (!v->all.quiet)
        printf("%s: %zu array%s\n", out, n, PLURAL(n));
    json_decref(about);
    return 0;
}

static int convert_recording(const values *v, const char *in, const char *out)
{
    nd_dataset *d;
    nd_dataset_options o;
    nd_dataset_info about = { .size = sizeof about };
    nd_dataset_options_init(&o, sizeof o);
    o.variable = v->brain.variable;
    o.axes = v->brain.axes;
    o.images = v->brain.images;
    o.partition = v->partition;
    o.channels = v->brain.channel_names;
    o.rate = v->brain.rate;
    o.start = v->brain.start;
    o.average = v->brain.average;
    o.n_threads = (int32_t)v->all.threads;
    o.precision = v->precision;
    if (v->brain.normalise >= 0) o.normalise = v->brain.normalise;
    if (v->brain.subjects) o.subject = (int32_t)strtol(v->brain.subjects, NULL, 10);
    nd_status status = nd_dataset_import(&d, in, out, &o, show_progress, (void *)&v->all);
    end_progress();
    if (status != ND_OK || nd_dataset_get_info(d, &about) != ND_OK) return failed();
    nd_dataset_free(d);
    if (v->all.json)
        print_json(json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f}", "out", out, "trials", (json_int_t)about.n_trials, "channels",
                             (json_int_t)about.n_channels, "samples", (json_int_t)about.n_samples, "images", (json_int_t)about.n_images, "rate",
                             about.rate, "start", about.start));
    else if (!v->all.quiet)
        printf("%s: %zu trial%s x %zu channel%s x %zu sample%s, %zu image%s, %g samples per second from %g s\n", out, about.n_trials,
               PLURAL(about.n_trials), about.n_channels, PLURAL(about.n_channels), about.n_samples, PLURAL(about.n_samples), about.n_images,
               PLURAL(about.n_images), about.rate, about.start);
    return 0;
}

static int convert_bank(const values *v, const char *in, const char *out)
{
    nd_bank *bank;
    nd_bank_options o;
    nd_bank_info about = { .size = sizeof about };
    nd_bank_options_init(&o, sizeof o);
    o.variable = v->brain.variable;
    o.images = v->brain.images;
    o.partition = v->partition;
    o.suffix = v->suffix;
    nd_status status = nd_bank_open(&bank, in, &o, show_progress, (void *)&v->all);
    end_progress();
    if (status != ND_OK) return failed();
    status = nd_bank_save_as(bank, out, v->precision);
    if (status == ND_OK) status = nd_bank_get_info(bank, &about);
    nd_bank_free(bank);
    if (status != ND_OK) return failed();
    if (v->all.json)
        print_json(json_pack("{s:s, s:I, s:I, s:I}", "out", out, "images", (json_int_t)about.n_images, "layers", (json_int_t)about.n_layers, "dim",
                             (json_int_t)about.dim));
    else if (!v->all.quiet)
        printf("%s: %zu image%s, %zu layer%s, dim %zu\n", out, about.n_images, PLURAL(about.n_images), about.n_layers, PLURAL(about.n_layers),
               about.dim);
    return 0;
}

/* These formats hold continuous recordings. */
static bool holds_signals(const char *path)
{
    return ends_with(path, ".edf") || ends_with(path, ".bdf") || ends_with(path, ".vhdr") || ends_with(path, ".fif");
}

/* A recording goes into a file of arrays too, where it is all that IN has. */
static bool is_continuous(const char *in, const char *out)
{
    if (holds_signals(out)) return true;
    json_t *about = holds_all(out) ? describe_file(in) : NULL;
    const bool is = json_object_get(about, "recording") && json_array_size(json_object_get(about, "arrays")) == 0;
    json_decref(about);
    return is;
}

static int convert_signals(const values *v, const char *in, const char *out)
{
    nd_recording *r = NULL;
    nd_recording_options o;
    nd_recording_info about = { .size = sizeof about };
    nd_recording_options_init(&o, sizeof o);
    o.variable = v->brain.variable;
    nd_status status = nd_recording_open(&r, in, &o);
    if (status == ND_OK) status = nd_recording_save(r, out, show_progress, (void *)&v->all);
    end_progress();
    if (status == ND_OK) status = nd_recording_get_info(r, &about);
    nd_recording_free(r);
    if (status != ND_OK) return failed();
    if (v->all.json)
        print_json(json_pack("{s:s, s:I, s:I, s:f, s:I}", "out", out, "channels", (json_int_t)about.n_channels, "samples",
                             (json_int_t)about.n_samples, "rate", about.rate, "events", (json_int_t)about.n_events));
    else if (!v->all.quiet)
        printf("%s: %zu channel%s x %llu sample%s at %g Hz, %zu event%s\n", out, about.n_channels, PLURAL(about.n_channels),
               (unsigned long long)about.n_samples, PLURAL(about.n_samples), about.rate, about.n_events, PLURAL(about.n_events));
    return 0;
}

/* Options that only recordings have ask for a store as well as --store does. */
static bool is_recording(const values *v)
{
    const recording *r = &v->brain;
    return v->store || r->axes || r->average || r->normalise >= 0 || r->channel_names || r->rate > 0 || !isnan(r->start) || r->subjects;
}

static int run(const void *values_given, char *const *arguments)
{
    const values *v = values_given;
    if (v->bank && is_recording(v)) return misused("convert: --bank does not go with the options of recordings");
    const char *extension = v->bank || is_recording(v) ? "safetensors" : holds_signals(arguments[1]) ? NULL : ANY_ARRAY;
    int refusal = check_output("convert", arguments[1], extension, FILES(arguments[0], v->brain.images));
    if (refusal) return refusal;
    if (v->bank) return convert_bank(v, arguments[0], arguments[1]);
    if (is_recording(v)) return convert_recording(v, arguments[0], arguments[1]);
    if (is_continuous(arguments[0], arguments[1])) return convert_signals(v, arguments[0], arguments[1]);
    if (holds_all(arguments[1]) && !v->brain.variable) return convert_all(v, arguments[0], arguments[1]);
    return convert_array(v, arguments[0], arguments[1]);
}

const command convert_command = {
    "convert", "convert arrays, recordings and image embeddings", "IN OUT", help, options, &defaults, sizeof defaults, 2, 2, run
};
