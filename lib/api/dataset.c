#include "neurodecode/dataset.h"

#include <math.h>

#include "api/handle.h"
#include "data/import.h"
#include "data/store.h"
#include "data/view.h"
#include "data/whiten.h"

static const char options_name[] = "nd_dataset_options";

static nd_status options_in(nd_dataset_options *known, const nd_dataset_options *given)
{
    *known = ndi_dataset_defaults;
    TRY(ndi_options_in(known, sizeof *known, given, options_name));
    CHECK(!isinf(known->start), ND_ERR_ARGUMENT, "%s: start: got %g, expected seconds", options_name, known->start);
    return ND_OK;
}

nd_status nd_dataset_options_init(nd_dataset_options *options, size_t size)
{
    return ndi_options_init(options, size, &ndi_dataset_defaults, sizeof ndi_dataset_defaults, options_name);
}

nd_status nd_dataset_create(nd_dataset **dataset, const float *data, size_t n_trials, size_t n_channels, size_t n_samples,
                            const char *const *image_ids, const nd_dataset_options *options)
{
    nd_dataset_options o;
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(data);
    for (size_t i = 0; image_ids && i < n_trials; i++) REQUIRE(image_ids[i]);
    TRY(options_in(&o, options));
    return ndi_dataset_create(dataset, data, n_trials, n_channels, n_samples, image_ids, &o);
}

nd_status nd_dataset_open(nd_dataset **dataset, const char *path, const nd_dataset_options *options, nd_progress_fn fn, void *user)
{
    nd_dataset_options o;
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(path);
    TRY(options_in(&o, options));
    return ndi_dataset_open(dataset, path, &o, fn, user);
}

nd_status nd_dataset_import(nd_dataset **dataset, const char *source, const char *path, const nd_dataset_options *options, nd_progress_fn fn,
                            void *user)
{
    nd_dataset_options o;
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    REQUIRE(path);
    TRY(options_in(&o, options));
    return ndi_dataset_import(dataset, source, path, &o, fn, user);
}

nd_status nd_dataset_open_things_eeg2(nd_dataset **dataset, const char *folder, int32_t subject, const char *partition, const char *store_dir,
                                      const nd_dataset_options *options, nd_progress_fn fn, void *user)
{
    nd_dataset_options o;
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(folder);
    REQUIRE(partition);
    TRY(options_in(&o, options));
    if (!options) o.average = 1;
    return ndi_dataset_open_things_eeg2(dataset, folder, subject, partition, store_dir, &o, fn, user);
}

nd_status nd_dataset_save(const nd_dataset *dataset, const char *path, nd_progress_fn fn, void *user)
{
    REQUIRE(dataset);
    REQUIRE(path);
    return ndi_dataset_save(dataset, path, ND_PRECISION_FLOAT32, fn, user);
}

nd_status nd_dataset_save_as(const nd_dataset *dataset, const char *path, int32_t precision, nd_progress_fn fn, void *user)
{
    REQUIRE(dataset);
    REQUIRE(path);
    return ndi_dataset_save(dataset, path, precision, fn, user);
}

void nd_dataset_free(nd_dataset *dataset) { ndi_dataset_free(dataset); }

nd_status nd_dataset_get_info(const nd_dataset *dataset, nd_dataset_info *info)
{
    nd_dataset_info known;
    REQUIRE(dataset);
    REQUIRE(info);
    TRY(ndi_dataset_describe(dataset, &known));
    return ndi_struct_out(info, &known, sizeof known, "nd_dataset_info");
}

nd_status nd_dataset_get_channel(const nd_dataset *dataset, size_t index, const char **name)
{
    REQUIRE(dataset);
    REQUIRE(name);
    CHECK(index < dataset->n_channels, ND_ERR_ARGUMENT, "channel: got %zu, the dataset has %zu", index, dataset->n_channels);
    *name = ndi_dataset_channel(dataset, index);
    return ND_OK;
}

nd_status nd_dataset_get_image(const nd_dataset *dataset, size_t index, const char **id)
{
    REQUIRE(dataset);
    REQUIRE(id);
    CHECK(index < dataset->images.n, ND_ERR_ARGUMENT, "image: got %zu, the dataset has %zu", index, dataset->images.n);
    *id = dataset->images.items[index];
    return ND_OK;
}

nd_status nd_dataset_get_trial(const nd_dataset *dataset, size_t index, nd_trial *trial)
{
    REQUIRE(dataset);
    REQUIRE(trial);
    CHECK(index < dataset->n_trials, ND_ERR_ARGUMENT, "trial: got %zu, the dataset has %zu", index, dataset->n_trials);
    const uint32_t image = dataset->image[index];
    const nd_trial known = { .size = sizeof known,
                             .image = dataset->images.items[image],
                             .image_index = (int32_t)image,
                             .concept_index = (int32_t)dataset->concept[image],
                             .subject = ndi_dataset_subject_of(dataset, index),
                             .repetition = ndi_dataset_repetition_of(dataset, index),
                             .session = ndi_dataset_session_of(dataset, index),
                             .run = ndi_dataset_run_of(dataset, index) };
    return ndi_struct_out(trial, &known, sizeof known, "nd_trial");
}

