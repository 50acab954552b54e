# Continuous recordings.

"""Channels x samples with events. Options are keywords, named as the fields of the C struct `nd_recording_options`."""
mutable struct Recording <: Handle
    pointer::Ptr{Cvoid}
end

free(::Recording, pointer) = ccall(symbol(:nd_recording_free), Cvoid, (Ptr{Cvoid},), pointer)

initialise(o::Ref{RecordingOptions}) = ccall(symbol(:nd_recording_options_init), Int32, (Ptr{RecordingOptions}, Csize_t), o, sizeof(RecordingOptions))
initialise(o::Ref{EventsOptions}) = ccall(symbol(:nd_events_options_init), Int32, (Ptr{EventsOptions}, Csize_t), o, sizeof(EventsOptions))
initialise(o::Ref{FilterOptions}) = ccall(symbol(:nd_filter_options_init), Int32, (Ptr{FilterOptions}, Csize_t), o, sizeof(FilterOptions))
initialise(o::Ref{EpochOptions}) = ccall(symbol(:nd_epoch_options_init), Int32, (Ptr{EpochOptions}, Csize_t), o, sizeof(EpochOptions))

"""Copies an array of samples x channels."""
function Recording(data::AbstractMatrix{<:Real}; keywords...)
    data = convert(Matrix{Float64}, data)
    n_samples, n_channels = size(data)
    return made(Recording) do slot
        with_options(RecordingOptions, keywords) do options
            ccall(symbol(:nd_recording_create), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cdouble}, Csize_t, Csize_t, Ptr{RecordingOptions}),
                  slot, data, n_channels, n_samples, options)
        end
    end
end

"""Opens EDF, BDF, BrainVision (.vhdr), FIF, a table with a column per channel, or arrays such as the raw files of THINGS-EEG2."""
Base.open(::Type{Recording}, path; keywords...) = made(Recording) do slot
    with_options(RecordingOptions, keywords) do options
        ccall(symbol(:nd_recording_open), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Ptr{RecordingOptions}), slot, path, options)
    end
end

info(recording::Recording) = fetched(RecordingInfo) do result
    ccall(symbol(:nd_recording_get_info), Int32, (Ptr{Cvoid}, Ptr{RecordingInfo}), recording, result)
end

Base.length(recording::Recording) = Int(info(recording).n_samples)

channel(recording::Recording, index) = fetched(Channel) do result
    ccall(symbol(:nd_recording_get_channel), Int32, (Ptr{Cvoid}, Csize_t, Ptr{Channel}), recording, index - 1, result)
end

"""One event; its `sample` counts from 1."""
function event(recording::Recording, index)
    found = fetched(Event) do result
        ccall(symbol(:nd_recording_get_event), Int32, (Ptr{Cvoid}, Csize_t, Ptr{Event}), recording, index - 1, result)
    end
    return merge(found, (sample=found.sample + 1,))
end

"""Samples as an array of count x channels."""
function data(recording::Recording, first=1, count=length(recording) - first + 1)
    values = Array{Float64}(undef, count, info(recording).n_channels)
    check(ccall(symbol(:nd_recording_get_data), Int32, (Ptr{Cvoid}, UInt64, Csize_t, Ptr{Cdouble}, Csize_t),
                recording, first - 1, count, values, length(values)))
    return values
end

select_channels(source::Recording, channels) = made(Recording) do slot
    ccall(symbol(:nd_recording_select_channels), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring), slot, source, channels)
end

crop(source::Recording, start, stop) = made(Recording) do slot
    ccall(symbol(:nd_recording_crop), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cdouble, Cdouble), slot, source, start, stop)
end

"""Looks for events on trigger channels, as `mne.find_events` does."""
find_events(source::Recording; keywords...) = made(Recording) do slot
    with_options(EventsOptions, keywords) do options
        ccall(symbol(:nd_recording_find_events), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{EventsOptions}), slot, source, options)
    end
end

