/* Banks made from banks. */
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "data/bank_layers.h"
#include "io/content.h"
#include "math/gemm.h"

nd_status ndi_bank_select(nd_bank **out, const nd_bank *source, const char *const *image_ids, size_t n_images)
{
    nd_bank *b = NULL;
    size_t *rows = NULL;
    nd_status status;
    GO(ndi_bank_new(&b, source->n_layers));
    GO(NEW(rows, n_images ? n_images : 1));
    for (size_t i = 0; i < n_images; i++) {
        rows[i] = ndi_ids_find(&source->images, image_ids[i]);
        if (rows[i] == NDI_NO_ID) GO(ndi_fail(ND_ERR_ARGUMENT, "bank: has no image '%s'", image_ids[i]));
        GO(ndi_bank_add_image(b, image_ids[i]));
    }
    for (size_t k = 0; k < source->n_layers; k++) {
        const layer *l = &source->layers[k];
        float *to;
        GO(ndi_bank_add_layer(b, l->name, l->dim, &to));
        for (size_t i = 0; i < n_images; i++) memcpy(to + i * l->dim, l->vectors + rows[i] * l->dim, l->dim * sizeof *to);
    }
    *out = b;
    b = NULL;
done:
    ndi_free(rows);
    ndi_bank_free(b);
    return status;
}

nd_status ndi_bank_append(nd_bank **out, const nd_bank *first, const nd_bank *second)
{
    nd_bank *b = NULL;
    nd_status status;
    if (first->n_layers != second->n_layers)
        GO(ndi_fail(ND_ERR_ARGUMENT, "bank: the second has %zu layers, the first %zu", second->n_layers, first->n_layers));
    GO(ndi_bank_new(&b, first->n_layers));
    GO(ndi_bank_add_images_of(b, first));
    GO(ndi_bank_add_images_of(b, second));
    for (size_t k = 0; k < first->n_layers; k++) {
        const layer *l = &first->layers[k];
        size_t other, n = first->images.n * l->dim;
        float *to;
        GO(ndi_bank_find_layer(second, l->name, &other));
        const layer *m = &second->layers[other];
        if (m->dim != l->dim)
            GO(ndi_fail(ND_ERR_ARGUMENT, "bank: layer '%s' has length %zu in the second bank, %zu in the first", l->name, m->dim, l->dim));
        GO(ndi_bank_add_layer(b, l->name, l->dim, &to));
        memcpy(to, l->vectors, n * sizeof *to);
        memcpy(to + n, m->vectors, second->images.n * l->dim * sizeof *to);
    }
    *out = b;
    b = NULL;
done:
    ndi_bank_free(b);
    return status;
}

/* Copies a layer whose rows are those of the bank. */
static nd_status keep_layer(nd_bank *b, const layer *l)
{
    float *to;
    TRY(ndi_bank_add_layer(b, l->name, l->dim, &to));
    memcpy(to, l->vectors, b->images.n * l->dim * sizeof *to);
    return ND_OK;
}

nd_status ndi_bank_add_layers(nd_bank **out, const nd_bank *first, const nd_bank *second)
{
    nd_bank *b = NULL, *same = NULL;
    nd_status status;
    GO(ndi_prefix(ndi_bank_select(&same, second, first->images.items, first->images.n), "second bank"));
    GO(ndi_bank_new(&b, first->n_layers + second->n_layers));
    GO(ndi_bank_add_images_of(b, first));
    for (size_t k = 0; k < first->n_layers; k++) GO(keep_layer(b, &first->layers[k]));
    for (size_t k = 0; k < same->n_layers; k++) GO(keep_layer(b, &same->layers[k]));
    *out = b;
    b = NULL;
done:
    ndi_bank_free(same);
    ndi_bank_free(b);
    return status;
}

/* ---- layers side by side ---- */

typedef struct side_by_side {
    const layer **parts;
    size_t n, dim;
    text name; /* of the parts, joined by + */
} side_by_side;

