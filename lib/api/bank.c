#include "neurodecode/bank.h"

#include <string.h>

#include "api/handle.h"
#include "data/bank_layers.h"

static const char options_name[] = "nd_bank_options";

nd_status nd_bank_options_init(nd_bank_options *options, size_t size)
{
    return ndi_options_init(options, size, &ndi_bank_defaults, sizeof ndi_bank_defaults, options_name);
}

nd_status nd_bank_create(nd_bank **bank, const float *vectors, size_t n_images, size_t dim, const char *const *image_ids, const char *layer_name)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(vectors);
    for (size_t i = 0; image_ids && i < n_images; i++) REQUIRE(image_ids[i]);
    return ndi_bank_create(bank, vectors, n_images, dim, image_ids, layer_name);
}

nd_status nd_bank_create_one_hot(nd_bank **bank, const nd_dataset *dataset)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(dataset);
    return ndi_bank_create_one_hot(bank, dataset);
}

nd_status nd_bank_open(nd_bank **bank, const char *path, const nd_bank_options *options, nd_progress_fn fn, void *user)
{
    nd_bank_options o = ndi_bank_defaults;
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(path);
    TRY(ndi_options_in(&o, sizeof o, options, options_name));
    return ndi_bank_open(bank, path, &o, fn, user);
}

nd_status nd_bank_open_things_eeg2(nd_bank **bank, const char *folder, const char *partition, const char *suffix, nd_progress_fn fn, void *user)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(folder);
    REQUIRE(partition);
    return ndi_bank_open_things_eeg2(bank, folder, partition, suffix, fn, user);
}

nd_status nd_bank_save(const nd_bank *bank, const char *path)
{
    REQUIRE(bank);
    REQUIRE(path);
    return ndi_bank_save(bank, path, ND_PRECISION_FLOAT32);
}

nd_status nd_bank_save_as(const nd_bank *bank, const char *path, int32_t precision)
{
    REQUIRE(bank);
    REQUIRE(path);
    return ndi_bank_save(bank, path, precision);
}

void nd_bank_free(nd_bank *bank) { ndi_bank_free(bank); }

nd_status nd_bank_get_info(const nd_bank *bank, nd_bank_info *info)
{
    REQUIRE(bank);
    REQUIRE(info);
    const nd_bank_info known = {
        .size = sizeof known, .n_images = bank->images.n, .n_layers = bank->n_layers, .dim = bank->layers[0].dim, .hash = ndi_bank_hash(bank)
    };
    return ndi_struct_out(info, &known, sizeof known, "nd_bank_info");
}

nd_status nd_bank_get_layer(const nd_bank *bank, size_t index, const char **name, size_t *dim)
{
    REQUIRE(bank);
    CHECK(index < bank->n_layers, ND_ERR_ARGUMENT, "layer: got %zu, the bank has %zu", index, bank->n_layers);
    if (name) *name = bank->layers[index].name;
    if (dim) *dim = bank->layers[index].dim;
    return ND_OK;
}

nd_status nd_bank_get_image(const nd_bank *bank, size_t index, const char **id)
{
    REQUIRE(bank);
    REQUIRE(id);
    CHECK(index < bank->images.n, ND_ERR_ARGUMENT, "image: got %zu, the bank has %zu", index, bank->images.n);
    *id = bank->images.items[index];
    return ND_OK;
}

nd_status nd_bank_get_vectors(const nd_bank *bank, const char *layer_name, float *vectors, size_t capacity)
{
    size_t index;
    REQUIRE(bank);
    REQUIRE(vectors);
    TRY(ndi_bank_find_layer(bank, layer_name, &index));
    size_t n = bank->images.n * bank->layers[index].dim;
    CHECK(capacity >= n, ND_ERR_BUFFER, "vectors: got room for %zu elements, need %zu", capacity, n);
    memcpy(vectors, bank->layers[index].vectors, n * sizeof *vectors);
    return ND_OK;
}

nd_status nd_bank_select(nd_bank **bank, const nd_bank *source, const char *const *image_ids, size_t n_images)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(source);
    REQUIRE(image_ids);
    for (size_t i = 0; i < n_images; i++) REQUIRE(image_ids[i]);
    return ndi_bank_select(bank, source, image_ids, n_images);
}

nd_status nd_bank_select_for(nd_bank **bank, const nd_bank *source, const nd_dataset *dataset)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(source);
    REQUIRE(dataset);
    return ndi_bank_select_for(bank, source, dataset);
}

nd_status nd_bank_append(nd_bank **bank, const nd_bank *first, const nd_bank *second)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(first);
    REQUIRE(second);
    return ndi_bank_append(bank, first, second);
}

nd_status nd_bank_add_layers(nd_bank **bank, const nd_bank *first, const nd_bank *second)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(first);
    REQUIRE(second);
    return ndi_bank_add_layers(bank, first, second);
}

nd_status nd_bank_concat_layers(nd_bank **bank, const nd_bank *source, const char *layers, int32_t unit_length)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(source);
    return ndi_bank_concat_layers(bank, source, layers, unit_length != 0);
}

nd_status nd_bank_standardise(nd_bank **bank, const nd_bank *source, const nd_bank *fit)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(source);
    return ndi_bank_standardise(bank, source, fit);
}

nd_status nd_bank_align(nd_bank **bank, const nd_bank *source, const char *transform)
{
    REQUIRE(bank);
    *bank = NULL;
    REQUIRE(source);
    REQUIRE(transform);
    return ndi_bank_align(bank, source, transform);
}
