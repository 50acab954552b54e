/* A small world to train in, and a training in it. */
#ifndef ND_TEST_TRAINING_H
#define ND_TEST_TRAINING_H

#include "neurodecode.h"
#include "train/trainer.h"

enum { IMAGES = 60, CHANNELS = 4, SAMPLES = 90, DIM = 6 };

/* Each image's brain pattern is a fixed mixture of its embedding, with noise. Concepts hold two images each. */
typedef struct world {
    nd_dataset *dataset;
    nd_bank *bank;
} world;

void nd_test_make_world(world *w);
void nd_test_free_world(world *w);

typedef struct run {
    nd_encoder *e;
    nd_encoder *p; /* the projector, if any */
    nd_loss *loss;
    nd_trainer *t;
    nd_train_options o;
    const char *projector; /* its kind; NULL = none */
    const loss_kind *kind; /* NULL = infonce */
} run;

void nd_test_prepare(run *r, int32_t threads);                              /* options of four short epochs */
nd_status nd_test_start(run *r, const world *w, int32_t learn_temperature); /* a small NICE, the projector, the loss, the trainer */
void nd_test_end(run *r);                                                   /* frees in the least convenient order */
void nd_test_same_weights(const run *a, const run *b);                      /* and what the loss learned, to the bit */

/* A training (changed by `change`, if not NULL) whose process is killed leaves a whole checkpoint, from which another goes on to the same bits. */
void nd_test_killed_goes_on(const world *w, void (*change)(run *r), int32_t learn_temperature);

/* A loss called mixco with all that the trainer may learn: scale mean |v_i - share_i z_i - (1 - share_i) z_partner(i)|^2 + (bias - 1)^2 / 2. */
extern const loss_kind nd_test_loss;

#endif
