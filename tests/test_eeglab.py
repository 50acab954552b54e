#!/usr/bin/env python3
"""EEGLAB's files, written here as EEGLAB does, through the Python binding; where MNE is installed, against mne.io.read_raw_eeglab too. NEURODECODE_LIBRARY
names the library. Without SciPy the test is skipped (exit status 77)."""
import os
import pathlib
import sys
import tempfile
import unittest
import warnings

try:
    import numpy as np
    import scipy.io
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
try:
    import h5py
except ImportError:
    h5py = None
try:
    import mne
except ImportError:
    mne = None

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "bindings/python")]
import neurodecode as nd

RATE, NAMES, TYPES = 200.0, ["Cz", "Oz", "VEOG", "x"], ["EEG", "", "EOG", "MISC"]
EVENTS = [(1.0, "start", 0.0), (51.4, "face", 10.0), (120.5, "house", 2.0), (399.0, "boundary", float("nan"))]


def recording(trials=1, events=EVENTS, **more):
    """The fields of EEG, and the samples: channels x samples (x trials)."""
    shape = (4, 400) if trials == 1 else (4, 40, trials)
    data = np.random.default_rng(trials).normal(scale=20, size=shape).astype("f4")
    chanlocs = np.array([(name, kind, 0.1 * i, 0.2, 0.3) for i, (name, kind) in enumerate(zip(NAMES, TYPES))], dtype=[(k, object) for k in ("labels", "type", "X", "Y", "Z")])
    marks = np.array(events, dtype=[(k, object) for k in ("latency", "type", "duration", "epoch")[: len(events[0])]])
    eeg = {"setname": "test", "nbchan": 4.0, "pnts": float(shape[1]), "trials": float(trials), "srate": RATE, "xmin": 0.0, "xmax": 1.0, "data": data, "chanlocs": chanlocs, "event": marks,
           "urevent": marks, "epoch": np.zeros((0, 0)), **more}
    return eeg, data


