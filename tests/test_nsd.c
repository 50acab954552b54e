/* The preparation of NSD on a simulated experiment of its size with few voxels: grouping, averages, z-scores and split against loops over the definition, a file of all trials and
 * files of sessions, going on after an interruption, and what is wrong with files. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "check.h"
#include "data.h"
#include "data/nsd.h"
#include "fault.h"
#include "io/format.h"
#include "neurodecode/bank.h"
#include "neurodecode/dataset.h"
#include "neurodecode/preparation.h"
#include "temp.h"

enum {
    VOXELS = 5,
    TRIALS = NSD_SESSIONS * NSD_SESSION,
    SUBJECT = 2,
    SESSIONS = 2,
    N = SESSIONS * NSD_SESSION,
    NX = 2,
    NY = 3,
    NZ = 4,
    VOLUME = NX * NY * NZ
};

static double ordering[TRIALS], pictures[NSD_PEOPLE][NSD_SEEN], shared[NSD_SHARED];
static int16_t volumes[N][VOLUME];                        /* z y x, x fastest */
static const size_t inside[VOXELS] = { 1, 6, 8, 13, 22 }; /* in the order of NumPy's x y z, z fastest */
static float voxels[N][VOXELS];

/* Where a voxel of inside[] stands in a volume. */
static size_t stored(size_t place)
{
    size_t z = place % NZ, y = place / NZ % NY, x = place / NZ / NY;
    return (z * NY + y) * NX + x;
}

static void simulate(void)
{
    static size_t order[TRIALS];
    ndi_permutation(order, TRIALS, 7, NDI_RANDOM_SIMULATE, 0);
    for (size_t i = 0; i < TRIALS; i++) ordering[i] = (double)(order[i] % NSD_SEEN + 1);
    for (size_t s = 0; s < NSD_PEOPLE; s++)
        for (size_t i = 0; i < NSD_SEEN; i++) pictures[s][i] = (double)(i < NSD_SHARED ? 64000 + 9 * i : 7 * (i - NSD_SHARED) + s % 7 + 1);
    memcpy(shared, pictures[0], sizeof shared);
    for (size_t t = 0; t < N; t++)
        for (size_t k = 0; k < VOLUME; k++)
            volumes[t][k] = (int16_t)((int)ndi_below(7, NDI_RANDOM_SIMULATE, 1, t * VOLUME + k, 2000) - 900 + (t >= NSD_SESSION ? 300 : 0));
    for (size_t v = 0; v < VOXELS; v++) {
        for (size_t t = 0; t < N; t++) voxels[t][v] = (float)(volumes[t][stored(inside[v])] / 300.0);
    }
}

static int setup(void **state)
{
    (void)state;
    simulate();
    return nd_test_temp_folder() ? 0 : 1;
}

static int teardown(void **state)
{
    (void)state;
    nd_test_temp_clear();
    return 0;
}

/* ---- files ---- */

static void write_design(const char *folder)
{
    char name[80];
    const put_array arrays[] = { { .name = "masterordering", .type = DTYPE_F64, .n_dims = 2, .shape = { 1, TRIALS }, .data = ordering },
                                 { .name = "subjectim", .type = DTYPE_F64, .n_dims = 2, .shape = { NSD_PEOPLE, NSD_SEEN }, .data = pictures },
                                 { .name = "sharedix", .type = DTYPE_F64, .n_dims = 2, .shape = { 1, NSD_SHARED }, .data = shared } };
    const put all = { .arrays = arrays, .n_arrays = COUNT(arrays) };
    nd_test_subfolder(folder);
    snprintf(name, sizeof name, "%s/nsd_expdesign.npz", folder);
    OK(ndi_format_write(nd_test_temp(name), NULL, &all));
}

/* A folder as the reference system has it: all trials in one file. */
static const char *whole(void)
{
    static const size_t shape[2] = { N, VOXELS };
    write_design("whole");
    nd_test_subfolder("whole/nsdgeneral");
    nd_test_write_array(nd_test_temp("whole/nsdgeneral/subj02_nsdgeneral.npy"), DTYPE_F32, 2, shape, voxels);
    return nd_test_temp("whole");
}

