/* Cross-validation over groups of trials. */
#ifndef NDI_CROSS_H
#define NDI_CROSS_H

#include "encoders/encoder.h"
#include "neurodecode/cross.h"

/* The options of the public struct, all given: kinds found, options whole. */
typedef struct cross_setup {
    const encoder_kind *kind, *projector; /* projector NULL = none */
    nd_encoder_options encoder_options, projector_options;
    const char *loss;
    nd_loss_options loss_options;
    nd_train_options train_options;
    const char *group;
    const nd_dataset *test;
    nd_progress_fn progress;
    void *user;
} cross_setup;

typedef nd_status (*fold_fn)(const nd_fold *fold, void *user); /* uses a trained fold; a failure ends the cross-validation */

nd_status ndi_cross_run(const nd_dataset *dataset, const nd_bank *bank, const cross_setup *setup, fold_fn use, void *user);
nd_status ndi_cross_embed(const nd_dataset *dataset, const nd_bank *bank, const cross_setup *setup, float *embeddings, size_t capacity);

#endif
