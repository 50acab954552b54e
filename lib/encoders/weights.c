/* Encoders in files. Ours are safetensors whose metadata say everything; foreign ones are PyTorch state dicts whose tensors are found by name. */
#include <math.h>
#include <string.h>

#include "encoders/encoder.h"
#include "io/format.h"
#include "io/json.h"
#include "math/vec.h"

static const char backbone[] = "brain_backbone.";

/* ---- writing ---- */

static void put_tensors(const nd_encoder *e, put_array *arrays, int64_t *counters)
{
    for (int i = 0; i < e->g->n_tensors; i++) {
        const tensor *t = &e->g->tensors[i];
        put_array *a = &arrays[i];
        a->name = t->name;
        a->n_dims = t->n_dims;
        memcpy(a->shape, t->shape, t->n_dims * sizeof *a->shape);
        if (t->counter) counters[i] = (int64_t)ndi_encoder_values(e, t)[0];
        a->type = t->counter ? DTYPE_I64 : DTYPE_F32;
        a->data = t->counter ? (const void *)&counters[i] : (const void *)ndi_encoder_values(e, t);
    }
}

static nd_status describe(const nd_encoder *e, text *t)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "neurodecode.kind", "encoder", "neurodecode.version", nd_version(), "encoder", e->s.kind->name, "params",
                          e->params_text, "n_channels", (json_int_t)e->s.channels, "n_samples", (json_int_t)e->s.samples, "embed_dim", (json_int_t)e->s.dim, "encoder.metadata",
                          e->meta_text);
    CHECK(o, ND_ERR_MEMORY, "encoder: out of memory");
    nd_status status = ndi_json_dump(o, t);
    json_decref(o);
    return status;
}

nd_status ndi_encoder_save(const nd_encoder *e, const char *path)
{
    size_t n = (size_t)e->g->n_tensors;
    put_array *arrays = NULL;
    int64_t *counters = NULL;
    text metadata = { 0 };
    nd_status status = describe(e, &metadata);
    if (status != ND_OK) goto done;
    GO(NEW(arrays, n));
    GO(NEW(counters, n));
    put_tensors(e, arrays, counters);
    put what = { .arrays = arrays, .n_arrays = n, .metadata = metadata.s };
    status = ndi_format_write(path, "safetensors", &what);
done:
    ndi_text_free(&metadata);
    ndi_free(arrays);
    ndi_free(counters);
    return status;
}

/* ---- reading ---- */

/* How the tensors of an encoder are called in a file: below the container that a checkpoint keeps its state dict in and the wrappers that a model may be
 * inside of, with or without the name of the backbone. The first of each is what our own files have. */
static const char *const containers[] = { "", "state/", "model_state_dict.", "state_dict.", "model." }, *const wrappers[] = { "", "module.", "model." };

enum { N_NAMINGS = 2 * COUNT(containers) * COUNT(wrappers) };

typedef struct naming {
    const char *container, *wrapper;
    bool bare;
} naming;

static naming naming_at(size_t i) { return (naming){ containers[i / 2 / COUNT(wrappers)], wrappers[i / 2 % COUNT(wrappers)], i % 2 }; }

static const array *find_named(const content *c, naming n, const char *name)
{
    char full[192];
    if (n.bare && strncmp(name, backbone, strlen(backbone)) == 0) name += strlen(backbone);
    ndi_format(full, sizeof full, "%s%s%s", n.container, n.wrapper, name);
    return ndi_content_array(c, full);
}

/* Whether an array stands where the state dict does. Beside that place may be anything, such as the state of an optimiser. */
static bool in_place(const array *a, naming n)
{
    const size_t container = strlen(n.container);
    return strncmp(a->name, n.container, container) == 0 && strncmp(a->name + container, n.wrapper, strlen(n.wrapper)) == 0;
}

