/* NICE: temporal-spatial convolution (Song et al., "Decoding Natural Images from EEG for Object Recognition", ICLR 2024), as the reference system has it: the pooling stands before the first
 * batch normalisation. `repr` adds that system's extra linear layer behind the layer normalisation. */
#include "encoders/nice.h"

#include "nn/ops.h"

static const param params[] = { NDI_NICE_PARAMS };

/* "brain_backbone.encoder.<place>.<rest>" */
typedef struct layer {
    char name[64];
} layer;

static layer at(int place, const char *rest)
{
    layer l;
    ndi_format(l.name, sizeof l.name, "brain_backbone.encoder.%d.%s", place, rest);
    return l;
}

void ndi_nice(graph *g, const spec *s, int x, int place, int first)
{
    size_t maps = ndi_get_size(s, "maps");
    double dropout = ndi_get(s, "dropout");
    x = ndi_conv_time(g, x, at(place, "tsconv.0").name, maps, ndi_get_size(s, "kernel"), ndi_get_size(s, "pool"), ndi_get_size(s, "stride"));
    x = ndi_elu(g, ndi_batch_norm(g, x, at(place, "tsconv.2").name));
    x = ndi_conv_space(g, x, at(place, "tsconv.4").name, maps);
    x = ndi_elu(g, ndi_batch_norm(g, x, at(place, "tsconv.5").name));
    x = ndi_conv_space(g, ndi_dropout(g, x, dropout), at(place, "projection.0").name, maps);
    x = ndi_linear(g, ndi_flatten(g, x, true), "brain_backbone.projector.0", s->dim);
    int residual = ndi_linear(g, ndi_gelu(g, x), "brain_backbone.projector.1.fn.1", s->dim);
    x = ndi_add(g, x, ndi_dropout(g, residual, dropout));
    x = ndi_layer_norm(g, x, "brain_backbone.projector.2");
    if (ndi_get(s, "repr") > 0) ndi_linear(g, x, "repr_layer", s->dim);
    if (ndi_get(s, "init_normal") > 0) ndi_graph_normal(g, first, 0.02f);
}

static void build(graph *g, const spec *s, int x) { ndi_nice(g, s, x, 0, g->n_nodes); }

const encoder_kind ndi_encoder_nice = {
    "nice", "NICE: temporal-spatial convolution", "Song et al., ICLR 2024", params, COUNT(params), "brain_backbone.projector.2.bias", build, NULL,
};
