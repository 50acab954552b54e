"""How the cost of a training step of NICE grows with channels, samples, batch and threads, and that of a search with the gallery: tables for a page.

    NEURODECODE_LIBRARY=build/lib/libneurodecode.so python3 tests/bench/growth.py [--encoder nice] [--seconds 0.5]

One thing changes at a time; the least time of several calls counts. `power` is the exponent between two rows: 1 where twice the size takes twice the time."""
import argparse
import math
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bindings/python"))

import numpy as np

import neurodecode as nd

USUAL = {"channels": 63, "samples": 250, "batch": 128, "threads": 1}
GROWING = {"channels": (16, 32, 63, 126, 252), "samples": (125, 250, 500, 1000), "batch": (16, 32, 64, 128, 256, 512), "threads": (1, 2)}
GALLERIES, DIM = (200, 2000, 20000, 200000), 512


def least(call, seconds):
    found = []
    call()
    end = time.monotonic() + seconds
    while len(found) < 3 or time.monotonic() < end:
        start = time.perf_counter()
        call()
        found.append(1e3 * (time.perf_counter() - start))
    return min(found)


def step(kind, seconds, channels, samples, batch, threads):
    rng = np.random.default_rng(0)
    encoder = nd.Encoder(kind, n_channels=channels, n_samples=samples, embed_dim=DIM, n_threads=threads)
    x, z = rng.standard_normal((batch, channels, samples), np.float32), rng.standard_normal((batch, DIM), np.float32)
    trainer = nd.Trainer(encoder, nd.Loss(), nd.Dataset(x), nd.Bank(z), batch_size=batch, validation_fraction=0, epochs=100000, n_threads=threads)
    return least(trainer.step, seconds)


def search(seconds, candidates, queries):
    rng = np.random.default_rng(0)
    retrieval = nd.Retrieval(rng.standard_normal((candidates, DIM), np.float32), n_threads=1)
    x = rng.standard_normal((queries, DIM), np.float32)
    return least(lambda: retrieval.search(x, 5), seconds)


def table(title, sizes, measure, unit):
    print(f"\n| {title} | ms | ms / {unit} | power |\n|---|---|---|---|")
    before = None
    for size in sizes:
        ms = measure(size)
        power = f"{math.log(ms / before[1]) / math.log(size / before[0]):.2f}" if before else ""
        print(f"| {size} | {ms:.3f} | {ms / size:.5f} | {power} |", flush=True)
        before = size, ms


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="nice")
    parser.add_argument("--seconds", type=float, default=0.5, help="for each number")
    options = parser.parse_args()
    print(f"Training step of {options.encoder}, else {', '.join(f'{value} {what}' for what, value in USUAL.items())}; kernels: {nd.build_info()['kernels']}")
    for what, sizes in GROWING.items():
        table(what, sizes, lambda size: step(options.encoder, options.seconds, **{**USUAL, what: size}), what.rstrip("s"))
    for queries in (1, 128):
        table(f"gallery, {queries} {'query' if queries == 1 else 'queries'} of {DIM}", GALLERIES, lambda size: search(options.seconds, size, queries), "candidate")


if __name__ == "__main__":
    main()
