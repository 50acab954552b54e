"""Times the library and PyTorch in turn, in one process, on the same cores, weights and data: training steps, embedding, one trial with retrieval.

    NEURODECODE_LIBRARY=build/lib/libneurodecode.so python3 tests/bench/versus_pytorch.py [--cases nice,atms] [--threads 1,2] [--cpu]

First, without dropout, both make a step from the same weights: `loss` is by how much they differ. Then each is timed with dropout, the best of
several runs counting. --cpu takes the processor time of the process instead of the time on the wall: on a busy machine, with one thread.
"""
import argparse
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "torch"), str(HERE.parents[1] / "bindings/python")]
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch

import losses
import models
import neurodecode as nd

BATCH, DIM, GALLERY = 128, 512, 200
CASES = {  # encoder, channels, samples
    "nice": ("nice", 63, 250),
    "nice-meg": ("nice", 271, 201),
    "tsconv": ("tsconv", 63, 250),
    "atms": ("atms", 63, 250),
    "eegnet": ("eegnet", 63, 250),
    "eegconformer": ("eegconformer", 63, 250),
    "resnet1d": ("resnet1d", 63, 256),
    "lstm": ("lstm", 63, 250),
    "eegproject": ("eegproject", 63, 250),
    "brain-mlp": ("brain-mlp", 2000, 1),
}
LENGTHS = "length1=0 length2=0 length3=0 length4=0"


class Pair:
    """The same encoder twice, with a training of each."""

    def __init__(self, kind, channels, samples, threads, dropout):
        rng = np.random.default_rng(1)
        self.x = rng.standard_normal((BATCH, channels, samples), np.float32)
        self.z = rng.standard_normal((BATCH, DIM), np.float32)
        off = [] if dropout else [f"{p.name}=0" for p in nd.encoder_params(kind) if p.name.endswith("dropout")]
        params = " ".join(["recipe=reference", *off, LENGTHS if kind == "resnet1d" else ""])
        self.encoder = nd.Encoder(kind, n_channels=channels, n_samples=samples, embed_dim=DIM, params=params, n_threads=threads)
        model = models.build(kind, channels, samples, DIM)
        self.model = model if dropout else models.without_dropout(model)
        self.model.load_state_dict({key: torch.from_numpy(value) for key, value in self.encoder.state().items()})
        self.trainer = nd.Trainer(self.encoder, nd.Loss(), nd.Dataset(self.x), nd.Bank(self.z), batch_size=BATCH, validation_fraction=0, epochs=10000,
                                  schedule="constant", learning_rate=2e-4, n_threads=threads)
        self.optimiser = torch.optim.AdamW(self.model.parameters(), 2e-4, weight_decay=0.1)
        self.gallery = self.z[rng.integers(0, BATCH, GALLERY)] + rng.standard_normal((GALLERY, DIM), np.float32)
        self.retrieval = nd.Retrieval(self.gallery, n_threads=threads)

    def our_step(self):
        return self.trainer.step()

    def their_step(self):
        self.model.train()
        self.optimiser.zero_grad()
        loss = losses.clip(self.model(torch.from_numpy(self.x)), torch.from_numpy(self.z))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        return loss.item()

    def our_embedding(self, n=BATCH):
        return self.encoder.embed(self.x[:n])

    def their_embedding(self, n=BATCH):
        with torch.no_grad():
            return self.model.eval()(torch.from_numpy(self.x[:n])).numpy()

    def our_trial(self):
        return self.retrieval.search(self.our_embedding(1), 5)

    def their_trial(self):
        with torch.no_grad():
            v = losses.normalised(torch.from_numpy(self.their_embedding(1)))
            return torch.topk(v @ losses.normalised(torch.from_numpy(self.gallery)).T, 5)


def best(ours, theirs, clock, seconds):
    """Least time of either, in ms, taken in turn for about `seconds`."""
    times = [[], []]
    ours(), theirs()
    end = time.monotonic() + seconds
    while len(times[0]) < 3 or time.monotonic() < end:
        for found, call in zip(times, (ours, theirs)):
            start = clock()
            call()
            found.append(1e3 * (clock() - start))
    return min(times[0]), min(times[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--seconds", type=float, default=5, help="for each number")
    parser.add_argument("--cpu", action="store_true", help="processor time instead of time on the wall")
    options = parser.parse_args()
    clock = time.process_time if options.cpu else time.perf_counter
    print(f"PyTorch {torch.__version__}, batch {BATCH}, {'processor time' if options.cpu else 'wall time'}, ms; kernels: {nd.build_info()}")
    print(f"{'case':13} {'threads':>7} {'what':>9} {'here':>10} {'PyTorch':>10} {'ratio':>7}  difference")
    for threads in map(int, options.threads.split(",")):
        torch.set_num_threads(threads)
        for case in options.cases.split(","):
            exact = Pair(*CASES[case], threads, False)
            a, b = exact.our_embedding(), exact.their_embedding()
            embedding = np.abs(a - b).max() / np.abs(b).max()
            loss = abs(exact.our_step() / exact.their_step() - 1)
            pair = Pair(*CASES[case], threads, True)
            for what, ours, theirs, difference in (("step", pair.our_step, pair.their_step, f"loss {loss:.1e}"),
                                                   ("embedding", pair.our_embedding, pair.their_embedding, f"embedding {embedding:.1e}"),
                                                   ("one trial", pair.our_trial, pair.their_trial, "")):
                here, there = best(ours, theirs, clock, options.seconds)
                print(f"{case:13} {threads:7} {what:>9} {here:10.3f} {there:10.3f} {there / here:7.1f}  {difference}", flush=True)


if __name__ == "__main__":
    main()
