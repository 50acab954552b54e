# Files, datasets, banks and the simulator.

formats() = table(FormatInfo) do index, result
    ccall(symbol(:nd_format_get_info), Int32, (Csize_t, Ptr{FormatInfo}), index, result)
end

"""What is in a file, as a JSON text."""
describe(path) = written_text() do buffer, capacity, needed
    ccall(symbol(:nd_file_describe), Int32, (Cstring, Ptr{UInt8}, Csize_t, Ptr{Csize_t}), path, buffer, capacity, needed)
end

"""Writes everything in a file, such as a PyTorch checkpoint, as .npz, .safetensors or .pickle: names and types are kept."""
convert_file(from, to) = check(ccall(symbol(:nd_file_convert), Int32, (Cstring, Cstring), from, to))

"""One numeric array of a file as Float32, its dimensions in reverse order."""
function read_array(path; variable=nothing)
    shape, n_dims = zeros(Csize_t, 8), Ref{Csize_t}(8)
    array_read(values, capacity) = check(ccall(symbol(:nd_array_read), Int32, (Cstring, Cstring, Ptr{Csize_t}, Ptr{Csize_t}, Ptr{Cfloat}, Csize_t),
                                               path, text(variable), shape, n_dims, values, capacity))
    array_read(Ptr{Cfloat}(C_NULL), 0)
    values = Array{Float32}(undef, reverse(Int.(shape[1:n_dims[]]))...)
    n_dims[] = 8
    array_read(values, length(values))
    return values
end

"""Writes an array as Float32, its dimensions in reverse order; the extension of `path` says how."""
function write_array(path, values)
    values = dense(values)
    shape = Csize_t[reverse(size(values))...]
    check(ccall(symbol(:nd_array_write), Int32, (Cstring, Ptr{Cfloat}, Ptr{Csize_t}, Csize_t), path, values, shape, length(shape)))
end

"""Trials of brain activity with the id of the image that was seen. Options are keywords, named as the fields of the C struct `nd_dataset_options`."""
mutable struct Dataset <: Handle
    pointer::Ptr{Cvoid}
end

free(::Dataset, pointer) = ccall(symbol(:nd_dataset_free), Cvoid, (Ptr{Cvoid},), pointer)

"""Copies an array of samples x channels x trials. `image_ids`: one per trial."""
function Dataset(data::AbstractArray{<:Real,3}; image_ids=nothing, keywords...)
    data = dense(data)
    n_samples, n_channels, n_trials = size(data)
    return made(Dataset) do slot
        with_options(DatasetOptions, keywords) do options
            ccall(symbol(:nd_dataset_create), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cfloat}, Csize_t, Csize_t, Csize_t, Ptr{Cstring}, Ptr{DatasetOptions}),
                  slot, data, n_trials, n_channels, n_samples, ids(image_ids, n_trials), options)
        end
    end
end

Base.open(::Type{Dataset}, path; progress=nothing, keywords...) = made(Dataset) do slot
    with_options(DatasetOptions, keywords) do options
        watched(progress) do fn, user
            ccall(symbol(:nd_dataset_open), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Ptr{DatasetOptions}, Ptr{Cvoid}, Ptr{Cvoid}),
                  slot, path, options, fn, user)
        end
    end
end

"""Reads `source` straight into the store `path`, in constant memory, and opens that."""
import_file(source, path; progress=nothing, keywords...) = made(Dataset) do slot
    with_options(DatasetOptions, keywords) do options
        watched(progress) do fn, user
            ccall(symbol(:nd_dataset_import), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Cstring, Ptr{DatasetOptions}, Ptr{Cvoid}, Ptr{Cvoid}),
                  slot, source, path, options, fn, user)
        end
    end
end

"""One partition, "training" or "test", of one subject of a folder laid out as THINGS-EEG2."""
open_things_eeg2(::Type{Dataset}, folder, subject, partition; store_dir=nothing, progress=nothing, average=1, keywords...) = made(Dataset) do slot
    with_options(DatasetOptions, (; average=average, keywords...)) do options
        watched(progress) do fn, user
            ccall(symbol(:nd_dataset_open_things_eeg2), Int32,
                  (Ptr{Ptr{Cvoid}}, Cstring, Int32, Cstring, Cstring, Ptr{DatasetOptions}, Ptr{Cvoid}, Ptr{Cvoid}),
                  slot, folder, subject, partition, text(store_dir), options, fn, user)
        end
    end
end

save(dataset::Dataset, path; progress=nothing) = check(watched(progress) do fn, user
    ccall(symbol(:nd_dataset_save), Int32, (Ptr{Cvoid}, Cstring, Ptr{Cvoid}, Ptr{Cvoid}), dataset, path, fn, user)
end)

