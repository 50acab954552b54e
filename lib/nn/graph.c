/* Building a graph: nodes, tensors, initial values. Running it is in pass.c. */
#include "nn/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "base/text.h"

static const op input = { "input", NULL, NULL };

static bool grow(void **items, int n, int *capacity, size_t size)
{
    if (n < *capacity) return true;
    int bigger = *capacity ? 2 * *capacity : 32;
    void *more = ndi_realloc(*items, (size_t)*capacity * size, (size_t)bigger * size);
    if (!more) return false;
    *items = more;
    *capacity = bigger;
    return true;
}

nd_status ndi_graph_create(graph **out, const char *encoder, shape x)
{
    graph *g;
    TRY(NEW(g, 1));
    snprintf(g->encoder, sizeof g->encoder, "%s", encoder);
    node *n = ndi_node_add(g, &input, "input", -1);
    if (n) {
        n->x = n->out = x;
        ndi_node_done(g, n);
    }
    if (g->status != ND_OK) {
        nd_status status = g->status;
        ndi_graph_free(g);
        return status;
    }
    *out = g;
    return ND_OK;
}

void ndi_graph_free(graph *g)
{
    if (!g) return;
    ndi_free(g->nodes);
    ndi_free(g->tensors);
    ndi_free(g);
}

node *ndi_node_add(graph *g, const op *kind, const char *name, int x)
{
    if (g->status != ND_OK) return NULL;
    if (!grow((void **)&g->nodes, g->n_nodes, &g->nodes_capacity, sizeof *g->nodes)) {
        g->status = ndi_fail(ND_ERR_MEMORY, "%s: out of memory", g->encoder);
        return NULL;
    }
    node *n = &g->nodes[g->n_nodes];
    memset(n, 0, sizeof *n);
    n->op = kind;
    snprintf(n->name, sizeof n->name, "%s", name);
    n->index = g->n_nodes;
    n->first_tensor = g->n_tensors;
    n->in[0] = x;
    n->n_in = x >= 0;
    if (x >= 0) n->x = n->out = g->nodes[x].out;
    return n;
}

int ndi_node_done(graph *g, node *n)
{
    if (g->status != ND_OK) return -1;
    for (int k = 0; k < n->n_in; k++) {
        g->nodes[n->in[k]].n_consumers++;
        g->nodes[n->in[k]].last_consumer = n->index;
    }
    g->n_nodes++;
    return n->index;
}

int ndi_graph_fail(graph *g, const node *n, const char *format, ...)
{
    if (g->status != ND_OK) return -1;
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    ndi_vformat(what, sizeof what, format, arguments);
    va_end(arguments);
    g->status = ndi_fail(ND_ERR_ARGUMENT, "%s: layer %s (%s): %s; its input is %zu x %zu x %zu (maps x channels x samples)", g->encoder, n->name,
                         n->op->name, what, n->x.maps, n->x.rows, n->x.samples);
    return -1;
}

void ndi_tensor_add(graph *g, node *n, const char *suffix, bool trainable, float start, float bound, size_t n_dims, const size_t *dims)
{
    if (g->status != ND_OK) return;
    if (!grow((void **)&g->tensors, g->n_tensors, &g->tensors_capacity, sizeof *g->tensors)) {
        g->status = ndi_fail(ND_ERR_MEMORY, "%s: out of memory", g->encoder);
        return;
    }
    tensor *t = &g->tensors[g->n_tensors];
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s%s%s", n->name, *n->name ? "." : "", suffix);
    t->n_dims = n_dims;
    t->n = 1;
    for (size_t k = 0; k < n_dims; k++) {
        t->shape[k] = dims[k];
        if (!ndi_mul(t->n, dims[k], &t->n) || t->n > SIZE_MAX / 64) {
            ndi_graph_fail(g, n, "parameter %s is too large", suffix);
            return;
        }
    }
    t->counter = n_dims == 0 && !trainable;
    t->trainable = trainable;
    t->start = start;
    t->bound = bound;
    size_t *total = trainable ? &g->n_params : &g->n_state;
    t->at = *total;
    *total += t->n;
    g->n_tensors++;
    n->n_tensors++;
}

void ndi_tensor_of_layer(graph *g, node *n, const char *layer, const char *what, bool trainable, float start, float bound, size_t n_dims,
                         const size_t *dims)
{
    char suffix[64];
    ndi_format(suffix, sizeof suffix, "%s.%s", layer, what);
    ndi_tensor_add(g, n, suffix, trainable, start, bound, n_dims, dims);
}

void ndi_tensor_set_whole(graph *g)
{
    if (g->status == ND_OK) g->tensors[g->n_tensors - 1].set_whole = true;
}

void ndi_tensor_normal(graph *g, float mean, float sd)
{
    if (g->status != ND_OK) return;
    tensor *t = &g->tensors[g->n_tensors - 1];
    t->start = mean;
    t->bound = 0;
    t->sd = sd;
}

/* Has the layer of this tensor, "layer.weight", running statistics? */
static bool of_batch_norm(const graph *g, const tensor *weight)
{
    char name[sizeof weight->name + 16];
    ndi_format(name, sizeof name, "%.*srunning_mean", (int)(strlen(weight->name) - strlen("weight")), weight->name);
    return ndi_graph_tensor(g, name) != NULL;
}

void ndi_graph_normal(graph *g, int first, float sd)
{
    for (int i = first < g->n_nodes ? g->nodes[first].first_tensor : g->n_tensors; i < g->n_tensors; i++) {
        tensor *t = &g->tensors[i];
        size_t n = strlen(t->name);
        if (!t->trainable || n < 7 || strcmp(t->name + n - 7, ".weight") != 0) continue;
        bool scales = t->n_dims == 1;
        if (scales && !of_batch_norm(g, t)) continue;
        t->start = scales;
        t->bound = 0;
        t->sd = sd;
    }
}

void ndi_tensor_uniform(graph *g, float bound)
{
    ndi_tensor_normal(g, 0, 0);
    if (g->status == ND_OK) g->tensors[g->n_tensors - 1].bound = bound;
}

const tensor *ndi_graph_tensor(const graph *g, const char *name)
{
    for (int i = 0; i < g->n_tensors; i++)
        if (strcmp(g->tensors[i].name, name) == 0) return &g->tensors[i];
    return NULL;
}

void ndi_graph_init(const graph *g, uint64_t seed, float *params, float *state)
{
    for (int i = 0; i < g->n_tensors; i++) {
        const tensor *t = &g->tensors[i];
        float *values = (t->trainable ? params : state) + t->at;
        for (size_t k = 0; k < t->n; k++) {
            double pair[2] = { 0 };
            if (t->sd > 0)
                ndi_normal2(seed, NDI_RANDOM_INIT, (uint32_t)i, k, pair);
            else if (t->bound > 0)
                pair[0] = 2 * ndi_uniform(seed, NDI_RANDOM_INIT, (uint32_t)i, k) - 1;
            values[k] = t->start + (t->sd > 0 ? t->sd : t->bound) * (float)pair[0];
        }
    }
}

shape ndi_graph_out(const graph *g) { return g->nodes[g->n_nodes - 1].out; }
