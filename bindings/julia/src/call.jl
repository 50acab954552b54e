# From Julia to C and back: errors, handles, options, records, texts, progress.

"""What a failing call throws: `status` is the code, `name` its name, `message` the library's line `where: what, got, expected`."""
struct NeurodecodeError <: Exception
    status::Int32
    name::String
    message::String
end

Base.showerror(io::IO, error::NeurodecodeError) = print(io, error.name, ": ", error.message)

function check(status::Int32)
    status == 0 && return nothing
    message = unsafe_string(ccall(symbol(:nd_last_error), Cstring, ()))
    throw(NeurodecodeError(status, unsafe_string(ccall(symbol(:nd_status_name), Cstring, (Int32,), status)), message))
end

library_version() = unsafe_string(ccall(symbol(:nd_version), Cstring, ()))
build_info() = unsafe_string(ccall(symbol(:nd_build_info), Cstring, ()))

# A handle is freed by close() or by the garbage collector. ccall keeps it alive while the C function runs, because cconvert hands it over whole.
abstract type Handle end

function Base.unsafe_convert(::Type{Ptr{Cvoid}}, handle::Handle)
    handle.pointer == C_NULL && throw(ArgumentError("this $(typeof(handle)) is closed"))
    return handle.pointer
end

function Base.close(handle::Handle)
    pointer, handle.pointer = handle.pointer, C_NULL
    pointer == C_NULL || free(handle, pointer)
    return nothing
end

# Calls `fill` with a place for a handle and owns what comes back.
function made(fill, ::Type{T}) where {T<:Handle}
    slot = Ref{Ptr{Cvoid}}(C_NULL)
    check(fill(slot))
    return owned(T, slot)
end

owned(::Type{T}, slot) where {T<:Handle} = finalizer(close, T(slot[]))

text(value::AbstractString) = String(value)
text(::Nothing) = Cstring(C_NULL)

ids(::Nothing, count) = Ptr{Cstring}(C_NULL)
function ids(values, count)
    length(values) == count || throw(ArgumentError("got $(length(values)) ids, expected $count"))
    return String[string(value) for value in values]
end

dense(values::AbstractArray{<:Real}) = convert(Array{Float32}, values)
counts(values) = convert(Vector{Csize_t}, values)

# Numbers, texts and handles for the fields of an options struct; what is pointed to goes to `roots`, which must live through the call.
field(::Type{Cstring}, value::AbstractString, roots) = (push!(roots, String(value)); Base.unsafe_convert(Cstring, last(roots)))
field(::Type{Cstring}, ::Nothing, roots) = Cstring(C_NULL)
field(::Type{Ptr{Cvoid}}, value::Handle, roots) = (push!(roots, value); Base.unsafe_convert(Ptr{Cvoid}, value))
field(::Type{Ptr{Cvoid}}, ::Nothing, roots) = C_NULL
field(::Type{T}, value, roots) where {T} = convert(T, value)

# Calls `use` with an options struct: the defaults that `init` writes, and what the keywords say.
function with_options(use, ::Type{T}, keywords, init=initialise) where {T}
    options = Ref{T}()
    check(init(options))
    for key in keys(keywords)
        key in fieldnames(T) && key != :size || throw(ArgumentError("unknown option $key, expected one of: $(join(fieldnames(T)[2:end], ", "))"))
    end
    roots = Any[]
    defaults = options[]
    options[] = T((haskey(keywords, name) ? field(fieldtype(T, name), keywords[name], roots) : getfield(defaults, name) for name in fieldnames(T))...)
    return GC.@preserve roots use(options)
end

