/* Contrastive losses. One kind of loss = one file and one row of the table in loss.c. */
#ifndef NDI_LOSS_H
#define NDI_LOSS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/pool.h"
#include "math/vectors.h"
#include "neurodecode/loss.h"

/* The memory of an evaluation with up to n rows of dim. Blocks are zeroed by the system, so a matrix that a kind of loss does not touch takes no memory. */
typedef struct loss_space {
    size_t n, dim;
    pool *threads;
    float *a, *b;                      /* normalised v and z */
    float *a_norm, *b_norm;            /* their lengths */
    float *da;                         /* n x dim: gradient of normalised rows */
    float *logits;                     /* n x n: S = scale A B', at last dL/dS */
    float *targets, *mirror;           /* n x n, SoftCLIP: Q = scale B B'; S', at last dL/dQ + its transpose */
    float *row_top, *row_factor;       /* n each: softmax of row i of S = factor exp(S_ij - top) */
    float *col_top, *col_factor;       /* n each: the same for its columns */
    float *target_top, *target_factor; /* n each, SoftCLIP: the same for the rows of Q */
    float *row_weight, *col_weight;    /* n each, MixCo: sums of the targets */
    float *scratch;                    /* 2 n for each thread */
    double *sums;                      /* 2 n: parts of a sum, added in order */
} loss_space;

/* One evaluation: n rows. Outputs start at 0; grad_v and grad_z may be NULL. */
typedef struct loss_call {
    size_t n, dim;
    const float *v, *z;
    const size_t *images; /* number of the image of each row: equal numbers are the same image; NULL = all differ */
    const size_t *partner; /* MixCo: row i of v is a mixture, share[i] of its own trial and the rest of the trial of row partner[i]; NULL = no mixtures */
    const float *share;
    double scale, bias; /* 1 / temperature; SigLIP's bias */
    double value, grad_log_scale, grad_bias;
    float *grad_v, *grad_z;
} loss_call;

typedef struct loss_kind {
    const char *name, *title, *source;
    double temperature; /* default; 0 = it has none */
    bool directions;    /* has two, whose mean or sum is taken */
    bool masks;         /* can leave out pairs of the same image */
    bool mixes;         /* knows mixtures */
    bool biased;        /* has a bias, learned together with the temperature */
    void (*evaluate)(const nd_loss_options *o, loss_space *s, loss_call *c);
} loss_kind;

extern const loss_kind *const ndi_loss_kinds[]; /* NULL-terminated */

struct nd_loss {
    atomic_int references;
    const loss_kind *kind;
    nd_loss_options options;
    double log_scale; /* log(1 / temperature) */
    double bias;      /* of the logits, where the kind has one */
};

nd_status ndi_loss_create(nd_loss **loss, const char *kind, const nd_loss_options *o);
nd_loss *ndi_loss_ref(nd_loss *loss);
void ndi_loss_free(nd_loss *loss);
nd_status ndi_loss_evaluate(const nd_loss *loss, loss_call *c); /* with memory of its own; fills in scale and bias */

nd_status ndi_loss_space_create(loss_space **s, size_t n, size_t dim, pool *threads);
void ndi_loss_space_free(loss_space *s);

/* True if column k is no negative of row i because it shows the image of row i, or of its partner, without being that row itself. */
bool ndi_masked(const nd_loss_options *o, const loss_call *c, size_t i, size_t k);

/* The parts of a sum added in order. */
double ndi_add_up(const double *parts, size_t n);

/* similarity.c: s->logits = scale A B' of the normalised rows; then, from dL/dS in s->logits, the gradients of the scale, v and z. `within` is dL/dQ + its transpose where
 * the loss looks at Q = scale B B' too, otherwise NULL; what it adds to the gradient of the scale is the caller's. */
void ndi_similarities(const nd_loss_options *o, loss_space *s, const loss_call *c);
void ndi_similarities_back(const nd_loss_options *o, loss_space *s, loss_call *c, const float *within);

/* cross_entropy.c: between soft targets and the softmax of the rows of S (targets T) and of its columns (targets U, in the places of S). Wants S in s->logits, fills in the outputs. */
typedef struct cross_entropy {
    const nd_loss_options *o;
    loss_space *s;
    loss_call *c;
    void (*targets)(const struct cross_entropy *x, size_t i, float *w); /* w = row i of T + U; w comes as n zeros, with room for n more */
    const float *row_weight, *col_weight;                               /* sums of the rows of T and of the columns of U; NULL = all 1 */
    const float *within;                                                /* see ndi_similarities_back() */
} cross_entropy;

void ndi_cross_entropy(const cross_entropy *x);
double ndi_cross_entropy_factor(const nd_loss_options *o, size_t n); /* 1 / (2 n), or 1 / n for the sum of the directions */

#endif
