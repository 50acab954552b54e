"""Recordings: arrays and tables to trials."""
import pathlib
import tempfile
import unittest

from world import nd, np


class RecordingTest(unittest.TestCase):
    def setUp(self):
        rng = np.random.default_rng(3)
        self.samples = np.concatenate([rng.standard_normal((3, 2000)), np.zeros((1, 2000))])
        self.samples[3, 300::400] = (1, 2, 1, 2, 1)
        self.recording = nd.Recording(self.samples, channels=["Fp1", "O1", "Oz", "STI"], types="eeg eeg eeg stim", rate=500)

    def test_what_it_holds(self):
        self.assertEqual([channel.name for channel in self.recording.channels], ["Fp1", "O1", "Oz", "STI"])
        self.assertEqual(self.recording.info.rate, 500)
        self.assertEqual(len(self.recording), 2000)
        np.testing.assert_array_equal(self.recording.data(10, 5), self.samples[:, 10:15])
        np.testing.assert_array_equal(self.recording.select_channels(["Oz", "/^F/"]).data(), self.samples[[2, 0]])

    def test_to_trials(self):
        found = self.recording.find_events()
        self.assertEqual([(event.sample, event.code) for event in found.events], list(zip(range(300, 2000, 400), (1, 2, 1, 2, 1))))
        stages = []
        trials, report = found.filter(1, 40, progress=lambda p: stages.append(p.stage)).epoch(start=-0.1, end=0.5, events="house=1 face=2")
        self.assertIn("filter", stages)
        self.assertEqual((report.n_events, report.n_kept, report.n_outside), (5, 4, 1))
        self.assertEqual(trials.shape, (4, 3, 301))
        self.assertEqual([trial.image for trial in trials.trials()], ["house", "face", "house", "face"])
        slow = trials.resample(100)
        self.assertEqual(slow.shape, (4, 3, 60))
        self.assertEqual(slow.whiten().shape, slow.shape)
        self.assertEqual(slow.whiten(slow, slow, per="time").shape, slow.shape)

    def test_a_table(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "muse.csv")
            file.write_text("timestamps,TP9,Marker0\n0.00,1,0\n0.01,2,7\n0.02,3,0\n")
            with nd.Recording.open(file, unit="uV") as recording:
                self.assertEqual(recording.info.rate, 100)
                np.testing.assert_allclose(recording.data()[0], [1e-6, 2e-6, 3e-6])
                self.assertEqual([event.code for event in recording.find_events().events], [7])
                self.assertEqual(nd.describe(file)["format"], "csv")

    def test_bids(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "sub-01_eeg.csv")
            file.write_text("timestamps,TP9,X\n0.00,1,0\n0.01,2,7\n0.02,3,0\n")
            pathlib.Path(folder, "sub-01_events.tsv").write_text("onset\tduration\ttrial_type\n0.01\tn/a\tcat\n")
            pathlib.Path(folder, "sub-01_channels.tsv").write_text("name\ttype\tunits\tstatus\nX\tEOG\tuV\tbad\n")
            recording = nd.Recording.open(file, bids=True)
            self.assertEqual([(event.sample, event.text) for event in recording.events], [(1, "cat")])
            self.assertEqual(tuple(recording.channels[1]), ("X", "eog", "V", 1))

    def test_refusals(self):
        with self.assertRaisesRegex(nd.ArgumentError, "no channel, type or region"):
            self.recording.select_channels("Pz")
        with self.assertRaisesRegex(ValueError, "dimensions"):
            nd.Recording(np.zeros(3))
        with self.assertRaises(nd.ArgumentError):
            self.recording.filter(300)
        with self.assertRaises(TypeError):
            self.recording.epoch(begin=0)


if __name__ == "__main__":
    unittest.main()
