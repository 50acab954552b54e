"""The command line tool and the examples on a small simulated world: results, exit statuses 0, 1 and 2, messages, and that a failure leaves no file behind. NEURODECODE names the tool."""
import array
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest
import zipfile

TOOL = os.environ["NEURODECODE"]
WORLD = ("--concepts 40 --images-per-concept 5 --test 20 --train-repetitions 2 --test-repetitions 4 --channels 17 --samples 100 --dim 16 --snr 2 --quiet").split()


def run(*words, **extra):
    return subprocess.run([TOOL, *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, env={**os.environ, **extra})


def write_npy(path, *shape):
    """Float32 numbers that go up and down, without NumPy."""
    n = 1
    for extent in shape:
        n *= extent
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + array.array("f", ((i * 7919 % 1009) / 1009 for i in range(n))).tobytes())
    return path


def write_nifti(path, values, *shape):
    """A NIfTI-1 file of int16, first index fastest, a volume every 2 s."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, len(shape), *shape, *[1] * (7 - len(shape)))
    struct.pack_into("<hh", header, 70, 4, 16)
    struct.pack_into("<5f", header, 76, 1, 3, 3, 3, 2)
    struct.pack_into("<2f", header, 108, 352, 0.5)
    header[123] = 10
    header[344:348] = b"n+1\0"
    path.write_bytes(bytes(header) + struct.pack(f"<{len(values)}h", *values))
    return path


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
        if words:
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        self.assertEqual(sorted(self.folder.rglob("*")), before, "a failure left files behind")

    def evaluate(self, *more):
        return json.loads(self.succeeds("evaluate", self.world, "--subject", 1, "--model", self.model, "--embeddings", "aligned", "--json", "--quiet", *more))

    def test_help_and_version(self):
        self.assertIn("Commands:", self.succeeds("--help"))
        self.assertIn("0.1.0", self.succeeds("--version"))
        for command in ("simulate", "info", "convert", "train", "embed", "evaluate", "align", "prepare"):
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

    def test_an_unseen_person(self):
        people, model = self.folder / "people", self.folder / "people.safetensors"
        self.succeeds("simulate", people, *WORLD, "--subjects", 5, "--test", 50)
        self.succeeds("train", people, "--subject", "1,2,3,4", "--embeddings", "aligned", "--encoder", "ridge", "-o", model)
        seen, unseen = (json.loads(self.succeeds("evaluate", people, "--subject", person, "--model", model, "--json", "--quiet")) for person in (4, 5))
        self.assertLess(unseen["top5"]["p"], 1e-6)
        self.assertGreater(seen["mrr"], unseen["mrr"])

    def test_info(self):
        self.assertIn("preprocessed_eeg_data", self.succeeds("info", self.world))
        self.assertIn("npy", self.succeeds("info", "--formats"))
        self.assertIn("nice", self.succeeds("info", "--encoders"))
        about = json.loads(self.succeeds("info", "--json", self.model))
        self.assertEqual(about["format"], "safetensors")
        self.assertEqual((about["encoder"]["kind"], about["encoder"]["channels"]), ("nice", 17))
        self.assertIn("training", about["history"])
        self.assertIn("multiply-adds", self.succeeds("info", self.model))

    def test_checkpoint_of_pytorch(self):
        path, out = self.folder / "checkpoint.pth", self.folder / "checkpoint.safetensors"
        tensor = b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06tQK\x00K\x02K\x03\x86K\x01K\x02\x86\x89NtR"
        with zipfile.ZipFile(path, "w") as z:
            z.writestr("a/data.pkl", b"\x80\x02}(U\x05epochK\x07U\x05state}U\x01w" + tensor + b"su.")
            z.writestr("a/data/0", struct.pack("<6f", *range(6)))
        shown = self.succeeds("info", path)
        for part in ("torch", "state.w", "2 x 3", "strided", "= 7", "2 arrays"):
            self.assertIn(part, shown)
        self.assertIn("2 arrays", self.succeeds("convert", path, out))
        self.assertTrue(out.read_bytes().endswith(struct.pack("<6f", 0, 2, 4, 1, 3, 5)))
        self.assertIn("2 x 3", self.succeeds("convert", path, self.folder / "w.npy", "--variable", "state.w"))
        self.fails(1, ["convert", path, self.folder / "other.npy"], "which array is meant?")

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

    def test_encoder_and_bank_must_fit(self):
        data, narrow = write_npy(self.folder / "eeg.npy", 10, 17, 100), write_npy(self.folder / "seven.npy", 10, 7, 100)
        fits, longer = write_npy(self.folder / "bank16.npy", 10, 16), write_npy(self.folder / "bank17.npy", 10, 17)
        start = ["evaluate", "--model", self.model, "--data"]
        self.succeeds(*start, data, "--bank", fits)
        self.fails(1, [*start, data, "--bank", longer], longer, "vectors of 17", f"the encoder {self.model} gives 16")
        self.fails(1, [*start, narrow, "--bank", fits], narrow, "7 x 100", "17 x 100")
        other = self.folder / "seventeen.safetensors"
        self.succeeds("train", "--data", data, "--bank", longer, "--encoder", "ridge", "-o", other)
        for option in ("--model", "--compare"):
            self.fails(1, [*start, data, "--bank", fits, option, other, "--quiet"], "vectors of 16", f"{other} gives 17")
        self.succeeds("evaluate", "--cross", "trial", "--params", "penalty=100", "--data", data, "--bank", fits, "--compare", longer)

    def test_evaluation_takes_the_samples_of_the_training(self):
        model = self.folder / "thinned.safetensors"
        self.succeeds("train", self.world, "--embeddings", "aligned", "--encoder", "ridge", "--window", "0:0.3", "--every", 3, "-o", model)
        protocol = json.loads(self.succeeds("evaluate", self.world, "--model", model, "--json", "--quiet"))["protocol"]
        self.assertEqual((protocol["first_sample"], protocol["trials"]), (0, 20))

    def test_protocol(self):
        def protocol(*words):
            model = self.folder / "protocol.safetensors"
            self.succeeds("train", self.world, "--embeddings", "aligned", "-o", model, *words)
            return json.loads(self.succeeds("evaluate", self.world, "--model", model, "--json", "--quiet"))["protocol"]
        ridge = protocol("--encoder", "ridge", "--params", "penalty=100")
        self.assertEqual(ridge["model_selection"], "closed form, no selection")
        self.assertIn("penalty=100", ridge["params"])
        self.assertEqual((ridge["embedding_size"], ridge["every"], ridge["partition"]), (16, 1, "test partition"))
        last = protocol("--validation-fraction", 0, "--epochs", 1, "--batch", 32)
        self.assertEqual(last["model_selection"], "last epoch, no selection")
        self.assertEqual(self.evaluate("--baseline", "0:0.1")["protocol"]["baseline"], [0, 0.1])
        self.assertIn("validation loss", self.evaluate()["protocol"]["model_selection"])

    def test_projector_lies_beside_the_model(self):
        model, beside = self.folder / "projected.safetensors", self.folder / "projected.images.safetensors"
        self.succeeds("train", self.world, "--embeddings", "aligned", "--encoder", "eegproject", "--projector", "linear", "--dim", 12, "--loss", "siglip",
                      "--learn-temperature", "--augment", "noise=0.1 shift=2", "--ema", 0.9, "--no-decay", "vectors", "--optimiser", "adam",
                      "--weight-decay", 0, "--epochs", 2, "--batch", 32, "-o", model)
        found = json.loads(self.succeeds("evaluate", self.world, "--model", model, "--json", "--quiet"))
        self.assertEqual(found["protocol"]["embedding_size"], 12)
        beside.unlink()
        self.fails(1, ["evaluate", self.world, "--model", model, "--quiet"], beside)
        self.fails(2, ["train", self.world, "--dim", 12], "--dim goes with --projector")
        self.fails(1, ["train", self.world, "--embeddings", "aligned", "--loss", "hinge", "--quiet", "-o", model.with_name("no.safetensors")], "hinge", "infonce")

    def test_people_left_out_in_turn(self):
        world = self.folder / "two-people"
        self.succeeds("simulate", world, "--subjects", 2, *WORLD)
        found = json.loads(self.succeeds("evaluate", world, "--cross", "subject", "--subject", "1,2", "--encoder", "eegnet", "--embeddings", "aligned", "--epochs", 1,
                                         "--batch", 32, "--json", "--quiet"))
        self.assertEqual({name: person["n"] for name, person in found["subjects"].items()}, {"1": 20, "2": 20})
        self.assertIn("training partition of all others", found["protocol"]["partition"])

    def test_prepare_fmri(self):
        """Two runs of 12 volumes of 6 voxels, in an image each with its events, and all in one array with a table."""
        where = self.folder / "fmri"
        where.mkdir()
        runs = [write_nifti(where / f"sub-01_run-{run}_bold.nii", [i * 7919 % 1009 for i in range(72 * run, 72 * run + 72)], 2, 3, 1, 12) for run in (1, 2)]
        for run in (1, 2):
            (where / f"sub-01_run-{run}_events.tsv").write_text("onset\tduration\ttrial_type\n4\t6\tface\n14\t6\thouse\n")
        mask = write_nifti(where / "mask.nii", [1, 0, 1, 1, 0, 1], 2, 3, 1)
        command = ["prepare", "fmri", *runs, "--mask", mask, "--detrend", 1, "--zscore", "run", "--rest", "rest", "--json"]
        self.assertEqual(json.loads(self.succeeds(*command, "-o", where / "volumes.safetensors")),
                         {"out": str(where / "volumes.safetensors"), "trials": 12, "voxels": 4, "labels": {"face": 6, "house": 6}})
        self.assertEqual(json.loads(self.succeeds(*command, "--blocks", "-o", where / "blocks.safetensors"))["labels"], {"face": 2, "house": 2})
        found = json.loads(self.succeeds("evaluate", "--data", where / "volumes.safetensors", "--bank", "one-hot", "--cross", "run", "--params", "penalty=1", "--json", "--quiet"))
        self.assertEqual((found["n_queries"], found["n_gallery"], found["protocol"]["left_out_in_turn"]), (12, 2, "run"))
        table = where / "table.csv"
        table.write_text("label,run\n" + "".join(f"{'rest' if i % 3 == 0 else 'ab'[i % 2]},{i // 12}\n" for i in range(24)))
        array_given = ["prepare", "fmri", write_npy(where / "rows.npy", 24, 6), "--labels", table]
        self.assertIn("16 trials x 6 voxels, 2 labels", self.succeeds(*array_given, "--zscore", "session", "--rest", "rest", "-o", where / "rows.safetensors"))
        about = json.loads(self.succeeds("info", runs[0], "--json"))
        self.assertEqual((about["arrays"][0]["shape"], about["metadata"]["tr"], about["metadata"]["voxel_size"], about["metadata"]["scaling"]),
                         ([2, 3, 1, 12], "2", "3 3 3", "x 0.5 + 0"))
        self.fails(2, array_given, "which output")
        self.fails(1, [*array_given, "-o", where / "x.safetensors", "--zscore", "week"], "got 'week'")
        self.fails(1, [*array_given, "-o", where / "x.safetensors", "--drop", "c"], "no trial has the label 'c'")
        self.fails(1, [*command, "-o", where / "x.safetensors", "--labels", table, "--shift", 1, "--drop", "c"], "no trial has the label 'c'")
        self.fails(1, ["prepare", "fmri", *runs, "--labels", where / "sub-01_run-1_events.tsv", "-o", where / "x.safetensors"], "label each run")
        self.fails(1, ["prepare", "fmri", mask, "--labels", table, "-o", where / "x.safetensors"], "24 rows", "1 trials")

    def test_outputs_are_checked_before_the_work(self):
        data, bank = write_npy(self.folder / "in.npy", 10, 17, 100), write_npy(self.folder / "vectors.npy", 10, 16)
        (self.folder / "link.safetensors").hardlink_to(bank)
        self.fails(1, ["evaluate", self.world, "--model", self.model, "--ranks", self.folder / "ranks.foo"], "ranks.foo")
        self.fails(1, ["evaluate", self.world, "--model", self.model, "--ranks", self.folder / "absent/ranks.csv"], "absent")
        self.fails(1, ["evaluate", self.world, "--model", self.model, "--ranks", self.model], "would overwrite")
        self.fails(1, ["train", "--data", data, "--bank", bank, "-o", self.folder / "link.safetensors"], "would overwrite")
        self.fails(1, ["train", self.world, "--embeddings", "aligned", "-o", self.folder / "model.txt"], "safetensors")
        self.fails(1, ["train", self.world, "--embeddings", "aligned", "-o", self.folder], "a folder")
        self.fails(2, ["train", self.world, "--embeddings", "aligned", "-o", ""], "empty")
        self.fails(1, ["convert", data, data], "would overwrite")
        self.fails(1, ["convert", "--store", data, self.folder / "store.npy"], "safetensors")
        self.succeeds("convert", "--store", data, self.folder / "brief.safetensors", "--precision", "bfloat16")
        self.assertLess((self.folder / "brief.safetensors").stat().st_size, 0.6 * pathlib.Path(data).stat().st_size)
        self.fails(2, ["convert", "--store", data, self.folder / "brief.safetensors", "--precision", "half"], "half")
        self.fails(1, ["embed", "--model", self.model, "--data", data, "--out", self.folder / "embeddings.foo"], "foo")

    def test_recordings(self):
        """A table with a marker column into other formats, and into trials: samples rise by 1 uV, so that a trial says where it was cut."""
        table, store = self.folder / "muse.csv", self.folder / "trials.safetensors"
        rows = [f"{t / 100:.2f},{t},{-t},{1 + t // 100 % 2 if t % 100 == 50 else 0}" for t in range(1000)]
        table.write_text("\n".join(["timestamps,TP9,TP10,Marker0", *rows]) + "\n")
        for extension in ("edf", "bdf", "vhdr", "fif", "npz"):
            out = self.folder / f"muse.{extension}"
            if extension == "npz":
                self.succeeds("convert", self.folder / "muse.fif", out)
            else:
                self.assertIn("3 channels x 1000 samples at 100 Hz", self.succeeds("convert", table, out))
            self.assertIn("TP9 TP10", self.succeeds("info", out) if extension != "npz" else "TP9 TP10")
        words = ["prepare", "recording", table, table, "--unit", "uV", "--window=-0.1:0.2", "--baseline=-0.1:0", "--events", "a=1 b=2"]
        expected = json.loads(self.succeeds(*words, "--dry-run", "--json"))["files"]
        self.assertEqual([(file["events"], file["expected"]["trials"], file["expected"]["samples"]) for file in expected], 2 * [({"1": 5, "2": 5}, 10, 31)])
        made = json.loads(self.succeeds(*words, "-o", store, "--json"))
        self.assertEqual([made[key] for key in ("trials", "channels", "samples", "images", "rate", "start")], [20, 2, 31, 2, 100, -0.1])
        self.assertEqual(made["files"][0]["trials"], {"events": 10, "kept": 10, "outside": 0, "bad": 0, "too_large": 0, "flat": 0})
        report = json.loads(self.succeeds("evaluate", "--data", store, "--bank", "one-hot", "--cross", "run", "--params", "penalty=1", "--vectors", "l2", "--json"))
        self.assertTrue(0 <= report["auc"] <= 1)
        rejected = self.succeeds(*words, "-o", store, "--reject", "eeg=32e-6")
        self.assertIn("10 of 10 events became trials", rejected)
        self.fails(1, [*words, "-o", self.folder / "none.safetensors", "--reject", "eeg=20e-6", "--quiet"], "no file has a trial")
        self.fails(1, [*words, "-o", self.folder / "none.safetensors", "--high", 80, "--quiet"], "between 0 and 50")
        self.fails(1, [*words, "-o", self.folder / "none.npy", "--quiet"], "safetensors")
        self.fails(2, words, "which output")

    def test_options_that_do_not_go_together(self):
        model = ["evaluate", self.world, "--model", self.model]
        self.fails(2, [*model, "--cross", "trial"], "not both")
        self.fails(2, [*model, "--encoder", "ridge"], "--encoder")
        self.fails(2, [*model, "--subject", "1,1"], "person 1 stands twice")
        self.fails(2, [*model, "--bank", "a.npy", "--bank", "b.npy"], "--bank: given twice")
        self.fails(2, ["train", self.world, "--encoder", "ridge", "--checkpoint", self.folder / "c.safetensors"], "--checkpoint")
        self.fails(2, ["train", self.world, "--lr", "abc"], "--lr: got 'abc'")
        self.fails(2, ["train", self.world, "--lr"], "--lr: a value is missing")
        self.assertIn("compiler", json.loads(self.succeeds("--version", "--json")))
        self.assertEqual(set(json.loads(self.succeeds("info", "--encoders", "--formats", "--json"))), {"encoders", "formats"})
        self.assertIn("siglip", [loss["name"] for loss in json.loads(self.succeeds("info", "--losses", "--json"))])
        self.assertIn("mixco", self.succeeds("info", "--augmentations"))

    def test_examples_of_the_help_are_one_command_each(self):
        for command in ("simulate", "prepare fmri", "info", "convert", "train", "embed", "evaluate", "align"):
            examples = self.succeeds(*command.split(), "--help").split("Examples:\n")[1].split("\n\n")[0].replace("\\\n", "")
            for line in examples.strip().splitlines():
                self.assertTrue(line.strip().startswith("neurodecode " + command), line)


if __name__ == "__main__":
    unittest.main()
