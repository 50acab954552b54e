#!/usr/bin/env python3
"""Compares the bindings with the public headers.

Python: every function (result and arguments), struct (fields in order and their types), enumerator and status of the headers must be in the
table of bindings/python/neurodecode/_lib.py and nothing else; where a C compiler is found, sizes and offsets of the structs are compared too.
Julia: every ccall must name a function of the headers with its types and as many arguments, every function must be called, and the structs
must agree.
Prints the differences and exits with 1 if there are any. Needs neither NumPy nor the library.
"""
import ctypes
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
PYTHON = ROOT / "bindings/python/neurodecode/_lib.py"
JULIA = ROOT / "bindings/julia/src"

NUMBERS = {
    "int32_t": ctypes.c_int32, "uint32_t": ctypes.c_uint32, "uint64_t": ctypes.c_uint64, "size_t": ctypes.c_size_t, "float": ctypes.c_float,
    "double": ctypes.c_double, "nd_status": ctypes.c_int32,
}
JULIA_NUMBERS = {
    "int32_t": "Int32", "uint32_t": "UInt32", "uint64_t": "UInt64", "size_t": "Csize_t", "float": "Cfloat", "double": "Cdouble", "nd_status": "Int32",
}


class Headers:
    """What the public headers declare, each C type as text without `const`, names or blanks: "nd_dataset**"."""

    def __init__(self):
        text = "\n".join(file.read_text(encoding="utf-8") for file in sorted((INCLUDE / "neurodecode").glob("*.h")))
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
        self.statuses = {f"ND_{name}": int(value) for name, value in re.findall(r"\bX\((\w+), (-?\d+),", text)}
        text = re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
        self.functions = {
            name: (bare(result), [bare(argument, named=True) for argument in split(arguments) if argument.strip() != "void"])
            for result, name, arguments in re.findall(r"\bND_API\s+([\w\s*]+?)(\w+)\(([^;]*)\);", text)
        }
        self.structs = {
            name: [field(line) for line in body.split(";") if line.strip()]
            for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", text, re.S)
        }
        self.handles = [name for name in re.findall(r"typedef struct (\w+) \1;", text)]
        self.callbacks = re.findall(r"typedef \w+ \(\*(\w+)\)", text)
        self.enums = {
            name: int(value)
            for body in re.findall(r"\benum \{(.*?)\}", text, re.S)
            for name, value in re.findall(r"\b(ND_\w*[A-Z0-9]) = (\d+)", body)
        }


def split(arguments):
    return [argument for argument in arguments.split(",") if argument.strip()]


def bare(declared, named=False):
    """`const float *data` -> "float*"."""
    words = re.findall(r"\w+|\*", declared)
    words = [word for word in words if word != "const"]
    return "".join(words[:-1] if named else words)


def field(declared):
    """`size_t shape[4]` -> ("shape", "size_t", 4)."""
    array = re.search(r"\[(\d+)\]", declared)
    declared = re.sub(r"\[\d+\]", "", declared)
    return re.findall(r"\w+", declared)[-1], bare(declared, named=True), int(array.group(1)) if array else 0


def python_type(table, kind):
    """The ctypes type for a C type."""
    if kind == "void":
        return None
    if kind == "void*":
        return ctypes.c_void_p
    if kind == "char*":
        return ctypes.c_char_p
    if kind.endswith("*"):
        return ctypes.POINTER(python_type(table, kind[:-1]))
    return NUMBERS[kind] if kind in NUMBERS else getattr(table, kind, f"the missing {kind}")


def shown(kind):
    return getattr(kind, "__name__", str(kind))


def check_python(headers, table):
    yield from differences("function", headers.functions, table.FUNCTIONS)
    yield from differences("struct", headers.structs, table.STRUCTS)
    for what, declared, given in (("enumerator", headers.enums, table.ENUMS), ("status", headers.statuses, table.STATUSES)):
        yield from differences(what, declared, given)
        wrong = [name for name in declared if given.get(name, declared[name]) != declared[name]]
        yield from (f"{name}: {given[name]}, the header says {declared[name]}" for name in wrong)
    for handle in headers.handles + headers.callbacks:
        if not hasattr(table, handle):
            yield f"{handle}: missing"
    for name, (result, arguments) in headers.functions.items():
        expected = [python_type(table, kind) for kind in (result, *arguments)]
        given = [table.FUNCTIONS[name][0], *table.FUNCTIONS[name][1]] if name in table.FUNCTIONS else expected
        yield from compared(name, given, expected)
    for name, fields in headers.structs.items():
        expected = [(field_name, python_type(table, kind) * count if count else python_type(table, kind)) for field_name, kind, count in fields]
        given = table.STRUCTS[name]._fields_ if name in table.STRUCTS else expected
        yield from compared(name, given, expected)


def differences(what, declared, given):
    yield from (f"{what} {name}: in the headers only" for name in declared if name not in given)
    yield from (f"{what} {name}: not in the headers" for name in given if name not in declared)


def compared(name, given, expected):
    """Differences between two lists of types, or of (field, type)."""
    if len(given) != len(expected):
        yield f"{name}: {len(given)} entries, the header has {len(expected)}"
        return
    for place, (one, other) in enumerate(zip(given, expected)):
        if one != other:
            yield f"{name}: entry {place} is {describe(one)}, the header has {describe(other)}"


