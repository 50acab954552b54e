/* The binary interface: the layout of every public struct, pinned for 64-bit machines, and callers compiled against an older (shorter) or a newer
 * (longer) version of a struct.
 * A struct may grow at its end; then its size changes here and the new fields are added. Nothing else may change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "neurodecode.h"

#if UINTPTR_MAX == UINT64_MAX
#define STRUCT(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define FIELD(type, field, at) _Static_assert(offsetof(type, field) == (at), #type "." #field)
STRUCT(nd_progress, 112);
FIELD(nd_progress, size, 0); FIELD(nd_progress, stage, 8); FIELD(nd_progress, done, 16); FIELD(nd_progress, total, 24);
FIELD(nd_progress, unit, 32); FIELD(nd_progress, seconds, 40); FIELD(nd_progress, rate, 48); FIELD(nd_progress, seconds_left, 56);
FIELD(nd_progress, epoch, 64); FIELD(nd_progress, n_epochs, 72); FIELD(nd_progress, train_loss, 80); FIELD(nd_progress, validation_loss, 88);
FIELD(nd_progress, learning_rate, 96); FIELD(nd_progress, temperature, 104);
STRUCT(nd_format_info, 40);
FIELD(nd_format_info, size, 0); FIELD(nd_format_info, name, 8); FIELD(nd_format_info, title, 16); FIELD(nd_format_info, extensions, 24);
FIELD(nd_format_info, can_read, 32); FIELD(nd_format_info, can_write, 36);
STRUCT(nd_dataset_options, 104);
FIELD(nd_dataset_options, size, 0); FIELD(nd_dataset_options, variable, 8); FIELD(nd_dataset_options, axes, 16);
FIELD(nd_dataset_options, images, 24); FIELD(nd_dataset_options, partition, 32); FIELD(nd_dataset_options, channels, 40);
FIELD(nd_dataset_options, rate, 48); FIELD(nd_dataset_options, start, 56); FIELD(nd_dataset_options, subject, 64);
FIELD(nd_dataset_options, normalise, 68); FIELD(nd_dataset_options, average, 72); FIELD(nd_dataset_options, n_threads, 76);
FIELD(nd_dataset_options, mask, 80); FIELD(nd_dataset_options, session, 88); FIELD(nd_dataset_options, run, 92);
FIELD(nd_dataset_options, precision, 96); FIELD(nd_dataset_options, reserved, 100);
STRUCT(nd_dataset_info, 80);
FIELD(nd_dataset_info, size, 0); FIELD(nd_dataset_info, n_trials, 8); FIELD(nd_dataset_info, n_channels, 16);
FIELD(nd_dataset_info, n_samples, 24); FIELD(nd_dataset_info, n_images, 32); FIELD(nd_dataset_info, n_concepts, 40);
FIELD(nd_dataset_info, n_subjects, 48); FIELD(nd_dataset_info, rate, 56); FIELD(nd_dataset_info, start, 64);
FIELD(nd_dataset_info, normalise, 72); FIELD(nd_dataset_info, averaged, 76);
STRUCT(nd_trial, 40);
FIELD(nd_trial, size, 0); FIELD(nd_trial, image, 8); FIELD(nd_trial, image_index, 16); FIELD(nd_trial, concept_index, 20);
FIELD(nd_trial, subject, 24); FIELD(nd_trial, repetition, 28);
FIELD(nd_trial, session, 32); FIELD(nd_trial, run, 36);
STRUCT(nd_label_options, 48);
FIELD(nd_label_options, size, 0); FIELD(nd_label_options, column, 8); FIELD(nd_label_options, rest, 16);
FIELD(nd_label_options, interval, 24); FIELD(nd_label_options, shift, 32); FIELD(nd_label_options, session, 40); FIELD(nd_label_options, run, 44);
STRUCT(nd_recording_options, 56);
FIELD(nd_recording_options, size, 0); FIELD(nd_recording_options, variable, 8); FIELD(nd_recording_options, channels, 16);
FIELD(nd_recording_options, types, 24); FIELD(nd_recording_options, unit, 32); FIELD(nd_recording_options, rate, 40);
FIELD(nd_recording_options, bids, 48); FIELD(nd_recording_options, reserved, 52);
STRUCT(nd_recording_info, 48);
FIELD(nd_recording_info, size, 0); FIELD(nd_recording_info, n_channels, 8); FIELD(nd_recording_info, n_samples, 16);
FIELD(nd_recording_info, n_events, 24); FIELD(nd_recording_info, rate, 32); FIELD(nd_recording_info, format, 40);
STRUCT(nd_channel, 40);
FIELD(nd_channel, size, 0); FIELD(nd_channel, name, 8); FIELD(nd_channel, type, 16); FIELD(nd_channel, unit, 24);
FIELD(nd_channel, bad, 32); FIELD(nd_channel, reserved, 36);
STRUCT(nd_event, 40);
FIELD(nd_event, size, 0); FIELD(nd_event, sample, 8); FIELD(nd_event, duration, 16); FIELD(nd_event, text, 24); FIELD(nd_event, code, 32);
FIELD(nd_event, previous, 36);
STRUCT(nd_events_options, 40);
FIELD(nd_events_options, size, 0); FIELD(nd_events_options, channels, 8); FIELD(nd_events_options, min_duration, 16);
FIELD(nd_events_options, consecutive, 24); FIELD(nd_events_options, initial_event, 28); FIELD(nd_events_options, mask, 32);
FIELD(nd_events_options, mask_not, 36);
STRUCT(nd_filter_options, 40);
FIELD(nd_filter_options, size, 0); FIELD(nd_filter_options, low, 8); FIELD(nd_filter_options, high, 16); FIELD(nd_filter_options, kind, 24);
FIELD(nd_filter_options, order, 28); FIELD(nd_filter_options, n_threads, 32); FIELD(nd_filter_options, reserved, 36);
STRUCT(nd_epoch_options, 120);
FIELD(nd_epoch_options, size, 0); FIELD(nd_epoch_options, start, 8); FIELD(nd_epoch_options, end, 16);
FIELD(nd_epoch_options, baseline_start, 24); FIELD(nd_epoch_options, baseline_end, 32); FIELD(nd_epoch_options, baseline, 40);
FIELD(nd_epoch_options, decimate, 44); FIELD(nd_epoch_options, events, 48); FIELD(nd_epoch_options, drop, 56);
FIELD(nd_epoch_options, images, 64); FIELD(nd_epoch_options, partition, 72); FIELD(nd_epoch_options, channels, 80);
FIELD(nd_epoch_options, reject, 88); FIELD(nd_epoch_options, flat, 96); FIELD(nd_epoch_options, subject, 104);
FIELD(nd_epoch_options, n_threads, 108); FIELD(nd_epoch_options, session, 112); FIELD(nd_epoch_options, run, 116);
STRUCT(nd_epoch_report, 72);
FIELD(nd_epoch_report, size, 0); FIELD(nd_epoch_report, n_events, 8); FIELD(nd_epoch_report, n_kept, 16);
FIELD(nd_epoch_report, n_outside, 24); FIELD(nd_epoch_report, n_bad, 32); FIELD(nd_epoch_report, n_peak_to_peak, 40);
FIELD(nd_epoch_report, n_flat, 48); FIELD(nd_epoch_report, worst_channel, 56); FIELD(nd_epoch_report, worst_count, 64);
STRUCT(nd_bank_options, 48);
FIELD(nd_bank_options, size, 0); FIELD(nd_bank_options, variable, 8); FIELD(nd_bank_options, images, 16); FIELD(nd_bank_options, partition, 24);
FIELD(nd_bank_options, suffix, 32); FIELD(nd_bank_options, layer, 40);
STRUCT(nd_bank_info, 40);
FIELD(nd_bank_info, size, 0); FIELD(nd_bank_info, n_images, 8); FIELD(nd_bank_info, n_layers, 16); FIELD(nd_bank_info, dim, 24);
FIELD(nd_bank_info, hash, 32);
STRUCT(nd_encoder_kind_info, 32);
FIELD(nd_encoder_kind_info, size, 0); FIELD(nd_encoder_kind_info, name, 8); FIELD(nd_encoder_kind_info, title, 16);
FIELD(nd_encoder_kind_info, source, 24);
STRUCT(nd_param_info, 56);
FIELD(nd_param_info, size, 0); FIELD(nd_param_info, name, 8); FIELD(nd_param_info, meaning, 16); FIELD(nd_param_info, value, 24);
FIELD(nd_param_info, reference, 32); FIELD(nd_param_info, min, 40); FIELD(nd_param_info, max, 48);
STRUCT(nd_encoder_options, 56);
FIELD(nd_encoder_options, size, 0); FIELD(nd_encoder_options, n_channels, 8); FIELD(nd_encoder_options, n_samples, 16);
FIELD(nd_encoder_options, embed_dim, 24); FIELD(nd_encoder_options, params, 32); FIELD(nd_encoder_options, seed, 40);
FIELD(nd_encoder_options, n_threads, 48); FIELD(nd_encoder_options, reserved, 52);
STRUCT(nd_encoder_info, 80);
FIELD(nd_encoder_info, size, 0); FIELD(nd_encoder_info, kind, 8); FIELD(nd_encoder_info, params, 16); FIELD(nd_encoder_info, n_channels, 24);
FIELD(nd_encoder_info, n_samples, 32); FIELD(nd_encoder_info, embed_dim, 40); FIELD(nd_encoder_info, n_parameters, 48);
FIELD(nd_encoder_info, n_tensors, 56); FIELD(nd_encoder_info, multiply_adds, 64); FIELD(nd_encoder_info, metadata, 72);
STRUCT(nd_tensor_info, 72);
FIELD(nd_tensor_info, size, 0); FIELD(nd_tensor_info, name, 8); FIELD(nd_tensor_info, n_dims, 16); FIELD(nd_tensor_info, shape, 24);
FIELD(nd_tensor_info, n_values, 56); FIELD(nd_tensor_info, trainable, 64); FIELD(nd_tensor_info, reserved, 68);
STRUCT(nd_loss_kind_info, 48);
FIELD(nd_loss_kind_info, size, 0); FIELD(nd_loss_kind_info, name, 8); FIELD(nd_loss_kind_info, title, 16); FIELD(nd_loss_kind_info, source, 24);
FIELD(nd_loss_kind_info, temperature, 32); FIELD(nd_loss_kind_info, bias, 40);
STRUCT(nd_loss_options, 48);
FIELD(nd_loss_options, size, 0); FIELD(nd_loss_options, temperature, 8); FIELD(nd_loss_options, learn_temperature, 16);
FIELD(nd_loss_options, sum_directions, 20); FIELD(nd_loss_options, vectors, 24); FIELD(nd_loss_options, reserved, 28);
FIELD(nd_loss_options, mask_same_image, 32); FIELD(nd_loss_options, reference, 36); FIELD(nd_loss_options, bias, 40);
STRUCT(nd_loss_batch, 64);
FIELD(nd_loss_batch, size, 0); FIELD(nd_loss_batch, v, 8); FIELD(nd_loss_batch, z, 16); FIELD(nd_loss_batch, n, 24); FIELD(nd_loss_batch, dim, 32);
FIELD(nd_loss_batch, images, 40); FIELD(nd_loss_batch, partner, 48); FIELD(nd_loss_batch, share, 56);
STRUCT(nd_loss_result, 32);
FIELD(nd_loss_result, size, 0); FIELD(nd_loss_result, value, 8); FIELD(nd_loss_result, grad_log_scale, 16); FIELD(nd_loss_result, grad_bias, 24);
STRUCT(nd_train_options, 184);
FIELD(nd_train_options, size, 0); FIELD(nd_train_options, epochs, 8); FIELD(nd_train_options, batch_size, 12);
FIELD(nd_train_options, learning_rate, 16); FIELD(nd_train_options, min_learning_rate, 24); FIELD(nd_train_options, weight_decay, 32);
FIELD(nd_train_options, beta1, 40); FIELD(nd_train_options, beta2, 48); FIELD(nd_train_options, epsilon, 56);
FIELD(nd_train_options, clip_norm, 64); FIELD(nd_train_options, validation_fraction, 72); FIELD(nd_train_options, plateau_factor, 80);
FIELD(nd_train_options, schedule, 88); FIELD(nd_train_options, warmup_steps, 92); FIELD(nd_train_options, plateau_patience, 96);
FIELD(nd_train_options, patience, 100); FIELD(nd_train_options, validation_batch, 104); FIELD(nd_train_options, split_by_image, 108);
FIELD(nd_train_options, seed, 112); FIELD(nd_train_options, n_threads, 120); FIELD(nd_train_options, checkpoint_every, 124);
FIELD(nd_train_options, checkpoint, 128); FIELD(nd_train_options, momentum, 136); FIELD(nd_train_options, ema_decay, 144);
FIELD(nd_train_options, no_decay, 152); FIELD(nd_train_options, augment, 160); FIELD(nd_train_options, projector, 168);
FIELD(nd_train_options, optimiser, 176); FIELD(nd_train_options, nesterov, 180);
STRUCT(nd_train_info, 104);
FIELD(nd_train_info, size, 0); FIELD(nd_train_info, epoch, 8); FIELD(nd_train_info, step, 16); FIELD(nd_train_info, steps_per_epoch, 24);
FIELD(nd_train_info, best_epoch, 32); FIELD(nd_train_info, train_loss, 40); FIELD(nd_train_info, validation_loss, 48);
FIELD(nd_train_info, best_validation_loss, 56); FIELD(nd_train_info, learning_rate, 64); FIELD(nd_train_info, temperature, 72);
FIELD(nd_train_info, n_train, 80); FIELD(nd_train_info, n_validation, 88); FIELD(nd_train_info, finished, 96);
FIELD(nd_train_info, reserved, 100);
STRUCT(nd_retrieval_options, 24);
FIELD(nd_retrieval_options, size, 0); FIELD(nd_retrieval_options, vectors, 8); FIELD(nd_retrieval_options, centre_gallery, 12);
FIELD(nd_retrieval_options, n_threads, 16); FIELD(nd_retrieval_options, reserved, 20);
STRUCT(nd_metrics, 96);
FIELD(nd_metrics, size, 0); FIELD(nd_metrics, n_queries, 8); FIELD(nd_metrics, n_gallery, 16); FIELD(nd_metrics, top1, 24);
FIELD(nd_metrics, top3, 32); FIELD(nd_metrics, top5, 40); FIELD(nd_metrics, mean_rank, 48); FIELD(nd_metrics, median_rank, 56);
FIELD(nd_metrics, mrr, 64); FIELD(nd_metrics, pairwise, 72); FIELD(nd_metrics, chance1, 80); FIELD(nd_metrics, chance5, 88);
STRUCT(nd_estimate, 64);
FIELD(nd_estimate, size, 0); FIELD(nd_estimate, value, 8); FIELD(nd_estimate, low, 16); FIELD(nd_estimate, high, 24);
FIELD(nd_estimate, chance, 32); FIELD(nd_estimate, p_value, 40); FIELD(nd_estimate, hits, 48); FIELD(nd_estimate, n, 56);
STRUCT(nd_comparison, 64);
FIELD(nd_comparison, size, 0); FIELD(nd_comparison, difference, 8); FIELD(nd_comparison, low, 16); FIELD(nd_comparison, high, 24);
FIELD(nd_comparison, p_value, 32); FIELD(nd_comparison, only_first, 40); FIELD(nd_comparison, only_second, 48); FIELD(nd_comparison, n, 56);
STRUCT(nd_preparation_kind_info, 32);
FIELD(nd_preparation_kind_info, size, 0); FIELD(nd_preparation_kind_info, name, 8); FIELD(nd_preparation_kind_info, title, 16);
FIELD(nd_preparation_kind_info, source, 24);
STRUCT(nd_preparation_options, 32);
FIELD(nd_preparation_options, size, 0); FIELD(nd_preparation_options, output, 8); FIELD(nd_preparation_options, params, 16);
FIELD(nd_preparation_options, n_threads, 24); FIELD(nd_preparation_options, reserved, 28);
STRUCT(nd_simulate_options, 64);
FIELD(nd_simulate_options, size, 0); FIELD(nd_simulate_options, n_subjects, 8); FIELD(nd_simulate_options, n_concepts, 12);
FIELD(nd_simulate_options, images_per_concept, 16); FIELD(nd_simulate_options, n_test, 20); FIELD(nd_simulate_options, train_repetitions, 24);
FIELD(nd_simulate_options, test_repetitions, 28); FIELD(nd_simulate_options, n_channels, 32); FIELD(nd_simulate_options, n_samples, 36);
FIELD(nd_simulate_options, embed_dim, 40); FIELD(nd_simulate_options, n_sessions, 44); FIELD(nd_simulate_options, snr, 48);
FIELD(nd_simulate_options, seed, 56);
#endif

typedef nd_status (*init_fn)(void *options, size_t size);

/* Each init function behind one signature. */
#define OPTIONS(X)                                                                                                                             \
    X(nd_dataset_options) X(nd_bank_options) X(nd_encoder_options) X(nd_loss_options) X(nd_train_options) X(nd_retrieval_options)          \
    X(nd_simulate_options) X(nd_recording_options) X(nd_events_options) X(nd_filter_options) X(nd_epoch_options) X(nd_preparation_options)
