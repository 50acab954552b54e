/* What several architectures end with. */
#include "encoders/head.h"

#include <math.h>

int ndi_projection(graph *g, int x, size_t dim, double dropout, head_names names)
{
    x = ndi_linear(g, x, names.linear, dim);
    int residual = ndi_linear(g, ndi_gelu(g, x), names.residual, dim);
    return ndi_layer_norm(g, ndi_add(g, x, ndi_dropout(g, residual, dropout)), names.norm);
}

int ndi_logit_scale(graph *g, int x) { return ndi_unused(g, x, "logit_scale", 0, NULL, (float)log(1 / 0.07), 0); }
