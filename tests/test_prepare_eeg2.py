"""neurodecode prepare things-eeg2 against the same steps written plainly in NumPy: epochs, resampling by way of the spectrum, Ledoit-Wolf covariances, whitening, the order of repetitions
and the merging of sessions; the identity of files, resuming, threads. NEURODECODE names the tool. Golden vectors are looked for in `golden` beside ND_DATA."""
import json
import os
import pathlib
import pickle
import signal
import subprocess
import tempfile
import time
import unittest

import numpy as np

TOOL = os.environ["NEURODECODE"]
GOLDEN = pathlib.Path(os.environ.get("ND_DATA", "../shared/data")).parent / "golden" / "preprocess-eeg2.npz"
CHANNELS = ("Fp1 Fp2 AF7 AF3 AFz AF4 AF8 F7 F5 F3 F1 F2 F4 F6 F8 FT9 FT7 FC5 FC3 FC1 FCz FC2 FC4 FC6 FT8 FT10 T7 C5 C3 C1 Cz C2 C4 C6 T8 TP9 TP7 CP5 CP3 CP1 CPz CP2 CP4 CP6 "
            "TP8 TP10 P7 P5 P3 P1 Pz P2 P4 P6 P8 PO7 PO3 POz PO4 PO8 O1 Oz O2").split()
SEED, N_TRAINING, N_TEST, TEST_REPETITIONS = 20200220, 8, 3, 4
SMALL = f"test_repetitions={TEST_REPETITIONS}"
ORDER = np.random.RandomState(7).permutation(63)


# ---- the data set

def write_recording(path, codes, seed, names=None, rate=1000, gap=250, tail=1500):
    """Noise that is correlated between channels, an event every `gap` ms."""
    rng = np.random.RandomState(seed)
    n = tail + gap * len(codes)
    names = [CHANNELS[i] for i in ORDER] if names is None else names
    mixing = np.eye(len(names)) + 0.3 * rng.standard_normal((len(names), len(names)))
    data = np.zeros((len(names) + 1, n))
    data[:-1] = 1e-5 * (mixing @ np.cumsum(rng.standard_normal((len(names), n)), 1) * 0.05 + rng.standard_normal((len(names), n)) + 100)
    for k, code in enumerate(codes):
        data[-1, 300 + gap * k : 310 + gap * k] = code
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, {"raw_eeg_data": data, "ch_names": [*names, "stim"], "ch_types": ["eeg"] * len(names) + ["stim"], "sfreq": rate, "highpass": 0.01, "lowpass": 100},
            allow_pickle=True)
    return data


