"""What is in a file, and plain arrays."""
from . import _lib
from ._call import byref, floats, lib, path, pointer, record, room, table, text, written_json

FormatInfo = record("FormatInfo", _lib.nd_format_info, """One row of the table of file formats.

name: "npy"; title: "NumPy array"; extensions: without dots, separated by blanks; can_read and can_write: 1 = this build does.""")

MAX_DIMS = 8


def formats():
    """The file formats there are, a list of FormatInfo."""
    return table(FormatInfo, _lib.nd_format_info, lib.nd_format_get_info)


def describe(file):
    """What is in a file of any supported format, a dict: path, format, bytes, arrays (name, dtype, shape, order, value of a scalar), text, kind, metadata,
    resembles. Loads no array."""
    return written_json(lib.nd_file_describe, path(file))


def convert_file(source, target):
    """Writes everything in a file, such as a PyTorch checkpoint, as .npz, .safetensors or .pickle: names and types are kept."""
    lib.nd_file_convert(path(source), path(target))


def read_array(file, variable=None):
    """One numeric array as float32, whatever its stored type and order. variable: its name inside the file; None = the only one."""
    shape, n_dims = (_lib.c_size_t * MAX_DIMS)(), _lib.c_size_t(MAX_DIMS)
    lib.nd_array_read(path(file), text(variable), shape, byref(n_dims), None, 0)
    out = room(tuple(shape[: n_dims.value]))
    n_dims.value = MAX_DIMS
    lib.nd_array_read(path(file), text(variable), shape, byref(n_dims), pointer(out), out.size)
    return out


def write_array(file, values):
    """Writes an array as float32 to .npy, .npz, .safetensors, .csv or .tsv, by the extension; whole or not at all."""
    values = floats(values, "values")
    lib.nd_array_write(path(file), pointer(values), (_lib.c_size_t * values.ndim)(*values.shape), values.ndim)
