"""The N170 recordings of a Muse headband, from raw tables to area under the curve by two commands a person: houses and faces, left out run by run.

NEURODECODE names the program, ND_DATA the folder of the recordings (default ../shared/data); without them the test is skipped (exit status 77)."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

FOLDER = pathlib.Path(os.environ.get("ND_DATA", "../shared/data"), "muse_visual_eeg/visual/N170")
if not FOLDER.is_dir():
    print(f"skipped: {FOLDER} is absent")
    sys.exit(77)

EXPECTED = {1: (1149, 0.660), 2: (383, 0.593), 3: (930, 0.675)}  # trials, area under the curve of an independent implementation


def run(*words):
    done = subprocess.run([os.environ["NEURODECODE"], *map(str, words), "--json", "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


class MuseTest(unittest.TestCase):
    def test_people(self):
        with tempfile.TemporaryDirectory() as folder:
            for person, (trials, area) in EXPECTED.items():
                store = pathlib.Path(folder, f"{person}.safetensors")
                files = sorted(FOLDER.glob(f"subject{person}/*/*.csv"))
                made = run("prepare", "recording", *files, "-o", store, "--unit", "uV", "--channels", "TP9,AF7,AF8,TP10",
                           "--events", "house=1 face=2", "--low", 1, "--high", 30, "--filter", "butterworth", "--window=-0.1:0.8",
                           "--reject", "eeg=200e-6", "--decimate", 4)
                self.assertEqual((made["trials"], made["channels"], made["images"]), (trials, 4, 2))
                self.assertEqual(sum(file["trials"]["kept"] for file in made["files"]), trials)
                report = run("evaluate", "--data", store, "--bank", "one-hot", "--cross", "run", "--params", "penalty=100", "--window", "0:0.81",
                             "--vectors", "l2")
                self.assertLess(abs(report["auc"] - area), 0.01, f"person {person}")

    def test_what_is_expected(self):
        file = sorted(FOLDER.glob("subject3/session3/*.csv"))[-1]  # seven events, none of which can be used
        expected = run("prepare", "recording", file, "--dry-run", "--events", "house=1 face=2", "--window=-0.1:0.8")["files"][0]
        self.assertEqual((expected["channels"], expected["rate"], expected["events"]), (6, 256, {"1": 4, "2": 3}))
        self.assertEqual((expected["expected"]["trials"], expected["expected"]["channels"], expected["expected"]["samples"]), (7, 5, 232))


if __name__ == "__main__":
    unittest.main()
