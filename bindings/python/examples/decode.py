#!/usr/bin/env python3
"""Decodes viewed images from EEG, from the files to the figures.

    decode.py                        simulates a small world in a temporary folder and decodes it
    decode.py FOLDER [SUBJECT]       the same for a folder laid out as THINGS-EEG2
"""
import pathlib
import sys
import tempfile

import neurodecode as nd


def decode(folder, subject):
    data = {part: nd.Dataset.open_things_eeg2(folder, subject, part, normalise="zscore", progress=True) for part in ("training", "test")}
    model = "aligned" if (pathlib.Path(folder) / "simulation.json").exists() else None
    images = {part: nd.Bank.open_things_eeg2(folder, part, model, progress=True) for part in ("training", "test")}
    print(f"training on {data['training']!r}, testing on {data['test']!r}")

    encoder = nd.Encoder("nice", data["training"], embed_dim=images["training"].info.dim)
    info = nd.Trainer(encoder, nd.Loss(), data["training"], images["training"], epochs=20).run(progress=True)
    print(f"best epoch {info.best_epoch} of {info.epoch}, validation loss {info.best_validation_loss:.3f}")

    gallery = nd.Retrieval(images["test"].select_for(data["test"]))
    ranks = gallery.rank_dataset(encoder, data["test"], progress=True)
    for k in (1, 5):
        e = nd.top_k(ranks, len(gallery), k)
        print(f"top-{k}: {e.value:.1%} (95 % interval {e.low:.1%} to {e.high:.1%}, chance {e.chance:.1%}, p = {e.p_value:.2g})")

    first = gallery.search(encoder.embed(data["test"].data(0, 1)), k=3).indices[0]
    print(f"seen: {data['test'].trial(0).image}; guessed: {', '.join(gallery.id(index) for index in first)}")
    encoder.save("encoder.safetensors")
    print("the encoder is in encoder.safetensors")


def main():
    if len(sys.argv) > 1:
        decode(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
        return
    with tempfile.TemporaryDirectory() as folder:
        nd.simulate(folder, n_channels=17, n_samples=100, embed_dim=64, snr=0.1, progress=True)
        decode(folder, 1)


if __name__ == "__main__":
    main()
