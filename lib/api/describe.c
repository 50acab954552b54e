/* What is in a file, as JSON. */
#include <math.h>
#include <string.h>

#include "api/handle.h"
#include "encoders/encoder.h"
#include "io/json.h"
#include "io/signals.h"
#include "neurodecode/file.h"

static nd_status describe_array(json_t *list, const array *a)
{
    json_t *entry = json_object();
    TRY(ndi_json_append(list, entry));
    TRY(ndi_json_set(entry, "name", json_string(a->name)));
    TRY(ndi_json_set(entry, "dtype", json_string(ndi_dtype_name(a->type))));
    json_t *extents = json_array();
    TRY(ndi_json_set(entry, "shape", extents));
    for (size_t i = 0; i < a->n_dims; i++) TRY(ndi_json_append(extents, json_integer((json_int_t)a->shape[i])));
    TRY(ndi_json_set(entry, "order", json_string(a->strided ? "strided" : a->fortran ? "F" : "C")));
    double x;
    const bool shown = a->n_dims == 0 && ndi_array_read_f64(a, 0, 1, &x) == ND_OK && isfinite(x);
    return shown ? ndi_json_set(entry, "value", json_real(x)) : ND_OK;
}

static nd_status describe_texts(json_t *object, const texts *t)
{
    if (!t->list) return ndi_json_set(object, t->name, json_string(t->items[0]));
    json_t *list = json_array();
    TRY(ndi_json_set(object, t->name, list));
    for (size_t i = 0; i < t->n; i++) TRY(ndi_json_append(list, json_string(t->items[i])));
    return ND_OK;
}

/* Files of this library say in their metadata what they are. */
static nd_status describe_metadata(json_t *about, const content *c, const char *path)
{
    static const char *const kinds[] = { "dataset", "bank", "encoder", "trainer" };
    if (!c->metadata) return ND_OK;
    json_t *metadata;
    TRY(ndi_json_parse(&metadata, c->metadata, strlen(c->metadata), path));
    TRY(ndi_json_set(about, "metadata", metadata));
    const char *kind = json_string_value(json_object_get(metadata, "neurodecode.kind"));
    for (size_t i = 0; kind && i < COUNT(kinds); i++)
        if (strcmp(kind, kinds[i]) == 0) return ndi_json_set(about, "kind", json_string(kind));
    return ND_OK;
}

/* Weights of other programs may be those of an encoder of the table. */
static nd_status describe_weights(json_t *about, const content *c)
{
    const encoder_kind *kind;
    if (json_object_get(about, "kind")) return ND_OK;
    TRY(ndi_encoder_recognise(c, &kind));
    return kind ? ndi_json_set(about, "resembles", json_string(kind->name)) : ND_OK;
}

static nd_status describe_channel(json_t *list, const char *name, const char *type, const char *unit)
{
    json_t *entry = json_object();
    TRY(ndi_json_append(list, entry));
    TRY(ndi_json_set(entry, "name", json_string(name)));
    TRY(ndi_json_set(entry, "type", json_string(type)));
    return ndi_json_set(entry, "unit", json_string(unit));
}

static nd_status count(json_t *events, const char *name)
{
    return ndi_json_set(events, name, json_integer(json_integer_value(json_object_get(events, name)) + 1));
}

/* Events by what they are called, "7" or "7 Stimulus/S  7", with how many there are. */
static nd_status count_event(json_t *events, const event *e)
{
    text t = { 0 };
    ndi_text_add(&t, *e->text ? "%d %s" : "%d", (int)e->code, e->text);
    nd_status status = ndi_text_status(&t);
    if (status == ND_OK) status = count(events, t.s);
    ndi_text_free(&t);
    return status;
}

static nd_status describe_signals(json_t *about, const signals *s)
{
    json_t *recording = json_object();
    TRY(ndi_json_set(about, "recording", recording));
    TRY(ndi_json_set(recording, "rate", json_real(s->rate)));
    TRY(ndi_json_set(recording, "samples", json_integer((json_int_t)s->n_samples)));
    TRY(ndi_json_set(recording, "seconds", json_real((double)s->n_samples / s->rate)));
    if (s->highpass > 0 && isfinite(s->highpass)) TRY(ndi_json_set(recording, "highpass", json_real(s->highpass)));
    if (s->lowpass > 0 && isfinite(s->lowpass)) TRY(ndi_json_set(recording, "lowpass", json_real(s->lowpass)));
    json_t *channels = json_array();
    TRY(ndi_json_set(recording, "channels", channels));
    for (size_t i = 0; i < s->n_channels; i++) TRY(describe_channel(channels, s->channels[i].name, s->channels[i].type, s->channels[i].unit));
    json_t *events = json_object();
    TRY(ndi_json_set(recording, "events", events));
    for (size_t i = 0; i < s->n_events; i++) TRY(count_event(events, &s->events[i]));
    return ND_OK;
}