class Eeglab(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "a.set")

    def tearDown(self):
        self.folder.cleanup()

    def check_recording(self, data):
        r = nd.Recording.open(self.path)
        self.assertEqual((r.info.rate, r.info.n_samples, r.info.format), (RATE, 400, r.info.format))
        self.assertEqual([c.name for c in r.channels], NAMES)
        self.assertEqual([c.type for c in r.channels], ["eeg", "eeg", "eog", "misc"])
        self.assertEqual({c.unit for c in r.channels}, {"V"})
        np.testing.assert_allclose(r.data(), data.astype("f8") * 1e-6, rtol=1e-15)
        np.testing.assert_array_equal(r.data(17, 33), r.data()[:, 17:50])
        self.assertEqual([(e.sample, e.duration, e.text) for e in r.events], [(0, 0, "start"), (50, 10, "face"), (120, 2, "house"), (398, 0, "boundary")])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                raw = mne.io.read_raw_eeglab(self.path, verbose="error") if mne else None
            except NotImplementedError:  # version 7.3 without the module pymatreader
                raw = None
        if raw is None:
            return
        self.assertEqual(raw.ch_names, NAMES)
        self.assertEqual(raw.get_channel_types(), [c.type for c in r.channels])
        np.testing.assert_allclose(r.data(), raw.get_data(), rtol=1e-6)
        self.assertEqual([int(np.round(t * RATE)) for t in raw.annotations.onset], [e.sample for e in r.events])
        self.assertEqual(list(raw.annotations.description), [e.text for e in r.events])

    def test_matlab_files(self):
        eeg, data = recording()
        for packed in False, True:
            for top in False, True:
                scipy.io.savemat(self.path, eeg if top else {"EEG": eeg}, appendmat=False, do_compression=packed)
                self.check_recording(data)

    def test_samples_beside(self):
        eeg, data = recording()
        eeg["data"] = "a.fdt"
        data.T.tofile(os.path.join(self.folder.name, "a.fdt"))
        scipy.io.savemat(self.path, {"EEG": eeg}, appendmat=False)
        self.check_recording(data)
        eeg["data"] = "renamed.fdt"
        scipy.io.savemat(self.path, {"EEG": eeg}, appendmat=False)
        self.check_recording(data)
        data.T[:-1].tofile(os.path.join(self.folder.name, "a.fdt"))
        with self.assertRaisesRegex(nd.NeurodecodeError, "bytes of samples"):
            nd.Recording.open(self.path)
        os.remove(os.path.join(self.folder.name, "a.fdt"))
        with self.assertRaisesRegex(nd.NeurodecodeError, "renamed.fdt"):
            nd.Recording.open(self.path)

    @unittest.skipUnless(h5py and "hdf5" in nd.build_info().get("features", []), "needs h5py and a library built with hdf5")
    def test_version_73(self):
        from test_matlab import head_73, write_73
        eeg, data = recording()
        for key in "chanlocs", "event":
            eeg[key] = [{k: item[k] if isinstance(item[k], str) else np.array([[item[k]]]) for k in eeg[key].dtype.names} for item in eeg[key]]
        eeg = {k: np.array([[v]]) if isinstance(v, float) else v for k, v in eeg.items() if k != "urevent"}
        for packed in False, True:
            for top in False, True:
                with h5py.File(self.path, "w", userblock_size=512) as f:
                    group = f if top else f.create_group("EEG")
                    for key, value in eeg.items():
                        write_73(group, key, value)
                    if packed:
                        del group["data"]
                        group.create_dataset("data", data=data.T, chunks=(64, 3), compression="gzip").attrs["MATLAB_class"] = np.bytes_("single")
                    if not top:
                        group.attrs["MATLAB_class"] = np.bytes_("struct")
                head_73(self.path)
                self.check_recording(data)

    def test_trials(self):
        events = [(11.0 + 40 * i + k, name, 0.0, i + 1.0) for i in range(3) for k, name in ((-5, "before"), (0, "abc"[i]), (9, "after"))]
        eeg, data = recording(3, events, xmin=-10 / RATE)
        for packed in False, True:
            for beside in False, True:
                eeg["data"] = "a.fdt" if beside else data
                data.transpose(2, 1, 0).tofile(os.path.join(self.folder.name, "a.fdt"))
                scipy.io.savemat(self.path, {"EEG": eeg}, appendmat=False, do_compression=packed)
                d = nd.Dataset.open(self.path)
                np.testing.assert_array_equal(d.data(), data.transpose(2, 0, 1))
                self.assertEqual(d.channels, NAMES)
                np.testing.assert_allclose(d.times, np.arange(40) / RATE - 10 / RATE, atol=1e-9)
                self.assertEqual(nd.describe(self.path)["text"]["event_types"], ["a", "b", "c"])
        with self.assertRaises(nd.NeurodecodeError):
            nd.Recording.open(self.path, variable="nothing")

    def test_bad_fields(self):
        for change, message in (({"srate": 0.0}, "srate"), ({"pnts": 399.0}, "numbers"), ({"nbchan": 2.5}, "nbchan"), ({"data": "old.dat"}, "old layout"), ({"ALLEEG": 1.0}, "ALLEEG")):
            scipy.io.savemat(self.path, recording(**change)[0], appendmat=False)
            with self.assertRaisesRegex(nd.NeurodecodeError, message):
                nd.Recording.open(self.path)

    def test_numbered_events(self):
        eeg, _ = recording(events=[(10.0, 3.0, 0.0), (20.0, 12.0, 0.0), (float("nan"), 5.0, 0.0)])
        scipy.io.savemat(self.path, eeg, appendmat=False)
        self.assertEqual([(e.sample, e.code, e.text) for e in nd.Recording.open(self.path).events], [(9, 3, "3"), (19, 12, "12")])


if __name__ == "__main__":
    unittest.main()
