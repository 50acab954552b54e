/* neurodecode simulate: writes a data set that is laid out as THINGS-EEG2. */
#include <stdio.h>

#include "common.h"

/* Counts are 0 where not given. */
typedef struct values {
    shared all;
    uint32_t subjects, concepts, images_per_concept, test, train_repetitions, test_repetitions, channels, samples, dim, sessions;
    double snr;
    bool full_size;
} values;

static const values defaults = { .all = SHARED_DEFAULTS, .snr = -1 };

#define AT(field) offsetof(values, field)
static const option options[] = {
    { .help = "Size of the world:" },
    { "subjects", 'n', "N", WHOLE, AT(subjects), 1, 10, "people (default 1)" },
    { "concepts", 0, "N", WHOLE, AT(concepts), 1, 99999, "training concepts (default 200, real 1654)" },
    { "images-per-concept", 0, "N", WHOLE, AT(images_per_concept), 1, 99, "training images of each (default 10, as real)" },
    { "test", 0, "N", WHOLE, AT(test), 1, 99999, "test concepts, one image each, none of them trained on (default 200, as real)" },
    { "train-repetitions", 0, "N", WHOLE, AT(train_repetitions), 1, 1000, "of each training image (default 4, as real)" },
    { "test-repetitions", 0, "N", WHOLE, AT(test_repetitions), 1, 1000, "of each test image (default 20, real 80)" },
    { "sessions", 0, "N", WHOLE, AT(sessions), 1, 4, "write raw recordings of 1, 2 or 4 sessions, to be prepared, instead of trials" },
    { "full-size", 0, NULL, FLAG, AT(full_size), 0, 0, "the real sizes for what is not given: 10.4 GB for each person" },
    { .help = "Signals:" },
    { "channels", 0, "N", WHOLE, AT(channels), 17, 63, "electrodes: 63, or 17 for the occipital and parietal ones (default 63)" },
    { "samples", 0, "N", WHOLE, AT(samples), 50, 1000, "samples of each trial, at 250 Hz from stimulus onset (default 250)" },
    { "dim", 0, "N", WHOLE, AT(dim), 2, 16384, "length of the image embeddings (default 512)" },
    { "snr", 0, "X", REAL, AT(snr), 0, 1000, "power of the evoked response over that of the noise in a single trial (default 0.02)" },
    { 0 },
};

static const char help[] =
    "Writes a simulated data set with the files, names and shapes of THINGS-EEG2 into DIR: recordings, image metadata, and embeddings of every image "
    "by two image models, "
    "'aligned' (sees what brains respond to) and 'unaligned' (sees much that they do not). No download is needed to try everything else with it.\v"
    "Examples:\n"
    "  neurodecode simulate world\n"
    "  neurodecode simulate big --subjects 2 --full-size --seed 7\n";

static void take(uint32_t *field, uint32_t given)
{
    if (given) *field = given;
}

static nd_simulate_options choose(const values *v)
{
    nd_simulate_options o;
    nd_simulate_options_init(&o, sizeof o);
    if (v->full_size) {
        o.n_concepts = 1654;
        o.test_repetitions = 80;
    }
    take(&o.n_subjects, v->subjects);
    take(&o.n_concepts, v->concepts);
    take(&o.images_per_concept, v->images_per_concept);
    take(&o.n_test, v->test);
    take(&o.train_repetitions, v->train_repetitions);
    take(&o.test_repetitions, v->test_repetitions);
    take(&o.n_channels, v->channels);
    take(&o.n_samples, v->samples);
    take(&o.embed_dim, v->dim);
    take(&o.n_sessions, v->sessions);
    if (v->snr >= 0) o.snr = v->snr;
    o.seed = v->all.seed;
    return o;
}

/* Of all recordings. Raw ones have a target after every 20 images, 200 ms for each of both, and 2 s before and after. */
static uint64_t count_bytes(const nd_simulate_options *o)
{
    const uint64_t trials = (uint64_t)o->n_concepts * o->images_per_concept * o->train_repetitions + (uint64_t)o->n_test * o->test_repetitions;
    const uint64_t numbers = o->n_sessions ? (trials * 21 / 20 * 200 + (uint64_t)o->n_sessions * 8000) * (o->n_channels + 1) : trials * o->n_channels * o->n_samples;
    return numbers * sizeof(double) * o->n_subjects;
}

static int run(const void *values_given, char *const *arguments)
{
    const values *v = values_given;
    nd_simulate_options o = choose(v);
    if (nd_simulate(arguments[0], &o, show_progress, (void *)&v->all) != ND_OK) return failed();
    uint64_t training = (uint64_t)o.n_concepts * o.images_per_concept;
    const uint64_t bytes = count_bytes(&o);
    if (v->all.json)
        print_json(json_pack("{s:s, s:I, s:I, s:I, s:I}", "folder", arguments[0], "subjects", (json_int_t)o.n_subjects, "training_images",
                             (json_int_t)training, "test_images", (json_int_t)o.n_test, "bytes", (json_int_t)bytes));
    else if (!v->all.quiet)
        printf("%s: %u %s, %llu training images, %u test images, %.2f GB of recordings\n", arguments[0], o.n_subjects,
               o.n_subjects == 1 ? "person" : "people", (unsigned long long)training, o.n_test, (double)bytes / 1e9);
    return 0;
}

const command simulate_command = {
    "simulate", "write a simulated data set laid out as THINGS-EEG2", "DIR", help, options, &defaults, sizeof defaults, 1, 1, run
};
