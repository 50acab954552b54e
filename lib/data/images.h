/* Lists of image ids from files. */
#ifndef NDI_IMAGES_H
#define NDI_IMAGES_H

#include "io/content.h"

typedef struct image_list {
    arena memory;
    const char **items; /* n ids, in the order of the file; an id may stand several times */
    size_t n;
} image_list;

/* Reads a text file (one id per line), a .npy of strings or whole numbers, or an image_metadata.npy of THINGS-EEG2, from which `partition`
 * ("training", "test") is taken; NULL = the one with n_expected images. n_expected 0 = any number, else another number is an error that begins
 * with `where`. */
nd_status ndi_images_open(image_list *list, const char *path, const char *partition, size_t n_expected, const char *where);

/* The ids of the n_expected images whose trials the content holds: of the file `images`, as above; of "column:NAME", texts or whole numbers in the content, also as
 * "metadata/NAME"; NULL = what the content says of its trials, an empty list where it says nothing. Paths of THINGS-MEG become ids. */
nd_status ndi_images_find(image_list *list, const content *c, const char *images, const char *partition, size_t n_expected, const char *where);
void ndi_images_free(image_list *list);

#endif
