#include "about.h"

#include "show_recording.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file is explained in one screen. */
enum { MOST_WIDTH = 72, MOST_ARRAYS = 30, MOST_GROUPS = 12, MOST_ENTRIES = 16, SHOWN_TEXTS = 4, SHOWN_BYTES = 110 };

json_t *describe_file(const char *path)
{
    size_t needed;
    if (nd_file_describe(path, NULL, 0, &needed) != ND_OK) return NULL;
    char *text = must(malloc(needed));
    json_t *made = nd_file_describe(path, text, needed, NULL) == ND_OK ? must(json_loads(text, 0, NULL)) : NULL;
    free(text);
    return made;
}

static const char *string_of(const json_t *object, const char *key) { return json_string_value(json_object_get(object, key)); }

/* --- an encoder of ours: what it is and its table of layers, added to the description ---------------------------------------------------- */

static json_t *title_of(const char *name)
{
    nd_encoder_kind_info k = { .size = sizeof k };
    size_t i = 0;
    while (nd_encoder_kind_get_info(i, &k) == ND_OK && strcmp(k.name, name) != 0) i++;
    return json_sprintf("%s (%s)", k.title, k.source);
}

static void add_encoder(json_t *about, const nd_encoder *encoder)
{
    nd_encoder_info e = { .size = sizeof e };
    size_t needed;
    if (nd_encoder_get_info(encoder, &e) != ND_OK || nd_encoder_get_layers(encoder, NULL, 0, &needed) != ND_OK) return;
    char *layers = must(malloc(needed));
    nd_encoder_get_layers(encoder, layers, needed, NULL);
    json_object_set_new(about, "encoder",
                        json_pack("{s:s, s:o, s:s, s:I, s:I, s:I, s:I, s:I}", "kind", e.kind, "title", title_of(e.kind), "params", e.params,
                                  "channels", (json_int_t)e.n_channels, "samples", (json_int_t)e.n_samples, "embedding", (json_int_t)e.embed_dim,
                                  "parameters", (json_int_t)e.n_parameters, "multiply_adds", (json_int_t)e.multiply_adds));
    json_object_set_new(about, "history", json_loads(e.metadata, 0, NULL));
    json_object_set_new(about, "layers", json_string(layers));
    free(layers);
}

/* --- arrays ------------------------------------------------------------------------------------------------------------------------------ */

static size_t count_values(const json_t *array)
{
    const json_t *shape = json_object_get(array, "shape");
    size_t n = 1;
    for (size_t i = 0; i < json_array_size(shape); i++) n *= (size_t)json_integer_value(json_array_get(shape, i));
    return n;
}

void print_array(const json_t *array, int width)
{
    const json_t *shape = json_object_get(array, "shape"), *value = json_object_get(array, "value");
    const char *name = string_of(array, "name"), *order = string_of(array, "order");
    char extents[200] = "";
    int n = 0;
    for (size_t i = 0; i < json_array_size(shape); i++)
        n += snprintf(extents + n, sizeof extents - (size_t)n, "%s%lld", i ? " x " : "", (long long)json_integer_value(json_array_get(shape, i)));
    if (value)
        snprintf(extents, sizeof extents, "= %.9g", json_number_value(value));
    else if (n == 0)
        snprintf(extents, sizeof extents, "scalar");
    printf("  %-*s %-9s %-24s %12zu", width, name ? name : "", string_of(array, "dtype"), extents, count_values(array));
    puts(order && strcmp(order, "F") == 0 ? "  Fortran order" : order && strcmp(order, "strided") == 0 ? "  strided" : "");
}

/* Arrays and values below each first part of the names, as "model_state_dict" is one of a checkpoint. */
static json_t *group_arrays(const json_t *arrays)
{
    json_t *groups = must(json_object()), *array;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)arrays, i, array)
    {
        char name[64];
        const char *full = string_of(array, "name");
        snprintf(name, sizeof name, "%.*s", full ? (int)strcspn(full, "./") : 0, full ? full : "");
        const json_t *so_far = json_object_get(groups, name);
        const json_int_t n = json_integer_value(json_array_get(so_far, 0)), values = json_integer_value(json_array_get(so_far, 1));
        json_object_set_new(groups, name, json_pack("[I, I]", n + 1, values + (json_int_t)count_values(array)));
    }
    return groups;
}

static void print_more(size_t n, size_t most)
{
    if (n > most) printf("  and %zu more; --json lists all\n", n - most);
}

static void print_total(const char *name, json_int_t n, json_int_t values, int width)
{
    char arrays[32];
    snprintf(arrays, sizeof arrays, "%lld array%s", (long long)n, PLURAL(n));
    printf("  %-*s %-9s %-24s %12lld\n", width, name, "", arrays, (long long)values);
}

