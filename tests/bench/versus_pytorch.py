"""Times the library and PyTorch in turn, in one process, on the same cores, weights and data: training steps, embedding, one trial with retrieval.

    NEURODECODE_LIBRARY=build/lib/libneurodecode.so python3 tests/bench/versus_pytorch.py [--cases nice,atms] [--threads 1,2] [--runs 3] [--markdown] [--whole 16540] [--cpu]

First, without dropout, both make a step from the same weights: `difference` is by how much loss and embeddings differ. Then each is timed with dropout: the best of several calls in each
run, and the median of the runs, which come one after the other for all cases. --whole embeds that many trials as well, once a run. --cpu takes the processor time of the process instead
of the time on the wall: on a busy machine, with one thread.
"""
import argparse
import os
import pathlib
import statistics
import sys
import time
from collections import namedtuple

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "torch"), str(HERE.parents[1] / "bindings/python")]
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch

import losses
import models
import neurodecode as nd

DIM, GALLERY, LENGTHS = 512, 200, "length1=0 length2=0 length3=0 length4=0"
Case = namedtuple("Case", "encoder channels samples batch image_dim", defaults=(128, None))  # image_dim: length of vectors that a linear projector takes to DIM; None = there is no projector
CASES = {
    "nice": Case("nice", 63, 250),
    "nice-meg": Case("nice", 271, 201),
    "tsconv": Case("tsconv", 63, 250),
    "atms": Case("atms", 63, 250),
    "eegnet": Case("eegnet", 63, 250),
    "eegconformer": Case("eegconformer", 63, 250),
    "resnet1d": Case("resnet1d", 63, 256),
    "lstm": Case("lstm", 63, 250),
    "eegproject": Case("eegproject", 63, 250),
    "eegproject-1024": Case("eegproject", 63, 250, 1024, 1024),
    "brain-mlp": Case("brain-mlp", 15724, 1),
}


def with_weights(model, encoder):
    model.load_state_dict({key: torch.from_numpy(value) for key, value in encoder.state().items()})
    return model


class Pair:
    """The same encoder twice, with a training of each."""

    def __init__(self, case, threads, dropout):
        rng = np.random.default_rng(1)
        kind, shape = case.encoder, (case.channels, case.samples)
        self.x = rng.standard_normal((case.batch, *shape), np.float32)
        self.z = rng.standard_normal((case.batch, case.image_dim or DIM), np.float32)
        off = [] if dropout else [f"{p.name}=0" for p in nd.encoder_params(kind) if p.name.endswith("dropout")]
        params = " ".join(["recipe=reference", *off, LENGTHS if kind == "resnet1d" else ""])
        self.encoder = nd.Encoder(kind, n_channels=shape[0], n_samples=shape[1], embed_dim=DIM, params=params, n_threads=threads)
        model = models.build(kind, *shape, DIM)
        self.model = with_weights(model if dropout else models.without_dropout(model), self.encoder)
        projector, self.projector = None, torch.nn.Identity()
        if case.image_dim:
            projector = nd.Encoder("linear", n_channels=case.image_dim, n_samples=1, embed_dim=DIM, n_threads=threads)
            self.projector = with_weights(torch.nn.Linear(case.image_dim, DIM), projector)
        self.parameters = [*self.model.parameters(), *self.projector.parameters()]
        batches = 4 if dropout else 1  # an epoch ends with a copy of the weights: not after each step that is timed
        data = nd.Dataset(np.tile(self.x, (batches, 1, 1))), nd.Bank(np.tile(self.z, (batches, 1)))
        self.trainer = nd.Trainer(self.encoder, nd.Loss(), *data, batch_size=case.batch, validation_fraction=0, epochs=10000,
                                  schedule="constant", learning_rate=2e-4, n_threads=threads, projector=projector)
        self.optimiser = torch.optim.AdamW(self.parameters, 2e-4, weight_decay=0.1)
        self.gallery = rng.standard_normal((GALLERY, DIM), np.float32)
        self.retrieval = nd.Retrieval(self.gallery, n_threads=threads)

    def our_step(self):
        return self.trainer.step()

    def their_step(self):
        self.model.train()
        self.optimiser.zero_grad()
        loss = losses.clip(self.model(torch.from_numpy(self.x)), self.projector(torch.from_numpy(self.z)))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimiser.step()
        return loss.item()

    def our_embedding(self, n=None):
        return self.encoder.embed(self.x[:n])

    def their_embedding(self, n=None):
        with torch.no_grad():
            return self.model.eval()(torch.from_numpy(self.x[:n])).numpy()

    def our_trial(self):
        return self.retrieval.search(self.our_embedding(1), 5)

    def their_trial(self):
        with torch.no_grad():
            v = losses.normalised(torch.from_numpy(self.their_embedding(1)))
            return torch.topk(v @ losses.normalised(torch.from_numpy(self.gallery)).T, 5)


