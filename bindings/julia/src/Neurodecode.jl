"""
Decoding viewed images from brain recordings, by way of the C library libneurodecode.

Arrays: C stores the last index fastest, Julia the first. Nothing is transposed or copied: what the C documentation calls trials x channels
x samples is a Julia array of samples x channels x trials, n x dim is dim x n. Only dense `Array{Float32}` are passed as they are; other
arrays are converted first. Indices count from 1 here, from 0 in C.

Errors of the library are thrown as `NeurodecodeError`. A progress function gets a named tuple and returns `true` to stop.
"""
module Neurodecode

using Libdl

export Dataset, Recording, Bank, Encoder, Loss, Trainer, Retrieval, Preparation, NeurodecodeError
export simulate, cross_run, cross_embed, embed, info, run!, step!, rank, rank_dataset, search, metrics, top_k, k_way, compare

const LIBRARY = Ref{Ptr{Cvoid}}(C_NULL)
const VERSION_WANTED = (0, 1)

symbol(name::Symbol) = dlsym(LIBRARY[], name)

function __init__()
    file = get(ENV, "NEURODECODE_LIBRARY", "")
    places = isempty(file) ? ["libneurodecode.so.0", "libneurodecode.0.dylib", "libneurodecode"] : [file]
    found = find_library(places)
    isempty(found) && error("libneurodecode not found, looked for $(join(places, ", ")); set ENV[\"NEURODECODE_LIBRARY\"] to the file")
    LIBRARY[] = dlopen(found)
    number = ccall(symbol(:nd_version_number), UInt32, ())
    major, minor = number >> 16, (number >> 8) & 0xff
    if major != VERSION_WANTED[1] || minor < VERSION_WANTED[2]
        error("$found is version $major.$minor, expected $(join(VERSION_WANTED, '.')) or a later $(VERSION_WANTED[1]).x")
    end
end

# ---- structs, as in the headers -------------------------------------------------------------------------------------------------------------------

struct Progress
    size::Csize_t
    stage::Cstring
    done::UInt64
    total::UInt64
    unit::Cstring
    seconds::Cdouble
    rate::Cdouble
    seconds_left::Cdouble
    epoch::UInt64
    n_epochs::UInt64
    train_loss::Cdouble
    validation_loss::Cdouble
    learning_rate::Cdouble
    temperature::Cdouble
end

struct FormatInfo
    size::Csize_t
    name::Cstring
    title::Cstring
    extensions::Cstring
    can_read::Int32
    can_write::Int32
end

struct DatasetOptions
    size::Csize_t
    variable::Cstring
    axes::Cstring
    images::Cstring
    partition::Cstring
    channels::Cstring
    rate::Cdouble
    start::Cdouble
    subject::Int32
    normalise::Int32
    average::Int32
    n_threads::Int32
    mask::Cstring
    session::Int32
    run::Int32
    precision::Int32
    reserved::Int32
end

struct DatasetInfo
    size::Csize_t
    n_trials::Csize_t
    n_channels::Csize_t
    n_samples::Csize_t
    n_images::Csize_t
    n_concepts::Csize_t
    n_subjects::Csize_t
    rate::Cdouble
    start::Cdouble
    normalise::Int32
    averaged::Int32
end

struct Trial
    size::Csize_t
    image::Cstring
    image_index::Int32
    concept_index::Int32
    subject::Int32
    repetition::Int32
    session::Int32
    run::Int32
end

struct LabelOptions
    size::Csize_t
    column::Cstring
    rest::Cstring
    interval::Cdouble
    shift::Cdouble
    session::Int32
    run::Int32
end

struct RecordingOptions
    size::Csize_t
    variable::Cstring
    channels::Cstring
    types::Cstring
    unit::Cstring
    rate::Cdouble
    bids::Int32
    reserved::Int32
end

struct RecordingInfo
    size::Csize_t
    n_channels::Csize_t
    n_samples::UInt64
    n_events::Csize_t
    rate::Cdouble
    format::Cstring
end

struct Channel
    size::Csize_t
    name::Cstring
    type::Cstring
    unit::Cstring
    bad::Int32
    reserved::Int32
end

struct Event
    size::Csize_t
    sample::UInt64
    duration::UInt64
    text::Cstring
    code::Int32
    previous::Int32
end

struct EventsOptions
    size::Csize_t
    channels::Cstring
    min_duration::Cdouble
    consecutive::Int32
    initial_event::Int32
    mask::Int32
    mask_not::Int32
end

struct FilterOptions
    size::Csize_t
    low::Cdouble
    high::Cdouble
    kind::Int32
    order::Int32
    n_threads::Int32
    reserved::Int32
end

struct EpochOptions
    size::Csize_t
    start::Cdouble
    end::Cdouble
    baseline_start::Cdouble
    baseline_end::Cdouble
    baseline::Int32
    decimate::Int32
    events::Cstring
    drop::Cstring
    images::Cstring
    partition::Cstring
    channels::Cstring
    reject::Cstring
    flat::Cstring
    subject::Int32
    n_threads::Int32
    session::Int32
    run::Int32
end

struct EpochReport
    size::Csize_t
    n_events::Csize_t
    n_kept::Csize_t
    n_outside::Csize_t
    n_bad::Csize_t
    n_peak_to_peak::Csize_t
    n_flat::Csize_t
    worst_channel::Csize_t
    worst_count::Csize_t
end

struct BankOptions
    size::Csize_t
    variable::Cstring
    images::Cstring
    partition::Cstring
    suffix::Cstring
    layer::Cstring
end

struct BankInfo
    size::Csize_t
    n_images::Csize_t
    n_layers::Csize_t
    dim::Csize_t
    hash::UInt64
end

