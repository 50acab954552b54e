"""Exceptions: one class per status of the library, each also what Python calls that kind of error."""
from . import _lib


class NeurodecodeError(Exception):
    """A call failed. The text is the library's line `where: what, got, expected`; `status` and `name` are the code and its name, -4 and
    "ND_ERR_FORMAT"."""

    status = -10
    name = "ND_ERR_?"


class ArgumentError(NeurodecodeError, ValueError):
    """An argument is wrong: mend the call."""


class OutOfMemoryError(NeurodecodeError, MemoryError):
    """Out of memory."""


class FileError(NeurodecodeError, OSError):
    """A file could not be opened, read or written."""


class FormatError(NeurodecodeError, ValueError):
    """A file is damaged or not what it says it is."""


class UnsupportedError(NeurodecodeError, NotImplementedError):
    """Understood, but not supported here."""


class StateError(NeurodecodeError, RuntimeError):
    """The handle is not in a state that allows this."""


class NumericError(NeurodecodeError, ArithmeticError):
    """Not-a-number, infinity or a singular matrix."""


class CancelledError(NeurodecodeError):
    """A progress function asked to stop. (Ctrl-C raises KeyboardInterrupt instead.)"""


class SmallBufferError(NeurodecodeError, BufferError):
    """The buffer passed is too small."""


class InternalError(NeurodecodeError, RuntimeError):
    """A defect of the library: please report it."""


BY_STATUS = {}
for _name, _class in {
    "ND_ERR_ARGUMENT": ArgumentError, "ND_ERR_MEMORY": OutOfMemoryError, "ND_ERR_IO": FileError, "ND_ERR_FORMAT": FormatError,
    "ND_ERR_UNSUPPORTED": UnsupportedError, "ND_ERR_STATE": StateError, "ND_ERR_NUMERIC": NumericError, "ND_ERR_CANCELLED": CancelledError,
    "ND_ERR_BUFFER": SmallBufferError, "ND_ERR_INTERNAL": InternalError,
}.items():
    _class.name = _name
    _class.status = _lib.STATUSES[_name]
    BY_STATUS[_class.status] = _class
