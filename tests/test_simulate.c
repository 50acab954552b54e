/* The simulator: the files are those of THINGS-EEG2, the numbers are what the options say, and nothing depends on threads. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/pool.h"
#include "check.h"
#include "temp.h"
#include "data/electrodes.h"
#include "data/simulate.h"
#include "data/simulate_brain.h"
#include "fault.h"
#include "io/content.h"
#include "math/linalg.h"
#include "neurodecode.h"

static nd_simulate_options small(void)
{
    nd_simulate_options o;
    OK(nd_simulate_options_init(&o, sizeof o));
    o.n_subjects = 2;
    o.n_concepts = 12;
    o.images_per_concept = 3;
    o.n_test = 10;
    o.train_repetitions = 2;
    o.test_repetitions = 6;
    o.n_samples = 100;
    o.embed_dim = 24;
    return o;
}

static int make_folder(void **state)
{
    *state = (void *)(uintptr_t)nd_test_temp_folder();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    nd_test_temp_clear();
    return 0;
}

static content *open_file(const char *folder, const char *name)
{
    char path[4096];
    content *c;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    OK(ndi_content_open(&c, path));
    return c;
}

static void check_shape(const array *a, dtype type, size_t n_dims, const size_t *shape)
{
    assert_non_null(a);
    assert_int_equal(a->type, type);
    assert_int_equal(a->n_dims, n_dims);
    for (size_t i = 0; i < n_dims; i++) assert_int_equal(a->shape[i], shape[i]);
}

static void recordings_have_the_shapes_and_names_of_the_real_ones(void **state)
{
    const char *folder = *state;
    nd_simulate_options o = small();
    OK(nd_simulate(folder, &o, NULL, NULL));
    for (int subject = 1; subject <= 2; subject++) {
        for (int test = 0; test < 2; test++) {
            char name[128];
            double times[150];
            snprintf(name, sizeof name, "Preprocessed_data_250Hz/sub-%02d/preprocessed_eeg_%s.npy", subject, test ? "test" : "training");
            content *c = open_file(folder, name);
            assert_string_equal(c->format, "pickle");
            check_shape(ndi_content_array(c, "preprocessed_eeg_data"), DTYPE_F64, 4,
                        test ? (size_t[]){ 10, 6, 63, 100 } : (size_t[]){ 36, 2, 63, 100 });
            check_shape(ndi_content_array(c, "times"), DTYPE_F64, 1, (size_t[]){ 150 });
            OK(ndi_array_read_f64(ndi_content_array(c, "times"), 0, 150, times));
            assert_float_equal(times[0], -0.2, 1e-12);
            assert_float_equal(times[50], 0, 1e-12);
            assert_float_equal(times[149], 0.396, 1e-12);
            const texts *channels = ndi_content_texts(c, "ch_names");
            assert_non_null(channels);
            assert_int_equal(channels->n, 63);
            assert_string_equal(channels->items[0], "Fp1");
            assert_string_equal(channels->items[62], "O2");
            ndi_content_free(c);
        }
    }
}

static void embeddings_and_metadata_belong_together(void **state)
{
    const char *folder = *state;
    nd_simulate_options o = small();
    OK(nd_simulate(folder, &o, NULL, NULL));
    static const char *const places[] = { "image_metadata.npy", "image_embeddings/image_metadata.npy" };
    for (size_t i = 0; i < 2; i++) {
        content *c = open_file(folder, places[i]);
        const texts *concepts = ndi_content_texts(c, "train_img_concepts"), *files = ndi_content_texts(c, "train_img_files");
        const texts *things = ndi_content_texts(c, "train_img_concepts_THINGS"), *test_things = ndi_content_texts(c, "test_img_concepts_THINGS");
        assert_true(concepts && files && things && test_things);
        assert_int_equal(concepts->n, 36);
        assert_int_equal(test_things->n, 10);
        for (size_t image = 0; image < files->n; image++) {
            char name[512];
            struct stat about;
            int stem = (int)(strlen(files->items[image]) - 4);
            assert_string_equal(files->items[image] + stem, ".jpg");
            assert_int_equal(strncmp(concepts->items[image] + 6, files->items[image], strlen(concepts->items[image] + 6)), 0);
            snprintf(name, sizeof name, "%s/image_embeddings/training_images/%s/%.*s_aligned.npy", folder, concepts->items[image], stem,
                     files->items[image]);
            assert_int_equal(stat(name, &about), 0);
            assert_int_equal(about.st_size, 128 + 4 * 24);
            for (size_t other = 0; other < test_things->n; other++) assert_string_not_equal(things->items[image], test_things->items[other]);
        }
        ndi_content_free(c);
    }
    nd_bank *bank;
    nd_bank_info about = { .size = sizeof about };
    OK(nd_bank_open_things_eeg2(&bank, folder, "test", "unaligned", NULL, NULL));
    OK(nd_bank_get_info(bank, &about));
    assert_int_equal(about.n_images, 10);
    assert_int_equal(about.dim, 24);
    nd_bank_free(bank);
}

/* What a person's file holds is what the brain gives, whatever the threads and the blocks. */
static void the_same_numbers_for_any_number_of_threads(void **state)
{
    (void)state;
    nd_simulate_options o = small();
    size_t trial = 63 * 100, n = 36 * 2 * trial;
    float *first = test_malloc(n * sizeof *first), *again = test_malloc(n * sizeof *again);
    world *w;
    OK(ndi_world_create(&w, &o));
    for (int threads = 1; threads <= 3; threads += 2) {
        brain *b;
        pool *p;
        float *data = threads == 1 ? first : again;
        OK(ndi_pool_create(&p, threads));
        OK(ndi_brain_create(&b, w, 1));
        for (size_t image = 0, step; image < 36; image += step) {
            step = threads == 1 ? 36 : 5;
            if (step > 36 - image) step = 36 - image;
            OK(ndi_brain_record(b, p, TRAINING, image, step, data + image * 2 * trial));
        }
        ndi_brain_free(b);
        ndi_pool_free(p);
    }
    assert_memory_equal(first, again, n * sizeof *first);
    ndi_world_free(w);
    test_free(first);
    test_free(again);
}

