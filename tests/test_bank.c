/* Banks: files and folders, joins by id, operations, human alignment. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "approx.h"
#include "base/bf16.h"
#include "check.h"
#include "data/bank.h"
#include "fault.h"
#include "temp.h"
#include "golden.h"
#include "io/format.h"
#include "neurodecode/bank.h"

enum { IMAGES = 6, DIM = 4 };
static const char *const image_ids[IMAGES] = { "00001_aardvark/aardvark_01b", "00001_aardvark/aardvark_02s", "00002_abacus/abacus_01b",
                                               "00002_abacus/abacus_02n",     "00003_acorn/acorn_05s",       "00003_acorn/acorn_06s" };
static const float vectors[IMAGES * DIM] = { 1, 2, 3, 5, -1, 0, 2, 5, 4, 4, 1, 5, 0, 0, 0, 5, 2, 7, 1, 5, 3, 3, 8, 5 };

static int setup(void **state)
{
    (void)state;
    return nd_test_temp_folder() ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    nd_test_temp_clear();
    return 0;
}

static nd_bank *make(const char *layer)
{
    nd_bank *b;
    OK(nd_bank_create(&b, vectors, IMAGES, DIM, image_ids, layer));
    return b;
}

static nd_bank_info info_of(const nd_bank *b)
{
    nd_bank_info info = { .size = sizeof info };
    OK(nd_bank_get_info(b, &info));
    return info;
}

static nd_bank_options defaults(void)
{
    nd_bank_options o;
    OK(nd_bank_options_init(&o, sizeof o));
    return o;
}

static void assert_layer(const nd_bank *b, size_t index, const char *name, size_t dim)
{
    const char *got;
    size_t got_dim;
    OK(nd_bank_get_layer(b, index, &got, &got_dim));
    assert_string_equal(got, name);
    assert_int_equal(got_dim, dim);
}

static void assert_image(const nd_bank *b, size_t index, const char *id)
{
    const char *got;
    OK(nd_bank_get_image(b, index, &got));
    assert_string_equal(got, id);
}

static void write_vectors(const char *path, size_t n_dims, const size_t *shape, const void *data, dtype type)
{
    put_array a = { .name = "x", .type = type, .n_dims = n_dims, .data = data };
    for (size_t i = 0; i < n_dims; i++) a.shape[i] = shape[i];
    const put all = { .arrays = &a, .n_arrays = 1 };
    OK(ndi_format_write(path, NULL, &all));
}

/* ---- making ---- */

static void test_create(void **state)
{
    (void)state;
    nd_bank *b = make(NULL), *other;
    nd_bank_info info = info_of(b);
    assert_int_equal(info.n_images, IMAGES);
    assert_int_equal(info.n_layers, 1);
    assert_int_equal(info.dim, DIM);
    assert_layer(b, 0, "embedding", DIM);
    assert_image(b, 4, image_ids[4]);
    float x[IMAGES * DIM];
    OK(nd_bank_get_vectors(b, NULL, x, COUNT(x)));
    assert_memory_equal(x, vectors, sizeof x);
    FAILS(ND_ERR_BUFFER, "need 24", nd_bank_get_vectors(b, "embedding", x, 23));
    FAILS(ND_ERR_ARGUMENT, "no layer 'clip', got embedding", nd_bank_get_vectors(b, "clip", x, 24));
    const char *twice[2] = { "a", "a" };
    FAILS(ND_ERR_ARGUMENT, "'a' stands twice", nd_bank_create(&other, vectors, 2, 2, twice, NULL));
    FAILS(ND_ERR_ARGUMENT, "at least one", nd_bank_create(&other, vectors, 0, 2, NULL, NULL));
    float bad[4] = { 0, 1, (float)INFINITY, 0 };
    FAILS(ND_ERR_NUMERIC, "image '1'", nd_bank_create(&other, bad, 2, 2, NULL, NULL));
    assert_null(other);
    nd_bank_free(b);
    nd_bank_free(NULL);
}

static void test_hash(void **state)
{
    (void)state;
    nd_bank *a = make("x"), *same = make("x"), *named = make("y"), *changed;
    float v[IMAGES * DIM];
    memcpy(v, vectors, sizeof v);
    v[7] = 5.000001f;
    OK(nd_bank_create(&changed, v, IMAGES, DIM, image_ids, "x"));
    assert_true(info_of(a).hash == info_of(same).hash);
    assert_true(info_of(a).hash != info_of(named).hash);
    assert_true(info_of(a).hash != info_of(changed).hash);
    nd_bank *all[] = { a, same, named, changed };
    for (size_t i = 0; i < COUNT(all); i++) nd_bank_free(all[i]);
}

