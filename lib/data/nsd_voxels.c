/* Where the voxels of NSD's trials stand: one array trials x voxels, or one file of whole volumes for each session with a mask. */
#include <float.h>
#include <math.h>

#include "data/normalise.h"
#include "data/nsd.h"
#include "io/format.h"

static const double units = 300; /* betas in whole numbers are percent signal change x 300 */

/* The same elements in the order they stand in: an array whose first index is fastest, turned over. */
static array as_stored(const array *a)
{
    array b = *a;
    if (!a->fortran) return b;
    b.fortran = false;
    for (size_t d = 0; d < a->n_dims; d++) b.shape[d] = a->shape[a->n_dims - 1 - d];
    return b;
}

/* ---- the mask ---- */

/* Offsets of the voxels above 0 in a volume of shape z y x as stored, x fastest; listed with z fastest. */
static nd_status list_voxels(nsd_voxels *v, const array *a, const double *values, const char *path)
{
    const size_t nz = a->shape[0], ny = a->shape[1], nx = a->shape[2];
    for (size_t i = 0; i < a->n; i++) v->n_voxels += values[i] > 0;
    CHECK(v->n_voxels > 0, ND_ERR_FORMAT, "%s: no voxel is above 0", path);
    TRY(NEW(v->mask, v->n_voxels));
    size_t n = 0;
    for (size_t x = 0; x < nx; x++)
        for (size_t y = 0; y < ny; y++)
            for (size_t z = 0; z < nz; z++) {
                size_t at = (z * ny + y) * nx + x;
                if (values[at] > 0) v->mask[n++] = at;
            }
    v->volume = a->n;
    return ND_OK;
}

nd_status ndi_nsd_voxels_mask(nsd_voxels *v, const char *path)
{
    content *c;
    const array *a;
    double *values = NULL;
    TRY(ndi_content_open(&c, path));
    nd_status status;
    GO(ndi_content_pick(c, NULL, &a));
    if (a->n_dims != 3) GO(ndi_fail(ND_ERR_FORMAT, "%s: array '%s' has %zu dimensions, expected a volume of 3", path, a->name, a->n_dims));
    const array stored = as_stored(a);
    GO(NEW(values, stored.n ? stored.n : 1));
    GO(ndi_array_read_f64(&stored, 0, stored.n, values));
    GO(list_voxels(v, &stored, values, path));
done:
    ndi_free(values);
    ndi_content_free(c);
    return status;
}

/* ---- files ---- */

static nd_status pick_rows(const content *c, const array **a)
{
    static const char *const usual[] = { "voxels", "betas" };
    for (size_t i = 0; i < COUNT(usual); i++) {
        *a = ndi_content_array(c, usual[i]);
        if (*a) return ND_OK;
    }
    return ndi_content_pick(c, NULL, a);
}

static nd_status check_rows(nsd_voxels *v, const array *a, const char *path)
{
    CHECK(a->n_dims >= 2 && a->n > 0, ND_ERR_FORMAT, "%s: array '%s' has %zu dimensions and %zu numbers, expected trials x voxels", path, a->name,
          a->n_dims, a->n);
    const size_t row = a->n / a->shape[0], expected = v->mask ? v->volume : v->n_voxels;
    CHECK(!expected || row == expected, ND_ERR_FORMAT, "%s: array '%s' has %zu voxels for each trial, expected %zu as %s has", path, a->name, row,
          expected, v->mask ? "the mask" : "the file before it");
    CHECK(v->mask || a->n_dims == 2, ND_ERR_FORMAT, "%s: array '%s' has %zu dimensions, expected trials x voxels, or a mask", path, a->name,
          a->n_dims);
    CHECK(a->shape[0] % NSD_SESSION == 0, ND_ERR_FORMAT, "%s: array '%s' has %zu trials, expected a multiple of %d, a session's", path, a->name,
          a->shape[0], (int)NSD_SESSION);
    return ND_OK;
}

