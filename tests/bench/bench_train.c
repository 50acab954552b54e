/* Time of a training step and of embedding, through the public interface. One CSV line per case: what, channels, samples, dim, batch, threads, milliseconds (the best of several), and
 * GFLOP/s of the forward multiply-adds (a training step counted three times), and per cent of what that many threads can do at most. */
#include "bench.h"

enum { BATCH = 128, STEPS = 8 };

static void run(const char *kind, size_t channels, size_t samples, size_t dim, int32_t threads, double peak_rate)
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
    double work = (double)info.multiply_adds * BATCH * 2e-9;
    const struct {
        const char *name;
        double seconds, work;
    } lines[] = { { "train", best_step, 3 * work }, { "embed", best_embed, work } };
    for (int i = 0; i < 2; i++) {
        double rate = lines[i].work / lines[i].seconds;
        printf("%s %s,%zu,%zu,%zu,%d,%d,%.2f,%.1f,%.0f\n", lines[i].name, kind, channels, samples, dim, BATCH, (int)threads, 1e3 * lines[i].seconds,
               rate, 100 * rate / (peak_rate * threads));
    }
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
    printf("case,channels,samples,dim,batch,threads,ms,gflop_per_s,percent_of_peak\n");
    double rate = peak();
    static const struct {
        const char *kind;
        size_t channels, samples;
    } cases[] = { { "nice", 63, 250 },     { "nice", 271, 201 },      { "tsconv", 63, 250 },       { "shallow", 63, 250 },
                  { "atms", 63, 250 },     { "eegnet", 63, 250 },     { "eegconformer", 63, 250 }, { "lstm", 63, 250 },
                  { "resnet1d", 63, 256 }, { "eegproject", 63, 250 }, { "brain-mlp", 15724, 1 } };
    for (int32_t threads = 1; threads <= 2; threads++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) run(cases[i].kind, cases[i].channels, cases[i].samples, 512, threads, rate);
    return 0;
}