/* ---- files ---- */

static void test_save(void **state)
{
    (void)state;
    nd_bank *first = make("zeta"), *second = make("alpha"), *both, *back;
    OK(nd_bank_add_layers(&both, first, second));
    const char *path = nd_test_temp("bank.safetensors");
    nd_bank *saved[] = { first, both };
    for (size_t i = 0; i < COUNT(saved); i++) {
        OK(nd_bank_save(saved[i], path));
        OK(nd_bank_open(&back, path, NULL, NULL, NULL));
        assert_true(info_of(saved[i]).hash == info_of(back).hash);
        nd_bank_free(back);
        OK(nd_bank_save_as(saved[i], path, ND_PRECISION_BFLOAT16));
        OK(nd_bank_open(&back, path, NULL, NULL, NULL));
        for (size_t layer = 0; layer <= i; layer++)
            for (size_t k = 0; k < IMAGES * DIM; k++)
                assert_true(ndi_bank_vectors(back, layer)[k] == ndi_bf16_value(ndi_bf16_nearest(ndi_bank_vectors(saved[i], layer)[k])));
        nd_bank_free(back);
    }
    FAILS(ND_ERR_ARGUMENT, "precision: got 7", nd_bank_save_as(first, path, 7));
    nd_bank_free(first);
    nd_bank_free(second);
    nd_bank_free(both);
}

static void test_files(void **state)
{
    (void)state;
    static const size_t flat[2] = { IMAGES, DIM }, deep[3] = { IMAGES, 1, DIM }, cube[3] = { 2, 3, DIM };
    nd_bank *b;
    nd_bank_options o = defaults();
    float x[IMAGES * DIM];
    write_vectors(nd_test_temp("clip.npy"), 2, flat, vectors, DTYPE_F32);
    write_vectors(nd_test_temp("deep.npy"), 3, deep, vectors, DTYPE_F32);
    write_vectors(nd_test_temp("cube.npy"), 3, cube, vectors, DTYPE_F32);
    OK(nd_bank_open(&b, nd_test_temp("clip.npy"), NULL, NULL, NULL));
    assert_layer(b, 0, "clip", DIM);
    assert_image(b, 3, "3");
    nd_bank_free(b);
    nd_test_write_text("ids.txt", "f\ne\nd\nc\nb\na\n");
    o.images = nd_test_temp("ids.txt");
    o.layer = "visual";
    OK(nd_bank_open(&b, nd_test_temp("deep.npy"), &o, NULL, NULL));
    assert_layer(b, 0, "visual", DIM);
    assert_image(b, 0, "f");
    OK(nd_bank_get_vectors(b, "visual", x, COUNT(x)));
    assert_memory_equal(x, vectors, sizeof x);
    nd_bank_free(b);
    FAILS(ND_ERR_FORMAT, "3 dimensions and 24 numbers, expected images x dim", nd_bank_open(&b, nd_test_temp("cube.npy"), NULL, NULL, NULL));
    nd_test_write_text("ids.txt", "a\nb\n");
    FAILS(ND_ERR_ARGUMENT, "6 images in the array, 2 ids in ids.txt", nd_bank_open(&b, nd_test_temp("clip.npy"), &o, NULL, NULL));
    FAILS(ND_ERR_IO, "absent.npy", nd_bank_open(&b, nd_test_temp("absent.npy"), NULL, NULL, NULL));
    assert_null(b);
}