/* Variance between and within the repetitions of an image tell response and noise apart. */
static void the_ratio_of_signal_and_noise_is_the_one_asked_for(void **state)
{
    (void)state;
    nd_simulate_options o;
    OK(nd_simulate_options_init(&o, sizeof o));
    o.n_test = 100;
    o.test_repetitions = 4;
    o.snr = 0.3;
    size_t n = (size_t)o.n_channels * o.n_samples, R = o.test_repetitions;
    float *x = test_malloc(R * n * sizeof *x);
    world *w;
    brain *b;
    OK(ndi_world_create(&w, &o));
    OK(ndi_brain_create(&b, w, 0));
    double noise = 0, mean_power = 0;
    for (size_t image = 0; image < o.n_test; image++) {
        OK(ndi_brain_record(b, NULL, TEST, image, 1, x));
        for (size_t i = 0; i < n; i++) {
            double sum = 0, squares = 0;
            for (size_t r = 0; r < R; r++) {
                sum += x[r * n + i];
                squares += (double)x[r * n + i] * x[r * n + i];
            }
            noise += (squares - sum * sum / (double)R) / (double)(R - 1);
            mean_power += sum * sum / (double)(R * R);
        }
    }
    noise /= (double)(n * o.n_test);
    mean_power /= (double)(n * o.n_test);
    assert_float_equal(noise, 1, 0.03);
    assert_float_equal((mean_power - noise / (double)R) / noise, 0.3, 0.15 * 0.3);
    ndi_brain_free(b);
    ndi_world_free(w);
    test_free(x);
}

/* Power of one frequency, by its definition, under a Hann window. */
static double power_at(const float *x, size_t n, double frequency)
{
    const double pi = 3.14159265358979323846;
    double re = 0, im = 0;
    for (size_t t = 0; t < n; t++) {
        double window = 1 - cos(2 * pi * ((double)t + 0.5) / (double)n), angle = 2 * pi * frequency * (double)t / 250;
        re += window * x[t] * cos(angle);
        im += window * x[t] * sin(angle);
    }
    return re * re + im * im;
}

