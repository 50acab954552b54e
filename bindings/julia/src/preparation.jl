# From the published files of a data set to stores.

preparation_kinds() = table(PreparationKindInfo) do index, result
    ccall(symbol(:nd_preparation_kind_get_info), Int32, (Csize_t, Ptr{PreparationKindInfo}), index, result)
end

preparation_params(kind) = table(ParamInfo) do index, result
    ccall(symbol(:nd_preparation_kind_get_param), Int32, (Cstring, Csize_t, Ptr{ParamInfo}), kind, index, result)
end

"""What is to be made of the files of one data set for one person. Options are keywords, named as the fields of the C struct `nd_preparation_options`."""
mutable struct Preparation <: Handle
    pointer::Ptr{Cvoid}
end

free(::Preparation, pointer) = ccall(symbol(:nd_preparation_free), Cvoid, (Ptr{Cvoid},), pointer)

Preparation(kind, source, output; keywords...) = with_options(PreparationOptions, (output=output, keywords...)) do options
    made(Preparation) do slot
        ccall(symbol(:nd_preparation_create), Int32, (Ptr{Ptr{Cvoid}}, Cstring, Cstring, Ptr{PreparationOptions}), slot, kind, source, options)
    end
end

"""The plan and how far it has come, as JSON."""
report(preparation::Preparation) = written_text() do buffer, capacity, needed
    ccall(symbol(:nd_preparation_get_report), Int32, (Ptr{Cvoid}, Ptr{UInt8}, Csize_t, Ptr{Csize_t}), preparation, buffer, capacity, needed)
end

"""Works off the steps that are left."""
run!(preparation::Preparation; progress=nothing) = check(watched(progress) do fn, user
    ccall(symbol(:nd_preparation_run), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}), preparation, fn, user)
end)
