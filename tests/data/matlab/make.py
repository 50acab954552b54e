#!/usr/bin/env python3
"""Makes the small files in this folder; needs SciPy and h5py. All hold x = [[0 1 2] [3 4 5]] and what the format has besides."""
import os
import sys

import h5py
import numpy as np
import scipy.io
import scipy.sparse

os.chdir(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, "../..")
from test_matlab import head_73, write_73

x = np.arange(6.0).reshape(2, 3)
plain = {"x": x, "title": "très", "z": x[:1] + 2j, "sparse": scipy.sparse.csc_matrix(x)}
rich = {"truth": np.array([[True, False]]), "rows": np.array(["one", "three"]), "cell": np.array(["a", "bc"], dtype=object), "mixed": np.array(["a", x], dtype=object),
        "s": {"a": 1.5, "deep": {"b": "text"}}, "many": np.array([(1.0, "one", x), (2.0, "two", x)], dtype=[("n", object), ("name", object), ("x", object)]), "i": np.int16(-7)}
scipy.io.savemat("v4.mat", {**plain, "title": "text"}, format="4")
scipy.io.savemat("v5.mat", {**plain, **rich})
scipy.io.savemat("v7.mat", {**plain, **rich}, do_compression=True)

with h5py.File("v73.mat", "w", userblock_size=512, libver=("earliest", "v110")) as f:
    write_73(f, "x", x)
    write_73(f, "title", "très")
    write_73(f, "cell", ["a", "bc"])
    write_73(f, "many", [{"n": np.array([[1.0 + i]]), "x": x} for i in range(2)])
    write_73(f, "nothing", np.zeros((0, 3)))
head_73("v73.mat")

with h5py.File("small.h5", "w", libver=("earliest", "v110")) as f:
    f["g/x"] = x
    f.create_dataset("packed", data=np.arange(60.0).reshape(10, 6), chunks=(4, 4), compression="gzip")
    f["words"] = ["one", "zwei", "três"]
    f["fixed"] = np.array([b"ab", b"cde"])
    f["half"] = x.astype(">f2")
    f["record"] = np.zeros(1, dtype=[("a", "i4"), ("b", "f8")])
    f.attrs["rate"], f.attrs["name"] = 250.0, "test"

chanlocs = np.array([("Cz", "EEG"), ("VEOG", "EOG")], dtype=[("labels", object), ("type", object)])
for name, trials in ("recording", 1), ("trials", 3):
    data = np.arange(2 * 10 * trials, dtype="f4").reshape(2, 10, trials, order="F").squeeze()
    events = np.array([(10.0 * i + 5, "abc"[i % 3], 1.0, i + 1.0) for i in range(trials)], dtype=[(k, object) for k in ("latency", "type", "duration", "epoch")])
    eeg = {"nbchan": 2.0, "pnts": 10.0, "trials": float(trials), "srate": 100.0, "xmin": -0.04 if trials > 1 else 0.0, "data": data, "chanlocs": chanlocs, "event": events}
    scipy.io.savemat(name + ".set", {"EEG": eeg}, appendmat=False, do_compression=trials > 1)
