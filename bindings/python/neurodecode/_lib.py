"""The C interface as data: every constant, struct and function of the public headers, and the search for the shared library.

Nothing is loaded by importing this file, and it needs nothing but the standard library, so that tests/check_bindings.py can compare it with
the headers.
"""
import ctypes
import ctypes.util
import os
import pathlib
import sys
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_double, c_float, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

VERSION = (0, 1)  # major and minor of the interface this table describes

STATUSES = {
    "ND_OK": 0, "ND_ERR_ARGUMENT": -1, "ND_ERR_MEMORY": -2, "ND_ERR_IO": -3, "ND_ERR_FORMAT": -4, "ND_ERR_UNSUPPORTED": -5, "ND_ERR_STATE": -6,
    "ND_ERR_NUMERIC": -7, "ND_ERR_CANCELLED": -8, "ND_ERR_BUFFER": -9, "ND_ERR_INTERNAL": -10,
}

ENUMS = {
    "ND_LOG_WARNING": 1, "ND_LOG_INFO": 2, "ND_LOG_DEBUG": 3,
    "ND_PRECISION_FLOAT32": 0, "ND_PRECISION_BFLOAT16": 1,
    "ND_NORMALISE_NONE": 0, "ND_NORMALISE_ZSCORE": 1, "ND_NORMALISE_REFERENCE": 2,
    "ND_FILTER_FIR": 0, "ND_FILTER_BUTTERWORTH": 1,
    "ND_WHITEN_EPOCHS": 0, "ND_WHITEN_TIME": 1,
    "ND_VECTOR_L2": 0, "ND_VECTOR_CENTRED_L2": 1,
    "ND_ENSEMBLE_AVERAGE": 0, "ND_ENSEMBLE_CONCATENATE": 1,
    "ND_SCHEDULE_CONSTANT": 0, "ND_SCHEDULE_COSINE": 1, "ND_SCHEDULE_PLATEAU": 2, "ND_SCHEDULE_REFERENCE": 3,
    "ND_OPTIMISER_ADAMW": 0, "ND_OPTIMISER_ADAM": 1, "ND_OPTIMISER_SGD": 2,
}


# Handles: opaque, so that ctypes refuses a bank where a dataset is due.
class nd_dataset(Structure):
    pass


class nd_recording(Structure):
    pass


class nd_bank(Structure):
    pass


class nd_encoder(Structure):
    pass


class nd_loss(Structure):
    pass


class nd_trainer(Structure):
    pass


class nd_retrieval(Structure):
    pass


class nd_preparation(Structure):
    pass


class nd_progress(Structure):
    _fields_ = [
        ("size", c_size_t), ("stage", c_char_p), ("done", c_uint64), ("total", c_uint64), ("unit", c_char_p), ("seconds", c_double),
        ("rate", c_double), ("seconds_left", c_double), ("epoch", c_uint64), ("n_epochs", c_uint64), ("train_loss", c_double),
        ("validation_loss", c_double), ("learning_rate", c_double), ("temperature", c_double),
    ]


nd_status = c_int32
nd_log_fn = CFUNCTYPE(None, c_int32, c_char_p, c_void_p)
nd_progress_fn = CFUNCTYPE(c_int32, POINTER(nd_progress), c_void_p)


class nd_format_info(Structure):
    _fields_ = [
        ("size", c_size_t), ("name", c_char_p), ("title", c_char_p), ("extensions", c_char_p), ("can_read", c_int32), ("can_write", c_int32),
    ]


class nd_dataset_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("variable", c_char_p), ("axes", c_char_p), ("images", c_char_p), ("partition", c_char_p), ("channels", c_char_p),
        ("rate", c_double), ("start", c_double), ("subject", c_int32), ("normalise", c_int32), ("average", c_int32), ("n_threads", c_int32),
        ("mask", c_char_p), ("session", c_int32), ("run", c_int32), ("precision", c_int32), ("reserved", c_int32),
    ]


class nd_dataset_info(Structure):
    _fields_ = [
        ("size", c_size_t), ("n_trials", c_size_t), ("n_channels", c_size_t), ("n_samples", c_size_t), ("n_images", c_size_t),
        ("n_concepts", c_size_t), ("n_subjects", c_size_t), ("rate", c_double), ("start", c_double), ("normalise", c_int32),
        ("averaged", c_int32),
    ]


