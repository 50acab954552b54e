/* nsd_expdesign.mat: `masterordering` (1 x 30000) says which of a person's 10,000 pictures each trial showed, counted from 1 and the same for everybody; `subjectim` (8 x 10000)
 * which of the 73,000 that is, also from 1; `sharedix` (1 x 1000) lists the ones that everybody saw, the first 1000 of each person. */
#include <math.h>
#include <stdio.h>

#include "data/nsd.h"

static const struct {
    size_t sessions, voxels;
} people[NSD_PEOPLE] = { { 40, 15724 }, { 40, 14278 }, { 32, 15226 }, { 30, 13153 }, { 40, 13039 }, { 32, 17907 }, { 40, 12682 }, { 30, 14386 } };

size_t ndi_nsd_sessions(size_t subject) { return people[subject - 1].sessions; }
size_t ndi_nsd_voxels(size_t subject) { return people[subject - 1].voxels; }

void ndi_nsd_id(char id[NSD_ID_SIZE], uint32_t picture) { snprintf(id, NSD_ID_SIZE, "nsd-%05u", picture); }

/* n whole numbers from 1 to `most`, given from 0. */
static nd_status take_numbers(const array *a, size_t first, size_t n, size_t most, uint32_t *to)
{
    const char *file = ndi_stream_name(a->in);
    double *values;
    TRY(NEW(values, n));
    nd_status status = ndi_array_read_f64(a, first, n, values);
    for (size_t i = 0; i < n && status == ND_OK; i++) {
        if (!(values[i] >= 1 && values[i] <= (double)most) || values[i] != floor(values[i]))
            status = ndi_fail(ND_ERR_FORMAT, "%s: array '%s': entry %zu is %g, expected a whole number from 1 to %zu", file, a->name, first + i,
                              values[i], most);
        else
            to[i] = (uint32_t)values[i] - 1;
    }
    ndi_free(values);
    return status;
}

static nd_status pick(const content *c, const char *name, size_t n, const char *expected, const array **a)
{
    TRY(ndi_content_pick(c, name, a));
    CHECK((*a)->n == n, ND_ERR_FORMAT, "%s: array '%s' has %zu entries, expected %s", ndi_stream_name((*a)->in), name, (*a)->n, expected);
    return ND_OK;
}

/* The 10,000 pictures of a person: no two alike. */
static nd_status read_seen(const content *c, size_t subject, uint32_t *seen)
{
    const array *a;
    bool *met;
    TRY(pick(c, "subjectim", (size_t)NSD_PEOPLE * NSD_SEEN, "8 x 10000", &a));
    CHECK(a->n_dims == 2 && a->shape[0] == NSD_PEOPLE, ND_ERR_FORMAT, "%s: array 'subjectim' has %zu dimensions, the first %zu, expected 8 x 10000",
          ndi_stream_name(a->in), a->n_dims, a->shape[0]);
    TRY(take_numbers(a, (subject - 1) * NSD_SEEN, NSD_SEEN, NSD_PICTURES, seen));
    TRY(NEW(met, NSD_PICTURES));
    nd_status status = ND_OK;
    for (size_t i = 0; i < NSD_SEEN && status == ND_OK; i++) {
        if (met[seen[i]])
            status = ndi_fail(ND_ERR_FORMAT, "%s: array 'subjectim': subject %zu has picture %u twice", ndi_stream_name(a->in), subject, seen[i] + 1);
        met[seen[i]] = true;
    }
    ndi_free(met);
    return status;
}

/* The shared pictures, where the file lists them, are the person's first. */
static nd_status check_shared(const content *c, size_t subject, const uint32_t *seen)
{
    const array *a;
    uint32_t shared[NSD_SHARED];
    if (!ndi_content_array(c, "sharedix")) return ND_OK;
    TRY(pick(c, "sharedix", NSD_SHARED, "1000", &a));
    TRY(take_numbers(a, 0, NSD_SHARED, NSD_PICTURES, shared));
    for (size_t i = 0; i < NSD_SHARED; i++)
        CHECK(shared[i] == seen[i], ND_ERR_FORMAT, "%s: array 'sharedix': entry %zu is %u, expected %u as subject %zu has in 'subjectim'",
              ndi_stream_name(a->in), i, shared[i] + 1, seen[i] + 1, subject);
    return ND_OK;
}

static nd_status read_order(nsd_design *d, const content *c, const uint32_t *seen)
{
    const array *a;
    TRY(pick(c, "masterordering", (size_t)NSD_SESSIONS * NSD_SESSION, "30000", &a));
    TRY(NEW(d->picture, d->n_trials));
    TRY(NEW(d->shared, d->n_trials));
    TRY(take_numbers(a, 0, d->n_trials, NSD_SEEN, d->picture));
    for (size_t i = 0; i < d->n_trials; i++) {
        d->shared[i] = d->picture[i] < NSD_SHARED;
        d->picture[i] = seen[d->picture[i]];
    }
    return ND_OK;
}

nd_status ndi_nsd_design_open(nsd_design *d, const char *path, size_t subject)
{
    content *c = NULL;
    uint32_t *seen = NULL;
    nd_status status;
    *d = (nsd_design){ .n_trials = ndi_nsd_sessions(subject) * NSD_SESSION };
    GO(ndi_content_open(&c, path));
    GO(NEW(seen, NSD_SEEN));
    GO(read_seen(c, subject, seen));
    GO(check_shared(c, subject, seen));
    GO(read_order(d, c, seen));
done:
    if (status != ND_OK) ndi_nsd_design_free(d);
    ndi_free(seen);
    ndi_content_free(c);
    return status;
}

void ndi_nsd_design_free(nsd_design *d)
{
    ndi_free(d->picture);
    ndi_free(d->shared);
    *d = (nsd_design){ 0 };
}
