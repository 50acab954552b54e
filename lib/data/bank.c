/* The life of a bank, its getters, its making from memory, and the join with trials. */
#include <string.h>

#include "base/text.h"
#include "data/bank_layers.h"
#include "data/dataset.h"
#include "data/normalise.h"
#include "data/storage.h"

const nd_bank_options ndi_bank_defaults = { .size = sizeof(nd_bank_options) };

size_t ndi_bank_images(const nd_bank *b) { return b->images.n; }
size_t ndi_bank_layers(const nd_bank *b) { return b->n_layers; }
const char *ndi_bank_layer_name(const nd_bank *b, size_t index) { return b->layers[index].name; }
size_t ndi_bank_dim(const nd_bank *b, size_t index) { return b->layers[index].dim; }
const float *ndi_bank_vectors(const nd_bank *b, size_t index) { return b->layers[index].vectors; }
const ids *ndi_bank_ids(const nd_bank *b) { return &b->images; }

uint64_t ndi_bank_hash(const nd_bank *b)
{
    _Atomic uint64_t *kept = &((nd_bank *)b)->hash;
    uint64_t hash = atomic_load(kept);
    if (hash) return hash;
    hash = NDI_HASH_START;
    for (size_t i = 0; i < b->images.n; i++) hash = ndi_hash(hash, b->images.items[i], strlen(b->images.items[i]) + 1);
    for (size_t i = 0; i < b->n_layers; i++) {
        const layer *l = &b->layers[i];
        uint64_t dim = l->dim;
        hash = ndi_hash(hash, l->name, strlen(l->name) + 1);
        hash = ndi_hash(hash, &dim, sizeof dim);
        hash = ndi_hash(hash, l->vectors, b->images.n * l->dim * sizeof *l->vectors);
    }
    hash += hash == 0;
    atomic_store(kept, hash);
    return hash;
}

nd_status ndi_bank_find_layer(const nd_bank *b, const char *name, size_t *index)
{
    *index = 0;
    if (!name) return ND_OK;
    for (; *index < b->n_layers; ++*index)
        if (strcmp(b->layers[*index].name, name) == 0) return ND_OK;
    text there = { 0 };
    for (size_t i = 0; i < b->n_layers; i++) ndi_text_add(&there, i ? ", %s" : "%s", b->layers[i].name);
    ndi_say("bank: has no layer '%s', got %s", name, there.s ? there.s : "others");
    ndi_text_free(&there);
    return ND_ERR_ARGUMENT;
}

const nd_bank *ndi_bank_ref(const nd_bank *b)
{
    atomic_fetch_add_explicit(&((nd_bank *)b)->refs, 1,
                              memory_order_relaxed); /* the count is hidden from users of a const handle, as is the hash above */
    return b;
}

void ndi_bank_free(nd_bank *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < b->n_layers; i++) {
        ndi_free(b->layers[i].name);
        ndi_free(b->layers[i].vectors);
    }
    ndi_free(b->layers);
    ndi_ids_free(&b->images);
    ndi_free(b);
}

/* ---- making ---- */

nd_status ndi_bank_new(nd_bank **out, size_t max_layers)
{
    nd_bank *b;
    TRY(NEW(b, 1));
    atomic_init(&b->refs, 1);
    nd_status status = NEW(b->layers, max_layers);
    if (status != ND_OK) {
        ndi_free(b);
        return status;
    }
    *out = b;
    return ND_OK;
}

nd_status ndi_bank_add_image(nd_bank *b, const char *id)
{
    size_t index, before = b->images.n;
    TRY(ndi_add_id(&b->images, id, "image id", &index));
    CHECK(index == before, ND_ERR_ARGUMENT, "bank: image id '%s' stands twice", id);
    return ND_OK;
}

nd_status ndi_bank_add_images_of(nd_bank *b, const nd_bank *source)
{
    for (size_t i = 0; i < source->images.n; i++) TRY(ndi_bank_add_image(b, source->images.items[i]));
    return ND_OK;
}

