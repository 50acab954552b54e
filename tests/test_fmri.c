/* Volumes as trials, labels from tables, and what is done to the series of trials; against naive formulas. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "check.h"
#include "data.h"
#include "fault.h"
#include "images.h"
#include "io/format.h"
#include "neurodecode/dataset.h"
#include "neurodecode/file.h"
#include "temp.h"

enum { VOXELS = 24, VOLUMES = 30 };

static const char *write_image(const char *name, const nd_test_image *i)
{
    static uint8_t bytes[ND_TEST_IMAGE_BYTES];
    nd_test_write(nd_test_temp(name), bytes, nd_test_image_bytes(i, bytes));
    return nd_test_temp(name);
}

/* ---- volumes ---- */

static double signal(size_t voxel, size_t volume) { return 100 + 10 * sin((double)(voxel * 31 + volume * 7)) + (double)(volume * (voxel % 5)); }

/* Voxels in the order of the file: x fastest. Outside there is a value that is no number, which must not matter. */
static double with_gap(size_t voxel, size_t volume) { return voxel == 5 ? NAN : signal(voxel, volume); }
static double every_third(size_t voxel, size_t volume) { return (void)volume, voxel % 3 == 0 ? -2 : 0; }

static const nd_test_image bold = { .version = 1, .code = 16, .n_volumes = VOLUMES, .value = with_gap };
static const nd_test_image mask = { .version = 2, .big_endian = true, .code = 4, .n_volumes = 1, .value = every_third };

static nd_dataset *open_volumes(const char *path, const char *mask_path)
{
    nd_dataset *d;
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    o.mask = mask_path;
    o.session = 2;
    o.run = 7;
    OK(nd_dataset_open(&d, path, &o, NULL, NULL));
    return d;
}

/* Channels go by the last index fastest, as NumPy's image[mask]. */
static void expect_masked(const nd_dataset *d)
{
    const nd_dataset_info info = nd_test_info(d);
    assert_int_equal(info.n_trials, VOLUMES);
    assert_int_equal(info.n_channels, 8);
    assert_int_equal(info.n_samples, 1);
    assert_true(info.rate == 1 / 1.5);
    float *x = nd_test_data(d);
    size_t channel = 0;
    for (size_t i = 0; i < VOXELS; i++) {
        const size_t z = i % 4, y = i / 4 % 3, at = i / 12 + 2 * (y + 3 * z);
        if (at % 3) continue;
        char wanted[32];
        const char *name;
        snprintf(wanted, sizeof wanted, "%zu_%zu_%zu", i / 12, y, z);
        OK(nd_dataset_get_channel(d, channel, &name));
        assert_string_equal(name, wanted);
        for (size_t t = 0; t < VOLUMES; t++) assert_true(x[t * 8 + channel] == (float)signal(at, t));
        channel++;
    }
    assert_int_equal(channel, 8);
    free(x);
    assert_true(nd_test_trial(d, 3).session == 2 && nd_test_trial(d, 3).run == 7);
    assert_string_equal(nd_test_trial(d, 3).image, "3");
}

static void pack(const char *name, const char *from)
{
    size_t n;
    uint8_t *bytes = nd_test_read(from, &n);
    gzFile f = gzopen(nd_test_temp(name), "wb");
    assert_int_equal(gzwrite(f, bytes, (unsigned)n), n);
    gzclose(f);
    free(bytes);
}

static void masked(void **state)
{
    (void)state;
    const char *image = write_image("bold.nii", &bold), *inside = write_image("mask.nii", &mask);
    pack("bold.nii.gz", image);
    nd_dataset *d = open_volumes(image, inside), *other;
    expect_masked(d);
    nd_dataset_free(d);
    d = open_volumes(nd_test_temp("bold.nii.gz"), inside);
    expect_masked(d);
    OK(nd_dataset_save(d, nd_test_temp("saved.safetensors"), NULL, NULL));
    nd_dataset_free(d);
    OK(nd_dataset_open(&d, nd_test_temp("saved.safetensors"), NULL, NULL, NULL));
    expect_masked(d);
    nd_dataset_free(d);
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    o.mask = inside;
    o.session = 2;
    o.run = 7;
    OK(nd_dataset_import(&other, image, nd_test_temp("store.safetensors"), &o, NULL, NULL));
    expect_masked(other);
    nd_dataset_free(other);
}

