/* Augmentation: off by default, what each does to a trial, its statistics, the same bits whatever the threads and over a resume. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "check.h"
#include "temp.h"
#include "training.h"

enum { C = 3, T = 40, SIZE = C * T };

static augment parsed(const char *list)
{
    augment a = { .seed = 7, .channels = C, .samples = T };
    OK(ndi_augment_parse(&a, list));
    return a;
}

static void make_trial(float *x)
{
    for (size_t i = 0; i < SIZE; i++) x[i] = (float)(2 * ndi_uniform(3, NDI_RANDOM_DRAW, 1, i) - 1);
}

static void the_table_describes_itself(void **state)
{
    (void)state;
    nd_param_info info = { .size = sizeof info };
    augment a = parsed(NULL);
    size_t n = 0;
    for (; nd_augmentation_get_info(n, &info) == ND_OK; n++) {
        assert_true(info.value >= info.min && info.value <= info.max && *info.meaning && a.values[n] == info.value);
        if (strcmp(info.name, "smooth_width") != 0) assert_true(info.value == 0 && info.reference == 0);
    }
    assert_int_equal(n, NDI_AUGMENTATIONS);
    assert_int_equal(nd_augmentation_get_info(n, &info), ND_ERR_ARGUMENT);
}

static void off_by_default(void **state)
{
    (void)state;
    float x[SIZE], y[SIZE], row[T];
    make_trial(x);
    memcpy(y, x, sizeof y);
    augment a = parsed("smooth_width=5");
    for (uint32_t step = 0; step < 100; step++) ndi_augment_trial(&a, step, step, y, row);
    assert_memory_equal(x, y, sizeof y);

    world w;
    run r[2];
    nd_test_make_world(&w);
    for (int k = 0; k < 2; k++) {
        nd_test_prepare(&r[k], 1);
        r[k].o.augment = k ? "shift=0 smooth_width=5" : NULL;
        OK(nd_test_start(&r[k], &w, 0));
        OK(nd_trainer_run(r[k].t, NULL, NULL));
        assert_null(r[k].t->o.augment); /* in checkpoints and metadata both are none */
    }
    nd_test_same_weights(&r[0], &r[1]);
    for (int k = 0; k < 2; k++) nd_test_end(&r[k]);
    nd_test_free_world(&w);
}

static void shifts_are_uniform(void **state)
{
    (void)state;
    enum { MOST = 3, TRIALS = 7000 };
    float x[SIZE], y[SIZE], row[T];
    size_t seen[2 * MOST + 1] = { 0 };
    augment a = parsed("shift=3");
    make_trial(x);
    for (size_t k = 0; k < TRIALS; k++) {
        memcpy(y, x, sizeof y);
        ndi_augment_trial(&a, 5, k, y, row);
        int by = -MOST;
        while (by <= MOST && y[10] != x[10 - by]) by++;
        assert_true(by <= MOST);
        seen[by + MOST]++;
        for (int i = 0; i < SIZE; i++) {
            int from = i % T - by;
            assert_true(y[i] == x[i / T * T + (from < 0 ? 0 : from >= T ? T - 1 : from)]);
        }
    }
    for (size_t i = 0; i < COUNT(seen); i++) assert_true(fabs((double)seen[i] - 1000) < 150);
    a = parsed("shift=10000"); /* further than the trial is long */
    ndi_augment_trial(&a, 5, 0, y, row);
}

