#include "neurodecode/encoder.h"

#include <string.h>

#include "api/handle.h"
#include "encoders/encoder.h"

nd_status nd_encoder_kind_get_info(size_t index, nd_encoder_kind_info *info)
{
    size_t n = 0;
    while (ndi_encoder_kinds[n]) n++;
    CHECK(index < n, ND_ERR_ARGUMENT, "encoder kinds: index %zu, there are %zu", index, n);
    const encoder_kind *k = ndi_encoder_kinds[index];
    nd_encoder_kind_info known = { sizeof known, k->name, k->title, k->source };
    return ndi_struct_out(info, &known, sizeof known, "nd_encoder_kind_info");
}

nd_status nd_encoder_kind_get_param(const char *kind, size_t index, nd_param_info *info)
{
    REQUIRE(kind);
    const encoder_kind *k;
    TRY(ndi_encoder_kind_find(kind, &k));
    size_t n = 0;
    while (ndi_kind_param(k, n)) n++;
    CHECK(index < n, ND_ERR_ARGUMENT, "%s: hyper-parameter %zu, there are %zu", kind, index, n);
    const param *p = ndi_kind_param(k, index);
    nd_param_info known = { sizeof known, p->name, p->meaning, p->value, p->reference, p->min, p->max };
    return ndi_struct_out(info, &known, sizeof known, "nd_param_info");
}

static const nd_encoder_options defaults = { .size = sizeof defaults, .seed = 42 };

nd_status nd_encoder_options_init(nd_encoder_options *options, size_t size) { return ndi_options_init(options, size, &defaults, sizeof defaults, "nd_encoder_options"); }

static nd_status options_in(nd_encoder_options *o, const nd_encoder_options *given)
{
    *o = defaults;
    TRY(ndi_options_in(o, sizeof *o, given, "nd_encoder_options"));
    CHECK(o->reserved == 0, ND_ERR_ARGUMENT, "nd_encoder_options: reserved: got %d, expected 0", (int)o->reserved);
    return ND_OK;
}

nd_status nd_encoder_create(nd_encoder **encoder, const char *kind, const nd_encoder_options *options)
{
    REQUIRE(encoder);
    *encoder = NULL;
    REQUIRE(kind);
    REQUIRE(options);
    nd_encoder_options o;
    const encoder_kind *k;
    TRY(options_in(&o, options));
    TRY(ndi_encoder_kind_find(kind, &k));
    return ndi_encoder_create(encoder, k, &o);
}

nd_status nd_encoder_create_for(nd_encoder **encoder, const char *kind, const nd_dataset *dataset, const nd_encoder_options *options)
{
    REQUIRE(encoder);
    *encoder = NULL;
    REQUIRE(kind);
    REQUIRE(dataset);
    REQUIRE(options);
    nd_encoder_options o;
    const encoder_kind *k;
    TRY(options_in(&o, options));
    TRY(ndi_encoder_kind_find(kind, &k));
    return ndi_encoder_create_for(encoder, k, dataset, &o);
}

nd_status nd_ensemble_create(nd_encoder **ensemble, const nd_encoder *const *members, size_t n_members, int32_t mode)
{
    REQUIRE(ensemble);
    *ensemble = NULL;
    REQUIRE(members);
    for (size_t i = 0; i < n_members; i++) REQUIRE(members[i]);
    return ndi_ensemble_create(ensemble, &(ensemble_members){ members, n_members }, mode);
}

nd_status nd_encoder_open(nd_encoder **encoder, const char *path, const nd_encoder_options *options)
{
    REQUIRE(encoder);
    *encoder = NULL;
    REQUIRE(path);
    nd_encoder_options o;
    TRY(options_in(&o, options));
    return ndi_encoder_open(encoder, path, &o);
}

nd_status nd_encoder_open_weights(nd_encoder **encoder, const char *kind, const char *path, const nd_encoder_options *options)
{
    REQUIRE(encoder);
    *encoder = NULL;
    REQUIRE(kind);
    REQUIRE(path);
    REQUIRE(options);
    nd_encoder_options o;
    const encoder_kind *k;
    TRY(options_in(&o, options));
    TRY(ndi_encoder_kind_find(kind, &k));
    return ndi_encoder_open_weights(encoder, k, path, &o);
}

nd_status nd_encoder_save(const nd_encoder *encoder, const char *path)
{
    REQUIRE(encoder);
    REQUIRE(path);
    return ndi_encoder_save(encoder, path);
}

void nd_encoder_free(nd_encoder *encoder) { ndi_encoder_free(encoder); }