static void mask_refusals(void **state)
{
    (void)state;
    nd_dataset *d;
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    write_image("bold.nii", &bold);
    write_image("two.nii", &(nd_test_image){ .version = 1, .code = 4, .n_volumes = 2, .value = every_third });
    FAILS(ND_ERR_NUMERIC, "channel '1_2_0'", nd_dataset_open(&d, nd_test_temp("bold.nii"), NULL, NULL, NULL));
    o.mask = nd_test_temp("two.nii");
    FAILS(ND_ERR_ARGUMENT, "two.nii: the mask has 2 x 3 x 4 voxels (48 in all)", nd_dataset_open(&d, nd_test_temp("bold.nii"), &o, NULL, NULL));
    static const float none[VOXELS], some[VOXELS] = { [1] = 1 };
    OK(nd_array_write(nd_test_temp("none.npy"), none, (size_t[]){ 2, 3, 4 }, 3));
    o.mask = nd_test_temp("none.npy");
    FAILS(ND_ERR_ARGUMENT, "no voxel is inside", nd_dataset_open(&d, nd_test_temp("bold.nii"), &o, NULL, NULL));
    OK(nd_array_write(nd_test_temp("some.npy"), some, (size_t[]){ 2, 3, 4 }, 3));
    o.mask = nd_test_temp("some.npy");
    OK(nd_dataset_open(&d, nd_test_temp("bold.nii"), &o, NULL, NULL));
    const char *name;
    OK(nd_dataset_get_channel(d, 0, &name));
    assert_string_equal(name, "0_0_1");
    nd_dataset_free(d);
    FAILS(ND_ERR_ARGUMENT, "a mask goes with NIfTI", nd_dataset_open(&d, nd_test_temp("some.npy"), &o, NULL, NULL));
    o.axes = "trial channel";
    FAILS(ND_ERR_ARGUMENT, "axes", nd_dataset_open(&d, nd_test_temp("bold.nii"), &o, NULL, NULL));
}

/* ---- labels ---- */

static nd_dataset *make(size_t n_trials, size_t n_channels)
{
    nd_dataset *d;
    float *x = malloc(n_trials * n_channels * sizeof *x);
    for (size_t i = 0; i < n_trials * n_channels; i++) x[i] = (float)signal(i % n_channels, i / n_channels);
    nd_dataset_options o;
    OK(nd_dataset_options_init(&o, sizeof o));
    o.rate = 0.5;
    OK(nd_dataset_create(&d, x, n_trials, n_channels, 1, NULL, &o));
    free(x);
    return d;
}

static nd_dataset *labelled(nd_dataset *d, const char *table, const nd_label_options *o)
{
    nd_dataset *made;
    nd_test_write_text("table.tsv", table);
    OK(nd_dataset_label(&made, d, nd_test_temp("table.tsv"), o));
    nd_dataset_free(d);
    return made;
}

static void expect_labels(const nd_dataset *d, const char *const *labels, const int32_t *runs, const int32_t *sessions)
{
    const size_t n = nd_test_info(d).n_trials;
    for (size_t i = 0; i < n; i++) {
        const nd_trial t = nd_test_trial(d, i);
        int32_t before = 0;
        for (size_t k = 0; k < i; k++) before += strcmp(labels[k], labels[i]) == 0;
        assert_string_equal(t.image, labels[i]);
        assert_int_equal(t.run, runs ? runs[i] : 0);
        assert_int_equal(t.session, sessions ? sessions[i] : 0);
        assert_int_equal(t.repetition, before);
    }
}

