/* What NICE and networks that end like it share. */
#ifndef NDI_NICE_H
#define NDI_NICE_H

#include "encoders/encoder.h"

/* From channels x samples to the embedding: convolutions (layers brain_backbone.<encoder>.…), head (brain_backbone.<projector>.…), final layer. Hyper-parameters maps, kernel, pool, stride, repr. */
void ndi_nice_layers(graph *g, const spec *s, int x, const char *encoder, const char *projector, double dropout);

#endif
