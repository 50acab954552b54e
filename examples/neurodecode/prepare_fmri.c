/* neurodecode prepare fmri: from images of the brain, or arrays, with tables of what was seen to a store of trials. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

typedef struct values {
    shared all;
    const char *output, *mask, *variable, *axes, *labels, *column, *rest, *keep, *drop, *zscore;
    double interval, shift;
    uint32_t subject, session, detrend;
    bool blocks;
} values;

enum { MAX_FILES = 1000, PATH_BYTES = 4096 };

static const values defaults = { .all = SHARED_DEFAULTS, .detrend = UNSET };

#define AT(field) offsetof(values, field)
static const option options[] = {
    { .help = "What to make:" },
    { "output", 'o', "STORE", WORD, AT(output), 0, 0, "file for the trials, .safetensors (required)" },
    { .help = "What the files do not say themselves:" },
    { "mask", 'm', "IMAGE", WORD, AT(mask), 0, 0, "voxels other than 0 become the channels (default all)" },
    { "labels", 'l', "TABLE", WORD, AT(labels), 0, 0,
      "what was seen: a row for each volume of all files (label, run, session), or onset, duration, trial_type of the only file (default: "
      "the ..._events.tsv beside each file, if there is one)" },
    { "column", 0, "NAME", WORD, AT(column), 0, 0, "column of the labels (default trial_type, label, condition, ...)" },
    { "shift", 0, "S", REAL, AT(shift), -1e3, 1e3, "seconds by which the response lags behind the events (default 0)" },
    { "interval", 0, "S", REAL, AT(interval), 0, 1e6, "seconds from volume to volume (default from the file)" },
    { "variable", 0, "NAME", WORD, AT(variable), 0, 0, "array to read, of a file with several" },
    { "axes", 0, "LIST", WORD, AT(axes), 0, 0, "of an array: what its dimensions are, as \"trial channel\"" },
    { "subject", 'n', "N", WHOLE, AT(subject), 0, 9999, "number of the person (default 0, unknown)" },
    { "session", 0, "N", WHOLE, AT(session), 0, 9999, "number of the session (default 0, unknown); several files are runs 1, 2, ..." },
    { .help = "What to do, in this order:" },
    { "detrend", 0, "DEGREE", WHOLE, AT(detrend), 0, 10, "subtract a polynomial from each voxel's run: 1 = a line (default none)" },
    { "zscore", 0, "GROUP", WORD, AT(zscore), 0, 0, "each voxel to mean 0 and deviation 1, by run or session (default no)" },
    { "rest", 0, "LABEL", WORD, AT(rest), 0, 0,
      "what trials of rest are called: --zscore takes mean and deviation from them, then they are left out" },
    { "keep", 0, "LIST", WORD, AT(keep), 0, 0, "labels to keep (default all)" },
    { "drop", 0, "LIST", WORD, AT(drop), 0, 0, "labels to leave out" },
    { "blocks", 0, NULL, FLAG, AT(blocks), 0, 0, "average consecutive volumes of the same label" },
    { 0 },
};

static const char help[] =
    "Makes trials of the volumes of fMRI images (NIfTI), or of the rows of arrays, and writes them to a store: voxels inside a mask, "
    "labels from a table or from the events of BIDS, drifts removed, standardised by run, rest left out. Images are read once, "
    "from first to last, and never unpacked into memory.\v"
    "Examples:\n"
    "  neurodecode prepare fmri bold.nii.gz --mask mask.nii.gz --labels attributes.txt --detrend 1 --zscore run --rest 0 \\\n"
    "      -o haxby.safetensors\n"
    "  neurodecode prepare fmri sub-01_task-view_run-*_bold.nii.gz --mask mask.nii.gz --shift 5 --rest rest --zscore run \\\n"
    "      --blocks -o sub-01.safetensors\n";

/* Takes the result of an operation in place of what it was made from. */
static bool replace(nd_dataset **d, nd_status status, nd_dataset *const *made)
{
    nd_dataset_free(*d);
    *d = status == ND_OK ? *made : NULL;
    return status == ND_OK;
}

/* "x/sub-01_task-view_bold.nii.gz" -> "x/sub-01_task-view_events.tsv"; false where there is no such file. */
static bool find_events(const char *file, char path[PATH_BYTES])
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file, *end = strrchr(name, '_');
    if (!end) end = name + strcspn(name, ".");
    const int n = snprintf(path, PATH_BYTES, "%.*s_events.tsv", (int)(end - file), file);
    return n < PATH_BYTES && access(path, R_OK) == 0;
}

static nd_label_options label_options(const values *v)
{
    nd_label_options o;
    nd_label_options_init(&o, sizeof o);
    o.column = v->column;
    o.rest = v->rest;
    o.interval = v->interval;
    o.shift = v->shift;
    return o;
}