nd_status ndi_bank_add_layer(nd_bank *b, const char *name, size_t dim, float **vectors)
{
    size_t n;
    for (size_t i = 0; i < b->n_layers; i++) CHECK(strcmp(b->layers[i].name, name) != 0, ND_ERR_ARGUMENT, "bank: layer '%s' stands twice", name);
    CHECK(b->images.n > 0 && dim > 0, ND_ERR_ARGUMENT, "bank: layer '%s' has %zu images x %zu numbers, expected at least one of each", name,
          b->images.n, dim);
    CHECK(ndi_mul(b->images.n, dim, &n), ND_ERR_ARGUMENT, "bank: layer '%s' is too large", name);
    layer l = { .dim = dim };
    TRY(NEW(l.vectors, n));
    l.name = ndi_strdup(name);
    if (!l.name) {
        ndi_free(l.vectors);
        return ndi_fail(ND_ERR_MEMORY, "out of memory");
    }
    b->layers[b->n_layers++] = l;
    *vectors = l.vectors;
    return ND_OK;
}

nd_status ndi_bank_check_finite(const nd_bank *b, const char *where)
{
    for (size_t i = 0; i < b->n_layers; i++) {
        const layer *l = &b->layers[i];
        for (size_t row = 0; row < b->images.n; row++)
            CHECK(ndi_finite_f32(l->vectors + row * l->dim, l->dim), ND_ERR_NUMERIC,
                  "%s: layer '%s', image '%s': got NaN or infinity, expected finite numbers", where, l->name, b->images.items[row]);
    }
    return ND_OK;
}

nd_status ndi_bank_create(nd_bank **out, const float *vectors, size_t n_images, size_t dim, const char *const *image_ids, const char *layer_name)
{
    nd_bank *b = NULL;
    float *to;
    nd_status status;
    GO(ndi_bank_new(&b, 1));
    for (size_t i = 0; i < n_images; i++) {
        size_t index;
        GO(image_ids ? ndi_bank_add_image(b, image_ids[i]) : ndi_add_number(&b->images, i, &index));
    }
    GO(ndi_bank_add_layer(b, layer_name ? layer_name : "embedding", dim, &to));
    memcpy(to, vectors, n_images * dim * sizeof *to);
    GO(ndi_bank_check_finite(b, "bank"));
    *out = b;
    b = NULL;
done:
    ndi_bank_free(b);
    return status;
}

nd_status ndi_bank_create_one_hot(nd_bank **out, const nd_dataset *d)
{
    const ids *images = ndi_dataset_images(d);
    nd_bank *b = NULL;
    float *to;
    nd_status status;
    GO(ndi_bank_new(&b, 1));
    for (size_t i = 0; i < images->n; i++) GO(ndi_bank_add_image(b, images->items[i]));
    GO(ndi_bank_add_layer(b, "one_hot", images->n, &to));
    for (size_t i = 0; i < images->n; i++) to[i * images->n + i] = 1;
    *out = b;
    b = NULL;
done:
    ndi_bank_free(b);
    return status;
}

/* ---- the join ---- */

static nd_status lacks(const nd_bank *b, const ids *images, const size_t *row_of)
{
    size_t missing = 0;
    const char *first = NULL;
    for (size_t i = 0; i < images->n; i++) {
        if (row_of[i] != NDI_NO_ID) continue;
        if (!first) first = images->items[i];
        missing++;
    }
    CHECK(missing == 0, ND_ERR_ARGUMENT, "bank: lacks %zu of the %zu images of the dataset, the first is '%s'; the bank's first is '%s'", missing,
          images->n, first, b->images.items[0]);
    return ND_OK;
}

nd_status ndi_bank_join(const nd_bank *b, const nd_dataset *d, size_t *rows)
{
    const ids *images = ndi_dataset_images(d);
    size_t *row_of;
    TRY(NEW(row_of, images->n));
    for (size_t i = 0; i < images->n; i++) row_of[i] = ndi_ids_find(&b->images, images->items[i]);
    nd_status status = lacks(b, images, row_of);
    for (size_t i = 0; status == ND_OK && i < ndi_dataset_trials(d); i++) rows[i] = row_of[ndi_dataset_image_of(d, i)];
    ndi_free(row_of);
    return status;
}

nd_status ndi_bank_select_for(nd_bank **b, const nd_bank *source, const nd_dataset *d)
{
    const ids *images = ndi_dataset_images(d);
    size_t *row_of;
    TRY(NEW(row_of, images->n));
    for (size_t i = 0; i < images->n; i++) row_of[i] = ndi_ids_find(&source->images, images->items[i]);
    nd_status status = lacks(source, images, row_of);
    ndi_free(row_of);
    return status == ND_OK ? ndi_bank_select(b, source, images->items, images->n) : status;
}
