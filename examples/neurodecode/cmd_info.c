/* neurodecode info: what is in a file or a data set, and the tables of formats and encoders. */
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "about.h"

typedef struct values {
    shared all;
    bool formats, encoders, losses, augmentations, preparations;
} values;

enum { MOST_FILES = 12 };

static const values defaults = { .all = SHARED_DEFAULTS };

static const option options[] = {
    { .help = "Instead of a file:" },
    { "formats", 0, NULL, FLAG, offsetof(values, formats), 0, 0, "list the file formats" },
    { "encoders", 0, NULL, FLAG, offsetof(values, encoders), 0, 0, "list the encoders with their hyper-parameters" },
    { "losses", 0, NULL, FLAG, offsetof(values, losses), 0, 0, "list the losses" },
    { "augmentations", 0, NULL, FLAG, offsetof(values, augmentations), 0, 0, "list how trials can be changed during training" },
    { "preparations", 0, NULL, FLAG, offsetof(values, preparations), 0, 0,
      "list the data sets whose published files can be prepared, with parameters" },
    { 0 },
};

static const char help[] =
    "Explains a file of any supported format, whatever its name: its arrays, texts and metadata; of an encoder how it was trained and "
    "its layers; of other weights which encoder they may belong to. No array is loaded. "
    "Of a data set's folder, or one of stores, it lists recordings and image embeddings.\v"
    "Examples:\n"
    "  neurodecode info world/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_test.npy\n"
    "  neurodecode info model.safetensors --json\n"
    "  neurodecode info checkpoint.pth\n"
    "  neurodecode info --encoders\n";

/* --- folders ---------------------------------------------------------------------------------------------------------------------------- */

/* Names of the files that match, sorted, below `folder`. */
static json_t *matches(const char *folder, const char *pattern)
{
    char full[4096];
    glob_t found;
    json_t *list = must(json_array());
    snprintf(full, sizeof full, "%s/%s", folder, pattern);
    if (glob(full, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) json_array_append_new(list, json_string(found.gl_pathv[i] + strlen(folder) + 1));
        globfree(&found);
    }
    return list;
}

/* Suffixes of the files `<image>_<suffix>.npy`, as one image has them: the first file gives its name up to the last but one underscore pieces that
 * all its files share. */
static json_t *suffixes(const char *folder)
{
    char pattern[4096];
    json_t *list = must(json_array()), *concepts = matches(folder, "image_embeddings/training_images/*");
    const char *concept = json_string_value(json_array_get(concepts, 0));
    if (concept) {
        const char *underscore = strchr(strrchr(concept, '/'), '_');
        snprintf(pattern, sizeof pattern, "%.2000s/%.200s_*.npy", concept, underscore ? underscore + 1 : "");
        json_t *files = matches(folder, pattern);
        const char *first = json_string_value(json_array_get(files, 0));
        size_t stem = first ? strlen(concept) + strlen(underscore ? underscore : "/") + 4 : 0; /* "/<name>_01b" */
        for (size_t i = 0; i < json_array_size(files); i++) {
            const char *file = json_string_value(json_array_get(files, i));
            if (strlen(file) > stem + 5 && strncmp(file, first, stem) == 0 && file[stem] == '_')
                json_array_append_new(list, json_stringn(file + stem + 1, strlen(file) - stem - 5));
        }
        json_decref(files);
    }
    json_decref(concepts);
    return list;
}

/* Files of trials and recordings that a data set's folder, or a folder of stores, may hold. */
static json_t *find_recordings(const char *folder)
{
    static const char *const patterns[] = { "*/sub-*/preprocessed_eeg_*.npy", "preprocessed_eeg/sub-*/train.npy", "preprocessed_eeg/sub-*/test.npy",
                                            "raw_eeg/sub-*/ses-*/raw_eeg_*.npy", "*.safetensors" };
    json_t *list = must(json_array());
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        json_t *found = matches(folder, patterns[i]);
        json_array_extend(list, found);
        json_decref(found);
    }
    return list;
}

static void print_folder(const char *folder, const json_t *names, const json_t *list, const json_t *models)
{
    size_t i;
    json_t *entry, *recordings = (json_t *)(uintptr_t)list;
    printf("%s: %zu file%s of recordings or weights\n", folder, json_array_size(list), PLURAL(json_array_size(list)));
    json_array_foreach(recordings, i, entry)
    {
        if (i == MOST_FILES) printf("and %zu more; --json lists all\n", json_array_size(list) - MOST_FILES);
        if (i >= MOST_FILES) break;
        printf("%s\n", json_string_value(json_array_get(names, i)));
        print_array(json_array_get(json_object_get(entry, "arrays"), 0), LEAST_WIDTH);
    }
    printf("Image embeddings:");
    json_array_foreach((json_t *)(uintptr_t)models, i, entry) printf("%s %s", i ? "," : "", json_string_value(entry));
    puts(json_array_size(models) ? "" : " none");
}

static int show_folder(const char *folder, const values *v)
{
    json_t *recordings = find_recordings(folder), *models = suffixes(folder), *list = must(json_array());
    int status = 0;
    if (json_array_size(recordings) == 0 && json_array_size(models) == 0)
        status = refused("%s: a folder without recordings (*/sub-XX/preprocessed_eeg_*.npy, raw_eeg, *.safetensors) or image_embeddings", folder);
    for (size_t i = 0; status == 0 && i < json_array_size(recordings); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, json_string_value(json_array_get(recordings, i)));
        json_t *about = describe_file(path);
        if (!about)
            status = failed();
        else
            json_array_append_new(list, about);
    }
    if (status == 0 && v->all.json)
        print_json(json_pack("{s:s, s:O, s:O}", "path", folder, "recordings", list, "embeddings", models));
    else if (status == 0)
        print_folder(folder, recordings, list, models);
    json_decref(recordings);
    json_decref(models);
    json_decref(list);
    return status;
}

