/* The Natural Scenes Dataset (Allen et al. 2022): which picture each trial showed, where the voxels of each trial stand, and trials z-scored by session and averaged by
 * picture, read as they are asked for. */
#ifndef NDI_NSD_H
#define NDI_NSD_H

#include "base/pool.h"
#include "data/storage.h"
#include "data/store.h"

enum {
    NSD_PEOPLE = 8,
    NSD_SESSION = 750,     /* trials of a session */
    NSD_SESSIONS = 40,     /* planned for each person */
    NSD_SEEN = 10000,      /* pictures of one person */
    NSD_SHARED = 1000,     /* the first of these: everybody's, kept for testing */
    NSD_PICTURES = 73000,  /* of all people */
    NSD_ID_SIZE = 16
};

/* "nsd-00000": the id of a picture by its row among the 73,000. */
void ndi_nsd_id(char id[NSD_ID_SIZE], uint32_t picture);

/* ---- the experiment ---- */

typedef struct nsd_design {
    uint32_t *picture; /* of each planned trial of the person: its row among the 73,000 */
    bool *shared;      /* and whether it is one that everybody saw */
    size_t n_trials;   /* planned: sessions x 750 */
} nsd_design;

/* Reads nsd_expdesign.mat for a person, counted from 1. */
nd_status ndi_nsd_design_open(nsd_design *d, const char *path, size_t subject);
void ndi_nsd_design_free(nsd_design *d);

/* What is published of a person: sessions that were held, voxels of the region nsdgeneral. */
size_t ndi_nsd_sessions(size_t subject);
size_t ndi_nsd_voxels(size_t subject);

/* ---- voxels ---- */

typedef struct nsd_block {
    content *file;
    array rows;          /* trials x voxels, or trials x volume */
    size_t first, count; /* trials */
} nsd_block;

/* Trials x voxels that stand in one file or in several that follow each other. */
typedef struct nsd_voxels {
    nsd_block blocks[NSD_SESSIONS];
    size_t n_blocks, n_trials, n_voxels;
    size_t *mask, volume; /* where the voxels stand in a volume of so many; NULL = rows are voxels */
} nsd_voxels;

/* A NIfTI or any array of numbers: voxels above 0 are wanted, the last index (z) fastest, as NumPy's betas[mask > 0]. Before files are added. */
nd_status ndi_nsd_voxels_mask(nsd_voxels *v, const char *path);

/* Appends the trials of a file: the array `voxels` or `betas`, or the only one. */
nd_status ndi_nsd_voxels_add(nsd_voxels *v, const char *path);
void ndi_nsd_voxels_free(nsd_voxels *v);

/* Trials can be read in any order and by several threads. */
bool ndi_nsd_voxels_concurrent(const nsd_voxels *v);

/* The voxels of one trial; `scratch` has room for ndi_nsd_voxels_scratch() numbers. */
size_t ndi_nsd_voxels_scratch(const nsd_voxels *v);
nd_status ndi_nsd_voxels_read(const nsd_voxels *v, size_t trial, double *x, double *scratch);

/* Copies trials first .. first + count - 1 into a .npy file, trials x voxels, float32. */
nd_status ndi_nsd_voxels_copy(const nsd_voxels *v, size_t first, size_t count, const char *path, nd_progress_fn fn, void *user);

/* ---- z-scores ---- */

/* Mean and 1 / population standard deviation (0 for a voxel that does not vary) of each voxel in each session: sessions x voxels. */
typedef struct nsd_scale {
    double *mean, *gain;
    size_t n_sessions;
} nsd_scale;

/* Over the trials marked, or all for NULL. */
nd_status ndi_nsd_scale_find(nsd_scale *s, const nsd_voxels *v, const bool *marked, pool *p, nd_progress_fn fn, void *user);
nd_status ndi_nsd_scale_save(const nsd_scale *s, size_t n_voxels, const char *path);
nd_status ndi_nsd_scale_open(nsd_scale *s, size_t n_sessions, size_t n_voxels, const char *path);
void ndi_nsd_scale_free(nsd_scale *s);

/* ---- stores ---- */

typedef struct nsd_choice {
    size_t subject;
    bool shared, average;   /* the shared pictures or the others; one row for each picture, in order of first appearance, or for each trial */
    const nsd_scale *scale; /* NULL = as they stand */
} nsd_choice;

/* Of each of the first n_trials its row in the store, numbered in order of first appearance; NDI_NO_GROUP where it is not chosen. */
nd_status ndi_nsd_rows(const nsd_choice *c, const nsd_design *d, size_t n_trials, uint32_t *row_of, size_t *n_rows);

nd_status ndi_nsd_store_write(const nsd_choice *c, const nsd_design *d, const nsd_voxels *v, const char *path, pool *p, nd_progress_fn fn, void *user);

#endif