/* Whole volumes, a file for each session, and the mask. */
static const char *sessions(void)
{
    static const size_t shape[4] = { NSD_SESSION, NZ, NY, NX }, one[3] = { NZ, NY, NX };
    int8_t mask[VOLUME];
    memset(mask, -1, sizeof mask);
    for (size_t v = 0; v < VOXELS; v++) mask[stored(inside[v])] = 1;
    write_design("sessions");
    nd_test_subfolder("sessions/subj02");
    nd_test_write_array(nd_test_temp("sessions/subj02/betas_session01.npy"), DTYPE_I16, 4, shape, volumes[0]);
    nd_test_write_array(nd_test_temp("sessions/subj02/betas_session02.npy"), DTYPE_I16, 4, shape, volumes[NSD_SESSION]);
    nd_test_write_array(nd_test_temp("sessions/subj02/nsdgeneral.npy"), DTYPE_I8, 3, one, mask);
    return nd_test_temp("sessions");
}

static nd_preparation *plan(const char *source, const char *output, const char *params, int32_t threads)
{
    nd_preparation *p;
    nd_preparation_options o;
    char text[200];
    snprintf(text, sizeof text, "%s subject=%d check=0", params, SUBJECT);
    OK(nd_preparation_options_init(&o, sizeof o));
    o.output = nd_test_temp(output);
    o.params = text;
    o.n_threads = threads;
    OK(nd_preparation_create(&p, "nsd", source, &o));
    return p;
}

static void prepare(const char *source, const char *output, const char *params, int32_t threads)
{
    nd_preparation *p = plan(source, output, params, threads);
    OK(nd_preparation_run(p, NULL, NULL));
    nd_preparation_free(p);
}

static nd_dataset *open_store(const char *output, const char *name)
{
    nd_dataset *d;
    char file[120];
    snprintf(file, sizeof file, "%s/subj02_%s.safetensors", output, name);
    OK(nd_dataset_open(&d, nd_test_temp(file), NULL, NULL, NULL));
    return d;
}

static size_t trials_of(const nd_dataset *d)
{
    nd_dataset_info info = { .size = sizeof info };
    OK(nd_dataset_get_info(d, &info));
    assert_int_equal(info.n_channels, VOXELS);
    assert_int_equal(info.n_samples, 1);
    return info.n_trials;
}

/* ---- the definition ---- */

static bool is_test(size_t trial) { return ordering[trial] <= NSD_SHARED; }
static size_t picture_of(size_t trial) { return (size_t)pictures[SUBJECT - 1][(size_t)ordering[trial] - 1] - 1; }

/* z-score of a voxel in its session: by training trials (1), by all (2), as it stands (0). */
static double score(size_t trial, size_t v, int zscore)
{
    double mean = 0, square = 0, n = 0;
    const size_t first = trial / NSD_SESSION * NSD_SESSION;
    if (zscore == 0) return (double)voxels[trial][v];
    for (size_t t = first; t < first + NSD_SESSION; t++)
        if (zscore == 2 || !is_test(t)) mean += (double)voxels[t][v], n++;
    mean /= n;
    for (size_t t = first; t < first + NSD_SESSION; t++)
        if (zscore == 2 || !is_test(t)) square += pow((double)voxels[t][v] - mean, 2);
    return ((double)voxels[trial][v] - mean) / sqrt(square / n);
}

/* The mean over all trials that show what `trial` shows. */
static double average(size_t trial, size_t v, int zscore)
{
    double sum = 0, n = 0;
    for (size_t t = 0; t < N; t++)
        if (ordering[t] == ordering[trial]) sum += score(t, v, zscore), n++;
    return sum / n;
}

static bool is_first(size_t trial)
{
    for (size_t t = 0; t < trial; t++)
        if (ordering[t] == ordering[trial]) return false;
    return true;
}

