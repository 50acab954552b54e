"""The library and MNE on the same recordings: what files hold, filters, resampling, trials, and files written by one and read by the other.

NEURODECODE_LIBRARY names the library, ND_DATA the folder of recordings (default ../shared/data). Without MNE or the recordings the test is skipped (exit
status 77)."""
import os
import pathlib
import sys
import tempfile
import unittest
import warnings

try:
    import mne
    import numpy as np
    import scipy.signal
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "bindings/python"))
import neurodecode as nd

FIXTURES = pathlib.Path(os.environ.get("ND_DATA", "../shared/data"), "fixtures")
READERS = {".edf": mne.io.read_raw_edf, ".bdf": mne.io.read_raw_bdf, ".vhdr": mne.io.read_raw_brainvision, ".fif": mne.io.read_raw_fif}
SLOWER = {("test_uneven_samp.edf", 1)}  # a slower signal: MNE interpolates it, the library holds each value
NAMED = ("EEG ", "EOG ", "ECG ", "EMG ")  # kinds that the library takes off the names of EDF

mne.set_log_level("ERROR")
warnings.simplefilter("ignore")


def recordings():
    found = [*FIXTURES.glob("edf_bdf/*.[eb]df"), *FIXTURES.glob("brainvision/*.vhdr"), *FIXTURES.glob("fif/*raw.fif")]
    for file in sorted(found):
        try:
            yield file, READERS[file.suffix](file, preload=True)
        except Exception as refusal:  # a file that MNE itself refuses
            print(f"{file.name}: MNE refuses: {refusal}")


def bare(name):
    return name[4:] if name.startswith(NAMED) else name


class FilesTest(unittest.TestCase):
    @unittest.skipUnless(FIXTURES.is_dir(), f"{FIXTURES} is absent")
    def test_what_they_hold(self):
        n = 0
        for file, raw in recordings():
            with self.subTest(file.name), nd.Recording.open(file) as ours:
                n += 1
                self.assertEqual([bare(channel.name) for channel in ours.channels], [bare(name) for name in raw.ch_names])
                self.assertAlmostEqual(ours.info.rate, raw.info["sfreq"], places=9)
                values, theirs = ours.data(), raw.get_data()
                self.assertEqual(values.shape, theirs.shape)
                for c, name in enumerate(raw.ch_names):
                    if (file.name, c) not in SLOWER:
                        np.testing.assert_allclose(values[c], theirs[c], rtol=1e-12, atol=1e-12 * np.abs(theirs[c]).max(), err_msg=name)
                told = [(round(a["onset"] * raw.info["sfreq"]), a["description"]) for a in raw.annotations]
                self.assertEqual([(event.sample, event.text) for event in ours.events], told)
                about = nd.describe(file)["recording"]
                if file.suffix == ".fif" and raw.info["highpass"] > 0:
                    self.assertAlmostEqual(about["highpass"], raw.info["highpass"], places=5)
                if file.suffix == ".fif" and raw.info["lowpass"] < raw.info["sfreq"] / 2:
                    self.assertAlmostEqual(about["lowpass"], raw.info["lowpass"], places=4)
                if "stim" in raw.get_channel_types():
                    found = mne.find_events(raw, consecutive="increasing").tolist()
                    self.assertEqual([[e.sample + raw.first_samp, e.previous, e.code] for e in ours.find_events().events], found)
        self.assertGreater(n, 10)


