"""From Python to C and back: calls that raise, handles, options, texts, arrays without copies."""
import ctypes
import json
import operator
import os
from collections import namedtuple
from types import SimpleNamespace

import numpy as np

from . import _lib, errors

byref = ctypes.byref
_c = _lib.load()
WHOLE = (ctypes.c_size_t, ctypes.c_int32, ctypes.c_uint32, ctypes.c_uint64)


def fitting(what, value, kind):
    """A whole number, Python's or NumPy's; one that the C type cannot hold is refused instead of wrapped round."""
    value = operator.index(value)
    if kind(value).value != value:
        sign = "from 0" if kind(-1).value > 0 else "with sign"
        raise ValueError(f"{what}: got {value}, expected a whole number {sign} in {8 * ctypes.sizeof(kind)} bits")
    return value


def raising(name):
    """The C function as a Python function that raises what its status means."""
    function = getattr(_c, name)
    whole = [(place, kind) for place, kind in enumerate(function.argtypes) if kind in WHOLE]

    def call(*arguments):
        arguments = [argument._open() if isinstance(argument, Handle) else argument for argument in arguments]
        for place, kind in whole:
            arguments[place] = fitting(name, arguments[place], kind)
        try:
            status = function(*arguments)
        except ctypes.ArgumentError as error:
            raise TypeError(f"{name}: {error}") from None
        if status:
            raise errors.BY_STATUS.get(status, errors.NeurodecodeError)(_c.nd_last_error().decode("utf-8", "replace"))

    call.__name__ = name
    return call


lib = SimpleNamespace(**{name: raising(name) if result is _lib.nd_status else getattr(_c, name) for name, (result, _) in _lib.FUNCTIONS.items()})


