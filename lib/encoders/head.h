/* What several architectures end with. */
#ifndef NDI_HEAD_H
#define NDI_HEAD_H

#include "nn/ops.h"

/* The projection of NICE: a linear layer to `dim`, to which a second one behind a GELU is added, then layer normalisation. The layers' names are given. */
typedef struct head_names {
    const char *linear, *residual, *norm;
} head_names;
int ndi_projection(graph *g, int x, size_t dim, double dropout, head_names names);

/* The parameter that models of the UBP family carry for the loss, log(1 / 0.07): held, not used. */
int ndi_logit_scale(graph *g, int x);

#endif
