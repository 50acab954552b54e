#!/usr/bin/env python3
"""Writes a small seed corpus for the fuzz targets: seeds.py FOLDER makes FOLDER/npy, FOLDER/npz and so on."""
import gzip
import io
import json
import os
import pickle
import struct
import sys

import numpy as np


def save(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def through(write, *arguments, **named):
    f = io.BytesIO()
    write(f, *arguments, **named)
    return f.getvalue()


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def main(folder):
    x = np.arange(6.0).reshape(2, 3)
    words = np.array(["one", "zwei", "três"])
    mixed = {"data": x.astype("f4"), "names": ["a", "b"], "n": 3, "rate": 2.5, "ok": True, "deep": {"x": x.T, "none": None, "list": [[1, 2], [3, 4]]}}
    for type_ in "?bBhHiIqQefdF":
        save(f"{folder}/npy", f"type-{ord(type_)}", through(np.save, x.astype(type_)))
    save(f"{folder}/npy", "big-endian", through(np.save, x.astype(">f8")))
    save(f"{folder}/npy", "fortran", through(np.save, np.asfortranarray(np.arange(24, dtype="i2").reshape(2, 3, 4))))
    save(f"{folder}/npy", "unicode", through(np.save, words))
    save(f"{folder}/npy", "strings", through(np.save, np.array([b"ab", b"c"])))
    save(f"{folder}/npy", "scalar", through(np.save, np.float32(3)))
    save(f"{folder}/npy", "dict", through(np.save, mixed, allow_pickle=True))
    save(f"{folder}/npy", "objects", through(np.save, np.array(["a", None, 3], dtype=object), allow_pickle=True))
    save(f"{folder}/npz", "stored", through(np.savez, x=x, words=words))
    save(f"{folder}/npz", "deflated", through(np.savez_compressed, x=x, words=words, zeros=np.zeros(1000)))
    for protocol in range(6):
        save(f"{folder}/pickle", f"protocol-{protocol}", pickle.dumps(mixed, protocol))
        save(f"{folder}/pickle", f"scalars-{protocol}", pickle.dumps([np.float32(1), np.int64(2), np.str_("x"), bytearray(b"y"), -(1 << 40)], protocol))
    save(f"{folder}/gzip", "npy", gzip.compress(through(np.save, x)) + gzip.compress(b"more"))
    save(f"{folder}/gzip", "npz", gzip.compress(through(np.savez_compressed, x=x, words=words)))
    save(f"{folder}/gzip", "pickle", gzip.compress(pickle.dumps(mixed, 4)))
    save(f"{folder}/pickle", "list", pickle.dumps(["a", "b", "c"], 4))
    save(f"{folder}/pickle", "refused", pickle.dumps(os.path.join, 4))
    save(f"{folder}/safetensors", "types", safetensors({
        "a": ("F32", [2, 2], bytes(16)), "b": ("BF16", [3], b"\x80\x3f" * 3), "c": ("BOOL", [2], b"\0\1"), "d": ("I64", [], bytes(8)), "e": ("F16", [1], b"\0\x3c")}, {"k": "v"}))
    save(f"{folder}/safetensors", "texts", safetensors({"names": ("U8", [4], b"a\0b\0")}, {"neurodecode.texts": json.dumps({"names": "list"})}))
    save(f"{folder}/csv", "table", b'name,x,y\r\n"a ""b""",1,2.5\r\nc,NA,-3e5\r\n')
    save(f"{folder}/csv", "index", b",0,1\n0,1.5,2\n1,3,4\n")
    save(f"{folder}/csv", "tabs", b"a\tb\n1\t2\n")
    save(f"{folder}/csv", "blanks", b"# comment\n 1.0  2.0\n 3.0  4.0\n")
    save(f"{folder}/csv", "text", "one\nzwei\ntrês\n".encode())


if __name__ == "__main__":
    main(sys.argv[1])
