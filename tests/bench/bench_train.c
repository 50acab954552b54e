/* Time of a training step and of embedding, through the public interface. One CSV line per case: what, channels, samples, dim, batch, threads, milliseconds (the best of several), and
 * billions of forward multiply-adds per second it stands for (a training step counted three times). */
#include <neurodecode.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define OK(call)                                                      \
    do {                                                              \
        if ((call) != ND_OK) {                                        \
            fprintf(stderr, "%s: %s\n", #call, nd_last_error());      \
            exit(1);                                                  \
        }                                                             \
    } while (0)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static float *noise(size_t n)
{
    float *x = malloc(n * sizeof *x);
    uint32_t r = 1;
    for (size_t i = 0; x && i < n; i++) {
        r = r * 1664525u + 1013904223u;
        x[i] = (float)(r >> 8) * 0x1p-23f - 1;
    }
    if (!x) exit(1);
    return x;
}

enum { BATCH = 128, STEPS = 8 };

static void run(const char *kind, size_t channels, size_t samples, size_t dim, int32_t threads)
{
    nd_dataset *dataset;
    nd_bank *bank;
    nd_encoder *encoder;
    nd_loss *loss;
    nd_trainer *trainer;
    nd_encoder_options eo;
    nd_train_options to;
    nd_encoder_info info = { .size = sizeof info };
    float *x = noise(BATCH * channels * samples), *z = noise(BATCH * dim);
    double best_step = 1e9, best_embed = 1e9;

    OK(nd_encoder_options_init(&eo, sizeof eo));
    OK(nd_train_options_init(&to, sizeof to));
    eo.embed_dim = dim;
    eo.params = "recipe=reference";
    eo.n_threads = to.n_threads = threads;
    to.validation_fraction = 0;
    to.batch_size = BATCH;
    OK(nd_dataset_create(&dataset, x, BATCH, channels, samples, NULL, NULL));
    OK(nd_bank_create(&bank, z, BATCH, dim, NULL, NULL));
    OK(nd_encoder_create_for(&encoder, kind, dataset, &eo));
    OK(nd_loss_create(&loss, NULL, NULL));
    OK(nd_trainer_create(&trainer, encoder, loss, dataset, bank, &to));
    OK(nd_encoder_get_info(encoder, &info));
    for (int i = 0; i < STEPS; i++) {
        double start = now();
        OK(nd_trainer_step(trainer, NULL));
        double middle = now();
        OK(nd_encoder_embed(encoder, x, BATCH, z, BATCH * dim));
        double end = now();
        if (middle - start < best_step) best_step = middle - start;
        if (end - middle < best_embed) best_embed = end - middle;
    }
    double work = (double)info.multiply_adds * BATCH * 1e-9;
    printf("train %s,%zu,%zu,%zu,%d,%d,%.2f,%.1f\n", kind, channels, samples, dim, BATCH, (int)threads, 1e3 * best_step, 3 * work / best_step);
    printf("embed %s,%zu,%zu,%zu,%d,%d,%.2f,%.1f\n", kind, channels, samples, dim, BATCH, (int)threads, 1e3 * best_embed, work / best_embed);
    nd_trainer_free(trainer);
    nd_loss_free(loss);
    nd_encoder_free(encoder);
    nd_bank_free(bank);
    nd_dataset_free(dataset);
    free(x);
    free(z);
}

int main(void)
{
    printf("case,channels,samples,dim,batch,threads,ms,gmac_per_s\n");
    for (int32_t threads = 1; threads <= 2; threads++) {
        run("nice", 63, 250, 512, threads);
        run("nice", 271, 201, 512, threads);
        run("atms", 63, 250, 512, threads);
        run("eegconformer", 63, 250, 512, threads);
        run("lstm", 63, 250, 512, threads);
    }
    return 0;
}