static void tables(void **state)
{
    (void)state;
    static const char *const words[] = { "cat", "rest", "cat", "dog" };
    static const int32_t runs[] = { 1, 1, 2, 2 }, sessions[] = { 3, 3, 3, 4 };
    static const struct {
        const char *table, *column;
        bool has_runs, has_sessions;
    } good[] = {
        { "cat 0\nrest 0\ncat 1\ndog 1\n", NULL, true, false },
        { "cat\t1\t3\nrest\t1\t3\ncat\t2\t3\ndog\t2\t4\n", NULL, true, true },
        { "session,label,run\n3,cat,1\n3,n/a,1\n3,cat,2\n4,dog,2\n", NULL, true, true },
        { "chunk\tthing\tcondition\na\tcat\tx\na\trest\tx\nb\tcat\ty\nb\tdog\ty\n", "thing", true, false },
        { "cat\nrest\ncat\ndog\n", NULL, false, false },
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        nd_label_options o;
        OK(nd_label_options_init(&o, sizeof o));
        o.column = good[i].column;
        nd_dataset *d = labelled(make(4, 2), good[i].table, &o);
        expect_labels(d, words, good[i].has_runs ? runs : NULL, good[i].has_sessions ? sessions : NULL);
        assert_int_equal(nd_test_info(d).n_images, 3);
        nd_dataset_free(d);
    }
    static const struct {
        nd_status status;
        const char *table, *part;
    } wrong[] = {
        { ND_ERR_ARGUMENT, "a 1\nb 1\n", "has 2 rows, expected one for each of 4 trials" },
        { ND_ERR_ARGUMENT, "label,run\na,1\nb,1\nc,1\n", "has 3 rows below its header" },
        { ND_ERR_FORMAT, "run,session\n1,1\n", "no column of labels" },
        { ND_ERR_FORMAT, "label,run\na,1\nb,\nc,1\nd,1\n", "row 3: got '' for the run" },
        { ND_ERR_FORMAT, "onset\tduration\ttrial_type\nx\t1\ta\n", "got 'x', expected seconds" },
        { ND_ERR_ARGUMENT, "onset\tduration\ttrial_type\n50\t1\ta\n", "none of 4 trials, one every 2 s" },
        { ND_ERR_FORMAT, "a 1\nb\nc 1\nd 1\n", "row 2" },
    };
    nd_dataset *d = make(4, 2), *made;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        nd_test_write_text("table.tsv", wrong[i].table);
        FAILS(wrong[i].status, wrong[i].part, nd_dataset_label(&made, d, nd_test_temp("table.tsv"), NULL));
        assert_null(made);
    }
    FAILS(ND_ERR_IO, "nowhere", nd_dataset_label(&made, d, "nowhere.tsv", NULL));
    nd_dataset_free(d);
}

/* A trial every 2 s: begins inside [onset + shift, onset + duration + shift)? */
static void events(void **state)
{
    (void)state;
    static const char table[] = "onset\tduration\ttrial_type\n2.0\t4\tcat\nn/a\t9\tnever\n6\tn/a\tdog\n12\t100\tcat\n";
    static const char *const plain[] = { "rest", "cat", "cat", "dog", "rest", "rest", "cat", "cat" };
    static const char *const late[] = { "base", "base", "base", "cat", "cat", "dog", "base", "base" };
    nd_dataset *d = labelled(make(8, 2), table, NULL);
    expect_labels(d, plain, NULL, NULL);
    nd_label_options o;
    OK(nd_label_options_init(&o, sizeof o));
    o.shift = 3.5;
    o.rest = "base";
    o.run = 5;
    o.session = 6;
    d = labelled(d, table, &o); /* what was there is replaced */
    expect_labels(d, late, (const int32_t[]){ 5, 5, 5, 5, 5, 5, 5, 5 }, (const int32_t[]){ 6, 6, 6, 6, 6, 6, 6, 6 });
    nd_dataset *second = make(8, 2), *both, *made;
    OK(nd_dataset_concat(&both, d, second));
    FAILS(ND_ERR_ARGUMENT, "label each run", nd_dataset_label(&made, both, nd_test_temp("table.tsv"), NULL));
    nd_dataset_free(both);
    nd_dataset_free(second);
    nd_dataset_free(d);
}

/* ---- series ---- */

enum { TRIALS = 23, COLUMNS = 300 }; /* more than a block of columns */

