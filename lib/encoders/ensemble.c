/* An ensemble: encoders over the same input as one. Each member's embedding is centred and brought to length 1, as the losses do by default; these are averaged, or stand one behind the other.
 * The members' graphs are copied into one graph, so that an ensemble embeds, saves, opens and trains as any encoder does. */
#include <string.h>

#include "encoders/encoder.h"
#include "io/json.h"
#include "nn/ops.h"

enum { MAX_MEMBERS = 256 };

static const param params[] = {
    { "mode", true, 0, 0, 0, 1, "0 = the mean of the members' normalised embeddings, 1 = one behind the other" },
};

static void build(graph *g, const spec *s, int x)
{
    bool average = ndi_get(s, "mode") == ND_ENSEMBLE_AVERAGE;
    for (size_t i = 0; i < s->members->n; i++) {
        char prefix[32];
        ndi_format(prefix, sizeof prefix, "members.%zu", i);
        int v = ndi_normalise(g, ndi_graph_append(g, s->members->e[i]->g, prefix), true);
        x = i == 0 ? v : average ? ndi_add(g, x, v) : ndi_concat_vectors(g, x, v);
    }
    if (average) ndi_scale(g, x, 1 / (double)s->members->n);
}

const encoder_kind ndi_encoder_ensemble = { "ensemble", "Ensemble of encoders", "", params, COUNT(params), NULL, build, NULL };

/* ---- do the members go together? ---- */

static const json_t *input_of(const nd_encoder *e) { return json_object_get(e->meta, "input"); }

/* What a member knows of its input must be what another knows. */
static nd_status same_input(const ensemble_members *m, size_t i, size_t other)
{
    const char *keys[] = { "channels", "rate", "start", "normalise" };
    for (size_t k = 0; k < COUNT(keys); k++) {
        const json_t *a = json_object_get(input_of(m->e[i]), keys[k]), *b = json_object_get(input_of(m->e[other]), keys[k]);
        if (json_equal(a, b)) continue;
        CHECK(json_is_number(a) && json_is_number(b), ND_ERR_ARGUMENT, "ensemble: member %zu: its %s are not those of member %zu", i, keys[k], other);
        return ndi_fail(ND_ERR_ARGUMENT, "ensemble: member %zu: %s: got %g, expected %g as member %zu", i, keys[k], json_number_value(a),
                        json_number_value(b), other);
    }
    return ND_OK;
}

/* All are handed the same rows. */
static nd_status same_subjects(const ensemble_members *m, size_t i, size_t other)
{
    const nd_encoder *a = m->e[i], *b = m->e[other];
    bool same = a->raw_subjects == b->raw_subjects && !a->subjects == !b->subjects && a->n_subjects == b->n_subjects;
    if (same && a->subjects) same = memcmp(a->subjects, b->subjects, a->n_subjects * sizeof *a->subjects) == 0;
    CHECK(same, ND_ERR_ARGUMENT, "ensemble: member %zu: its list of subjects is not that of member %zu; both have layers for subjects", i, other);
    return ND_OK;
}

/* The first member that knows its input, and the first that reads subjects; n = none. */
static size_t first_informed(const ensemble_members *m)
{
    size_t i = 0;
    while (i < m->n && !input_of(m->e[i])) i++;
    return i;
}

static size_t first_reader(const ensemble_members *m)
{
    size_t i = 0;
    while (i < m->n && !ndi_reads_subjects(&m->e[i]->s)) i++;
    return i;
}

/* Gives the embedding size of the whole. */
static nd_status check_members(const ensemble_members *m, int32_t mode, size_t *dim)
{
    CHECK(mode == ND_ENSEMBLE_AVERAGE || mode == ND_ENSEMBLE_CONCATENATE, ND_ERR_ARGUMENT, "ensemble: mode: got %d, expected 0 or 1", (int)mode);
    CHECK(m->n > 0 && m->n <= MAX_MEMBERS, ND_ERR_ARGUMENT, "ensemble: got %zu members, expected 1 to %d", m->n, MAX_MEMBERS);
    const spec *first = &m->e[0]->s;
    size_t informed = first_informed(m), reader = first_reader(m);
    *dim = 0;
    for (size_t i = 0; i < m->n; i++) {
        const spec *s = &m->e[i]->s;
        CHECK(s->kind != &ndi_encoder_ensemble, ND_ERR_ARGUMENT, "ensemble: member %zu: is an ensemble, expected a single encoder", i);
        CHECK(s->channels == first->channels && s->samples == first->samples, ND_ERR_ARGUMENT,
              "ensemble: member %zu: takes %zu channels x %zu samples, expected %zu x %zu as member 0", i, s->channels, s->samples, first->channels,
              first->samples);
        CHECK(mode == ND_ENSEMBLE_CONCATENATE || s->dim == first->dim, ND_ERR_ARGUMENT,
              "ensemble: member %zu: embeds into %zu, an average expected %zu as member 0", i, s->dim, first->dim);
        if (input_of(m->e[i])) TRY(same_input(m, i, informed));
        if (ndi_reads_subjects(s)) TRY(same_subjects(m, i, reader));
        *dim += mode == ND_ENSEMBLE_CONCATENATE || i == 0 ? s->dim : 0;
    }
    return ND_OK;
}