/* Names of the columns of the table that comes with epochs. */
static nd_status list_columns(json_t *list, const content *c)
{
    static const char table[] = "metadata/";
    const size_t n = sizeof table - 1;
    for (size_t i = 0; i < c->n_arrays; i++)
        if (strncmp(c->arrays[i].name, table, n) == 0) TRY(ndi_json_append(list, json_string(c->arrays[i].name + n)));
    for (size_t i = 0; i < c->n_texts; i++)
        if (strncmp(c->texts[i].name, table, n) == 0) TRY(ndi_json_append(list, json_string(c->texts[i].name + n)));
    return ND_OK;
}

static nd_status describe_times(json_t *trials, const array *times)
{
    double ends[2];
    const size_t n = times->n;
    TRY(ndi_array_read_f64(times, 0, 1, &ends[0]));
    TRY(ndi_array_read_f64(times, n - 1, 1, &ends[1]));
    TRY(ndi_json_set(trials, "samples", json_integer((json_int_t)n)));
    TRY(ndi_json_set(trials, "start", json_real(ends[0])));
    TRY(ndi_json_set(trials, "end", json_real(ends[1])));
    return n > 1 ? ndi_json_set(trials, "rate", json_real((double)(n - 1) / (ends[1] - ends[0]))) : ND_OK;
}

/* Epochs or averages, which have channels with types and units. */
static nd_status describe_trials(json_t *about, const content *c)
{
    const texts *events = ndi_content_texts(c, "event_names"), *conditions = ndi_content_texts(c, "conditions"),
                *names = events ? events : conditions;
    const texts *channels = ndi_content_texts(c, "ch_names"), *types = ndi_content_texts(c, "ch_types"), *units = ndi_content_texts(c, "ch_units");
    const array *times = ndi_content_array(c, "times");
    const bool known = names && channels && types && units && types->n == channels->n && units->n == channels->n && times && times->n > 0;
    if (!known) return ND_OK;
    json_t *trials = json_object();
    TRY(ndi_json_set(about, "trials", trials));
    TRY(ndi_json_set(trials, "kind", json_string(events ? "epochs" : "averages")));
    TRY(ndi_json_set(trials, "trials", json_integer((json_int_t)names->n)));
    TRY(describe_times(trials, times));
    json_t *list = json_array();
    TRY(ndi_json_set(trials, "channels", list));
    for (size_t i = 0; i < channels->n; i++) TRY(describe_channel(list, channels->items[i], types->items[i], units->items[i]));
    json_t *counts = json_object();
    TRY(ndi_json_set(trials, "events", counts));
    for (size_t i = 0; i < names->n; i++) TRY(count(counts, names->items[i]));
    json_t *columns = json_array();
    TRY(ndi_json_set(trials, "columns", columns));
    return list_columns(columns, c);
}

static nd_status describe(json_t *about, content *c, const char *path)
{
    uint64_t bytes;
    const char *shown; /* JSON is UTF-8, names of files need not be */
    TRY(ndi_content_text(c, path, strlen(path), &shown));
    json_t *arrays = json_array();
    TRY(ndi_json_set(about, "arrays", arrays));
    json_t *named = json_object();
    TRY(ndi_json_set(about, "text", named));
    TRY(ndi_json_set(about, "path", json_string(shown)));
    TRY(ndi_json_set(about, "format", json_string(c->format)));
    TRY(ndi_stream_size(c->streams[0], &bytes));
    TRY(ndi_json_set(about, "bytes", json_integer((json_int_t)bytes)));
    for (size_t i = 0; i < c->n_arrays; i++) TRY(describe_array(arrays, &c->arrays[i]));
    for (size_t i = 0; i < c->n_texts; i++) TRY(describe_texts(named, &c->texts[i]));
    if (c->signals) TRY(describe_signals(about, c->signals));
    TRY(describe_trials(about, c));
    TRY(describe_metadata(about, c, path));
    return describe_weights(about, c);
}

nd_status nd_file_describe(const char *path, char *json, size_t capacity, size_t *needed)
{
    REQUIRE(path);
    content *c;
    text t = { 0 };
    TRY(ndi_content_open(&c, path));
    json_t *about = json_object();
    nd_status status = about ? describe(about, c, path) : ndi_fail(ND_ERR_MEMORY, "nd_file_describe: out of memory");
    if (status == ND_OK) status = ndi_json_dump(about, &t);
    if (status == ND_OK) status = ndi_text_out(t.s, json, capacity, needed);
    ndi_text_free(&t);
    json_decref(about);
    ndi_content_free(c);
    return status;
}