static nd_status choose_parts(side_by_side *c, const nd_bank *source, const char *names)
{
    size_t length, n_words = names ? ndi_count_words(names) : source->n_layers;
    CHECK(n_words > 0, ND_ERR_ARGUMENT, "layers: none named");
    TRY(NEW(c->parts, n_words));
    for (size_t i = 0; i < n_words; i++) {
        size_t index = i;
        if (names) {
            const char *word;
            text name = { 0 };
            ndi_next_word(&names, &word, &length);
            ndi_text_add_bytes(&name, word, length);
            nd_status status = ndi_text_status(&name);
            if (status == ND_OK) status = ndi_bank_find_layer(source, name.s, &index);
            ndi_text_free(&name);
            TRY(status);
        }
        c->parts[c->n++] = &source->layers[index];
        c->dim += source->layers[index].dim;
        ndi_text_add(&c->name, i ? "+%s" : "%s", source->layers[index].name);
    }
    return ndi_text_status(&c->name);
}

static void copy_part(float *to, const float *from, size_t dim, bool unit_length)
{
    double square = 0;
    for (size_t i = 0; unit_length && i < dim; i++) square += (double)from[i] * (double)from[i];
    double scale = !unit_length ? 1 : square > 0 ? 1 / sqrt(square) : 0;
    for (size_t i = 0; i < dim; i++) to[i] = (float)((double)from[i] * scale);
}

nd_status ndi_bank_concat_layers(nd_bank **out, const nd_bank *source, const char *layers, bool unit_length)
{
    nd_bank *b = NULL;
    side_by_side c = { 0 };
    float *to;
    nd_status status;
    GO(choose_parts(&c, source, layers));
    GO(ndi_bank_new(&b, 1));
    GO(ndi_bank_add_images_of(b, source));
    GO(ndi_bank_add_layer(b, c.name.s, c.dim, &to));
    for (size_t i = 0; i < b->images.n; i++)
        for (size_t k = 0; k < c.n; to += c.parts[k++]->dim) copy_part(to, c.parts[k]->vectors + i * c.parts[k]->dim, c.parts[k]->dim, unit_length);
    *out = b;
    b = NULL;
done:
    ndi_free(c.parts);
    ndi_text_free(&c.name);
    ndi_bank_free(b);
    return status;
}

/* ---- standardising ---- */

/* Mean and 1 / deviation of each dimension over n rows, in two passes. A dimension whose deviation is rounding noise counts as constant. */
static void measure(const layer *l, size_t n, double *mean, double *scale)
{
    for (size_t j = 0; j < l->dim; j++) mean[j] = scale[j] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < l->dim; j++) mean[j] += (double)l->vectors[i * l->dim + j];
    for (size_t j = 0; j < l->dim; j++) mean[j] /= (double)n;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < l->dim; j++) {
            double d = (double)l->vectors[i * l->dim + j] - mean[j];
            scale[j] += d * d;
        }
    }
    for (size_t j = 0; j < l->dim; j++) {
        double deviation = sqrt(scale[j] / (double)n);
        scale[j] = deviation > 1e-12 * fabs(mean[j]) ? 1 / deviation : 0;
    }
}

static nd_status standardise_layer(nd_bank *b, const layer *l, const layer *fit, size_t n_fit)
{
    float *to;
    double *mean;
    CHECK(fit->dim == l->dim, ND_ERR_ARGUMENT, "bank: layer '%s' has length %zu, the one measured %zu", l->name, l->dim, fit->dim);
    TRY(ndi_bank_add_layer(b, l->name, l->dim, &to));
    TRY(NEW(mean, 2 * l->dim));
    double *scale = mean + l->dim;
    measure(fit, n_fit, mean, scale);
    for (size_t i = 0; i < b->images.n; i++)
        for (size_t j = 0; j < l->dim; j++) to[i * l->dim + j] = (float)(((double)l->vectors[i * l->dim + j] - mean[j]) * scale[j]);
    ndi_free(mean);
    return ND_OK;
}

nd_status ndi_bank_standardise(nd_bank **out, const nd_bank *source, const nd_bank *fit)
{
    nd_bank *b = NULL;
    nd_status status;
    if (!fit) fit = source;
    GO(ndi_bank_new(&b, source->n_layers));
    GO(ndi_bank_add_images_of(b, source));
    for (size_t k = 0; k < source->n_layers; k++) {
        size_t other;
        GO(ndi_bank_find_layer(fit, source->layers[k].name, &other));
        GO(standardise_layer(b, &source->layers[k], &fit->layers[other], fit->images.n));
    }
    *out = b;
    b = NULL;
done:
    ndi_bank_free(b);
    return status;
}