#define INIT(type)                                                                                                                             \
    static nd_status type##_any(void *options, size_t size) { return type##_init(options, size); }
OPTIONS(INIT)

static const struct {
    init_fn init;
    size_t size;
} options[] = {
#define ROW(type) { type##_any, sizeof(type) },
    OPTIONS(ROW)
};

enum { N_OPTIONS = sizeof options / sizeof options[0], ROOM = 1024 };

static void init_writes_no_further_than_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        _Alignas(16) unsigned char full[ROOM], part[ROOM];
        memset(full, 0xa5, sizeof full);
        assert_int_equal(options[i].init(full, options[i].size), ND_OK);
        for (size_t size = sizeof(size_t); size <= options[i].size + 16; size += 8) {
            size_t told, known = size < options[i].size ? size : options[i].size;
            memset(part, 0xa5, sizeof part);
            assert_int_equal(options[i].init(part, size), ND_OK);
            memcpy(&told, part, sizeof told);
            assert_int_equal(told, size);
            assert_memory_equal(part + sizeof told, full + sizeof told, known - sizeof told);
            for (size_t j = known; j < size; j++) assert_int_equal(part[j], 0); /* what a newer caller has more is zero */
            for (size_t j = size; j < sizeof part; j++) assert_int_equal(part[j], 0xa5);
        }
    }
}

