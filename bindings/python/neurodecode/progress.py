"""Progress of long calls, Ctrl-C while they run, and log lines."""
import atexit
import functools
import logging
import signal
import sys
import threading

from . import _lib, errors
from ._call import lib, record

Progress = record("Progress", _lib.nd_progress, """How far a long call has come; what does not apply is 0.

stage: "read", "train", "validate", "embed", ...; done and total (0 = unknown) are counted in unit: "trials", "images", "steps", "bytes";
seconds since the call began; rate: units per second; seconds_left: estimate, 0 = unknown; epoch (from 1), n_epochs, train_loss (mean of
this epoch so far), validation_loss (after the last finished epoch), learning_rate and temperature of this step: training only.""")


def watched(progress, function, *arguments):
    """Calls a C function whose last two arguments are a progress function and its pointer.

    `progress` is None, True (a bar or a line on stderr) or a function that gets a Progress and returns True to stop. What it raises stops
    the call and is raised here. The C code runs without Python's lock, so Python sees Ctrl-C only inside the callback; a handler of our own
    notes it, the callback stops the call, and Python's handler is run once the call has returned.
    """
    shown = Display() if progress is True else None
    tell = shown or progress or None
    if tell is not None and not callable(tell):
        raise TypeError(f"progress: got {type(progress).__name__}, expected None, True or a function")
    failure = None

    def report(seen, _):
        nonlocal failure
        try:
            stop = tell is not None and tell(Progress.of(seen.contents))
        except BaseException as error:
            failure, stop = error, True
        return 1 if stop or interrupt.seen else 0

    with Interrupt() as interrupt:
        callback = _lib.nd_progress_fn(report) if tell or interrupt.active else _lib.nd_progress_fn()
        try:
            function(*arguments, callback, None)
        except errors.CancelledError as error:
            failure = failure or error
        finally:
            if shown:
                shown.close()
    if failure:
        raise failure


def watching(progress, function):
    """The C function with its progress function given already."""
    return functools.partial(watched, progress, function)


class Interrupt:
    """Within the block Ctrl-C is noted instead of raised; at its end it is given to Python's handler. Does nothing outside the main thread."""

    def __init__(self):
        self.seen = False
        self.active = threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT))

    def __enter__(self):
        if self.active:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, number, frame):
        self.seen = True

    def __exit__(self, *_):
        if self.active:
            signal.signal(signal.SIGINT, self._before)
            if self.seen:
                self._before(signal.SIGINT, None)


class Display:
    """Shows progress as bars of tqdm where it is installed, else as a line on stderr."""

    def __init__(self):
        try:
            from tqdm.auto import tqdm
        except ImportError:
            tqdm = None
        self._tqdm = tqdm
        self._bar = None
        self._stage = None
        self._line = ""

    def __call__(self, now):
        if self._tqdm:
            self._show_bar(now)
        else:
            self._show_line(now)

    def _show_bar(self, now):
        if self._bar is None or now.stage != self._stage:
            self.close()
            self._bar = self._tqdm(total=now.total or None, desc=now.stage, unit=f" {now.unit}", initial=now.done)
            self._stage = now.stage
        if now.epoch:
            self._bar.set_postfix_str(losses(now), refresh=False)
        self._bar.update(now.done - self._bar.n)

    def _show_line(self, now):
        """On a terminal the line is rewritten in place; elsewhere only the last one of each stage is written."""
        if self._stage not in (None, now.stage):
            self.close()
        self._stage = now.stage
        before, self._line = self._line, described(now)
        if sys.stderr.isatty():
            sys.stderr.write("\r" + self._line.ljust(len(before)))
            sys.stderr.flush()

    def close(self):
        if self._bar is not None:
            self._bar.close()
        elif self._line:
            sys.stderr.write("\n" if sys.stderr.isatty() else self._line + "\n")
        self._bar, self._line = None, ""


def described(now):
    """A Progress as one line of text."""
    parts = [f"{now.stage} {now.done}" + (f"/{now.total}" if now.total else "") + f" {now.unit}"]
    if now.epoch:
        parts.append(losses(now))
    parts.append(f"{now.rate:.3g}/s, {now.seconds:.0f} s")
    if now.seconds_left:
        parts.append(f"{now.seconds_left:.0f} s left")
    return ", ".join(parts)


def losses(now):
    """Epoch and losses of a training as text."""
    return f"epoch {now.epoch}/{now.n_epochs}, loss {now.train_loss:.4g}" + (f", validation {now.validation_loss:.4g}" if now.validation_loss else "")


LEVELS = {_lib.ENUMS["ND_LOG_WARNING"]: logging.WARNING, _lib.ENUMS["ND_LOG_INFO"]: logging.INFO, _lib.ENUMS["ND_LOG_DEBUG"]: logging.DEBUG}


@_lib.nd_log_fn
def _log_line(level, line, _):
    logging.getLogger("neurodecode").log(LEVELS.get(level, logging.INFO), "%s", line.decode("utf-8", "replace"))


def set_log(level="info"):
    """Sends the library's log lines to logging.getLogger("neurodecode"): up to "warning", "info" or "debug"; None makes the library silent,
    as it is at first. Call it before other threads use the library."""
    if level is None:
        lib.nd_set_log(_lib.ENUMS["ND_LOG_WARNING"], _lib.nd_log_fn(), None)
        return
    code = _lib.ENUMS.get(f"ND_LOG_{level.upper()}")
    if code is None:
        raise ValueError(f"level: got '{level}', expected one of: warning, info, debug")
    lib.nd_set_log(code, _log_line, None)


atexit.register(functools.partial(set_log, None))  # no line may arrive once the interpreter is gone
