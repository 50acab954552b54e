#!/usr/bin/env python3
"""The preparation of NSD from files as they are published (MAT, NIfTI, HDF5), through the command line tool, against NumPy. NEURODECODE names the tool."""
import gzip
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    import scipy.io
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)
try:
    import nibabel
except ImportError:
    nibabel = None
try:
    import h5py
except ImportError:
    h5py = None

TOOL = os.environ["NEURODECODE"]
WITH_HDF5 = os.environ.get("ND_HDF5", "1") == "1"
SUBJECT, SESSIONS, SHAPE = 3, 2, (9, 10, 8)


class Experiment:
    """A simulated experiment: which picture each trial showed, whole volumes of each session, a mask."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.ordering = rng.permutation(np.repeat(np.arange(1, 10001), 3)).reshape(1, -1)
        shared = np.sort(rng.choice(73000, 1000, replace=False)) + 1
        rest = np.setdiff1d(np.arange(1, 73001), shared)
        self.subjectim = np.stack([np.concatenate([shared, rng.permutation(rest)[:9000]]) for _ in range(8)])
        self.shared = shared.reshape(1, -1)
        self.mask = np.where(rng.random(SHAPE) < 0.1, 1, -1).astype("i2")
        self.betas = rng.integers(-2000, 2500, SHAPE + (SESSIONS * 750,)).astype("i2")
        self.voxels = (self.betas[self.mask > 0].T / 300).astype("f4")

    def save_design(self, folder):
        scipy.io.savemat(folder / "nsd_expdesign.mat", {"masterordering": self.ordering.astype(float), "subjectim": self.subjectim.astype(float),
                                                        "sharedix": self.shared.astype(float)}, do_compression=True)

    def expected(self):
        """Averages of the z-scored trials of each picture, training pictures then shared ones, and their ids."""
        order = self.ordering[0, :SESSIONS * 750]
        picture, test = self.subjectim[SUBJECT - 1][order - 1] - 1, order <= 1000
        x = self.voxels.astype("f8")
        for s in range(SESSIONS):
            k = np.arange(750 * s, 750 * s + 750)
            fit = x[k][~test[k]]
            x[k] = (x[k] - fit.mean(0)) / fit.std(0)
        for chosen in (~test, test):
            groups = {}
            for i in np.flatnonzero(chosen):
                groups.setdefault(picture[i], []).append(i)
            yield np.stack([x[g].mean(0) for g in groups.values()]), [f"nsd-{i:05d}" for i in groups]


class Nsd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.experiment = Experiment()

    def prepare(self, folder):
        output = folder / "out"
        subprocess.run([TOOL, "prepare", "nsd", folder, "-o", output, "--subject", str(SUBJECT), "-p", "check=0 arrays=1", "--quiet"], check=True)
        for name, (x, ids) in zip(("training", "test"), self.experiment.expected()):
            short = "train" if name == "training" else name
            got = np.load(output / "processed_data" / f"sub{SUBJECT:02d}" / f"nsd_{short}_fmri_sub{SUBJECT:02d}.npy")
            self.assertEqual(got.shape, x.shape)
            self.assertLess(np.abs(got - x).max(), 1e-5)
            self.assertEqual((output / f"subj{SUBJECT:02d}_{name}_images.txt").read_text().split(), ids)

    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name)
        self.experiment.save_design(path)
        return path

    def save_sessions(self, folder, suffix, save):
        betas = folder / f"nsddata_betas/ppdata/subj{SUBJECT:02d}/func1pt8mm/betas_fithrf_GLMdenoise_RR"
        betas.mkdir(parents=True)
        for s in range(SESSIONS):
            save(betas / f"betas_session{s + 1:02d}{suffix}", self.experiment.betas[..., 750 * s:750 * s + 750])
        roi = folder / f"nsddata/ppdata/subj{SUBJECT:02d}/func1pt8mm/roi"
        roi.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(self.experiment.mask, np.eye(4)), roi / "nsdgeneral.nii.gz")

    def test_packed_array(self):
        folder = self.folder()
        (folder / "nsdgeneral").mkdir()
        with gzip.open(folder / f"nsdgeneral/subj{SUBJECT:02d}_nsdgeneral.npy.gz", "wb", 1) as f:
            np.save(f, self.experiment.voxels)
        self.prepare(folder)

    @unittest.skipUnless(nibabel, "nibabel is absent")
    def test_nifti_sessions(self):
        folder = self.folder()
        self.save_sessions(folder, ".nii.gz", lambda path, x: nibabel.save(nibabel.Nifti1Image(x, np.eye(4)), path))
        self.prepare(folder)

    @unittest.skipUnless(nibabel and h5py and WITH_HDF5, "nibabel, h5py or HDF5 is absent")
    def test_hdf5_sessions(self):
        def save(path, x):
            with h5py.File(path, "w") as f:
                f.create_dataset("betas", data=x.T, chunks=(x.shape[3], 1, 1, x.shape[0]))

        folder = self.folder()
        self.save_sessions(folder, ".hdf5", save)
        self.prepare(folder)

    @unittest.skipUnless(h5py and WITH_HDF5, "h5py or HDF5 is absent")
    def test_hdf5_voxels(self):
        for kwargs in ({}, {"chunks": (100, 20), "compression": "gzip"}):
            folder = self.folder()
            (folder / "nsdgeneral").mkdir()
            with h5py.File(folder / f"nsdgeneral/subj{SUBJECT:02d}_nsdgeneral.hdf5", "w") as f:
                f.create_dataset("voxels", data=self.experiment.voxels, **kwargs)
                f.create_dataset("images", data=np.zeros((SESSIONS * 750, 3, 2, 2), "f4"))
            self.prepare(folder)


if __name__ == "__main__":
    unittest.main()
