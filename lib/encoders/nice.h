/* What NICE, its variants with attention and networks that end like it share; nice.c has it. */
#ifndef NDI_NICE_H
#define NDI_NICE_H

#include "encoders/encoder.h"

/* From channels x samples to the embedding: convolutions (layers brain_backbone.<convolutions>.…), head (brain_backbone.<projector>.…), final layer. Hyper-parameters maps, kernel, pool, stride, repr. */
void ndi_nice_layers(graph *g, const spec *s, int x, const char *convolutions, const char *projector, double dropout);

#endif
