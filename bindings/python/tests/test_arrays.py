"""Arrays in and out: shapes, types, no copies, files."""
import pathlib
import tempfile
import tracemalloc
import unittest

from world import Folder, nd, noise, np
from neurodecode import _call


class Conversion(unittest.TestCase):
    def test_float32_in_c_order_is_taken_as_it_is(self):
        array = noise(3, 4, 5)
        self.assertIs(_call.floats(array, "x"), array)
        self.assertEqual(_call.pointer(array).contents.value, array[0, 0, 0])
        read_only = array.view()
        read_only.flags.writeable = False
        self.assertTrue(np.shares_memory(_call.floats(read_only, "x"), array))

    def test_a_large_array_is_not_copied_by_python(self):
        array = np.zeros((2000, 63, 250), np.float32)
        tracemalloc.start()
        dataset = nd.Dataset(array)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        self.assertEqual(dataset.shape, array.shape)
        self.assertLess(peak, array.nbytes // 100)

    def test_everything_else_is_converted(self):
        array = noise(6, 4, 5)
        others = [array.astype(np.float64), array.astype(">f4"), np.asfortranarray(array), array.tolist(), np.repeat(array, 2, axis=2)[:, :, ::2]]
        for other in others:
            np.testing.assert_array_equal(nd.Dataset(other).data(), array)
        for kind in (np.int16, np.uint8, np.int64, bool):
            np.testing.assert_array_equal(nd.Dataset(np.ones((2, 3, 4), kind)).data(), np.ones((2, 3, 4), np.float32))

    def test_what_is_not_a_real_number_is_refused(self):
        for wrong in (np.ones((2, 3, 4), complex), np.full((2, 3, 4), "1"), np.full((2, 3, 4), None)):
            with self.assertRaisesRegex(TypeError, "data: got an array of"):
                nd.Dataset(wrong)

    def test_shapes_are_checked(self):
        with self.assertRaisesRegex(ValueError, r"data: got shape \(4,\)"):
            nd.Dataset(np.ones(4))
        with self.assertRaisesRegex(ValueError, "image_ids: got 2 ids, expected 3"):
            nd.Dataset(np.ones((3, 2, 2)), ["a", "b"])
        with self.assertRaisesRegex(ValueError, "vectors: got shape"):
            nd.Bank(np.ones(4))

    def test_whole_numbers(self):
        for given in ([2, 0], np.array([2, 0], np.uint8), np.array([2, 0], np.uint64)):
            self.assertEqual(_call.sizes(given, "x").tolist(), [2, 0])
        self.assertEqual(_call.sizes(np.array([True, False, True]), "x").tolist(), [0, 2])
        self.assertEqual(_call.sizes([], "x").size, 0)
        with self.assertRaises(ValueError):
            _call.sizes([-1], "x")
        with self.assertRaises(TypeError):
            _call.sizes([0.5], "x")
        ranks = np.array([1, 2, 3])
        self.assertTrue(np.shares_memory(_call.sizes(ranks.astype(np.uintp), "x"), ranks) or _call.sizes(ranks, "x").tolist() == [1, 2, 3])


class Datasets(unittest.TestCase):
    def setUp(self):
        self.array = noise(6, 4, 50)
        self.ids = ["a/1", "a/2", "b/1", "a/1", "c/é", "c/é"]
        self.dataset = nd.Dataset(self.array, self.ids, rate=100, start=-0.1, channels=["Fz", "Pz", "O1", "O2"], subject=np.int64(3))

    def test_what_was_given_comes_back(self):
        np.testing.assert_array_equal(self.dataset.data(), self.array)
        np.testing.assert_array_equal(self.dataset.data(2, 3), self.array[2:5])
        self.assertEqual(self.dataset.shape, (6, 4, 50))
        self.assertEqual(self.dataset.channels, ["Fz", "Pz", "O1", "O2"])
        self.assertEqual(self.dataset.images, ["a/1", "a/2", "b/1", "c/é"])
        self.assertEqual([trial.image for trial in self.dataset.trials()], self.ids)
        self.assertEqual(self.dataset.trial(5), nd.Trial("c/é", 3, 2, 3, self.dataset.trial(5).repetition, 0, 0))
        info = self.dataset.info
        self.assertEqual((info.n_images, info.n_concepts, info.rate, info.start), (4, 3, 100, -0.1))
        np.testing.assert_allclose(self.dataset.times[:2], [-0.1, -0.09])
        self.assertIn("6 trials", repr(self.dataset))

    def test_out(self):
        out = np.empty((2, 4, 50), np.float32)
        self.assertIs(self.dataset.data(1, 2, out=out), out)
        np.testing.assert_array_equal(out, self.array[1:3])
        for wrong in (np.empty((2, 4, 50)), np.empty((2, 4, 49), np.float32), np.empty((50, 4, 2), np.float32).T, [0.0]):
            with self.assertRaisesRegex(ValueError, "out: expected"):
                self.dataset.data(1, 2, out=wrong)

    def test_operations(self):
        np.testing.assert_array_equal(self.dataset.select([5, 0, 0]).data(), self.array[[5, 0, 0]])
        mask = np.array([True, False, True, False, False, False])
        np.testing.assert_array_equal(self.dataset.select(mask).data(), self.array[mask])
        with self.assertRaisesRegex(ValueError, "mask"):
            self.dataset.select(mask[:3])
        np.testing.assert_array_equal(self.dataset.select_channels(["O2", "Fz"]).data(), self.array[:, [3, 0]])
        self.assertEqual(self.dataset.select_channels("occipital").channels, ["O1", "O2"])
        self.assertEqual(self.dataset.window(0.0, 0.1, 2).shape, (6, 4, 5))
        early = self.dataset.baseline(-0.1, 0.0).data()[:, :, :10]
        np.testing.assert_allclose(early.mean(axis=2), 0, atol=1e-5)
        np.testing.assert_allclose(self.dataset.average().data()[0], self.array[[0, 3]].mean(axis=0), rtol=1e-5, atol=1e-6)
        scored = self.dataset.normalise("zscore").data()
        np.testing.assert_allclose(scored, (self.array - self.array.mean(2, keepdims=True)) / self.array.std(2, keepdims=True), rtol=1e-4, atol=1e-5)
        self.assertEqual(len(self.dataset.concat(self.dataset)), 12)
        first, second = self.dataset.split(0.4, "concept", seed=1)
        self.assertEqual(len(first) + len(second), 6)

    def test_series(self):
        array = noise(12, 5)
        labels, runs = ["rest", "a", "a", "rest", "b", "b"] * 2, [1] * 6 + [2] * 6
        with tempfile.TemporaryDirectory() as folder:
            table = pathlib.Path(folder, "table.tsv")
            table.write_text("label\trun\n" + "".join(f"{label}\t{run}\n" for label, run in zip(labels, runs)))
            dataset = nd.Dataset(array, session=4).label(table)
        self.assertEqual([(trial.image, trial.run, trial.session) for trial in dataset.trials()], [(label, run, 4) for label, run in zip(labels, runs)])
        by_run = array.reshape(2, 6, 5).astype(float)
        np.testing.assert_allclose(dataset.detrend(0).data().reshape(2, 6, 5), by_run - by_run.mean(1, keepdims=True), atol=1e-5)
        rest = by_run[:, [0, 3]]
        wanted = (by_run - rest.mean(1, keepdims=True)) / rest.std(1, keepdims=True)
        np.testing.assert_allclose(dataset.standardise("run", "rest").data().reshape(2, 6, 5), wanted, rtol=1e-4, atol=1e-4)
        seen = dataset.select_labels(drop=["rest"]).average_blocks()
        self.assertEqual([trial.image for trial in seen.trials()], ["a", "b", "a", "b"])
        np.testing.assert_allclose(seen.data()[1, :, 0], array[4:6].mean(0), rtol=1e-5, atol=1e-6)
        self.assertEqual(len(dataset.select_labels("a")), 4)
        self.assertEqual({len(part) for part in dataset.split(0.5, "run")}, {6})

    def test_fmri(self):
        voxels = nd.Dataset(noise(5, 7))
        self.assertEqual(voxels.shape, (5, 7, 1))
        encoder = nd.Encoder("nice", n_channels=17, n_samples=100, embed_dim=4)
        with self.assertRaisesRegex(ValueError, r"trials: got shape \(5, 7\)"):
            encoder.embed(noise(5, 7))


class Files(Folder):
    def test_arrays(self):
        array = noise(3, 4)
        for name in ("x.npy", "x.npz", "x.safetensors", "x.csv"):
            nd.write_array(self.folder / name, array)
            np.testing.assert_allclose(nd.read_array(str(self.folder / name)), array, rtol=1e-6)
        np.testing.assert_array_equal(np.load(self.folder / "x.npy"), array)
        np.save(self.folder / "wide.npy", np.asfortranarray(array.astype(np.float64)))
        np.testing.assert_array_equal(nd.read_array(self.folder / "wide.npy"), array)
        self.assertEqual(nd.describe(self.folder / "x.npy")["arrays"][0]["shape"], [3, 4])

    def test_formats(self):
        formats = {row.name: row for row in nd.formats()}
        self.assertTrue(formats["npy"].can_read)

    def test_dataset_and_bank(self):
        array, ids = noise(4, 3, 20), ["a/1", "b/1", "c/1", "d/1"]
        nd.Dataset(array, ids, rate=50).save(self.folder / "store.safetensors")
        again = nd.Dataset.open(self.folder / "store.safetensors")
        np.testing.assert_array_equal(again.data(), array)
        self.assertEqual((again.images, again.info.rate), (ids, 50))
        np.save(self.folder / "raw.npy", array.astype(np.float64))
        self.assertEqual(nd.Dataset.open(self.folder / "raw.npy", axes="trial channel sample", rate=50).shape, array.shape)
        imported = nd.Dataset.import_file(self.folder / "raw.npy", self.folder / "raw.safetensors", progress=lambda now: None)
        np.testing.assert_array_equal(imported.data(), array)

        vectors = noise(4, 6)
        bank = nd.Bank(vectors, ids, "clip")
        bank.save(self.folder / "bank.safetensors")
        other = nd.Bank.open(self.folder / "bank.safetensors")
        self.assertEqual((other.info.hash, other.layers, other.images), (bank.info.hash, {"clip": 6}, ids))
        np.testing.assert_array_equal(other.vectors("clip"), vectors)


class Banks(unittest.TestCase):
    def setUp(self):
        self.vectors = noise(4, 6)
        self.bank = nd.Bank(self.vectors, ["a/1", "b/1", "c/1", "d/1"])

    def test_operations(self):
        self.assertEqual((len(self.bank), self.bank.layers), (4, {"embedding": 6}))
        np.testing.assert_array_equal(self.bank.select(["d/1", "a/1"]).vectors(), self.vectors[[3, 0]])
        dataset = nd.Dataset(noise(2, 3, 4), ["c/1", "b/1"])
        np.testing.assert_array_equal(self.bank.select_for(dataset).vectors(), self.vectors[[2, 1]])
        self.assertEqual(len(self.bank.append(nd.Bank(self.vectors, list("wxyz")))), 8)
        both = self.bank.add_layers(nd.Bank(noise(4, 2), self.bank.images, "other"))
        self.assertEqual(both.layers, {"embedding": 6, "other": 2})
        self.assertEqual(both.concat_layers(["other", "embedding"], unit_length=True).info.dim, 8)
        np.testing.assert_allclose(self.bank.standardise().vectors().std(axis=0), 1, rtol=1e-4)
        np.testing.assert_array_equal(nd.Bank.one_hot(dataset).vectors(), np.eye(2, dtype=np.float32))
        with self.assertRaises(ValueError):
            self.bank.vectors("missing")


if __name__ == "__main__":
    unittest.main()