static void noise_falls_with_frequency_but_for_the_rhythm(void **state)
{
    (void)state;
    nd_simulate_options o = small();
    o.n_samples = 250;
    o.snr = 0;
    o.n_test = 40;
    size_t n = (size_t)o.n_channels * o.n_samples;
    float *x = test_malloc(o.test_repetitions * n * sizeof *x);
    world *w;
    brain *b;
    OK(ndi_world_create(&w, &o));
    OK(ndi_brain_create(&b, w, 0));
    static const double frequencies[] = { 2, 4, 20, 32, 10 };
    double power[5] = { 0 };
    for (size_t image = 0; image < o.n_test; image++) {
        OK(ndi_brain_record(b, NULL, TEST, image, 1, x));
        for (size_t row = 0; row < o.test_repetitions * 63; row += 7)
            for (size_t f = 0; f < 5; f++) power[f] += power_at(x + row * o.n_samples, o.n_samples, frequencies[f]);
    }
    double slope = log(power[3] / power[0]) / log(frequencies[3] / frequencies[0]);
    assert_float_equal(slope, -1, 0.3);
    assert_true(power[0] > power[1] && power[1] > power[2] && power[2] > power[3]);
    assert_true(power[4] > 1.5 * sqrt(power[1] * power[2])); /* the rhythm stands above the line from 4 to 20 Hz */
    ndi_brain_free(b);
    ndi_world_free(w);
    test_free(x);
}

/* Eigenvalues of the covariance of the embeddings of one model. */
static void embeddings_have_a_decaying_spectrum(void **state)
{
    (void)state;
    enum { DIM = 64, N = 600 };
    nd_simulate_options o = small();
    o.n_concepts = 200;
    o.embed_dim = DIM;
    static float vectors[N][DIM];
    static double covariance[DIM * DIM], mean[DIM], values[DIM], work[DIM];
    world *w;
    OK(ndi_world_create(&w, &o));
    for (int m = 0; m < N_IMAGE_MODELS; m++) {
        memset(mean, 0, sizeof mean);
        for (size_t i = 0; i < N; i++) {
            ndi_world_embed(w, (image_model)m, TRAINING, i, vectors[i]);
            for (size_t d = 0; d < DIM; d++) mean[d] += vectors[i][d] / (double)N;
        }
        for (size_t a = 0; a < DIM; a++) {
            for (size_t c = 0; c < DIM; c++) {
                double sum = 0;
                for (size_t i = 0; i < N; i++) sum += (vectors[i][a] - mean[a]) * (vectors[i][c] - mean[c]);
                covariance[a * DIM + c] = sum / N;
            }
        }
        OK(ndi_eigen_symmetric(covariance, DIM, values, work));
        assert_true(values[DIM - 1] > 2 * values[DIM - 8]);
        assert_true(values[DIM - 8] > 1.5 * values[DIM - 24]);
        assert_true(values[0] > 0);
    }
    ndi_world_free(w);
}

static void all_electrodes_have_a_place_on_the_head(void **state)
{
    (void)state;
    double xyz[3], other[3];
    for (size_t i = 0; i < NDI_N_ELECTRODES; i++) {
        assert_true(ndi_electrode_position(ndi_electrodes[i], xyz));
        assert_float_equal(xyz[0] * xyz[0] + xyz[1] * xyz[1] + xyz[2] * xyz[2], 1, 1e-12);
        for (size_t j = 0; j < i; j++) {
            assert_true(ndi_electrode_position(ndi_electrodes[j], other));
            assert_true(hypot(hypot(xyz[0] - other[0], xyz[1] - other[1]), xyz[2] - other[2]) > 0.15);
        }
    }
    assert_true(ndi_electrode_position("Cz", xyz));
    assert_float_equal(xyz[2], 1, 1e-12);
    assert_true(ndi_electrode_position("Oz", xyz) && xyz[1] < -0.9 && fabs(xyz[0]) < 1e-12);
    assert_true(ndi_electrode_position("T7", xyz) && xyz[0] < -0.9);
    assert_true(ndi_electrode_position("TP10", xyz) && xyz[0] > 0.7 && xyz[2] < 0.1);
    assert_false(ndi_electrode_position("X1", xyz));
    assert_false(ndi_electrode_position("Fp", xyz));
    assert_false(ndi_electrode_position("P11", xyz));
}