static void init_refuses_impossible_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        unsigned char room[ROOM] = { 0 };
        assert_int_equal(options[i].init(NULL, options[i].size), ND_ERR_ARGUMENT);
        assert_true(nd_last_error()[0] != '\0');
        assert_int_equal(options[i].init(room, 0), ND_ERR_ARGUMENT);
        assert_int_equal(options[i].init(room, sizeof(size_t) - 1), ND_ERR_ARGUMENT);
        assert_int_equal(options[i].init(room, SIZE_MAX), ND_ERR_ARGUMENT);
    }
}

/* A caller whose nd_loss_options ends before `vectors`, and one whose struct has a field more. */
static void options_of_older_and_newer_callers(void **state)
{
    (void)state;
    struct {
        size_t size;
        double temperature;
    } older = { sizeof older, 0.5 };
    struct {
        nd_loss_options known;
        uint64_t later;
    } newer;
    nd_loss *loss = NULL;
    double temperature = 0;

    assert_int_equal(nd_loss_create(&loss, NULL, (const nd_loss_options *)&older), ND_OK);
    assert_int_equal(nd_loss_get_temperature(loss, &temperature), ND_OK);
    assert_true(temperature == 0.5);
    nd_loss_free(loss);

    assert_int_equal(nd_loss_options_init(&newer.known, sizeof newer), ND_OK);
    assert_int_equal(newer.later, 0);
    newer.known.temperature = 0.25;
    assert_int_equal(nd_loss_create(&loss, NULL, &newer.known), ND_OK);
    assert_int_equal(nd_loss_get_temperature(loss, &temperature), ND_OK);
    assert_true(temperature == 0.25);
    nd_loss_free(loss);

    newer.later = 1; /* asks for something this library does not know */
    loss = (nd_loss *)&newer;
    assert_int_equal(nd_loss_create(&loss, NULL, &newer.known), ND_ERR_UNSUPPORTED);
    assert_null(loss);

    newer.known.size = 0; /* not filled by its init function */
    assert_int_equal(nd_loss_create(&loss, NULL, &newer.known), ND_ERR_ARGUMENT);
    assert_null(loss);
}