static void smoothing_is_a_moving_average(void **state)
{
    (void)state;
    enum { TRIALS = 4000 };
    float x[SIZE], y[SIZE], row[T];
    size_t seen[5] = { 0 };
    augment a = parsed("smooth=0.75 smooth_width=8");
    make_trial(x);
    for (size_t k = 0; k < TRIALS; k++) {
        memcpy(y, x, sizeof y);
        ndi_augment_trial(&a, 2, k, y, row);
        int half = 0;
        for (; half < 4; half++) {
            double error = 0;
            for (int i = 0; i < SIZE; i++) {
                double sum = 0;
                int n = 0;
                for (int t = i % T - half; t <= i % T + half; t++)
                    if (t >= 0 && t < T) {
                        sum += (double)x[i / T * T + t];
                        n++;
                    }
                error = fmax(error, fabs(sum / n - (double)y[i]));
            }
            if (error < 1e-6) break;
        }
        seen[half]++;
    }
    assert_int_equal(seen[4], 0); /* widths of 3, 5, 7 and none else */
    for (size_t i = 0; i < 4; i++) assert_true(fabs((double)seen[i] - 1000) < 120);
}

static void noise_has_the_deviation_of_the_trial(void **state)
{
    (void)state;
    enum { TRIALS = 500 };
    float x[SIZE], y[SIZE], row[T];
    double mean = 0, deviation = 0, sum = 0, squares = 0, lag = 0, before = 0;
    augment a = parsed("noise=0.5");
    make_trial(x);
    for (size_t i = 0; i < SIZE; i++) x[i] += 100; /* the mean is no part of it */
    for (size_t i = 0; i < SIZE; i++) mean += (double)x[i] / SIZE;
    for (size_t i = 0; i < SIZE; i++) deviation += ((double)x[i] - mean) * ((double)x[i] - mean) / SIZE;
    deviation = sqrt(deviation);
    for (size_t k = 0; k < TRIALS; k++) {
        memcpy(y, x, sizeof y);
        ndi_augment_trial(&a, 2, k, y, row);
        for (size_t i = 0; i < SIZE; i++) {
            double e = ((double)y[i] - (double)x[i]) / deviation;
            sum += e;
            squares += e * e;
            lag += e * before;
            before = e;
        }
    }
    double n = SIZE * TRIALS;
    assert_true(fabs(sum / n) < 5 * 0.5 / sqrt(n) && fabs(squares / n / 0.25 - 1) < 0.03 && fabs(lag / n) < 5 * 0.25 / sqrt(n));
}

static void channels_drop_out(void **state)
{
    (void)state;
    enum { TRIALS = 10000 };
    float x[SIZE], y[SIZE], row[T], zero[T] = { 0 };
    size_t dropped = 0;
    augment a = parsed("channel_dropout=0.2");
    make_trial(x);
    for (size_t k = 0; k < TRIALS; k++) {
        memcpy(y, x, sizeof y);
        ndi_augment_trial(&a, 2, k, y, row);
        for (size_t c = 0; c < C; c++) {
            bool gone = y[c * T] == 0;
            dropped += gone;
            assert_memory_equal(y + c * T, gone ? zero : x + c * T, T * sizeof *y);
        }
    }
    assert_true(fabs((double)dropped / (C * TRIALS) - 0.2) < 0.015);
}

static void mixtures_have_their_distribution(void **state)
{
    (void)state;
    enum { B = 64, BATCHES = 500 };
    static float x[B * SIZE], mixed[B * SIZE];
    float share[B];
    size_t partner[B], middle = 0;
    double sum = 0, squares = 0;
    augment a = parsed("mixco=0.15");
    for (size_t i = 0; i < B * SIZE; i++) x[i] = (float)(2 * ndi_uniform(3, NDI_RANDOM_DRAW, 1, i) - 1);
    for (uint32_t step = 0; step < BATCHES; step++) {
        bool taken[B] = { false };
        ndi_augment_mix(&a, NULL, step, B, x, mixed, partner, share);
        for (size_t i = 0; i < B; i++) {
            assert_true(partner[i] < B && !taken[partner[i]] && share[i] >= 0 && share[i] <= 1);
            taken[partner[i]] = true;
            for (size_t k = 0; k < SIZE; k += 17)
                assert_true(fabsf(mixed[i * SIZE + k] - (share[i] * x[i * SIZE + k] + (1 - share[i]) * x[partner[i] * SIZE + k])) < 1e-6f);
            if (partner[i] == i) assert_true(share[i] == 1);
            middle += share[i] > 0.25f && share[i] < 0.75f;
            sum += (double)share[i];
            squares += (double)share[i] * (double)share[i];
        }
    }
    /* Half are chosen, less those that would mix with themselves; Beta(.15, .15) has mean 1/2, variance 1 / 5.2 and .136 between 1/4 and 3/4. */
    double n = B * BATCHES, chosen = 0.5 * (1 - 1.0 / B);
    assert_true(fabs(sum / n - (1 - chosen / 2)) < 0.01);
    assert_true(fabs(squares / n - (1 - chosen + chosen * (0.25 + 1 / 5.2))) < 0.01);
    assert_true(fabs((double)middle / n - chosen * 0.136) < 0.006);
}

