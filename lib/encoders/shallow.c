/* The shallow network: temporal convolution, spatial convolution and mean pooling (Schirrmeister et al., "Deep learning with convolutional neural networks for EEG decoding and
 * visualization", Hum. Brain Mapp. 2017), with the sizes and the head that NICE gave it. */
#include "encoders/encoder.h"
#include "encoders/head.h"
#include "nn/ops.h"

static const param params[] = {
    /* name      whole  default reference min max */
    { "maps",    true,  40,  40,  1, 1024,  "temporal and spatial filters" },
    { "kernel",  true,  25,  25,  1, 10000, "temporal kernel, samples" },
    { "pool",    true,  51,  51,  1, 10000, "mean pooling, samples" },
    { "stride",  true,  5,   5,   1, 10000, "step of the pooling, samples" },
    { "dropout", false, 0.5, 0.5, 0, 0.99,  "behind the convolutions and inside the head" },
};

static void build(graph *g, const spec *s, int x)
{
    size_t maps = ndi_get_size(s, "maps");
    double dropout = ndi_get(s, "dropout");
    x = ndi_conv_channels(g, x, "backbone", (conv_channels_names){ "0", "1" }, maps, ndi_get_size(s, "kernel"));
    x = ndi_elu(g, ndi_batch_norm(g, x, "backbone.2"));
    x = ndi_dropout(g, ndi_mean_pool(g, x, "backbone.4", ndi_get_size(s, "pool"), ndi_get_size(s, "stride")), dropout);
    x = ndi_projection(g, x, s->dim, dropout, (head_names){ "project.1", "project.2.f.1", "project.3" });
    ndi_logit_scale(g, x);
}

const encoder_kind ndi_encoder_shallow = {
    "shallow", "Shallow network: temporal and spatial convolution, mean pooling", "Schirrmeister et al., Hum. Brain Mapp. 2017", params,
    COUNT(params), "project.3.bias", build, NULL,
};