static void results_for_older_and_newer_callers(void **state)
{
    (void)state;
    const size_t ranks[] = { 1, 2, 3, 10 };
    struct {
        size_t size, n_queries;
        uint64_t beyond;
    } older = { 2 * sizeof(size_t), 0, 7 };
    struct {
        nd_metrics known;
        uint64_t later;
    } newer = { { .size = sizeof newer }, 7 };

    assert_int_equal(nd_metrics_compute(ranks, 4, 10, (nd_metrics *)&older), ND_OK);
    assert_int_equal(older.size, 2 * sizeof(size_t));
    assert_int_equal(older.n_queries, 4);
    assert_int_equal(older.beyond, 7);

    assert_int_equal(nd_metrics_compute(ranks, 4, 10, &newer.known), ND_OK);
    assert_int_equal(newer.known.size, sizeof newer);
    assert_int_equal(newer.known.n_gallery, 10);
    assert_int_equal(newer.later, 0);

    newer.known.size = 0;
    assert_int_equal(nd_metrics_compute(ranks, 4, 10, &newer.known), ND_ERR_ARGUMENT);
}

/* Every free takes NULL. */
static void free_takes_null(void **state)
{
    (void)state;
    nd_dataset_free(NULL);
    nd_bank_free(NULL);
    nd_encoder_free(NULL);
    nd_loss_free(NULL);
    nd_trainer_free(NULL);
    nd_retrieval_free(NULL);
    nd_preparation_free(NULL);
}

static void versions_and_names(void **state)
{
    (void)state;
    assert_int_equal(nd_version_number(), ND_VERSION_MAJOR << 16 | ND_VERSION_MINOR << 8 | ND_VERSION_PATCH);
    assert_string_equal(nd_status_name(ND_OK), "ND_OK");
    assert_string_equal(nd_status_name(ND_ERR_INTERNAL), "ND_ERR_INTERNAL");
    assert_string_equal(nd_status_name(1), "ND_ERR_?");
    assert_string_equal(nd_status_name(ND_STATUS_LAST_ - 1), "ND_ERR_?");
    assert_int_equal(nd_build_info()[0], '{');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_writes_no_further_than_told),
        cmocka_unit_test(init_refuses_impossible_sizes),
        cmocka_unit_test(options_of_older_and_newer_callers),
        cmocka_unit_test(results_for_older_and_newer_callers),
        cmocka_unit_test(free_takes_null),
        cmocka_unit_test(versions_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
