/* The operations: each of these is one file, op_<name>.c, and adds one node to a graph. All return the node's index, -1 once the graph has failed. `name` is the layer's name in the
 * reference implementation's state dict; layers without parameters take any name. */
#ifndef NDI_OPS_H
#define NDI_OPS_H

#include "nn/graph.h"

/* Temporal convolution of a single map by `maps` filters of `kernel` taps, then the mean over `width` samples every `stride`: 1 x C x T -> F x C x P. width = stride = 1 is the plain convolution. */
int ndi_conv_time(graph *g, int x, const char *name, size_t maps, size_t kernel, size_t width, size_t stride);
/* Spatial convolution over all rows at once: M x H x T -> F x 1 x T. With one row it is the 1 x 1 convolution. */
int ndi_conv_space(graph *g, int x, const char *name, size_t maps);
int ndi_conv_space_grouped(graph *g, int x, const char *name, size_t maps, size_t groups); /* groups = maps of x: depthwise */
/* Convolution of each row along its samples, between zeros: M x H x T -> F x H x ((left + T + right - kernel) / stride + 1). */
typedef struct conv1d {
    size_t maps, kernel;
    size_t stride, groups;    /* 0 = 1 */
    size_t left, right;       /* zeros before and behind the samples */
    size_t samples;           /* what must come out, 0 = whatever does */
    bool rows_are_maps;       /* PyTorch's Conv1d: M H maps of one row, w (F, M H / groups, K); else its Conv2d, w (F, M / groups, 1, K) */
    bool no_bias;
} conv1d;
int ndi_conv1d(graph *g, int x, const char *name, conv1d c);
/* Temporal convolution with zeros around the samples, batch normalisation and depthwise spatial convolution: 1 x C x T -> filters depth x 1 x T, without the filters x C x T maps between. */
typedef struct conv_norm_space_names {
    const char *time, *norm, *space; /* layers below `name` */
} conv_norm_space_names;
int ndi_conv_norm_space(graph *g, int x, const char *name, conv_norm_space_names layers, size_t filters, size_t kernel, size_t depth);
/* Temporal convolution and spatial convolution over all rows, each by `maps` filters: 1 x C x T -> maps x 1 x (T - kernel + 1), as one convolution. */
typedef struct conv_channels_names {
    const char *time, *space; /* layers below `name` */
} conv_channels_names;
int ndi_conv_channels(graph *g, int x, const char *name, conv_channels_names layers, size_t maps, size_t kernel);
int ndi_mean_pool(graph *g, int x, const char *name, size_t width, size_t stride); /* over samples */
int ndi_max_pool(graph *g, int x, const char *name, size_t width);                 /* the same, every `width`; the last window may be shorter */
int ndi_batch_norm(graph *g, int x, const char *name);            /* per map over trials, rows and samples */
int ndi_layer_norm(graph *g, int x, const char *name);            /* over the whole vector of a trial */
int ndi_layer_norm_rows(graph *g, int x, const char *name);       /* over the samples of each row: tokens are the rows of a single map */
int ndi_elu(graph *g, int x);
int ndi_gelu(graph *g, int x);
int ndi_relu(graph *g, int x);
int ndi_dropout(graph *g, int x, double rate);
int ndi_flatten(graph *g, int x, bool samples_first);             /* to a vector: maps, rows, samples; or samples, rows, maps with the maps fastest */
int ndi_tokens(graph *g, int x);                                  /* each sample becomes a token: M x H x T -> 1 x T x M H */
int ndi_rows(graph *g, int x, size_t first, size_t count);        /* those of a single map: 1 x R x E -> 1 x count x E */
int ndi_linear(graph *g, int x, const char *name, size_t dim);    /* of the whole vector of a trial */
int ndi_linear_rows(graph *g, int x, const char *name, size_t dim); /* of the samples of each row: M x H x T -> M x H x dim */
int ndi_conv_rows(graph *g, int x, const char *name, size_t dim); /* the same with the weights of a 1 x 1 convolution over the rows: dim x T x 1 */
int ndi_unused(graph *g, int x, const char *name, size_t n_dims, const size_t *dims, float mean, float sd); /* passes x on and holds a parameter that the reference's files have */
int ndi_add(graph *g, int a, int b);
int ndi_log_softmax(graph *g, int x);                             /* over the whole vector of a trial */
/* Attention of the rows of a single map to each other, from their queries, keys and values (three different nodes, 1 x R x E each) -> 1 x R x E. Each of the `heads` has E / heads
 * columns of its own; scores are multiplied by `scale`, weights dropped with rate `dropout`. */
