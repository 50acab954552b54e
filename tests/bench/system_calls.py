"""System calls of a training step, by name: strace counts those of N and of 2 N steps, and the difference is divided by N.

    NEURODECODE_LIBRARY=build/lib/libneurodecode.so python3 tests/bench/system_calls.py [--encoders nice,eegnet,atms] [--threads 1,2] [--steps 20]

Needs strace and NumPy; says so and ends where strace is missing or may not trace."""
import argparse
import collections
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bindings/python"))


def train(kind, threads, steps):
    import numpy as np

    import neurodecode as nd
    rng = np.random.default_rng(0)
    encoder = nd.Encoder(kind, n_channels=63, n_samples=250, embed_dim=512, n_threads=threads)
    trainer = nd.Trainer(encoder, nd.Loss(), nd.Dataset(rng.standard_normal((128, 63, 250), np.float32)), nd.Bank(rng.standard_normal((128, 512), np.float32)),
                         batch_size=128, validation_fraction=0, epochs=100000, n_threads=threads)
    for _ in range(steps):
        trainer.step()


def count(kind, threads, steps):
    with tempfile.NamedTemporaryFile("r") as table:
        subprocess.run(["strace", "-f", "-c", "-U", "name,calls", "-o", table.name, sys.executable, __file__, "--train", kind, "--threads", str(threads), "--steps", str(steps)], check=True)
        rows = [line.split() for line in table.read().splitlines()]
    return collections.Counter({row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] != "total"})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", default="nice,eegnet,atms")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        return train(options.train, int(options.threads), options.steps)
    if not shutil.which("strace") or subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode:
        return print("skipped: strace is not there or may not trace")
    for kind in options.encoders.split(","):
        for threads in map(int, options.threads.split(",")):
            once, twice = (count(kind, threads, n) for n in (options.steps, 2 * options.steps))
            each = {name: (twice[name] - once[name]) / options.steps for name in sorted(twice)}
            shown = [f"{name} {calls:.1f}" for name, calls in each.items() if calls >= 0.1]
            print(f"{kind}, threads {threads}: {', '.join(shown) if shown else 'none'}", flush=True)


if __name__ == "__main__":
    main()
