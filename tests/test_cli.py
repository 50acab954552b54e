"""The command line tool and the examples on a small simulated world: results, exit statuses 0, 1 and 2, messages, and that a failure leaves no file behind. NEURODECODE names the tool."""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

TOOL = os.environ["NEURODECODE"]
WORLD = ("--concepts 40 --images-per-concept 5 --test 20 --train-repetitions 2 --test-repetitions 4 --channels 17 --samples 100 --dim 16 --snr 2 --quiet").split()


def run(*words, **extra):
    return subprocess.run([TOOL, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env={**os.environ, **extra})


class Tool(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="neurodecode-")
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.world, cls.model = cls.folder / "world", cls.folder / "model.safetensors"
        cls.simulated = run("simulate", cls.world, *WORLD)
        cls.trained = run("train", cls.world, "--subject", 1, "--embeddings", "aligned", "--normalise", "zscore", "--epochs", 8, "--batch", 32, "-o", cls.model)

    @classmethod
    def tearDownClass(cls):
        cls.temporary.cleanup()

    def succeeds(self, *words):
        done = run(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def fails(self, status, words, *expected):
        """The exit status, and one line on standard error that holds what is expected."""
        before = sorted(self.folder.rglob("*"))
        done = run(*words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(done.stdout, "")
        for text in expected:
            self.assertIn(str(text), done.stderr)
        if status == 1:
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(sorted(self.folder.rglob("*")), before, "a failure left files behind")

    def evaluate(self, *more):
        return json.loads(self.succeeds("evaluate", self.world, "--subject", 1, "--model", self.model, "--embeddings", "aligned", "--json", "--quiet", *more))

    def test_help_and_version(self):
        self.assertIn("Commands:", self.succeeds("--help"))
        self.assertIn("0.1.0", self.succeeds("--version"))
        for command in ("simulate", "info", "convert", "train", "embed", "evaluate", "align"):
            self.assertIn("Examples:", self.succeeds(command, "--help"), command)

    def test_simulate_and_train(self):
        self.assertEqual(self.simulated.returncode, 0, self.simulated.stderr)
        self.assertEqual(self.trained.returncode, 0, self.trained.stderr)
        self.assertTrue(self.model.is_file())

    def test_evaluate_is_better_than_chance(self):
        found = json.dumps(self.evaluate())
        self.assertIn("top5", found.replace("top-5", "top5").replace("top_5", "top5"))

    def test_results_do_not_depend_on_threads(self):
        self.assertEqual(self.evaluate("--threads", 1), self.evaluate("--threads", 3))

    def test_info(self):
        self.assertIn("preprocessed_eeg_data", self.succeeds("info", self.world))
        self.assertIn("npy", self.succeeds("info", "--formats"))
        self.assertIn("nice", self.succeeds("info", "--encoders"))
        about = json.loads(self.succeeds("info", "--json", self.model))
        self.assertEqual(about["format"], "safetensors")

    def test_examples(self):
        for name in ("decode", "custom_loop"):
            done = subprocess.run([pathlib.Path(TOOL).with_name(name), self.world], cwd=self.folder, capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn({"decode": "top-1", "custom_loop": "kept the weights"}[name], done.stdout)

    def test_wrong_usage(self):
        self.fails(2, [], "Usage")
        self.fails(2, ["decode"], "decode")
        self.fails(2, ["simulate"])
        self.fails(2, ["simulate", self.folder / "other", "--concepts", "many"], "concepts", "many")
        self.fails(2, ["evaluate", self.world, "--no-such-option"], "no-such-option")

    def test_missing_and_damaged_files(self):
        self.fails(1, ["info", self.folder / "absent.npy"], self.folder / "absent.npy")
        self.fails(1, ["train", self.folder / "absent", "-o", self.folder / "new.safetensors"], "absent")
        self.fails(1, ["evaluate", self.world, "--model", self.folder / "absent.safetensors"], "absent.safetensors")
        damaged = self.folder / "damaged.safetensors"
        damaged.write_bytes(self.model.read_bytes()[:1000])
        self.fails(1, ["evaluate", self.world, "--model", damaged, "--quiet"], "damaged.safetensors")
        damaged.unlink()

    def test_no_half_written_output(self):
        self.fails(1, ["train", self.world, "--embeddings", "aligned", "--epochs", 1, "--batch", 32, "--quiet", "-o", self.folder / "absent/model.safetensors"], "absent")
        self.fails(1, ["train", self.world, "--embeddings", "absent", "--quiet", "-o", self.folder / "new.safetensors"], "absent")


if __name__ == "__main__":
    unittest.main()