initialise(o::Ref{DatasetOptions}) = ccall(symbol(:nd_dataset_options_init), Int32, (Ptr{DatasetOptions}, Csize_t), o, sizeof(DatasetOptions))
initialise(o::Ref{LabelOptions}) = ccall(symbol(:nd_label_options_init), Int32, (Ptr{LabelOptions}, Csize_t), o, sizeof(LabelOptions))
initialise(o::Ref{BankOptions}) = ccall(symbol(:nd_bank_options_init), Int32, (Ptr{BankOptions}, Csize_t), o, sizeof(BankOptions))
initialise(o::Ref{EncoderOptions}) = ccall(symbol(:nd_encoder_options_init), Int32, (Ptr{EncoderOptions}, Csize_t), o, sizeof(EncoderOptions))
initialise(o::Ref{LossOptions}) = ccall(symbol(:nd_loss_options_init), Int32, (Ptr{LossOptions}, Csize_t), o, sizeof(LossOptions))
initialise(o::Ref{TrainOptions}) = ccall(symbol(:nd_train_options_init), Int32, (Ptr{TrainOptions}, Csize_t), o, sizeof(TrainOptions))
initialise(o::Ref{CrossOptions}) = ccall(symbol(:nd_cross_options_init), Int32, (Ptr{CrossOptions}, Csize_t), o, sizeof(CrossOptions))
initialise(o::Ref{RetrievalOptions}) = ccall(symbol(:nd_retrieval_options_init), Int32, (Ptr{RetrievalOptions}, Csize_t), o, sizeof(RetrievalOptions))
initialise(o::Ref{PreparationOptions}) = ccall(symbol(:nd_preparation_options_init), Int32, (Ptr{PreparationOptions}, Csize_t), o, sizeof(PreparationOptions))
initialise(o::Ref{SimulateOptions}) = ccall(symbol(:nd_simulate_options_init), Int32, (Ptr{SimulateOptions}, Csize_t), o, sizeof(SimulateOptions))

# A struct that receives results, with its size set; and it as a named tuple with Julia strings.
function fetched(fill, ::Type{T}) where {T}
    result = Ref{T}()
    GC.@preserve result unsafe_store!(Ptr{Csize_t}(Base.unsafe_convert(Ptr{T}, result)), sizeof(T))
    check(fill(result))
    return record(result[])
end

plain(value) = value
plain(value::Cstring) = value == C_NULL ? nothing : unsafe_string(value)

function record(value::T) where {T}
    names = filter(name -> name ∉ (:size, :reserved), fieldnames(T))
    return NamedTuple{names}(map(name -> plain(getfield(value, name)), names))
end

# All rows of a table that ends where the library refuses the index; one without rows is an error unless `empty` says that there may be none.
function table(fill, ::Type{T}; empty=false) where {T}
    rows = NamedTuple[]
    while true
        try
            push!(rows, fetched(result -> fill(length(rows), result), T))
        catch error
            error isa NeurodecodeError && error.name == "ND_ERR_ARGUMENT" && (empty || !isempty(rows)) || rethrow()
            return rows
        end
    end
end

# A string that the library keeps, and one that it writes into a buffer after having told its size.
function got_text(fill)
    result = Ref{Cstring}(C_NULL)
    check(fill(result))
    return unsafe_string(result[])
end

function written_text(fill)
    needed = Ref{Csize_t}(0)
    check(fill(Ptr{UInt8}(C_NULL), 0, needed))
    buffer = Vector{UInt8}(undef, needed[])
    check(fill(buffer, length(buffer), needed))
    return String(buffer[1:end-1])
end

mutable struct Watch
    tell::Any
    error::Any
end

function report(seen::Ptr{Progress}, user::Ptr{Cvoid})::Int32
    watch = unsafe_pointer_to_objref(user)::Watch
    try
        return watch.tell !== nothing && watch.tell(record(unsafe_load(seen))) === true ? 1 : 0
    catch error
        watch.error = error
        return 1
    end
end

# Calls `use` with a progress function and its pointer and returns the status; what `tell` throws stops the call and is thrown here.
function watched(use, tell)
    watch = Watch(tell, nothing)
    status = GC.@preserve watch use(@cfunction(report, Int32, (Ptr{Progress}, Ptr{Cvoid})), pointer_from_objref(watch))
    watch.error === nothing || throw(watch.error)
    return status
end

log_line(level::Int32, line::Cstring, user::Ptr{Cvoid})::Cvoid = println(stderr, "neurodecode: ", unsafe_string(line))

"""Writes the library's log lines to stderr: level 1 warnings, 2 information, 3 details; 0 makes it silent, as it is at first.
Lines may come from threads of the library: that needs Julia 1.9."""
function set_log(level::Integer)
    fn = level == 0 ? C_NULL : @cfunction(log_line, Cvoid, (Int32, Cstring, Ptr{Cvoid}))
    check(ccall(symbol(:nd_set_log), Int32, (Int32, Ptr{Cvoid}, Ptr{Cvoid}), max(level, 1), fn, C_NULL))
end
