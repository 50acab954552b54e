"""NIfTI images as NiBabel writes and reads them: every type, both versions and byte orders, scaling, packed or not; and the real files below ND_DATA."""
import os
import pathlib
import sys
import tempfile
import unittest

import nibabel
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bindings/python"))
import neurodecode as nd  # noqa: E402

DATA = pathlib.Path(os.environ.get("ND_DATA", "../shared/data")).resolve()
TYPES = ("u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")


class Images(unittest.TestCase):
    def compare(self, path):
        wanted = nibabel.load(path).get_fdata(dtype=np.float64).astype(np.float32)
        np.testing.assert_array_equal(nd.read_array(path), wanted, str(path))

    def test_written_by_nibabel(self):
        values = np.random.default_rng(1).uniform(0, 100, (3, 4, 5, 2, 1, 3))
        kinds = {".nii": (nibabel.Nifti1Image, nibabel.Nifti2Image), ".nii.gz": (nibabel.Nifti1Image,), ".hdr": (nibabel.Nifti1Pair, nibabel.Nifti2Pair)}
        with tempfile.TemporaryDirectory() as folder:
            for ending, classes in kinds.items():
                for kind in classes:
                    for type_ in TYPES:
                        for order in "<>":
                            for scaling in (None, (0.37, -5.25)):
                                header = kind.header_class(endianness=order)
                                header.set_data_dtype(np.dtype(type_).newbyteorder(order))
                                if scaling:
                                    header.set_slope_inter(*scaling)
                                path = pathlib.Path(folder, "a" + ending)
                                nibabel.save(kind(values.astype(type_), np.diag([2, 3, 4, 1]), header), path)
                                self.compare(path)

    def test_real_files(self):
        paths = [path for path in sorted((DATA / "fixtures/nifti").glob("*.nii*")) if "dconn" not in path.name] + sorted(DATA.glob("haxby2001/**/*.nii.gz"))
        if not paths:
            self.skipTest(f"no images in {DATA}")
        for path in paths:
            self.compare(path)

    def test_masked(self):
        bold, mask = (DATA / "haxby2001" / f"{name}.nii.gz" for name in ("bold", "mask"))
        if not bold.exists():
            self.skipTest(f"no {bold}")
        trials = nd.Dataset.open(bold, mask=mask)
        wanted = nibabel.load(bold).get_fdata()[nibabel.load(mask).get_fdata() != 0].T
        np.testing.assert_array_equal(trials.data()[:, :, 0], wanted.astype(np.float32))
        self.assertEqual(trials.info.rate, 0.4)


if __name__ == "__main__":
    unittest.main()
