"""Lives of handles: context managers, freeing in any order, use after closing, threads."""
import gc
import itertools
import threading
import unittest

from world import bank, nd, noise, np, parts, training


class Handles(unittest.TestCase):
    def test_context_managers(self):
        with nd.Dataset(noise(2, 3, 4)) as dataset, nd.Bank(noise(2, 3)) as vectors, nd.Loss() as loss:
            self.assertEqual((len(dataset), len(vectors)), (2, 2))
        for closed, use in ((dataset, lambda: dataset.info), (vectors, lambda: vectors.images), (loss, lambda: loss.temperature)):
            self.assertRaisesRegex(ValueError, "is closed", use)
            closed.close()
        self.assertEqual(repr(dataset), "<Dataset, closed>")

    def test_a_failed_constructor_frees_nothing(self):
        for _ in range(3):
            with self.assertRaises(ValueError):
                nd.Dataset(np.ones(3))
            with self.assertRaises(nd.ArgumentError):
                nd.Encoder("no such kind", n_channels=17, n_samples=100, embed_dim=4)
        gc.collect()

    def test_views_outlive_their_source(self):
        array = noise(6, 4, 20)
        dataset = nd.Dataset(array, rate=100)
        view = dataset.select([3, 1]).window(0.0, 0.1)
        dataset.close()
        np.testing.assert_array_equal(view.data(), array[[3, 1], :, :10])

    def test_freeing_in_any_order(self):
        for order in itertools.permutations(range(5)):
            handles = list(parts())
            handles.append(nd.Trainer(*handles, epochs=1, batch_size=8))
            for place in order[:2]:
                handles[place].close()
            if 4 not in order[:2]:
                self.assertGreater(handles[4].step(), 0)
            for place in order[2:]:
                handles[place].close()

    def test_several_threads_may_read_one_encoder(self):
        encoder, data = nd.Encoder("nice", n_channels=17, n_samples=100, embed_dim=8), noise(6, 17, 100)
        expected, found = encoder.embed(data), []
        threads = [threading.Thread(target=lambda: found.append(encoder.embed(data))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(found), 4)
        for embeddings in found:
            np.testing.assert_array_equal(embeddings, expected)

    def test_errors_belong_to_their_thread(self):
        caught = []

        def fail():
            try:
                nd.Dataset(noise(1, 2, 4)).select_channels("Nowhere")
            except nd.ArgumentError as error:
                caught.append(str(error))

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        self.assertIn("Nowhere", caught[0])

    def test_a_dataset_may_be_read_in_a_thread_with_progress(self):
        seen, dataset, vectors = [], training(), bank()
        encoder = nd.Encoder("nice", dataset, embed_dim=16)
        thread = threading.Thread(target=lambda: seen.append(encoder.embed(dataset, progress=lambda now: None)))
        thread.start()
        thread.join()
        self.assertEqual(seen[0].shape, (len(dataset), vectors.info.dim))


if __name__ == "__main__":
    unittest.main()