class nd_trial(Structure):
    _fields_ = [
        ("size", c_size_t), ("image", c_char_p), ("image_index", c_int32), ("concept_index", c_int32), ("subject", c_int32), ("repetition", c_int32),
        ("session", c_int32), ("run", c_int32),
    ]


class nd_label_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("column", c_char_p), ("rest", c_char_p), ("interval", c_double), ("shift", c_double), ("session", c_int32), ("run", c_int32),
    ]


class nd_recording_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("variable", c_char_p), ("channels", c_char_p), ("types", c_char_p), ("unit", c_char_p), ("rate", c_double),
        ("bids", c_int32), ("reserved", c_int32),
    ]


class nd_recording_info(Structure):
    _fields_ = [
        ("size", c_size_t), ("n_channels", c_size_t), ("n_samples", c_uint64), ("n_events", c_size_t), ("rate", c_double), ("format", c_char_p),
    ]


class nd_channel(Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("type", c_char_p), ("unit", c_char_p), ("bad", c_int32), ("reserved", c_int32)]


class nd_event(Structure):
    _fields_ = [
        ("size", c_size_t), ("sample", c_uint64), ("duration", c_uint64), ("text", c_char_p), ("code", c_int32), ("previous", c_int32),
    ]


class nd_events_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("channels", c_char_p), ("min_duration", c_double), ("consecutive", c_int32), ("initial_event", c_int32),
        ("mask", c_int32), ("mask_not", c_int32),
    ]


class nd_filter_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("low", c_double), ("high", c_double), ("kind", c_int32), ("order", c_int32), ("n_threads", c_int32),
        ("reserved", c_int32),
    ]


class nd_epoch_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("start", c_double), ("end", c_double), ("baseline_start", c_double), ("baseline_end", c_double),
        ("baseline", c_int32), ("decimate", c_int32), ("events", c_char_p), ("drop", c_char_p), ("images", c_char_p), ("partition", c_char_p),
        ("channels", c_char_p), ("reject", c_char_p), ("flat", c_char_p), ("subject", c_int32), ("n_threads", c_int32), ("session", c_int32),
        ("run", c_int32),
    ]


class nd_epoch_report(Structure):
    _fields_ = [
        ("size", c_size_t), ("n_events", c_size_t), ("n_kept", c_size_t), ("n_outside", c_size_t), ("n_bad", c_size_t),
        ("n_peak_to_peak", c_size_t), ("n_flat", c_size_t), ("worst_channel", c_size_t), ("worst_count", c_size_t),
    ]


class nd_bank_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("variable", c_char_p), ("images", c_char_p), ("partition", c_char_p), ("suffix", c_char_p), ("layer", c_char_p),
    ]


class nd_bank_info(Structure):
    _fields_ = [("size", c_size_t), ("n_images", c_size_t), ("n_layers", c_size_t), ("dim", c_size_t), ("hash", c_uint64)]


class nd_encoder_kind_info(Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("title", c_char_p), ("source", c_char_p)]


class nd_param_info(Structure):
    _fields_ = [
        ("size", c_size_t), ("name", c_char_p), ("meaning", c_char_p), ("value", c_double), ("reference", c_double), ("min", c_double),
        ("max", c_double),
    ]


class nd_encoder_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("n_channels", c_size_t), ("n_samples", c_size_t), ("embed_dim", c_size_t), ("params", c_char_p), ("seed", c_uint64),
        ("n_threads", c_int32), ("reserved", c_int32),
    ]


class nd_encoder_info(Structure):
    _fields_ = [
        ("size", c_size_t), ("kind", c_char_p), ("params", c_char_p), ("n_channels", c_size_t), ("n_samples", c_size_t), ("embed_dim", c_size_t),
        ("n_parameters", c_size_t), ("n_tensors", c_size_t), ("multiply_adds", c_uint64), ("metadata", c_char_p),
    ]


class nd_tensor_info(Structure):
    _fields_ = [
        ("size", c_size_t), ("name", c_char_p), ("n_dims", c_size_t), ("shape", c_size_t * 4), ("n_values", c_size_t), ("trainable", c_int32),
        ("reserved", c_int32),
    ]


class nd_loss_kind_info(Structure):
    _fields_ = [
        ("size", c_size_t), ("name", c_char_p), ("title", c_char_p), ("source", c_char_p), ("temperature", c_double), ("bias", c_double),
    ]


