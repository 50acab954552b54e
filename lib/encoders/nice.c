/* NICE: temporal-spatial convolution (Song et al., "Decoding Natural Images from EEG for Object Recognition", ICLR 2024), as the reference system has it: the pooling stands before the first
 * batch normalisation. `repr` adds that system's extra linear layer behind the layer normalisation. */
#include "encoders/nice.h"

#include "encoders/head.h"

static const param params[] = { NDI_NICE_PARAMS };

void ndi_nice_layers(graph *g, const spec *s, int x, const char *convolutions, const char *projector, double dropout)
{
    size_t maps = ndi_get_size(s, "maps");
    x = ndi_conv_time(g, x, ndi_layer("brain_backbone.%s.tsconv.0", convolutions).s, maps, ndi_get_size(s, "kernel"), ndi_get_size(s, "pool"),
                      ndi_get_size(s, "stride"));
    x = ndi_elu(g, ndi_batch_norm(g, x, ndi_layer("brain_backbone.%s.tsconv.2", convolutions).s));
    x = ndi_conv_space(g, x, ndi_layer("brain_backbone.%s.tsconv.4", convolutions).s, maps);
    x = ndi_elu(g, ndi_batch_norm(g, x, ndi_layer("brain_backbone.%s.tsconv.5", convolutions).s));
    x = ndi_conv_space(g, ndi_dropout(g, x, dropout), ndi_layer("brain_backbone.%s.projection.0", convolutions).s, maps);
    layer_name linear = ndi_layer("brain_backbone.%s.0", projector), residual = ndi_layer("brain_backbone.%s.1.fn.1", projector),
               norm = ndi_layer("brain_backbone.%s.2", projector);
    x = ndi_projection(g, ndi_flatten(g, x, true), s->dim, dropout, (head_names){ linear.s, residual.s, norm.s });
    if (ndi_get(s, "repr") > 0) ndi_linear(g, x, "repr_layer", s->dim);
}

void ndi_nice(graph *g, const spec *s, int x, int place, int first)
{
    ndi_nice_layers(g, s, x, ndi_layer("encoder.%d", place).s, "projector", ndi_get(s, "dropout"));
    if (ndi_get(s, "init_normal") > 0) ndi_graph_normal(g, first, 0.02f);
}

static void build(graph *g, const spec *s, int x) { ndi_nice(g, s, x, 0, g->n_nodes); }

const encoder_kind ndi_encoder_nice = {
    "nice", "NICE: temporal-spatial convolution", "Song et al., ICLR 2024", params, COUNT(params), "brain_backbone.projector.2.bias", build, NULL,
};