def describe(entry):
    return " ".join(shown(part) for part in entry) if isinstance(entry, tuple) else shown(entry)


def check_layout(headers, table):
    """Sizes and offsets as the C compiler sees them."""
    compiler = next((found for found in (os.environ.get("CC"), "cc", "gcc", "clang") if found and shutil.which(found.split()[0])), None)
    if not compiler:
        print("check_bindings: no C compiler found, struct layouts skipped")
        return
    lines = [f'printf("{name} {member} %zu\\n", offsetof({name}, {member}));' for name, fields in headers.structs.items() for member, _, _ in fields]
    lines += [f'printf("{name} - %zu\\n", sizeof({name}));' for name in headers.structs]
    program = '#include <stdio.h>\n#include "neurodecode.h"\nint main(void)\n{\n' + "\n".join(lines) + "\nreturn 0;\n}\n"
    with tempfile.TemporaryDirectory() as folder:
        source, binary = pathlib.Path(folder, "layout.c"), pathlib.Path(folder, "layout")
        source.write_text(program)
        subprocess.run([*compiler.split(), f"-I{INCLUDE}", str(source), "-o", str(binary)], check=True)
        output = subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        name, member, value = line.split()
        struct = table.STRUCTS.get(name)
        place = None if struct is None else ctypes.sizeof(struct) if member == "-" else getattr(getattr(struct, member, None), "offset", None)
        if place is not None and place != int(value):
            yield f"{name}.{member}: {'size' if member == '-' else 'offset'} {place}, the C compiler says {value}"


def julia_type(headers, kind):
    """The Julia type for a C type."""
    if kind in ("void", "void*"):
        return "Cvoid" if kind == "void" else "Ptr{Cvoid}"
    if kind == "char*":
        return "Cstring"
    if kind in headers.callbacks or kind.rstrip("*") in headers.handles and kind.count("*") == 1:
        return "Ptr{Cvoid}"
    if kind.endswith("*"):
        return f"Ptr{{{julia_type(headers, kind[:-1])}}}"
    return JULIA_NUMBERS.get(kind, "".join(word.capitalize() for word in kind.split("_")[1:]))


def balanced(text, start):
    """The text inside the bracket that opens at `start`, cut at its top-level commas."""
    depth, parts, begin = 0, [], start + 1
    for place in range(start, len(text)):
        depth += (text[place] in "([{") - (text[place] in ")]}")
        if depth == 0 or (depth == 1 and text[place] == ","):
            parts.append(text[begin:place].strip())
            begin = place + 1
        if depth == 0:
            return [part for part in parts if part]
    return parts


def check_julia(headers, source):
    source = re.sub(r'"""(.*?)"""', "", source, flags=re.S)
    source = re.sub(r"(?m)#.*$", "", source)
    called = set()
    for match in re.finditer(r"ccall\(", source):
        function, result, types, *arguments = balanced(source, match.end() - 1)
        found = re.fullmatch(r"symbol\(:(\w+)\)", function)
        if not found:
            yield f"Julia calls {function}, expected symbol(:name)"
            continue
        name = found.group(1)
        called.add(name)
        if name not in headers.functions:
            yield f"Julia calls {name}, which is not in the headers"
            continue
        kinds = [headers.functions[name][0], *headers.functions[name][1]]
        expected = [julia_type(headers, kind) for kind in kinds]
        given = [result, *balanced(types, 0)]
        buffers = [place for place, kind in enumerate(kinds) if place and kind == "char*"]  # a text to be written is an array of bytes
        as_texts = ["Cstring" if place in buffers and kind == "Ptr{UInt8}" else kind for place, kind in enumerate(given)]
        if as_texts != expected:
            yield f"Julia: {name} is called as ({', '.join(given)}), the header has ({', '.join(expected)})"
        if len(arguments) != len(given) - 1:
            yield f"Julia: {name} is given {len(arguments)} arguments for {len(given) - 1} types"
    yield from (f"Julia: {name} is never called" for name in headers.functions if name not in called)
    structs = {name: re.findall(r"(\w+)::([\w{},]+(?: [\w{},]+)*)", body) for name, body in re.findall(r"struct (\w+)\n(.*?)\nend", source, re.S)}
    for name, fields in headers.structs.items():
        name = julia_type(headers, name)
        types = [(member, julia_type(headers, kind), count) for member, kind, count in fields]
        expected = [(member, f"NTuple{{{count},{kind}}}" if count else kind) for member, kind, count in types]
        if name not in structs:
            yield f"Julia: struct {name} is missing"
        else:
            yield from compared(f"Julia: {name}", structs[name], expected)


def main():
    specification = importlib.util.spec_from_file_location("table", PYTHON)
    table = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(table)
    julia = "\n".join(file.read_text(encoding="utf-8") for file in sorted(JULIA.glob("*.jl")))
    headers = Headers()
    found = [*check_python(headers, table), *check_layout(headers, table), *check_julia(headers, julia)]
    print("\n".join(found) if found else f"check_bindings: {len(headers.functions)} functions and {len(headers.structs)} structs agree")
    return 1 if found or not headers.functions else 0


if __name__ == "__main__":
    sys.exit(main())