/* One tensor, by whatever naming. */
static const array *find_array(const content *c, const char *name)
{
    const array *a = NULL;
    for (size_t i = 0; i < N_NAMINGS && !a; i++) a = find_named(c, naming_at(i), name);
    return a;
}

/* The naming under which most of an encoder's tensors are found; the first of several. */
static naming find_naming(const content *c, const graph *g)
{
    size_t best = 0;
    naming chosen = naming_at(0);
    for (size_t i = 0; i < N_NAMINGS; i++) {
        size_t n = 0;
        for (int k = 0; k < g->n_tensors; k++) n += find_named(c, naming_at(i), g->tensors[k].name) != NULL;
        if (n <= best) continue;
        best = n;
        chosen = naming_at(i);
    }
    return chosen;
}

static void add_shape(text *t, size_t n_dims, const size_t *dims)
{
    ndi_text_add(t, "(");
    for (size_t i = 0; i < n_dims; i++) ndi_text_add(t, "%s%zu", i ? ", " : "", dims[i]);
    ndi_text_add(t, ")");
}

static bool same_shape(const tensor *t, const array *a) { return t->n_dims == a->n_dims && memcmp(t->shape, a->shape, t->n_dims * sizeof *t->shape) == 0; }

/* Problems with a file, the first few in words. */
typedef struct problems {
    text words;
    size_t n;
} problems;

enum { MOST_TOLD = 6 };

/* Says whether this one is to be described. */
static bool tell(problems *p) { return p->n++ < MOST_TOLD; }

static void compare_tensors(const nd_encoder *e, const array *const *found, problems *p)
{
    for (int i = 0; i < e->g->n_tensors; i++) {
        const tensor *t = &e->g->tensors[i];
        const array *a = found[i];
        if (!a && !t->counter && tell(p)) ndi_text_add(&p->words, "; %s is missing", t->name);
        if (!a || same_shape(t, a) || !tell(p)) continue;
        ndi_text_add(&p->words, "; %s has shape ", t->name);
        add_shape(&p->words, a->n_dims, a->shape);
        ndi_text_add(&p->words, ", expected ");
        add_shape(&p->words, t->n_dims, t->shape);
    }
}

/* What the file has in the place of the state dict and the encoder lacks. */
static void find_extra(const nd_encoder *e, const content *c, naming n, const array *const *found, problems *p)
{
    for (size_t i = 0; i < c->n_arrays; i++) {
        const array *a = &c->arrays[i];
        bool known = !in_place(a, n);
        for (int k = 0; k < e->g->n_tensors && !known; k++) known = found[k] == a;
        if (!known && tell(p)) ndi_text_add(&p->words, "; %s is not part of this encoder", a->name);
    }
}

static nd_status check_tensors(const nd_encoder *e, const content *c, naming n, const array *const *found, const char *path)
{
    problems p = { 0 };
    compare_tensors(e, found, &p);
    find_extra(e, c, n, found, &p);
    if (p.n > MOST_TOLD) ndi_text_add(&p.words, "; and %zu more", p.n - MOST_TOLD);
    nd_status status = ndi_text_status(&p.words);
    if (status == ND_OK && p.n > 0) status = ndi_fail(ND_ERR_FORMAT, "%s: does not fit encoder %s: %s", path, e->s.kind->name, p.words.s + 2);
    ndi_text_free(&p.words);
    return status;
}

static nd_status copy_tensors(nd_encoder *e, const array *const *found, const char *path)
{
    for (int i = 0; i < e->g->n_tensors; i++) {
        const tensor *t = &e->g->tensors[i];
        if (!found[i]) continue;
        TRY(ndi_array_read_f32(found[i], 0, t->n, ndi_encoder_values(e, t)));
        CHECK(ndi_all_finite(ndi_encoder_values(e, t), t->n), ND_ERR_NUMERIC, "%s: %s: a value is not finite", path, found[i]->name);
    }
    return ND_OK;
}

