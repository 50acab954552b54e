#include "train/network.h"

#include <string.h>

enum { BLOCK = 16384 };

/* ---- decay ---- */

static bool names(const tensor *t, const char *word, size_t length)
{
    if (length == 7 && memcmp(word, "vectors", 7) == 0) return t->n_dims <= 1;
    for (const char *s = t->name; *s; s++)
        if (strncmp(s, word, length) == 0) return true;
    return false;
}

bool ndi_no_decay_names(const graph *g, const char *word, size_t length)
{
    for (int i = 0; i < g->n_tensors; i++)
        if (g->tensors[i].trainable && names(&g->tensors[i], word, length)) return true;
    return false;
}

static bool decays(const tensor *t, const char *no_decay)
{
    const char *word;
    size_t length;
    while (no_decay && ndi_next_word(&no_decay, &word, &length))
        if (names(t, word, length)) return false;
    return true;
}

static int node_of_factors(const workspace *w, int first_tensor)
{
    for (int i = 1; i < w->g->n_nodes; i++)
        if (w->nodes[i].weight && w->nodes[i].first_tensor == first_tensor) return i;
    return 0;
}

/* Parameters stand in the order of their tensors. */
static nd_status find_stretches(network *n, const char *no_decay)
{
    const graph *g = n->encoder->g;
    TRY(NEW(n->stretches, (size_t)g->n_tensors + 1));
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        if (!t->trainable) continue;
        bool decayed = decays(t, no_decay);
        int from = node_of_factors(n->w, i);
        stretch *last = n->n_stretches ? &n->stretches[n->n_stretches - 1] : NULL;
        if (last && last->decayed == decayed && !last->from && !from)
            last->n += t->n;
        else
            n->stretches[n->n_stretches++] = (stretch){ t->at, t->n, decayed, from };
    }
    return ND_OK;
}

/* ---- memory ---- */

nd_status ndi_network_create(network *n, const nd_train_options *o, size_t capacity)
{
    const graph *g = n->encoder->g;
    const optimiser *kind;
    TRY(ndi_optimiser_find(o->optimiser, &kind));
    TRY(ndi_workspace_create(&n->w, g, capacity, true, false, n->threads));
    TRY(NEW(n->grads, g->n_params));
    TRY(NEW(n->new_state, g->n_state + 1));
    TRY(NEW(n->best, g->n_params));
    TRY(NEW(n->best_state, g->n_state + 1));
    TRY(NEW(n->norm_blocks, ndi_norm_blocks(g->n_params) + 1));
    for (size_t i = 0; i < NDI_MOMENTS; i++)
        if (kind->moments[i]) TRY(NEW(n->moments[i], g->n_params));
    TRY(find_stretches(n, o->no_decay));
    if (o->ema_decay == 0) return ND_OK;
    TRY(NEW(n->mean, g->n_params));
    TRY(NEW(n->mean_state, g->n_state + 1));
    memcpy(n->mean, n->encoder->params, g->n_params * sizeof *n->mean);
    memcpy(n->mean_state, n->encoder->state, g->n_state * sizeof *n->mean_state);
    return ND_OK;
}

void ndi_network_free(network *n)
{
    void *blocks[] = { n->grads,      n->new_state, n->moments[0], n->moments[1],  n->mean,
                       n->mean_state, n->best,      n->best_state, n->norm_blocks, n->stretches };
    for (size_t i = 0; i < COUNT(blocks); i++) ndi_free(blocks[i]);
    ndi_workspace_free(n->w);
}

/* ---- steps ---- */

pass ndi_network_train(network *n, size_t B, const float *x, const int32_t *subjects, uint64_t step)
{
    const nd_encoder *e = n->encoder;
    memcpy(n->new_state, e->state, e->g->n_state * sizeof *e->state);
    return (pass){ .w = n->w,
                   .B = B,
                   .training = true,
                   .seed = n->seed,
                   .step = (uint32_t)step,
                   .x = x,
                   .subjects = subjects,
                   .params = e->params,
                   .state = e->state,
                   .new_state = n->new_state,
                   .grads = n->grads,
                   .factors = true };
}

pass ndi_network_validate(const network *n, size_t B, const float *x, const int32_t *subjects)
{
    const nd_encoder *e = n->encoder;
    return (pass){
        .w = n->w, .B = B, .x = x, .subjects = subjects, .params = n->mean ? n->mean : e->params, .state = n->mean ? n->mean_state : e->state
    };
}

typedef struct averaging {
    float *mean;
    const float *x;
    size_t n;
    float part;
} averaging;

