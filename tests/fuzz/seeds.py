#!/usr/bin/env python3
"""Writes a small seed corpus for the fuzz targets: seeds.py FOLDER makes FOLDER/npy, FOLDER/npz and so on."""
import gzip
import io
import json
import os
import pathlib
import pickle
import struct
import sys
import zipfile

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


def torch_int(n):
    return b"J" + struct.pack("<i", n)


def torch_tensor(storage, key, elements, offset, shape, strides):
    """torch._utils._rebuild_tensor_v2 of a view of a storage, as the operations of a pickle."""
    numbers = lambda values: b"(" + b"".join(map(torch_int, values)) + b"t"
    return (b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\n" + storage + b"\nU" + bytes([len(key)]) + key + b"U\x03cpu" + torch_int(elements) + b"tQ"
            + torch_int(offset) + numbers(shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)RtR")


def torch_archive(objects, storages, compression=zipfile.ZIP_STORED, more={}):
    """What torch.save() writes: a dict of names and operations, and the bytes of the storages."""
    f = io.BytesIO()
    pairs = b"".join(b"U" + bytes([len(name)]) + name + value for name, value in objects.items())
    with zipfile.ZipFile(f, "w", compression) as z:
        z.writestr("a/data.pkl", b"\x80\x02ccollections\nOrderedDict\n)R(" + pairs + b"u}U\x09_metadataK\x01sb.")
        for name, data in {"byteorder": b"little", **more, **{f"data/{i}": data for i, data in enumerate(storages)}, "version": b"3\n"}.items():
            z.writestr("a/" + name, data)
    return f.getvalue()


def encoder_files(folder):
    """Of the linear encoder, 2 channels x 90 samples -> 2: its own file, plain weights, a checkpoint; and hyper-parameters. The first byte says which."""
    weight, bias = ("F32", [2, 180], bytes(1440)), ("F32", [2], bytes(8))
    about = {"neurodecode.kind": "encoder", "neurodecode.version": "0.1.0", "encoder": "ridge", "params": "penalty=1", "n_channels": "2", "n_samples": "90", "embed_dim": "2",
             "encoder.metadata": "{}"}
    checkpoint = {b"module.linear.weight": torch_tensor(b"FloatStorage", b"0", 360, 0, (2, 180), (1, 2)), b"module.linear.bias": torch_tensor(b"HalfStorage", b"1", 2, 0, (2,), (1,)),
                  b"epoch": b"K\x05"}
    save(folder, "own", b"\1" + safetensors({"linear.weight": weight, "linear.bias": bias}, about))
    save(folder, "weights", b"\1" + safetensors({"state/linear.weight": weight, "state/linear.bias": bias}))
    save(folder, "checkpoint", b"\1" + torch_archive(checkpoint, [bytes(1440), bytes(4)]))
    for i, text in enumerate([b"recipe=reference", b"maps=3 kernel=5, pool=4 stride=2 dropout=.25 repr=1", b"penalty=1e3"]):
        save(folder, f"params-{i}", b"\0" + text)


def edf(wide):
    """Two records of a signal and of annotations."""
    def columns(width, *texts):
        return b"".join(text.encode().ljust(width) for text in texts)
    version = b"\xffBIOSEMI" if wide else b"0       "
    header = version + bytes(160).replace(b"\0", b" ") + b"01.01.2010.00.00768     " + b"EDF+C".ljust(44) + columns(8, "2", "1") + b"2   "
    header += columns(16, "Status", "BDF Annotations" if wide else "EDF Annotations") + columns(80, "", "") + columns(8, "uV", "") + columns(8, "-100", "-1")
    header += columns(8, "100", "1") + columns(8, "-2048", "-2048") + columns(8, "2047", "2047") + columns(80, "", "") + columns(8, "4", "8") + columns(32, "", "")
    size = 3 if wide else 2
    return header + b"".join(bytes(range(4 * size)) + b"+%d\x14\x14\0+%d\x14a\x14".ljust(8 * size, b"\0") % (i, i) for i in range(2))


def fif_tag(kind, sort, data):
    return struct.pack(">4i", kind, sort, len(data), 0) + data


def fif_number(kind, value):
    return fif_tag(kind, 3, struct.pack(">i", value))


def fif_block(kind, *parts):
    return fif_number(104, kind) + b"".join(parts) + fif_number(105, kind)


def fif(*parts):
    """What is measured, one channel at 100 Hz, and the parts."""
    channel = struct.pack(">3i2f", 1, 1, 2, 1, 1e-6) + bytes(52) + struct.pack(">2i", 107, 0) + b"Cz".ljust(16, b"\0")
    return fif_tag(100, 31, bytes(20)) + fif_block(101, fif_number(200, 1), fif_tag(201, 4, struct.pack(">f", 100)), fif_tag(203, 30, channel)) + b"".join(parts)


def fif_raw():
    """Buffers of four samples with a gap between them."""
    return fif(fif_block(102, fif_number(208, 5), fif_tag(300, 2, bytes(8)), fif_number(301, 1), fif_tag(300, 4, bytes(16))))


def fif_epochs():
    """Two epochs of three samples with names, metadata and a further file."""
    events = fif_block(361, fif_tag(3561, 3, struct.pack(">6i", 0, 0, 1, 9, 0, 2)), fif_tag(206, 10, b"a:b:1;c:2"))
    rows = fif_block(3811, fif_tag(206, 10, json.dumps([{"x": 1, "s": "u"}, {"x": None, "s": "v"}]).encode()))
    matrix = fif_tag(302, 4 | 1 << 30, bytes(24) + struct.pack(">4i", 3, 1, 2, 3))
    return fif(fif_block(373, events, rows, fif_number(208, -1), fif_number(209, 1), matrix, fif_block(118, fif_number(115, 2), fif_tag(118, 10, b"none.fif"))))


def fif_averages():
    """An average as a matrix and one as a vector, of float64."""
    window = fif_number(208, 0) + fif_number(209, 1)
    return fif(fif_block(104, fif_tag(206, 10, b"one"), window, fif_block(105, fif_number(210, 100), fif_number(207, 3), fif_tag(302, 5 | 1 << 30, bytes(16) + struct.pack(">3i", 2, 1, 2)))),
               fif_block(104, window, fif_block(105, fif_number(210, 101), fif_tag(302, 5, bytes(16)))))


def nifti(wide, big):
    """2 x 3 x 1 x 2 values of 16 bits, scaled, with a quaternion."""
    order, size = (">" if big else "<"), (540 if wide else 348)
    h = bytearray(size + 4)
    def put(at, code, *values):
        struct.pack_into(order + code, h, at, *values)
    put(0, "i", size)
    h[4:12] = b"n+2\0\r\n\x1a\n" if wide else bytes(8)
    if wide:
        put(12, "h", 4), put(16, "8q", 4, 2, 3, 1, 2, 1, 1, 1), put(104, "8d", 1, 2, 2, 2, 1.5, 0, 0, 0), put(168, "q", size + 4), put(176, "2d", 0.5, 3)
        put(344, "2i", 1, 0), put(500, "i", 10)
    else:
        put(40, "8h", 4, 2, 3, 1, 2, 1, 1, 1), put(70, "h", 4), put(76, "8f", 1, 2, 2, 2, 1.5, 0, 0, 0), put(108, "3f", size + 4, 0.5, 3), put(123, "B", 10), put(254, "h", 1)
        h[344:348] = b"n+1\0"
    return bytes(h) + struct.pack(order + "12h", *range(12))


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
    ramp = np.arange(12, dtype="f4").tobytes()
    views = {b"plain": torch_tensor(b"FloatStorage", b"0", 12, 0, (3, 4), (4, 1)), b"turned": torch_tensor(b"FloatStorage", b"0", 12, 1, (2, 3), (1, 4)),
             b"again": torch_tensor(b"FloatStorage", b"0", 12, 11, (5,), (0,)), b"half": torch_tensor(b"BFloat16Storage", b"1", 3, 0, (3,), (1,)), b"n": b"K\x05", b"t": b"U\x01x"}
    save(f"{folder}/torch", "stored", torch_archive(views, [ramp, bytes(6)]))
    save(f"{folder}/torch", "deflated", torch_archive({b"x": views[b"plain"]}, [ramp], zipfile.ZIP_DEFLATED))
    save(f"{folder}/torch", "big", torch_archive({b"x": views[b"turned"]}, [ramp], more={"byteorder": b"big"}))
    save(f"{folder}/torch", "calls", torch_archive({b"p": b"ctorch._utils\n_rebuild_parameter\n(" + views[b"plain"] + b"\x88NtR", b"d": b"ctorch\ndevice\n(U\x04cudaK\x01tR",
                                                    b"s": b"ctorch\nSize\n(K\x01K\x02t\x85R", b"t": b"ctorch\nfloat16\n"}, [ramp]))
    save(f"{folder}/torch", "script", torch_archive({}, [], more={"constants.pkl": b"\x80\x02)."}))
    save(f"{folder}/torch", "legacy", bytes.fromhex("80028a0a6cfc9c46f9206aa850192e") + b"\x80\x02M\xe9\x03.")
    encoder_files(f"{folder}/encoder")
    save(f"{folder}/csv", "table", b'name,x,y\r\n"a ""b""",1,2.5\r\nc,NA,-3e5\r\n')
    save(f"{folder}/csv", "index", b",0,1\n0,1.5,2\n1,3,4\n")
    save(f"{folder}/csv", "tabs", b"a\tb\n1\t2\n")
    save(f"{folder}/csv", "blanks", b"# comment\n 1.0  2.0\n 3.0  4.0\n")
    save(f"{folder}/csv", "text", "one\nzwei\ntrês\n".encode())
    for path in sorted((pathlib.Path(__file__).parents[1] / "data/matlab").glob("*.*")):
        if path.suffix in (".mat", ".set", ".h5"):
            save(folder + "/" + path.suffix[1:], path.name, path.read_bytes())
    save(f"{folder}/edf", "edf", edf(False))
    save(f"{folder}/edf", "bdf", edf(True))
    save(f"{folder}/fif", "raw", fif())
    for wide in (False, True):
        save(f"{folder}/nii", f"version-{1 + wide}", nifti(wide, wide))
    save(f"{folder}/gzip", "nii", gzip.compress(nifti(False, True)))
    save(f"{folder}/fif", "raw", fif_raw())
    save(f"{folder}/fif", "epochs", fif_epochs())
    save(f"{folder}/fif", "epochs-alone", fif_epochs().replace(fif_number(115, 2), fif_number(115, 1)))
    save(f"{folder}/fif", "averages", fif_averages())
    save(f"{folder}/vhdr", "header", b"Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=$b.eeg\nDataFormat=BINARY\n"
         b"DataOrientation=MULTIPLEXED\nNumberOfChannels=1\nSamplingInterval=1000\n[Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\nCh1=Cz,,1,uV\n")


if __name__ == "__main__":
    main(sys.argv[1])
