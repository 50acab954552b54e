/* The inside of a dataset: trials that point into one or more storages, and how each storage is looked at. Operations make new views and copy
 * samples only where they would come out of the order  channels -> baseline -> window -> normalise  in which a trial is read. */
#ifndef NDI_VIEW_H
#define NDI_VIEW_H

#include "data/dataset.h"
#include "data/storage.h"

/* One storage and what is done to its trials when they are read. */
typedef struct part {
    storage *data;
    size_t *channels;                      /* per channel of the view: its place in the storage; NULL = all as they stand */
    size_t first, step;                    /* samples first, first + step, ... of the storage */
    size_t baseline_first, baseline_count; /* samples of the storage whose mean is subtracted; count 0 = none */
    int32_t normalise;                     /* still to be done when reading */
} part;

typedef struct place {
    uint32_t part, row;
} place;

/* What is known of a trial besides its image. */
typedef struct trial_label {
    int32_t subject, repetition, session, run;
} trial_label;

struct nd_dataset {
    atomic_size_t refs;
    part *parts;
    size_t n_parts;
    place *trials;
    trial_label *labels; /* per trial */
    size_t n_trials, n_channels, n_samples;
    double rate, start;
    int32_t normalise, averaged; /* as the user sees them, done or still to be done */
    ids images, concepts;        /* that occur among the trials */
    uint32_t *image;             /* per trial */
    uint32_t *concept;           /* per image */
};

extern const nd_dataset_options ndi_dataset_defaults;
extern const nd_label_options ndi_label_defaults;

nd_status ndi_dataset_of_storage(nd_dataset **d, storage *s); /* all of it; takes the storage, also on failure */
void ndi_dataset_free(nd_dataset *d);                         /* drops one reference */
nd_status ndi_dataset_describe(const nd_dataset *d, nd_dataset_info *info);

/* A view of some trials of a view (NULL = all), to be changed further before anybody sees it. */
nd_status ndi_dataset_derive(nd_dataset **d, const nd_dataset *source, const size_t *trials, size_t n_trials);

/* Gives a view that nobody has seen other images, image[i] of `images` for trial i, and counts repetitions anew. */
nd_status ndi_dataset_relabel(nd_dataset *d, const ids *images, const uint32_t *image);

/* Marks the trials whose image or concept is in the list; a word that fits none is an error that begins with `where`. */
nd_status ndi_dataset_find_labels(const nd_dataset *d, const char *list, const char *where, bool *found);

/* All trials of both; that they fit together has been checked. */
nd_status ndi_dataset_join(nd_dataset **d, const nd_dataset *first, const nd_dataset *second);

/* A storage of n_trials with the channels, images and timing of the view but no samples yet; its images are those of the view. */
nd_status ndi_storage_like(storage **s, const nd_dataset *d, size_t n_trials);

/* Images and labels of all trials of the view, for a storage of ndi_storage_like() with as many. */
void ndi_storage_label(storage *s, const nd_dataset *d);

/* The same trials read once into memory. */
nd_status ndi_dataset_copy(nd_dataset **d, const nd_dataset *source);

nd_status ndi_dataset_create(nd_dataset **d, const float *data, size_t n_trials, size_t n_channels, size_t n_samples, const char *const *image_ids,
                             const nd_dataset_options *o);
nd_status ndi_dataset_select(nd_dataset **d, const nd_dataset *source, const size_t *trials, size_t n_trials);
nd_status ndi_dataset_select_channels(nd_dataset **d, const nd_dataset *source, const char *channels);
nd_status ndi_dataset_window(nd_dataset **d, const nd_dataset *source, double start, double end, size_t step);
nd_status ndi_dataset_baseline(nd_dataset **d, const nd_dataset *source, double start, double end);
nd_status ndi_dataset_normalise(nd_dataset **d, const nd_dataset *source, int32_t kind);
nd_status ndi_dataset_average(nd_dataset **d, const nd_dataset *source);
nd_status ndi_dataset_average_blocks(nd_dataset **d, const nd_dataset *source);
nd_status ndi_dataset_label(nd_dataset **d, const nd_dataset *source, const char *path, const nd_label_options *o);
nd_status ndi_dataset_select_labels(nd_dataset **d, const nd_dataset *source, const char *keep, const char *drop);
nd_status ndi_dataset_detrend(nd_dataset **d, const nd_dataset *source, int32_t degree, const char *group);
nd_status ndi_dataset_standardise(nd_dataset **d, const nd_dataset *source, const char *group, const char *label);
nd_status ndi_dataset_concat(nd_dataset **d, const nd_dataset *first, const nd_dataset *second);
nd_status ndi_dataset_split(nd_dataset **first, nd_dataset **second, const nd_dataset *source, double fraction, const char *group, uint64_t seed);

#endif
