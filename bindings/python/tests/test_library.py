"""The search for the shared library; needs neither NumPy nor the library."""
import ctypes.util
import importlib.util
import pathlib
import shutil
import tempfile
import unittest
from unittest import mock

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "neurodecode" / "_lib.py"


def table(source=SOURCE):
    specification = importlib.util.spec_from_file_location("table", source)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


class Search(unittest.TestCase):
    def message(self, source=SOURCE, variable=""):
        lib = table(source)
        with mock.patch.dict("os.environ", {lib.VARIABLE: variable}), mock.patch("ctypes.util.find_library", return_value=None):
            with mock.patch.object(lib, "PLAIN_NAMES", ("libneurodecode-that-is-nowhere.so.0",) * 2), self.assertRaises(ImportError) as caught:
                lib.load()
        return str(caught.exception)

    def test_a_missing_file_is_explained(self):
        message = self.message(variable="/no/such/file.so")
        for part in ("/no/such/file.so: cannot open", "NEURODECODE_LIBRARY is set, so nothing else was tried"):
            self.assertIn(part, message)

    def test_another_library_is_refused(self):
        other = ctypes.util.find_library("m")
        if not other:
            self.skipTest("skipped: no other library at hand")
        self.assertIn(f"{other}: not a libneurodecode 0.1", self.message(variable=other))

    def test_every_place_is_listed(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            package = root / "bindings" / "python" / "neurodecode"
            for made in (package, root / "include", root / "build" / "lib", root / "build-gcc" / "lib"):
                made.mkdir(parents=True)
            (root / "include" / "neurodecode.h").touch()
            (root / "build-gcc" / "lib" / "libneurodecode.so.0.1.0").write_text("not a library")
            shutil.copy(SOURCE, package)
            places = [line.split(":")[0].strip() for line in self.message(package / "_lib.py").splitlines() if line.startswith("  ")]
        builds = [root / "build" / "lib", root / "build", root / "build" / "tests" / "lib", root / "build-gcc" / "lib"]
        self.assertEqual([pathlib.Path(place).parent for place in places[:5]], [package, *builds])
        self.assertEqual(pathlib.Path(places[4]).name, "libneurodecode.so.0.1.0")
        self.assertEqual(places[-1], "libneurodecode-that-is-nowhere.so.0")

    def test_a_library_of_another_version_is_refused(self):
        lib = table()

        class Library:
            @staticmethod
            def nd_version_number():
                return Library.number

        for number, fits in ((1 << 16, False), (0 << 16, False), (1 << 8, True), (7 << 8 | 3, True)):
            Library.number = number
            expected = "nd_version'" if fits else "is version .*, expected 0.1 or a later 0.x"
            with self.subTest(number=number), self.assertRaisesRegex(ImportError, expected):
                lib.declare(Library())


if __name__ == "__main__":
    unittest.main()
