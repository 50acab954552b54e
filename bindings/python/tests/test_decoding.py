"""The whole way on a simulated world: open, train, save, retrieve, judge."""
import unittest

import world
from world import Folder, nd, noise, np


class Decoding(Folder):
    def test_from_files_to_figures(self):
        encoder, loss, dataset, bank = world.parts()
        self.assertEqual(dataset.shape, (40, 17, 100))
        self.assertEqual(len(bank), 60)
        checkpoint = self.folder / "training.safetensors"
        trainer = nd.Trainer(encoder, loss, dataset, bank, epochs=15, batch_size=8, learning_rate=2e-3, checkpoint=checkpoint, checkpoint_every=5)
        info = trainer.run()
        self.assertEqual((info.finished, info.n_train + info.n_validation), (1, 40))
        self.assertTrue(checkpoint.exists())
        with self.assertRaises(nd.StateError):
            trainer.step()

        test = world.test()
        gallery = nd.Retrieval(bank.select_for(test))
        ranks = gallery.rank_dataset(encoder, test)
        embeddings = encoder.embed(test)
        np.testing.assert_array_equal(ranks, gallery.rank(embeddings, [trial.image for trial in test.trials()]))
        np.testing.assert_allclose(embeddings, encoder.embed(test.data()), rtol=1e-5, atol=1e-6)

        figures = nd.metrics(ranks, len(gallery))
        self.assertAlmostEqual(figures.top5, np.mean(ranks <= 5))
        self.assertGreater(figures.pairwise, 0.55)
        estimate = nd.top_k(ranks, len(gallery), 5, n_resamples=500, seed=1)
        self.assertTrue(estimate.low <= estimate.value <= estimate.high)
        self.assertEqual(estimate.chance, 0.25)
        self.assertEqual(nd.compare(ranks, ranks, 5).difference, 0)
        self.assertAlmostEqual(nd.k_way(ranks, len(gallery), 2).expected, figures.pairwise)
        told = nd.report(ranks, len(gallery), protocol={"subject": 1})
        self.assertEqual(told["protocol"], {"subject": 1})

        encoder.save(self.folder / "encoder.safetensors")
        again = nd.Encoder.open(self.folder / "encoder.safetensors")
        np.testing.assert_array_equal(again.embed(test), embeddings)
        self.assertEqual(again.info.kind, "nice")
        self.assertIsInstance(again.metadata, dict)
        self.assertEqual(nd.describe(self.folder / "encoder.safetensors")["kind"], "encoder")

    def test_resuming_gives_the_same_bits(self):
        options = dict(epochs=4, batch_size=8)
        whole = world.parts()
        nd.Trainer(*whole, **options).run()
        begun, trainer = world.parts(), None
        trainer = nd.Trainer(*begun, **options)
        for _ in range(trainer.info.steps_per_epoch):
            trainer.step()
        trainer.save(self.folder / "checkpoint.safetensors")
        resumed = world.parts()
        trainer = nd.Trainer(*resumed, **options)
        trainer.resume(self.folder / "checkpoint.safetensors")
        self.assertEqual(trainer.info.epoch, 1)
        trainer.run()
        for name, values in whole[0].state().items():
            np.testing.assert_array_equal(resumed[0].values(name), values)

    def test_projector(self):
        encoder, loss, dataset, bank = world.parts()
        projector = nd.Encoder("linear", n_channels=16, n_samples=1, embed_dim=encoder.info.embed_dim)
        before = projector.values(projector.tensors[0].name)
        nd.Trainer(encoder, loss, dataset, bank, epochs=2, batch_size=8, optimiser="sgd", nesterov=1, no_decay=["vectors", "tsconv"], ema_decay=0.9,
                   augment={"shift": 2, "noise": 0.1}, projector=projector).run()
        self.assertFalse(np.array_equal(before, projector.values(projector.tensors[0].name)))
        projected = projector.embed_bank(bank)
        np.testing.assert_array_equal(projected.vectors(), projector.embed(bank.vectors()))
        self.assertEqual(encoder.metadata["training"]["projector"]["encoder"], "linear")
        self.assertEqual(projector.metadata["training"]["augment"].split()[0], "shift=2")
        with self.assertRaises(TypeError):
            nd.Trainer(encoder, loss, dataset, bank, projector=bank)
        with self.assertRaisesRegex(ValueError, "adamw, adam, sgd"):
            nd.Trainer(encoder, loss, dataset, bank, optimiser="adagrad")

    def test_recipe(self):
        trainer = nd.Trainer(*world.parts(), recipe="reference", epochs=1, batch_size=8)
        with self.assertRaises(nd.StateError):
            trainer.take_best()
        for _ in range(trainer.info.steps_per_epoch):
            trainer.step()
        trainer.take_best()
        self.assertEqual(trainer.info.finished, 1)
        with self.assertRaises(nd.ArgumentError):
            nd.Trainer(*world.parts(), recipe="no such recipe")

    def test_cross_embedding(self):
        _, _, dataset, bank = world.parts()
        small = dataset.select(range(12))
        embeddings = nd.cross_embed("ridge", small, bank, "concept")
        self.assertEqual(embeddings.shape, (12, 16))
        self.assertTrue(np.isfinite(embeddings).all())