/* Run 1 is the odd trials up to 12, run 2 the rest; every fourth trial is rest. */
static nd_dataset *make_runs(void)
{
    char table[1024] = "label,run\n";
    for (size_t i = 0; i < TRIALS; i++)
        snprintf(table + strlen(table), sizeof table - strlen(table), "%s,%d\n",
                 i % 4 == 0   ? "rest"
                 : i % 4 == 1 ? "a/cat"
                              : "b/dog",
                 i % 2 && i < 13 ? 1 : 2);
    return labelled(make(TRIALS, COLUMNS), table, NULL);
}

/* Least squares by the normal equations of powers of the place, in long double. */
static void naive_detrend(double *x, size_t n, size_t terms)
{
    long double a[4][5] = { { 0 } };
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < terms; r++) {
            for (size_t c = 0; c < terms; c++) a[r][c] += powl((long double)i, (long double)(r + c));
            a[r][terms] += powl((long double)i, (long double)r) * (long double)x[i];
        }
    for (size_t k = 0; k < terms; k++)
        for (size_t r = 0; r < terms; r++) {
            if (r == k) continue;
            const long double f = a[r][k] / a[k][k];
            for (size_t c = k; c <= terms; c++) a[r][c] -= f * a[k][c];
        }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < terms; k++) x[i] -= (double)(a[k][terms] / a[k][k] * powl((long double)i, (long double)k));
}

static size_t group_trials(const nd_dataset *d, int32_t run, size_t *trials)
{
    size_t n = 0;
    for (size_t i = 0; i < TRIALS; i++)
        if (run == 0 || nd_test_trial(d, i).run == run) trials[n++] = i;
    return n;
}

static void detrending(void **state)
{
    (void)state;
    nd_dataset *d = make_runs(), *made;
    float *x = nd_test_data(d);
    for (int32_t degree = 0; degree <= 3; degree++)
        for (int32_t by_run = 0; by_run < 2; by_run++) {
            OK(nd_dataset_detrend(&made, d, degree, by_run ? "run" : NULL));
            float *y = nd_test_data(made);
            for (int32_t run = by_run; run <= 2 * by_run; run++) {
                size_t trials[TRIALS];
                const size_t n = group_trials(d, run, trials);
                for (size_t c = 0; c < COLUMNS; c++) {
                    double series[TRIALS];
                    for (size_t i = 0; i < n; i++) series[i] = (double)x[trials[i] * COLUMNS + c];
                    naive_detrend(series, n, (size_t)degree + 1);
                    for (size_t i = 0; i < n; i++) assert_true(fabs((double)y[trials[i] * COLUMNS + c] - series[i]) < 2e-5);
                }
            }
            free(y);
            assert_int_equal(nd_test_trial(made, 3).run, 1);
            nd_dataset_free(made);
        }
    free(x);
    FAILS(ND_ERR_ARGUMENT, "has 6 trials, expected more than 6 for degree 5", nd_dataset_detrend(&made, d, 5, "run"));
    FAILS(ND_ERR_ARGUMENT, "degree 11", nd_dataset_detrend(&made, d, 11, NULL));
    FAILS(ND_ERR_ARGUMENT, "got 'week'", nd_dataset_detrend(&made, d, 1, "week"));
    nd_dataset_free(d);
}

