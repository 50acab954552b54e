/* Chains of nodes that one op does faster together. The graph and the names of its tensors stay as they are; only what a workspace runs is rewritten. */
#include <string.h>

#include "nn/ops.h"

enum { MAX_CHAIN = 4 };

typedef struct rule {
    const char *chain[MAX_CHAIN]; /* names of ops, each fed by the one before */
    bool (*fuse)(node *last, const node *chain);
} rule;

static const rule rules[] = {
    { { "conv_time", "batch_norm", "elu", "conv_space" }, ndi_fuse_conv_norm_elu_space },
};

static void nothing(const pass *p, const node *n)
{
    (void)p;
    (void)n;
}

static const op fused = { "fused", nothing, nothing };

static bool matches(const graph *g, const node *first, const char *const chain[MAX_CHAIN])
{
    if (first->index + MAX_CHAIN > g->n_nodes) return false;
    for (int k = 0; k < MAX_CHAIN; k++) {
        const node *n = first + k;
        if (strcmp(n->op->name, chain[k]) != 0) return false;
        if (k > 0 && (n->in[0] != n->index - 1 || n[-1].n_consumers != 1)) return false;
    }
    return true;
}

static void absorb(node *nodes, int first)
{
    node *last = &nodes[first + MAX_CHAIN - 1], *source = &nodes[nodes[first].in[0]];
    last->in[0] = source->index;
    last->first_tensor = nodes[first].first_tensor;
    if (source->last_consumer == first) source->last_consumer = last->index;
    for (int i = first; i < last->index; i++) nodes[i] = (node){ .op = &fused, .index = i };
}

void ndi_fuse(const graph *g, node *nodes)
{
    for (int i = 1; i < g->n_nodes; i++)
        for (size_t r = 0; r < COUNT(rules); r++)
            if (matches(g, &nodes[i], rules[r].chain) && rules[r].fuse(&nodes[i + MAX_CHAIN - 1], &nodes[i])) absorb(nodes, i);
}
