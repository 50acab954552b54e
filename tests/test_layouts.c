/* Layouts that people share: folders of plain arrays with an info.json, features by concept, metadata that is not what it should be, and numbers of 16 bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check.h"
#include "data.h"
#include "fault.h"
#include "io/format.h"
#include "neurodecode/bank.h"
#include "neurodecode/dataset.h"
#include "neurodecode/file.h"
#include "temp.h"

enum { CONCEPTS = 3, IMAGES = 2, REPETITIONS = 4, CHANNELS = 2, SAMPLES = 5, TRIAL = CHANNELS * SAMPLES, TRIALS = CONCEPTS * IMAGES * REPETITIONS };
static float samples[TRIALS * TRIAL];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < TRIALS * TRIAL; i++) samples[i] = (float)i * 0.25f;
    return nd_test_temp_folder() ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    nd_test_temp_clear();
    return 0;
}

static nd_dataset_options dataset_defaults(void)
{
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    return o;
}

/* ---- concepts x images x repetitions x channels x samples ---- */

static const size_t five[5] = { CONCEPTS, IMAGES, REPETITIONS, CHANNELS, SAMPLES };
static const char ids[] = "a/1\na/2\nb/1\nb/2\nc/1\nc/2\n";
#define INFO(names, shape) \
    "{\"ch_names\": " names ", \"times\": [-0.008, -0.004, 0, 0.004, 0.008, 0.012, 0.016], \"sfreq\": 250.0, \"train_data_shape\": " shape "}"

static void write_plain(const char *folder, const char *info)
{
    char name[80];
    snprintf(name, sizeof name, "%s/sub-01", folder);
    nd_test_subfolder(name);
    snprintf(name, sizeof name, "%s/sub-01/train.npy", folder);
    nd_test_write_array(nd_test_temp(name), DTYPE_F32, 5, five, samples);
    snprintf(name, sizeof name, "%s/info.json", folder);
    nd_test_write_text(name, info);
}

static void test_plain_arrays(void **state)
{
    (void)state;
    nd_dataset *d;
    const char *channel;
    write_plain("plain", INFO("[\"O1\", \"Oz\"]", "[3, 2, 4, 2, 5]"));
    nd_test_write_text("ids.txt", ids);
    nd_dataset_options o = dataset_defaults();
    o.images = nd_test_temp("ids.txt");
    for (o.average = 0; o.average < 2; o.average++) {
        OK(nd_dataset_open(&d, nd_test_temp("plain/sub-01/train.npy"), &o, NULL, NULL));
        nd_dataset_info info = nd_test_info(d);
        assert_int_equal(info.n_trials, o.average ? CONCEPTS * IMAGES : TRIALS);
        assert_int_equal(info.n_images, CONCEPTS * IMAGES);
        assert_int_equal(info.n_concepts, CONCEPTS);
        assert_true(info.rate == 250 && info.start == 0); /* seven times for five samples: the last ones count */
        OK(nd_dataset_get_channel(d, 1, &channel));
        assert_string_equal(channel, "Oz");
        float x[TRIAL];
        const size_t image = 3, trial = o.average ? image : image * REPETITIONS + 1;
        assert_string_equal(nd_test_trial(d, trial).image, "b/2");
        OK(nd_dataset_get_data(d, trial, 1, x, TRIAL));
        for (size_t i = 0; i < TRIAL; i++) {
            const float *first = samples + image * REPETITIONS * TRIAL + i;
            assert_true(x[i] == (o.average ? (first[0] + first[TRIAL] + first[2 * TRIAL] + first[3 * TRIAL]) / 4 : first[TRIAL]));
        }
        nd_dataset_free(d);
    }
}