static void standardising(void **state)
{
    (void)state;
    nd_dataset *d = make_runs(), *made;
    float *x = nd_test_data(d);
    for (int32_t of_label = 0; of_label < 2; of_label++) {
        OK(nd_dataset_standardise(&made, d, of_label ? NULL : "run", of_label ? "rest, a" : NULL));
        float *y = nd_test_data(made);
        for (int32_t run = !of_label; run <= 2 * !of_label; run++) {
            size_t trials[TRIALS];
            const size_t n = group_trials(d, run, trials);
            for (size_t c = 0; c < COLUMNS; c++) {
                double mean = 0, square = 0, count = 0;
                for (size_t i = 0; i < n; i++)
                    if (!of_label || trials[i] % 4 < 2) {
                        const double v = (double)x[trials[i] * COLUMNS + c];
                        mean += v;
                        square += v * v;
                        count++;
                    }
                mean /= count;
                const double deviation = sqrt(square / count - mean * mean);
                for (size_t i = 0; i < n; i++)
                    assert_true(fabs((double)y[trials[i] * COLUMNS + c] - ((double)x[trials[i] * COLUMNS + c] - mean) / deviation) < 1e-5);
            }
        }
        free(y);
        nd_dataset_free(made);
    }
    free(x);
    FAILS(ND_ERR_ARGUMENT, "group 1 (run) has 0 trials of label rest", nd_dataset_standardise(&made, d, "run", "rest"));
    FAILS(ND_ERR_ARGUMENT, "no trial has the label 'bird'", nd_dataset_standardise(&made, d, "run", "bird"));
    nd_dataset_free(d);
    static const float flat[6] = { 3, 3, 3, 3, 3, 3 };
    OK(nd_dataset_create(&d, flat, 6, 1, 1, NULL, NULL));
    OK(nd_dataset_standardise(&made, d, NULL, NULL));
    float *y = nd_test_data(made);
    for (size_t i = 0; i < 6; i++) assert_true(y[i] == 0);
    free(y);
    nd_dataset_free(made);
    nd_dataset_free(d);
}

static void selection(void **state)
{
    (void)state;
    nd_dataset *d = make_runs(), *made;
    OK(nd_dataset_select_labels(&made, d, NULL, "rest"));
    assert_int_equal(nd_test_info(made).n_trials, TRIALS - 6);
    nd_dataset_free(made);
    OK(nd_dataset_select_labels(&made, d, "rest b", "b/dog"));
    assert_int_equal(nd_test_info(made).n_trials, 6);
    nd_dataset_free(made);
    FAILS(ND_ERR_ARGUMENT, "keep: no trial has the label 'c'", nd_dataset_select_labels(&made, d, "rest,c", NULL));
    FAILS(ND_ERR_ARGUMENT, "none of 23 trials is left", nd_dataset_select_labels(&made, d, "a", "a/cat"));
    FAILS(ND_ERR_ARGUMENT, "no label named", nd_dataset_select_labels(&made, d, " ", NULL));
    nd_dataset_free(d);
}

static void blocks(void **state)
{
    (void)state;
    static const char table[] = "a 1\na 1\nb 1\na 1\na 2\na 2\na 2\n";
    static const char *const labels[] = { "a", "b", "a", "a" };
    nd_dataset *d = labelled(make(7, 2), table, NULL), *made, *mean;
    float *x = nd_test_data(d);
    OK(nd_dataset_average_blocks(&made, d));
    expect_labels(made, labels, (const int32_t[]){ 1, 1, 1, 2 }, NULL);
    assert_int_equal(nd_test_info(made).averaged, 3);
    float *y = nd_test_data(made);
    assert_true(fabs((double)y[1] - ((double)x[1] + (double)x[3]) / 2) < 1e-5);
    assert_true(y[2] == x[4]);
    free(y);
    OK(nd_dataset_average(&mean, d)); /* over runs: of no run; within one: still of it */
    assert_int_equal(nd_test_trial(mean, 0).run, 0);
    assert_int_equal(nd_test_trial(mean, 1).run, 1);
    nd_dataset_free(mean);
    nd_dataset_free(made);
    nd_dataset_free(d);
    free(x);
}

/* ---- runs and sessions ---- */

static void groups(void **state)
{
    (void)state;
    nd_dataset *d = labelled(make(6, 2), "a 1 1\nb 1 1\na 2 1\nb 2 1\na 1 2\nb 1 2\n", NULL), *most, *rest;
    for (uint64_t seed = 0; seed < 8; seed++) {
        OK(nd_dataset_split(&most, &rest, d, 0.3, "run", seed)); /* one of three: run 1 of session 2 is another one */
        assert_int_equal(nd_test_info(rest).n_trials, 2);
        assert_true(nd_test_trial(rest, 0).run == nd_test_trial(rest, 1).run && nd_test_trial(rest, 0).session == nd_test_trial(rest, 1).session);
        nd_dataset_free(most);
        nd_dataset_free(rest);
        OK(nd_dataset_split(&most, &rest, d, 0.5, "session", seed));
        assert_int_equal(nd_test_info(rest).n_trials, nd_test_trial(rest, 0).session == 1 ? 4 : 2);
        nd_dataset_free(most);
        nd_dataset_free(rest);
    }
    OK(nd_dataset_save(d, nd_test_temp("runs.safetensors"), NULL, NULL));
    OK(nd_dataset_open(&rest, nd_test_temp("runs.safetensors"), NULL, NULL, NULL));
    assert_true(nd_test_trial(rest, 3).run == 2 && nd_test_trial(rest, 3).session == 1 && nd_test_trial(rest, 5).session == 2);
    nd_dataset_free(rest);
    nd_dataset_free(d);
}