static bool label(nd_dataset **d, const values *v, const char *table)
{
    const nd_label_options o = label_options(v);
    nd_dataset *made = NULL;
    return replace(d, nd_dataset_label(&made, *d, table, &o), &made);
}

/* One file, with the events beside it where no table is given; `run` 0 = the only file. */
static nd_dataset *open_file(const values *v, const char *file, int32_t run)
{
    nd_dataset_options o;
    nd_dataset *d = NULL;
    char events[PATH_BYTES];
    nd_dataset_options_init(&o, sizeof o);
    o.mask = v->mask;
    o.variable = v->variable;
    o.axes = v->axes;
    o.subject = (int32_t)v->subject;
    o.session = (int32_t)v->session;
    o.run = run;
    o.n_threads = (int32_t)v->all.threads;
    if (nd_dataset_open(&d, file, &o, show_progress, (void *)&v->all) == ND_OK && !v->labels && find_events(file, events)) label(&d, v, events);
    end_progress();
    return d;
}

static nd_dataset *open_files(const values *v, char *const *files)
{
    nd_dataset *all = NULL, *joined = NULL;
    for (int32_t i = 0; files[i]; i++) {
        nd_dataset *d = open_file(v, files[i], files[1] ? i + 1 : 0);
        if (!d || !all) {
            nd_dataset_free(all);
            all = d;
        } else {
            replace(&all, nd_dataset_concat(&joined, all, d), &joined);
            nd_dataset_free(d);
        }
        if (!all) return NULL;
    }
    if (v->labels) label(&all, v, v->labels);
    return all;
}

static bool process(nd_dataset **d, const values *v)
{
    nd_dataset *made = NULL;
    bool done = v->detrend == UNSET || replace(d, nd_dataset_detrend(&made, *d, (int32_t)v->detrend, "run"), &made);
    done = done && (!v->zscore || replace(d, nd_dataset_standardise(&made, *d, v->zscore, v->rest), &made));
    done = done && (!v->rest || replace(d, nd_dataset_select_labels(&made, *d, NULL, v->rest), &made));
    done = done && ((!v->keep && !v->drop) || replace(d, nd_dataset_select_labels(&made, *d, v->keep, v->drop), &made));
    return done && (!v->blocks || replace(d, nd_dataset_average_blocks(&made, *d), &made));
}

/* Number of trials of each label. */
static json_t *count_labels(const nd_dataset *d, size_t n_trials)
{
    json_t *counts = must(json_object());
    nd_trial t = { .size = sizeof t };
    for (size_t i = 0; i < n_trials && nd_dataset_get_trial(d, i, &t) == ND_OK; i++)
        json_object_set_new(counts, t.image, json_integer(json_integer_value(json_object_get(counts, t.image)) + 1));
    return counts;
}

static void report(const values *v, const nd_dataset *d)
{
    enum { SHOWN = 20 };
    nd_dataset_info about = { .size = sizeof about };
    nd_dataset_get_info(d, &about);
    json_t *counts = count_labels(d, about.n_trials), *count;
    const char *name;
    if (v->all.json) {
        print_json(json_pack("{s:s, s:I, s:I, s:O}", "out", v->output, "trials", (json_int_t)about.n_trials, "voxels", (json_int_t)about.n_channels,
                             "labels", counts));
    } else if (!v->all.quiet) {
        printf("%s: %zu trial%s x %zu voxel%s, %zu label%s", v->output, about.n_trials, PLURAL(about.n_trials), about.n_channels,
               PLURAL(about.n_channels), about.n_images, PLURAL(about.n_images));
        if (about.n_images <= SHOWN) json_object_foreach(counts, name, count) printf("\n  %-24s %lld", name, (long long)json_integer_value(count));
        putchar('\n');
    }
    json_decref(counts);
}

static int run(const void *values_given, char *const *arguments)
{
    const values *v = values_given;
    if (!v->output) return misused("prepare fmri: which output? Give -o STORE");
    int status = check_output("--output", v->output, "safetensors", FILES(v->mask, v->labels));
    for (size_t i = 0; status == 0 && arguments[i]; i++) status = check_output("--output", v->output, "safetensors", FILES(arguments[i]));
    if (status) return status;
    nd_dataset *d = open_files(v, arguments);
    if (d && process(&d, v) && nd_dataset_save(d, v->output, show_progress, (void *)&v->all) == ND_OK) {
        end_progress();
        report(v, d);
    } else {
        end_progress();
        status = failed();
    }
    nd_dataset_free(d);
    return status;
}

const command prepare_fmri_command = {
    "prepare fmri", "make trials of fMRI volumes, with labels and runs", "FILE...", help, options, &defaults, sizeof defaults, 1, MAX_FILES, run
};