class nd_loss_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("temperature", c_double), ("learn_temperature", c_int32), ("sum_directions", c_int32), ("vectors", c_int32),
        ("reserved", c_int32), ("mask_same_image", c_int32), ("reference", c_int32), ("bias", c_double),
    ]


class nd_loss_batch(Structure):
    _fields_ = [
        ("size", c_size_t), ("v", POINTER(c_float)), ("z", POINTER(c_float)), ("n", c_size_t), ("dim", c_size_t), ("images", POINTER(c_size_t)),
        ("partner", POINTER(c_size_t)), ("share", POINTER(c_float)),
    ]


class nd_loss_result(Structure):
    _fields_ = [("size", c_size_t), ("value", c_double), ("grad_log_scale", c_double), ("grad_bias", c_double)]


class nd_train_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("epochs", c_uint32), ("batch_size", c_uint32), ("learning_rate", c_double), ("min_learning_rate", c_double),
        ("weight_decay", c_double), ("beta1", c_double), ("beta2", c_double), ("epsilon", c_double), ("clip_norm", c_double),
        ("validation_fraction", c_double), ("plateau_factor", c_double), ("schedule", c_int32), ("warmup_steps", c_uint32),
        ("plateau_patience", c_uint32), ("patience", c_uint32), ("validation_batch", c_uint32), ("split_by_image", c_int32), ("seed", c_uint64),
        ("n_threads", c_int32), ("checkpoint_every", c_uint32), ("checkpoint", c_char_p), ("momentum", c_double), ("ema_decay", c_double),
        ("no_decay", c_char_p), ("augment", c_char_p), ("projector", POINTER(nd_encoder)), ("optimiser", c_int32), ("nesterov", c_int32),
    ]


class nd_train_info(Structure):
    _fields_ = [
        ("size", c_size_t), ("epoch", c_uint64), ("step", c_uint64), ("steps_per_epoch", c_uint64), ("best_epoch", c_uint64),
        ("train_loss", c_double), ("validation_loss", c_double), ("best_validation_loss", c_double), ("learning_rate", c_double),
        ("temperature", c_double), ("n_train", c_size_t), ("n_validation", c_size_t), ("finished", c_int32), ("reserved", c_int32),
    ]


class nd_cross_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("encoder", c_char_p), ("encoder_options", POINTER(nd_encoder_options)), ("loss", c_char_p),
        ("loss_options", POINTER(nd_loss_options)), ("train_options", POINTER(nd_train_options)), ("projector", c_char_p),
        ("projector_options", POINTER(nd_encoder_options)), ("group", c_char_p), ("test", POINTER(nd_dataset)), ("progress", nd_progress_fn),
        ("user", c_void_p),
    ]


class nd_fold(Structure):
    _fields_ = [
        ("size", c_size_t), ("index", c_size_t), ("n_folds", c_size_t), ("encoder", POINTER(nd_encoder)), ("projector", POINTER(nd_encoder)),
        ("train", POINTER(nd_dataset)), ("held", POINTER(nd_dataset)), ("trials", POINTER(c_size_t)), ("n_trials", c_size_t),
    ]


nd_fold_fn = CFUNCTYPE(c_int32, POINTER(nd_fold), c_void_p)


class nd_retrieval_options(Structure):
    _fields_ = [("size", c_size_t), ("vectors", c_int32), ("centre_gallery", c_int32), ("n_threads", c_int32), ("reserved", c_int32)]


class nd_metrics(Structure):
    _fields_ = [
        ("size", c_size_t), ("n_queries", c_size_t), ("n_gallery", c_size_t), ("top1", c_double), ("top3", c_double), ("top5", c_double),
        ("mean_rank", c_double), ("median_rank", c_double), ("mrr", c_double), ("pairwise", c_double), ("chance1", c_double), ("chance5", c_double),
    ]


class nd_estimate(Structure):
    _fields_ = [
        ("size", c_size_t), ("value", c_double), ("low", c_double), ("high", c_double), ("chance", c_double), ("p_value", c_double),
        ("hits", c_uint64), ("n", c_uint64),
    ]


class nd_comparison(Structure):
    _fields_ = [
        ("size", c_size_t), ("difference", c_double), ("low", c_double), ("high", c_double), ("p_value", c_double), ("only_first", c_uint64),
        ("only_second", c_uint64), ("n", c_uint64),
    ]


