/* ATM-S: attention between channels, then the layers of NICE (Li et al., "Visual Decoding and Reconstruction via EEG Embeddings with Guided Diffusion", NeurIPS 2024). A channel's samples are
 * a token; a further token tells the subject.
 *
 * The reference system keeps the first rows behind the attention, as many as there are channels: the subject's, which stands in front, stays, and the last channel is dropped (drop_last). It
 * takes a subject's number itself as the row of the table and the shared token for a whole batch with a subject beyond the table (raw_subjects). */
#include <math.h>

#include "encoders/nice.h"
#include "nn/ops.h"

static const param params[] = {
    /* name              whole  default reference min max */
    { "heads",           true,  4,    4,    1, 1024,   "attention heads, of samples / heads features each" },
    { "feed_forward",    true,  256,  256,  1, 65536,  "inner features of the attention layer" },
    { "dropout",         false, 0.25, 0.25, 0, 0.99,   "of tokens, attention weights and inside the attention layer" },
    { "subjects",        true,  10,   10,   1, 100000, "subjects with a token of their own" },
    { "subject_dropout", false, 0.1,  0,    0, 1,      "share of training trials given the token of unknown subjects, so that it learns to serve them" },
    { "raw_subjects",    true,  0,    1,    0, 1,      "1 = subject s has row s of the table instead of row s - 1, one subject beyond it the shared token for its batch" },
    { "drop_last",       true,  0,    1,    0, 1,      "1 = behind the attention the subject's token stays and the last channel goes" },
    { "maps",            true,  40,   40,   1, 1024,   "temporal, spatial and projection filters" },
    { "kernel",          true,  25,   25,   1, 10000,  "temporal kernel, samples" },
    { "pool",            true,  51,   51,   1, 10000,  "mean pooling, samples" },
    { "stride",          true,  5,    5,    1, 10000,  "step of the pooling, samples" },
    { "conv_dropout",    false, 0.5,  0.5,  0, 0.99,   "behind the convolutions and inside the head" },
    { "repr",            true,  0,    1,    0, 1,      "1 = a further linear layer at the end" },
};

#define EMBEDDING "brain_backbone.encoder.enc_embedding."
#define LAYER "brain_backbone.encoder.encoder.attn_layers.0."

static int embed_tokens(graph *g, const spec *s, int x)
{
    size_t T = s->samples;
    const size_t token[] = { 1, T }, per_sample[] = { T, 4 };
    x = ndi_linear_rows(g, x, EMBEDDING "value_embedding", T);
    x = ndi_unused(g, x, EMBEDDING "mask_token", 2, token, 0, 1);
    x = ndi_unused(g, x, EMBEDDING "temporal_embedding.embed.weight", 2, per_sample, 0, 0);
    ndi_tensor_uniform(g, 0.5f); /* a linear layer of four inputs */
    x = ndi_unused(g, x, EMBEDDING "subject_embedding.mask_embedding", 2, token, 0, 1);
    x = ndi_subject_token(g, x, EMBEDDING "subject_embedding", ndi_get_size(s, "subjects"), ndi_get(s, "raw_subjects") > 0, ndi_get(s, "subject_dropout"));
    return ndi_dropout(g, x, ndi_get(s, "dropout"));
}

static int attend(graph *g, const spec *s, int x)
{
    size_t heads = ndi_get_size(s, "heads"), d = s->samples / heads;
    double dropout = ndi_get(s, "dropout");
    int q = ndi_linear_rows(g, x, LAYER "attention.query_projection", heads * d);
    int k = ndi_linear_rows(g, x, LAYER "attention.key_projection", heads * d);
    int v = ndi_linear_rows(g, x, LAYER "attention.value_projection", heads * d);
    int y = ndi_attention(g, q, k, v, heads, 1 / sqrt((double)d), dropout);
    y = ndi_linear_rows(g, y, LAYER "attention.out_projection", s->samples);
    x = ndi_layer_norm_rows(g, ndi_add(g, x, ndi_dropout(g, y, dropout)), LAYER "norm1");
    y = ndi_conv_rows(g, x, LAYER "conv1", ndi_get_size(s, "feed_forward"));
    y = ndi_conv_rows(g, ndi_dropout(g, ndi_gelu(g, y), dropout), LAYER "conv2", s->samples);
    x = ndi_layer_norm_rows(g, ndi_add(g, x, ndi_dropout(g, y, dropout)), LAYER "norm2");
    return ndi_layer_norm_rows(g, x, "brain_backbone.encoder.encoder.norm");
}

static void build(graph *g, const spec *s, int x)
{
    x = attend(g, s, embed_tokens(g, s, x));
    x = ndi_rows(g, x, ndi_get(s, "drop_last") > 0 ? 0 : 1, s->channels);
    ndi_nice_layers(g, s, x, "enc_eeg.0", "proj_eeg", ndi_get(s, "conv_dropout"));
}

const encoder_kind ndi_encoder_atms = {
    "atms", "ATM-S: attention between channels, then NICE", "Li et al., NeurIPS 2024", params, COUNT(params), "brain_backbone.proj_eeg.2.bias", build, NULL,
};
