/* One linear layer on the whole trial: an image-side projector, or the simplest encoder trained by a contrastive loss. Tensors are named as those of a bare nn.Linear. */
#include "encoders/encoder.h"
#include "nn/ops.h"

static void build(graph *g, const spec *s, int x) { ndi_linear(g, x, "", s->dim); }

const encoder_kind ndi_encoder_linear = { "linear", "linear layer", "Radford et al., ICML 2021 (the projections of CLIP)", NULL, 0, "bias", build, NULL };
