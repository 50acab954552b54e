"""neurodecode prepare against MNE and scikit-learn, one session of THINGS-EEG2, side by side: versus_mne.py TOOL SOURCE [--subject N] [--session N] [--threads N]

SOURCE is a folder with raw recordings, such as `neurodecode simulate --sessions 4 --full-size` writes. Both read the raw files of the session, training and test, and make whitened trials of
them: epochs, baseline, 250 Hz, the repetitions of each image, covariances shrunk after Ledoit and Wolf, multiplication by the inverse root of their mean. The peers' steps are those of the
reference system, in blocks of epochs so that memory suffices, resampling with as many jobs as there are threads. Prints times and their ratio and checks that both computed the same. Needs MNE,
scikit-learn, SciPy and NumPy."""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import mne
import numpy as np
import scipy.linalg
import sklearn
from sklearn.discriminant_analysis import _cov
from sklearn.utils import shuffle

SEED, BLOCK, PARTS = 20200220, 1000, (("training", 2), ("test", 20))
CHANNELS = ("Fp1 Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 F2 F4 F6 F8 FT9 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 FT10 T7 C5 C3 C1 Cz C2 C4 C6 T8 TP9 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 "
            "TP8 TP10 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2").split()


def epoched(path, repetitions, jobs):
    """conditions x repetitions x channels x samples."""
    about = np.load(path, allow_pickle=True).item()
    raw = mne.io.RawArray(about["raw_eeg_data"], mne.create_info(about["ch_names"], float(about["sfreq"]), about["ch_types"]), copy="auto", verbose="error")
    events = mne.find_events(raw, "stim", verbose="error")
    raw.pick(CHANNELS, verbose="error").reorder_channels(CHANNELS)
    events = events[events[:, 2] != 99999]
    blocks = []
    for first in range(0, len(events), BLOCK):
        epochs = mne.Epochs(raw, events[first : first + BLOCK], tmin=-0.2, tmax=1.0, baseline=(None, 0), preload=True, verbose="error")
        epochs.resample(250, n_jobs=jobs, verbose="error")
        blocks.append(epochs.get_data(copy=False)[..., 50:])
    x, codes = np.concatenate(blocks), events[:, 2]
    return np.stack([x[shuffle(np.flatnonzero(codes == code), random_state=SEED, n_samples=repetitions)] for code in np.unique(codes)])


def by_peers(folder, jobs):
    training, test = (epoched(folder / f"raw_eeg_{part}.npy", repetitions, jobs) for part, repetitions in PARTS)
    covariance = np.mean([np.mean([_cov(trial.T, shrinkage="auto") for trial in condition], 0) for condition in training], 0)
    root = scipy.linalg.fractional_matrix_power(covariance, -0.5)
    return [(one.swapaxes(-1, -2) @ root).swapaxes(-1, -2) for one in (training, test)]


def by_tool(tool, source, subject, session, threads, output):
    """Only this session of a data set that is linked together for it."""
    alone = output / "source"
    (alone / f"raw_eeg/sub-{subject:02d}").mkdir(parents=True)
    (alone / f"raw_eeg/sub-{subject:02d}/ses-{session:02d}").symlink_to((source / f"raw_eeg/sub-{subject:02d}/ses-{session:02d}").resolve())
    (alone / "image_metadata.npy").symlink_to((source / "image_metadata.npy").resolve())
    subprocess.run([tool, "prepare", "things-eeg2", str(alone), "-o", str(output), "--subject", str(subject), "--threads", str(threads), "--quiet"], check=True)


def read_store(path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        about = json.loads(file.read(size))["data"]
    return np.memmap(path, "<f4", "r", 8 + size + about["data_offsets"][0], tuple(about["shape"]))


def difference(store, expected):
    """Largest difference, relative to the largest value. The tool shuffles again after merging."""
    order = np.random.RandomState(SEED).permutation(expected.shape[1])
    made = store.reshape(expected.shape)
    return max(np.abs(made[i] - expected[i, order]).max() for i in range(len(expected))) / np.abs(expected).max()


def timed(function, *arguments):
    def cpu():
        return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    wall, before = time.monotonic(), cpu()
    result = function(*arguments)
    return result, time.monotonic() - wall, cpu() - before


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tool")
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("--subject", type=int, default=1)
    parser.add_argument("--session", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    given = parser.parse_args()
    folder = given.source / f"raw_eeg/sub-{given.subject:02d}/ses-{given.session:02d}"
    with tempfile.TemporaryDirectory(prefix="versus-mne-", dir=os.environ.get("TMPDIR")) as name:
        output = pathlib.Path(name)
        _, tool_wall, tool_cpu = timed(by_tool, given.tool, given.source, given.subject, given.session, given.threads, output)
        tool_memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        expected, peer_wall, peer_cpu = timed(by_peers, folder, given.threads)
        apart = max(difference(read_store(output / f"sub-{given.subject:02d}_{part}.safetensors"), x) for (part, _), x in zip(PARTS, expected))
    print(f"MNE {mne.__version__}, scikit-learn {sklearn.__version__}, {given.threads} threads; {' + '.join(str(x.shape[0] * x.shape[1]) for x in expected)} trials")
    for what, wall, cpu, memory in (("neurodecode", tool_wall, tool_cpu, tool_memory), ("peers", peer_wall, peer_cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)):
        print(f"{what:12s} {wall:8.1f} s, {cpu:8.1f} s of processor, {memory / 1e6:6.2f} GB")
    print(f"ratio        {peer_wall / tool_wall:8.1f}    {peer_cpu / tool_cpu:8.1f}")
    print(f"largest difference {apart:.1e} of the largest value")
    return int(apart > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
