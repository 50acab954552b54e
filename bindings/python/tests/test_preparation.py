"""From raw recordings to stores."""
import pathlib
import tempfile
import unittest

from world import nd


class PreparationTest(unittest.TestCase):
    def test_table(self):
        self.assertIn("things-eeg2", [kind.name for kind in nd.preparation_kinds()])
        self.assertEqual(nd.preparation_params("things-eeg2")[0].name, "subject")
        with self.assertRaisesRegex(nd.ArgumentError, "no kind"):
            nd.preparation_params("things")

    def test_raw_sessions_to_stores(self):
        with tempfile.TemporaryDirectory() as folder:
            world, output = pathlib.Path(folder, "world"), pathlib.Path(folder, "stores")
            nd.simulate(world, n_concepts=4, images_per_concept=2, n_test=3, test_repetitions=8, n_channels=17, embed_dim=8, n_sessions=4)
            with nd.Preparation("things-eeg2", world, output, params={"channels": 17, "test_repetitions": 2}, n_threads=2) as preparation:
                self.assertEqual((preparation.report["missing"], preparation.report["done"]), ([], False))
                with self.assertRaises(nd.CancelledError):
                    preparation.run(progress=lambda now: True)
                stages = []
                preparation.run(progress=lambda now: stages.append(now.stage))
                self.assertTrue({"epoch", "merge"} <= set(stages))
                self.assertTrue(preparation.report["done"])
            trials = nd.Dataset.open(output / "sub-01_training.safetensors")
            self.assertEqual(trials.shape, (32, 17, 250))
            self.assertEqual(nd.Dataset.open(output / "sub-01_test.safetensors").shape, (24, 17, 250))
            (world / "raw_eeg/sub-01/ses-02/raw_eeg_test.npy").unlink()
            with self.assertRaisesRegex(nd.FileError, "1 file is missing: raw_eeg/sub-01/ses-02/raw_eeg_test.npy"):
                nd.Preparation("things-eeg2", world, output / "other", params="channels=17").run()


if __name__ == "__main__":
    unittest.main()
