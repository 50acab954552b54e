"""What the tests share: the package of this checkout and one small simulated world, made once."""
import atexit
import functools
import pathlib
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

try:
    import numpy as np
except ImportError:
    raise unittest.SkipTest("skipped: NumPy is not installed") from None

import neurodecode as nd

SIZES = dict(n_concepts=20, images_per_concept=2, n_test=20, train_repetitions=2, test_repetitions=4,
             n_channels=17, n_samples=100, embed_dim=16, snr=1.0)


@functools.lru_cache(maxsize=None)
def folder():
    """A folder laid out as THINGS-EEG2: 40 training and 20 test images."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="neurodecode-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    nd.simulate(path / "world", **SIZES)
    return path / "world"


def training():
    return nd.Dataset.open_things_eeg2(folder(), 1, "training", normalise="zscore")


def test():
    return nd.Dataset.open_things_eeg2(folder(), 1, "test", normalise="zscore")


def bank():
    return nd.Bank.open_things_eeg2(folder(), "all", "aligned")


def noise(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def parts():
    """Encoder, loss, training data and bank of a short training."""
    dataset = training()
    return nd.Encoder("nice", dataset, embed_dim=16, seed=3), nd.Loss(), dataset, bank()


class Folder(unittest.TestCase):
    """Gives each test an empty folder."""

    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = pathlib.Path(held.name)