/* Every row of a store against the definition; values of every `step`-th row. */
static void check_store(const nd_dataset *d, bool test, bool averaged, int zscore, size_t step)
{
    size_t row = 0, n = trials_of(d);
    for (size_t t = 0; t < N; t++) {
        if (is_test(t) != test || (averaged && !is_first(t))) continue;
        float x[VOXELS];
        char id[NSD_ID_SIZE];
        assert_true(row < n);
        ndi_nsd_id(id, (uint32_t)picture_of(t));
        assert_string_equal(nd_test_trial(d, row).image, id);
        assert_int_equal(nd_test_trial(d, row).subject, SUBJECT);
        OK(nd_dataset_get_data(d, row, 1, x, VOXELS));
        for (size_t v = 0; v < VOXELS && row % step == 0; v++)
            assert_true(fabs((double)x[v] - (averaged ? average(t, v, zscore) : score(t, v, zscore))) < 1e-6);
        row++;
    }
    assert_int_equal(row, n);
}

static void check_all(const char *output, bool averaged, int zscore)
{
    nd_dataset *training = open_store(output, "training"), *test = open_store(output, "test");
    check_store(training, false, averaged, zscore, 41);
    check_store(test, true, true, zscore, 7);
    nd_dataset_free(training);
    nd_dataset_free(test);
}

/* ---- tests ---- */

static void test_values(void **state)
{
    (void)state;
    const char *source = whole();
    prepare(source, "a", "", 1);
    check_all("a", true, 1);
    prepare(source, "b", "zscore=2 average=0", 2);
    check_all("b", false, 2);
    prepare(source, "c", "recipe=reference", 2);
    check_all("c", false, 0);
}

/* The float64 arrays hold what the stores hold. */
static void test_arrays(void **state)
{
    (void)state;
    static const char *const names[][2] = { { "train", "training" }, { "test", "test" } };
    prepare(whole(), "arrays", "arrays=1 zscore=0", 1);
    for (size_t i = 0; i < 2; i++) {
        char file[120];
        content *c;
        const array *a;
        nd_dataset *d = open_store("arrays", names[i][1]);
        const size_t n = trials_of(d) * VOXELS;
        snprintf(file, sizeof file, "arrays/processed_data/sub02/nsd_%s_fmri_sub02.npy", names[i][0]);
        OK(ndi_content_open(&c, nd_test_temp(file)));
        OK(ndi_content_pick(c, NULL, &a));
        assert_int_equal(a->type, DTYPE_F64);
        assert_int_equal(a->n_dims, 2);
        assert_int_equal(a->n, n);
        double *x = calloc(n, sizeof *x);
        float *y = calloc(n, sizeof *y);
        OK(ndi_array_read_f64(a, 0, n, x));
        OK(nd_dataset_get_data(d, 0, trials_of(d), y, n));
        for (size_t k = 0; k < n; k++) assert_true(x[k] == (double)y[k]);
        free(x);
        free(y);
        ndi_content_free(c);
        nd_dataset_free(d);
    }
}

