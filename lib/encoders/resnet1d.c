/* ResNet1d: residual convolutions along time with the channels as maps (Lima et al., "Deep neural network-estimated electrocardiographic age as a mortality predictor", Nat. Commun. 2021),
 * with the sizes of the reference system. Two paths run side by side, as that network has them: the sum of each block goes on as the skip path before its normalisation, as the main
 * path behind it.
 *
 * A length of 0 follows the input: the first block keeps it, the others halve it, rounding up. The lengths of the reference are fixed, and each must divide the one before. */
#include "base/text.h"
#include "encoders/encoder.h"
#include "nn/ops.h"

static const param params[] = {
    /* name        whole  default reference min max */
    { "blocks",    true,  5,   5,   1, 5,     "residual blocks" },
    { "filters0",  true,  64,  64,  1, 4096,  "filters of block 0 and of the stem" },
    { "filters1",  true,  128, 128, 1, 4096,  "filters of block 1" },
    { "filters2",  true,  196, 196, 1, 4096,  "filters of block 2" },
    { "filters3",  true,  256, 256, 1, 4096,  "filters of block 3" },
    { "filters4",  true,  320, 320, 1, 4096,  "filters of block 4" },
    { "length0",   true,  0,   0,   0, 1e6,   "samples behind block 0; 0 = as many as before" },
    { "length1",   true,  0,   128, 0, 1e6,   "samples behind block 1; 0 = half" },
    { "length2",   true,  0,   64,  0, 1e6,   "samples behind block 2; 0 = half" },
    { "length3",   true,  0,   32,  0, 1e6,   "samples behind block 3; 0 = half" },
    { "length4",   true,  0,   16,  0, 1e6,   "samples behind block 4; 0 = half" },
    { "kernel",    true,  17,  17,  1, 10000, "kernel of every convolution, samples" },
    { "dropout",   false, 0.5, 0.5, 0, 0.99,  "behind each rectified unit" },
};

static size_t of_block(const spec *s, const char *what, size_t block)
{
    char name[16];
    ndi_format(name, sizeof name, "%s%zu", what, block);
    return ndi_get_size(s, name);
}

/* ceil(samples / stride) samples come out; the zeros in front are those of the reference. */
static conv1d convolution(size_t filters, size_t kernel, size_t samples, size_t stride)
{
    size_t left = kernel > stride ? (kernel - stride + 1) / 2 : 0, spanned = (samples - 1) / stride * stride + kernel, given = left + samples;
    size_t right = spanned > given ? spanned - given : 0;
    return (conv1d){ .maps = filters, .kernel = kernel, .stride = stride, .left = left, .right = right, .rows_are_maps = true, .no_bias = true };
}

static int rectify(graph *g, int x, const char *norm, double dropout) { return ndi_dropout(g, ndi_relu(g, ndi_batch_norm(g, x, norm)), dropout); }

typedef struct paths {
    int main, skip;
    shape at; /* of both */
} paths;

static paths add_block(graph *g, const spec *s, paths in, size_t k)
{
    size_t filters = of_block(s, "filters", k), length = of_block(s, "length", k), kernel = ndi_get_size(s, "kernel"), T = in.at.samples;
    size_t stride = length == 0 ? (k == 0 ? 1 : 2) : (length < T ? T / length : 1);
    double dropout = ndi_get(s, "dropout");
    char name[5][64];
    const char *const layers[] = { "conv1", "bn1", "conv2", "bn2", "skip_connection.1" };
    for (size_t i = 0; i < COUNT(layers); i++) ndi_format(name[i], sizeof name[i], "brain_backbone.resblock1d_%zu.%s", k, layers[i]);
    conv1d down = convolution(filters, kernel, T, stride);
    down.samples = length;
    int x = rectify(g, ndi_conv1d(g, in.main, name[0], convolution(filters, kernel, T, 1)), name[1], dropout), skip = in.skip;
    x = ndi_conv1d(g, x, name[2], down);
    if (stride > 1) skip = ndi_max_pool(g, skip, "skip_connection.0", stride);
    if (filters != in.at.maps) skip = ndi_conv1d(g, skip, name[4], convolution(filters, 1, (T + stride - 1) / stride, 1));
    x = ndi_add(g, x, skip);
    return (paths){ rectify(g, x, name[3], dropout), x, { filters, 1, (T + stride - 1) / stride } };
}

static void build(graph *g, const spec *s, int x)
{
    size_t blocks = ndi_get_size(s, "blocks"), filters = of_block(s, "filters", 0);
    x = ndi_conv1d(g, x, "brain_backbone.conv1", convolution(filters, ndi_get_size(s, "kernel"), s->samples, 1));
    x = ndi_batch_norm(g, x, "brain_backbone.bn1");
    paths p = { x, x, { filters, 1, s->samples } };
    for (size_t k = 0; k < blocks; k++) p = add_block(g, s, p, k);
    ndi_linear(g, p.main, "repr_layer", s->dim);
}

const encoder_kind ndi_encoder_resnet1d = {
    "resnet1d", "ResNet1d: residual convolutions along time", "Lima et al., Nat. Commun. 2021", params, COUNT(params), "repr_layer.bias", build, NULL,
};
