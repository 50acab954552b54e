/* EEGNet: temporal, depthwise spatial and separable convolution (Lawhern et al., "EEGNet: a compact convolutional neural network for EEG-based brain-computer interfaces", J. Neural Eng.
 * 2018), as the reference system has it: every convolution has a bias and no norm is limited. */
#include "encoders/encoder.h"
#include "nn/ops.h"

static const param params[] = {
    /* name        whole  default reference min max */
    { "filters",   true,  8,   8,   1, 1024,  "temporal filters" },
    { "depth",     true,  2,   2,   1, 64,    "spatial filters of each temporal one" },
    { "separable", true,  16,  16,  1, 1024,  "filters of the separable convolution" },
    { "kernel",    true,  64,  64,  1, 10000, "temporal kernel, samples" },
    { "kernel2",   true,  16,  16,  1, 10000, "kernel of the separable convolution, samples" },
    { "pool",      true,  4,   4,   1, 10000, "mean pooling behind the spatial convolution, samples" },
    { "pool2",     true,  8,   8,   1, 10000, "mean pooling behind the separable convolution, samples" },
    { "dropout",   false, 0.5, 0.5, 0, 0.99,  "behind each pooling" },
};

/* As many samples as came in; for an even kernel the longer half of the zeros stands behind. */
static conv1d same(size_t maps, size_t kernel, size_t groups)
{
    size_t left = (kernel - 1) / 2;
    return (conv1d){ .maps = maps, .kernel = kernel, .groups = groups, .left = left, .right = kernel - 1 - left };
}

static void build(graph *g, const spec *s, int x)
{
    size_t filters = ndi_get_size(s, "filters"), spatial = filters * ndi_get_size(s, "depth");
    size_t width = ndi_get_size(s, "pool"), width2 = ndi_get_size(s, "pool2");
    double dropout = ndi_get(s, "dropout");
    x = ndi_conv_norm_space(g, x, "brain_backbone.model", (conv_norm_space_names){ "conv1", "bn1", "conv2" }, filters, ndi_get_size(s, "kernel"),
                            ndi_get_size(s, "depth"));
    x = ndi_elu(g, ndi_batch_norm(g, x, "brain_backbone.model.bn2"));
    x = ndi_dropout(g, ndi_mean_pool(g, x, "brain_backbone.model.pool1", width, width), dropout);
    x = ndi_conv1d(g, x, "brain_backbone.model.conv3", same(spatial, ndi_get_size(s, "kernel2"), spatial));
    x = ndi_conv_space(g, x, "brain_backbone.model.conv4", ndi_get_size(s, "separable"));
    x = ndi_elu(g, ndi_batch_norm(g, x, "brain_backbone.model.bn3"));
    x = ndi_dropout(g, ndi_mean_pool(g, x, "brain_backbone.model.pool2", width2, width2), dropout);
    ndi_linear(g, x, "repr_layer", s->dim);
}

const encoder_kind ndi_encoder_eegnet = {
    "eegnet", "EEGNet: temporal, depthwise spatial and separable convolution", "Lawhern et al., J. Neural Eng. 2018", params,
    COUNT(params), "repr_layer.bias", build, NULL,
};
