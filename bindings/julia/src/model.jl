# Encoders, losses and training.

encoder_kinds() = table(EncoderKindInfo) do index, result
    ccall(symbol(:nd_encoder_kind_get_info), Int32, (Csize_t, Ptr{EncoderKindInfo}), index, result)
end

encoder_params(kind) = table(ParamInfo; empty=any(row -> row.name == kind, encoder_kinds())) do index, result
    ccall(symbol(:nd_encoder_kind_get_param), Int32, (Cstring, Csize_t, Ptr{ParamInfo}), kind, index, result)
end

"""A named architecture with its parameters. Options are keywords, named as the fields of the C struct `nd_encoder_options`."""
mutable struct Encoder <: Handle
    pointer::Ptr{Cvoid}
end

free(::Encoder, pointer) = ccall(symbol(:nd_encoder_free), Cvoid, (Ptr{Cvoid},), pointer)

"""An encoder with initial weights for `n_channels` and `n_samples`, embedding into `embed_dim`."""
Encoder(kind::AbstractString; keywords...) = made(Encoder) do slot
    with_options(EncoderOptions, keywords) do options
        ccall(symbol(:nd_encoder_create), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Ptr{EncoderOptions}), slot, kind, options)
    end
end

"""The same with channels and samples from a dataset."""
Encoder(kind::AbstractString, dataset::Dataset; keywords...) = made(Encoder) do slot
    with_options(EncoderOptions, keywords) do options
        ccall(symbol(:nd_encoder_create_for), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Ptr{Cvoid}, Ptr{EncoderOptions}), slot, kind, dataset, options)
    end
end

Base.open(::Type{Encoder}, path; keywords...) = made(Encoder) do slot
    with_options(EncoderOptions, keywords) do options
        ccall(symbol(:nd_encoder_open), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Ptr{EncoderOptions}), slot, path, options)
    end
end

"""Weights without metadata: a PyTorch state dict."""
open_weights(kind, path; keywords...) = made(Encoder) do slot
    with_options(EncoderOptions, keywords) do options
        ccall(symbol(:nd_encoder_open_weights), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Cstring, Ptr{EncoderOptions}), slot, kind, path, options)
    end
end

"""Joins encoders over the same input into one; `mode` is :average (the mean of their normalised embeddings) or :concatenate."""
function ensemble(members::AbstractVector{Encoder}; mode::Symbol=:average)
    mode in (:average, :concatenate) || throw(ArgumentError("mode: got $mode, expected :average or :concatenate"))
    pointers = Ptr{Cvoid}[Base.unsafe_convert(Ptr{Cvoid}, member) for member in members]
    return made(Encoder) do slot
        GC.@preserve members ccall(symbol(:nd_ensemble_create), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Ptr{Cvoid}}, Csize_t, Int32),
                                   slot, pointers, length(pointers), mode == :average ? 0 : 1)
    end
end

save(encoder::Encoder, path) = check(ccall(symbol(:nd_encoder_save), Int32, (Ptr{Cvoid}, Cstring), encoder, path))

info(encoder::Encoder) = fetched(EncoderInfo) do result
    ccall(symbol(:nd_encoder_get_info), Int32, (Ptr{Cvoid}, Ptr{EncoderInfo}), encoder, result)
end

"""A table as text, one line per layer."""
layers(encoder::Encoder) = written_text() do buffer, capacity, needed
    ccall(symbol(:nd_encoder_get_layers), Int32, (Ptr{Cvoid}, Ptr{UInt8}, Csize_t, Ptr{Csize_t}), encoder, buffer, capacity, needed)
end

tensor(encoder::Encoder, index) = fetched(TensorInfo) do result
    ccall(symbol(:nd_encoder_get_tensor), Int32, (Ptr{Cvoid}, Csize_t, Ptr{TensorInfo}), encoder, index - 1, result)
end

tensors(encoder::Encoder) = [tensor(encoder, index) for index in 1:info(encoder).n_tensors]

function tensor_shape(encoder, name)
    about = filter(one -> one.name == name, tensors(encoder))
    isempty(about) && throw(ArgumentError("no tensor $name"))
    return reverse(Int.(about[1].shape[1:about[1].n_dims]))
end

"""The values of a tensor, its dimensions in reverse order."""
function values(encoder::Encoder, name)
    result = Array{Float32}(undef, tensor_shape(encoder, name)...)
    check(ccall(symbol(:nd_encoder_get_values), Int32, (Ptr{Cvoid}, Cstring, Ptr{Cfloat}, Csize_t), encoder, name, result, length(result)))
    return result
