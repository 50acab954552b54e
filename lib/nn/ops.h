/* The operations: each of these is one file, op_<name>.c, and adds one node to a graph. All return the node's index, -1 once the graph has failed. `name` is the layer's name in the
 * reference implementation's state dict; layers without parameters take any name. */
#ifndef NDI_OPS_H
#define NDI_OPS_H

#include "nn/graph.h"

/* Temporal convolution of a single map by `maps` filters of `kernel` taps, then the mean over `width` samples every `stride`: 1 x C x T -> F x C x P. width = stride = 1 is the plain convolution. */
int ndi_conv_time(graph *g, int x, const char *name, size_t maps, size_t kernel, size_t width, size_t stride);
/* Spatial convolution over all rows at once: M x H x T -> F x 1 x T. With one row it is the 1 x 1 convolution. */
int ndi_conv_space(graph *g, int x, const char *name, size_t maps);
int ndi_batch_norm(graph *g, int x, const char *name);            /* per map over trials, rows and samples */
int ndi_layer_norm(graph *g, int x, const char *name);            /* over the whole vector of a trial */
int ndi_layer_norm_rows(graph *g, int x, const char *name);       /* over the samples of each row: tokens are the rows of a single map */
int ndi_elu(graph *g, int x);
int ndi_gelu(graph *g, int x);
int ndi_dropout(graph *g, int x, double rate);
int ndi_flatten(graph *g, int x, bool samples_first);             /* to a vector: maps, rows, samples; or samples, rows, maps with the maps fastest */
int ndi_linear(graph *g, int x, const char *name, size_t dim);    /* of the whole vector of a trial */
int ndi_linear_rows(graph *g, int x, const char *name, size_t dim); /* of the samples of each row: M x H x T -> M x H x dim */
int ndi_unused(graph *g, int x, const char *name, size_t n_dims, const size_t *dims, float mean, float sd); /* passes x on and holds a parameter that the reference's files have */
int ndi_add(graph *g, int a, int b);
int ndi_scale(graph *g, int x, double factor);
int ndi_transpose(graph *g, int x);                               /* rows and samples of each map change places */
int ndi_normalise(graph *g, int x, bool centred);                 /* the whole vector of a trial, minus its mean where `centred`, to length 1 */
int ndi_concat_vectors(graph *g, int a, int b);                   /* the whole vectors of a trial, one behind the other */
/* Attention between channels. Scores: softmax(scale Q' K) of Q, K (1 x T x H each) -> 1 x H x H. Mix: A X of A (1 x H x H) and X (1 x H x T) -> 1 x H x T. */
int ndi_channel_scores(graph *g, int q, int k, double scale);
int ndi_channel_mix(graph *g, int a, int x);
int ndi_graph_attention(graph *g, int x, const char *name);       /* between all rows of a single map, one head */
/* Linear layer over maps x rows at every sample, with a deviation for each of `subjects` people; a trial counts as one of an unknown person with probability `dropout` in training. */
int ndi_subject_linear(graph *g, int x, const char *name, size_t subjects, double dropout);

#endif
