/* Making, freeing and describing encoders. */
#include "encoders/encoder.h"

#include "io/json.h"

enum { MAX_EXTENT = 1 << 24 };

/* What follows from the metadata: their text and the list of people. */
static nd_status refresh_meta(nd_encoder *e)
{
    TRY(ndi_encoder_read_subjects(e));
    text t = { 0 };
    nd_status status = ndi_json_dump(e->meta, &t);
    const char *copy = status == ND_OK ? ndi_arena_text(&e->texts, t.s, t.n) : NULL;
    ndi_text_free(&t);
    if (status != ND_OK) return status;
    CHECK(copy, ND_ERR_MEMORY, "encoder: out of memory");
    e->meta_text = copy;
    return ND_OK;
}

nd_status ndi_encoder_set_meta(nd_encoder *e, const char *key, json_t *value)
{
    TRY(ndi_json_set(e->meta, key, value));
    return refresh_meta(e);
}

nd_status ndi_encoder_take_meta(nd_encoder *e, json_t *meta)
{
    json_decref(e->meta);
    e->meta = meta;
    return refresh_meta(e);
}

/* build() itself cannot fail: the graph remembers the first impossible layer. */
static nd_status build_graph(nd_encoder *e)
{
    const spec *s = &e->s;
    TRY(ndi_graph_create(&e->g, s->kind->name, (shape){ 1, s->channels, s->samples }));
    s->kind->build(e->g, s, ndi_subject_front(e->g, s));
    ndi_subject_back(e->g, s);
    TRY(e->g->status);
    shape out = ndi_graph_out(e->g);
    CHECK(ndi_shape_size(out) == s->dim, ND_ERR_INTERNAL, "%s: embedding of %zu instead of %zu", s->kind->name, ndi_shape_size(out), s->dim);
    return ND_OK;
}

nd_status ndi_encoder_plan_of(nd_encoder **out, const encoder_kind *kind, const nd_encoder_options *o, const ensemble_members *m)
{
    CHECK(o->n_channels > 0 && o->n_channels < MAX_EXTENT && o->n_samples > 0 && o->n_samples < MAX_EXTENT, ND_ERR_ARGUMENT,
          "%s: channels x samples: got %zu x %zu, expected 1 to %d each", kind->name, o->n_channels, o->n_samples, MAX_EXTENT - 1);
    CHECK(o->embed_dim > 0 && o->embed_dim < MAX_EXTENT, ND_ERR_ARGUMENT, "%s: embed_dim: got %zu, expected 1 to %d", kind->name, o->embed_dim, MAX_EXTENT - 1);
    nd_encoder *e;
    nd_status status = NEW(e, 1);
    if (status != ND_OK) return status;
    atomic_init(&e->references, 1);
    atomic_init(&e->spare, NULL);
    e->revision = 1;
    e->n_threads = o->n_threads;
    GO(ndi_spec_parse(&e->s, kind, o->params));
    e->s.channels = o->n_channels;
    e->s.samples = o->n_samples;
    e->s.dim = o->embed_dim;
    e->s.members = m;
    e->raw_subjects = ndi_get(&e->s, "raw_subjects") > 0;
    GO(build_graph(e));
    e->s.members = NULL;
    text params = { 0 };
    ndi_spec_format(&e->s, &params);
    e->params_text = params.s;
    GO(ndi_text_status(&params));
    e->meta = json_object();
    status = e->meta ? refresh_meta(e) : ndi_fail(ND_ERR_MEMORY, "encoder: out of memory");
    if (status != ND_OK) goto done;
    *out = e;
    return ND_OK;
done:
    ndi_encoder_free(e);
    return status;
}

nd_status ndi_encoder_plan(nd_encoder **out, const encoder_kind *kind, const nd_encoder_options *o)
{
    return ndi_encoder_plan_of(out, kind, o, NULL);
}

nd_status ndi_encoder_allocate(nd_encoder *e)
{
    TRY(NEW(e->params, e->g->n_params));
    return NEW(e->state, e->g->n_state + 1);
}

