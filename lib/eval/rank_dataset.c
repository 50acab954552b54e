/* Trials to ranks: embed, find the true candidate of each trial by its image's id, rank. */
#include "base/mem.h"
#include "encoders/encoder.h"
#include "eval/retrieval.h"

/* Candidate of each trial's image. */
static nd_status join(const nd_retrieval *r, const nd_dataset *d, size_t *truth)
{
    const ids *images = ndi_dataset_images(d), *candidates = ndi_retrieval_ids(r);
    const char *absent = NULL;
    size_t n_absent = 0;
    for (size_t i = 0; i < images->n; i++) {
        if (ndi_ids_find(candidates, images->items[i]) != NDI_NO_ID) continue;
        if (n_absent++ == 0) absent = images->items[i];
    }
    CHECK(n_absent == 0, ND_ERR_ARGUMENT, "retrieval: image '%s' of the dataset is not in the gallery (%zu of %zu images are missing)", absent,
          n_absent, images->n);
    for (size_t i = 0; i < ndi_dataset_trials(d); i++) truth[i] = ndi_ids_find(candidates, images->items[ndi_dataset_image_of(d, i)]);
    return ND_OK;
}

nd_status ndi_retrieval_rank_dataset(const nd_retrieval *r, const nd_encoder *e, const nd_dataset *d, size_t *ranks, size_t capacity,
                                     nd_progress_fn fn, void *user)
{
    size_t n = ndi_dataset_trials(d), dim = ndi_retrieval_dim(r), size;
    CHECK(e->s.dim == dim, ND_ERR_ARGUMENT, "retrieval: the encoder makes vectors of %zu, the gallery has %zu", e->s.dim, dim);
    CHECK(capacity >= n, ND_ERR_BUFFER, "retrieval: room for %zu ranks, need %zu", capacity, n);
    CHECK(ndi_mul(n, dim, &size), ND_ERR_ARGUMENT, "retrieval: %zu trials x %zu are too many", n, dim);
    size_t *truth = NULL;
    float *embeddings = NULL;
    nd_status status;
    GO(NEW(truth, n));
    GO(join(r, d, truth));
    GO(NEW(embeddings, size));
    GO(ndi_encoder_embed_dataset(e, d, embeddings, size, fn, user));
    GO(ndi_retrieval_rank(r, embeddings, truth, n, ranks));
done:
    ndi_free(truth);
    ndi_free(embeddings);
    return status;
}
