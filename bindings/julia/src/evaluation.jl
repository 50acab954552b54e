# Galleries, ranks and statistics.

"""A gallery of image embeddings with ids. Options are keywords, named as the fields of the C struct `nd_retrieval_options`."""
mutable struct Retrieval <: Handle
    pointer::Ptr{Cvoid}
end

free(::Retrieval, pointer) = ccall(symbol(:nd_retrieval_free), Cvoid, (Ptr{Cvoid},), pointer)

"""A gallery of vectors, dim x candidates."""
function Retrieval(gallery::AbstractMatrix{<:Real}; names=nothing, keywords...)
    gallery = dense(gallery)
    dim, n = size(gallery)
    return made(Retrieval) do slot
        with_options(RetrievalOptions, keywords) do options
            ccall(symbol(:nd_retrieval_create), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cfloat}, Csize_t, Csize_t, Ptr{Cstring}, Ptr{RetrievalOptions}),
                  slot, gallery, n, dim, ids(names, n), options)
        end
    end
end

"""A gallery of a layer of a bank."""
Retrieval(bank::Bank; layer=nothing, keywords...) = made(Retrieval) do slot
    with_options(RetrievalOptions, keywords) do options
        ccall(symbol(:nd_retrieval_create_for), Int32, (Ptr{Ptr{Cvoid}}, Ptr{Cvoid}, Cstring, Ptr{RetrievalOptions}),
              slot, bank, text(layer), options)
    end
end

"""(dim, candidates)"""
function Base.size(retrieval::Retrieval)
    n_gallery, dim = Ref{Csize_t}(0), Ref{Csize_t}(0)
    check(ccall(symbol(:nd_retrieval_get_size), Int32, (Ptr{Cvoid}, Ptr{Csize_t}, Ptr{Csize_t}), retrieval, n_gallery, dim))
    return Int(dim[]), Int(n_gallery[])
end

id(retrieval::Retrieval, index) = got_text() do result
    ccall(symbol(:nd_retrieval_get_id), Int32, (Ptr{Cvoid}, Csize_t, Ptr{Cstring}), retrieval, index - 1, result)
end

"""Index, from 1, of the candidate called `id`."""
function find(retrieval::Retrieval, id)
    index = Ref{Csize_t}(0)
    check(ccall(symbol(:nd_retrieval_find), Int32, (Ptr{Cvoid}, Cstring, Ptr{Csize_t}), retrieval, id, index))
    return Int(index[]) + 1
end

function queries_for(retrieval, queries)
    size(queries, 1) == size(retrieval)[1] || throw(DimensionMismatch("queries are $(size(queries)), expected ($(size(retrieval)[1]), n)"))
    return dense(queries)
end

"""The k most similar candidates of each query (dim x n), best first: indices from 1 and scores, both k x n."""
function search(retrieval::Retrieval, queries::AbstractMatrix{<:Real}, k=5)
    queries = queries_for(retrieval, queries)
    n = size(queries, 2)
    indices, scores = Array{Csize_t}(undef, k, n), Array{Float32}(undef, k, n)
    check(ccall(symbol(:nd_retrieval_search), Int32, (Ptr{Cvoid}, Ptr{Cfloat}, Csize_t, Csize_t, Ptr{Csize_t}, Ptr{Cfloat}),
                retrieval, queries, n, k, indices, scores))
    return (indices=Int.(indices) .+ 1, scores=scores)
end

"""Rank, from 1, of the true candidate (an index from 1) of each query (dim x n)."""
function rank(retrieval::Retrieval, queries::AbstractMatrix{<:Real}, truth)
    queries = queries_for(retrieval, queries)
    n = size(queries, 2)
    length(truth) == n || throw(DimensionMismatch("got $(length(truth)) true candidates for $n queries"))
    true_index, ranks = counts(truth .- 1), Vector{Csize_t}(undef, n)
    check(ccall(symbol(:nd_retrieval_rank), Int32, (Ptr{Cvoid}, Ptr{Cfloat}, Ptr{Csize_t}, Csize_t, Ptr{Csize_t}),
                retrieval, queries, true_index, n, ranks))
    return Int.(ranks)