nd_status ndi_encoder_create(nd_encoder **out, const encoder_kind *kind, const nd_encoder_options *o)
{
    nd_encoder *e;
    TRY(ndi_encoder_plan(&e, kind, o));
    nd_status status = ndi_encoder_allocate(e);
    if (status != ND_OK) {
        ndi_encoder_free(e);
        return status;
    }
    ndi_graph_init(e->g, o->seed, e->params, e->state);
    *out = e;
    return ND_OK;
}

/* Takes the list of subjects, also on failure. */
static json_t *dataset_meta(const nd_dataset *d, json_t *subjects)
{
    json_t *names = json_array();
    for (size_t i = 0; i < ndi_dataset_channels(d); i++)
        if (ndi_json_append(names, json_string(ndi_dataset_channel(d, i))) != ND_OK) {
            json_decref(names);
            json_decref(subjects);
            return NULL;
        }
    return json_pack("{s:o, s:f, s:f, s:i, s:o}", "channels", names, "rate", ndi_dataset_rate(d), "start", ndi_dataset_start(d), "normalise",
                     (int)ndi_dataset_normalised(d), "subjects", subjects);
}

nd_status ndi_encoder_create_for(nd_encoder **out, const encoder_kind *kind, const nd_dataset *d, const nd_encoder_options *given)
{
    nd_encoder_options o = *given;
    size_t C = ndi_dataset_channels(d), T = ndi_dataset_samples(d);
    CHECK((o.n_channels == 0 || o.n_channels == C) && (o.n_samples == 0 || o.n_samples == T), ND_ERR_ARGUMENT,
          "%s: options say %zu x %zu, the dataset has %zu channels x %zu samples", kind->name, o.n_channels, o.n_samples, C, T);
    o.n_channels = C;
    o.n_samples = T;
    nd_encoder *e = NULL;
    json_t *subjects;
    text params = { 0 };
    TRY(ndi_subjects_list(d, &subjects));
    nd_status status = ndi_subjects_default(kind, o.params, json_array_size(subjects), &params);
    o.params = params.s;
    if (status == ND_OK) status = ndi_encoder_create(&e, kind, &o);
    ndi_text_free(&params);
    if (status == ND_OK)
        status = ndi_encoder_set_meta(e, "input", dataset_meta(d, subjects));
    else
        json_decref(subjects);
    if (status == ND_OK)
        *out = e;
    else
        ndi_encoder_free(e);
    return status;
}

nd_encoder *ndi_encoder_ref(nd_encoder *e)
{
    atomic_fetch_add(&e->references, 1);
    return e;
}

void ndi_encoder_free(nd_encoder *e)
{
    if (!e || atomic_fetch_sub(&e->references, 1) != 1) return;
    ndi_session_free(atomic_load(&e->spare));
    ndi_graph_free(e->g);
    ndi_free(e->params);
    ndi_free(e->state);
    ndi_free(e->params_text);
    ndi_free(e->subjects);
    ndi_arena_free(&e->texts);
    json_decref(e->meta);
    ndi_free(e);
}

float *ndi_encoder_values(const nd_encoder *e, const tensor *t) { return (t->trainable ? e->params : e->state) + t->at; }

nd_status ndi_encoder_layers(const nd_encoder *e, text *t)
{
    const graph *g = e->g;
    uint64_t total = 0;
    ndi_text_add(t, "%-40s %-12s %18s %12s %14s\n", "layer", "operation", "output", "parameters", "multiply-adds");
    for (int i = 0; i < g->n_nodes; i++) {
        const node *n = &g->nodes[i];
        size_t parameters = 0;
        for (int k = 0; k < n->n_tensors; k++) parameters += g->tensors[n->first_tensor + k].trainable ? g->tensors[n->first_tensor + k].n : 0;
        char out[64];
        ndi_format(out, sizeof out, "%zu x %zu x %zu", n->out.maps, n->out.rows, n->out.samples);
        ndi_text_add(t, "%-40s %-12s %18s %12zu %14llu\n", n->name, n->op->name, out, parameters, (unsigned long long)n->multiply_adds);
        total += n->multiply_adds;
    }
    ndi_text_add(t, "%-40s %-12s %18s %12zu %14llu\n", "total", "", "", g->n_params, (unsigned long long)total);
    return ndi_text_status(t);
}