int ndi_attention(graph *g, int queries, int keys, int values, size_t heads, double scale, double dropout);
/* A learnt row that tells the trial's subject, in front of the others: 1 x R x E -> 1 x (R + 1) x E. Tensors: a table of `subjects` rows and a row shared by all others, which in
 * training also takes a subject's place with probability `dropout`. Row s - 1 is subject s; raw: row s, and the shared row for the whole batch once it serves one. */
int ndi_subject_token(graph *g, int x, const char *name, size_t subjects, bool raw, double dropout);
int ndi_lstm(graph *g, int x, const char *name, size_t layer, size_t hidden); /* over the rows of a single map as time: 1 x T x C -> 1 x T x hidden */

int ndi_scale(graph *g, int x, double factor);
int ndi_normalise(graph *g, int x, bool centred);                 /* the whole vector of a trial, minus its mean where `centred`, to length 1 */
int ndi_concat_vectors(graph *g, int a, int b);                   /* the whole vectors of a trial, one behind the other */
/* Attention between channels. Scores: softmax(scale Q' K) of Q, K (1 x T x H each) -> 1 x H x H. Mix: A X of A (1 x H x H) and X (1 x H x T) -> 1 x H x T. */
int ndi_channel_scores(graph *g, int q, int k, double scale);
int ndi_channel_mix(graph *g, int a, int x);
int ndi_graph_attention(graph *g, int x, const char *name);       /* between all rows of a single map, one head */
/* Linear layer over maps x rows at every sample, with a deviation for each of `subjects` people; a trial counts as one of an unknown person with probability `dropout` in training. */
int ndi_subject_linear(graph *g, int x, const char *name, size_t subjects, double dropout);

/* For ops with dropout of their own: to[i] = mask[i] from[i] for the elements from `first` on, the mask with rate n->r. */
void ndi_mask(const pass *p, const node *n, size_t first, size_t count, const float *from, float *to);

/* For ops with a batch normalisation of their own, whose tensors are those from number `from` on. In training: moves the running statistics of map m towards the batch's mean and variance
 * over N numbers and returns 1 / sqrt(variance + eps); in evaluation the latter comes from the running ones. */
enum { NDI_NORM_WEIGHT, NDI_NORM_BIAS, NDI_NORM_MEAN, NDI_NORM_VAR, NDI_NORM_COUNT };
float ndi_batch_norm_train(const pass *p, const node *n, int from, size_t m, double N, double mean, double var);
float ndi_batch_norm_rstd(const pass *p, const node *n, int from, size_t m);

/* For ops that begin with a batch normalisation of x, tensors, saved and partial memory as in op_batch_norm.c. Forward: ndi_norm_statistics() first, then map m becomes scale x + shift. Backward,
 * with g the gradient behind the normalisation: for each map the sums of g and of g x into ndi_norm_sums(), by chunks; ndi_norm_grads(); ndi_norm_input_grad(), where g may be dx. */
typedef struct norm_line {
    float scale, shift;
} norm_line;
void ndi_norm_statistics(const pass *p, const node *n);
norm_line ndi_norm_line(const pass *p, const node *n, size_t m);
float *ndi_norm_map(const pass *p, const node *n, size_t i); /* map i of the batch, trial after trial, from x to y, which is returned */
double *ndi_norm_sums(const pass *p, const node *n, size_t chunk); /* two zeros for each map */
void ndi_norm_grads(const pass *p, const node *n);
void ndi_norm_input_grad(const pass *p, const node *n, const float *g);

/* Of one row: P means over `width` samples every `stride`, and the gradient of its T samples. */
void ndi_pool_means(const float *x, size_t width, size_t stride, float *y, size_t P);
void ndi_pool_means_grad(const float *dy, size_t width, size_t stride, size_t P, float *dx, size_t T);

/* Ops that take the place of a chain, see fuse.c: the last node of the chain becomes one, given the others; false where it does not fit. */
bool ndi_fuse_conv_norm_elu_space(node *last, const node *chain);
bool ndi_fuse_norm_elu_pool(node *last, const node *chain);
bool ndi_fuse_norm_relu_dropout(node *last, const node *chain);
bool ndi_fuse_tokens_lstm(node *last, const node *chain);

#endif
