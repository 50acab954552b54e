/* A recurrent network over samples (Hochreiter and Schmidhuber, "Long short-term memory", Neural Computation 1997): the last state of its last layer, a linear layer, ReLU, the final layer.
 *
 * It starts from a zero state. The reference system draws the starting state at random at every pass, evaluation included, so that the same trial has another embedding each time. */
#include "encoders/encoder.h"
#include "nn/ops.h"

static const param params[] = {
    /* name     whole default reference min max */
    { "hidden", true, 128, 128, 1, 65536, "cells of a recurrent layer" },
    { "layers", true, 1,   1,   1, 64,    "recurrent layers" },
    { "output", true, 128, 128, 1, 65536, "features between the last state and the final layer" },
};

static void build(graph *g, const spec *s, int x)
{
    x = ndi_tokens(g, x);
    for (size_t layer = 0; layer < ndi_get_size(s, "layers"); layer++) x = ndi_lstm(g, x, "brain_backbone.lstm", layer, ndi_get_size(s, "hidden"));
    x = ndi_linear(g, ndi_rows(g, x, s->samples - 1, 1), "brain_backbone.output", ndi_get_size(s, "output"));
    ndi_linear(g, ndi_relu(g, x), "repr_layer", s->dim);
}

const encoder_kind ndi_encoder_lstm = {
    "lstm", "LSTM: a recurrent network over samples", "Hochreiter and Schmidhuber, Neural Computation 1997", params, COUNT(params), "repr_layer.bias", build, NULL,
};
