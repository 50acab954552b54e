/* TSConv: the convolutions of NICE (Song et al., "Decoding Natural Images from EEG for Object Recognition", ICLR 2024) as the UBP family of models has them, without the 1 x 1 convolution
 * (Wu et al., "Bridging the Vision-Brain Gap with an Uncertainty-Aware Blur Prior", CVPR 2025). */
#include "encoders/encoder.h"
#include "encoders/head.h"

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
    x = ndi_conv_time(g, x, "backbone.0", maps, ndi_get_size(s, "kernel"), ndi_get_size(s, "pool"), ndi_get_size(s, "stride"));
    x = ndi_elu(g, ndi_batch_norm(g, x, "backbone.2"));
    x = ndi_conv_space(g, x, "backbone.4", maps);
    x = ndi_dropout(g, ndi_elu(g, ndi_batch_norm(g, x, "backbone.5")), dropout);
    x = ndi_projection(g, x, s->dim, dropout, (head_names){ "project.1", "project.2.f.1", "project.3" });
    ndi_logit_scale(g, x);
}

const encoder_kind ndi_encoder_tsconv = {
    "tsconv", "TSConv: temporal-spatial convolution", "Wu et al., CVPR 2025", params, COUNT(params), "project.3.bias", build, NULL,
};