static void refusals(void **state)
{
    (void)state;
    const char *lists[][2] = { { "shake=3", "train: augment: no hyper-parameter 'shake'" },
                               { "noise=-1", "train: augment: noise: got -1, expected 0 to 100" },
                               { "shift=1.5", "train: augment: shift: got 1.5, expected a whole number" },
                               { "mixco=0.15", "mixco mixes trials, which the loss infonce does not know" } };
    world w;
    run r;
    nd_test_make_world(&w);
    for (size_t i = 0; i < COUNT(lists); i++) {
        nd_test_prepare(&r, 1);
        r.o.augment = lists[i][0];
        FAILS(ND_ERR_ARGUMENT, lists[i][1], nd_test_start(&r, &w, 0));
        nd_test_end(&r);
    }
    nd_test_free_world(&w);
}

static void same_bits_for_any_threads_and_over_a_resume(void **state)
{
    (void)state;
    const char *lists[] = { "shift=5 noise=0.1", "smooth=0.5 channel_dropout=0.1", "mixco=0.15",
                            "shift=5 noise=0.1 smooth=0.5 channel_dropout=0.1 mixco=0.15" };
    const char *path = nd_test_temp("augment.safetensors");
    world w;
    nd_test_make_world(&w);
    for (size_t k = 0; k < COUNT(lists); k++) {
        run r[3], plain;
        for (int32_t i = 0; i < 3; i++) {
            char *list = ndi_strdup(lists[k]); /* the caller's text need not live */
            nd_test_prepare(&r[i], i + 1);
            r[i].o.augment = list;
            r[i].kind = &nd_test_loss;
            OK(nd_test_start(&r[i], &w, 1));
            ndi_free(list);
        }
        for (int i = 0; i < 5; i++) OK(nd_trainer_step(r[2].t, NULL));
        OK(nd_trainer_save(r[2].t, path));
        OK(nd_trainer_resume(r[1].t, path));
        for (int i = 0; i < 3; i++) OK(nd_trainer_run(r[i].t, NULL, NULL));
        for (int i = 1; i < 3; i++) nd_test_same_weights(&r[0], &r[i]);
        nd_test_prepare(&plain, 1);
        plain.kind = &nd_test_loss;
        OK(nd_test_start(&plain, &w, 1));
        OK(nd_trainer_run(plain.t, NULL, NULL));
        assert_true(memcmp(plain.e->params, r[0].e->params, plain.e->g->n_params * sizeof(float)) != 0);
        nd_test_end(&plain);
        for (int i = 0; i < 3; i++) nd_test_end(&r[i]);
    }
    remove(path);
    nd_test_free_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_describes_itself),
        cmocka_unit_test(off_by_default),
        cmocka_unit_test(shifts_are_uniform),
        cmocka_unit_test(smoothing_is_a_moving_average),
        cmocka_unit_test(noise_has_the_deviation_of_the_trial),
        cmocka_unit_test(channels_drop_out),
        cmocka_unit_test(mixtures_have_their_distribution),
        cmocka_unit_test(refusals),
        cmocka_unit_test(same_bits_for_any_threads_and_over_a_resume),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
