/* What the dimensions of an array are: where each trial begins, and whose it is. */
#ifndef NDI_LAYOUT_H
#define NDI_LAYOUT_H

#include "io/content.h"

typedef struct axis {
    int role;
    size_t extent, stride; /* stride in elements, C order */
} axis;

typedef struct layout {
    axis axes[NDI_MAX_DIMS]; /* trial, concept, image, repetition and subject, in file order */
    size_t n_axes, n_trials;
    size_t n_channels, channel_stride, n_samples, sample_stride;
    size_t n_images;          /* image ids to expect: those of the axes concept and image, else extent of trial, else all trials */
    size_t images_of_concept; /* extent of the axis image, 1 without */
    bool compact;             /* the samples of a trial follow each other, channel by channel */
} layout;

/* Reads the words of `axes`; NULL = by the number of dimensions. `where` begins the message. */
nd_status ndi_layout_set(layout *l, const array *a, const char *axes, const char *where);

typedef struct trial_origin {
    size_t offset;  /* of its first element */
    size_t image;   /* 0 .. n_images - 1 */
    size_t subject; /* from 1; 0 = the array has no such axis */
} trial_origin;

trial_origin ndi_layout_trial(const layout *l, size_t trial);

#endif
