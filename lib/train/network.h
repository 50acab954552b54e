/* A network being trained: an encoder, what its steps need, and what is kept of it. The brain encoder of a training is one, the image-side projector another. */
#ifndef NDI_NETWORK_H
#define NDI_NETWORK_H

#include "encoders/encoder.h"
#include "neurodecode/train.h"
#include "train/optimiser.h"

/* Neighbouring parameters that are all decayed or none. A weight whose gradient may stay in factors is one of its own. */
typedef struct stretch {
    size_t first, n;
    bool decayed;
    int from; /* the node that has that gradient, 0 = none */
} stretch;

typedef struct network {
    nd_encoder *encoder; /* borrowed */
    const char *prefix;  /* of its blocks' names in a checkpoint */
    uint64_t seed;       /* of its dropout */
    pool *threads;
    workspace *w;
    float *grads, *new_state;
    float *moments[NDI_MOMENTS]; /* NULL where the optimiser keeps none */
    float *mean, *mean_state;    /* moving averages of parameters and buffers; NULL = none */
    float *best, *best_state;
    double *norm_blocks;
    stretch *stretches;
    size_t n_stretches;
} network;

/* Some of its numbers, with their name in a checkpoint. */
typedef struct block {
    char name[40];
    float *values;
    size_t n;
    bool squares; /* means of squares: not negative */
} block;

enum { NDI_NETWORK_BLOCKS = 8 };

nd_status ndi_network_create(network *n, const nd_train_options *o, size_t capacity);
void ndi_network_free(network *n);

pass ndi_network_train(network *n, size_t B, const float *x, const int32_t *subjects,
                       uint64_t step); /* a pass in training mode, new_state at its start */
pass ndi_network_validate(const network *n, size_t B, const float *x,
                          const int32_t *subjects); /* in evaluation mode, with the moving averages where there are some */
double ndi_network_squares(const network *n, const pass *p); /* sum of squares of the gradient after a backward pass */
void ndi_network_update(network *n, const pass *p, const rule *r, float scale, double ema_decay); /* and then: parameters, buffers, moving averages */

void ndi_network_keep_best(network *n);
void ndi_network_take_best(network *n);
size_t ndi_network_blocks(const network *n, const optimiser *kind, block blocks[NDI_NETWORK_BLOCKS]);

/* Does a word of `no_decay` mean a parameter of this graph? */
bool ndi_no_decay_names(const graph *g, const char *word, size_t length);

#endif