/* The values of a planned encoder. Its memory is taken only when the file holds what fills it. */
static nd_status read_tensors(nd_encoder *e, const content *c, const char *path)
{
    const array **found;
    TRY(NEW(found, (size_t)e->g->n_tensors));
    const naming n = find_naming(c, e->g);
    for (int i = 0; i < e->g->n_tensors; i++) found[i] = find_named(c, n, e->g->tensors[i].name);
    nd_status status = check_tensors(e, c, n, found, path);
    if (status == ND_OK) status = ndi_encoder_allocate(e);
    if (status == ND_OK) status = copy_tensors(e, found, path);
    ndi_free(found);
    return status;
}

static const char *text_of(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static size_t size_of(const json_t *o, const char *key)
{
    const char *s = text_of(o, key);
    double value = 0;
    return s && ndi_parse_double(s, s + strlen(s), &value) && value >= 0 && value < 1e15 && value == floor(value) ? (size_t)value : 0;
}

static nd_status agree(const char *path, const char *what, size_t wanted, size_t found)
{
    CHECK(wanted == 0 || wanted == found, ND_ERR_ARGUMENT, "%s: %s: the encoder has %zu, expected %zu", path, what, found, wanted);
    return ND_OK;
}

/* Builds the encoder that a file of ours describes. */
static nd_status create_described(nd_encoder **e, const json_t *o, const char *path, const nd_encoder_options *given)
{
    const char *kind_name = text_of(o, "encoder"), *meta = text_of(o, "encoder.metadata");
    CHECK(kind_name && text_of(o, "params") && meta, ND_ERR_FORMAT, "%s: metadata: encoder, params or encoder.metadata is missing", path);
    const encoder_kind *kind = &ndi_encoder_ensemble;
    if (strcmp(kind_name, kind->name) != 0) TRY(ndi_prefix(ndi_encoder_kind_find(kind_name, &kind), "%s", path));
    nd_encoder_options options = *given;
    options.params = text_of(o, "params");
    options.n_channels = size_of(o, "n_channels");
    options.n_samples = size_of(o, "n_samples");
    options.embed_dim = size_of(o, "embed_dim");
    TRY(agree(path, "channels", given->n_channels, options.n_channels));
    TRY(agree(path, "samples", given->n_samples, options.n_samples));
    TRY(agree(path, "embedding size", given->embed_dim, options.embed_dim));
    json_t *parsed;
    TRY(ndi_json_parse(&parsed, meta, strlen(meta), path));
    if (!json_is_object(parsed)) {
        json_decref(parsed);
        return ndi_fail(ND_ERR_FORMAT, "%s: metadata: encoder.metadata is not a JSON object", path);
    }
    nd_status status = ndi_prefix(kind == &ndi_encoder_ensemble ? ndi_ensemble_plan(e, &options, parsed) : ndi_encoder_plan(e, kind, &options), "%s", path);
    if (status != ND_OK) {
        json_decref(parsed);
        return status;
    }
    TRY(ndi_prefix(ndi_encoder_take_meta(*e, parsed), "%s", path));
    json_t *version = json_string(text_of(o, "neurodecode.version"));
    return ndi_encoder_set_meta(*e, "version", version ? version : json_string("unknown"));
}

static nd_status read_described(nd_encoder **e, const content *c, const char *path, const nd_encoder_options *given)
{
    json_t *o = NULL;
    if (c->metadata) TRY(ndi_json_parse(&o, c->metadata, strlen(c->metadata), path));
    const char *what = o ? text_of(o, "neurodecode.kind") : NULL;
    nd_status status;
    if (!what)
        status = ndi_fail(ND_ERR_FORMAT, "%s: no metadata of this library; name the encoder to open plain weights", path);
    else if (strcmp(what, "encoder") != 0)
        status = ndi_fail(ND_ERR_FORMAT, "%s: is a %s, expected an encoder", path, what);
    else
        status = create_described(e, o, path, given);
    json_decref(o);
    return status == ND_OK ? read_tensors(*e, c, path) : status;
}

nd_status ndi_encoder_open(nd_encoder **encoder, const char *path, const nd_encoder_options *o)
{
    content *c;
    nd_encoder *e = NULL;
    TRY(ndi_content_open(&c, path));
    nd_status status = read_described(&e, c, path, o);
    ndi_content_free(c);
    if (status == ND_OK)
        *encoder = e;
    else
        ndi_encoder_free(e);
    return status;
}

/* Hyper-parameters of foreign weights: as given, the final layer as the file has it, the embedding size from a tensor that ends in it. */
static nd_status infer(const encoder_kind *kind, const content *c, const char *path, nd_encoder_options *o, text *params)
{
    spec s;
    TRY(ndi_spec_parse(&s, kind, o->params));
    ndi_text_add(params, "%s", o->params ? o->params : "");
    for (size_t i = 0; i < kind->n_params; i++)
        if (strcmp(kind->params[i].name, "repr") == 0 && !s.given[i]) ndi_text_add(params, " repr=%d", find_array(c, "repr_layer.weight") != NULL);
    TRY(ndi_text_status(params));
    o->params = params->s;
    if (o->embed_dim != 0) return ND_OK;
    const array *a = find_array(c, kind->dim_tensor);
    CHECK(a && a->n_dims > 0, ND_ERR_FORMAT, "%s: does not fit encoder %s: %s is missing", path, kind->name, kind->dim_tensor);
    o->embed_dim = a->shape[0];
    return ND_OK;
}

nd_status ndi_encoder_open_weights(nd_encoder **encoder, const encoder_kind *kind, const char *path, const nd_encoder_options *given)
{
    content *c;
    nd_encoder *e = NULL;
    nd_encoder_options o = *given;
    text params = { 0 };
    TRY(ndi_content_open(&c, path));
    nd_status status = infer(kind, c, path, &o, &params);
    if (status == ND_OK) status = ndi_prefix(ndi_encoder_plan(&e, kind, &o), "%s", path);
    if (status == ND_OK) status = read_tensors(e, c, path);
    ndi_text_free(&params);
    ndi_content_free(c);
    if (status == ND_OK)
        *encoder = e;
    else
        ndi_encoder_free(e);
    return status;
}

/* ---- recognising ---- */

/* Tensors of an architecture at sizes that do not matter for their names; 0 unless all of them are in the file, and little else in their place. */
static nd_status count_tensors(const encoder_kind *kind, const content *c, size_t *n)
{
    const nd_encoder_options o = { .size = sizeof o, .n_channels = 63, .n_samples = 250, .embed_dim = 512 };
    nd_encoder *e;
    *n = 0;
    nd_status status = ndi_encoder_plan(&e, kind, &o);
    if (status != ND_OK) return status == ND_ERR_MEMORY ? status : ND_OK;
    const naming names = find_naming(c, e->g);
    size_t n_there = 0;
    for (size_t i = 0; i < c->n_arrays; i++) n_there += in_place(&c->arrays[i], names);
    bool all = true;
    for (int i = 0; i < e->g->n_tensors; i++) {
        const tensor *t = &e->g->tensors[i];
        const array *a = find_named(c, names, t->name);
        all = all && (t->counter || (a && a->n_dims == t->n_dims));
        *n += a != NULL;
    }
    if (!all || n_there > 2 * *n) *n = 0;
    ndi_encoder_free(e);
    return ND_OK;
}

nd_status ndi_encoder_recognise(const content *c, const encoder_kind **kind)
{
    size_t best = 0, n;
    *kind = NULL;
    for (const encoder_kind *const *k = ndi_encoder_kinds; *k; k++) {
        if (!find_array(c, (*k)->dim_tensor)) continue;
        TRY(count_tensors(*k, c, &n));
        if (n <= best) continue;
        best = n;
        *kind = *k;
    }
    return ND_OK;
}