static void test_plain_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *info, *message;
    } wrong[] = {
        { INFO("[\"O1\", \"Oz\"]", "[3, 2, 4, 2, 6]"), "train.npy: has shape (3 x 2 x 4 x 2 x 5), expected [3,2,4,2,6] by train_data_shape of " },
        { INFO("[\"O1\", \"Oz\", \"O2\"]", "[3, 2, 4, 2, 5]"), "3" },
        { INFO("[\"O1\", 7]", "[3, 2, 4, 2, 5]"), "info.json: ch_names: entry 1 is no text" },
        { INFO("\"O1\"", "[3, 2, 4, 2, 5]"), "info.json: ch_names: expected a list of texts" },
        { "{\"times\": [0, \"a\"]}", "info.json: times: entry 1 is no number" },
        { "{\"times\": [0, 0.004]}", "array 'times' has 2 entries" },
        { "{\"times\":", "info.json" },
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        nd_dataset *d = NULL;
        write_plain("wrong", wrong[i].info);
        nd_status status = nd_dataset_open(&d, nd_test_temp("wrong/sub-01/train.npy"), NULL, NULL, NULL);
        assert_true(status == ND_ERR_FORMAT || status == ND_ERR_ARGUMENT);
        if (!strstr(nd_last_error(), wrong[i].message)) fail_msg("message '%s' does not contain '%s'", nd_last_error(), wrong[i].message);
        assert_null(d);
    }
}

static nd_status open_plain(void *context)
{
    nd_dataset *d;
    nd_dataset_options o = dataset_defaults();
    o.n_threads = 1;
    TRY(nd_dataset_open(&d, context, &o, NULL, NULL));
    nd_dataset_free(d);
    return ND_OK;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    write_plain("faults", INFO("[\"O1\", \"Oz\"]", "[3, 2, 4, 2, 5]"));
    assert_true(nd_test_faults(open_plain, (void *)nd_test_temp("faults/sub-01/train.npy")) > 20);
}

/* A store is made anew when the info.json beside its source changes. */
static void test_folder(void **state)
{
    (void)state;
    static const char *const concepts[] = { "00001_a", "00001_a", "00002_b", "00002_b", "00003_c", "00003_c" };
    static const char *const files[] = { "a1.jpg", "a2.jpg", "b1.jpg", "b2.jpg", "c1.jpg", "c2.jpg" };
    const put_texts lists[] = { { .name = "train_img_concepts", .items = concepts, .n = 6, .list = true },
                                { .name = "train_img_files", .items = files, .n = 6, .list = true },
                                { .name = "test_img_concepts", .items = concepts, .n = 1, .list = true },
                                { .name = "test_img_files", .items = files, .n = 1, .list = true } };
    const put all = { .texts = lists, .n_texts = COUNT(lists) };
    nd_dataset *d;
    const char *channel;
    write_plain("eeg2/preprocessed_eeg", INFO("[\"O1\", \"Oz\"]", "[3, 2, 4, 2, 5]"));
    nd_test_subfolder("eeg2/image_set");
    OK(ndi_format_write(nd_test_temp("eeg2/image_set/image_metadata.npy"), NULL, &all));
    for (size_t i = 0; i < 2; i++) {
        OK(nd_dataset_open_things_eeg2(&d, nd_test_temp("eeg2"), 1, "training", nd_test_temp("stores"), NULL, NULL, NULL));
        assert_string_equal(nd_test_trial(d, 4).image, "00003_c/c1");
        OK(nd_dataset_get_channel(d, 0, &channel));
        assert_string_equal(channel, i ? "P1" : "O1");
        nd_dataset_free(d);
        nd_test_write_text("eeg2/preprocessed_eeg/info.json", INFO("[\"P1\", \"Pz\"]", "[3, 2, 4, 2, 5] "));
    }
}

static void test_features(void **state)
{
    (void)state;
    static const size_t shape[3] = { CONCEPTS, IMAGES, 4 };
    nd_bank *b;
    nd_bank_options o;
    float x[CONCEPTS * IMAGES * 4];
    nd_test_write_array(nd_test_temp("image_train.npy"), DTYPE_F32, 3, shape, samples);
    nd_test_write_text("ids.txt", ids);
    OK(nd_bank_options_init(&o, sizeof o));
    FAILS(ND_ERR_FORMAT, "expected images x dim", nd_bank_open(&b, nd_test_temp("image_train.npy"), &o, NULL, NULL));
    o.images = nd_test_temp("ids.txt");
    OK(nd_bank_open(&b, nd_test_temp("image_train.npy"), &o, NULL, NULL));
    OK(nd_bank_get_vectors(b, NULL, x, COUNT(x)));
    assert_memory_equal(x, samples, sizeof x);
    nd_bank_free(b);
    nd_test_write_text("ids.txt", "a\nb\nc\n");
    FAILS(ND_ERR_ARGUMENT, "6 images in the array, 3 ids in ids.txt", nd_bank_open(&b, nd_test_temp("image_train.npy"), &o, NULL, NULL));
}