/* The graph of checked members, without values. */
static nd_status plan(nd_encoder **e, const ensemble_members *m, int32_t mode, const nd_encoder_options *given)
{
    nd_encoder_options o = *given;
    char words[32];
    ndi_format(words, sizeof words, "mode=%d", (int)mode);
    o.params = words;
    TRY(check_members(m, mode, &o.embed_dim));
    TRY(ndi_encoder_plan_of(e, &ndi_encoder_ensemble, &o, m));
    size_t reader = first_reader(m);
    (*e)->raw_subjects = reader < m->n && m->e[reader]->raw_subjects;
    return ND_OK;
}

/* ---- made of encoders ---- */

static json_t *describe_member(const nd_encoder *e)
{
    return json_pack("{s:s, s:s, s:I, s:O}", "encoder", e->s.kind->name, "params", e->params_text, "embed_dim", (json_int_t)e->s.dim, "metadata",
                     e->meta);
}

/* What the ensemble knows of its input: what a member that reads subjects knows, or else any. */
static nd_status describe(nd_encoder *e, const ensemble_members *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->n && list; i++)
        if (ndi_json_append(list, describe_member(m->e[i])) != ND_OK) {
            json_decref(list);
            list = NULL;
        }
    TRY(ndi_encoder_set_meta(e, "members", list));
    size_t reader = first_reader(m), informed = reader < m->n ? reader : first_informed(m);
    if (informed == m->n || !input_of(m->e[informed])) return ND_OK;
    return ndi_encoder_set_meta(e, "input", json_deep_copy(input_of(m->e[informed])));
}

static void copy_values(const nd_encoder *e, const ensemble_members *m)
{
    const tensor *to = e->g->tensors;
    for (size_t i = 0; i < m->n; i++)
        for (int k = 0; k < m->e[i]->g->n_tensors; k++, to++)
            memcpy(ndi_encoder_values(e, to), ndi_encoder_values(m->e[i], &m->e[i]->g->tensors[k]), to->n * sizeof(float));
}

nd_status ndi_ensemble_create(nd_encoder **out, const ensemble_members *m, int32_t mode)
{
    CHECK(m->n > 0, ND_ERR_ARGUMENT, "ensemble: got 0 members, expected 1 to %d", MAX_MEMBERS);
    nd_encoder_options o = { .size = sizeof o, .n_channels = m->e[0]->s.channels, .n_samples = m->e[0]->s.samples, .n_threads = m->e[0]->n_threads };
    nd_encoder *e;
    TRY(plan(&e, m, mode, &o));
    nd_status status = ndi_encoder_allocate(e);
    if (status == ND_OK) status = describe(e, m);
    if (status != ND_OK) {
        ndi_encoder_free(e);
        return status;
    }
    copy_values(e, m);
    *out = e;
    return ND_OK;
}

/* ---- described by a file ---- */

static nd_status plan_member(nd_encoder **e, const json_t *o, const nd_encoder_options *given)
{
    const char *name = json_string_value(json_object_get(o, "encoder"));
    json_t *meta = json_object_get(o, "metadata");
    nd_encoder_options options = *given;
    options.params = json_string_value(json_object_get(o, "params"));
    json_int_t dim = json_integer_value(json_object_get(o, "embed_dim"));
    CHECK(name && options.params && json_is_object(meta) && dim > 0, ND_ERR_FORMAT, "expected encoder, params, embed_dim and metadata");
    options.embed_dim = (size_t)dim;
    const encoder_kind *kind;
    TRY(ndi_encoder_kind_find(name, &kind));
    TRY(ndi_encoder_plan(e, kind, &options));
    return ndi_encoder_take_meta(*e, json_incref(meta));
}

nd_status ndi_ensemble_plan(nd_encoder **out, const nd_encoder_options *o, const json_t *meta)
{
    const json_t *list = json_object_get(meta, "members");
    size_t n = json_array_size(list), dim = o->embed_dim;
    CHECK(n > 0 && n <= MAX_MEMBERS, ND_ERR_FORMAT, "ensemble: metadata: got %zu members, expected 1 to %d", n, MAX_MEMBERS);
    spec s;
    TRY(ndi_spec_parse(&s, &ndi_encoder_ensemble, o->params));
    nd_encoder **e;
    TRY(NEW(e, n));
    nd_status status = ND_OK;
    for (size_t i = 0; i < n && status == ND_OK; i++)
        status = ndi_prefix(plan_member(&e[i], json_array_get(list, i), o), "ensemble: metadata: member %zu", i);
    if (status == ND_OK) status = plan(out, &(ensemble_members){ (const nd_encoder *const *)e, n }, (int32_t)ndi_get(&s, "mode"), o);
    if (status == ND_OK && (*out)->s.dim != dim)
        status = ndi_fail(ND_ERR_FORMAT, "ensemble: metadata: embed_dim is %zu, the members make %zu", dim, (*out)->s.dim);
    for (size_t i = 0; i < n; i++) ndi_encoder_free(e[i]);
    ndi_free(e);
    return status;
}