static void wrong_options_are_named(void **state)
{
    const char *folder = *state;
    static const struct {
        size_t at;
        uint32_t value;
        const char *name;
    } wrong[] = {
        { offsetof(nd_simulate_options, n_concepts), 0, "n_concepts" }, { offsetof(nd_simulate_options, n_subjects), 11, "n_subjects" },
        { offsetof(nd_simulate_options, n_subjects), 0, "n_subjects" }, { offsetof(nd_simulate_options, n_channels), 32, "n_channels" },
        { offsetof(nd_simulate_options, n_samples), 10, "n_samples" },  { offsetof(nd_simulate_options, test_repetitions), 0, "test_repetitions" },
        { offsetof(nd_simulate_options, n_sessions), 5, "n_sessions" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        nd_simulate_options o = small();
        memcpy((char *)&o + wrong[i].at, &wrong[i].value, sizeof wrong[i].value);
        FAILS(ND_ERR_ARGUMENT, wrong[i].name, nd_simulate(folder, &o, NULL, NULL));
    }
    nd_simulate_options o = small();
    o.snr = -1;
    FAILS(ND_ERR_ARGUMENT, "snr", nd_simulate(folder, &o, NULL, NULL));
    o.snr = NAN;
    FAILS(ND_ERR_ARGUMENT, "snr", nd_simulate(folder, &o, NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "folder", nd_simulate(NULL, NULL, NULL, NULL));
}

static void folders_are_respected(void **state)
{
    const char *folder = *state;
    nd_simulate_options o = small();
    o.n_subjects = 1;
    char path[1024];
    snprintf(path, sizeof path, "%s/file", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
    snprintf(path, sizeof path, "%s/file/below", folder);
    FAILS(ND_ERR_IO, "file", nd_simulate(path, &o, NULL, NULL));
    snprintf(path, sizeof path, "%s/Preprocessed_data_250Hz", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    FAILS(ND_ERR_ARGUMENT, "not simulated", nd_simulate(folder, &o, NULL, NULL));
    assert_int_equal(rmdir(path), 0);
    OK(nd_simulate(folder, &o, NULL, NULL));
    OK(nd_simulate(folder, &o, NULL, NULL));
    o.seed = 43;
    FAILS(ND_ERR_ARGUMENT, "other options", nd_simulate(folder, &o, NULL, NULL));
}

static int32_t stop_at_recordings(const nd_progress *p, void *user)
{
    (void)user;
    return strcmp(p->stage, "simulate") == 0;
}

static void a_cancelled_simulation_leaves_no_half_file(void **state)
{
    const char *folder = *state;
    nd_simulate_options o = small();
    o.n_concepts = 60;
    struct stat about;
    char path[4096];
    assert_int_equal(nd_simulate(folder, &o, stop_at_recordings, NULL), ND_ERR_CANCELLED);
    snprintf(path, sizeof path, "%s/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_training.npy", folder);
    assert_int_not_equal(stat(path, &about), 0);
    OK(nd_simulate(folder, &o, NULL, NULL));
    assert_int_equal(stat(path, &about), 0);
}

static nd_status make_brain(void *context)
{
    nd_simulate_options o = small();
    world *w;
    brain *b;
    float x[2 * 17 * 50];
    (void)context;
    o.n_channels = 17;
    o.n_samples = 50;
    nd_status status = ndi_world_create(&w, &o);
    if (status != ND_OK) return status;
    status = ndi_brain_create(&b, w, 0);
    if (status == ND_OK) {
        status = ndi_brain_record(b, NULL, TRAINING, 0, 1, x);
        ndi_brain_free(b);
    }
    ndi_world_free(w);
    return status;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    assert_true(nd_test_faults(make_brain, NULL) > 5);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(recordings_have_the_shapes_and_names_of_the_real_ones),
        IN_FOLDER(embeddings_and_metadata_belong_together),
        cmocka_unit_test(the_same_numbers_for_any_number_of_threads),
        cmocka_unit_test(the_ratio_of_signal_and_noise_is_the_one_asked_for),
        cmocka_unit_test(noise_falls_with_frequency_but_for_the_rhythm),
        cmocka_unit_test(embeddings_have_a_decaying_spectrum),
        cmocka_unit_test(all_electrodes_have_a_place_on_the_head),
        IN_FOLDER(wrong_options_are_named),
        IN_FOLDER(folders_are_respected),
        IN_FOLDER(a_cancelled_simulation_leaves_no_half_file),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
