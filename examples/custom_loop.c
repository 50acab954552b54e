/* A training loop of one's own: single steps, an own rule for stopping, own printing, and the best weights at the end.
 *
 *     cc custom_loop.c $(pkg-config --cflags --libs neurodecode) -o custom_loop
 *     ./custom_loop FOLDER [SUBJECT [EMBEDDINGS]] */
#include <neurodecode.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_EPOCHS = 60, PATIENCE = 6 };

static void check(nd_status status)
{
    if (status == ND_OK) return;
    fprintf(stderr, "custom_loop: %s\n", nd_last_error());
    exit(1);
}

/* Steps until the smoothed validation loss has not improved for PATIENCE epochs. */
static void loop(nd_trainer *trainer)
{
    nd_train_info now = { .size = sizeof now };
    double smooth = 0, best = 0;
    uint64_t epoch = 0, best_epoch = 0;
    for (;;) {
        double loss;
        check(nd_trainer_step(trainer, &loss));
        check(nd_trainer_get_info(trainer, &now));
        if (now.epoch > epoch) { /* the step that ends an epoch also validates */
            epoch = now.epoch;
            smooth = epoch == 1 ? now.validation_loss : 0.5 * smooth + 0.5 * now.validation_loss;
            if (epoch == 1 || smooth < best) {
                best = smooth;
                best_epoch = epoch;
            }
            printf("epoch %2llu: last batch %.3f, training %.3f, validation %.3f, smoothed %.3f, learning rate %.1e\n", (unsigned long long)epoch,
                   loss, now.train_loss, now.validation_loss, smooth, now.learning_rate);
            if (epoch - best_epoch >= PATIENCE || now.finished) break;
        }
    }
    check(nd_trainer_take_best(trainer));
    printf("kept the weights of epoch %llu, validation loss %.3f\n", (unsigned long long)now.best_epoch, now.best_validation_loss);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs("usage: custom_loop FOLDER [SUBJECT [EMBEDDINGS]]\n", stderr);
        return 2;
    }
    nd_dataset *all, *trials;
    nd_bank *bank;
    nd_encoder *encoder;
    nd_loss *loss;
    nd_trainer *trainer;

    /* Only the electrodes at the back of the head, from 0 to 0.6 s. */
    check(nd_dataset_open_things_eeg2(&all, argv[1], argc > 2 ? atoi(argv[2]) : 1, "training", NULL, NULL, NULL, NULL));
    check(nd_dataset_select_channels(&trials, all, "occipital parietal"));
    nd_dataset_free(all);
    all = trials;
    check(nd_dataset_window(&trials, all, 0, 0.6, 1));
    check(nd_bank_open_things_eeg2(&bank, argv[1], "training", argc > 3 ? argv[3] : "aligned", NULL, NULL));

    nd_bank_info about = { .size = sizeof about };
    check(nd_bank_get_info(bank, &about));
    nd_encoder_options architecture;
    check(nd_encoder_options_init(&architecture, sizeof architecture));
    architecture.embed_dim = about.dim;
    check(nd_encoder_create_for(&encoder, "nice", trials, &architecture));

    nd_loss_options learned;
    check(nd_loss_options_init(&learned, sizeof learned));
    learned.learn_temperature = 1;
    check(nd_loss_create(&loss, NULL, &learned));

    nd_train_options options;
    check(nd_train_options_init(&options, sizeof options));
    options.epochs = MAX_EPOCHS;
    options.patience = 0; /* stopping is ours */
    check(nd_trainer_create(&trainer, encoder, loss, trials, bank, &options));
    loop(trainer);
    check(nd_encoder_save(encoder, "custom_loop.safetensors"));

    nd_trainer_free(trainer);
    nd_loss_free(loss);
    nd_encoder_free(encoder);
    nd_bank_free(bank);
    nd_dataset_free(trials);
    nd_dataset_free(all);
    return 0;
}