class nd_preparation_kind_info(Structure):
    _fields_ = [("size", c_size_t), ("name", c_char_p), ("title", c_char_p), ("source", c_char_p)]


class nd_preparation_options(Structure):
    _fields_ = [("size", c_size_t), ("output", c_char_p), ("params", c_char_p), ("n_threads", c_int32), ("reserved", c_int32)]


class nd_simulate_options(Structure):
    _fields_ = [
        ("size", c_size_t), ("n_subjects", c_uint32), ("n_concepts", c_uint32), ("images_per_concept", c_uint32), ("n_test", c_uint32),
        ("train_repetitions", c_uint32), ("test_repetitions", c_uint32), ("n_channels", c_uint32), ("n_samples", c_uint32), ("embed_dim", c_uint32),
        ("n_sessions", c_uint32), ("snr", c_double), ("seed", c_uint64),
    ]


STRUCTS = {
    struct.__name__: struct
    for struct in (
        nd_progress, nd_format_info, nd_dataset_options, nd_dataset_info, nd_trial, nd_label_options, nd_recording_options, nd_recording_info, nd_channel,
        nd_event, nd_events_options, nd_filter_options, nd_epoch_options, nd_epoch_report, nd_bank_options, nd_bank_info, nd_encoder_kind_info,
        nd_param_info, nd_encoder_options, nd_encoder_info, nd_tensor_info, nd_loss_kind_info, nd_loss_options, nd_loss_batch, nd_loss_result,
        nd_train_options, nd_train_info, nd_cross_options, nd_fold, nd_retrieval_options, nd_metrics, nd_estimate, nd_comparison, nd_simulate_options,
        nd_preparation_kind_info, nd_preparation_options,
    )
}

TEXT = c_char_p
TEXTS = POINTER(c_char_p)
FLOATS = POINTER(c_float)
SIZES = POINTER(c_size_t)
DOUBLE = POINTER(c_double)
DATASET, RECORDING, BANK, ENCODER = POINTER(nd_dataset), POINTER(nd_recording), POINTER(nd_bank), POINTER(nd_encoder)
LOSS, TRAINER, RETRIEVAL, PREPARATION = POINTER(nd_loss), POINTER(nd_trainer), POINTER(nd_retrieval), POINTER(nd_preparation)
WATCH = (nd_progress_fn, c_void_p)

