"""Training steps from a store that the memory left for it does not hold: the rest is taken and locked, as another program would.

    NEURODECODE_LIBRARY=build/lib/libneurodecode.so python3 tests/bench/beyond_memory.py [--folder .] [--trials 132320] [--leave 4] [--threads 1] [--steps 100]

Needs the right to lock memory, and room on the disk for the store: 63 KB a trial. With --leave 0 nothing is taken."""
import argparse
import ctypes
import mmap
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bindings/python"))

import numpy as np

import neurodecode as nd

CHANNELS, SAMPLES, DIM, PART = 63, 250, 512, 33080


def make_stores(folder, trials):
    noise = np.random.default_rng(1).standard_normal((2000, CHANNELS, SAMPLES), np.float32)
    for first in range(0, trials, PART):
        rows = np.arange(first, min(first + PART, trials))
        path = folder / f"{first}.safetensors"
        nd.Dataset(noise[rows % len(noise)], image_ids=[str(row) for row in rows]).save(path)
        yield path


def open_all(paths):
    data = None
    for path in paths:
        part = nd.Dataset.open(path)
        data = part if data is None else data.concat(part)
    return data


def lock_all_but(gigabytes):
    available = next(int(line.split()[1]) * 1024 for line in open("/proc/meminfo") if line.startswith("MemAvailable"))
    taken = mmap.mmap(-1, available - int(gigabytes * 2**30))
    if ctypes.CDLL(None).mlock(ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(taken))), ctypes.c_size_t(len(taken))):
        sys.exit(f"cannot lock {len(taken)} bytes")
    return taken


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=".")
    parser.add_argument("--trials", type=int, default=4 * PART)
    parser.add_argument("--leave", type=float, default=4, help="GiB")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        data = open_all(list(make_stores(pathlib.Path(folder), options.trials)))
        os.sync()
        taken = lock_all_but(options.leave) if options.leave else None
        bank = nd.Bank(np.random.default_rng(2).standard_normal((len(data.images), DIM)).astype(np.float32), image_ids=list(data.images))
        encoder = nd.Encoder("nice", n_channels=CHANNELS, n_samples=SAMPLES, embed_dim=DIM, n_threads=options.threads)
        trainer = nd.Trainer(encoder, nd.Loss(), data, bank, batch_size=128, validation_fraction=0, n_threads=options.threads)
        times = []
        for _ in range(options.steps):
            before = time.perf_counter()
            trainer.step()
            times.append(1e3 * (time.perf_counter() - before))
        print(f"{63e-6 * options.trials:.1f} GB, {options.leave or 'all'} GiB of memory left, {options.threads} thread(s): ms a step: median {statistics.median(times):.1f}, "
              f"mean {statistics.mean(times):.1f}, least {min(times):.1f}, most {max(times):.1f}")
        del taken


if __name__ == "__main__":
    main()
