"""Statuses as exceptions, options and types."""
import pickle
import unittest

from world import Folder, nd, noise, np
from neurodecode import _lib, errors


class Errors(Folder):
    def test_every_status_has_its_class(self):
        self.assertEqual({kind.status for kind in errors.BY_STATUS.values()}, set(_lib.STATUSES.values()) - {0})
        for base, kind in ((ValueError, nd.ArgumentError), (MemoryError, nd.OutOfMemoryError), (OSError, nd.FileError), (ValueError, nd.FormatError)):
            self.assertTrue(issubclass(kind, base) and issubclass(kind, nd.NeurodecodeError))
        again = pickle.loads(pickle.dumps(nd.FileError("where: what")))
        self.assertEqual((str(again), again.status, again.name), ("where: what", -3, "ND_ERR_IO"))

    def test_messages(self):
        with self.assertRaises(OSError) as caught:
            nd.Dataset.open(self.folder / "missing.npy")
        self.assertIsInstance(caught.exception, nd.FileError)
        self.assertIn("missing.npy", str(caught.exception))
        damaged = self.folder / "damaged.npy"
        damaged.write_bytes(b"\x93NUMPY\x01\x00\xff\xff{")
        with self.assertRaises(nd.FormatError):
            nd.read_array(damaged)
        array = noise(3, 2, 4)
        array[1, 1, 2] = np.nan
        with self.assertRaises(nd.NumericError):
            nd.Dataset(array)
        with self.assertRaises(nd.ArgumentError):
            nd.Bank(noise(2, 3), ["same", "same"])
        with self.assertRaises(nd.ArgumentError):
            nd.Dataset(noise(3, 2, 4)).trial(3)
        with self.assertRaises(nd.StateError):
            nd.Dataset(noise(3, 2, 4), normalise="zscore").normalise("zscore")

    def test_options(self):
        data = noise(2, 2, 4)
        with self.assertRaisesRegex(TypeError, "unknown option 'sample_rate', expected one of: variable, axes, .*rate"):
            nd.Dataset(data, sample_rate=250)
        with self.assertRaisesRegex(TypeError, "unknown option 'size'"):
            nd.Loss(size=3)
        with self.assertRaisesRegex(ValueError, "normalise: got 'minmax', expected one of: none, zscore, reference"):
            nd.Dataset(data, normalise="minmax")
        with self.assertRaisesRegex(ValueError, "temperature: got 'hot', expected a number"):
            nd.Loss(temperature="hot")
        with self.assertRaisesRegex(ValueError, "embed_dim: got -1, expected a whole number from 0"):
            nd.Encoder("nice", n_channels=17, n_samples=100, embed_dim=-1)
        with self.assertRaisesRegex(ValueError, "blanks"):
            nd.Dataset(data, channels=["a b", "c"])
        self.assertAlmostEqual(nd.Loss(temperature=0.1, vectors="l2").temperature, 0.1)
        self.assertEqual(nd.Dataset(data, rate=None, channels=None).info.rate, 1)

    def test_wrong_types_never_reach_c(self):
        dataset, bank = nd.Dataset(noise(2, 2, 4)), nd.Bank(noise(2, 3))
        for function, argument in ((bank.select_for, bank), (dataset.concat, bank), (bank.append, 3), (dataset.trial, "0"), (dataset.select, [0.5])):
            self.assertRaises(TypeError, function, argument)
        with self.assertRaisesRegex(ValueError, "from 0"):
            dataset.trial(-1)
        with self.assertRaises(ValueError):
            nd.Dataset(noise(1, 2, 4), ["a\0b"])
        self.assertRaises(TypeError, nd.Dataset.open, "x.npy", progress=3)

    def test_tables(self):
        self.assertIn("nice", [kind.name for kind in nd.encoder_kinds()])
        self.assertIn("dropout", [param.name for param in nd.encoder_params("nice")])
        self.assertEqual([param.name for param in nd.encoder_params("linear")][0], "subjects")
        with self.assertRaises(nd.ArgumentError):
            nd.encoder_params("no such kind")
        self.assertIn("mixco", [augmentation.name for augmentation in nd.augmentations()])
        self.assertEqual(nd.library_version().split(".")[:2], [str(number) for number in _lib.VERSION])
        self.assertIsInstance(nd.build_info(), dict)


if __name__ == "__main__":
    unittest.main()
