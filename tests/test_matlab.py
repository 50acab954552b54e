#!/usr/bin/env python3
"""MAT-files and HDF5 through the command line tool against SciPy and h5py: every file of ND_DATA, and files written here. NEURODECODE names the tool."""
import gzip
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

TOOL = os.environ.get("NEURODECODE", "neurodecode")
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
        return
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
                if f.name != "broken_utf8.mat":  # damaged text is taken for Latin-1
                    self.compare(f)
        for name, (message, theirs) in self.refused.items():
            print(f"{name}: we: {message!r}; SciPy: {type(theirs).__name__} {str(theirs)[:80] if isinstance(theirs, Exception) else ''}")

    # ---- files written here ----

    def path(self, name):
        return pathlib.Path(self.folder) / name

    def test_scipy_writes(self):
        random = np.random.default_rng(1)
        things = {
            "x": random.normal(size=(3, 4, 5)), "single": random.normal(size=(40, 700)).astype("f4"), "big": np.array([[1 << 62, -(1 << 62)]]), "u": np.arange(5, dtype="u2"),
            "truth": np.array([[True, False]]), "z": random.normal(size=(2, 3)) + 1j, "s": "très", "sparse": scipy.sparse.random(9, 7, 0.3, random_state=1).tocsc(),
            "cell": np.array(["a", "bc"], dtype=object), "mixed": np.array(["a", np.arange(3.0)], dtype=object), "nothing": np.zeros((0, 3)),
            "struct": {"a": 1.5, "deep": {"b": "text", "c": np.arange(6.0).reshape(2, 3)}},
            "many": np.array([(1.0, "one"), (2.0, "two")], dtype=[("n", object), ("name", object)]),
        }
        for format in "5", "4":
            for packed in False, True:
                given = {k: v for k, v in things.items() if format == "5" or k in ("single", "u", "s", "z", "sparse")}
                scipy.io.savemat(self.path("a.mat"), given, format=format, do_compression=packed and format == "5")
                self.refused = {}
                self.assertTrue(self.compare(self.path("a.mat")), self.refused)

    @unittest.skipUnless(h5py and WITH_HDF5, "needs h5py and a tool built with hdf5")
    def test_h5py_writes(self):
        x = np.arange(24.0).reshape(2, 3, 4)
        random = np.random.default_rng(2)
        given = {
            "g/h/plain": x, "be": x.astype(">f4"), "i2": np.arange(5, dtype=">i2"), "u8": np.arange(5, dtype="u8"), "half": x.astype("f2"), "truth": np.array([True, False]),
            "complex": x + 2j, "complex64": (x + 2j).astype("c8"), "scalar": np.float64(2.5), "empty": np.zeros((0, 3)),
        }
        texts = {"word": np.array("hello"), "words": np.array(["a", "zwei", "três"]), "fixed": np.array(["ab", "cde"])}
        with h5py.File(self.path("a.h5"), "w") as f:
            for name, value in given.items():
                f[name] = value
            given["chunked"] = random.normal(size=(300, 70, 5))
            f.create_dataset("chunked", data=given["chunked"], chunks=(7, 33, 2), compression="gzip", shuffle=True)
            given["long"] = random.integers(0, 9, size=(3, 1 << 19))
            f.create_dataset("long", data=given["long"], chunks=(1, 4096), compression="gzip")
            given["unwritten"] = np.full((10, 3), 2.5, "f4")
            f.create_dataset("unwritten", shape=(10, 3), dtype="f4", fillvalue=2.5)
            f["word"], f["words"] = "hello", ["a", "zwei", "três"]
            f["fixed"] = np.array([b"ab", b"cde"])
            f["record"] = np.zeros(3, dtype=[("a", "i4"), ("b", "f8")])
            f["void"] = h5py.Empty("f4")
            f["extended"] = x.astype("longdouble")
            f["soft"], f["away"] = h5py.SoftLink("/be"), h5py.ExternalLink("b.h5", "/x")
            f.create_dataset("outside", shape=(4,), dtype="u1", external=[(str(self.path("a.h5")), 0, 4)])
            f.attrs["rate"], f.attrs["name"], f["g"].attrs["unit"] = 250.0, "x", "uV"
        ours, _ = load(self.path("a.h5"), self.folder)
        self.assertEqual(eval(str(ours.pop("__metadata__"))), {"rate": 250.0, "name": "x", "g/unit": "uV"})
        same(self, "a.h5", ours, {**given, **texts})
        with gzip.open(self.path("a.h5.gz"), "wb") as packed:
            packed.write(self.path("a.h5").read_bytes())
        ours, _ = load(self.path("a.h5.gz"), self.folder)
        ours.pop("__metadata__")
        same(self, "a.h5.gz", ours, {**given, **texts})

    @unittest.skipUnless(h5py and WITH_HDF5, "needs h5py and a tool built with hdf5")
    def test_files_of_h5py(self):
        files = sorted((DATA / "fixtures/hdf5").rglob("*.h5"))
        if not files:
            self.skipTest(f"no HDF5 in {DATA}")
        for path in files:
            wanted = {}

            def keep(name, item):
                if isinstance(item, h5py.Dataset):
                    wanted[name] = item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]
                    if wanted[name].dtype.kind == "O":
                        wanted[name] = wanted[name].astype("U")

            with h5py.File(path) as f:
                f.visititems(keep)
            ours, _ = load(path, self.folder)
            ours.pop("__metadata__", None)
            same(self, path.name, ours, wanted)

    @unittest.skipUnless(h5py and WITH_HDF5, "needs h5py and a tool built with hdf5")
    def test_version_73(self):
        x = np.arange(24.0).reshape(2, 3, 4)
        with h5py.File(self.path("a.mat"), "w", userblock_size=512) as f:
            write_73(f, "x", x)
            write_73(f, "z", x[0] + 1j)
            write_73(f, "truth", np.array([[True, False]]))
            write_73(f, "title", "très long")
            write_73(f, "nothing", np.zeros((0, 3)))
            write_73(f, "cell", ["a", "bc"])
            write_73(f, "mixed", ["a", x[0]])
            write_73(f, "s", {"a": np.array([[1.5]]), "deep": {"b": "text"}})
            write_73(f, "many", [{"n": np.array([[i]]), "name": "abc"[i], "x": x[0] + i} for i in range(3)])
            packed = f.create_dataset("packed", data=x.T, chunks=(2, 3, 1), compression="gzip")
            packed.attrs["MATLAB_class"] = np.bytes_("double")
            sparse = f.create_group("sparse")
            sparse.attrs["MATLAB_class"], sparse.attrs["MATLAB_sparse"] = np.bytes_("double"), np.uint64(3)
            handle = f.create_dataset("handle", data=np.zeros(2))
            handle.attrs["MATLAB_class"] = np.bytes_("function_handle")
        head_73(self.path("a.mat"))
        ours, message = load(self.path("a.mat"), self.folder)
        self.assertIsNotNone(ours, message)
        same(self, "a.mat", ours, {
            "x": x, "packed": x, "z": x[0] + 1j, "truth": np.array([[True, False]]), "title": np.array("très long"), "nothing": np.zeros((0, 3)), "cell": np.array(["a", "bc"]),
            "mixed.0": np.array("a"), "mixed.1": x[0], "s.a": np.array([[1.5]]), "s.deep.b": np.array("text"), "many.n": np.arange(3.0), "many.name": np.array(["a", "b", "c"]),
            **{f"many.{i}.x": x[0] + i for i in range(3)}})


