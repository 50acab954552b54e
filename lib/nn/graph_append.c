/* A graph inside another: how an ensemble is made of its members. */
#include <string.h>

#include "base/text.h"
#include "nn/graph.h"

/* Does "prefix.name" fit? */
static bool join(char *to, size_t capacity, const char *prefix, const char *name)
{
    ndi_format(to, capacity, "%s%s%s", prefix, *name ? "." : "", name);
    return strlen(prefix) + (*name != 0) + strlen(name) < capacity;
}

static void append_tensor(graph *g, node *n, const tensor *from, const char *prefix)
{
    ndi_tensor_add(g, n, "", from->trainable, 0, 0, from->n_dims, from->shape);
    if (g->status != ND_OK) return;
    tensor *t = &g->tensors[g->n_tensors - 1];
    size_t at = t->at;
    *t = *from;
    t->at = at;
    if (t->unused) g->n_unused += t->n;
    if (!join(t->name, sizeof t->name, prefix, from->name)) ndi_graph_fail(g, n, "the name of parameter %s is too long", from->name);
}

static void append_node(graph *g, const graph *part, const node *from, int shift, const char *prefix)
{
    node *n = ndi_node_add(g, from->op, "", -1);
    if (!n) return;
    int index = n->index, first_tensor = n->first_tensor;
    *n = *from;
    n->index = index;
    n->first_tensor = first_tensor;
    n->n_tensors = n->n_consumers = n->last_consumer = 0;
    for (int k = 0; k < n->n_in; k++) n->in[k] += from->in[k] > 0 ? shift : 0;
    if (!join(n->name, sizeof n->name, prefix, from->name)) ndi_graph_fail(g, n, "its name is too long");
    for (int k = 0; k < from->n_tensors; k++) append_tensor(g, n, &part->tensors[from->first_tensor + k], prefix);
    ndi_node_done(g, n);
}

int ndi_graph_append(graph *g, const graph *part, const char *prefix)
{
    int shift = g->n_nodes - 1;
    for (int i = 1; i < part->n_nodes; i++) append_node(g, part, &part->nodes[i], shift, prefix);
    return g->status == ND_OK ? g->n_nodes - 1 : -1;
}