static void assert_same_file(const char *a, const char *b)
{
    size_t n, m;
    uint8_t *x = nd_test_read(nd_test_temp(a), &n), *y = nd_test_read(nd_test_temp(b), &m);
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* One file of voxels, files of volumes and a packed file give the same bytes with any number of threads. */
static void test_same_bytes(void **state)
{
    (void)state;
    prepare(whole(), "one", "", 1);
    prepare(nd_test_temp("whole"), "three", "", 3);
    assert_same_file("one/subj02_training.safetensors", "three/subj02_training.safetensors");
    assert_same_file("one/subj02_scale.npz", "three/subj02_scale.npz");
    prepare(sessions(), "volumes", "", 2);
    assert_same_file("one/subj02_training.safetensors", "volumes/subj02_training.safetensors");
    assert_same_file("one/subj02_test.safetensors", "volumes/subj02_test.safetensors");
    assert_int_equal(access(nd_test_temp("volumes/.subj02"), F_OK), -1);
}

/* Rows of an array of all 73,000 pictures, and rows of an array that follows the store, are joined by the lists of ids. */
static void test_join(void **state)
{
    (void)state;
    static float all[NSD_PICTURES];
    static const size_t shape[2] = { NSD_PICTURES, 1 };
    prepare(whole(), "join", "", 1);
    for (size_t i = 0; i < NSD_PICTURES; i++) all[i] = (float)i;
    nd_test_write_array(nd_test_temp("all.npy"), DTYPE_F32, 2, shape, all);
    nd_bank_options o;
    nd_bank *b, *own;
    nd_dataset *d = open_store("join", "test");
    OK(nd_bank_options_init(&o, sizeof o));
    o.images = nd_test_temp("join/subj02_images.txt");
    OK(nd_bank_open(&b, nd_test_temp("all.npy"), &o, NULL, NULL));
    OK(nd_bank_select_for(&own, b, d));
    float *x = calloc(trials_of(d), sizeof *x);
    OK(nd_bank_get_vectors(own, NULL, x, trials_of(d)));
    for (size_t i = 0; i < trials_of(d); i++) assert_int_equal(x[i], atoi(nd_test_trial(d, i).image + 4));
    free(x);
    size_t n_text;
    uint8_t *text = nd_test_read(nd_test_temp("join/subj02_test_images.txt"), &n_text);
    assert_int_equal(n_text, trials_of(d) * 10);
    for (size_t i = 0; i < trials_of(d); i++) assert_memory_equal(text + 10 * i, nd_test_trial(d, i).image, 9);
    free(text);
    nd_bank_free(b);
    nd_bank_free(own);
    nd_dataset_free(d);
}

static void test_some_sessions(void **state)
{
    (void)state;
    prepare(whole(), "first", "sessions=1 average=0 average_test=0", 1);
    nd_dataset *training = open_store("first", "training"), *test = open_store("first", "test");
    assert_int_equal(trials_of(training) + trials_of(test), NSD_SESSION);
    nd_dataset_free(training);
    nd_dataset_free(test);
}

static int32_t stop_in_test(const nd_progress *p, void *user)
{
    (void)user;
    return strcmp(p->stage, "test") == 0;
}

/* What was finished stays, and nothing of the rest is there. */
static void test_interrupted(void **state)
{
    (void)state;
    struct stat before, after;
    nd_preparation *p = plan(sessions(), "stopped", "", 1);
    assert_int_equal(nd_preparation_run(p, stop_in_test, NULL), ND_ERR_CANCELLED);
    nd_preparation_free(p);
    assert_int_equal(stat(nd_test_temp("stopped/subj02_training.safetensors"), &before), 0);
    assert_int_equal(access(nd_test_temp("stopped/subj02_test.safetensors"), F_OK), -1);
    prepare(nd_test_temp("sessions"), "stopped", "", 1);
    assert_int_equal(stat(nd_test_temp("stopped/subj02_training.safetensors"), &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    check_all("stopped", true, 1);
}

/* ---- what is wrong ---- */

static nd_status create(const char *source, const char *params)
{
    nd_preparation *p = NULL;
    nd_preparation_options o;
    OK(nd_preparation_options_init(&o, sizeof o));
    o.output = nd_test_temp("wrong");
    o.params = params;
    nd_status status = nd_preparation_create(&p, "nsd", nd_test_temp(source), &o);
    nd_preparation_free(p);
    return status;
}

static void test_missing(void **state)
{
    (void)state;
    nd_test_subfolder("empty");
    nd_preparation *p = plan(nd_test_temp("empty"), "wrong", "", 1);
    FAILS(ND_ERR_IO, "2 files are missing: nsd_expdesign.mat, nsdgeneral/subj02_nsdgeneral.hdf5", nd_preparation_run(p, NULL, NULL));
    nd_preparation_free(p);
    sessions();
    assert_int_equal(unlink(nd_test_temp("sessions/subj02/nsdgeneral.npy")), 0);
    p = plan(nd_test_temp("sessions"), "wrong", "", 1);
    FAILS(ND_ERR_IO, "missing: nsddata/ppdata/subj02/func1pt8mm/roi/nsdgeneral.nii.gz", nd_preparation_run(p, NULL, NULL));
    nd_preparation_free(p);
    sessions();
    assert_int_equal(unlink(nd_test_temp("sessions/subj02/betas_session01.npy")), 0);
    p = plan(nd_test_temp("sessions"), "wrong", "", 1);
    FAILS(ND_ERR_IO, "1 file is missing: nsddata_betas/ppdata/subj02/func1pt8mm/betas_fithrf_GLMdenoise_RR/betas_session01.nii.gz",
          nd_preparation_run(p, NULL, NULL));
    nd_preparation_free(p);
    assert_int_equal(access(nd_test_temp("wrong"), F_OK), -1);
}

static void test_identity(void **state)
{
    (void)state;
    static const size_t odd[2] = { N - 1, VOXELS }, flat[1] = { (size_t)N * VOXELS };
    whole();
    FAILS(ND_ERR_FORMAT, "subject 2: 5 voxels, expected the 14278 of nsdgeneral; check=0", create("whole", "subject=2"));
    FAILS(ND_ERR_ARGUMENT, "sessions: got 3, expected at most 2", create("whole", "subject=2 check=0 sessions=3"));
    nd_test_write_array(nd_test_temp("whole/nsdgeneral/subj02_nsdgeneral.npy"), DTYPE_F32, 2, odd, voxels);
    FAILS(ND_ERR_FORMAT, "has 1499 trials, expected a multiple of 750", create("whole", "subject=2 check=0"));
    nd_test_write_array(nd_test_temp("whole/nsdgeneral/subj02_nsdgeneral.npy"), DTYPE_F32, 1, flat, voxels);
    FAILS(ND_ERR_FORMAT, "expected trials x voxels", create("whole", "subject=2 check=0"));
}

static void fails_with(double *number, double value, const char *message)
{
    const double kept = *number;
    *number = value;
    write_design("whole");
    FAILS(ND_ERR_FORMAT, message, create("whole", "subject=2 check=0"));
    *number = kept;
    write_design("whole");
}

static void test_design(void **state)
{
    (void)state;
    whole();
    fails_with(&ordering[3], 10001, "array 'masterordering': entry 3 is 10001, expected a whole number from 1 to 10000");
    fails_with(&ordering[3], 2.5, "entry 3 is 2.5");
    fails_with(&ordering[3], (double)NAN, "entry 3 is nan");
    fails_with(&pictures[1][2000], 73001, "array 'subjectim': entry 12000 is 73001, expected a whole number from 1 to 73000");
    fails_with(&pictures[1][2000], pictures[1][5000], "array 'subjectim': subject 2 has picture");
    fails_with(&shared[7], 1, "array 'sharedix': entry 7 is 1, expected 64063 as subject 2 has");
    const put_array a = { .name = "masterordering", .type = DTYPE_F64, .n_dims = 2, .shape = { 1, 30 }, .data = ordering };
    const put all = { .arrays = &a, .n_arrays = 1 };
    OK(ndi_format_write(nd_test_temp("whole/nsd_expdesign.npz"), NULL, &all));
    FAILS(ND_ERR_FORMAT, "has no array 'subjectim'", create("whole", "subject=2 check=0"));
}

static void test_not_finite(void **state)
{
    (void)state;
    const float kept = voxels[801][3];
    voxels[801][3] = NAN;
    whole();
    voxels[801][3] = kept;
    for (int32_t threads = 1; threads <= 2; threads++) {
        nd_preparation *p = plan(nd_test_temp("whole"), "nan", "zscore=0 average=0", threads);
        FAILS(ND_ERR_NUMERIC, "subj02_nsdgeneral.npy: trial 801, voxel 3 is nan", nd_preparation_run(p, NULL, NULL));
        nd_preparation_free(p);
    }
    assert_int_equal(access(nd_test_temp("nan/subj02_training.safetensors"), F_OK), -1);
}

static nd_status run_once(void *context)
{
    nd_preparation *p;
    nd_preparation_options o;
    TRY(nd_preparation_options_init(&o, sizeof o));
    o.output = nd_test_temp("faults");
    o.params = "subject=2 check=0 sessions=1 arrays=1";
    o.n_threads = 1;
    TRY(nd_preparation_create(&p, "nsd", context, &o));
    nd_status status = nd_preparation_get_report(p, NULL, 0, &(size_t){ 0 });
    nd_preparation_free(p);
    return status;
}

static void test_out_of_memory(void **state)
{
    (void)state;
    char source[200];
    snprintf(source, sizeof source, "%s", sessions());
    assert_true(nd_test_faults(run_once, source) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),     cmocka_unit_test(test_arrays),        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_join),       cmocka_unit_test(test_some_sessions), cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_missing),    cmocka_unit_test(test_identity),      cmocka_unit_test(test_design),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