def head_73(path):
    """What MATLAB writes before the HDF5 of its version 7.3."""
    with open(path, "r+b") as f:
        f.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM")


def write_73(group, name, value):
    """A variable as MATLAB's version 7.3 has it. A list of dicts is an array of structs, another one a cell."""
    refs = group.file.require_group("#refs#")

    def refer(items):
        made = []
        for item in items:
            key = f"r{len(refs)}"
            write_73(refs, key, item)
            made.append(refs[key].ref)
        return np.array(made, dtype=h5py.ref_dtype).reshape(-1, 1)

    if isinstance(value, dict):
        made = group.create_group(name)
        for key, item in value.items():
            write_73(made, key, item)
        kind = "struct"
    elif isinstance(value, list) and isinstance(value[0], dict):
        made = group.create_group(name)
        for key in value[0]:
            made.create_dataset(key, data=refer([item[key] for item in value]), dtype=h5py.ref_dtype)
        kind = "struct"
    elif isinstance(value, list):
        made = group.create_dataset(name, data=refer(value), dtype=h5py.ref_dtype)
        kind = "cell"
    elif isinstance(value, str):
        made = group.create_dataset(name, data=np.array([ord(c) for c in value], "u2").reshape(-1, 1))
        made.attrs["MATLAB_int_decode"] = np.int32(2)
        kind = "char"
    elif value.size == 0:
        made = group.create_dataset(name, data=np.array(value.shape, "u8"))
        made.attrs["MATLAB_empty"] = np.uint8(1)
        kind = "double"
    else:
        kind = "logical" if value.dtype == bool else {"f": "single", "d": "double", "D": "double", "l": "int64"}[value.dtype.char]
        data = value.T.astype("u1") if value.dtype == bool else value.T
        if value.dtype.kind == "c":
            data = np.zeros(value.T.shape, [("real", "f8"), ("imag", "f8")])
            data["real"], data["imag"] = value.T.real, value.T.imag
        made = group.create_dataset(name, data=data)
    made.attrs["MATLAB_class"] = np.bytes_(kind)


if __name__ == "__main__":
    unittest.main()