end

"""Embeds a dataset and ranks the true image of each trial."""
function rank_dataset(retrieval::Retrieval, encoder::Encoder, dataset::Dataset; progress=nothing)
    ranks = Vector{Csize_t}(undef, length(dataset))
    check(watched(progress) do fn, user
        ccall(symbol(:nd_retrieval_rank_dataset), Int32, (Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Cvoid}, Ptr{Csize_t}, Csize_t, Ptr{Cvoid}, Ptr{Cvoid}),
              retrieval, encoder, dataset, ranks, length(ranks), fn, user)
    end)
    return Int.(ranks)
end

"""Summary of ranks."""
metrics(ranks, n_gallery) = fetched(Metrics) do result
    ccall(symbol(:nd_metrics_compute), Int32, (Ptr{Csize_t}, Csize_t, Csize_t, Ptr{Metrics}), counts(ranks), length(ranks), n_gallery, result)
end

"""Top-k accuracy with bootstrap interval, chance level and exact test."""
top_k(ranks, n_gallery, k=1; n_resamples=0, seed=0) = fetched(Estimate) do result
    ccall(symbol(:nd_metrics_top_k), Int32, (Ptr{Csize_t}, Csize_t, Csize_t, Csize_t, UInt32, UInt64, Ptr{Estimate}),
          counts(ranks), length(ranks), n_gallery, k, n_resamples, seed, result)
end

"""Top-1 accuracy among k candidates."""
function k_way(ranks, n_gallery, k=2; n_draws=0, seed=0)
    expected, sampled = Ref{Cdouble}(0), Ref{Cdouble}(0)
    check(ccall(symbol(:nd_metrics_k_way), Int32, (Ptr{Csize_t}, Csize_t, Csize_t, Csize_t, UInt32, UInt64, Ptr{Cdouble}, Ptr{Cdouble}),
                counts(ranks), length(ranks), n_gallery, k, n_draws, seed, expected, sampled))
    return (expected=expected[], sampled=sampled[])
end

"""Area under the receiver operating characteristic: how often a positive trial scores higher than a negative one."""
function auc(scores, positive)
    length(scores) == length(positive) || throw(DimensionMismatch("got $(length(scores)) scores and $(length(positive)) classes"))
    area = Ref{Cdouble}(0)
    check(ccall(symbol(:nd_metrics_auc), Int32, (Ptr{Cdouble}, Ptr{Int32}, Csize_t, Ptr{Cdouble}),
                convert(Vector{Float64}, scores), convert(Vector{Int32}, positive), length(scores), area))
    return area[]
end

"""Compares the top-k hits of two models on the same queries."""
function compare(first, second, k=1; n_resamples=0, seed=0)
    length(first) == length(second) || throw(DimensionMismatch("got $(length(first)) and $(length(second)) ranks"))
    return fetched(Comparison) do result
        ccall(symbol(:nd_metrics_compare), Int32, (Ptr{Csize_t}, Ptr{Csize_t}, Csize_t, Csize_t, UInt32, UInt64, Ptr{Comparison}),
              counts(first), counts(second), length(first), k, n_resamples, seed, result)
    end
end

"""All figures of a retrieval as a JSON text; `protocol` is a JSON text that is copied in."""
metrics_json(ranks, n_gallery; protocol=nothing, seed=0) = written_text() do buffer, capacity, needed
    ccall(symbol(:nd_metrics_to_json), Int32, (Ptr{Csize_t}, Csize_t, Csize_t, Cstring, UInt64, Ptr{UInt8}, Csize_t, Ptr{Csize_t}),
          counts(ranks), length(ranks), n_gallery, text(protocol), seed, buffer, capacity, needed)
end
