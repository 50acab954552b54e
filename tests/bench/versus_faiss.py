"""Exact search of the nearest by cosine: this library against faiss (IndexFlatIP), in turn, on the same normalised vectors and threads; the results must be the same.

    NEURODECODE_LIBRARY=build/lib/libneurodecode.so python tests/bench/versus_faiss.py [--candidates 1000000] [--queries 10000] [--dim 768] [--k 10] [--threads 1] [--repeats 3]

Needs NumPy and faiss-cpu. Prints the best time of each, the ratio, and GFLOP/s as if every scalar product were made in float. Where scores are as close as rounding two candidates may stand in each other's place; more than that fails."""
import argparse
import sys
import time
from pathlib import Path

import faiss
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bindings/python"))
import neurodecode as nd  # noqa: E402


def vectors(generator, n, dim):
    x = generator.standard_normal((n, dim), dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x


def timed(call):
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in {"candidates": 200000, "queries": 2000, "dim": 768, "k": 10, "threads": 1, "repeats": 3}.items():
        parser.add_argument("--" + name, type=int, default=value)
    o = parser.parse_args()
    generator = np.random.default_rng(0)
    gallery, queries = vectors(generator, o.candidates, o.dim), vectors(generator, o.queries, o.dim)
    faiss.omp_set_num_threads(o.threads)
    index = faiss.IndexFlatIP(o.dim)
    index.add(gallery)
    retrieval = nd.Retrieval(gallery, vectors="l2", n_threads=o.threads)
    del gallery
    best = [np.inf, np.inf]
    for _ in range(o.repeats):
        ours, (indices, scores) = timed(lambda: retrieval.search(queries, o.k))
        theirs, (their_scores, their_indices) = timed(lambda: index.search(queries, o.k))
        best = [min(best[0], ours), min(best[1], theirs)]
    assert np.abs(scores - their_scores).max() < 2e-6
    other = indices != their_indices
    assert np.abs(scores[other] - their_scores[other]).max(initial=0) < 2e-6 and other.mean() < 1e-3
    work = 2e-9 * o.queries * o.candidates * o.dim
    print(f"{o.queries} queries, {o.candidates} x {o.dim} ({4e-9 * o.candidates * o.dim:.2f} GB), k {o.k}, threads {o.threads}: {1e3 * best[0]:.2f} ms ({work / best[0]:.0f} GF/s), "
          f"faiss {faiss.__version__} {1e3 * best[1]:.2f} ms ({work / best[1]:.0f} GF/s), ratio {best[1] / best[0]:.2f}; {'all' if not other.any() else f'{1 - other.mean():.6f} of'} results equal")


if __name__ == "__main__":
    main()
