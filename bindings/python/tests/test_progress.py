"""Progress, cancelling, Ctrl-C, exceptions out of callbacks, log lines."""
import contextlib
import io
import logging
import os
import signal
import threading
import unittest

from world import SIZES, Folder, nd, np, parts
from neurodecode.progress import Display


class Watching(Folder):
    def simulate(self, progress):
        nd.simulate(self.folder / "world", progress=progress, **SIZES)

    def test_a_function_sees_how_far_it_is(self):
        seen = []
        self.simulate(seen.append)
        self.assertTrue(seen)
        self.assertEqual(seen[-1].done, seen[-1].total)
        self.assertTrue(all(isinstance(now.stage, str) and now.done <= now.total for now in seen))

    def test_true_stops_the_call(self):
        with self.assertRaises(nd.CancelledError) as caught:
            self.simulate(lambda now: True)
        self.assertEqual(caught.exception.name, "ND_ERR_CANCELLED")

    def test_what_the_function_raises_comes_through(self):
        def fail(now):
            raise KeyError("mine")

        with self.assertRaises(KeyError):
            self.simulate(fail)

    def test_a_line_on_stderr(self):
        with contextlib.redirect_stderr(io.StringIO()) as shown:
            self.simulate(True)
        self.assertTrue(shown.getvalue())

    def test_lines_without_tqdm(self):
        display = Display()
        display._tqdm = None
        with contextlib.redirect_stderr(io.StringIO()) as shown:
            for stage, done in (("read", 1), ("read", 2), ("train", 1)):
                display(nd.Progress(stage, done, 2, "steps", 1.0, 2.0, 3.0, 1 if stage == "train" else 0, 5, 1.5, 2.5, 1e-3, 0.04))
            display.close()
        lines = shown.getvalue().splitlines()
        self.assertEqual(lines[0], "read 2/2 steps, 2/s, 1 s, 3 s left")
        self.assertEqual(lines[1], "train 1/2 steps, epoch 1/5, loss 1.5, validation 2.5, 2/s, 1 s, 3 s left")


class Training(unittest.TestCase):
    def setUp(self):
        self.parts = parts()
        self.trainer = nd.Trainer(*self.parts, epochs=100000, batch_size=8, patience=0)

    def test_a_cancelled_training_goes_on(self):
        seen = []
        with self.assertRaises(nd.CancelledError):
            self.trainer.run(progress=lambda now: seen.append(now) or len(seen) == 3)
        self.assertEqual(seen[-1].n_epochs, 100000)
        step = self.trainer.info.step
        self.assertGreater(step, 0)
        self.trainer.step()
        self.assertEqual(self.trainer.info.step, step + 1)

    @unittest.skipUnless(hasattr(signal, "raise_signal") and os.name == "posix", "skipped: needs POSIX signals")
    def test_ctrl_c_stops_a_training_without_a_progress_function(self):
        before = signal.getsignal(signal.SIGINT)
        for progress in (None, lambda now: None):
            timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            with self.assertRaises(KeyboardInterrupt):
                self.trainer.run(progress=progress)
            timer.join()
            self.assertIs(signal.getsignal(signal.SIGINT), before)
        self.assertFalse(self.trainer.info.finished)

    def test_ctrl_c_within_the_progress_function(self):
        with self.assertRaises(KeyboardInterrupt):
            self.trainer.run(progress=lambda now: signal.raise_signal(signal.SIGINT))

    def test_a_callback_may_use_the_library(self):
        encoder, _, dataset, _ = self.parts

        def embed(now):
            self.assertEqual(encoder.embed(dataset.data(0, 2), progress=None).shape, (2, 16))
            return True

        with self.assertRaises(nd.CancelledError):
            self.trainer.run(progress=embed)


class Log(Folder):
    def test_lines_go_to_logging(self):
        self.addCleanup(nd.set_log, None)
        with self.assertRaisesRegex(ValueError, "expected one of: warning, info, debug"):
            nd.set_log("loud")
        nd.set_log("debug")
        with self.assertLogs("neurodecode", logging.DEBUG) as caught:
            logging.getLogger("neurodecode").debug("at least one")
            nd.simulate(self.folder / "world", **SIZES)
        self.assertTrue(caught.output)
        np.testing.assert_equal(len([line for line in caught.output if "\n" in line]), 0)


if __name__ == "__main__":
    unittest.main()
