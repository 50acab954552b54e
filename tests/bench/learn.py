"""Trains every encoder of the library on a simulated world and prints a table: parameters, seconds, top-1 and top-5 of the test images.

    learn.py [--small] [ENCODER ...]

--small: a world that takes seconds instead of minutes. Fails unless each encoder is well above chance (exact binomial test of top-5).
NEURODECODE names the command line tool, else the one on the path.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

TOOL = os.environ.get("NEURODECODE", "neurodecode")

# 128 samples at 250 Hz: enough for every encoder, and a multiple of what those with strides need.
WORLD = "--concepts 100 --images-per-concept 8 --test 200 --train-repetitions 2 --test-repetitions 10 --channels 63 --samples 128 --dim 128 --snr 0.1"
SMALL = "--concepts 60 --images-per-concept 5 --test 50 --train-repetitions 2 --test-repetitions 4 --channels 17 --samples 128 --dim 32 --snr 1"

# Options of a training behind the common ones. A second text is for the small world; None = too slow to learn there.
COMMON = "--normalise zscore --epochs 60 --batch 64 --lr 1e-3", "--normalise zscore --epochs 15 --batch 32 --lr 2e-3 --validation-fraction 0"
TRAINING = {
    "brain-mlp": ("--params hidden=512", "--params hidden=128"),
    "eegnet": ("--epochs 120", "--epochs 40"),
    "lstm": ("--every 8 --epochs 20 --lr 2e-3 --validation-fraction 0 --augment noise=0.5", "--every 4 --epochs 20"),
    "resnet1d": ("--epochs 12", "--epochs 30 --params filters0=16,filters1=16,filters2=24,filters3=24,filters4=32,dropout=0.2"),
}


def tool(*words):
    """Runs the tool and returns its JSON."""
    done = subprocess.run([TOOL, *words, "--json", "--quiet"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def learn(world, encoder, options, model):
    """Trains on the training partition, evaluates on the test partition: parameters, seconds, metrics."""
    start = time.monotonic()
    trained = tool("train", world, "--embeddings", "aligned", "--encoder", encoder, *options.split(), "-o", model)
    return trained["parameters"], time.monotonic() - start, tool("evaluate", world, "--model", model)


def percent(proportion):
    return f"{100 * proportion['value']:.1f} ({100 * proportion['low']:.1f} to {100 * proportion['high']:.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a world that takes seconds")
    parser.add_argument("encoders", nargs="*", metavar="ENCODER", help="default: all")
    given = parser.parse_args()
    size, limit, sizes = (1, 1e-3, SMALL) if given.small else (0, 1e-6, WORLD)
    encoders = given.encoders or [kind["name"] for kind in tool("info", "--encoders")]
    failed = []
    with tempfile.TemporaryDirectory(prefix="neurodecode-") as folder:
        world = os.path.join(folder, "world")
        tool("simulate", world, *sizes.split())
        print("| encoder | parameters | seconds | top-1, % | top-5, % |\n|---|---:|---:|---:|---:|", flush=True)
        for encoder in encoders:
            options = TRAINING.get(encoder, ("", ""))[size]
            if options is None:
                print(f"{encoder}: not in the small world", file=sys.stderr)
                continue
            try:
                parameters, seconds, found = learn(world, encoder, f"{COMMON[size]} {options}", os.path.join(folder, "model.safetensors"))
            except RuntimeError as error:
                failed.append(str(error))
                continue
            print(f"| {encoder} | {parameters:,} | {seconds:.1f} | {percent(found['top1'])} | {percent(found['top5'])} |", flush=True)
            if not found["top5"]["p"] < limit:
                failed.append(f"{encoder}: top-5 is not above chance, p = {found['top5']['p']:.2g}, expected less than {limit:g}")
        print(f"| chance | | | {100 * found['top1']['chance']:.1f} | {100 * found['top5']['chance']:.1f} |\n\nneurodecode simulate world {sizes}")
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main()