static void test_named_arrays(void **state)
{
    (void)state;
    static const size_t narrow_dim = 2;
    const put_array arrays[] = {
        { .name = "clip", .type = DTYPE_F32, .n_dims = 2, .shape = { IMAGES, DIM }, .data = vectors },
        { .name = "dino", .type = DTYPE_F32, .n_dims = 2, .shape = { IMAGES, narrow_dim }, .data = vectors },
        { .name = "scale", .type = DTYPE_F32, .n_dims = 1, .shape = { 1 }, .data = vectors },
    };
    const put layers = { .arrays = arrays, .n_arrays = 3 };
    nd_bank *b;
    nd_bank_options o = defaults();
    OK(ndi_format_write(nd_test_temp("layers.npz"), NULL, &layers));
    OK(nd_bank_open(&b, nd_test_temp("layers.npz"), NULL, NULL, NULL));
    assert_int_equal(info_of(b).n_layers, 2);
    assert_layer(b, 1, "dino", narrow_dim);
    nd_bank_free(b);
    o.variable = "dino";
    OK(nd_bank_open(&b, nd_test_temp("layers.npz"), &o, NULL, NULL));
    assert_int_equal(info_of(b).n_layers, 1);
    nd_bank_free(b);
    const put_array by_image[] = {
        { .name = "cat/1", .type = DTYPE_F32, .n_dims = 1, .shape = { DIM }, .data = vectors },
        { .name = "dog/2", .type = DTYPE_F32, .n_dims = 2, .shape = { 1, DIM }, .data = vectors + DIM },
    };
    const put dict = { .arrays = by_image, .n_arrays = 2 };
    OK(ndi_format_write(nd_test_temp("dict.pkl"), NULL, &dict));
    OK(nd_bank_open(&b, nd_test_temp("dict.pkl"), NULL, NULL, NULL));
    assert_int_equal(info_of(b).n_images, 2);
    assert_image(b, 1, "dog/2");
    assert_layer(b, 0, "dict", DIM);
    nd_bank_free(b);
    nd_test_write_text("table.csv", "image,a,b\ncat,1,2\ndog,3,4\n");
    OK(nd_bank_open(&b, nd_test_temp("table.csv"), NULL, NULL, NULL));
    assert_image(b, 1, "dog");
    assert_layer(b, 0, "table", 2);
    nd_bank_free(b);
}

/* ---- folders ---- */

static void write_folder(const char *root, const char *suffix, double factor)
{
    static const size_t shape[2] = { 1, DIM };
    for (size_t i = 0; i < IMAGES; i++) {
        char name[256];
        double x[DIM];
        for (size_t k = 0; k < DIM; k++) x[k] = factor * (double)vectors[i * DIM + k];
        snprintf(name, sizeof name, "%s/%.*s", root, (int)(strchr(image_ids[i], '/') - image_ids[i]), image_ids[i]);
        nd_test_subfolder(name);
        snprintf(name, sizeof name, "%s/%s_%s.npy", root, image_ids[i], suffix);
        write_vectors(nd_test_temp(name), 2, shape, x, DTYPE_F64);
    }
}

static void test_folder(void **state)
{
    (void)state;
    write_folder("e", "gLocal_dino_noalign", 1);
    const char *root = nd_test_temp("e");
    nd_bank_options o = defaults();
    nd_bank *b, *made = make("gLocal_dino_noalign");
    OK(nd_bank_open(&b, root, NULL, NULL, NULL));
    assert_true(info_of(b).hash == info_of(made).hash);
    nd_bank_free(b);
    write_folder("e", "clip", 2);
    FAILS(ND_ERR_ARGUMENT, "no suffix in common", nd_bank_open(&b, root, NULL, NULL, NULL));
    o.suffix = "gLocal_dino_noalign";
    OK(nd_bank_open(&b, root, &o, NULL, NULL));
    assert_true(info_of(b).hash == info_of(made).hash);
    nd_bank_free(b);
    o.suffix = "vit";
    FAILS(ND_ERR_IO, "<id>_vit.npy", nd_bank_open(&b, root, &o, NULL, NULL));
    nd_test_write_text("two.txt", "00003_acorn/acorn_06s\n00001_aardvark/aardvark_02s\n");
    o.images = nd_test_temp("two.txt");
    o.suffix = "clip";
    OK(nd_bank_open(&b, root, &o, NULL, NULL));
    assert_int_equal(info_of(b).n_images, 2);
    assert_image(b, 0, image_ids[5]);
    float x[2 * DIM];
    OK(nd_bank_get_vectors(b, NULL, x, COUNT(x)));
    assert_true(x[2] == 16 && x[DIM] == -2);
    nd_bank_free(b);
    o.suffix = NULL;
    FAILS(ND_ERR_ARGUMENT, "name one", nd_bank_open(&b, root, &o, NULL, NULL));
    nd_test_write_text("two.txt", "00003_acorn/acorn_06s\n00003_acorn/acorn_07s\n");
    o.suffix = "clip";
    FAILS(ND_ERR_IO, "e/00003_acorn/acorn_07s_clip.npy", nd_bank_open(&b, root, &o, NULL, NULL));
    write_vectors(nd_test_temp("e/00003_acorn/acorn_06s_clip.npy"), 1, (const size_t[]){ 3 }, vectors, DTYPE_F32);
    o.images = NULL;
    FAILS(ND_ERR_FORMAT, "acorn_06s_clip.npy: holds 3 numbers, the files before it 4", nd_bank_open(&b, root, &o, NULL, NULL));
    assert_null(b);
    nd_bank_free(made);
}

