/* A perceptron with one hidden layer, for the image side: image embeddings as dim x 1 inputs. Tensors are named as those of a bare nn.Sequential. */
#include "encoders/encoder.h"
#include "nn/ops.h"

static const param params[] = {
    /* name      whole  default reference min max */
    { "hidden",  true,  1024, 1024, 1, 65536, "size of the hidden layer" },
    { "dropout", false, 0.5,  0.5,  0, 0.99,  "behind the hidden layer" },
};

static void build(graph *g, const spec *s, int x)
{
    x = ndi_gelu(g, ndi_linear(g, x, "0", ndi_get_size(s, "hidden")));
    ndi_linear(g, ndi_dropout(g, x, ndi_get(s, "dropout")), "3", s->dim);
}

const encoder_kind ndi_encoder_mlp = {
    "mlp", "perceptron with one hidden layer", "Chen et al., ICML 2020 (the projection head of SimCLR)", params, COUNT(params), "3.bias", build, NULL,
};