nd_status nd_encoder_get_info(const nd_encoder *encoder, nd_encoder_info *info)
{
    REQUIRE(encoder);
    const graph *g = encoder->g;
    nd_encoder_info known = { sizeof known, encoder->s.kind->name, encoder->params_text, encoder->s.channels, encoder->s.samples, encoder->s.dim, g->n_params + g->n_unused,
                              (size_t)g->n_tensors, 0, encoder->meta_text };
    for (int i = 0; i < g->n_nodes; i++) known.multiply_adds += g->nodes[i].multiply_adds;
    return ndi_struct_out(info, &known, sizeof known, "nd_encoder_info");
}

nd_status nd_encoder_get_layers(const nd_encoder *encoder, char *text_out, size_t capacity, size_t *needed)
{
    REQUIRE(encoder);
    text t = { 0 };
    nd_status status = ndi_encoder_layers(encoder, &t);
    if (status == ND_OK) status = ndi_text_out(t.s, text_out, capacity, needed);
    ndi_text_free(&t);
    return status;
}

nd_status nd_encoder_get_tensor(const nd_encoder *encoder, size_t index, nd_tensor_info *info)
{
    REQUIRE(encoder);
    CHECK(index < (size_t)encoder->g->n_tensors, ND_ERR_ARGUMENT, "encoder: tensor %zu, there are %d", index, encoder->g->n_tensors);
    const tensor *t = &encoder->g->tensors[index];
    nd_tensor_info known = { .size = sizeof known, .name = t->name, .n_dims = t->n_dims, .n_values = t->n, .trainable = t->trainable };
    memcpy(known.shape, t->shape, sizeof known.shape);
    return ndi_struct_out(info, &known, sizeof known, "nd_tensor_info");
}

static nd_status find_tensor(const nd_encoder *encoder, const char *name, const tensor **t)
{
    *t = ndi_graph_tensor(encoder->g, name);
    CHECK(*t, ND_ERR_ARGUMENT, "encoder: no tensor '%s'", name);
    return ND_OK;
}

nd_status nd_encoder_get_values(const nd_encoder *encoder, const char *name, float *values, size_t capacity)
{
    REQUIRE(encoder);
    REQUIRE(name);
    REQUIRE(values);
    const tensor *t;
    TRY(find_tensor(encoder, name, &t));
    CHECK(capacity >= t->n, ND_ERR_BUFFER, "encoder: %s: room for %zu values, need %zu", name, capacity, t->n);
    memcpy(values, ndi_encoder_values(encoder, t), t->n * sizeof *values);
    return ND_OK;
}

nd_status nd_encoder_set_values(nd_encoder *encoder, const char *name, const float *values, size_t n_values)
{
    REQUIRE(encoder);
    REQUIRE(name);
    REQUIRE(values);
    const tensor *t;
    TRY(find_tensor(encoder, name, &t));
    CHECK(n_values == t->n, ND_ERR_ARGUMENT, "encoder: %s: got %zu values, expected %zu", name, n_values, t->n);
    memcpy(ndi_encoder_values(encoder, t), values, t->n * sizeof *values);
    ndi_encoder_changed(encoder);
    return ND_OK;
}

nd_status nd_encoder_embed(const nd_encoder *encoder, const float *data, size_t n_trials, float *embeddings, size_t capacity)
{
    return nd_encoder_embed_subjects(encoder, data, NULL, n_trials, embeddings, capacity);
}

nd_status nd_encoder_embed_subjects(const nd_encoder *encoder, const float *data, const int32_t *subjects, size_t n_trials, float *embeddings,
                                    size_t capacity)
{
    REQUIRE(encoder);
    REQUIRE(data);
    REQUIRE(embeddings);
    CHECK(capacity / encoder->s.dim >= n_trials, ND_ERR_BUFFER, "embed: room for %zu numbers, need %zu x %zu", capacity, n_trials, encoder->s.dim);
    return ndi_encoder_embed(encoder, data, subjects, n_trials, embeddings);
}

nd_status nd_encoder_embed_dataset(const nd_encoder *encoder, const nd_dataset *dataset, float *embeddings, size_t capacity, nd_progress_fn progress_fn, void *user)
{
    REQUIRE(encoder);
    REQUIRE(dataset);
    REQUIRE(embeddings);
    return ndi_encoder_embed_dataset(encoder, dataset, embeddings, capacity, progress_fn, user);
}

nd_status nd_encoder_embed_bank(const nd_encoder *projector, const nd_bank *bank, nd_bank **projected)
{
    REQUIRE(projected);
    *projected = NULL;
    REQUIRE(projector);
    REQUIRE(bank);
    return ndi_encoder_embed_bank(projector, bank, projected);
}
