/* Images of the brain as trials: each volume is one, each voxel inside the mask a channel. */
#ifndef NDI_VOLUMES_H
#define NDI_VOLUMES_H

#include "data/storage.h"

typedef struct volumes {
    array values; /* of the file, volume after volume */
    size_t extents[3], n_voxels, n_volumes;
    size_t *kept, n_kept; /* voxels that are read: their places in a volume, the last index fastest */
    double interval;      /* seconds from volume to volume, 0 = unknown */
} volumes;

/* Whether the content is an image of the brain. */
bool ndi_volumes_are(const content *c);

/* The array of an image, with the voxels of the mask (NULL = all). Give it back in any case. */
nd_status ndi_volumes_open(volumes *v, const content *c, const array *a, const char *mask, const char *path);
void ndi_volumes_free(volumes *v);

/* Channels are called by their indices, "12_3_0". */
nd_status ndi_volumes_name(const volumes *v, storage *s);

/* The kept voxels of one volume; `all` has room for a whole one. */
nd_status ndi_volumes_read(const volumes *v, size_t volume, double *all, double *kept);

#endif