/* What a store had before trials knew their runs. */
static void older_stores(void **state)
{
    (void)state;
    static const float x[4] = { 1, 2, 3, 4 };
    static const int32_t zeros[2];
    static const char *const ids[] = { "a" }, *const channels[] = { "u", "v" };
    const put_array arrays[] = { { .name = "data", .type = DTYPE_F32, .n_dims = 3, .shape = { 2, 2, 1 }, .data = x },
                                 { .name = "image", .type = DTYPE_I32, .n_dims = 1, .shape = { 2 }, .data = zeros },
                                 { .name = "subject", .type = DTYPE_I32, .n_dims = 1, .shape = { 2 }, .data = zeros },
                                 { .name = "repetition", .type = DTYPE_I32, .n_dims = 1, .shape = { 2 }, .data = zeros } };
    const put_texts lists[] = { { .name = "image_ids", .items = ids, .n = 1, .list = true }, { .name = "channels", .items = channels, .n = 2, .list = true } };
    const put all = { arrays, COUNT(arrays), lists, COUNT(lists),
                      "{\"neurodecode.kind\":\"dataset\",\"neurodecode.version\":\"1\",\"neurodecode.rate\":\"1\",\"neurodecode.start\":\"0\","
                      "\"neurodecode.normalise\":\"0\",\"neurodecode.averaged\":\"1\"}" };
    nd_dataset *d;
    OK(ndi_format_write(nd_test_temp("older.safetensors"), NULL, &all));
    OK(nd_dataset_open(&d, nd_test_temp("older.safetensors"), NULL, NULL, NULL));
    assert_true(nd_test_trial(d, 1).run == 0 && nd_test_trial(d, 1).session == 0);
    nd_dataset_free(d);
}

/* ---- out of memory ---- */

static nd_status everything(void *mask_path)
{
    nd_dataset *d[6] = { NULL };
    nd_dataset_options o;
    TRY(nd_dataset_options_init(&o, sizeof o));
    o.mask = mask_path;
    o.n_threads = 1;
    nd_status status;
    GO(nd_dataset_open(&d[0], nd_test_temp("bold.nii"), &o, NULL, NULL));
    GO(nd_dataset_label(&d[1], d[0], nd_test_temp("table.tsv"), NULL));
    GO(nd_dataset_detrend(&d[2], d[1], 1, "run"));
    GO(nd_dataset_standardise(&d[3], d[2], "run", "rest"));
    GO(nd_dataset_select_labels(&d[4], d[3], NULL, "rest"));
    GO(nd_dataset_average_blocks(&d[5], d[4]));
done:
    for (size_t i = 0; i < 6; i++) nd_dataset_free(d[i]);
    return status;
}

static void out_of_memory(void **state)
{
    (void)state;
    char inside[1024];
    write_image("bold.nii", &bold);
    snprintf(inside, sizeof inside, "%s", write_image("mask.nii", &mask));
    nd_test_write_text("table.tsv", "onset\tduration\ttrial_type\n6\t9\tcat\n24\t12\tdog\n");
    assert_true(nd_test_faults(everything, inside) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masked),     cmocka_unit_test(mask_refusals), cmocka_unit_test(tables),        cmocka_unit_test(events),
        cmocka_unit_test(detrending), cmocka_unit_test(standardising), cmocka_unit_test(selection),     cmocka_unit_test(blocks),
        cmocka_unit_test(groups),     cmocka_unit_test(older_stores),  cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
