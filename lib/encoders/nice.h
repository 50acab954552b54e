/* What NICE, its variants with attention and networks that end like it share; nice.c has it. */
#ifndef NDI_NICE_H
#define NDI_NICE_H

#include "encoders/encoder.h"

/* Rows of a table of hyper-parameters: name, whole, default, reference, min, max, meaning. */
#define NDI_NICE_PARAMS                                                                                              \
    { "maps",        true,  40,  40,  1, 1024,  "temporal, spatial and projection filters" },                        \
    { "kernel",      true,  25,  25,  1, 10000, "temporal kernel, samples" },                                        \
    { "pool",        true,  51,  51,  1, 10000, "mean pooling, samples" },                                           \
    { "stride",      true,  5,   5,   1, 10000, "step of the pooling, samples" },                                    \
    { "dropout",     false, 0.5, 0.5, 0, 0.99,  "behind the convolutions and inside the head" },                     \
    { "repr",        true,  0,   1,   0, 1,     "1 = a further linear layer at the end" },                           \
    { "init_normal", true,  0,   0,   0, 1,     "1 = convolutions, linear layers and batch normalisations start from normal numbers, as in NICE's own code" }

/* From channels x samples to the embedding: convolutions (layers brain_backbone.<convolutions>.…), head (brain_backbone.<projector>.…), final layer. Hyper-parameters maps, kernel, pool,
 * stride, repr. */
void ndi_nice_layers(graph *g, const spec *s, int x, const char *convolutions, const char *projector, double dropout);

/* NICE behind node x, its convolutions at `place` in the list of modules; initial values of all nodes from `first` on as `init_normal` says. */
void ndi_nice(graph *g, const spec *s, int x, int place, int first);

#endif