def session_codes(session):
    """Images 1, 2, 5, 6 in sessions 1 and 3, the others in 2 and 4, twice each, one of them three times; targets in between."""
    rng = np.random.RandomState(100 + session)
    training = [i + 1 for i in range(N_TRAINING) if i // 2 % 2 == session % 2] * 2
    training = list(rng.permutation(training + [training[0], 99999, 99999]))
    test = list(rng.permutation([i + 1 for i in range(N_TEST)] * TEST_REPETITIONS + [99999]))
    return training, test


def write_data_set(folder, sessions=range(4)):
    metadata = {}
    for part, n in (("train", N_TRAINING), ("test", N_TEST)):
        metadata[f"{part}_img_concepts"] = metadata[f"{part}_img_concepts_THINGS"] = [f"{i // 2 + 1:05d}_{part}" for i in range(n)]
        metadata[f"{part}_img_files"] = [f"{part}_{i:02d}s.jpg" for i in range(n)]
    folder.mkdir(parents=True)
    np.save(folder / "image_metadata.npy", metadata, allow_pickle=True)
    for s in sessions:
        for part, codes, seed in zip(("training", "test"), session_codes(s), (10 + s, 20 + s)):
            write_recording(folder / f"raw_eeg/sub-01/ses-{s + 1:02d}/raw_eeg_{part}.npy", codes, seed)


# ---- the oracle

def load(path):
    return np.load(path, allow_pickle=True).item()


def resampled(x, rate):
    """mne.Epochs.resample: edge padding to a power of two, rectangular window."""
    n, ratio = x.shape[-1], rate / 1000
    padded = 2 ** int(np.ceil(np.log2(n + 2 * min(n // 8, 100))))
    before = (padded - n) // 2
    made, length = int(round(ratio * padded)), int(round(ratio * n))
    spectrum = np.fft.rfft(np.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, padded - n - before)], "edge"))
    spectrum = spectrum[..., : made // 2 + 1] * (made / padded)
    if made % 2 == 0:
        spectrum[..., -1] *= 2
    cut = int(round(ratio * before))
    return np.fft.irfft(spectrum, made)[..., cut : cut + length]


def epochs(path, channels, end, rate, keep):
    """(codes, trials) of a recording."""
    raw = load(path)
    data, names = raw["raw_eeg_data"], raw["ch_names"]
    stim = data[names.index("stim")]
    onsets = np.flatnonzero((np.diff(stim) > 0)) + 1
    onsets = onsets[stim[onsets] != 99999]
    rows = data[[names.index(name) for name in channels]]
    x = np.stack([rows[:, at - 200 : at + int(end * 1000) + 1] for at in onsets])
    x = resampled(x - x[..., :201].mean(-1, keepdims=True), rate)
    return stim[onsets].astype(int), x[..., int(round((keep + 0.2) * rate)):]


def shrunk(x):
    """sklearn.discriminant_analysis._cov(x, shrinkage="auto") of observations x features."""
    n, p = x.shape
    sd = x.std(0)
    z = (x - x.mean(0)) / sd
    g = z.T @ z / n
    mu = np.trace(g) / p
    delta = ((g**2).sum() - 2 * mu * np.trace(g) + p * mu**2) / p
    beta = min(((z**2).sum(1) ** 2).sum() / n - (g**2).sum(), delta * p * n) / (p * n)
    a = 0 if beta <= 0 else beta / delta
    return sd[:, None] * sd * ((1 - a) * g + a * mu * np.eye(p))


def covariance(x, per_time):
    """x: conditions x repetitions x channels x samples."""
    if per_time:
        return np.mean([shrunk(one[:, :, t]) for one in x for t in range(x.shape[-1])], 0)
    return np.mean([shrunk(trial.T) for one in x for trial in one], 0)


def inverse_root(c):
    w, v = np.linalg.eigh(c)
    return v / np.sqrt(w) @ v.T


def prepared(folder, sessions=range(4), channels=CHANNELS, end=1.0, rate=250, keep=0.0, whiten=1, per_time=False):
    """{image number: repetitions x channels x samples} of both partitions."""
    merged = {}, {}
    for s in sessions:
        parts = []
        for part, count in (("training", 2), ("test", TEST_REPETITIONS)):
            codes, x = epochs(folder / f"raw_eeg/sub-01/ses-{s + 1:02d}/raw_eeg_{part}.npy", channels, end, rate, keep)
            images, taken = np.unique(codes), []
            for image in images:
                where = np.flatnonzero(codes == image)
                taken.append(x[where[np.random.RandomState(SEED).permutation(len(where))[:count]]])
            parts.append((images, np.stack(taken)))
        if whiten:
            c = np.mean([covariance(x, per_time) for _, x in parts[: whiten]], 0)
            root = inverse_root(c)
            parts = [(images, root @ x) for images, x in parts]
        for all_images, (images, x) in zip(merged, parts):
            for image, trials in zip(images, x):
                all_images.setdefault(image, []).append(trials)
    for all_images in merged:
        for image, trials in all_images.items():
            x = np.concatenate(trials)
            all_images[image] = x[np.random.RandomState(SEED).permutation(len(x))]
    return merged


# ---- running the tool

def run(*words):
    return subprocess.run([TOOL, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


def read_store(path):
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    types = {"F32": "<f4", "I32": "<i4", "U8": "u1", "F64": "<f8", "I64": "<i8"}
    arrays = {}
    for name, about in header.items():
        if name != "__metadata__":
            begin, end = about["data_offsets"]
            arrays[name] = np.frombuffer(raw[8 + size + begin : 8 + size + end], types[about["dtype"]]).reshape(about["shape"])
    return arrays, header["__metadata__"]


class Prepare(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="neurodecode-")
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.source = cls.folder / "things"
        write_data_set(cls.source)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def prepare(self, name, params="", *more, source=None, status=0):
        done = run("prepare", "things-eeg2", source or self.source, "-o", self.folder / name, "--params", f"{SMALL} {params}", "--quiet", *more)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stderr if status else done.stdout

    def stores(self, name):
        return [read_store(self.folder / name / f"sub-01_{part}.safetensors") for part in ("training", "test")]

    def close(self, got, expected):
        self.assertEqual(got.shape, expected.shape)
        self.assertLess(np.abs(got - expected).max() / np.abs(expected).max(), 2e-6)

    def check_stores(self, name, expected, average=False):
        for (arrays, _), images in zip(self.stores(name), expected):
            numbers = sorted(images)
            repetitions = [1 if average else len(images[n]) for n in numbers]
            self.assertEqual(list(arrays["image"]), list(np.repeat(range(len(numbers)), repetitions)))
            self.assertEqual(list(arrays["repetition"]), [k for n in repetitions for k in range(n)])
            self.close(arrays["data"], np.concatenate([images[n].mean(0, keepdims=True) if average else images[n] for n in numbers]))

    def test_the_default_and_its_pickles(self):
        expected = prepared(self.source)
        self.prepare("default", "pickles=1")
        self.check_stores("default", expected)
        self.assertFalse((self.folder / "default/.sub-01").exists())
        for part, images in zip(("training", "test"), expected):
            with open(self.folder / f"default/Preprocessed_data_250Hz/sub-01/preprocessed_eeg_{part}.npy", "rb") as file:
                made = pickle.load(file)
            self.close(made["preprocessed_eeg_data"], np.stack([images[n] for n in sorted(images)]))
            self.assertEqual(made["preprocessed_eeg_data"].dtype, np.float64)
            self.assertEqual(made["ch_names"], CHANNELS)
            np.testing.assert_allclose(made["times"], -0.2 + np.arange(300) / 250, atol=1e-12)

    def test_the_published_form(self):
        channels = [name for name in (CHANNELS[i] for i in ORDER) if name[0] in "OP"]
        self.prepare("published", "published=1 pickles=1")
        expected = prepared(self.source, channels=channels, end=0.8, rate=100, keep=-0.2, whiten=2)
        self.check_stores("published", expected)
        made = load(self.folder / "published/preprocessed_eeg/sub-01/preprocessed_eeg_test.npy")
        self.assertEqual(made["ch_names"], channels)
        self.assertEqual(made["preprocessed_eeg_data"].shape, (N_TEST, 4 * TEST_REPETITIONS, 17, 100))
        np.testing.assert_allclose(made["times"], -0.2 + np.arange(100) / 100, atol=1e-12)

    def test_choices(self):
        for name, params, options, average in (("plain", "whiten=0 average=1", {"whiten": 0}, True), ("time", "per_time=1", {"per_time": True}, False),
                                               ("both", "whiten=2 channels=17 rate=100", {"whiten": 2, "channels": CHANNELS[46:], "rate": 100}, False)):
            with self.subTest(name):
                self.prepare(name, params)
                self.check_stores(name, prepared(self.source, **options), average)

    def test_some_sessions(self):
        source = self.folder / "two"
        write_data_set(source, sessions=(0, 2))
        self.prepare("two-stores", source=source)
        self.check_stores("two-stores", prepared(source, sessions=(0, 2)))
        self.assertIn("has 0 repetitions, another one 4", self.prepare("two-pickles", "pickles=1", source=source, status=1))

    def test_threads_do_not_matter(self):
        self.prepare("one", "", "--threads", 1)
        self.prepare("three", "", "--threads", 3)
        for part in ("training", "test"):
            self.assertEqual((self.folder / f"one/sub-01_{part}.safetensors").read_bytes(), (self.folder / f"three/sub-01_{part}.safetensors").read_bytes())

    def test_dry_run_and_missing_files(self):
        source = self.folder / "cut"
        write_data_set(source, sessions=(0, 1))
        (source / "raw_eeg/sub-01/ses-02/raw_eeg_test.npy").unlink()
        (source / "image_metadata.npy").unlink()
        shown = self.prepare("cut-stores", "", "--dry-run", source=source)
        self.assertIn("found    raw_eeg/sub-01/ses-02/raw_eeg_training.npy", shown)
        for missing in ("image_metadata.npy", "raw_eeg/sub-01/ses-02/raw_eeg_test.npy"):
            self.assertIn(f"missing  {missing}", shown)
        self.assertFalse((self.folder / "cut-stores").exists())
        message = self.prepare("cut-stores", source=source, status=1)
        self.assertIn("2 files are missing: image_metadata.npy, raw_eeg/sub-01/ses-02/raw_eeg_test.npy", message)
        report = json.loads(self.prepare("cut-stores", "", "--dry-run", "--json", "--subject", "2", source=source))[0]
        self.assertEqual(len(report["missing"]), 9)

    def test_what_the_files_must_be(self):
        training, test = session_codes(0)
        names = [CHANNELS[i] for i in ORDER]
        first = "raw_eeg/sub-01/ses-01/raw_eeg_"
        for name, part, codes, options, message in (
            ("names", "training", training, {"names": [*names[:-2], "A1", "A2"]}, f"lacks the channels {' '.join(sorted((names[-2], names[-1]), key=CHANNELS.index))}"),
            ("rate", "test", test, {"rate": 500}, "500 samples per second, expected 1000"),
            ("code", "training", [*training, 9], {}, "event of code 9 at sample"),
            ("count", "test", test[1:] if test[0] != 99999 else test[2:], {}, "times, expected 4"),
            ("absent", "test", [code for code in test if code != 2], {}, "image 2 stands 0 times, expected 4"),
            ("short", "training", training, {"tail": 900}, "is not all inside the recording"),
        ):
            with self.subTest(name):
                source = self.folder / f"bad-{name}"
                write_data_set(source, sessions=(0,))
                write_recording(source / f"{first}{part}.npy", codes, 1, **options)
                error = self.prepare(f"bad-{name}-stores", source=source, status=1)
                self.assertIn(message, error)
                self.assertIn(f"{first}{part}.npy", error)
        (source / "raw_eeg/sub-01/ses-05").mkdir()
        self.assertIn("session 5, expected 1 to 4", self.prepare("fifth", source=source, status=1))

    def test_results_made_otherwise_are_left_alone(self):
        self.prepare("claimed")
        before = (self.folder / "claimed/sub-01_test.safetensors").read_bytes()
        self.prepare("claimed")
        self.assertIn("was not made with these parameters", self.prepare("claimed", "rate=100", status=1))
        self.assertEqual(before, (self.folder / "claimed/sub-01_test.safetensors").read_bytes())

    def test_goes_on_after_a_failure(self):
        """The third session is damaged and mended: the first two are not made again."""
        source, temporary = self.folder / "mended", self.folder / "mended-stores/.sub-01"
        write_data_set(source)
        path = source / "raw_eeg/sub-01/ses-03/raw_eeg_training.npy"
        good, about = path.read_bytes(), path.stat()
        raw = load(path)
        raw["raw_eeg_data"][5, 2000] = np.nan
        np.save(path, raw, allow_pickle=True)
        os.utime(path, (about.st_mtime, about.st_mtime))
        self.assertIn("NaN", self.prepare("mended-stores", source=source, status=1))
        files = sorted(temporary.iterdir())
        self.assertEqual(len(files), 4)
        path.write_bytes(good)
        os.utime(path, (about.st_mtime, about.st_mtime))
        shown = self.prepare("mended-stores", "", "--dry-run", source=source)
        self.assertEqual(shown.count("  done "), 4)
        files[0].write_bytes(files[1].read_bytes())  # would be noticed if it were used
        self.assertIn("is of image", self.prepare("mended-stores", source=source, status=1))

    def test_goes_on_after_a_kill(self):
        self.prepare("whole", "pickles=1")
        words = [TOOL, "prepare", "things-eeg2", self.source, "-o", self.folder / "killed", "--params", f"{SMALL} pickles=1", "--quiet", "--threads", "1"]
        for wanted in ("ses-01_test", "ses-03_training"):
            started = subprocess.Popen([*map(str, words)], stdin=subprocess.DEVNULL)
            while started.poll() is None and not (self.folder / f"killed/.sub-01/{wanted}.pickle").exists():
                time.sleep(0.001)
            started.send_signal(signal.SIGKILL)
            started.wait()
        subprocess.run([*map(str, words)], check=True)
        for name in ("sub-01_training.safetensors", "sub-01_test.safetensors", "Preprocessed_data_250Hz/sub-01/preprocessed_eeg_training.npy"):
            self.assertEqual((self.folder / "whole" / name).read_bytes(), (self.folder / "killed" / name).read_bytes())

    def test_from_simulated_raw_sessions_to_decoded_images(self):
        world, model = self.folder / "world", self.folder / "world/model.safetensors"
        for words in (f"simulate {world} --sessions 4 --concepts 60 --images-per-concept 5 --test 20 --test-repetitions 16 --channels 17 --dim 16 --snr 4 --quiet",
                      f"prepare things-eeg2 {world} -o {world} --quiet --params channels=17,pickles=1,test_repetitions=4",
                      f"train {world} --embeddings aligned --epochs 30 --batch 32 --lr 2e-3 --normalise zscore --quiet -o {model}"):
            done = run(*words.split())
            self.assertEqual(done.returncode, 0, done.stderr)
        done = run("evaluate", world, "--model", model, "--embeddings", "aligned", "--json", "--quiet")
        found = json.loads(done.stdout)
        self.assertGreater(found["top1"]["value"], 0.2, "chance is 0.05")

    def test_golden_vectors(self):
        if not GOLDEN.exists():
            self.skipTest(f"skipped: no {GOLDEN}")
        golden = np.load(GOLDEN)
        source = self.folder / "golden"
        source.mkdir()
        np.save(source / "image_metadata.npy", {f"{part}_img_{what}": [f"{i + 1:05d}_a" for i in range(n)] for part, n in (("train", 6), ("test", 1))
                                               for what in ("concepts", "concepts_THINGS", "files")}, allow_pickle=True)
        for part in ("train", "test"):
            path = source / f"raw_eeg/sub-01/ses-01/raw_eeg_{'training' if part == 'train' else part}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, {"raw_eeg_data": golden[f"{part}_raw"].astype(float), "ch_names": list(golden["ch_names"]), "sfreq": 1000.0, "ch_types": ["eeg"] * 63 + ["stim"]})
        for name, params in (("epoched", "whiten=0"), ("white", "whiten=1")):
            self.prepare(f"golden-{name}", f"{params} test_repetitions=20", source=source)
            for (arrays, _), part in zip(self.stores(f"golden-{name}"), ("train", "test")):
                expected = golden[f"{name}_{part}"]
                within = np.random.RandomState(SEED).permutation(expected.shape[1])
                order = within[within]  # of the session, then of the merged repetitions
                self.close(arrays["data"].reshape(expected.shape), expected[:, order])


if __name__ == "__main__":
    unittest.main()