FUNCTIONS = {  # name: (result, arguments)
    "nd_version": (TEXT, ()),
    "nd_version_number": (c_uint32, ()),
    "nd_build_info": (TEXT, ()),
    "nd_status_name": (TEXT, (nd_status,)),
    "nd_last_error": (TEXT, ()),
    "nd_set_log": (nd_status, (c_int32, nd_log_fn, c_void_p)),

    "nd_format_get_info": (nd_status, (c_size_t, POINTER(nd_format_info))),
    "nd_file_convert": (nd_status, (TEXT, TEXT)),
    "nd_file_describe": (nd_status, (TEXT, TEXT, c_size_t, SIZES)),
    "nd_array_read": (nd_status, (TEXT, TEXT, SIZES, SIZES, FLOATS, c_size_t)),
    "nd_array_write": (nd_status, (TEXT, FLOATS, SIZES, c_size_t)),

    "nd_dataset_options_init": (nd_status, (POINTER(nd_dataset_options), c_size_t)),
    "nd_dataset_create": (nd_status, (POINTER(DATASET), FLOATS, c_size_t, c_size_t, c_size_t, TEXTS, POINTER(nd_dataset_options))),
    "nd_dataset_open": (nd_status, (POINTER(DATASET), TEXT, POINTER(nd_dataset_options), *WATCH)),
    "nd_dataset_import": (nd_status, (POINTER(DATASET), TEXT, TEXT, POINTER(nd_dataset_options), *WATCH)),
    "nd_dataset_open_things_eeg2": (nd_status, (POINTER(DATASET), TEXT, c_int32, TEXT, TEXT, POINTER(nd_dataset_options), *WATCH)),
    "nd_dataset_save": (nd_status, (DATASET, TEXT, *WATCH)),
    "nd_dataset_save_as": (nd_status, (DATASET, TEXT, c_int32, *WATCH)),
    "nd_dataset_free": (None, (DATASET,)),
    "nd_dataset_get_info": (nd_status, (DATASET, POINTER(nd_dataset_info))),
    "nd_dataset_get_channel": (nd_status, (DATASET, c_size_t, TEXTS)),
    "nd_dataset_get_image": (nd_status, (DATASET, c_size_t, TEXTS)),
    "nd_dataset_get_trial": (nd_status, (DATASET, c_size_t, POINTER(nd_trial))),
    "nd_dataset_get_data": (nd_status, (DATASET, c_size_t, c_size_t, FLOATS, c_size_t)),
    "nd_dataset_select": (nd_status, (POINTER(DATASET), DATASET, SIZES, c_size_t)),
    "nd_dataset_select_channels": (nd_status, (POINTER(DATASET), DATASET, TEXT)),
    "nd_dataset_window": (nd_status, (POINTER(DATASET), DATASET, c_double, c_double, c_size_t)),
    "nd_dataset_baseline": (nd_status, (POINTER(DATASET), DATASET, c_double, c_double)),
    "nd_dataset_average": (nd_status, (POINTER(DATASET), DATASET)),
    "nd_label_options_init": (nd_status, (POINTER(nd_label_options), c_size_t)),
    "nd_dataset_label": (nd_status, (POINTER(DATASET), DATASET, TEXT, POINTER(nd_label_options))),
    "nd_dataset_select_labels": (nd_status, (POINTER(DATASET), DATASET, TEXT, TEXT)),
    "nd_dataset_average_blocks": (nd_status, (POINTER(DATASET), DATASET)),
    "nd_dataset_detrend": (nd_status, (POINTER(DATASET), DATASET, c_int32, TEXT)),
    "nd_dataset_standardise": (nd_status, (POINTER(DATASET), DATASET, TEXT, TEXT)),
    "nd_dataset_normalise": (nd_status, (POINTER(DATASET), DATASET, c_int32)),
    "nd_dataset_concat": (nd_status, (POINTER(DATASET), DATASET, DATASET)),
    "nd_dataset_split": (nd_status, (POINTER(DATASET), POINTER(DATASET), DATASET, c_double, TEXT, c_uint64)),
    "nd_dataset_resample": (nd_status, (POINTER(DATASET), DATASET, c_double, *WATCH)),
    "nd_dataset_whiten": (nd_status, (POINTER(DATASET), DATASET, POINTER(DATASET), c_size_t, c_int32, *WATCH)),

    "nd_recording_options_init": (nd_status, (POINTER(nd_recording_options), c_size_t)),
    "nd_events_options_init": (nd_status, (POINTER(nd_events_options), c_size_t)),
    "nd_filter_options_init": (nd_status, (POINTER(nd_filter_options), c_size_t)),
    "nd_epoch_options_init": (nd_status, (POINTER(nd_epoch_options), c_size_t)),
    "nd_recording_open": (nd_status, (POINTER(RECORDING), TEXT, POINTER(nd_recording_options))),
    "nd_recording_create": (nd_status, (POINTER(RECORDING), DOUBLE, c_size_t, c_size_t, POINTER(nd_recording_options))),
    "nd_recording_free": (None, (RECORDING,)),
    "nd_recording_get_info": (nd_status, (RECORDING, POINTER(nd_recording_info))),
    "nd_recording_get_channel": (nd_status, (RECORDING, c_size_t, POINTER(nd_channel))),
    "nd_recording_get_event": (nd_status, (RECORDING, c_size_t, POINTER(nd_event))),
    "nd_recording_get_data": (nd_status, (RECORDING, c_uint64, c_size_t, DOUBLE, c_size_t)),
    "nd_recording_select_channels": (nd_status, (POINTER(RECORDING), RECORDING, TEXT)),
    "nd_recording_crop": (nd_status, (POINTER(RECORDING), RECORDING, c_double, c_double)),
    "nd_recording_find_events": (nd_status, (POINTER(RECORDING), RECORDING, POINTER(nd_events_options))),
    "nd_recording_set_events": (nd_status, (POINTER(RECORDING), RECORDING, POINTER(c_uint64), POINTER(c_int32), c_size_t)),
    "nd_recording_rereference": (nd_status, (POINTER(RECORDING), RECORDING, TEXT)),
    "nd_recording_filter": (nd_status, (POINTER(RECORDING), RECORDING, POINTER(nd_filter_options), *WATCH)),
    "nd_recording_notch": (nd_status, (POINTER(RECORDING), RECORDING, DOUBLE, c_size_t, *WATCH)),
    "nd_recording_resample": (nd_status, (POINTER(RECORDING), RECORDING, c_double, *WATCH)),
    "nd_recording_resample_polyphase": (nd_status, (POINTER(RECORDING), RECORDING, c_double, *WATCH)),
    "nd_recording_save": (nd_status, (RECORDING, TEXT, *WATCH)),
    "nd_recording_epoch": (nd_status, (POINTER(DATASET), RECORDING, POINTER(nd_epoch_options), POINTER(nd_epoch_report), *WATCH)),

    "nd_bank_options_init": (nd_status, (POINTER(nd_bank_options), c_size_t)),
    "nd_bank_create": (nd_status, (POINTER(BANK), FLOATS, c_size_t, c_size_t, TEXTS, TEXT)),
    "nd_bank_create_one_hot": (nd_status, (POINTER(BANK), DATASET)),
    "nd_bank_open": (nd_status, (POINTER(BANK), TEXT, POINTER(nd_bank_options), *WATCH)),
    "nd_bank_open_things_eeg2": (nd_status, (POINTER(BANK), TEXT, TEXT, TEXT, *WATCH)),
    "nd_bank_save": (nd_status, (BANK, TEXT)),
    "nd_bank_save_as": (nd_status, (BANK, TEXT, c_int32)),
    "nd_bank_free": (None, (BANK,)),
    "nd_bank_get_info": (nd_status, (BANK, POINTER(nd_bank_info))),
    "nd_bank_get_layer": (nd_status, (BANK, c_size_t, TEXTS, SIZES)),
    "nd_bank_get_image": (nd_status, (BANK, c_size_t, TEXTS)),
    "nd_bank_get_vectors": (nd_status, (BANK, TEXT, FLOATS, c_size_t)),
    "nd_bank_select": (nd_status, (POINTER(BANK), BANK, TEXTS, c_size_t)),
    "nd_bank_select_for": (nd_status, (POINTER(BANK), BANK, DATASET)),
    "nd_bank_append": (nd_status, (POINTER(BANK), BANK, BANK)),
    "nd_bank_add_layers": (nd_status, (POINTER(BANK), BANK, BANK)),
    "nd_bank_concat_layers": (nd_status, (POINTER(BANK), BANK, TEXT, c_int32)),
    "nd_bank_standardise": (nd_status, (POINTER(BANK), BANK, BANK)),
    "nd_bank_align": (nd_status, (POINTER(BANK), BANK, TEXT)),

    "nd_encoder_kind_get_info": (nd_status, (c_size_t, POINTER(nd_encoder_kind_info))),
    "nd_encoder_kind_get_param": (nd_status, (TEXT, c_size_t, POINTER(nd_param_info))),
    "nd_encoder_options_init": (nd_status, (POINTER(nd_encoder_options), c_size_t)),
    "nd_encoder_create": (nd_status, (POINTER(ENCODER), TEXT, POINTER(nd_encoder_options))),
    "nd_encoder_create_for": (nd_status, (POINTER(ENCODER), TEXT, DATASET, POINTER(nd_encoder_options))),
    "nd_ensemble_create": (nd_status, (POINTER(ENCODER), POINTER(ENCODER), c_size_t, c_int32)),
    "nd_encoder_open": (nd_status, (POINTER(ENCODER), TEXT, POINTER(nd_encoder_options))),
    "nd_encoder_open_weights": (nd_status, (POINTER(ENCODER), TEXT, TEXT, POINTER(nd_encoder_options))),
    "nd_encoder_save": (nd_status, (ENCODER, TEXT)),
    "nd_encoder_free": (None, (ENCODER,)),
    "nd_encoder_get_info": (nd_status, (ENCODER, POINTER(nd_encoder_info))),
    "nd_encoder_get_layers": (nd_status, (ENCODER, TEXT, c_size_t, SIZES)),
    "nd_encoder_get_tensor": (nd_status, (ENCODER, c_size_t, POINTER(nd_tensor_info))),
    "nd_encoder_get_values": (nd_status, (ENCODER, TEXT, FLOATS, c_size_t)),
    "nd_encoder_set_values": (nd_status, (ENCODER, TEXT, FLOATS, c_size_t)),
    "nd_encoder_embed": (nd_status, (ENCODER, FLOATS, c_size_t, FLOATS, c_size_t)),
    "nd_encoder_embed_subjects": (nd_status, (ENCODER, FLOATS, POINTER(c_int32), c_size_t, FLOATS, c_size_t)),
    "nd_encoder_embed_dataset": (nd_status, (ENCODER, DATASET, FLOATS, c_size_t, *WATCH)),
    "nd_encoder_embed_bank": (nd_status, (ENCODER, BANK, POINTER(BANK))),

    "nd_loss_kind_get_info": (nd_status, (c_size_t, POINTER(nd_loss_kind_info))),
    "nd_loss_options_init": (nd_status, (POINTER(nd_loss_options), c_size_t)),
    "nd_loss_create": (nd_status, (POINTER(LOSS), TEXT, POINTER(nd_loss_options))),
    "nd_loss_free": (None, (LOSS,)),
    "nd_loss_get_temperature": (nd_status, (LOSS, DOUBLE)),
    "nd_loss_get_bias": (nd_status, (LOSS, DOUBLE)),
    "nd_loss_evaluate_batch": (nd_status, (LOSS, POINTER(nd_loss_batch), POINTER(nd_loss_result), FLOATS, FLOATS)),
    "nd_loss_evaluate": (nd_status, (LOSS, FLOATS, FLOATS, c_size_t, c_size_t, DOUBLE, FLOATS, FLOATS, DOUBLE)),

    "nd_augmentation_get_info": (nd_status, (c_size_t, POINTER(nd_param_info))),
    "nd_train_options_init": (nd_status, (POINTER(nd_train_options), c_size_t)),
    "nd_train_options_init_recipe": (nd_status, (POINTER(nd_train_options), c_size_t, TEXT)),
    "nd_trainer_create": (nd_status, (POINTER(TRAINER), ENCODER, LOSS, DATASET, BANK, POINTER(nd_train_options))),
    "nd_trainer_resume": (nd_status, (TRAINER, TEXT)),
    "nd_trainer_save": (nd_status, (TRAINER, TEXT)),
    "nd_trainer_free": (None, (TRAINER,)),
    "nd_trainer_get_info": (nd_status, (TRAINER, POINTER(nd_train_info))),
    "nd_trainer_step": (nd_status, (TRAINER, DOUBLE)),
    "nd_trainer_run": (nd_status, (TRAINER, *WATCH)),
    "nd_trainer_take_best": (nd_status, (TRAINER,)),

    "nd_cross_options_init": (nd_status, (POINTER(nd_cross_options), c_size_t)),
    "nd_cross_run": (nd_status, (DATASET, BANK, POINTER(nd_cross_options), nd_fold_fn, c_void_p)),
    "nd_cross_embed": (nd_status, (TEXT, DATASET, BANK, TEXT, POINTER(nd_encoder_options), POINTER(nd_loss_options), POINTER(nd_train_options),
                                   FLOATS, c_size_t, *WATCH)),

    "nd_retrieval_options_init": (nd_status, (POINTER(nd_retrieval_options), c_size_t)),
    "nd_retrieval_create": (nd_status, (POINTER(RETRIEVAL), FLOATS, c_size_t, c_size_t, TEXTS, POINTER(nd_retrieval_options))),
    "nd_retrieval_create_for": (nd_status, (POINTER(RETRIEVAL), BANK, TEXT, POINTER(nd_retrieval_options))),
    "nd_retrieval_free": (None, (RETRIEVAL,)),
    "nd_retrieval_get_size": (nd_status, (RETRIEVAL, SIZES, SIZES)),
    "nd_retrieval_get_id": (nd_status, (RETRIEVAL, c_size_t, TEXTS)),
    "nd_retrieval_find": (nd_status, (RETRIEVAL, TEXT, SIZES)),
    "nd_retrieval_search": (nd_status, (RETRIEVAL, FLOATS, c_size_t, c_size_t, SIZES, FLOATS)),
    "nd_retrieval_rank": (nd_status, (RETRIEVAL, FLOATS, SIZES, c_size_t, SIZES)),
    "nd_retrieval_rank_dataset": (nd_status, (RETRIEVAL, ENCODER, DATASET, SIZES, c_size_t, *WATCH)),
    "nd_metrics_compute": (nd_status, (SIZES, c_size_t, c_size_t, POINTER(nd_metrics))),
    "nd_metrics_top_k": (nd_status, (SIZES, c_size_t, c_size_t, c_size_t, c_uint32, c_uint64, POINTER(nd_estimate))),
    "nd_metrics_k_way": (nd_status, (SIZES, c_size_t, c_size_t, c_size_t, c_uint32, c_uint64, DOUBLE, DOUBLE)),
    "nd_metrics_auc": (nd_status, (DOUBLE, POINTER(c_int32), c_size_t, DOUBLE)),
    "nd_metrics_compare": (nd_status, (SIZES, SIZES, c_size_t, c_size_t, c_uint32, c_uint64, POINTER(nd_comparison))),
    "nd_metrics_to_json": (nd_status, (SIZES, c_size_t, c_size_t, TEXT, c_uint64, TEXT, c_size_t, SIZES)),

    "nd_preparation_kind_get_info": (nd_status, (c_size_t, POINTER(nd_preparation_kind_info))),
    "nd_preparation_kind_get_param": (nd_status, (TEXT, c_size_t, POINTER(nd_param_info))),
    "nd_preparation_options_init": (nd_status, (POINTER(nd_preparation_options), c_size_t)),
    "nd_preparation_create": (nd_status, (POINTER(PREPARATION), TEXT, TEXT, POINTER(nd_preparation_options))),
    "nd_preparation_get_report": (nd_status, (PREPARATION, TEXT, c_size_t, SIZES)),
    "nd_preparation_run": (nd_status, (PREPARATION, *WATCH)),
    "nd_preparation_free": (None, (PREPARATION,)),

    "nd_simulate_options_init": (nd_status, (POINTER(nd_simulate_options), c_size_t)),
    "nd_simulate": (nd_status, (TEXT, POINTER(nd_simulate_options), *WATCH)),
}