def best(ours, theirs, clock, seconds):
    """Least time of either, in ms, taken in turn for about `seconds`; at least three calls, or one for 0 seconds."""
    times = [[], []]
    if seconds:
        ours(), theirs()
    end = time.monotonic() + seconds
    while len(times[0]) < (3 if seconds else 1) or time.monotonic() < end:
        for found, call in zip(times, (ours, theirs)):
            start = clock()
            call()
            found.append(1e3 * (clock() - start))
    return min(times[0]), min(times[1])


def whole_set(pair, n):
    """Embedding n trials: all at once here, in batches there."""
    x = np.resize(pair.x, (n, *pair.x.shape[1:]))

    def theirs():
        with torch.no_grad():
            return [pair.model.eval()(torch.from_numpy(x[i:i + 128])) for i in range(0, n, 128)]

    return lambda: pair.encoder.embed(x), theirs


def compare(case, threads):
    """By how much the loss and the embeddings of the same weights differ, both relative."""
    exact = Pair(case, threads, False)
    a, b = exact.our_embedding(), exact.their_embedding()
    return {"embedding": np.abs(a - b).max() / np.abs(b).max(), "step": abs(exact.our_step() / exact.their_step() - 1)}


def measure(case, threads, clock, options):
    """{what: (ms here, ms there)} of one run."""
    pair = Pair(case, threads, True)
    calls = {"step": (pair.our_step, pair.their_step), "embedding": (pair.our_embedding, pair.their_embedding), "one trial": (pair.our_trial, pair.their_trial)}
    found = {what: best(*both, clock, options.seconds) for what, both in calls.items()}
    if options.whole:
        found[f"{options.whole} trials"] = best(*whole_set(pair, options.whole), clock, 0)
    return found


def cpu():
    try:
        return next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown CPU"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=5, help="for each number")
    parser.add_argument("--runs", type=int, default=1, help="rounds over all cases; the median counts")
    parser.add_argument("--whole", type=int, default=0, help="also embed so many trials")
    parser.add_argument("--markdown", action="store_true", help="a table for a page")
    parser.add_argument("--cpu", action="store_true", help="processor time instead of time on the wall")
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    jobs = [(case, int(threads)) for threads in options.threads.split(",") for case in options.cases.split(",")]
    print(f"{cpu()}, PyTorch {torch.__version__}, {'processor time' if options.cpu else 'wall time'}, median of {options.runs}; kernels: {nd.build_info()}\n")
    row = "| {} | {} | {} | {} | {} | {} | {} | {} |" if options.markdown else "{:16} {:>6} {:>8} {:>12} {:>10} {:>10} {:>7}  {}"
    print(row.format("case", "batch", "threads", "what", "here, ms", "there, ms", "ratio", "difference"))
    if options.markdown:
        print("|---" * 8 + "|")
    rounds = []
    for run in range(options.runs):
        rounds.append({})
        for case, threads in jobs:
            torch.set_num_threads(threads)
            differences = compare(CASES[case], threads) if run == options.runs - 1 else {}
            rounds[-1][case, threads] = measure(CASES[case], threads, clock, options)
            if run < options.runs - 1:
                continue
            for what in rounds[-1][case, threads]:
                here, there = (statistics.median(r[case, threads][what][side] for r in rounds) for side in (0, 1))
                difference = f"{differences[what]:.1e}" if what in differences else ""
                print(row.format(case, CASES[case].batch, threads, what, f"{here:.3f}", f"{there:.3f}", f"{there / here:.1f}", difference), flush=True)


if __name__ == "__main__":
    main()