"""Writes the dataset as a store; `precision` 1 is bfloat16, in half the space."""
save(dataset::Dataset, path, precision; progress=nothing) = check(watched(progress) do fn, user
    ccall(symbol(:nd_dataset_save_as), Int32, (Ptr{Cvoid}, Cstring, Int32, Ptr{Cvoid}, Ptr{Cvoid}), dataset, path, precision, fn, user)
end)

info(dataset::Dataset) = fetched(DatasetInfo) do result
    ccall(symbol(:nd_dataset_get_info), Int32, (Ptr{Cvoid}, Ptr{DatasetInfo}), dataset, result)
end

Base.length(dataset::Dataset) = Int(info(dataset).n_trials)

channel(dataset::Dataset, index) = got_text() do result
    ccall(symbol(:nd_dataset_get_channel), Int32, (Ptr{Cvoid}, Csize_t, Ptr{Cstring}), dataset, index - 1, result)
end

image(dataset::Dataset, index) = got_text() do result
    ccall(symbol(:nd_dataset_get_image), Int32, (Ptr{Cvoid}, Csize_t, Ptr{Cstring}), dataset, index - 1, result)
end

"""What is known of one trial; its `image_index` and `concept_index` count from 1."""
function trial(dataset::Dataset, index)
    found = fetched(Trial) do result
        ccall(symbol(:nd_dataset_get_trial), Int32, (Ptr{Cvoid}, Csize_t, Ptr{Trial}), dataset, index - 1, result)
    end
    return merge(found, (image_index=found.image_index + 1, concept_index=found.concept_index + 1))
end

"""Trials as an array of samples x channels x count."""
function data(dataset::Dataset, first=1, count=length(dataset) - first + 1)
    about = info(dataset)
    values = Array{Float32}(undef, about.n_samples, about.n_channels, count)
    check(ccall(symbol(:nd_dataset_get_data), Int32, (Ptr{Cvoid}, Csize_t, Csize_t, Ptr{Cfloat}, Csize_t),
                dataset, first - 1, count, values, length(values)))
    return values
end

select(source::Dataset, trials) = made(Dataset) do slot
    chosen = counts(trials .- 1)
    ccall(symbol(:nd_dataset_select), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Csize_t}, Csize_t), slot, source, chosen, length(chosen))
end

select_channels(source::Dataset, channels) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_select_channels), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring), slot, source, channels)
end

window(source::Dataset, start, stop, step=1) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_window), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cdouble, Cdouble, Csize_t), slot, source, start, stop, step)
end

baseline(source::Dataset, start, stop) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_baseline), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cdouble, Cdouble), slot, source, start, stop)
end

average(source::Dataset) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_average), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}), slot, source)
end

"""Gives the trials the labels of a table, a row for each or events as BIDS has them. Keywords as in the C struct `nd_label_options`."""
label(source::Dataset, table; keywords...) = made(Dataset) do slot
    with_options(LabelOptions, keywords) do options
        ccall(symbol(:nd_dataset_label), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring, Ptr{LabelOptions}), slot, source, table, options)
    end
end

"""Keeps the trials whose image or concept is listed in `keep` and not in `drop`, lists as text."""
select_labels(source::Dataset; keep=nothing, drop=nothing) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_select_labels), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring, Cstring), slot, source, text(keep), text(drop))
end

"""Averages consecutive trials of the same image, within a run."""
average_blocks(source::Dataset) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_average_blocks), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}), slot, source)
end

"""Subtracts from each channel's series of trials its polynomial of a degree, group by group."""
detrend(source::Dataset, degree=1; group="run") = made(Dataset) do slot
    ccall(symbol(:nd_dataset_detrend), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Int32, Cstring), slot, source, degree, text(group))
end

"""Brings each channel's series of trials to mean 0 and deviation 1, group by group, both taken from the trials of `label` or from all."""
standardise(source::Dataset; group="run", label=nothing) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_standardise), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring, Cstring), slot, source, text(group), text(label))
end

"""`how`: 1 z-score, 2 as the reference system."""
normalise(source::Dataset, how=1) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_normalise), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Int32), slot, source, how)
end

concat(first::Dataset, second::Dataset) = made(Dataset) do slot
    ccall(symbol(:nd_dataset_concat), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}), slot, first, second)
end

"""Splits at random into two datasets, all trials of one "image", "concept" or "subject" on the same side."""
function split_groups(source::Dataset, fraction; group="concept", seed=42)
    first, second = Ref{Ptr{Cvoid}}(C_NULL), Ref{Ptr{Cvoid}}(C_NULL)
    check(ccall(symbol(:nd_dataset_split), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cdouble, Cstring, UInt64),
                first, second, source, fraction, group, seed))
    return owned(Dataset, first), owned(Dataset, second)
end

"""Image embeddings by image id. Options are keywords, named as the fields of the C struct `nd_bank_options`."""
mutable struct Bank <: Handle
    pointer::Ptr{Cvoid}
end

free(::Bank, pointer) = ccall(symbol(:nd_bank_free), Cvoid, (Ptr{Cvoid},), pointer)