"""Gives the recording these events in place of the ones it has; samples count from 1."""
set_events(source::Recording, samples, codes) = made(Recording) do slot
    length(samples) == length(codes) || throw(ArgumentError("got $(length(samples)) samples and $(length(codes)) codes"))
    places, values = convert(Vector{UInt64}, samples .- 1), convert(Vector{Int32}, codes)
    ccall(symbol(:nd_recording_set_events), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{UInt64}, Ptr{Int32}, Csize_t),
          slot, source, places, values, length(places))
end

rereference(source::Recording, reference="average") = made(Recording) do slot
    ccall(symbol(:nd_recording_rereference), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring), slot, source, reference)
end

"""Removes what is slower than `low` and faster than `high` Hz. `kind`: 0 linear phase, 1 Butterworth."""
filter_band(source::Recording; progress=nothing, keywords...) = made(Recording) do slot
    with_options(FilterOptions, keywords) do options
        watched(progress) do fn, user
            ccall(symbol(:nd_recording_filter), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{FilterOptions}, Ptr{Cvoid}, Ptr{Cvoid}),
                  slot, source, options, fn, user)
        end
    end
end

notch(source::Recording, frequencies; progress=nothing) = made(Recording) do slot
    values = convert(Vector{Float64}, frequencies)
    watched(progress) do fn, user
        ccall(symbol(:nd_recording_notch), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cdouble}, Csize_t, Ptr{Cvoid}, Ptr{Cvoid}),
              slot, source, values, length(values), fn, user)
    end
end

"""Writes it with its events as .edf, .bdf, .vhdr, .fif, .npz or .safetensors."""
save(recording::Recording, path; progress=nothing) = check(watched(progress) do fn, user
    ccall(symbol(:nd_recording_save), Int32, (Ptr{Cvoid}, Cstring, Ptr{Cvoid}, Ptr{Cvoid}), recording, path, fn, user)
end)

"""Changes the rate; `method` is `:fourier` (by way of the frequencies) or `:polyphase`."""
resample(source::Recording, rate; method=:fourier, progress=nothing) = made(Recording) do slot
    watched(progress) do fn, user
        if method == :polyphase
            ccall(symbol(:nd_recording_resample_polyphase), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid}, Ptr{Cvoid}), slot, source, rate, fn, user)
        else
            ccall(symbol(:nd_recording_resample), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid}, Ptr{Cvoid}), slot, source, rate, fn, user)
        end
    end
end

resample(source::Dataset, rate; progress=nothing) = made(Dataset) do slot
    watched(progress) do fn, user
        ccall(symbol(:nd_dataset_resample), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cdouble, Ptr{Cvoid}, Ptr{Cvoid}), slot, source, rate, fn, user)
    end
end

"""Multivariate noise normalisation by the covariance of the datasets `fits`. `per`: 0 the samples of each trial, 1 the repetitions at each time."""
whiten(source::Dataset, fits::Dataset...; per=0, progress=nothing) = made(Dataset) do slot
    from = isempty(fits) ? (source,) : fits
    pointers = [Base.unsafe_convert(Ptr{Cvoid}, fit) for fit in from]
    GC.@preserve from watched(progress) do fn, user
        ccall(symbol(:nd_dataset_whiten), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Ptr{Cvoid}}, Csize_t, Int32, Ptr{Cvoid}, Ptr{Cvoid}),
              slot, source, pointers, length(pointers), per, fn, user)
    end
end

"""Cuts out a trial for each event: the dataset and a report of what became of the events."""
function epoch(source::Recording; progress=nothing, keywords...)
    report = nothing
    trials = made(Dataset) do slot
        status = Int32(0)
        report = fetched(EpochReport) do result
            status = with_options(EpochOptions, keywords) do options
                watched(progress) do fn, user
                    ccall(symbol(:nd_recording_epoch), Int32,
                          (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{EpochOptions}, Ptr{EpochReport}, Ptr{Cvoid}, Ptr{Cvoid}),
                          slot, source, options, result, fn, user)
                end
            end
        end
        status
    end
    return trials, merge(report, (worst_channel=report.worst_channel + 1,))
end