nd_status ndi_nsd_voxels_add(nsd_voxels *v, const char *path)
{
    const array *a;
    CHECK(v->n_blocks < NSD_SESSIONS, ND_ERR_ARGUMENT, "%s: is more than the %d sessions there are", path, (int)NSD_SESSIONS);
    nsd_block *b = &v->blocks[v->n_blocks];
    TRY(ndi_content_open(&b->file, path));
    v->n_blocks++; /* freed with the others from here on */
    TRY(pick_rows(b->file, &a));
    b->rows = v->mask ? as_stored(a) : *a;
    TRY(check_rows(v, &b->rows, path));
    if (!v->mask) v->n_voxels = b->rows.shape[1];
    b->first = v->n_trials;
    b->count = b->rows.shape[0];
    v->n_trials += b->count;
    return ND_OK;
}

void ndi_nsd_voxels_free(nsd_voxels *v)
{
    for (size_t i = 0; i < v->n_blocks; i++) ndi_content_free(v->blocks[i].file);
    ndi_free(v->mask);
    *v = (nsd_voxels){ 0 };
}

bool ndi_nsd_voxels_concurrent(const nsd_voxels *v)
{
    for (size_t i = 0; i < v->n_blocks; i++)
        if (!ndi_stream_concurrent(v->blocks[i].rows.in)) return false;
    return true;
}

/* ---- reading ---- */

size_t ndi_nsd_voxels_scratch(const nsd_voxels *v) { return v->mask ? v->volume : 1; }

nd_status ndi_nsd_voxels_read(const nsd_voxels *v, size_t trial, double *x, double *scratch)
{
    const nsd_block *b = v->blocks;
    while (trial >= b->first + b->count) b++;
    const array *a = &b->rows;
    const size_t row = v->mask ? v->volume : v->n_voxels;
    TRY(ndi_array_read_f64(a, (trial - b->first) * row, row, v->mask ? scratch : x));
    for (size_t i = 0; v->mask && i < v->n_voxels; i++) x[i] = scratch[v->mask[i]];
    for (size_t i = 0; a->type == DTYPE_I16 && !a->scale && i < v->n_voxels; i++) x[i] /= units;
    if (ndi_finite_f64(x, v->n_voxels)) return ND_OK;
    size_t bad = 0;
    while (fabs(x[bad]) <= (double)FLT_MAX) bad++;
    return ndi_fail(ND_ERR_NUMERIC, "%s: trial %zu, voxel %zu is %g, expected a finite number", ndi_stream_name(a->in), trial - b->first, bad,
                    x[bad]);
}

/* ---- copying ---- */

typedef struct copying {
    const nsd_voxels *v;
    size_t first, row; /* the trial that `x` holds, counted from `first`; SIZE_MAX = none */
    double *x, *scratch;
    progress report;
} copying;

static nd_status copy_some(void *context, size_t at, size_t count, void *elements)
{
    copying *k = context;
    float *to = elements;
    for (const size_t n = k->v->n_voxels; count > 0; at++, count--) {
        if (at / n != k->row) {
            k->row = at / n;
            TRY(ndi_nsd_voxels_read(k->v, k->first + k->row, k->x, k->scratch));
            TRY(ndi_progress_at(&k->report, k->row + 1));
        }
        *to++ = (float)k->x[at % n];
    }
    return ND_OK;
}

nd_status ndi_nsd_voxels_copy(const nsd_voxels *v, size_t first, size_t count, const char *path, nd_progress_fn fn, void *user)
{
    copying k = { .v = v, .first = first, .row = SIZE_MAX };
    const put_array a = { .name = "voxels", .type = DTYPE_F32, .n_dims = 2, .shape = { count, v->n_voxels }, .fill = copy_some, .context = &k };
    const put all = { .arrays = &a, .n_arrays = 1 };
    nd_status status;
    ndi_progress_begin(&k.report, fn, user, "copy", "trials", 0, count);
    GO(NEW(k.x, v->n_voxels));
    GO(NEW(k.scratch, ndi_nsd_voxels_scratch(v)));
    GO(ndi_format_write(path, "npy", &all));
done:
    ndi_free(k.x);
    ndi_free(k.scratch);
    return status;
}
