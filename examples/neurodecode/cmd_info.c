/* neurodecode info: what is in a file or a data set, and the tables of formats and encoders. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common.h"
#include "show_recording.h"

typedef struct values {
    shared all;
    bool formats, encoders;
} values;

static const values defaults = { .all = SHARED_DEFAULTS };

static const option options[] = {
    { .help = "Instead of a file:" },
    { "formats", 0, NULL, FLAG, offsetof(values, formats), 0, 0, "list the file formats" },
    { "encoders", 0, NULL, FLAG, offsetof(values, encoders), 0, 0, "list the encoders with their hyper-parameters" },
    { 0 },
};

static const char help[] = "Explains a file of any supported format, whatever its name: its arrays, texts and metadata, and the layers if it is an "
                           "encoder. No array is loaded. "
                           "Of a data set's folder it lists people, recordings and image embeddings.\v"
                           "Examples:\n"
                           "  neurodecode info world/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_test.npy\n"
                           "  neurodecode info model.safetensors --json\n"
                           "  neurodecode info --encoders\n";

/* --- files ------------------------------------------------------------------------------------------------------------------------------ */

static json_t *describe(const char *path)
{
    size_t needed;
    if (nd_file_describe(path, NULL, 0, &needed) != ND_OK) return NULL;
    char *text = must(malloc(needed));
    json_t *made = nd_file_describe(path, text, needed, NULL) == ND_OK ? must(json_loads(text, 0, NULL)) : NULL;
    free(text);
    return made;
}

/* The table of layers of an encoder that this library saved. */
static char *list_layers(const char *path)
{
    nd_encoder *encoder;
    size_t needed;
    char *text = NULL;
    if (nd_encoder_open(&encoder, path, NULL) != ND_OK) return NULL;
    if (nd_encoder_get_layers(encoder, NULL, 0, &needed) == ND_OK) {
        text = must(malloc(needed));
        nd_encoder_get_layers(encoder, text, needed, NULL);
    }
    nd_encoder_free(encoder);
    return text;
}

enum { LEAST_WIDTH = 32, MOST_WIDTH = 60 }; /* of the column of names */

static void print_array(const json_t *array, int width)
{
    const json_t *shape = json_object_get(array, "shape"), *name = json_object_get(array, "name");
    printf("  %-*s %-9s", width, json_is_string(name) ? json_string_value(name) : "", json_string_value(json_object_get(array, "dtype")));
    for (size_t i = 0; i < json_array_size(shape); i++) printf("%s%lld", i ? " x " : " ", (long long)json_integer_value(json_array_get(shape, i)));
    if (json_array_size(shape) == 0) printf(" scalar");
    const char *order = json_string_value(json_object_get(array, "order"));
    printf("%s\n", order && strcmp(order, "fortran") == 0 ? "  (Fortran order)" : "");
}

static void print_texts(const char *name, const json_t *value)
{
    enum { SHOWN = 4 };
    printf("  %-32s ", name);
    if (json_is_string(value)) {
        printf("%s\n", json_string_value(value));
        return;
    }
    size_t n = json_array_size(value);
    printf("%zu texts:", n);
    for (size_t i = 0; i < n && i < SHOWN; i++) printf("%s %s", i ? "," : "", json_string_value(json_array_get(value, i)));
    puts(n > SHOWN ? ", ..." : "");
}

static void print_value(const char *key, const json_t *value, int indent)
{
    char *text = json_is_string(value) ? NULL : must(json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)));
    const char *shown = text ? text : json_string_value(value);
    size_t room = 110;
    printf("%*s%-*s %.*s%s\n", indent, "", 34 - indent, key, (int)room, shown, strlen(shown) > room ? " ..." : "");
    free(text);
}

static void print_file(const json_t *about, const char *layers)
{
    const char *key;
    json_t *value;
    size_t i;
    const char *what = json_string_value(json_object_get(about, "kind"));
    int width = LEAST_WIDTH;
    json_array_foreach(json_object_get(about, "arrays"), i, value)
    {
        int length = (int)json_string_length(json_object_get(value, "name"));
        if (length > width && length <= MOST_WIDTH) width = length;
    }
    printf("%s: %s%s%s, %lld bytes\n", json_string_value(json_object_get(about, "path")), json_string_value(json_object_get(about, "format")),
           what ? ", " : "", what ? what : "", (long long)json_integer_value(json_object_get(about, "bytes")));
    json_t *recording = json_object_get(about, "recording");
    if (recording) show_recording(recording);
    if (json_array_size(json_object_get(about, "arrays"))) puts("Arrays");
    json_array_foreach(json_object_get(about, "arrays"), i, value) print_array(value, width);
    if (json_object_size(json_object_get(about, "text"))) puts("Texts");
    json_object_foreach(json_object_get(about, "text"), key, value) print_texts(key, value);
    if (json_object_size(json_object_get(about, "metadata"))) puts("Metadata");
    json_object_foreach(json_object_get(about, "metadata"), key, value) print_value(key, value, 2);
    if (layers) printf("Layers\n%s", layers);
}

