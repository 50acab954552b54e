/* EEGProject: the whole trial through the projection of NICE, without convolutions (Wu et al., "Bridging the Vision-Brain Gap with an Uncertainty-Aware Blur Prior", CVPR 2025). */
#include "encoders/encoder.h"
#include "encoders/head.h"

static const param params[] = {
    /* name      whole  default reference min max */
    { "dropout", false, 0.3, 0.3, 0, 0.99, "inside the head" },
};

static void build(graph *g, const spec *s, int x)
{
    x = ndi_projection(g, x, s->dim, ndi_get(s, "dropout"), (head_names){ "model.0", "model.1.f.1", "model.2" });
    ndi_logit_scale(g, x);
}

const encoder_kind ndi_encoder_eegproject = {
    "eegproject", "EEGProject: residual linear projection of the whole trial", "Wu et al., CVPR 2025", params, COUNT(params), "model.2.bias", build, NULL,
};
