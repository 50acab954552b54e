#include "data/volumes.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "io/json.h"

bool ndi_volumes_are(const content *c) { return strcmp(c->format, "nifti") == 0; }

/* ---- what the header says ---- */

/* Up to n numbers of a metadata entry; *got tells how many there are. */
static nd_status read_numbers(const content *c, const char *key, double *numbers, size_t n, size_t *got)
{
    json_t *o;
    *got = 0;
    if (!c->metadata) return ND_OK;
    TRY(ndi_json_parse(&o, c->metadata, strlen(c->metadata), "metadata"));
    const char *list = json_string_value(json_object_get(o, key)), *word;
    size_t length;
    while (list && *got < n && ndi_next_word(&list, &word, &length) && ndi_parse_double(word, word + length, &numbers[*got])) ++*got;
    json_decref(o);
    return ND_OK;
}

static void set_shape(volumes *v, const array *a)
{
    v->values = *a;
    v->values.fortran = false; /* the first index fastest: within a volume `place_of` sees to it, and volumes come last */
    v->values.n_dims = 1;
    v->values.shape[0] = a->n;
    v->n_volumes = 1;
    for (size_t i = 0; i < 3; i++) v->extents[i] = i < a->n_dims ? a->shape[i] : 1;
    for (size_t i = 3; i < a->n_dims; i++) v->n_volumes *= a->shape[i];
    v->n_voxels = v->extents[0] * v->extents[1] * v->extents[2];
}

/* ---- the mask ---- */

/* Place in a volume of the file of voxel `i` in C order. */
static size_t place_of(const volumes *v, size_t i)
{
    const size_t z = i % v->extents[2], y = i / v->extents[2] % v->extents[1], x = i / v->extents[2] / v->extents[1];
    return x + v->extents[0] * (y + v->extents[1] * z);
}

static nd_status check_mask(const volumes *v, const array *a, const char *mask, const char *path)
{
    bool same = a->n == v->n_voxels;
    for (size_t i = 0; i < a->n_dims && i < 3; i++) same = same && a->shape[i] == v->extents[i];
    CHECK(same, ND_ERR_ARGUMENT, "%s: the mask has %zu x %zu x %zu voxels (%zu in all), the image %s has %zu x %zu x %zu", mask,
          a->n_dims > 0 ? a->shape[0] : 1, a->n_dims > 1 ? a->shape[1] : 1, a->n_dims > 2 ? a->shape[2] : 1, a->n, path, v->extents[0], v->extents[1],
          v->extents[2]);
    return ND_OK;
}

/* Images of different spaces can have the same size. */
static nd_status warn_of_space(const content *c, const content *other, const char *mask, const char *path)
{
    double a[12], b[12];
    size_t n_a, n_b, i = 0;
    TRY(read_numbers(c, "affine", a, 12, &n_a));
    TRY(read_numbers(other, "affine", b, 12, &n_b));
    if (n_a != 12 || n_b != 12) return ND_OK;
    while (i < 12 && fabs(a[i] - b[i]) <= 1e-3) i++;
    if (i < 12) ndi_log(ND_LOG_WARNING, "%s: stands elsewhere than %s (entry %zu of the affine is %g, not %g)", mask, path, i, b[i], a[i]);
    return ND_OK;
}

/* Values other than 0 and not NaN are inside. */
static nd_status keep_voxels(volumes *v, const double *inside, const char *mask)
{
    for (size_t i = 0; i < v->n_voxels; i++)
        if (!inside || (inside[i] != 0 && !isnan(inside[i]))) v->kept[v->n_kept++] = place_of(v, i);
    CHECK(v->n_kept > 0, ND_ERR_ARGUMENT, "%s: no voxel is inside, expected values other than 0", mask);
    return ND_OK;
}

static nd_status read_mask(volumes *v, const content *c, const content *m, const char *mask, const char *path)
{
    const array *a;
    double *inside;
    TRY(ndi_content_pick(m, NULL, &a));
    TRY(check_mask(v, a, mask, path));
    TRY(warn_of_space(c, m, mask, path));
    TRY(NEW(inside, v->n_voxels));
    nd_status status = ndi_array_read_f64(a, 0, a->n, inside);
    if (status == ND_OK) status = keep_voxels(v, inside, mask);
    ndi_free(inside);
    return status;
}

nd_status ndi_volumes_open(volumes *v, const content *c, const array *a, const char *mask, const char *path)
{
    size_t got;
    content *m;
    *v = (volumes){ 0 };
    set_shape(v, a);
    TRY(read_numbers(c, "tr", &v->interval, 1, &got));
    TRY(NEW(v->kept, v->n_voxels));
    if (!mask) return keep_voxels(v, NULL, path);
    TRY(ndi_content_open(&m, mask));
    nd_status status = read_mask(v, c, m, mask, path);
    ndi_content_free(m);
    return status;
}

void ndi_volumes_free(volumes *v) { ndi_free(v->kept); }

/* ---- reading ---- */

nd_status ndi_volumes_name(const volumes *v, storage *s)
{
    for (size_t i = 0; i < v->n_kept; i++) {
        const size_t x = v->kept[i] % v->extents[0], y = v->kept[i] / v->extents[0] % v->extents[1], z = v->kept[i] / v->extents[0] / v->extents[1];
        char name[72];
        size_t index;
        ndi_format(name, sizeof name, "%zu_%zu_%zu", x, y, z);
        TRY(ndi_ids_add(&s->channels, name, strlen(name), &index));
    }
    return ND_OK;
}

nd_status ndi_volumes_read(const volumes *v, size_t volume, double *all, double *kept)
{
    TRY(ndi_array_read_f64(&v->values, volume * v->n_voxels, v->n_voxels, all));
    for (size_t i = 0; i < v->n_kept; i++) kept[i] = all[v->kept[i]];
    return ND_OK;
}
