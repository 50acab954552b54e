"""The library and PyTorch on the same weights: exchange of files, outputs, initial weights, losses and training, for every encoder both know.

tests/torch has the encoders and losses in PyTorch; golden vectors, where they are, show that these are the reference's. NEURODECODE_LIBRARY
names the library. Without PyTorch the test is skipped (exit status 77)."""
import json
import math
import os
import pathlib
import struct
import sys
import tempfile
import unittest

try:
    import numpy as np
    import torch
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "torch"), str(HERE.parent / "bindings/python")]
import losses
import models
import neurodecode as nd

GOLDEN = pathlib.Path(os.environ.get("ND_DATA", "../shared/data")).parent / "golden"


class Kind:
    """How an encoder is compared. sizes: (channels, samples), the last being the reference's; params: hyper-parameters of the library on top of
    recipe=reference, without dropout; arguments: the same for models.build(); tolerance: of outputs, relative to the largest; rate: of the five steps, low
    where rounding grows."""

    def __init__(self, sizes, params="", arguments=None, tolerance=1e-5, rate=1e-3):
        self.sizes, self.params, self.arguments, self.tolerance, self.rate = sizes, params, arguments or {}, tolerance, rate


KINDS = {
    "nice": Kind([(17, 101), (5, 130), (63, 250)]),
    "eegnet": Kind([(17, 101), (5, 130), (63, 250)]),
    "eegconformer": Kind([(17, 101), (5, 130), (63, 250)], tolerance=1e-4),  # behind a log-softmax
    "atms": Kind([(17, 101), (5, 130), (63, 250)]),
    "resnet1d": Kind([(17, 96), (5, 144), (63, 256)], "length1=0 length2=0 length3=0 length4=0", rate=1e-5),  # each half of the one before
    "lstm": Kind([(17, 101), (5, 33), (63, 250)]),
    "brain-mlp": Kind([(101, 1), (333, 1), (2000, 1)], "hidden=256", {"hidden": 256}),
    "eegproject": Kind([(17, 101), (5, 33), (63, 250)]),
    "shallow": Kind([(17, 101), (5, 130), (63, 250)]),
    "tsconv": Kind([(17, 101), (5, 130), (63, 250)]),
}

LIBRARY = [kind.name for kind in nd.encoder_kinds()]
COMMON = [name for name in KINDS if name in LIBRARY]
DIM = 24