class Encoders(Folder):
    def setUp(self):
        super().setUp()
        self.encoder = nd.Encoder("nice", n_channels=17, n_samples=100, embed_dim=8, params={"dropout": 0.25}, seed=1)

    def test_shapes(self):
        trials = noise(3, 17, 100)
        embeddings = self.encoder.embed(trials)
        self.assertEqual((embeddings.shape, embeddings.dtype), ((3, 8), np.float32))
        np.testing.assert_allclose(self.encoder.embed(trials[1]), embeddings[1], rtol=1e-5, atol=1e-6)
        out = np.empty((3, 8), np.float32)
        self.assertIs(self.encoder.embed(trials.astype(np.float64), out=out), out)
        np.testing.assert_array_equal(out, embeddings)
        for wrong in (trials[:, :16], trials[:, :, :99], trials[None]):
            with self.assertRaisesRegex(ValueError, r"expected \(n, 17, 100\)"):
                self.encoder.embed(wrong)

    def test_tensors(self):
        info = self.encoder.info
        self.assertEqual((info.kind, info.n_channels, info.n_samples, info.embed_dim), ("nice", 17, 100, 8))
        self.assertIn("dropout=0.25", info.params)
        self.assertEqual(sum(tensor.n_values for tensor in self.encoder.tensors if tensor.trainable), info.n_parameters)
        name = self.encoder.tensors[0].name
        values = self.encoder.values(name)
        self.assertEqual(values.shape, self.encoder.tensors[0].shape)
        self.encoder.set_values(name, values * 2)
        np.testing.assert_array_equal(self.encoder.state()[name], values * 2)
        with self.assertRaisesRegex(ValueError, "expected"):
            self.encoder.set_values(name, values.ravel()[:-1])
        with self.assertRaisesRegex(ValueError, "no tensor 'nowhere'"):
            self.encoder.values("nowhere")
        self.assertIn("\n", self.encoder.layers)

    def test_weights_travel(self):
        np.savez(self.folder / "weights.npz", **self.encoder.state())
        again = nd.Encoder.open_weights("nice", self.folder / "weights.npz", n_channels=17, n_samples=100)
        trials = noise(2, 17, 100)
        np.testing.assert_array_equal(again.embed(trials), self.encoder.embed(trials))
        self.assertEqual(nd.describe(self.folder / "weights.npz")["resembles"], "nice")
        nd.convert_file(self.folder / "weights.npz", self.folder / "weights.safetensors")
        name = self.encoder.tensors[0].name
        np.testing.assert_array_equal(nd.read_array(self.folder / "weights.safetensors", name), self.encoder.values(name))