/* ---- THINGS-EEG2 as published ---- */

enum { PUBLISHED = 16540 };

static void write_metadata(const char *first, const char *const *last_concepts)
{
    static char names[PUBLISHED][24];
    static const char *concepts[PUBLISHED], *files[PUBLISHED];
    for (size_t i = 0; i < PUBLISHED; i++) {
        snprintf(names[i], sizeof names[i], "%05zu_aardvark", i / 10 + 1);
        concepts[i] = i + 2 < PUBLISHED || !last_concepts ? names[i] : last_concepts[i + 2 - PUBLISHED];
        files[i] = i ? names[i] : first;
    }
    const put_texts lists[] = { { .name = "train_img_concepts", .items = concepts, .n = PUBLISHED, .list = true },
                                { .name = "train_img_files", .items = files, .n = PUBLISHED, .list = true },
                                { .name = "test_img_concepts", .items = concepts, .n = 200, .list = true },
                                { .name = "test_img_files", .items = files, .n = 200, .list = true } };
    const put all = { .texts = lists, .n_texts = COUNT(lists) };
    nd_test_subfolder("published/Preprocessed_data_250Hz/sub-01");
    OK(ndi_format_write(nd_test_temp("published/image_metadata.npy"), NULL, &all));
}

static nd_status open_published(const char *partition)
{
    nd_dataset *d = NULL;
    nd_status status = nd_dataset_open_things_eeg2(&d, nd_test_temp("published"), 1, partition, NULL, NULL, NULL, NULL);
    nd_dataset_free(d);
    return status;
}

static void test_identity(void **state)
{
    (void)state;
    static const size_t training[4] = { PUBLISHED, 3, 1, 1 }, test[4] = { 100, 80, 1, 1 };
    static float x[PUBLISHED * 3];
    write_metadata("aardvark_01b.jpg", NULL);
    nd_test_write_array(nd_test_temp("published/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_training.npy"), DTYPE_F32, 4, training, x);
    nd_test_write_array(nd_test_temp("published/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_test.npy"), DTYPE_F32, 4, test, x);
    FAILS(ND_ERR_FORMAT,
          "preprocessed_eeg_training.npy: array 'data' has shape (16540 x 3 x 1 x 1), expected 16540 images x 4 repetitions x channels x samples, as "
          "THINGS-EEG2 has for training",
          open_published("training"));
    FAILS(ND_ERR_FORMAT, "has shape (100 x 80 x 1 x 1), expected 200 images x 80 repetitions", open_published("test"));
    write_metadata("another_01b.jpg", NULL); /* another data set in the same layout */
    OK(open_published("training"));
    FAILS(ND_ERR_ARGUMENT, "100 images in the array, 200 ids in image_metadata.npy (test)", open_published("test"));
}

static void test_concepts(void **state)
{
    (void)state;
    static const char *const gap[] = { "01654_x", "01656_y" }, *const back[] = { "01653_x", "01654_y" };
    write_metadata("b.jpg", gap);
    FAILS(ND_ERR_FORMAT, "training concepts: entry 16539 is '01656_y', expected number 01654 or the next: concepts are listed in order, without gaps",
          open_published("training"));
    write_metadata("b.jpg", back);
    FAILS(ND_ERR_FORMAT, "entry 16538 is '01653_x', expected number 01654 or the next", open_published("training"));
}

/* ---- numbers of 16 bits ---- */

enum { N16 = 6 };
static const uint16_t f16[N16] = { 0x3c00, 0xc100, 0x7bff, 0x0001, 0x3555, 0x8000 }, bf16[N16] = { 0x3f80, 0xc020, 0x4049, 0x0080, 0x7f00, 0x8000 };
static const float f16_values[N16] = { 1, -2.5f, 65504, 0x1p-24f, 0.333251953125f, -0.0f };
static const float bf16_values[N16] = { 1, -2.5f, 3.140625f, 0x1p-126f, 0x1p127f, -0.0f };