/* mean <- mean + part (x - mean): what does not change stays as it is, to the bit. */
static void average_block(void *context, size_t task, size_t worker)
{
    (void)worker;
    const averaging *a = context;
    size_t end = (task + 1) * BLOCK < a->n ? (task + 1) * BLOCK : a->n;
    for (size_t i = task * BLOCK; i < end; i++) a->mean[i] += a->part * (a->x[i] - a->mean[i]);
}

static void average(const network *n, double decay)
{
    const nd_encoder *e = n->encoder;
    averaging a = { n->mean, e->params, e->g->n_params, (float)(1 - decay) };
    ndi_pool_run(n->threads, (a.n + BLOCK - 1) / BLOCK, average_block, &a);
    a = (averaging){ n->mean_state, e->state, e->g->n_state, a.part };
    ndi_pool_run(n->threads, (a.n + BLOCK - 1) / BLOCK, average_block, &a);
    for (int i = 0; i < e->g->n_tensors; i++)
        if (e->g->tensors[i].counter) n->mean_state[e->g->tensors[i].at] = e->state[e->g->tensors[i].at];
}

/* The node that has the gradient of the stretch in factors, NULL = there is none. */
static const node *in_factors(const stretch *s, const pass *p)
{
    const node *n = &p->w->nodes[s->from];
    return s->from && ndi_in_factors(p, n) ? n : NULL;
}

double ndi_network_squares(const network *n, const pass *p)
{
    double sum = 0;
    for (const stretch *s = n->stretches; s < n->stretches + n->n_stretches; s++) {
        const node *from = in_factors(s, p);
        sum += from ? from->weight->squares(p, from) : ndi_squares(n->threads, n->grads + s->first, s->n, n->norm_blocks);
    }
    return sum;
}

static void take_gradient(void *context, size_t at, const float *g, size_t n)
{
    const update *u = context;
    u->kind->block(u, at, g, n);
}

void ndi_network_update(network *n, const pass *p, const rule *given, float scale, double ema_decay)
{
    nd_encoder *e = n->encoder;
    for (const stretch *s = n->stretches; s < n->stretches + n->n_stretches; s++) {
        float *moments[NDI_MOMENTS];
        for (size_t k = 0; k < NDI_MOMENTS; k++) moments[k] = n->moments[k] ? n->moments[k] + s->first : NULL;
        rule r = *given;
        if (!s->decayed) r.weight_decay = 0;
        update u = ndi_update(&r, scale, e->params + s->first, moments);
        const node *from = in_factors(s, p);
        if (from)
            from->weight->hand_over(p, from, &(product_taker){ take_gradient, &u, { u.p, u.first, u.second } });
        else
            ndi_optimise(n->threads, &u, n->grads + s->first, s->n);
    }
    memcpy(e->state, n->new_state, e->g->n_state * sizeof *e->state);
    ndi_encoder_changed(e);
    if (n->mean) average(n, ema_decay);
}

/* ---- what is kept ---- */

void ndi_network_keep_best(network *n)
{
    const nd_encoder *e = n->encoder;
    memcpy(n->best, n->mean ? n->mean : e->params, e->g->n_params * sizeof *n->best);
    memcpy(n->best_state, n->mean ? n->mean_state : e->state, e->g->n_state * sizeof *n->best_state);
}

void ndi_network_take_best(network *n)
{
    nd_encoder *e = n->encoder;
    memcpy(e->params, n->best, e->g->n_params * sizeof *n->best);
    memcpy(e->state, n->best_state, e->g->n_state * sizeof *n->best_state);
    ndi_encoder_changed(e);
}

size_t ndi_network_blocks(const network *n, const optimiser *kind, block blocks[NDI_NETWORK_BLOCKS])
{
    const nd_encoder *e = n->encoder;
    size_t n_params = e->g->n_params, n_state = e->g->n_state, k = 0;
    const struct {
        const char *name;
        float *values;
        size_t n;
    } all[NDI_NETWORK_BLOCKS] = { { "params", e->params, n_params },
                                  { "state", e->state, n_state },
                                  { kind->moments[0], n->moments[0], n_params },
                                  { kind->moments[1], n->moments[1], n_params },
                                  { "best_params", n->best, n_params },
                                  { "best_state", n->best_state, n_state },
                                  { "ema_params", n->mean, n_params },
                                  { "ema_state", n->mean_state, n_state } };
    for (size_t i = 0; i < COUNT(all); i++) {
        if (!all[i].values) continue;
        block *b = &blocks[k++];
        *b = (block){ .values = all[i].values, .n = all[i].n, .squares = strcmp(all[i].name, "adam_v") == 0 };
        ndi_format(b->name, sizeof b->name, "%s%s", n->prefix, all[i].name);
    }
    return k;
}
