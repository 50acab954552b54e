/* EEG Conformer: convolutions, then attention between moments (Song et al., "EEG Conformer: Convolutional Transformer for EEG Decoding and Visualization", IEEE TNSRE 2023).
 *
 * The reference system leaves the network's classifier in: the whole embedding passes 32 features (fc2) and logarithms of class probabilities (features, log_softmax). Here the final layer
 * follows wider hidden layers. The reference divides scores by the square root of all features whatever the number of heads (full_scale). */
#include <math.h>

#include "encoders/encoder.h"
#include "nn/ops.h"

static const param params[] = {
    /* name          whole  default reference min max */
    { "maps",        true,  40,   40,   1, 1024,  "temporal and spatial filters, features of a token" },
    { "kernel",      true,  10,   10,   1, 10000, "temporal kernel, samples" },
    { "pool",        true,  25,   25,   1, 10000, "mean pooling, samples" },
    { "stride",      true,  5,    5,    1, 10000, "step of the pooling, samples" },
    { "dropout",     false, 0.25, 0.25, 0, 0.99,  "behind the pooling" },
    { "depth",       true,  2,    2,    0, 64,    "attention layers" },
    { "heads",       true,  1,    1,    1, 1024,  "attention heads, of maps / heads features each" },
    { "full_scale",  true,  0,    1,    0, 1,     "1 = scores over the square root of maps instead of maps / heads" },
    { "att_dropout", false, 0.5,  0.5,  0, 0.99,  "of attention weights and inside the attention layers" },
    { "fc1",         true,  256,  256,  1, 65536, "first hidden layer behind the attention" },
    { "fc1_dropout", false, 0.5,  0.5,  0, 0.99,  "behind it" },
    { "fc2",         true,  256,  32,   1, 65536, "second hidden layer" },
    { "fc2_dropout", false, 0.3,  0.3,  0, 0.99,  "behind it" },
    { "features",    true,  0,    1024, 0, 65536, "outputs of the classifier, 0 = it is left out" },
    { "log_softmax", true,  0,    1,    0, 1,     "1 = the final layer sees logarithms of probabilities" },
};

#define PATCH "brain_backbone.patch_embedding."
#define BLOCK "brain_backbone.transformer.%zu."

static int embed_patches(graph *g, const spec *s, int x)
{
    size_t maps = ndi_get_size(s, "maps");
    x = ndi_conv_channels(g, x, PATCH "shallownet", (conv_channels_names){ "0", "1" }, maps, ndi_get_size(s, "kernel"));
    x = ndi_elu(g, ndi_batch_norm(g, x, PATCH "shallownet.2"));
    x = ndi_dropout(g, ndi_mean_pool(g, x, "pool", ndi_get_size(s, "pool"), ndi_get_size(s, "stride")), ndi_get(s, "dropout"));
    return ndi_tokens(g, ndi_conv_space(g, x, PATCH "projection.0", maps));
}

static int attend(graph *g, const spec *s, int x, size_t block)
{
    size_t maps = ndi_get_size(s, "maps"), heads = ndi_get_size(s, "heads");
    double dropout = ndi_get(s, "att_dropout"), width = (double)maps / (ndi_get(s, "full_scale") > 0 ? 1 : (double)heads);
    int y = ndi_layer_norm_rows(g, x, ndi_layer(BLOCK "0.fn.0", block).s);
    int q = ndi_linear_rows(g, y, ndi_layer(BLOCK "0.fn.1.queries", block).s, maps);
    int k = ndi_linear_rows(g, y, ndi_layer(BLOCK "0.fn.1.keys", block).s, maps);
    int v = ndi_linear_rows(g, y, ndi_layer(BLOCK "0.fn.1.values", block).s, maps);
    y = ndi_attention(g, q, k, v, heads, 1 / sqrt(width), dropout);
    y = ndi_linear_rows(g, y, ndi_layer(BLOCK "0.fn.1.projection", block).s, maps);
    return ndi_add(g, x, ndi_dropout(g, y, dropout));
}

static int feed_forward(graph *g, const spec *s, int x, size_t block)
{
    size_t maps = ndi_get_size(s, "maps");
    double dropout = ndi_get(s, "att_dropout");
    int y = ndi_layer_norm_rows(g, x, ndi_layer(BLOCK "1.fn.0", block).s);
    y = ndi_gelu(g, ndi_linear_rows(g, y, ndi_layer(BLOCK "1.fn.1.0", block).s, 4 * maps));
    y = ndi_linear_rows(g, ndi_dropout(g, y, dropout), ndi_layer(BLOCK "1.fn.1.3", block).s, maps);
    return ndi_add(g, x, ndi_dropout(g, y, dropout));
}

static void build(graph *g, const spec *s, int x)
{
    size_t features = ndi_get_size(s, "features");
    x = embed_patches(g, s, x);
    for (size_t b = 0; b < ndi_get_size(s, "depth"); b++) x = feed_forward(g, s, attend(g, s, x, b), b);
    x = ndi_elu(g, ndi_linear(g, ndi_flatten(g, x, false), "brain_backbone.fc.fc.0", ndi_get_size(s, "fc1")));
    x = ndi_elu(g, ndi_linear(g, ndi_dropout(g, x, ndi_get(s, "fc1_dropout")), "brain_backbone.fc.fc.3", ndi_get_size(s, "fc2")));
    x = ndi_dropout(g, x, ndi_get(s, "fc2_dropout"));
    if (features > 0) x = ndi_linear(g, x, "brain_backbone.final_layer.final_layer.0", features);
    if (ndi_get(s, "log_softmax") > 0) x = ndi_log_softmax(g, x);
    ndi_linear(g, x, "repr_layer", s->dim);
}

const encoder_kind ndi_encoder_eegconformer = {
    "eegconformer", "EEG Conformer: convolutions, then attention between moments", "Song et al., IEEE TNSRE 2023", params, COUNT(params), "repr_layer.bias", build, NULL,
};