static void print_totals(const json_t *arrays, int width)
{
    json_t *groups = group_arrays(arrays), *group;
    const char *name;
    json_int_t values = 0;
    json_object_foreach(groups, name, group) values += json_integer_value(json_array_get(group, 1));
    puts("Total");
    const size_t n = json_object_size(groups);
    if (n > 1 && n <= MOST_GROUPS && n < json_array_size(arrays)) {
        json_object_foreach(groups, name, group)
            print_total(name, json_integer_value(json_array_get(group, 0)), json_integer_value(json_array_get(group, 1)), width);
    }
    print_total("", (json_int_t)json_array_size(arrays), values, width);
    json_decref(groups);
}

static void print_arrays(const json_t *arrays)
{
    json_t *array;
    size_t i;
    int width = LEAST_WIDTH;
    if (json_array_size(arrays) == 0) return;
    json_array_foreach((json_t *)(uintptr_t)arrays, i, array)
    {
        int length = (int)json_string_length(json_object_get(array, "name"));
        if (length > width) width = length < MOST_WIDTH ? length : MOST_WIDTH;
    }
    printf("%-*s %-9s %-24s %12s\n", width + 2, "Arrays", "type", "shape", "values");
    json_array_foreach((json_t *)(uintptr_t)arrays, i, array) if (i < MOST_ARRAYS) print_array(array, width);
    print_more(json_array_size(arrays), MOST_ARRAYS);
    if (json_array_size(arrays) > 1) print_totals(arrays, width);
}

/* --- texts and values -------------------------------------------------------------------------------------------------------------------- */

static void print_texts(const char *name, const json_t *value)
{
    printf("  %-32s ", name);
    if (json_is_string(value)) {
        printf("%s\n", json_string_value(value));
        return;
    }
    size_t n = json_array_size(value);
    printf("%zu texts:", n);
    for (size_t i = 0; i < n && i < SHOWN_TEXTS; i++) printf("%s %s", i ? "," : "", json_string_value(json_array_get(value, i)));
    puts(n > SHOWN_TEXTS ? ", ..." : "");
}

static void print_value(const char *key, const json_t *value, int indent)
{
    char *text = json_is_string(value) ? NULL : must(json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6)));
    const char *shown = text ? text : json_string_value(value);
    printf("%*s%-*s %.*s%s\n", indent, "", 34 - indent, key, SHOWN_BYTES, shown, strlen(shown) > SHOWN_BYTES ? " ..." : "");
    free(text);
}

/* The members of an object, under its title; objects inside have a title of their own. */
static void print_object(const char *title, const json_t *object)
{
    const char *key;
    json_t *value;
    size_t n = 0;
    if (json_object_size(object) == 0) return;
    printf("%s\n", title);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        if (n++ >= MOST_ENTRIES) continue;
        if (json_is_object(value)) printf("  %s\n", key);
        if (!json_is_object(value)) print_value(key, value, 2);
        const char *inner;
        json_t *below;
        json_object_foreach(value, inner, below) print_value(inner, below, 4);
    }
    print_more(n, MOST_ENTRIES);
}

/* --- a file ------------------------------------------------------------------------------------------------------------------------------ */

static void print_file(const json_t *about)
{
    const char *what = string_of(about, "kind"), *resembles = string_of(about, "resembles"), *path = string_of(about, "path"), *key;
    const json_t *encoder = json_object_get(about, "encoder");
    json_t *value;
    printf("%s: %s%s%s, %lld bytes\n", path, string_of(about, "format"), what ? ", " : "", what ? what : "",
           (long long)json_integer_value(json_object_get(about, "bytes")));
    if (encoder) {
        print_object("Encoder", encoder);
        print_object("History", json_object_get(about, "history"));
        printf("Layers\n%s", string_of(about, "layers"));
        return;
    }
    if (json_object_get(about, "recording")) show_recording(json_object_get(about, "recording"));
    if (json_object_get(about, "trials")) {
        show_trials(json_object_get(about, "trials")); /* which says all that the arrays and texts hold */
        return;
    }
    if (json_array_size(json_object_get(about, "arrays"))) print_arrays(json_object_get(about, "arrays"));
    size_t n = 0;
    if (json_object_size(json_object_get(about, "text"))) puts("Texts");
    json_object_foreach(json_object_get(about, "text"), key, value) if (n++ < MOST_ENTRIES) print_texts(key, value);
    print_more(n, MOST_ENTRIES);
    print_object("Metadata", json_object_get(about, "metadata"));
    if (resembles) printf("Looks like weights of the encoder %s: neurodecode embed --encoder %s --weights %s ...\n", resembles, resembles, path);
}

int show_file(const char *path, bool json)
{
    json_t *about = describe_file(path);
    if (!about) return failed();
    const char *what = string_of(about, "kind");
    nd_encoder *encoder;
    if (what && strcmp(what, "encoder") == 0 && nd_encoder_open(&encoder, path, NULL) == ND_OK) {
        add_encoder(about, encoder);
        nd_encoder_free(encoder);
    }
    if (json)
        print_json(json_incref(about));
    else
        print_file(about);
    json_decref(about);
    return 0;
}
