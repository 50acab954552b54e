/* neurodecode prepare: from the files that a data set publishes to stores. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "recording.h"

typedef struct values {
    shared all;
    const char *subjects, *output, *params;
    bool dry_run;
} values;

static const values defaults = { .all = SHARED_DEFAULTS };

static const option options[] = {
    { .help = "What to make:" },
    { "output", 'o', "DIR", WORD, offsetof(values, output), 0, 0, "folder for the stores (required)" },
    { "subject", 'n', "LIST", WORD, offsetof(values, subjects), 0, 0, "people, from 1, as in 1,2,5 (default 1)" },
    { "params", 'p', "TEXT", WORD, offsetof(values, params), 0, 0, "as in \"rate=100 average=1\"; neurodecode info --preparations lists them" },
    { "dry-run", 0, NULL, FLAG, offsetof(values, dry_run), 0, 0, "only say what is there, what is missing and what would be done" },
    { 0 },
};

static const char help[] = "Makes stores of trials out of what a data set publishes. KIND is a row of neurodecode info --preparations, SOURCE the "
                           "folder with the published files. Work that was "
                           "stopped goes on where it was when the same command is given again.\v"
                           "Examples:\n"
                           "  neurodecode prepare things-eeg2 THINGS-EEG2 -o stores --subject 1 --dry-run\n"
                           "  neurodecode prepare things-eeg2 THINGS-EEG2 -o stores --subject 1,2,3\n"
                           "  neurodecode prepare things-eeg2 THINGS-EEG2 -o stores --params \"published=1 pickles=1\"\n";

static json_t *report_of(const nd_preparation *p)
{
    size_t needed;
    if (nd_preparation_get_report(p, NULL, 0, &needed) != ND_OK) return NULL;
    char *text = must(malloc(needed));
    json_t *made = nd_preparation_get_report(p, text, needed, NULL) == ND_OK ? must(json_loads(text, 0, NULL)) : NULL;
    free(text);
    return made;
}

static const char *string_of(const json_t *object, const char *key) { return json_string_value(json_object_get(object, key)); }
static double giga_of(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)) / 1e9; }

static void print_report(const json_t *r)
{
    size_t i;
    json_t *entry;
    printf("%s: %s from %s\n", string_of(r, "name"), string_of(r, "kind"), string_of(r, "source"));
    json_array_foreach(json_object_get(r, "found"), i, entry) printf("  found    %s, %.3f GB\n", string_of(entry, "file"), giga_of(entry, "bytes"));
    json_array_foreach(json_object_get(r, "missing"), i, entry) printf("  missing  %s\n", json_string_value(entry));
    json_array_foreach(json_object_get(r, "steps"), i, entry)
        printf("  %-8s %s\n", json_is_true(json_object_get(entry, "done")) ? "done" : "to do", string_of(entry, "name"));
    json_array_foreach(json_object_get(r, "outputs"), i, entry)
        printf("  %-8s %s/%s, %.3f GB\n", json_is_true(json_object_get(entry, "exists")) ? "written" : "output", string_of(r, "output"),
               string_of(entry, "file"), giga_of(entry, "bytes"));
    printf("  takes    %.2f GB of memory, %.2f GB of disk\n", giga_of(r, "memory_bytes"), giga_of(r, "disk_bytes"));
}

/* One person: the preparation's report is added to `list` and printed. */
static int prepare(const values *v, char *const *arguments, long subject, json_t *list)
{
    nd_preparation *p;
    nd_preparation_options o;
    char params[4096];
    nd_preparation_options_init(&o, sizeof o);
    snprintf(params, sizeof params, "subject=%ld %s", subject, v->params ? v->params : "");
    o.output = v->output;
    o.params = params;
    o.n_threads = (int32_t)v->all.threads;
    if (nd_preparation_create(&p, arguments[0], arguments[1], &o) != ND_OK) return failed();
    int status = v->dry_run || nd_preparation_run(p, show_progress, (void *)&v->all) == ND_OK ? 0 : failed();
    json_t *report = status == 0 ? report_of(p) : NULL;
    if (status == 0 && !report) status = failed();
    nd_preparation_free(p);
    if (!report) return status;
    if (!v->all.json && (!v->all.quiet || v->dry_run)) print_report(report);
    json_array_append_new(list, report);
    return status;
}

static int run(const void *values_given, char *const *arguments)
{
    const values *v = values_given;
    if (!v->output) return misused("prepare: which output? Give -o DIR");
    if (v->params && strlen(v->params) > 4000) return misused("--params: the text is too long");
    int status = v->subjects ? check_subjects(v->subjects) : 0;
    json_t *list = must(json_array());
    for (const char *s = v->subjects ? v->subjects : "1"; status == 0 && *s;) {
        char *end;
        const long subject = strtol(s, &end, 10);
        status = prepare(v, arguments, subject, list);
        s = *end ? end + 1 : end;
    }
    if (status == 0 && v->all.json) print_json(json_incref(list));
    json_decref(list);
    return status;
}

const command prepare_command = {
    "prepare", "make stores out of the files a data set publishes", "KIND SOURCE", help, options, &defaults, sizeof defaults, 2, 2, run
};