/* ---- human alignment: y = ((x - mean) / std) W + b ---- */

typedef struct alignment {
    size_t n_in, n_out;
    float *weights, *bias; /* n_in x n_out; n_out, zero where the file has none */
    double mean, std;
} alignment;

static nd_status read_scalar(const content *c, const char *name, const char *path, double *value)
{
    const array *a;
    TRY(ndi_content_pick(c, name, &a));
    CHECK(a->n == 1, ND_ERR_FORMAT, "%s: array '%s' has %zu numbers, expected one", path, name, a->n);
    TRY(ndi_array_read_f64(a, 0, 1, value));
    CHECK(isfinite(*value), ND_ERR_NUMERIC, "%s: '%s' is not finite", path, name);
    return ND_OK;
}

static nd_status read_matrix(const content *c, const char *path, alignment *t)
{
    const array *w, *b = ndi_content_array(c, "bias");
    TRY(ndi_content_pick(c, "weights", &w));
    CHECK(w->n_dims == 2 && w->n > 0, ND_ERR_FORMAT, "%s: array 'weights' has %zu dimensions, expected a matrix", path, w->n_dims);
    t->n_in = w->shape[0];
    t->n_out = w->shape[1];
    CHECK(!b || b->n == t->n_out, ND_ERR_FORMAT, "%s: array 'bias' has %zu numbers, expected %zu for weights of %zu x %zu", path, b->n, t->n_out,
          t->n_in, t->n_out);
    TRY(NEW(t->weights, w->n));
    TRY(NEW(t->bias, t->n_out));
    TRY(ndi_array_read_f32(w, 0, w->n, t->weights));
    return b ? ndi_array_read_f32(b, 0, b->n, t->bias) : ND_OK;
}

static nd_status read_alignment(const char *path, alignment *t)
{
    content *c;
    TRY(ndi_content_open(&c, path));
    nd_status status;
    GO(read_matrix(c, path, t));
    GO(read_scalar(c, "mean", path, &t->mean));
    GO(read_scalar(c, "std", path, &t->std));
    if (t->std == 0) GO(ndi_fail(ND_ERR_FORMAT, "%s: 'std' is 0", path));
done:
    ndi_content_free(c);
    return status;
}

static nd_status align_layer(nd_bank *b, const layer *l, const alignment *t)
{
    size_t n = b->images.n;
    float *x, *to;
    TRY(ndi_bank_add_layer(b, l->name, t->n_out, &to));
    TRY(NEW(x, n * t->n_in));
    for (size_t i = 0; i < n * t->n_in; i++) x[i] = (float)(((double)l->vectors[i] - t->mean) / t->std);
    for (size_t i = 0; i < n; i++) memcpy(to + i * t->n_out, t->bias, t->n_out * sizeof *to);
    ndi_gemm(false, false, n, t->n_out, t->n_in, 1, x, t->n_in, t->weights, t->n_out, 1, to, t->n_out);
    ndi_free(x);
    return ND_OK;
}

nd_status ndi_bank_align(nd_bank **out, const nd_bank *source, const char *path)
{
    nd_bank *b = NULL;
    alignment t = { 0 };
    size_t n_aligned = 0;
    nd_status status;
    GO(read_alignment(path, &t));
    GO(ndi_bank_new(&b, source->n_layers));
    GO(ndi_bank_add_images_of(b, source));
    for (size_t k = 0; k < source->n_layers; k++) {
        const layer *l = &source->layers[k];
        bool fits = l->dim == t.n_in;
        GO(fits ? align_layer(b, l, &t) : keep_layer(b, l));
        n_aligned += fits;
    }
    if (n_aligned == 0)
        GO(ndi_fail(ND_ERR_FORMAT, "%s: weights of %zu x %zu fit no layer, the first is %zu images x %zu", path, t.n_in, t.n_out, source->images.n,
                    source->layers[0].dim));
    GO(ndi_bank_check_finite(b, path));
    *out = b;
    b = NULL;
done:
    ndi_free(t.weights);
    ndi_free(t.bias);
    ndi_bank_free(b);
    return status;
}
