/* One linear layer, for the image side: image embeddings as dim x 1 inputs. */
#include "encoders/encoder.h"
#include "nn/ops.h"

static void build(graph *g, const spec *s, int x) { ndi_linear(g, x, "linear", s->dim); }

const encoder_kind ndi_encoder_linear = {
    "linear", "Linear projector of image embeddings", "", NULL, 0, "linear.bias", build, NULL,
};