def noise(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def params(name):
    """No dropout, whatever an encoder calls it."""
    dropouts = [f"{param.name}=0" for param in nd.encoder_params(name) if param.name.endswith("dropout")]
    return " ".join(["recipe=reference", *dropouts, KINDS[name].params])


def ours(name, channels, samples, seed=1):
    return nd.Encoder(name, n_channels=channels, n_samples=samples, embed_dim=DIM, params=params(name), seed=seed)


def theirs(name, channels, samples, seed=1):
    torch.manual_seed(seed)
    return models.without_dropout(models.build(name, channels, samples, DIM, **KINDS[name].arguments))


def embed(model, x, *more):
    with torch.no_grad():
        return model.eval()(torch.from_numpy(x), *more).numpy()


def error(a, b):
    """Largest difference, relative to the largest value of b."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return np.abs(a - b).max() / np.abs(b).max()


def load_safetensors(path):
    """A state dict, by the package safetensors where it is installed."""
    try:
        from safetensors.torch import load_file
        return load_file(path)
    except ImportError:
        data = pathlib.Path(path).read_bytes()
    body = 8 + struct.unpack("<Q", data[:8])[0]
    types = {"F32": np.float32, "I64": np.int64}
    state = {}
    for name, entry in json.loads(data[8:body]).items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            state[name] = torch.from_numpy(np.frombuffer(data[body + start:body + end], types[entry["dtype"]]).reshape(entry["shape"]).copy())
    return state


def moments(x):
    """Mean of x, x^2 and x^4 over everything, and the variance of each of these means."""
    powers = [x ** k for k in (1, 2, 4)]
    return np.array([p.mean() for p in powers]), np.array([p.var() / p.size for p in powers])


class Golden(unittest.TestCase):
    """The models in PyTorch against the reference."""

    def archive(self, name):
        if not (GOLDEN / name).is_file():
            self.skipTest(f"skipped: no {name} in {GOLDEN}")
        return np.load(GOLDEN / name)

    def arguments(self, config):
        names = {"filters": "filters", "F": "classes", "heads": "heads", "H": "hidden", "L": "layers", "O": "outputs", "h": "hidden", "nb": "blocks"}
        return {names[key]: value for key, value in config.items() if key in names}

    def test_encoders(self):
        for name in [*KINDS, "nice-things"]:
            with self.subTest(name):
                g = self.archive(name + ".npz")
                config = json.loads(g["config"].tobytes())
                x = torch.from_numpy(g["x"].reshape(len(g["x"]), -1, g["x"].shape[3] if g["x"].ndim == 4 else 1)).requires_grad_()
                model = models.without_dropout(models.build(config["encoder"], x.shape[1], x.shape[2], config["D"], **self.arguments(config)))
                model.load_state_dict({key[6:]: torch.from_numpy(g[key]) for key in g.files if key.startswith("state/")}, strict=True)
                subjects = [torch.from_numpy(g["subject"])] if "subject" in g.files else []
                self.assertLess(error(embed(model, x.detach().numpy(), *subjects), g["v_eval"]), 1e-5)
                v = model.train()(x, *subjects)
                self.assertLess(error(v.detach(), g["v_train"]), 1e-5)
                loss = losses.clip(v, torch.from_numpy(g["z"]), config["temperature"])
                self.assertLess(error(loss.detach(), g["loss"]), 1e-5)
                loss.backward()
                self.assertLess(error(x.grad.reshape(g["grad_x"].shape), g["grad_x"]), 1e-4)
                largest = max(np.abs(g[key]).max() for key in g.files if key.startswith("grad/"))
                for key, parameter in model.named_parameters():
                    gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                    self.assertLess(np.abs(gradient.numpy() - g["grad/" + key]).max() / largest, 1e-4, key)

    def test_losses(self):
        g = self.archive("losses.npz")
        for name, loss in ("clip", losses.clip), ("softclip", losses.softclip):
            for temperature in "0.04", "0.5":
                v, z = (torch.from_numpy(g[key]).requires_grad_() for key in "vz")
                value = loss(v, z, float(temperature))
                value.backward()
                for found, expected in (value.detach(), "loss"), (v.grad, "grad_v"), (z.grad, "grad_z"):
                    self.assertLess(error(found, g[f"{name}/{temperature}/{expected}"]), 1e-6)
        v = torch.from_numpy(g["v"]).requires_grad_()
        value = losses.mixco_nce(v, torch.from_numpy(g["z"]), torch.from_numpy(g["mixco/perm"]), torch.from_numpy(g["mixco/betas"]))
        value.backward()
        self.assertLess(error(value.detach(), g["mixco/loss"]), 1e-12)
        self.assertLess(error(v.grad, g["mixco/grad_v"]), 1e-12)


class Exchange(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = pathlib.Path(held.name)

    def for_each_size(self, check):
        for name in COMMON:
            for sizes in KINDS[name].sizes:
                with self.subTest(name, sizes=sizes):
                    check(name, sizes)

    def test_our_files_in_pytorch(self):
        self.for_each_size(self.check_our_file)

    def check_our_file(self, name, sizes):
        encoder, model, x = ours(name, *sizes), theirs(name, *sizes), noise(7, *sizes)
        file = self.folder / "ours.safetensors"
        encoder.save(file)
        model.load_state_dict(load_safetensors(file), strict=True)
        self.assertLess(error(encoder.embed(x), embed(model, x)), KINDS[name].tolerance)

    def test_pytorch_arrays_here(self):
        self.for_each_size(lambda name, sizes: self.check_their_file(name, sizes, "theirs.npz"))

    @unittest.skipUnless(any("pth" in known.extensions.split() for known in nd.formats()), "skipped: the library does not read .pth")
    def test_pytorch_checkpoints_here(self):
        self.for_each_size(lambda name, sizes: self.check_their_file(name, sizes, "theirs.pth"))

    def check_their_file(self, name, sizes, file):
        """After three steps, so that running means and counters are not those of the start."""
        model, x = theirs(name, *sizes).train(), noise(7, *sizes)
        optimiser = torch.optim.AdamW(model.parameters(), 1e-3)
        for step in range(3):
            losses.clip(model(torch.from_numpy(1 + 2 * noise(6, *sizes, seed=step))), torch.from_numpy(noise(6, DIM, seed=step))).backward()
            optimiser.step()
        file = self.folder / file
        if file.suffix == ".npz":
            np.savez(file, **{key: value.numpy() for key, value in model.state_dict().items()})
        else:  # as the reference writes it
            torch.save({"epoch": 3, "model_state_dict": model.state_dict(), "optimizer_state_dict": optimiser.state_dict(), "val_loss": 1.5}, file)
        encoder = nd.Encoder.open_weights(name, file, n_channels=sizes[0], n_samples=sizes[1], embed_dim=DIM, params=params(name))
        self.assertLess(error(encoder.embed(x), embed(model, x)), KINDS[name].tolerance)

    @unittest.skipUnless("atms" in COMMON, "skipped: the library has no atms")
    def test_people(self):
        """A known person has a token, a person above the table and an unknown one the shared token."""
        sizes = KINDS["atms"].sizes[0]
        encoder, x = ours("atms", *sizes), noise(4, *sizes)
        model = theirs("atms", *sizes)
        model.load_state_dict({key: torch.from_numpy(value) for key, value in encoder.state().items()})
        for subject in 1, 3, 9, 10, 11:
            found = encoder.embed(nd.Dataset(x, subject=subject))
            self.assertLess(error(found, embed(model, x, torch.full((4,), subject))), 1e-5, subject)


class Start(unittest.TestCase):
    def test_initial_weights(self):
        """Means of x, x^2 and x^4 over several seeds differ by less than six standard errors: mean, deviation and shape of the distribution."""
        seeds = range(8)
        for name in COMMON:
            sizes = KINDS[name].sizes[0]
            mine = [ours(name, *sizes, seed=seed).state() for seed in seeds]
            reference = [theirs(name, *sizes, seed=seed).state_dict() for seed in seeds]
            self.assertEqual(mine[0].keys(), reference[0].keys())
            for key in mine[0]:
                with self.subTest(name, tensor=key):
                    (a, a_error), (b, b_error) = (moments(np.stack([np.asarray(state[key], np.float64) for state in states])) for states in (mine, reference))
                    self.assertTrue((np.abs(a - b) <= 6 * np.sqrt(a_error + b_error) + 1e-7 * np.abs(b)).all(), f"moments {a}, expected {b}")


class Training(unittest.TestCase):
    def test_infonce(self):
        v, z = noise(11, DIM), noise(11, DIM, seed=2)
        for temperature in 0.04, 0.5:
            tensors = [torch.from_numpy(x.astype(np.float64)).requires_grad_() for x in (v, z)]
            expected = losses.clip(*tensors, temperature)
            expected.backward()
            found = nd.Loss(temperature=temperature).evaluate(v, z)
            self.assertLess(error(found.value, expected.detach()), 1e-5)
            self.assertLess(error(found.grad_v, tensors[0].grad), 1e-5)
            self.assertLess(error(found.grad_z, tensors[1].grad), 1e-5)

    def test_losses_of_a_training(self):
        """Five steps from the same start. Every batch is the whole dataset, so that its order does not matter."""
        n, steps = 24, 5
        for name in COMMON:
            sizes = KINDS[name].sizes[0]
            with self.subTest(name):
                x, z = noise(n, *sizes), noise(n, DIM, seed=2)
                encoder, model = ours(name, *sizes), theirs(name, *sizes)
                model.load_state_dict({key: torch.from_numpy(value) for key, value in encoder.state().items()})
                trainer = nd.Trainer(encoder, nd.Loss(), nd.Dataset(x), nd.Bank(z), epochs=steps, batch_size=n, validation_fraction=0, schedule="constant",
                                     learning_rate=KINDS[name].rate, weight_decay=0.1, clip_norm=1.0)
                optimiser = torch.optim.AdamW(model.train().parameters(), KINDS[name].rate, weight_decay=0.1)
                for step in range(steps):
                    optimiser.zero_grad()
                    loss = losses.clip(model(torch.from_numpy(x)), torch.from_numpy(z))
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimiser.step()
                    found = trainer.step()
                    # a loss near 0 is the small difference of logits of up to 25, each rounded to 2e-6
                    self.assertTrue(math.isclose(found, loss.item(), rel_tol=1e-4, abs_tol=1e-5), f"step {step}: {found}, expected {loss.item()}")


if __name__ == "__main__":
    torch.set_num_threads(2)
    print("compared:", *COMMON)
    print("not in the library:", *(name for name in KINDS if name not in LIBRARY))
    print("not in PyTorch:", *(name for name in LIBRARY if name not in KINDS))
    unittest.main()
