#include "neurodecode/recording.h"

#include <math.h>

#include "api/handle.h"
#include "data/recording.h"

nd_status nd_recording_options_init(nd_recording_options *options, size_t size)
{
    return ndi_options_init(options, size, &ndi_recording_defaults, sizeof ndi_recording_defaults, "nd_recording_options");
}

nd_status nd_events_options_init(nd_events_options *options, size_t size)
{
    return ndi_options_init(options, size, &ndi_events_defaults, sizeof ndi_events_defaults, "nd_events_options");
}

nd_status nd_filter_options_init(nd_filter_options *options, size_t size)
{
    return ndi_options_init(options, size, &ndi_filter_defaults, sizeof ndi_filter_defaults, "nd_filter_options");
}

nd_status nd_epoch_options_init(nd_epoch_options *options, size_t size)
{
    return ndi_options_init(options, size, &ndi_epoch_defaults, sizeof ndi_epoch_defaults, "nd_epoch_options");
}

nd_status nd_recording_open(nd_recording **recording, const char *path, const nd_recording_options *options)
{
    nd_recording_options o = ndi_recording_defaults;
    REQUIRE(recording);
    *recording = NULL;
    REQUIRE(path);
    TRY(ndi_options_in(&o, sizeof o, options, "nd_recording_options"));
    return ndi_recording_open(recording, path, &o);
}

nd_status nd_recording_create(nd_recording **recording, const double *data, size_t n_channels, size_t n_samples, const nd_recording_options *options)
{
    nd_recording_options o = ndi_recording_defaults;
    REQUIRE(recording);
    *recording = NULL;
    REQUIRE(data);
    TRY(ndi_options_in(&o, sizeof o, options, "nd_recording_options"));
    return ndi_recording_create(recording, data, n_channels, n_samples, &o);
}

void nd_recording_free(nd_recording *recording) { ndi_recording_free(recording); }

nd_status nd_recording_get_info(const nd_recording *recording, nd_recording_info *info)
{
    REQUIRE(recording);
    REQUIRE(info);
    const nd_recording_info known = { .size = sizeof known,
                                      .n_channels = recording->n_channels,
                                      .n_samples = recording->n_samples,
                                      .n_events = recording->n_marks,
                                      .rate = ndi_recording_rate(recording),
                                      .format = recording->from->format };
    return ndi_struct_out(info, &known, sizeof known, "nd_recording_info");
}

nd_status nd_recording_get_channel(const nd_recording *recording, size_t index, nd_channel *about)
{
    REQUIRE(recording);
    REQUIRE(about);
    CHECK(index < recording->n_channels, ND_ERR_ARGUMENT, "channel: got %zu, the recording has %zu", index, recording->n_channels);
    const channel *ch = ndi_recording_channel(recording, index);
    const nd_channel known = { .size = sizeof known, .name = ch->name, .type = ch->type, .unit = ch->unit, .bad = ch->bad };
    return ndi_struct_out(about, &known, sizeof known, "nd_channel");
}

nd_status nd_recording_get_event(const nd_recording *recording, size_t index, nd_event *about)
{
    REQUIRE(recording);
    REQUIRE(about);
    CHECK(index < recording->n_marks, ND_ERR_ARGUMENT, "event: got %zu, the recording has %zu", index, recording->n_marks);
    const mark *m = &recording->marks[index];
    const nd_event known = {
        .size = sizeof known, .sample = m->sample, .duration = m->duration, .text = m->text, .code = m->code, .previous = m->previous
    };
    return ndi_struct_out(about, &known, sizeof known, "nd_event");
}

nd_status nd_recording_get_data(const nd_recording *recording, uint64_t first, size_t count, double *data, size_t capacity)
{
    REQUIRE(recording);
    REQUIRE(data);
    CHECK(first <= recording->n_samples && count <= recording->n_samples - first, ND_ERR_ARGUMENT,
          "samples: got %zu from %llu on, the recording has %llu", count, (unsigned long long)first, (unsigned long long)recording->n_samples);
    CHECK(count <= SIZE_MAX / recording->n_channels && capacity >= count * recording->n_channels, ND_ERR_BUFFER,
          "data: got room for %zu values, need %zu x %zu", capacity, recording->n_channels, count);
    return ndi_recording_read(recording, first, count, data);
}

/* What every operation begins with. */
#define REQUIRE_HANDLES(recording, source) \
    do { \
        REQUIRE(recording); \
        *recording = NULL; \
        REQUIRE(source); \
    } while (0)

nd_status nd_recording_select_channels(nd_recording **recording, const nd_recording *source, const char *channels)
{
    REQUIRE_HANDLES(recording, source);
    REQUIRE(channels);
    return ndi_recording_select_channels(recording, source, channels);
}

nd_status nd_recording_crop(nd_recording **recording, const nd_recording *source, double start, double end)
{
    REQUIRE_HANDLES(recording, source);
    return ndi_recording_crop(recording, source, start, end);
}

nd_status nd_recording_find_events(nd_recording **recording, const nd_recording *source, const nd_events_options *options)
{
    nd_events_options o = ndi_events_defaults;
    REQUIRE_HANDLES(recording, source);
    TRY(ndi_options_in(&o, sizeof o, options, "nd_events_options"));
    return ndi_recording_find_events(recording, source, &o);
}

nd_status nd_recording_set_events(nd_recording **recording, const nd_recording *source, const uint64_t *samples, const int32_t *codes, size_t n)
{
    REQUIRE_HANDLES(recording, source);
    if (n) REQUIRE(samples);
    if (n) REQUIRE(codes);
    return ndi_recording_set_events(recording, source, samples, codes, n);
}

nd_status nd_recording_rereference(nd_recording **recording, const nd_recording *source, const char *reference)
{
    REQUIRE_HANDLES(recording, source);
    REQUIRE(reference);
    return ndi_recording_rereference(recording, source, reference);
}

nd_status nd_recording_filter(nd_recording **recording, const nd_recording *source, const nd_filter_options *options, nd_progress_fn fn, void *user)
{
    nd_filter_options o = ndi_filter_defaults;
    REQUIRE_HANDLES(recording, source);
    TRY(ndi_options_in(&o, sizeof o, options, "nd_filter_options"));
    return ndi_recording_filter(recording, source, &o, fn, user);
}

nd_status nd_recording_notch(nd_recording **recording, const nd_recording *source, const double *frequencies, size_t n, nd_progress_fn fn, void *user)
{
    REQUIRE_HANDLES(recording, source);
    REQUIRE(frequencies);
    return ndi_recording_notch(recording, source, frequencies, n, fn, user);
}

nd_status nd_recording_resample(nd_recording **recording, const nd_recording *source, double rate, nd_progress_fn fn, void *user)
{
    REQUIRE_HANDLES(recording, source);
    return ndi_recording_resample(recording, source, rate, fn, user);
}

nd_status nd_recording_epoch(nd_dataset **dataset, const nd_recording *source, const nd_epoch_options *options, nd_epoch_report *report,
                             nd_progress_fn fn, void *user)
{
    nd_epoch_options o = ndi_epoch_defaults;
    nd_epoch_report known = { .size = sizeof known };
    REQUIRE_HANDLES(dataset, source);
    TRY(ndi_options_in(&o, sizeof o, options, "nd_epoch_options"));
    nd_status status = ndi_recording_epoch(dataset, source, &o, &known, fn, user);
    if (status != ND_OK || !report) return status;
    status = ndi_struct_out(report, &known, sizeof known, "nd_epoch_report");
    if (status != ND_OK) nd_dataset_free(*dataset);
    if (status != ND_OK) *dataset = NULL;
    return status;
}