class Handle:
    """What all handles share: it is freed by close(), at the end of a `with` block or by the garbage collector, in any order."""

    _type = None  # pointer type of the handle
    _free = None  # its C function
    _pointer = None

    @classmethod
    def _made(cls, function, *arguments):
        """A handle from a C function that receives it as first argument. The object owns the pointer before the call, so nothing can leak."""
        handle = cls.__new__(cls)
        function(handle._slot(), *arguments)
        return handle

    def _slot(self):
        """Where a C function puts the handle that this object is to own."""
        self._pointer = self._type()
        return byref(self._pointer)

    def _open(self):
        if not self._pointer:
            raise ValueError(f"this {type(self).__name__} is closed")
        return self._pointer

    def close(self):
        """Frees the handle now; closing twice is allowed."""
        pointer, self._pointer = self._pointer, None
        if pointer:
            self._free(pointer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()


def free_function(name):
    return staticmethod(getattr(_c, name))


def record(name, struct, doc):
    """A named tuple with the fields of a C struct, and `of` that makes one from the struct."""
    fields = [field for field, _ in struct._fields_ if field not in ("size", "reserved")]
    kind = namedtuple(name, fields)
    kind.__doc__ = doc
    kind.of = classmethod(lambda cls, filled: cls(*(plain(getattr(filled, field)) for field in fields)))
    return kind


def plain(value):
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return tuple(value) if isinstance(value, ctypes.Array) else value


def fetched(kind, struct, function, *arguments):
    """What a `get` function writes into its struct, as a record."""
    filled = struct(size=ctypes.sizeof(struct))
    function(*arguments, byref(filled))
    return kind.of(filled)


def table(kind, struct, function, *before, empty=False):
    """All rows of a table that ends where the function refuses the index; one without rows is an error unless `empty` says that there may be none."""
    rows = []
    while True:
        try:
            rows.append(fetched(kind, struct, function, *before, len(rows)))
        except errors.ArgumentError:
            if not rows and not empty:
                raise
            return rows


def options(struct, given, init=None):
    """An options struct with its defaults and what the keywords say; an unknown keyword is a TypeError that lists those there are."""
    filled = struct()
    if init is None:
        getattr(lib, f"{struct.__name__}_init")(byref(filled), ctypes.sizeof(filled))
    else:
        init(byref(filled), ctypes.sizeof(filled))
    types = {field: kind for field, kind in struct._fields_ if field not in ("size", "reserved")}
    for key, value in given.items():
        if key not in types:
            raise TypeError(f"unknown option '{key}', expected one of: {', '.join(types)}")
        if value is not None:
            setattr(filled, key, option(key, value, types[key]))
    return filled


def option(key, value, kind):
    """A value for a field: a handle, a text or a number."""
    if isinstance(value, Handle):
        return value._open()
    return option_text(key, value) if kind is ctypes.c_char_p else number(key, value, kind)


ENUM_OF = {
    "normalise": "ND_NORMALISE_", "precision": "ND_PRECISION_", "vectors": "ND_VECTOR_", "schedule": "ND_SCHEDULE_", "optimiser": "ND_OPTIMISER_", "kind": "ND_FILTER_", "per": "ND_WHITEN_",
}
PATHS = ("images", "mask", "checkpoint", "output")


def number(key, value, kind):
    """A number for a field, or the name of an enumerator such as "zscore"."""
    if isinstance(value, str):
        prefix = ENUM_OF.get(key, "none of them")
        codes = {name[len(prefix):].lower(): code for name, code in _lib.ENUMS.items() if name.startswith(prefix)}
        if value not in codes:
            raise ValueError(f"{key}: got '{value}', expected " + (f"one of: {', '.join(codes)}" if codes else "a number"))
        return codes[value]
    return float(value) if kind is ctypes.c_double else fitting(key, value, kind)


def option_text(key, value):
    if key in PATHS:
        return path(value)
    if key in ("params", "augment") and isinstance(value, dict):
        return text(" ".join(f"{name}={setting}" for name, setting in value.items()))
    return names(value)


def text(value):
    """A string for C; None stays NULL."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"got {type(value).__name__}, expected a string")
    if "\0" in value:
        raise ValueError("a string for the library may not hold the character NUL")
    return value.encode()


def path(value):
    """A file name for C; None stays NULL."""
    return None if value is None else os.fsencode(value)


def names(value):
    """A list of names, or one text of names separated by blanks or commas."""
    if value is None or isinstance(value, str):
        return text(value)
    value = list(value)
    odd = [name for name in value if not isinstance(name, str) or not name or any(mark in name for mark in ", \t\n")]
    if odd:
        raise ValueError(f"names may not be empty nor hold blanks or commas, got {odd[0]!r}")
    return text(",".join(value))


def texts(values, count, what):
    """Ids as an array of C strings, exactly `count` of them; None stays NULL."""
    if values is None:
        return None
    values = [text(str(value)) for value in values]
    if len(values) != count:
        raise ValueError(f"{what}: got {len(values)} ids, expected {count}")
    return (ctypes.c_char_p * count)(*values)


def got_text(function, *arguments):
    """A string that the library keeps, received through the last argument."""
    result = ctypes.c_char_p()
    function(*arguments, byref(result))
    return result.value.decode("utf-8", "replace")


def written_text(function, *arguments):
    """A string that the library writes into a buffer: asks for its size first."""
    needed = ctypes.c_size_t()
    function(*arguments, None, 0, byref(needed))
    buffer = ctypes.create_string_buffer(needed.value)
    function(*arguments, buffer, needed.value, byref(needed))
    return buffer.value.decode()


def written_json(function, *arguments):
    return json.loads(written_text(function, *arguments))


def floats(values, what):
    """Numbers as a float32 array in C order. An array that is one already is taken as it is; others are converted."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what}: got an array of {array.dtype}, expected real numbers")
    return np.require(array, np.float32, ("C", "A"))


def matrix(values, what, columns=None):
    """Numbers as rows x columns, float32."""
    array = floats(values, what)
    if array.ndim != 2 or columns not in (None, array.shape[1]):
        raise ValueError(f"{what}: got shape {array.shape}, expected (rows, {'columns' if columns is None else columns})")
    return array


def sizes(values, what):
    """Whole numbers from 0 as an array of size_t. A boolean mask becomes the indices that are true."""
    array = np.asarray(values)
    if array.size == 0:
        array = array.astype(np.uintp)
    if array.dtype.kind == "b":
        array = np.flatnonzero(array)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise TypeError(f"{what}: got {array.ndim} dimensions of {array.dtype}, expected one of whole numbers")
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise ValueError(f"{what}: got {array.min()}, expected numbers from 0")
    return np.require(array, np.uintp, ("C", "A"))


def room(shape, out=None):
    """A float32 array of this shape to write into: the caller's, which must fit exactly, or a new one."""
    if out is None:
        return np.empty(shape, np.float32)
    if not isinstance(out, np.ndarray) or out.dtype != np.float32 or out.shape != tuple(shape) or not (out.flags.carray):
        raise ValueError(f"out: expected a writable float32 array in C order of shape {tuple(shape)}")
    return out


def pointer(array):
    """The C pointer to an array from floats(), room() or sizes(); it keeps the array alive. None stays NULL."""
    if array is None:
        return None
    return array.ctypes.data_as(_lib.FLOATS if array.dtype == np.float32 else _lib.SIZES)