nd_status nd_dataset_get_data(const nd_dataset *dataset, size_t first, size_t count, float *data, size_t capacity)
{
    REQUIRE(dataset);
    REQUIRE(data);
    CHECK(first <= dataset->n_trials && count <= dataset->n_trials - first, ND_ERR_ARGUMENT, "trials: got %zu from %zu on, the dataset has %zu",
          count, first, dataset->n_trials);
    size_t per_trial = dataset->n_channels * dataset->n_samples;
    CHECK(capacity >= count * per_trial, ND_ERR_BUFFER, "data: got room for %zu elements, need %zu", capacity, count * per_trial);
    for (size_t i = 0; i < count; i++) ndi_dataset_read(dataset, first + i, data + i * per_trial);
    return ND_OK;
}

nd_status nd_dataset_select(nd_dataset **dataset, const nd_dataset *source, const size_t *trials, size_t n_trials)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    REQUIRE(trials);
    return ndi_dataset_select(dataset, source, trials, n_trials);
}

nd_status nd_dataset_select_channels(nd_dataset **dataset, const nd_dataset *source, const char *channels)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    REQUIRE(channels);
    return ndi_dataset_select_channels(dataset, source, channels);
}

nd_status nd_dataset_window(nd_dataset **dataset, const nd_dataset *source, double start, double end, size_t step)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_window(dataset, source, start, end, step);
}

nd_status nd_dataset_baseline(nd_dataset **dataset, const nd_dataset *source, double start, double end)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_baseline(dataset, source, start, end);
}

nd_status nd_dataset_average(nd_dataset **dataset, const nd_dataset *source)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_average(dataset, source);
}

nd_status nd_dataset_normalise(nd_dataset **dataset, const nd_dataset *source, int32_t normalise)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_normalise(dataset, source, normalise);
}

nd_status nd_label_options_init(nd_label_options *options, size_t size)
{
    return ndi_options_init(options, size, &ndi_label_defaults, sizeof ndi_label_defaults, "nd_label_options");
}

nd_status nd_dataset_label(nd_dataset **dataset, const nd_dataset *source, const char *table, const nd_label_options *options)
{
    nd_label_options o = ndi_label_defaults;
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    REQUIRE(table);
    TRY(ndi_options_in(&o, sizeof o, options, "nd_label_options"));
    return ndi_dataset_label(dataset, source, table, &o);
}

nd_status nd_dataset_select_labels(nd_dataset **dataset, const nd_dataset *source, const char *keep, const char *drop)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_select_labels(dataset, source, keep, drop);
}

nd_status nd_dataset_average_blocks(nd_dataset **dataset, const nd_dataset *source)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_average_blocks(dataset, source);
}

nd_status nd_dataset_detrend(nd_dataset **dataset, const nd_dataset *source, int32_t degree, const char *group)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_detrend(dataset, source, degree, group);
}

nd_status nd_dataset_standardise(nd_dataset **dataset, const nd_dataset *source, const char *group, const char *label)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_standardise(dataset, source, group, label);
}

nd_status nd_dataset_resample(nd_dataset **dataset, const nd_dataset *source, double rate, nd_progress_fn fn, void *user)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    return ndi_dataset_resample(dataset, source, rate, fn, user);
}

nd_status nd_dataset_whiten(nd_dataset **dataset, const nd_dataset *source, const nd_dataset *const *fits, size_t n_fits, int32_t per,
                            nd_progress_fn fn, void *user)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(source);
    REQUIRE(fits);
    for (size_t i = 0; i < n_fits; i++) REQUIRE(fits[i]);
    return ndi_dataset_whiten(dataset, source, fits, n_fits, per, fn, user);
}

nd_status nd_dataset_concat(nd_dataset **dataset, const nd_dataset *first, const nd_dataset *second)
{
    REQUIRE(dataset);
    *dataset = NULL;
    REQUIRE(first);
    REQUIRE(second);
    return ndi_dataset_concat(dataset, first, second);
}

nd_status nd_dataset_split(nd_dataset **first, nd_dataset **second, const nd_dataset *source, double fraction, const char *group, uint64_t seed)
{
    REQUIRE(first);
    REQUIRE(second);
    *first = *second = NULL;
    REQUIRE(source);
    REQUIRE(group);
    return ndi_dataset_split(first, second, source, fraction, group, seed);
}
