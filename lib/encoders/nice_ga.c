/* NICE-GA: graph attention between the electrodes in front of NICE, with a residual connection (Song et al., ICLR 2024). Every electrode of a trial is a neighbour of every other and of itself.
 * The published code lists edges between the nodes of a batch's first trial only, so that all other trials pass unmixed; here each trial has its own complete graph. */
#include "encoders/nice.h"
#include "nn/ops.h"

static const param params[] = {
    NDI_NICE_PARAMS,
    { "attention_dropout", false, 0.3, 0.3, 0, 0.99, "behind the attention between channels" },
};

static void build(graph *g, const spec *s, int x)
{
    int first = g->n_nodes, mixed = ndi_graph_attention(g, x, "brain_backbone.encoder.0.fn.0.conv1");
    x = ndi_add(g, x, ndi_dropout(g, mixed, ndi_get(s, "attention_dropout")));
    ndi_nice(g, s, x, 1, first);
}

const encoder_kind ndi_encoder_nice_ga = {
    "nice-ga",
    "NICE with graph attention between channels",
    "Song et al., ICLR 2024; Velickovic et al., ICLR 2018",
    params,
    COUNT(params),
    "brain_backbone.projector.2.bias",
    build,
    NULL,
};