static int show_file(const char *path, const values *v)
{
    json_t *about = describe(path);
    if (!about) return failed();
    const char *what = json_string_value(json_object_get(about, "kind"));
    char *layers = what && strcmp(what, "encoder") == 0 ? list_layers(path) : NULL;
    if (v->all.json) {
        if (layers) json_object_set_new(about, "layers", json_string(layers));
        print_json(json_incref(about));
    } else {
        print_file(about, layers);
    }
    free(layers);
    json_decref(about);
    return 0;
}

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

static int show_folder(const char *folder, const values *v)
{
    json_t *recordings = matches(folder, "*/sub-*/preprocessed_eeg_*.npy"), *models = suffixes(folder), *list = must(json_array());
    int status = 0;
    if (json_array_size(recordings) == 0 && json_array_size(models) == 0)
        status = refused("%s: a folder without recordings (*/sub-XX/preprocessed_eeg_*.npy) or image_embeddings", folder);
    for (size_t i = 0; status == 0 && i < json_array_size(recordings); i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, json_string_value(json_array_get(recordings, i)));
        json_t *about = describe(path);
        if (!about)
            status = failed();
        else
            json_array_append_new(list, about);
    }
    if (status == 0 && v->all.json) {
        print_json(json_pack("{s:s, s:O, s:O}", "path", folder, "recordings", list, "embeddings", models));
    } else if (status == 0) {
        size_t i;
        json_t *about;
        printf("%s: a data set laid out as THINGS-EEG2\n", folder);
        json_array_foreach(list, i, about)
        {
            printf("%s\n", json_string_value(json_array_get(recordings, i)));
            print_array(json_array_get(json_object_get(about, "arrays"), 0), LEAST_WIDTH);
        }
        printf("Image embeddings:");
        json_array_foreach(models, i, about) printf("%s %s", i ? "," : "", json_string_value(about));
        puts(json_array_size(models) ? "" : " none");
    }
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
    return list;
}

static json_t *list_params(const char *kind_name, bool print)
{
    json_t *list = must(json_array());
    nd_param_info p = { .size = sizeof p };
    if (print) printf("    %-22s %10s %10s %10s %10s\n", "", "default", "reference", "least", "most");
    for (size_t i = 0; nd_encoder_kind_get_param(kind_name, i, &p) == ND_OK; i++) {
        if (print) printf("    %-22s %10.5g %10.5g %10.5g %10.5g  %s\n", p.name, p.value, p.reference, p.min, p.max, p.meaning);
        json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "name", p.name, "meaning", p.meaning, "default", p.value, "reference",
                                              p.reference, "min", p.min, "max", p.max));
    }
    return list;
}

static json_t *list_encoders(bool print)
{
    json_t *list = must(json_array());
    nd_encoder_kind_info k = { .size = sizeof k };
    for (size_t i = 0; nd_encoder_kind_get_info(i, &k) == ND_OK; i++) {
        if (print) printf("%s%s: %s\n    %s\n", i ? "\n" : "", k.name, k.title, k.source);
        json_array_append_new(
            list, json_pack("{s:s, s:s, s:s, s:o}", "name", k.name, "title", k.title, "source", k.source, "params", list_params(k.name, print)));
    }
    return list;
}

/* The table asked for, or both. */
static int show_tables(const values *v)
{
    bool print = !v->all.json;
    json_t *formats = v->formats ? list_formats(print) : NULL;
    if (print && v->formats && v->encoders) putchar('\n');
    json_t *encoders = v->encoders ? list_encoders(print) : NULL;
    if (v->all.json)
        print_json(formats && encoders ? json_pack("{s:O, s:O}", "formats", formats, "encoders", encoders)
                                       : json_incref(formats ? formats : encoders));
    json_decref(formats);
    json_decref(encoders);
    return 0;
}

static int run(const void *values_given, char *const *arguments)
{
    const values *v = values_given;
    struct stat about;
    if (v->formats || v->encoders) return show_tables(v);
    if (!arguments[0]) return misused("info: which file? See neurodecode info --help");
    return stat(arguments[0], &about) == 0 && S_ISDIR(about.st_mode) ? show_folder(arguments[0], v) : show_file(arguments[0], v);
}

const command info_command = {
    "info", "explain a file or a data set; list formats and encoders", "[FILE|DIR]", help, options, &defaults, sizeof defaults, 0, 1, run
};
