/* A continuous recording, epochs or averages in one screen: duration, channels by type and unit, events by code or name. */
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "show_recording.h"

enum { MOST_EVENTS = 20, WIDTH = 110 };

static const char *field(const json_t *channel, const char *key) { return json_string_value(json_object_get(channel, key)); }

static int same_kind(const json_t *a, const json_t *b)
{
    return strcmp(field(a, "type"), field(b, "type")) == 0 && strcmp(field(a, "unit"), field(b, "unit")) == 0;
}

/* The channels that are of the kind of the one at `first`, if none before it is. */
static void print_kind(const json_t *channels, size_t first)
{
    const json_t *one = json_array_get(channels, first), *channel;
    size_t n = 0, i;
    for (i = 0; i < first; i++)
        if (same_kind(json_array_get(channels, i), one)) return;
    json_array_foreach(channels, i, channel) n += same_kind(channel, one);
    int printed = printf("  %4zu %-8s %-6s", n, field(one, "type"), *field(one, "unit") ? field(one, "unit") : "-");
    json_array_foreach(channels, i, channel)
    {
        if (!same_kind(channel, one)) continue;
        if (printed + (int)strlen(field(channel, "name")) > WIDTH) {
            printf(" ...");
            break;
        }
        printed += printf(" %s", field(channel, "name"));
    }
    putchar('\n');
}

static void print_channels(const json_t *channels)
{
    puts("Channels");
    for (size_t i = 0; i < json_array_size(channels); i++) print_kind(channels, i);
}

static void print_events(const char *title, json_t *events)
{
    const char *name;
    json_t *count;
    size_t n = 0;
    if (json_object_size(events)) puts(title);
    json_object_foreach(events, name, count) if (n++ < MOST_EVENTS) printf("  %6lld x %s\n", (long long)json_integer_value(count), name);
    if (n > MOST_EVENTS) printf("  and %zu more kinds\n", n - MOST_EVENTS);
}

static long long whole(const json_t *object, const char *key) { return (long long)json_integer_value(json_object_get(object, key)); }
static double real(const json_t *object, const char *key) { return json_real_value(json_object_get(object, key)); }

static void print_filters(const json_t *about)
{
    const bool low = json_object_get(about, "highpass"), high = json_object_get(about, "lowpass");
    if (!low && !high) return;
    printf("  filtered when it was recorded:");
    if (low) printf(" from %g Hz", real(about, "highpass"));
    if (high) printf(" up to %g Hz", real(about, "lowpass"));
    putchar('\n');
}

void show_recording(json_t *about)
{
    const json_t *channels = json_object_get(about, "channels");
    printf("Recording\n  %zu channels x %lld samples at %g Hz, %.1f s\n", json_array_size(channels), whole(about, "samples"), real(about, "rate"),
           real(about, "seconds"));
    print_filters(about);
    print_channels(channels);
    print_events("Events", json_object_get(about, "events"));
}

void show_trials(json_t *about)
{
    const json_t *channels = json_object_get(about, "channels"), *columns = json_object_get(about, "columns");
    const int epochs = strcmp(field(about, "kind"), "epochs") == 0;
    printf("%s\n  %lld trials x %zu channels x %lld samples at %.6g Hz, %g .. %g s\n", epochs ? "Epochs" : "Averages", whole(about, "trials"),
           json_array_size(channels), whole(about, "samples"), real(about, "rate"), real(about, "start"), real(about, "end"));
    print_channels(channels);
    print_events(epochs ? "Events" : "Conditions", json_object_get(about, "events"));
    if (json_array_size(columns) == 0) return;
    printf("Metadata\n ");
    for (size_t i = 0; i < json_array_size(columns); i++) printf(" %s", json_string_value(json_array_get(columns, i)));
    putchar('\n');
}