struct EncoderKindInfo
    size::Csize_t
    name::Cstring
    title::Cstring
    source::Cstring
end

struct ParamInfo
    size::Csize_t
    name::Cstring
    meaning::Cstring
    value::Cdouble
    reference::Cdouble
    min::Cdouble
    max::Cdouble
end

struct EncoderOptions
    size::Csize_t
    n_channels::Csize_t
    n_samples::Csize_t
    embed_dim::Csize_t
    params::Cstring
    seed::UInt64
    n_threads::Int32
    reserved::Int32
end

struct EncoderInfo
    size::Csize_t
    kind::Cstring
    params::Cstring
    n_channels::Csize_t
    n_samples::Csize_t
    embed_dim::Csize_t
    n_parameters::Csize_t
    n_tensors::Csize_t
    multiply_adds::UInt64
    metadata::Cstring
end

struct TensorInfo
    size::Csize_t
    name::Cstring
    n_dims::Csize_t
    shape::NTuple{4,Csize_t}
    n_values::Csize_t
    trainable::Int32
    reserved::Int32
end

struct LossKindInfo
    size::Csize_t
    name::Cstring
    title::Cstring
    source::Cstring
    temperature::Cdouble
    bias::Cdouble
end

struct LossOptions
    size::Csize_t
    temperature::Cdouble
    learn_temperature::Int32
    sum_directions::Int32
    vectors::Int32
    reserved::Int32
    mask_same_image::Int32
    reference::Int32
    bias::Cdouble
end

struct LossBatch
    size::Csize_t
    v::Ptr{Cfloat}
    z::Ptr{Cfloat}
    n::Csize_t
    dim::Csize_t
    images::Ptr{Csize_t}
    partner::Ptr{Csize_t}
    share::Ptr{Cfloat}
end

struct LossResult
    size::Csize_t
    value::Cdouble
    grad_log_scale::Cdouble
    grad_bias::Cdouble
end

struct TrainOptions
    size::Csize_t
    epochs::UInt32
    batch_size::UInt32
    learning_rate::Cdouble
    min_learning_rate::Cdouble
    weight_decay::Cdouble
    beta1::Cdouble
    beta2::Cdouble
    epsilon::Cdouble
    clip_norm::Cdouble
    validation_fraction::Cdouble
    plateau_factor::Cdouble
    schedule::Int32
    warmup_steps::UInt32
    plateau_patience::UInt32
    patience::UInt32
    validation_batch::UInt32
    split_by_image::Int32
    seed::UInt64
    n_threads::Int32
    checkpoint_every::UInt32
    checkpoint::Cstring
    momentum::Cdouble
    ema_decay::Cdouble
    no_decay::Cstring
    augment::Cstring
    projector::Ptr{Cvoid}
    optimiser::Int32
    nesterov::Int32
end

struct TrainInfo
    size::Csize_t
    epoch::UInt64
    step::UInt64
    steps_per_epoch::UInt64
    best_epoch::UInt64
    train_loss::Cdouble
    validation_loss::Cdouble
    best_validation_loss::Cdouble
    learning_rate::Cdouble
    temperature::Cdouble
    n_train::Csize_t
    n_validation::Csize_t
    finished::Int32
    reserved::Int32
end

struct CrossOptions
    size::Csize_t
    encoder::Cstring
    encoder_options::Ptr{EncoderOptions}
    loss::Cstring
    loss_options::Ptr{LossOptions}
    train_options::Ptr{TrainOptions}
    projector::Cstring
    projector_options::Ptr{EncoderOptions}
    group::Cstring
    test::Ptr{Cvoid}
    progress::Ptr{Cvoid}
    user::Ptr{Cvoid}
end

struct Fold
    size::Csize_t
    index::Csize_t
    n_folds::Csize_t
    encoder::Ptr{Cvoid}
    projector::Ptr{Cvoid}
    train::Ptr{Cvoid}
    held::Ptr{Cvoid}
    trials::Ptr{Csize_t}
    n_trials::Csize_t
end

struct RetrievalOptions
    size::Csize_t
    vectors::Int32
    centre_gallery::Int32
    n_threads::Int32
    reserved::Int32
end

struct Metrics
    size::Csize_t
    n_queries::Csize_t
    n_gallery::Csize_t
    top1::Cdouble
    top3::Cdouble
    top5::Cdouble
    mean_rank::Cdouble
    median_rank::Cdouble
    mrr::Cdouble
    pairwise::Cdouble
    chance1::Cdouble
    chance5::Cdouble
end

struct Estimate
    size::Csize_t
    value::Cdouble
    low::Cdouble
    high::Cdouble
    chance::Cdouble
    p_value::Cdouble
    hits::UInt64
    n::UInt64
end

struct Comparison
    size::Csize_t
    difference::Cdouble
    low::Cdouble
    high::Cdouble
    p_value::Cdouble
    only_first::UInt64
    only_second::UInt64
    n::UInt64
end

struct PreparationKindInfo
    size::Csize_t
    name::Cstring
    title::Cstring
    source::Cstring
end

struct PreparationOptions
    size::Csize_t
    output::Cstring
    params::Cstring
    n_threads::Int32
    reserved::Int32
end

struct SimulateOptions
    size::Csize_t
    n_subjects::UInt32
    n_concepts::UInt32
    images_per_concept::UInt32
    n_test::UInt32
    train_repetitions::UInt32
    test_repetitions::UInt32
    n_channels::UInt32
    n_samples::UInt32
    embed_dim::UInt32
    n_sessions::UInt32
    snr::Cdouble
    seed::UInt64
end

include("call.jl")
include("data.jl")
include("recording.jl")
include("model.jl")
include("cross.jl")
include("evaluation.jl")
include("preparation.jl")

end