/* --- tables ----------------------------------------------------------------------------------------------------------------------------- */

static json_t *list_formats(bool print)
{
    json_t *list = must(json_array());
    nd_format_info f = { .size = sizeof f };
    if (print) printf("%-12s %-5s %-5s %-24s %s\n", "format", "read", "write", "extensions", "");
    for (size_t i = 0; nd_format_get_info(i, &f) == ND_OK; i++) {
        if (print) printf("%-12s %-5s %-5s %-24s %s\n", f.name, f.can_read ? "yes" : "no", f.can_write ? "yes" : "no", f.extensions, f.title);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:b, s:b}", "name", f.name, "title", f.title, "extensions", f.extensions, "read",
                                              f.can_read, "write", f.can_write));
    }
    if (print) puts("'write' is of arrays; continuous recordings are written as .edf, .bdf, .vhdr and .fif too: neurodecode convert");
    return list;
}

/* Whole numbers, as those of seeds, with all their digits. */
static void print_number(double x) { printf(fabs(x) < 1e10 && x == floor(x) ? " %10.0f" : " %10.5g", x); }

static json_t *param_row(const nd_param_info *p, bool print)
{
    const double numbers[] = { p->value, p->reference, p->min, p->max };
    if (print) printf("    %-22s", p->name);
    for (size_t i = 0; print && i < 4; i++) print_number(numbers[i]);
    if (print) printf("  %s\n", p->meaning);
    return json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "name", p->name, "meaning", p->meaning, "default", p->value, "reference", p->reference, "min",
                     p->min, "max", p->max);
}

static void print_param_head(void) { printf("    %-22s %10s %10s %10s %10s\n", "", "default", "reference", "least", "most"); }

static json_t *list_params(nd_status (*get)(const char *kind, size_t index, nd_param_info *info), const char *kind_name, bool print)
{
    json_t *list = must(json_array());
    nd_param_info p = { .size = sizeof p };
    if (print) print_param_head();
    for (size_t i = 0; get(kind_name, i, &p) == ND_OK; i++) json_array_append_new(list, param_row(&p, print));
    return list;
}

static json_t *list_augmentations(bool print)
{
    json_t *list = must(json_array());
    nd_param_info p = { .size = sizeof p };
    if (print) print_param_head();
    for (size_t i = 0; nd_augmentation_get_info(i, &p) == ND_OK; i++) json_array_append_new(list, param_row(&p, print));
    return list;
}

static json_t *list_losses(bool print)
{
    json_t *list = must(json_array());
    nd_loss_kind_info k = { .size = sizeof k };
    for (size_t i = 0; nd_loss_kind_get_info(i, &k) == ND_OK; i++) {
        if (print) printf("%-14s %s\n%-14s %s\n", k.name, k.title, "", k.source);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f, s:f}", "name", k.name, "title", k.title, "source", k.source, "temperature",
                                              k.temperature, "bias", k.bias));
    }
    return list;
}

static json_t *list_encoders(bool print)
{
    json_t *list = must(json_array());
    nd_encoder_kind_info k = { .size = sizeof k };
    for (size_t i = 0; nd_encoder_kind_get_info(i, &k) == ND_OK; i++) {
        if (print) printf("%s%s: %s\n    %s\n", i ? "\n" : "", k.name, k.title, k.source);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", k.name, "title", k.title, "source", k.source, "params",
                                              list_params(nd_encoder_kind_get_param, k.name, print)));
    }
    return list;
}

static json_t *list_preparations(bool print)
{
    json_t *list = must(json_array());
    nd_preparation_kind_info k = { .size = sizeof k };
    for (size_t i = 0; nd_preparation_kind_get_info(i, &k) == ND_OK; i++) {
        if (print) printf("%s%s: %s\n    %s\n", i ? "\n" : "", k.name, k.title, k.source);
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "name", k.name, "title", k.title, "source", k.source, "params",
                                              list_params(nd_preparation_kind_get_param, k.name, print)));
    }
    return list;
}

/* The tables asked for; as JSON a list, or an object of several. */
static int show_tables(const values *v)
{
    const struct {
        const char *name;
        bool wanted;
        json_t *(*list)(bool print);
    } tables[] = { { "formats", v->formats, list_formats },
                   { "encoders", v->encoders, list_encoders },
                   { "losses", v->losses, list_losses },
                   { "augmentations", v->augmentations, list_augmentations },
                   { "preparations", v->preparations, list_preparations } };
    json_t *all = must(json_object()), *last = NULL;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        if (!tables[i].wanted) continue;
        if (last && !v->all.json) putchar('\n');
        last = tables[i].list(!v->all.json);
        json_object_set_new(all, tables[i].name, last);
    }
    if (v->all.json) print_json(json_incref(json_object_size(all) > 1 ? all : last));
    json_decref(all);
    return 0;
}

static int run(const void *values_given, char *const *arguments)
{
    const values *v = values_given;
    struct stat about;
    if (v->formats || v->encoders || v->losses || v->augmentations || v->preparations) return show_tables(v);
    if (!arguments[0]) return misused("info: which file? See neurodecode info --help");
    return stat(arguments[0], &about) == 0 && S_ISDIR(about.st_mode) ? show_folder(arguments[0], v) : show_file(arguments[0], v->all.json);
}

const command info_command = {
    "info", "explain a file or a data set; list formats, encoders, losses", "[FILE|DIR]", help, options, &defaults, sizeof defaults, 0, 1, run
};
