/* A continuous recording in one screen: duration, channels by type and unit, events by code. */
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

void show_recording(json_t *about)
{
    const json_t *channels = json_object_get(about, "channels");
    json_t *events = json_object_get(about, "events"), *count;
    const char *name;
    size_t n = 0;
    printf("Recording\n  %zu channels x %lld samples at %g Hz, %.1f s\n", json_array_size(channels),
           (long long)json_integer_value(json_object_get(about, "samples")), json_real_value(json_object_get(about, "rate")),
           json_real_value(json_object_get(about, "seconds")));
    const json_t *highpass = json_object_get(about, "highpass"), *lowpass = json_object_get(about, "lowpass");
    if (highpass || lowpass) printf("  filtered when it was recorded:");
    if (highpass) printf(" from %g Hz", json_real_value(highpass));
    if (lowpass) printf(" up to %g Hz", json_real_value(lowpass));
    if (highpass || lowpass) putchar('\n');
    puts("Channels");
    for (size_t i = 0; i < json_array_size(channels); i++) print_kind(channels, i);
    if (json_object_size(events)) puts("Events");
    json_object_foreach(events, name, count) if (n++ < MOST_EVENTS) printf("  %6lld x %s\n", (long long)json_integer_value(count), name);
    if (n > MOST_EVENTS) printf("  and %zu more kinds\n", n - MOST_EVENTS);
}
