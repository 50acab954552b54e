/* A training: what it is given, its memory, where it stands. trainer.c makes it, step.c runs it, checkpoint.c saves it. */
#ifndef NDI_TRAINER_H
#define NDI_TRAINER_H

#include "data/bank.h"
#include "loss/loss.h"
#include "train/augment.h"
#include "train/network.h"

/* A number of the loss that is learned. */
typedef struct learned {
    double value, moments[NDI_MOMENTS];
    double best; /* at the best epoch */
} learned;

/* Everything a checkpoint must hold beside the blocks of floats, all doubles so that it is one array; whole numbers below 2^53 are exact. */
typedef struct numbers {
    double epoch, step, step_in_epoch;       /* finished */
    double epoch_loss;                       /* sum over the steps of the present epoch */
    double train_loss, validation_loss;      /* of the last finished epoch; NaN before */
    double best_epoch, best_validation_loss; /* 0 and NaN before */
    double stale_epochs;                     /* since the validation loss was last better, for stopping */
    double plateau_stale, plateaus;          /* the same for the plateau schedule, and how often it cut */
    learned log_scale, bias;                 /* of the loss */
    double finished;
} numbers;

enum { BRAIN, PROJECTOR, NETWORKS };

struct nd_trainer {
    nd_encoder *encoder;
    nd_encoder *projector; /* of the bank's vectors; NULL = none */
    nd_loss *loss;         /* NULL for a closed form */
    const nd_dataset *dataset;
    const nd_bank *bank;
    nd_train_options o;
    char *checkpoint, *no_decay; /* own copies of those of o */
    text augmented;              /* o.augment in full, empty when there is none */
    const optimiser *optimiser;
    augment augment;
    pool *threads;
    size_t *rows;           /* bank row of each trial of the dataset */
    size_t *train, n_train; /* trials */
    size_t *validation, n_validation;
    size_t *order;        /* of the present epoch */
    uint64_t order_epoch; /* it was made for, + 1; 0 = none */
    uint64_t steps_per_epoch;
    network networks[NETWORKS];
    size_t n_networks;
    loss_space *space;
    float *x, *z; /* a batch: trials, vectors of the bank */
    double *seconds; /* that reading each trial took */
    size_t fetched;  /* batches that are still to be fetched ahead */
    int32_t *subjects;
    size_t *images;       /* its bank rows */
    float *channel;       /* room for the samples of one, for each thread */
    float *mixed, *share; /* MixCo: mixtures of x; NULL = none */
    size_t *partner;
    numbers at;
};

nd_status ndi_train_recipe(nd_train_options *o, const char *recipe);
nd_status ndi_trainer_create(nd_trainer **t, nd_encoder *encoder, nd_loss *loss, const nd_dataset *dataset, const nd_bank *bank,
                             const nd_train_options *o);
void ndi_trainer_free(nd_trainer *t);
void ndi_trainer_info(const nd_trainer *t, nd_train_info *info);
double ndi_trainer_rate(const nd_trainer *t);

nd_status ndi_trainer_step(nd_trainer *t, double *loss);
nd_status ndi_trainer_run(nd_trainer *t, nd_progress_fn fn, void *user);
nd_status ndi_trainer_take_best(nd_trainer *t);

nd_status ndi_trainer_save(const nd_trainer *t, const char *path);
nd_status ndi_trainer_resume(nd_trainer *t, const char *path);

#endif
