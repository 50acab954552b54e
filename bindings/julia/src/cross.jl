# Cross-validation: every group of trials is decoded by an encoder that has not seen it.

mutable struct Folds
    use::Any
    results::Vector{Any}
    error::Any
end

# Handles of a fold belong to the library: they are emptied afterwards, not freed.
function use_fold(seen::Ptr{Fold}, user::Ptr{Cvoid})::Int32
    folds = unsafe_pointer_to_objref(user)::Folds
    told = unsafe_load(seen)
    encoder, projector = Encoder(told.encoder), told.projector == C_NULL ? nothing : Encoder(told.projector)
    train, held = Dataset(told.train), Dataset(told.held)
    trials = [Int(unsafe_load(told.trials, i)) + 1 for i in 1:told.n_trials]
    stop = 0
    try
        push!(folds.results, folds.use((index=Int(told.index) + 1, n_folds=Int(told.n_folds), encoder=encoder, projector=projector, train=train,
                                        held=held, trials=trials)))
    catch error
        folds.error = error
        stop = 1
    end
    for handle in (encoder, projector, train, held)
        handle === nothing || (handle.pointer = C_NULL)
    end
    return stop
end

"""
Trains one encoder per group of `dataset`, on the trials of all others, and calls `fold` with each: a named tuple of index, n_folds, encoder,
projector, train, held and trials, whose handles are closed when it returns. What it returns is collected in a vector.

`test`: trials to decode, those of the subject left out; `encoder`, `loss_options`, `train` and `projector_options` are named tuples of options.
"""
function cross_run(fold, kind, dataset::Dataset, bank::Bank; group="subject", test=nothing, encoder=NamedTuple(), loss="infonce",
                   loss_options=NamedTuple(), train=NamedTuple(), recipe="default", projector=nothing, projector_options=NamedTuple(), progress=nothing)
    folds = Folds(fold, Any[], nothing)
    status = with_options(EncoderOptions, encoder) do e
        with_options(LossOptions, loss_options) do l
            with_options(TrainOptions, train, recipe_options(recipe)) do t
                with_options(EncoderOptions, projector_options) do p
                    watched(progress) do fn, user
                        GC.@preserve e l t p test begin
                            parts = (encoder=kind, encoder_options=address(e), loss=loss, loss_options=address(l), train_options=address(t),
                                     projector=projector, projector_options=address(p), group=group,
                                     test=test === nothing ? C_NULL : Base.unsafe_convert(Ptr{Cvoid}, test), progress=fn, user=user)
                            with_options(CrossOptions, parts) do o
                                GC.@preserve folds ccall(symbol(:nd_cross_run), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{CrossOptions}, Ptr{Cvoid}, Ptr{Cvoid}),
                                                         dataset, bank, o, @cfunction(use_fold, Int32, (Ptr{Fold}, Ptr{Cvoid})), pointer_from_objref(folds))
                            end
                        end
                    end
                end
            end
        end
    end
    folds.error === nothing || throw(folds.error)
    check(status)
    return folds.results
end

address(options::Ref{T}) where {T} = Base.unsafe_convert(Ptr{T}, options)

"""Embeds every trial by an encoder that has not seen its group; `encoder`, `loss` and `train` are named tuples of options."""
function cross_embed(kind, dataset::Dataset, bank::Bank; group="concept", encoder=NamedTuple(), loss=NamedTuple(),
                     train=NamedTuple(), recipe="default", progress=nothing)
    result = Array{Float32}(undef, info(bank).dim, length(dataset))
    status = with_options(EncoderOptions, encoder) do encoder_options
        with_options(LossOptions, loss) do loss_options
            with_options(TrainOptions, train, recipe_options(recipe)) do train_options
                watched(progress) do fn, user
                    ccall(symbol(:nd_cross_embed), Int32,
                          (Cstring, Ptr{Cvoid}, Ptr{Cvoid}, Cstring, Ptr{EncoderOptions}, Ptr{LossOptions}, Ptr{TrainOptions}, Ptr{Cfloat}, Csize_t,
                           Ptr{Cvoid}, Ptr{Cvoid}),
                          kind, dataset, bank, group, encoder_options, loss_options, train_options, result, length(result), fn, user)
                end
            end
        end
    end
    check(status)
    return result
end
