/* Chains of nodes that one op does faster together. The graph and the names of its tensors stay as they are; only what a workspace runs is rewritten. */
#include <string.h>

#include "nn/ops.h"

enum { MAX_CHAIN = 4 };

typedef struct rule {
    const char *chain[MAX_CHAIN]; /* names of ops, each fed by the one before; NULL behind a shorter one */
    bool (*fuse)(node *last, const node *chain);
} rule;

static const rule rules[] = {
    { { "conv_time", "batch_norm", "elu", "conv_space" }, ndi_fuse_conv_norm_elu_space },
    { { "batch_norm", "elu", "mean_pool" }, ndi_fuse_norm_elu_pool },
    { { "batch_norm", "relu", "dropout" }, ndi_fuse_norm_relu_dropout },
    { { "tokens", "lstm" }, ndi_fuse_tokens_lstm },
};

static void nothing(const pass *p, const node *n)
{
    (void)p;
    (void)n;
}

static const op fused = { "fused", nothing, nothing };

static int length_of(const rule *r)
{
    int n = 0;
    while (n < MAX_CHAIN && r->chain[n]) n++;
    return n;
}

static bool matches(const graph *g, const node *first, const rule *r)
{
    if (first->index + length_of(r) > g->n_nodes) return false;
    for (int k = 0; k < length_of(r); k++) {
        const node *n = first + k;
        if (strcmp(n->op->name, r->chain[k]) != 0) return false;
        if (k > 0 && (n->in[0] != n->index - 1 || n[-1].n_consumers != 1)) return false;
    }
    return true;
}

static void absorb(node *first, node *last, node *source)
{
    last->in[0] = source->index;
    last->first_tensor = first->first_tensor;
    if (source->last_consumer == first->index) source->last_consumer = last->index;
    for (; first < last; first++) *first = (node){ .op = &fused, .index = first->index };
}

void ndi_fuse(const graph *g, node *nodes)
{
    for (int i = 1; i < g->n_nodes; i++)
        for (size_t r = 0; r < COUNT(rules); r++) {
            node *first = &nodes[i], *last = first + length_of(&rules[r]) - 1;
            if (matches(g, first, &rules[r]) && rules[r].fuse(last, first)) absorb(first, last, &nodes[first->in[0]]);
        }
}
