/* Contrastive losses. One kind of loss = one file and one row of the table in loss.c. */
#ifndef NDI_LOSS_H
#define NDI_LOSS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/pool.h"
#include "math/vectors.h"
#include "neurodecode/loss.h"

/* The memory of an evaluation with up to n rows of dim. */
typedef struct loss_space {
    size_t n, dim;
    pool *threads;
    float *a, *b;                /* normalised v and z */
    float *a_norm, *b_norm;      /* their lengths */
    float *rows, *cols;          /* n x n: S and S', then their softmax; rows at last the gradient */
    float *lse;                  /* 2 n */
    float *dots;                 /* n: the diagonal of S */
    float *da;                   /* n x dim: gradient of normalised rows */
} loss_space;

/* One evaluation: n rows; outputs may be NULL. */
typedef struct loss_call {
    size_t n, dim;
    const float *v, *z;
    const size_t *images;        /* number of the image of each row: equal numbers are the same image; NULL = all differ */
    const size_t *partner;       /* MixCo: row i of v is a mixture, share[i] of its own trial and the rest of the trial of row partner[i]; NULL = no mixtures */
    const float *share;
    double scale, bias;          /* 1 / temperature; SigLIP's bias */
    double value, grad_log_scale, grad_bias;
    float *grad_v, *grad_z;
} loss_call;

typedef struct loss_kind {
    const char *name, *title;
    bool mixes;                  /* knows mixtures */
    bool biased;                 /* has a bias, learned together with the temperature */
    void (*evaluate)(const nd_loss_options *o, loss_space *s, loss_call *c);
} loss_kind;

extern const loss_kind *const ndi_loss_kinds[]; /* NULL-terminated */

struct nd_loss {
    atomic_int references;
    const loss_kind *kind;
    nd_loss_options options;
    double log_scale;            /* log(1 / temperature) */
    double bias;                 /* of the logits, SigLIP only */
};

nd_status ndi_loss_create(nd_loss **loss, const char *kind, const nd_loss_options *o);
nd_loss *ndi_loss_ref(nd_loss *loss);
void ndi_loss_free(nd_loss *loss);
nd_status ndi_loss_evaluate(const nd_loss *loss, const float *v, const float *z, size_t n, size_t dim, double *value, float *grad_v, float *grad_z, double *grad_log_scale);

nd_status ndi_loss_space_create(loss_space **s, size_t n, size_t dim, pool *threads);
void ndi_loss_space_free(loss_space *s);

#endif