end

function set_values!(encoder::Encoder, name, given)
    given = dense(given)
    size(given) == tensor_shape(encoder, name) || throw(DimensionMismatch("$name: got $(size(given)), expected $(tensor_shape(encoder, name))"))
    check(ccall(symbol(:nd_encoder_set_values), Int32, (Ptr{Cvoid}, Cstring, Ptr{Cfloat}, Csize_t), encoder, name, given, length(given)))
end

"""Embeds samples x channels x trials into embed_dim x trials; `subjects` are the ids of the trials' subjects, nothing = unknown."""
function embed(encoder::Encoder, data::AbstractArray{<:Real,3}; subjects=nothing)
    about = info(encoder)
    data = dense(data)
    size(data)[1:2] == (about.n_samples, about.n_channels) ||
        throw(DimensionMismatch("got $(size(data)), expected ($(about.n_samples), $(about.n_channels), trials)"))
    result = Array{Float32}(undef, about.embed_dim, size(data, 3))
    if subjects === nothing
        check(ccall(symbol(:nd_encoder_embed), Int32, (Ptr{Cvoid}, Ptr{Cfloat}, Csize_t, Ptr{Cfloat}, Csize_t),
                    encoder, data, size(data, 3), result, length(result)))
    else
        length(subjects) == size(data, 3) || throw(DimensionMismatch("got $(length(subjects)) subjects for $(size(data, 3)) trials"))
        check(ccall(symbol(:nd_encoder_embed_subjects), Int32, (Ptr{Cvoid}, Ptr{Cfloat}, Ptr{Int32}, Csize_t, Ptr{Cfloat}, Csize_t),
                    encoder, data, convert(Vector{Int32}, subjects), size(data, 3), result, length(result)))
    end
    return result
end

function embed(encoder::Encoder, dataset::Dataset; progress=nothing)
    result = Array{Float32}(undef, info(encoder).embed_dim, length(dataset))
    check(watched(progress) do fn, user
        ccall(symbol(:nd_encoder_embed_dataset), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cfloat}, Csize_t, Ptr{Cvoid}, Ptr{Cvoid}),
              encoder, dataset, result, length(result), fn, user)
    end)
    return result
end

"""Embeds the vectors of the first layer of a bank, by the projector of a training: a bank of the same images."""
embed(projector::Encoder, bank::Bank) = made(Bank) do slot
    ccall(symbol(:nd_encoder_embed_bank), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Ptr{Cvoid}}), projector, bank, slot)
end

"""A loss by its name, see `loss_kinds`. Options are keywords, named as the fields of the C struct `nd_loss_options`."""
mutable struct Loss <: Handle
    pointer::Ptr{Cvoid}
end

free(::Loss, pointer) = ccall(symbol(:nd_loss_free), Cvoid, (Ptr{Cvoid},), pointer)

Loss(kind::AbstractString="infonce"; keywords...) = made(Loss) do slot
    with_options(LossOptions, keywords) do options
        ccall(symbol(:nd_loss_create), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Ptr{LossOptions}), slot, kind, options)
    end
end

function temperature(loss::Loss)
    value = Ref{Cdouble}(0)
    check(ccall(symbol(:nd_loss_get_temperature), Int32, (Ptr{Cvoid}, Ptr{Cdouble}), loss, value))
    return value[]
end

function bias(loss::Loss)
    value = Ref{Cdouble}(0)
    check(ccall(symbol(:nd_loss_get_bias), Int32, (Ptr{Cvoid}, Ptr{Cdouble}), loss, value))
    return value[]
end

"""The losses there are, with their papers and default temperatures."""
loss_kinds() = table(LossKindInfo) do index, info
    ccall(symbol(:nd_loss_kind_get_info), Int32, (Csize_t, Ptr{LossKindInfo}), index, info)
end

"""The loss of v and z, both dim x n, with its gradients."""
function evaluate(loss::Loss, v::AbstractMatrix{<:Real}, z::AbstractMatrix{<:Real})
    size(v) == size(z) || throw(DimensionMismatch("v is $(size(v)), z is $(size(z))"))
    v, z = dense(v), dense(z)
    value, grad_log_scale, grad_v, grad_z = Ref{Cdouble}(0), Ref{Cdouble}(0), similar(v), similar(z)
    check(ccall(symbol(:nd_loss_evaluate), Int32,
                (Ptr{Cvoid}, Ptr{Cfloat}, Ptr{Cfloat}, Csize_t, Csize_t, Ptr{Cdouble}, Ptr{Cfloat}, Ptr{Cfloat}, Ptr{Cdouble}),
                loss, v, z, size(v, 2), size(v, 1), value, grad_v, grad_z, grad_log_scale))
    return (value=value[], grad_v=grad_v, grad_z=grad_z, grad_log_scale=grad_log_scale[])
