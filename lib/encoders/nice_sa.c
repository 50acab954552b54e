/* NICE-SA: self-attention between the electrodes in front of NICE, with a residual connection (Song et al., ICLR 2024). Queries and keys are linear maps over the channels of each sample, layer
 * normalised; scores are their products summed over the samples, divided by sqrt(samples / inter); the mixed channels go through one more such map.
 *
 * The published code multiplies each channel by the sum of its own attention weights, which is 1, so that nothing is mixed; here each channel becomes the mixture the weights say. */
#include <math.h>

#include "encoders/nice.h"
#include "nn/ops.h"

#define FRONT "brain_backbone.encoder.0.fn."

static const param params[] = {
    NDI_NICE_PARAMS,
    { "attention_dropout", false, 0.3, 0.3, 0, 0.99, "behind queries, keys, the projection and the whole of the attention" },
    { "inter", true, 30, 30, 1, 10000, "scores are divided by the square root of samples / inter, rounded down and at least 1" },
};

/* Linear, layer normalisation, dropout over the channels; x has a row per sample. NICE's own initial values leave these biases at 0. */
static int map(graph *g, const spec *s, int x, const char *linear, const char *norm)
{
    x = ndi_linear_rows(g, x, linear, s->channels);
    if (ndi_get(s, "init_normal") > 0) ndi_tensor_normal(g, 0, 0);
    return ndi_dropout(g, ndi_layer_norm_rows(g, x, norm), ndi_get(s, "attention_dropout"));
}

static void build(graph *g, const spec *s, int x)
{
    int first = g->n_nodes, v = ndi_layer_norm_rows(g, x, FRONT "0"), turned = ndi_tokens(g, v);
    int q = map(g, s, turned, FRONT "1.query.0", FRONT "1.query.1"), k = map(g, s, turned, FRONT "1.key.0", FRONT "1.key.1");
    double parts = floor((double)s->samples / ndi_get(s, "inter"));
    int mixed = ndi_channel_mix(g, ndi_channel_scores(g, q, k, 1 / sqrt(parts > 1 ? parts : 1)), v);
    mixed = ndi_tokens(g, map(g, s, ndi_tokens(g, mixed), FRONT "1.projection.0", FRONT "1.projection.1"));
    x = ndi_add(g, x, ndi_dropout(g, mixed, ndi_get(s, "attention_dropout")));
    ndi_nice(g, s, x, 1, first);
}

const encoder_kind ndi_encoder_nice_sa = {
    "nice-sa", "NICE with self-attention between channels", "Song et al., ICLR 2024", params, COUNT(params), "brain_backbone.projector.2.bias", build,
    NULL,
};