class People(Folder):
    def setUp(self):
        super().setUp()
        self.trials = noise(6, 17, 100)
        self.dataset = nd.Dataset(self.trials, subject=-4, rate=250).concat(nd.Dataset(self.trials, subject=30, rate=250))
        self.encoder = nd.Encoder("nice", self.dataset, embed_dim=8, params="subject_conv=1")
        name = "subject_conv.subject.weight"
        self.encoder.set_values(name, noise(*self.encoder.values(name).shape))

    def test_subjects(self):
        self.assertEqual(self.encoder.metadata["input"]["subjects"], [-4, 30])
        unknown, first, second = self.encoder.embed(self.trials), self.encoder.embed(self.trials, -4), self.encoder.embed(self.trials, [30] * 6)
        np.testing.assert_array_equal(self.encoder.embed(self.trials, 7), unknown)
        np.testing.assert_allclose(self.encoder.embed(self.dataset), np.concatenate([first, second]), rtol=1e-5, atol=1e-6)
        self.assertGreater(abs(first - second).max(), 1e-3)
        for wrong, error in (([1, 2], "got 2 ids, expected 6"), (2**31, "32 bits")):
            with self.assertRaisesRegex(ValueError, error):
                self.encoder.embed(self.trials, wrong)
        with self.assertRaisesRegex(ValueError, "knows its own"):
            self.encoder.embed(self.dataset, 30)

    def test_ensembles(self):
        other = nd.Encoder("ridge", n_channels=17, n_samples=100, embed_dim=8)
        other.set_values("linear.weight", noise(8, 1700))
        vectors = [encoder.embed(self.trials, 30) for encoder in (self.encoder, other)]
        centred = [v - v.mean(1, keepdims=True) for v in vectors]
        expected = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in centred]
        nd.Encoder.ensemble([self.encoder, other]).save(self.folder / "both.safetensors")
        average = nd.Encoder.open(self.folder / "both.safetensors")
        self.assertEqual((average.info.kind, len(average.metadata["members"])), ("ensemble", 2))
        np.testing.assert_allclose(average.embed(self.trials, 30), np.mean(expected, 0), atol=1e-6)
        both = nd.Encoder.ensemble([self.encoder, other], mode="concatenate")
        np.testing.assert_allclose(both.embed(self.trials, 30), np.concatenate(expected, 1), atol=1e-6)
        with self.assertRaisesRegex(ValueError, "average, concatenate"):
            nd.Encoder.ensemble([other], mode="vote")
        with self.assertRaises(nd.ArgumentError):
            nd.Encoder.ensemble([])


class Losses(unittest.TestCase):
    def test_infonce(self):
        v, z = noise(5, 4), noise(10, 4)[5:]
        loss = nd.Loss(temperature=0.5, vectors="l2")
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (v.astype(float), z.astype(float)))
        s = a @ b.T / 0.5
        expected = np.mean([np.log(np.exp(x).sum(1)) - np.diag(x) for x in (s, s.T)])
        self.assertAlmostEqual(loss(v, z), expected, places=5)
        found = loss.evaluate(v, z)
        self.assertEqual((found.value, found.grad_v.shape, found.grad_z.shape), (loss(v, z), v.shape, z.shape))
        step = np.zeros_like(v)
        step[2, 1] = 1e-2
        self.assertAlmostEqual((loss(v + step, z) - loss(v - step, z)) / 2e-2, float(found.grad_v[2, 1]), places=3)
        with self.assertRaisesRegex(ValueError, "z: got"):
            loss(v, z[:3])


class Galleries(unittest.TestCase):
    def test_search(self):
        vectors, ids = noise(12, 6), [f"image{i}" for i in range(12)]
        gallery = nd.Retrieval(vectors, ids, vectors="l2")
        self.assertEqual((gallery.shape, gallery.ids, gallery.find("image7")), ((12, 6), ids, 7))
        indices, scores = gallery.search(vectors[4:6], k=3)
        self.assertEqual((indices[:, 0].tolist(), indices.dtype, scores.shape), ([4, 5], np.intp, (2, 3)))
        np.testing.assert_allclose(scores[:, 0], 1, rtol=1e-5)
        self.assertEqual(gallery.rank(vectors, np.arange(12)).tolist(), [1] * 12)
        self.assertEqual(gallery.rank(vectors[:2], ["image0", "image1"]).tolist(), [1, 1])
        with self.assertRaisesRegex(ValueError, "queries: got shape"):
            gallery.search(noise(2, 5))
        with self.assertRaisesRegex(ValueError, "truth"):
            gallery.rank(vectors, [0])
        with self.assertRaises(nd.ArgumentError):
            gallery.find("nowhere")
        bank = nd.Bank(vectors, ids)
        self.assertEqual(nd.Retrieval(bank).ids, ids)
        with self.assertRaises(TypeError):
            nd.Retrieval(bank, ids)

    def test_statistics(self):
        ranks = np.array([1, 1, 2, 6, 10])
        figures = nd.metrics(ranks, 10)
        self.assertEqual((figures.top1, figures.top3, figures.mean_rank, figures.median_rank), (0.4, 0.6, 4.0, 2.0))
        self.assertAlmostEqual(figures.mrr, np.mean(1 / ranks))
        self.assertEqual(nd.top_k(ranks, 10, np.int64(1)).hits, 2)
        comparison = nd.compare([1, 1, 1], [2, 1, 2])
        self.assertEqual((comparison.only_first, comparison.only_second, comparison.n), (2, 0, 3))
        with self.assertRaises(ValueError):
            nd.compare([1], [1, 2])



class AreaTest(unittest.TestCase):
    def test_area(self):
        self.assertEqual(nd.auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]), 0.75)
        with self.assertRaises(ValueError):
            nd.auc([1, 2], [True])


if __name__ == "__main__":
    unittest.main()