end

"""
The same for a batch with repeated images (`images`: equal numbers are the same image) or mixtures (`partner`, counted from 1, and `share`; loss
mixco).
"""
function evaluate_batch(loss::Loss, v::AbstractMatrix{<:Real}, z::AbstractMatrix{<:Real}; images=Csize_t[], partner=Csize_t[], share=Float32[])
    size(v) == size(z) || throw(DimensionMismatch("v is $(size(v)), z is $(size(z))"))
    v, z, images, partner, share = dense(v), dense(z), counts(images), counts(partner .- 1), dense(share)
    all(isempty(rows) || length(rows) == size(v, 2) for rows in (images, partner, share)) || throw(DimensionMismatch("one entry per column of v"))
    grad_v, grad_z, result = similar(v), similar(z), Ref(LossResult(sizeof(LossResult), 0, 0, 0))
    place(rows) = isempty(rows) ? Ptr{eltype(rows)}(C_NULL) : pointer(rows)
    GC.@preserve v z images partner share begin
        batch = Ref(LossBatch(sizeof(LossBatch), pointer(v), pointer(z), size(v, 2), size(v, 1), place(images), place(partner), place(share)))
        check(ccall(symbol(:nd_loss_evaluate_batch), Int32, (Ptr{Cvoid}, Ptr{LossBatch}, Ptr{LossResult}, Ptr{Cfloat}, Ptr{Cfloat}),
                    loss, batch, result, grad_v, grad_z))
    end
    return (value=result[].value, grad_v=grad_v, grad_z=grad_z, grad_log_scale=result[].grad_log_scale, grad_bias=result[].grad_bias)
end

"""What the option `augment` of a Trainer can hold."""
augmentations() = table(ParamInfo) do index, result
    ccall(symbol(:nd_augmentation_get_info), Int32, (Csize_t, Ptr{ParamInfo}), index, result)
end

"""A training under way. Options are keywords, named as the fields of the C struct `nd_train_options`."""
mutable struct Trainer <: Handle
    pointer::Ptr{Cvoid}
end

free(::Trainer, pointer) = ccall(symbol(:nd_trainer_free), Cvoid, (Ptr{Cvoid},), pointer)

recipe_options(recipe) = options -> ccall(symbol(:nd_train_options_init_recipe), Int32, (Ptr{TrainOptions}, Csize_t, Cstring),
                                          options, sizeof(TrainOptions), recipe)

"""Prepares a training of `encoder`, in place; `recipe` is "default" or "reference"."""
Trainer(encoder::Encoder, loss::Loss, dataset::Dataset, bank::Bank; recipe="default", keywords...) = made(Trainer) do slot
    with_options(TrainOptions, keywords, recipe_options(recipe)) do options
        ccall(symbol(:nd_trainer_create), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Ptr{TrainOptions}),
              slot, encoder, loss, dataset, bank, options)
    end
end

resume!(trainer::Trainer, checkpoint) = check(ccall(symbol(:nd_trainer_resume), Int32, (Ptr{Cvoid}, Cstring), trainer, checkpoint))
save(trainer::Trainer, checkpoint) = check(ccall(symbol(:nd_trainer_save), Int32, (Ptr{Cvoid}, Cstring), trainer, checkpoint))
take_best!(trainer::Trainer) = check(ccall(symbol(:nd_trainer_take_best), Int32, (Ptr{Cvoid},), trainer))

info(trainer::Trainer) = fetched(TrainInfo) do result
    ccall(symbol(:nd_trainer_get_info), Int32, (Ptr{Cvoid}, Ptr{TrainInfo}), trainer, result)
end

"""One optimiser step; returns the loss of the batch."""
function step!(trainer::Trainer)
    loss = Ref{Cdouble}(0)
    check(ccall(symbol(:nd_trainer_step), Int32, (Ptr{Cvoid}, Ptr{Cdouble}), trainer, loss))
    return loss[]
end

"""Steps until finished, then puts the best weights into the encoder."""
function run!(trainer::Trainer; progress=nothing)
    check(watched(progress) do fn, user
        ccall(symbol(:nd_trainer_run), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}), trainer, fn, user)
    end)
    return info(trainer)
end