static void test_things_eeg2(void **state)
{
    (void)state;
    static const char *const concepts[] = { "00001_aardvark", "00001_aardvark", "00002_abacus", "00002_abacus", "00003_acorn", "00003_acorn" };
    static const char *const files[] = {
        "aardvark_01b.jpg", "aardvark_02s.jpg", "abacus_01b.jpg", "abacus_02n.jpg", "acorn_05s.jpg", "acorn_06s.jpg"
    };
    const put_texts lists[] = {
        { .name = "train_img_concepts", .items = concepts, .n = 4, .list = true },
        { .name = "train_img_files", .items = files, .n = 4, .list = true },
        { .name = "test_img_concepts", .items = concepts + 4, .n = 2, .list = true },
        { .name = "test_img_files", .items = files + 4, .n = 2, .list = true },
    };
    const put metadata = { .texts = lists, .n_texts = COUNT(lists) };
    write_folder("things/image_embeddings/training_images", "a", 1);
    write_folder("things/image_embeddings/test_images", "a", 1);
    write_folder("things/image_embeddings/test_images", "b", 1);
    OK(ndi_format_write(nd_test_temp("things/image_embeddings/image_metadata.npy"), NULL, &metadata));
    const char *root = nd_test_temp("things");
    nd_bank *b, *made = make("a");
    OK(nd_bank_open_things_eeg2(&b, root, "training", NULL, NULL, NULL));
    assert_int_equal(info_of(b).n_images, 4);
    nd_bank_free(b);
    FAILS(ND_ERR_ARGUMENT, "suffixes", nd_bank_open_things_eeg2(&b, root, "test", NULL, NULL, NULL));
    OK(nd_bank_open_things_eeg2(&b, root, "all", "a", NULL, NULL));
    assert_true(info_of(b).hash == info_of(made).hash);
    nd_bank_free(b);
    FAILS(ND_ERR_IO, "training_images/00001_aardvark/aardvark_01b_b.npy", nd_bank_open_things_eeg2(&b, root, "all", "b", NULL, NULL));
    FAILS(ND_ERR_ARGUMENT, "'both'", nd_bank_open_things_eeg2(&b, root, "both", "a", NULL, NULL));
    assert_null(b);
    nd_bank_free(made);
}

/* ---- joins ---- */

static void test_join(void **state)
{
    (void)state;
    const char *seen[4] = { image_ids[4], image_ids[1], image_ids[4], image_ids[0] }, *strange[4] = { "s/1", image_ids[1], "s/2", "s/1" };
    float x[4] = { 0 };
    nd_bank *b = make(NULL), *gallery, *classes;
    nd_dataset *d, *unknown;
    size_t rows[4];
    OK(nd_dataset_create(&d, x, 4, 1, 1, seen, NULL));
    OK(nd_dataset_create(&unknown, x, 4, 1, 1, strange, NULL));
    OK(ndi_bank_join(b, d, rows));
    assert_true(rows[0] == 4 && rows[1] == 1 && rows[2] == 4 && rows[3] == 0);
    FAILS(ND_ERR_ARGUMENT, "bank: lacks 2 of the 3 images of the dataset, the first is 's/1'; the bank's first is '",
          ndi_bank_join(b, unknown, rows));
    OK(nd_bank_select_for(&gallery, b, d));
    assert_int_equal(info_of(gallery).n_images, 3);
    assert_image(gallery, 2, image_ids[0]);
    float y[3 * DIM];
    OK(nd_bank_get_vectors(gallery, NULL, y, COUNT(y)));
    assert_memory_equal(y + DIM, vectors + DIM, DIM * sizeof *y);
    nd_bank_free(gallery);
    FAILS(ND_ERR_ARGUMENT, "lacks 2 of the 3", nd_bank_select_for(&gallery, b, unknown));
    assert_null(gallery);
    OK(nd_bank_create_one_hot(&classes, d));
    float hot[9];
    OK(nd_bank_get_vectors(classes, NULL, hot, 9));
    for (size_t i = 0; i < 9; i++) assert_true(hot[i] == (i % 4 == 0 ? 1 : 0));
    nd_bank_free(classes);
    nd_bank_free(b);
    nd_dataset_free(d);
    nd_dataset_free(unknown);
}

