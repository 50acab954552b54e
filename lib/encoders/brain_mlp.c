/* BrainMLP: the residual perceptron of MindEye for fMRI voxels (Scotti et al., "Reconstructing the Mind's Eye: fMRI-to-Image with Contrastive Learning and Diffusion Priors", NeurIPS 2023).
 * A trial of several samples is read as one long vector. `repr` adds the reference system's extra linear layer. */
#include "base/text.h"
#include "encoders/encoder.h"
#include "nn/ops.h"

static const param params[] = {
    /* name            whole  default reference min max */
    { "hidden",        true,  4096, 4096, 1, 65536, "size of the hidden layers" },
    { "blocks",        true,  4,    4,    0, 64,    "residual blocks" },
    { "dropout",       false, 0.5,  0.5,  0, 0.99,  "behind the first layer" },
    { "block_dropout", false, 0.15, 0.15, 0, 0.99,  "inside the blocks" },
    { "repr",          true,  0,    1,    0, 1,     "1 = a further linear layer at the end" },
};

/* Linear, layer normalisation, GELU, dropout: the layers `name`.0 and `name`.1. */
static int layer(graph *g, int x, const char *name, size_t hidden, double dropout)
{
    char linear[64], norm[64];
    ndi_format(linear, sizeof linear, "%s.0", name);
    ndi_format(norm, sizeof norm, "%s.1", name);
    return ndi_dropout(g, ndi_gelu(g, ndi_layer_norm(g, ndi_linear(g, x, linear, hidden), norm)), dropout);
}

static void build(graph *g, const spec *s, int x)
{
    size_t hidden = ndi_get_size(s, "hidden"), blocks = ndi_get_size(s, "blocks");
    x = layer(g, x, "brain_backbone.lin0", hidden, ndi_get(s, "dropout"));
    for (size_t k = 0; k < blocks; k++) {
        char name[64];
        ndi_format(name, sizeof name, "brain_backbone.mlp.%zu", k);
        x = ndi_add(g, x, layer(g, x, name, hidden, ndi_get(s, "block_dropout")));
    }
    x = ndi_linear(g, x, "brain_backbone.lin1", s->dim);
    if (ndi_get(s, "repr") > 0) ndi_linear(g, x, "repr_layer", s->dim);
}

const encoder_kind ndi_encoder_brain_mlp = {
    "brain-mlp", "BrainMLP: residual perceptron for fMRI voxels", "Scotti et al., NeurIPS 2023", params, COUNT(params), "brain_backbone.lin1.bias", build, NULL,
};
