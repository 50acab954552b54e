/* The inside of a bank, for the files that make banks. */
#ifndef NDI_BANK_LAYERS_H
#define NDI_BANK_LAYERS_H

#include <stdatomic.h>

#include "data/bank.h"

typedef struct layer {
    char *name;
    size_t dim;
    float *vectors; /* images x dim */
} layer;

struct nd_bank {
    atomic_size_t refs;
    ids images;
    layer *layers;
    size_t n_layers;
    _Atomic uint64_t hash; /* computed when first asked for; 0 = not yet */
};

extern const nd_bank_options ndi_bank_defaults;

/* A bank being made: room for layers, then images, then layers are added; given up with ndi_bank_free(). */
nd_status ndi_bank_new(nd_bank **b, size_t max_layers);
nd_status ndi_bank_add_image(nd_bank *b, const char *id); /* ids must differ */
nd_status ndi_bank_add_images_of(nd_bank *b, const nd_bank *source);
nd_status ndi_bank_add_layer(nd_bank *b, const char *name, size_t dim, float **vectors); /* zeroed room for all images; names must differ */
nd_status ndi_bank_check_finite(const nd_bank *b, const char *where);

nd_status ndi_bank_create(nd_bank **b, const float *vectors, size_t n_images, size_t dim, const char *const *image_ids, const char *layer_name);
nd_status ndi_bank_create_one_hot(nd_bank **b, const nd_dataset *d);
nd_status ndi_bank_open(nd_bank **b, const char *path, const nd_bank_options *o, nd_progress_fn fn, void *user);
nd_status ndi_bank_open_file(nd_bank **b, const char *path, const nd_bank_options *o);
nd_status ndi_bank_open_folder(nd_bank **b, const char *folder, const nd_bank_options *o, nd_progress_fn fn, void *user);
nd_status ndi_bank_open_things_eeg2(nd_bank **b, const char *folder, const char *partition, const char *suffix, nd_progress_fn fn, void *user);
nd_status ndi_bank_save(const nd_bank *b, const char *path, int32_t precision);

nd_status ndi_bank_select(nd_bank **b, const nd_bank *source, const char *const *image_ids, size_t n_images);
nd_status ndi_bank_select_for(nd_bank **b, const nd_bank *source, const nd_dataset *d);
nd_status ndi_bank_append(nd_bank **b, const nd_bank *first, const nd_bank *second);
nd_status ndi_bank_add_layers(nd_bank **b, const nd_bank *first, const nd_bank *second);
nd_status ndi_bank_concat_layers(nd_bank **b, const nd_bank *source, const char *layers, bool unit_length);
nd_status ndi_bank_standardise(nd_bank **b, const nd_bank *source, const nd_bank *fit);
nd_status ndi_bank_align(nd_bank **b, const nd_bank *source, const char *transform);

#endif
