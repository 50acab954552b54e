/* The whole of it in one page: trains an encoder on one person of a data set laid out as THINGS-EEG2, and finds the images of the test set.
 *
 *     cc decode.c $(pkg-config --cflags --libs neurodecode) -o decode
 *     ./decode FOLDER [SUBJECT [EMBEDDINGS]] */
#include <neurodecode.h>
#include <stdio.h>
#include <stdlib.h>

static void check(nd_status status)
{
    if (status == ND_OK) return;
    fprintf(stderr, "decode: %s\n", nd_last_error());
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: decode FOLDER [SUBJECT [EMBEDDINGS]]\n", stderr);
        return 2;
    }
    const char *folder = argv[1], *embeddings = argc > 3 ? argv[3] : "aligned";
    int32_t subject = argc > 2 ? atoi(argv[2]) : 1;
    nd_dataset *training, *test;
    nd_bank *seen, *candidates;
    nd_encoder *encoder;
    nd_loss *loss;
    nd_trainer *trainer;
    nd_retrieval *gallery;

    /* Recordings, averaged over repetitions, and an embedding of each image: joined by image id. */
    check(nd_dataset_open_things_eeg2(&training, folder, subject, "training", NULL, NULL, NULL, NULL));
    check(nd_dataset_open_things_eeg2(&test, folder, subject, "test", NULL, NULL, NULL, NULL));
    check(nd_bank_open_things_eeg2(&seen, folder, "training", embeddings, NULL, NULL));
    check(nd_bank_open_things_eeg2(&candidates, folder, "test", embeddings, NULL, NULL));

    nd_bank_info bank = { .size = sizeof bank };
    check(nd_bank_get_info(seen, &bank));
    nd_encoder_options options;
    check(nd_encoder_options_init(&options, sizeof options));
    options.embed_dim = bank.dim;
    check(nd_encoder_create_for(&encoder, "nice", training, &options));

    check(nd_loss_create(&loss, NULL, NULL));
    check(nd_trainer_create(&trainer, encoder, loss, training, seen, NULL));
    check(nd_trainer_run(trainer, NULL, NULL));

    nd_dataset_info trials = { .size = sizeof trials };
    check(nd_dataset_get_info(test, &trials));
    size_t *ranks = calloc(trials.n_trials, sizeof *ranks);
    check(nd_retrieval_create_for(&gallery, candidates, NULL, NULL));
    check(nd_retrieval_rank_dataset(gallery, encoder, test, ranks, trials.n_trials, NULL, NULL));

    size_t n_candidates;
    nd_estimate top1 = { .size = sizeof top1 };
    check(nd_retrieval_get_size(gallery, &n_candidates, NULL));
    check(nd_metrics_top_k(ranks, trials.n_trials, n_candidates, 1, 0, 42, &top1));
    printf("top-1 %.1f %% (95 %% interval %.1f .. %.1f %%), chance %.1f %%\n", 100 * top1.value, 100 * top1.low, 100 * top1.high, 100 * top1.chance);

    free(ranks);
    nd_retrieval_free(gallery);
    nd_trainer_free(trainer);
    nd_loss_free(loss);
    nd_encoder_free(encoder);
    nd_bank_free(candidates);
    nd_bank_free(seen);
    nd_dataset_free(test);
    nd_dataset_free(training);
    return 0;
}