/* ---- operations ---- */

static void test_select_append(void **state)
{
    (void)state;
    nd_bank *b = make(NULL), *front, *back, *whole, *none;
    OK(nd_bank_select(&front, b, image_ids, 2));
    OK(nd_bank_select(&back, b, image_ids + 2, IMAGES - 2));
    OK(nd_bank_append(&whole, front, back));
    assert_true(info_of(whole).hash == info_of(b).hash);
    FAILS(ND_ERR_ARGUMENT, "'00001_aardvark/aardvark_01b' stands twice", nd_bank_append(&none, b, front));
    FAILS(ND_ERR_ARGUMENT, "no image '00001_aardvark/aardvark_01b'", nd_bank_select(&none, back, image_ids, 1));
    FAILS(ND_ERR_ARGUMENT, "second bank: bank: has no image", nd_bank_add_layers(&none, b, back));
    FAILS(ND_ERR_ARGUMENT, "layer 'embedding' stands twice", nd_bank_add_layers(&none, b, b));
    assert_null(none);
    nd_bank *all[] = { b, front, back, whole };
    for (size_t i = 0; i < COUNT(all); i++) nd_bank_free(all[i]);
}

static void test_concat_layers(void **state)
{
    (void)state;
    nd_bank *a = make("a"), *b = make("b"), *two, *one;
    float x[IMAGES * 2 * DIM];
    OK(nd_bank_add_layers(&two, a, b));
    OK(nd_bank_concat_layers(&one, two, "b a", 1));
    assert_layer(one, 0, "b+a", 2 * DIM);
    OK(nd_bank_get_vectors(one, NULL, x, COUNT(x)));
    for (size_t i = 0; i < IMAGES; i++) {
        double square = 0;
        for (size_t k = 0; k < DIM; k++) square += (double)vectors[i * DIM + k] * (double)vectors[i * DIM + k];
        for (size_t k = 0; k < 2 * DIM; k++) assert_true(fabs((double)x[i * 2 * DIM + k] - (double)vectors[i * DIM + k % DIM] / sqrt(square)) < 1e-7);
    }
    nd_bank_free(one);
    FAILS(ND_ERR_ARGUMENT, "no layer 'c', got a, b", nd_bank_concat_layers(&one, two, "a c", 0));
    assert_null(one);
    nd_bank *all[] = { a, b, two };
    for (size_t i = 0; i < COUNT(all); i++) nd_bank_free(all[i]);
}

static void test_standardise(void **state)
{
    (void)state;
    nd_bank *b = make(NULL), *some, *fitted;
    float x[IMAGES * DIM];
    OK(nd_bank_select(&some, b, image_ids, 4));
    for (size_t pass = 0; pass < 2; pass++) {
        size_t n = pass ? 4 : IMAGES;
        OK(nd_bank_standardise(&fitted, b, pass ? some : NULL));
        OK(nd_bank_get_vectors(fitted, NULL, x, COUNT(x)));
        for (size_t k = 0; k < DIM; k++) {
            double mean = 0, square = 0;
            for (size_t i = 0; i < n; i++) mean += (double)vectors[i * DIM + k] / (double)n;
            for (size_t i = 0; i < n; i++) square += pow((double)vectors[i * DIM + k] - mean, 2) / (double)n;
            for (size_t i = 0; i < IMAGES; i++) {
                double expected = k == DIM - 1 ? 0 : ((double)vectors[i * DIM + k] - mean) / sqrt(square);
                assert_true(fabs((double)x[i * DIM + k] - expected) < 1e-6);
            }
        }
        nd_bank_free(fitted);
    }
    nd_bank_free(b);
    nd_bank_free(some);
}

/* Published transforms on real features. */
static void test_align(void **state)
{
    (void)state;
    static const char *const names[] = { "glocal-clip-vit-l14.npz", "glocal-openclip-vit-l14.npz" };
    size_t checked = 0;
    for (size_t i = 0; i < COUNT(names); i++) {
        content *c = nd_test_golden(names[i]);
        if (!c) continue;
        size_t n_features, n_aligned;
        float *features = nd_test_floats(c, "features", &n_features), *expected = nd_test_floats(c, "aligned", &n_aligned);
        size_t n = ndi_content_array(c, "features")->shape[0], dim = n_features / n, n_out = ndi_content_array(c, "aligned")->shape[1];
        nd_bank *b, *aligned;
        OK(nd_bank_create(&b, features, n, dim, NULL, NULL));
        OK(nd_bank_align(&aligned, b, nd_test_golden_path(names[i])));
        assert_layer(aligned, 0, "embedding", n_out);
        float *y = calloc(n * n_out, sizeof *y);
        OK(nd_bank_get_vectors(aligned, NULL, y, n * n_out));
        double error = nd_test_relative_error(y, expected, n_aligned);
        print_message("%s: relative error %.2g\n", names[i], error);
        assert_true(error < 1e-5);
        free(y);
        ndi_free(features);
        ndi_free(expected);
        nd_bank_free(b);
        nd_bank_free(aligned);
        ndi_content_free(c);
        checked++;
    }
    if (!checked) skip();
}

