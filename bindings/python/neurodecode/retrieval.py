"""Finding the seen image, and how sure one can be of the figures."""
import json
from collections import namedtuple

import numpy as np

from . import _lib
from ._call import Handle, byref, fetched, free_function, got_text, lib, matrix, options, pointer, record, room, sizes, text, texts, written_json
from .bank import Bank
from .progress import watched

Metrics = record("Metrics", _lib.nd_metrics, """Figures of a retrieval; a candidate as similar as the true one ranks before it.

top1, top3, top5: fraction of queries whose image is among the first so many; mean_rank and median_rank: from 1; mrr: mean of 1 / rank;
pairwise: 2-way accuracy, chance 0.5; chance1 and chance5: of top1 and top5.""")

Estimate = record("Estimate", _lib.nd_estimate, """A fraction with what is needed to judge it.

value: hits / n; low, high: 95 % bootstrap interval; chance: by guessing; p_value: of so many hits by guessing, exact, one-sided binomial.""")

Comparison = record("Comparison", _lib.nd_comparison, """A comparison of two models on the same queries.

difference: hit fraction of the first minus that of the second; low, high: 95 % bootstrap interval; p_value: exact two-sided McNemar test; only_first,
only_second: queries that only this model gets.""")

KWay = namedtuple("KWay", "expected sampled")
KWay.__doc__ = "k-way accuracy: expected over all draws, and the mean over the random draws made."

Found = namedtuple("Found", "indices scores")
Found.__doc__ = "The most similar candidates, best first: indices intp (n, k) and scores float32 (n, k) in -1 .. 1."


class Retrieval(Handle):
    """A gallery of image embeddings with ids, normalised once.

    The keyword options are those of the C struct nd_retrieval_options: vectors ("l2" or "centred_l2"), centre_gallery, n_threads (0 = all).
    """

    _type = _lib.RETRIEVAL
    _free = free_function("nd_retrieval_free")

    def __init__(self, gallery, ids=None, layer=None, **keywords):
        """gallery: a Bank, of which `layer` is used (None = the first), or an array (candidates, dim) with one id per row; None = "0", "1", ..."""
        given = options(_lib.nd_retrieval_options, keywords)
        if isinstance(gallery, Bank):
            if ids is not None:
                raise TypeError("ids: a bank has its own")
            lib.nd_retrieval_create_for(self._slot(), gallery, text(layer), given)
            return
        if layer is not None:
            raise TypeError("layer: only a bank has layers")
        gallery = matrix(gallery, "gallery")
        lib.nd_retrieval_create(self._slot(), pointer(gallery), *gallery.shape, texts(ids, len(gallery), "ids"), given)

    @property
    def shape(self):
        """(candidates, dim)"""
        n_gallery, dim = _lib.c_size_t(), _lib.c_size_t()
        lib.nd_retrieval_get_size(self, byref(n_gallery), byref(dim))
        return n_gallery.value, dim.value

    def __len__(self):
        return self.shape[0]

    def id(self, index):
        """Id of candidate `index`."""
        return got_text(lib.nd_retrieval_get_id, self, index)

    @property
    def ids(self):
        """Ids of all candidates, a list."""
        return [self.id(index) for index in range(len(self))]

    def find(self, id):
        """Index of the candidate called `id`."""
        index = _lib.c_size_t()
        lib.nd_retrieval_find(self, text(id), byref(index))
        return index.value

    def search(self, queries, k=5):
        """The k most similar candidates of each query (n, dim), a Found."""
        queries = matrix(queries, "queries", self.shape[1])
        indices, scores = np.empty((len(queries), k), np.uintp), room((len(queries), k))
        lib.nd_retrieval_search(self, pointer(queries), len(queries), k, pointer(indices), pointer(scores))
        return Found(indices.view(np.intp), scores)

    def rank(self, queries, truth):
        """Rank, from 1, of the true candidate of each query (n, dim), intp (n,). truth: indices, or ids as texts."""
        queries = matrix(queries, "queries", self.shape[1])
        if len(truth) and isinstance(truth[0], str):
            truth = [self.find(id) for id in truth]
        truth = sizes(truth, "truth")
        if len(truth) != len(queries):
            raise ValueError(f"truth: got {len(truth)} candidates, expected one for each of {len(queries)} queries")
        ranks = np.empty(len(queries), np.uintp)
        lib.nd_retrieval_rank(self, pointer(queries), pointer(truth), len(queries), pointer(ranks))
        return ranks.view(np.intp)

    def rank_dataset(self, encoder, dataset, progress=None):
        """Embeds a dataset and ranks the true image of each trial, intp (n_trials,)."""
        ranks = np.empty(len(dataset), np.uintp)
        watched(progress, lib.nd_retrieval_rank_dataset, self, encoder, dataset, pointer(ranks), ranks.size)
        return ranks.view(np.intp)


def metrics(ranks, n_gallery):
    """Summary of ranks (n,), a Metrics."""
    ranks = sizes(ranks, "ranks")
    return fetched(Metrics, _lib.nd_metrics, lib.nd_metrics_compute, pointer(ranks), ranks.size, n_gallery)


def top_k(ranks, n_gallery, k=1, n_resamples=0, seed=0):
    """Top-k accuracy with bootstrap interval (n_resamples 0 = 10,000), chance level and exact test, an Estimate."""
    ranks = sizes(ranks, "ranks")
    return fetched(Estimate, _lib.nd_estimate, lib.nd_metrics_top_k, pointer(ranks), ranks.size, n_gallery, k, n_resamples, seed)


def k_way(ranks, n_gallery, k=2, n_draws=0, seed=0):
    """Top-1 accuracy among k candidates, the true one and k - 1 drawn from the gallery (n_draws 0 = 1000), a KWay."""
    ranks = sizes(ranks, "ranks")
    expected, sampled = _lib.c_double(), _lib.c_double()
    lib.nd_metrics_k_way(pointer(ranks), ranks.size, n_gallery, k, n_draws, seed, byref(expected), byref(sampled))
    return KWay(expected.value, sampled.value)


def auc(scores, positive):
    """Probability that a positive trial scores higher than a negative one: area under the receiver operating characteristic. positive: bool (n,)."""
    scores, positive = np.ascontiguousarray(scores, dtype=np.float64), np.ascontiguousarray(positive, dtype=np.int32)
    if scores.shape != positive.shape or scores.ndim != 1:
        raise ValueError(f"positive: got {positive.shape}, expected one for each of {scores.shape} scores")
    area = _lib.c_double()
    lib.nd_metrics_auc(scores.ctypes.data_as(_lib.DOUBLE), positive.ctypes.data_as(_lib.POINTER(_lib.c_int32)), scores.size, byref(area))
    return area.value


def compare(first, second, k=1, n_resamples=0, seed=0):
    """Compares the top-k hits of two models on the same queries by their ranks (n,), a Comparison."""
    first, second = sizes(first, "first"), sizes(second, "second")
    if len(first) != len(second):
        raise ValueError(f"second: got {len(second)} ranks, expected {len(first)} as in first")
    return fetched(Comparison, _lib.nd_comparison, lib.nd_metrics_compare, pointer(first), pointer(second), len(first), k, n_resamples, seed)


def report(ranks, n_gallery, protocol=None, seed=0):
    """All figures of a retrieval as a dict that json.dump() takes. protocol: a dict that is copied in as "protocol"."""
    ranks = sizes(ranks, "ranks")
    told = None if protocol is None else text(json.dumps(protocol))
    return written_json(lib.nd_metrics_to_json, pointer(ranks), ranks.size, n_gallery, told, seed)
