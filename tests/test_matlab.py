#!/usr/bin/env python3
"""MAT-files and HDF5 through the command line tool against SciPy and h5py: every file of ND_DATA, and files written here. NEURODECODE names the tool."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import warnings

try:
    import numpy as np
    import scipy.io
    import scipy.sparse
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
try:
    import h5py
except ImportError:
    h5py = None

TOOL = os.environ["NEURODECODE"]
DATA = pathlib.Path(os.environ.get("ND_DATA", pathlib.Path(__file__).parents[2] / "shared" / "data"))
WITH_HDF5 = os.environ.get("ND_HDF5", "1") == "1"


def load(path, folder):
    """Arrays and texts of a file as the tool sees them, or its message."""
    out = os.path.join(folder, "out.npz")
    done = subprocess.run([TOOL, "convert", str(path), out], capture_output=True, text=True)
    if done.returncode:
        assert done.returncode > 0 and len(done.stderr.strip().splitlines()) >= 1, f"{path}: {done}"
        return None, done.stderr.strip()
    return dict(np.load(out)), done.stderr


def word(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "U" and x.size <= 1


def empty(x):
    return isinstance(x, np.ndarray) and x.dtype.kind not in "UOV" and x.size == 0


def scalar(x):
    return isinstance(x, np.ndarray) and x.dtype.kind in "biuf" and x.size == 1


def all_of(sort, values):
    return any(map(sort, values)) and all(sort(x) or empty(x) for x in values)


def string(x):
    return x.reshape(-1)[0] if word(x) and x.size else ""


def flatten(name, x, out):
    """What loadmat() returns by the naming rules of the library."""
    if x is None:
        x = np.zeros((0, 0))
    if scipy.sparse.issparse(x):
        x = x.toarray()
    if isinstance(x, scipy.io.matlab.MatlabFunction) or isinstance(x, scipy.io.matlab.MatlabOpaque):
        return
    if x.dtype.names:
        items = x.reshape(-1, order="F")
        for field in x.dtype.names:
            column = [item[field] for item in items]
            if len(items) == 1:
                flatten(f"{name}.{field}", column[0], out)
            elif all_of(word, column):
                out[f"{name}.{field}"] = np.array([string(v) for v in column])
            elif all_of(scalar, column):
                out[f"{name}.{field}"] = np.array([float(v.reshape(-1)[0]) if v.size else np.nan for v in column])
            else:
                for i, v in enumerate(column):
                    flatten(f"{name}.{i}.{field}", v, out)
    elif x.dtype.kind == "O":
        items = list(x.reshape(-1, order="F"))
        if all_of(word, items):
            out[name] = np.array([string(v) for v in items])
        else:
            for i, v in enumerate(items):
                flatten(f"{name}.{i}", v, out)
    elif x.dtype.kind == "U":
        out[name] = np.array(string(x)) if x.size <= 1 else x.reshape(-1)
    else:
        out[name] = x


def same(test, path, ours, wanted):
    test.assertEqual(sorted(ours), sorted(wanted), path)
    for name, x in wanted.items():
        y = ours[name]
        if x.dtype.kind == "U":
            test.assertEqual([t.rstrip(" \0") for t in np.atleast_1d(x).tolist()], [t.rstrip(" \0") for t in np.atleast_1d(y).tolist()], f"{path} {name}")
        else:
            test.assertEqual(y.shape, x.shape, f"{path} {name}")
            np.testing.assert_array_equal(y, x.astype(y.dtype) if y.dtype.kind == "b" else x, f"{path} {name}")


class Matlab(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()

    def tearDown(self):
        for name in os.listdir(self.folder):
            os.remove(os.path.join(self.folder, name))
        os.rmdir(self.folder)

    def compare(self, path):
        """True if both read the file, to the same values."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = scipy.io.loadmat(path)
        except Exception as refused:  # whatever SciPy says of a damaged file
            theirs = refused
        ours, message = load(path, self.folder)
        if ours is None or isinstance(theirs, Exception):
            self.refused[path.name] = (message, theirs)
            return False
        wanted = {}
        for name, x in theirs.items():
            if not name.startswith("__"):
                flatten(name, x, wanted)
        same(self, path.name, ours, wanted)
        return True

    def test_files_of_others(self):
        self.refused = {}
        files = [f for folder in ("fixtures/mat", "fixtures/edf_bdf", "kriegeskorte_92", "object2vec_81", "things_embeddings") for f in sorted((DATA / folder).glob("*.mat"))]
        if not files:
            self.skipTest(f"no recordings in {DATA}")
        for f in files:
            with self.subTest(f.name):
                self.compare(f)
        for name, (message, theirs) in self.refused.items():
            print(f"{name}: we: {message!r}; SciPy: {type(theirs).__name__} {str(theirs)[:80] if isinstance(theirs, Exception) else ''}")


if __name__ == "__main__":
    unittest.main()