VARIABLE = "NEURODECODE_LIBRARY"  # environment variable naming the library's file
PLAIN_NAMES = ("libneurodecode.so.0", "libneurodecode.0.dylib", "libneurodecode.so", "libneurodecode.dylib")


def load():
    """The shared library with all functions declared; ImportError with every place looked at if there is none that fits."""
    given = os.environ.get(VARIABLE)
    tried = []
    for candidate in [given] if given else candidates():
        try:
            return declare(ctypes.CDLL(str(candidate)))
        except (OSError, ImportError) as error:
            tried.append(f"  {candidate}: {str(error).removeprefix(f'{candidate}: ')}")
    raise ImportError(
        "the shared library of neurodecode was not found. Looked at:\n" + "\n".join(tried) + "\n"
        f"Install libneurodecode, or set the environment variable {VARIABLE} to the file itself, for example "
        f"{VARIABLE}=/usr/local/lib/libneurodecode.so.0" + (f"\n({VARIABLE} is set, so nothing else was tried)" if given else "")
    )


def candidates():
    """Where the library may be, best first: beside this package, in the build folders of the checkout it belongs to, on the system."""
    package = pathlib.Path(__file__).resolve().parent
    folders = [package]
    root = package.parents[2] if len(package.parents) > 2 else package
    if (root / "include" / "neurodecode.h").is_file():
        folders += [build / inside for build in sorted(root.glob("build*")) for inside in ("lib", "", "tests/lib")]
    for folder in folders:
        found = [file for pattern in ("libneurodecode.so*", "libneurodecode*.dylib") for file in sorted(folder.glob(pattern)) if file.is_file()]
        yield from found or [folder / PLAIN_NAMES[1 if sys.platform == "darwin" else 0]]
    known = ctypes.util.find_library("neurodecode")
    if known:
        yield known
    yield from PLAIN_NAMES


def declare(library):
    """Checks the version, then sets result and arguments of every function; returns the library."""
    try:
        library.nd_version_number.restype = c_uint32
        number = library.nd_version_number()
        major, minor = number >> 16, number >> 8 & 0xFF
        if major != VERSION[0] or minor < VERSION[1]:
            raise ImportError(f"is version {major}.{minor}, expected {VERSION[0]}.{VERSION[1]} or a later {VERSION[0]}.x")
        for name, (result, arguments) in FUNCTIONS.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
    except AttributeError as error:
        raise ImportError(f"not a libneurodecode {VERSION[0]}.{VERSION[1]}: {error}") from None
    return library