static void test_align_small(void **state)
{
    (void)state;
    static const float w[DIM * 2] = { 1, 0, 0, 1, 2, 0, 0, -1 };
    static const double mean = 1, std = 2, bias[2] = { 10, 20 };
    const put_array arrays[] = {
        { .name = "weights", .type = DTYPE_F32, .n_dims = 2, .shape = { DIM, 2 }, .data = w },
        { .name = "mean", .type = DTYPE_F64, .data = &mean },
        { .name = "std", .type = DTYPE_F64, .data = &std },
        { .name = "bias", .type = DTYPE_F64, .n_dims = 1, .shape = { 2 }, .data = bias },
    };
    const char *path = nd_test_temp("transform.npz");
    for (size_t with_bias = 0; with_bias < 2; with_bias++) {
        const put all = { .arrays = arrays, .n_arrays = 3 + with_bias };
        OK(ndi_format_write(path, NULL, &all));
        nd_bank *b = make(NULL), *y;
        OK(nd_bank_align(&y, b, path));
        float v[IMAGES * 2];
        OK(nd_bank_get_vectors(y, NULL, v, COUNT(v)));
        assert_true(v[0] == 2 + 10 * (float)with_bias && v[1] == -1.5f + 20 * (float)with_bias); /* x = 0 0.5 1 2 */
        nd_bank_free(y);
        FAILS(ND_ERR_FORMAT, "'weights'", nd_bank_align(&y, b, nd_test_temp("layers.npz")));
        nd_bank_free(b);
        OK(nd_bank_create(&b, vectors, 2, 3, NULL, NULL));
        FAILS(ND_ERR_FORMAT, "weights of 4 x 2 fit no layer, the first is 2 images x 3", nd_bank_align(&y, b, path));
        assert_null(y);
        nd_bank_free(b);
    }
}

/* ---- memory ---- */

static nd_status run_all(void *context)
{
    const char *const *paths = context; /* folder, transform */
    nd_bank *v[8] = { NULL };
    nd_status status = nd_bank_open(&v[0], paths[0], NULL, NULL, NULL);
    if (status == ND_OK) status = nd_bank_select(&v[1], v[0], image_ids, 3);
    if (status == ND_OK) status = nd_bank_select(&v[2], v[0], image_ids + 3, 2);
    if (status == ND_OK) status = nd_bank_append(&v[3], v[1], v[2]);
    if (status == ND_OK) status = nd_bank_standardise(&v[4], v[3], v[0]);
    if (status == ND_OK) status = nd_bank_align(&v[5], v[4], paths[1]);
    if (status == ND_OK) status = nd_bank_concat_layers(&v[6], v[5], NULL, 1);
    if (status == ND_OK) status = nd_bank_save(v[6], paths[2]);
    if (status == ND_OK) status = nd_bank_open(&v[7], paths[2], NULL, NULL, NULL);
    for (size_t i = 0; i < COUNT(v); i++) nd_bank_free(v[i]);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    write_folder("m", "clip", 1);
    const char *paths[] = { nd_test_temp("m"), nd_test_temp("transform.npz"), nd_test_temp("m.safetensors") };
    assert_true(nd_test_faults(run_all, paths) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),        cmocka_unit_test(test_hash),          cmocka_unit_test(test_save),        cmocka_unit_test(test_files),
        cmocka_unit_test(test_named_arrays),  cmocka_unit_test(test_folder),        cmocka_unit_test(test_things_eeg2), cmocka_unit_test(test_join),
        cmocka_unit_test(test_select_append), cmocka_unit_test(test_concat_layers), cmocka_unit_test(test_standardise), cmocka_unit_test(test_align),
        cmocka_unit_test(test_align_small),   cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("bank", tests, setup, teardown);
}