"""Copies vectors, dim x images, as a bank of one layer."""
function Bank(vectors::AbstractMatrix{<:Real}; image_ids=nothing, layer=nothing)
    vectors = dense(vectors)
    dim, n_images = size(vectors)
    return made(Bank) do slot
        ccall(symbol(:nd_bank_create), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cfloat}, Csize_t, Csize_t, Ptr{Cstring}, Cstring),
              slot, vectors, n_images, dim, ids(image_ids, n_images), text(layer))
    end
end

one_hot(dataset::Dataset) = made(Bank) do slot
    ccall(symbol(:nd_bank_create_one_hot), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}), slot, dataset)
end

Base.open(::Type{Bank}, path; progress=nothing, keywords...) = made(Bank) do slot
    with_options(BankOptions, keywords) do options
        watched(progress) do fn, user
            ccall(symbol(:nd_bank_open), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Ptr{BankOptions}, Ptr{Cvoid}, Ptr{Cvoid}), slot, path, options, fn, user)
        end
    end
end

"""The embeddings of one partition, "training", "test" or "all", of a folder laid out as THINGS-EEG2."""
open_things_eeg2(::Type{Bank}, folder, partition; suffix=nothing, progress=nothing) = made(Bank) do slot
    watched(progress) do fn, user
        ccall(symbol(:nd_bank_open_things_eeg2), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Cstring, Cstring, Ptr{Cvoid}, Ptr{Cvoid}),
              slot, folder, partition, text(suffix), fn, user)
    end
end

save(bank::Bank, path) = check(ccall(symbol(:nd_bank_save), Int32, (Ptr{Cvoid}, Cstring), bank, path))
save(bank::Bank, path, precision) = check(ccall(symbol(:nd_bank_save_as), Int32, (Ptr{Cvoid}, Cstring, Int32), bank, path, precision))

info(bank::Bank) = fetched(BankInfo) do result
    ccall(symbol(:nd_bank_get_info), Int32, (Ptr{Cvoid}, Ptr{BankInfo}), bank, result)
end

Base.length(bank::Bank) = Int(info(bank).n_images)

"""Name and vector length of a layer."""
function layer(bank::Bank, index)
    dim = Ref{Csize_t}(0)
    name = got_text() do result
        ccall(symbol(:nd_bank_get_layer), Int32, (Ptr{Cvoid}, Csize_t, Ptr{Cstring}, Ptr{Csize_t}), bank, index - 1, result, dim)
    end
    return (name=name, dim=Int(dim[]))
end

image(bank::Bank, index) = got_text() do result
    ccall(symbol(:nd_bank_get_image), Int32, (Ptr{Cvoid}, Csize_t, Ptr{Cstring}), bank, index - 1, result)
end

"""All vectors of a layer, dim x images."""
function vectors(bank::Bank, name=layer(bank, 1).name)
    layers = [layer(bank, index) for index in 1:info(bank).n_layers]
    dim = sum(Int[one.dim for one in layers if one.name == name])
    values = Array{Float32}(undef, dim, length(bank))
    check(ccall(symbol(:nd_bank_get_vectors), Int32, (Ptr{Cvoid}, Cstring, Ptr{Cfloat}, Csize_t), bank, name, values, length(values)))
    return values
end

select(source::Bank, image_ids) = made(Bank) do slot
    ccall(symbol(:nd_bank_select), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cstring}, Csize_t),
          slot, source, ids(image_ids, length(image_ids)), length(image_ids))
end

select_for(source::Bank, dataset::Dataset) = made(Bank) do slot
    ccall(symbol(:nd_bank_select_for), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}), slot, source, dataset)
end

append(first::Bank, second::Bank) = made(Bank) do slot
    ccall(symbol(:nd_bank_append), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}), slot, first, second)
end

add_layers(first::Bank, second::Bank) = made(Bank) do slot
    ccall(symbol(:nd_bank_add_layers), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}), slot, first, second)
end

concat_layers(source::Bank, layers=nothing; unit_length=false) = made(Bank) do slot
    ccall(symbol(:nd_bank_concat_layers), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring, Int32), slot, source, text(layers), unit_length)
end

standardise(source::Bank, fit::Bank=source) = made(Bank) do slot
    ccall(symbol(:nd_bank_standardise), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Ptr{Cvoid}), slot, source, fit)
end

align(source::Bank, transform) = made(Bank) do slot
    ccall(symbol(:nd_bank_align), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring), slot, source, transform)
end

"""Writes a world shaped like THINGS-EEG2 into `folder`. Options are keywords, named as the fields of the C struct `nd_simulate_options`."""
simulate(folder; progress=nothing, keywords...) = with_options(SimulateOptions, keywords) do options
    check(watched(progress) do fn, user
        ccall(symbol(:nd_simulate), Int32, (Cstring, Ptr{SimulateOptions}, Ptr{Cvoid}, Ptr{Cvoid}), folder, options, fn, user)
    end)
end