typedef struct small {
    const char *name;
    dtype type;
    const uint16_t *bits;
    const float *values;
} small;

static const small smalls[] = { { "h.npy", DTYPE_F16, f16, f16_values },
                                { "h.npz", DTYPE_F16, f16, f16_values },
                                { "h.pkl", DTYPE_F16, f16, f16_values },
                                { "h.safetensors", DTYPE_F16, f16, f16_values },
                                { "b.safetensors", DTYPE_BF16, bf16, bf16_values } };

static void test_16_bits(void **state)
{
    (void)state;
    static const size_t shape[2] = { 3, 2 };
    for (size_t i = 0; i < COUNT(smalls); i++) {
        const small *s = &smalls[i];
        float x[N16];
        nd_dataset *d, *stored;
        nd_bank *b;
        nd_test_write_array(nd_test_temp(s->name), s->type, 2, shape, s->bits);
        OK(nd_dataset_open(&d, nd_test_temp(s->name), NULL, NULL, NULL));
        OK(nd_dataset_get_data(d, 0, 3, x, N16));
        assert_memory_equal(x, s->values, sizeof x);
        OK(nd_dataset_import(&stored, nd_test_temp(s->name), nd_test_temp("store.safetensors"), NULL, NULL, NULL));
        OK(nd_dataset_get_data(stored, 0, 3, x, N16));
        assert_memory_equal(x, s->values, sizeof x);
        OK(nd_bank_open(&b, nd_test_temp(s->name), NULL, NULL, NULL));
        OK(nd_bank_get_vectors(b, NULL, x, N16));
        assert_memory_equal(x, s->values, sizeof x);
        nd_bank_free(b);
        nd_dataset_free(d);
        nd_dataset_free(stored);
    }
}

static void test_16_bits_convert(void **state)
{
    (void)state;
    static const size_t shape[2] = { 3, 2 };
    for (size_t i = 0; i < COUNT(smalls); i++) {
        content *c;
        const array *a;
        uint16_t bits[N16];
        nd_test_write_array(nd_test_temp(smalls[i].name), smalls[i].type, 2, shape, smalls[i].bits);
        OK(nd_file_convert(nd_test_temp(smalls[i].name), nd_test_temp("converted.safetensors")));
        OK(ndi_content_open(&c, nd_test_temp("converted.safetensors")));
        OK(ndi_content_pick(c, NULL, &a));
        assert_int_equal(a->type, smalls[i].type);
        OK(ndi_array_read_native(a, 0, N16, bits));
        assert_memory_equal(bits, smalls[i].bits, sizeof bits);
        ndi_content_free(c);
    }
    FAILS(ND_ERR_UNSUPPORTED, "bfloat16", nd_file_convert(nd_test_temp("b.safetensors"), nd_test_temp("b.npy")));
}

/* Infinity, which float16 reaches early, is found as in any other type. */
static void test_16_bits_infinite(void **state)
{
    (void)state;
    static const size_t shape[2] = { 3, 2 };
    static const uint16_t bits[N16] = { 0x3c00, 0x3c00, 0x3c00, 0x7c00, 0x3c00, 0x3c00 };
    nd_dataset *d;
    nd_bank *b;
    nd_test_write_array(nd_test_temp("i.npy"), DTYPE_F16, 2, shape, bits);
    FAILS(ND_ERR_NUMERIC, "trial 1 (image '1', repetition 0), channel '1'", nd_dataset_open(&d, nd_test_temp("i.npy"), NULL, NULL, NULL));
    FAILS(ND_ERR_NUMERIC, "i.npy", nd_bank_open(&b, nd_test_temp("i.npy"), NULL, NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_arrays),     cmocka_unit_test(test_plain_wrong), cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_folder),           cmocka_unit_test(test_features),    cmocka_unit_test(test_identity),
        cmocka_unit_test(test_concepts),         cmocka_unit_test(test_16_bits),     cmocka_unit_test(test_16_bits_convert),
        cmocka_unit_test(test_16_bits_infinite),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