def made(n=6000, rate=250.0, seed=4):
    """Three EEG channels, an EOG channel and a trigger channel, in volts, with jumps that rejection finds."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((4, n)).cumsum(1) * 1e-6 + rng.standard_normal((4, n)) * 1e-5
    x[1, 1900:1910] += 3e-4
    x[2, 2700:3100] = 2e-6
    stim = np.zeros(n)
    stim[120:-100:160] = 1 + np.arange(len(stim[120:-100:160])) % 3
    names, types = ["Fz", "Cz", "Pz", "HEOG", "STI 014"], ["eeg", "eeg", "eeg", "eog", "stim"]
    raw = mne.io.RawArray(np.vstack([x, stim]), mne.create_info(names, rate, types))
    raw.set_annotations(mne.Annotations([5.0, 9.1], [0.5, 0.02], ["BAD move", "a: b"]))
    return raw


def taken(raw, folder):
    """The same as ours, by way of a file that MNE writes."""
    path = pathlib.Path(folder, "made_raw.fif")
    raw.save(path, fmt="double", overwrite=True)
    return nd.Recording.open(path)


class ProcessingTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.raw = made()
        self.ours = taken(self.raw, self.folder.name)

    def tearDown(self):
        self.ours.close()
        self.folder.cleanup()

    def near(self, ours, theirs, tolerance=1e-12):
        """Each row within the tolerance of its largest value."""
        self.assertEqual(ours.shape, theirs.shape)
        for one, other in zip(np.atleast_2d(ours), np.atleast_2d(theirs)):
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * np.abs(other).max())

    def test_filters(self):
        self.near(self.ours.filter(1, 40).data(), self.raw.copy().filter(1, 40, picks="data").filter(1, 40, picks="eog").get_data())
        sections = scipy.signal.butter(4, (0.5, 30), "bandpass", output="sos", fs=250)
        theirs = scipy.signal.sosfiltfilt(sections, self.raw.get_data()[:4])
        self.near(self.ours.filter(0.5, 30, kind="butterworth").data()[:4], theirs, 1e-9)
        self.near(self.ours.notch(50).data(), self.raw.copy().notch_filter(50, picks=["eeg", "eog"]).get_data())

    def test_resampling(self):
        for rate in (100, 125, 500):
            slow = self.ours.resample(rate)
            self.near(slow.data(), self.raw.copy().resample(rate).get_data())
            polyphase = self.ours.resample(rate, method="polyphase").data()[:4]
            self.near(polyphase, scipy.signal.resample_poly(self.raw.get_data()[:4], rate, 250, axis=1))

    def test_reference(self):
        self.near(self.ours.rereference().data(), self.raw.copy().set_eeg_reference("average").get_data())
        self.near(self.ours.rereference("Cz,Pz").data(), self.raw.copy().set_eeg_reference(["Cz", "Pz"]).get_data())

    def compare_epochs(self, theirs, **options):
        found = self.ours.find_events()
        trials, report = found.epoch(channels="Fz,Cz,Pz,HEOG", events="1 2 3", **options)
        self.near(trials.data(), theirs.get_data(copy=False), 1e-6)
        self.assertEqual([int(trial.image) for trial in trials.trials()], theirs.events[:, 2].tolist())
        self.assertAlmostEqual(trials.info.rate, theirs.info["sfreq"])
        self.assertAlmostEqual(trials.info.start, theirs.times[0])
        reasons = [log[0] for log in theirs.drop_log if log]
        outside = sum(reason in ("NO_DATA", "TOO_SHORT") for reason in reasons)
        bad = sum(reason.startswith("BAD") for reason in reasons)
        self.assertEqual((report.n_kept, report.n_outside, report.n_bad), (len(theirs), outside, bad))
        self.assertEqual(report.n_peak_to_peak + report.n_flat, len(reasons) - outside - bad)
        return trials, report

    def epochs(self, tmin=-0.2, tmax=1.0, **options):
        events = mne.find_events(self.raw, consecutive="increasing")
        return mne.Epochs(self.raw, events, tmin=tmin, tmax=tmax, picks=["eeg", "eog"], preload=True, **options)

    def test_windows_and_baselines(self):
        self.compare_epochs(self.epochs(baseline=(None, 0)))
        self.compare_epochs(self.epochs(baseline=None), baseline=0)
        self.compare_epochs(self.epochs(baseline=(-0.1, 0.05)), baseline_start=-0.1, baseline_end=0.05)
        self.compare_epochs(self.epochs(baseline=(None, None)), baseline_end=float("nan"))
        self.compare_epochs(self.epochs(tmin=0.1, tmax=0.5, baseline=None), start=0.1, end=0.5, baseline=0)
        self.compare_epochs(self.epochs(tmin=-0.55, tmax=1.85), start=-0.55, end=1.85)  # some outside

    def test_rejection(self):
        _, report = self.compare_epochs(self.epochs(reject={"eeg": 200e-6}), reject="eeg=200e-6")
        self.assertGreater(report.n_peak_to_peak, 0)
        self.assertEqual(report.worst_channel, 1)
        _, report = self.compare_epochs(self.epochs(reject={"eeg": 200e-6, "eog": 150e-6}, flat={"eeg": 1e-6}), reject="eeg=200e-6 eog=150e-6", flat="eeg=1e-6")
        self.assertGreater(report.n_flat, 0)

    def test_thinned(self):
        self.compare_epochs(self.epochs(decim=5, baseline=None), decimate=5, baseline=0)
        self.compare_epochs(self.epochs(tmin=-0.21, decim=4, baseline=None), start=-0.21, decimate=4, baseline=0)

    def test_z_score(self):
        theirs = self.epochs(baseline=None)
        times, scaled = theirs.times, theirs.get_data(copy=True)
        mne.baseline.rescale(scaled, times, (-0.15, 0), mode="zscore", copy=False)
        trials, _ = self.ours.find_events().epoch(channels="Fz,Cz,Pz,HEOG", baseline=2, baseline_start=-0.15, baseline_end=0)
        still = np.isfinite(scaled) & (np.abs(scaled) < 1e6)  # a flat baseline has no deviation to divide by
        np.testing.assert_allclose(trials.data()[still], scaled[still], rtol=2e-6, atol=2e-5)

    def test_written_files(self):
        x, codes = self.raw.get_data(), mne.find_events(self.raw.copy().crop(0, 5974 / 250))[:, 2]
        steps = {".fif": 1e-7, ".vhdr": 1e-7, ".bdf": 1e-6, ".edf": 2e-5}
        names = [name for name in self.raw.ch_names if name != "HEOG"]
        written = self.ours.select_channels(",".join(names)).crop(0, 23.9)
        for extension, step in steps.items():
            with self.subTest(extension):
                path = pathlib.Path(self.folder.name, "written_raw" + extension)
                written.save(path)
                read = READERS[extension](path, preload=True)
                self.assertEqual(read.ch_names, names)
                self.assertEqual(read.info["sfreq"], 250)
                wanted = np.delete(x, 3, axis=0)[:, :5975]
                for values, theirs in zip(wanted, read.get_data()[:, :5975]):
                    self.near(theirs, values, step)
                texts = {"Bad Interval/BAD move": "BAD move", "Comment/a: b": "a: b"}
                told = [(round(a["onset"] * 250), round(a["duration"] * 250), texts.get(a["description"], a["description"])) for a in read.annotations]
                self.assertEqual(told, [(1250, 125, "BAD move"), (2275, 5, "a: b")])
                np.testing.assert_array_equal(mne.find_events(read, stim_channel="STI 014")[:, 2], codes)


if __name__ == "__main__":
    unittest.main()
