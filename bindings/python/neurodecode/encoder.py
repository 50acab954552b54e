"""Encoders: from channels x samples to an embedding."""
import ctypes
import json

import numpy as np

from . import _lib
from ._call import Handle, fetched, fitting, floats, free_function, lib, options, path, pointer, record, room, table, text, written_text
from ._lib import nd_encoder_options
from .bank import Bank
from .dataset import Dataset
from .progress import watched

EncoderKind = record("EncoderKind", _lib.nd_encoder_kind_info, "One row of the table of architectures: name, title (one line), source (the paper).")

Param = record("Param", _lib.nd_param_info, """One hyper-parameter of an architecture.

value: default; reference: what the reference system uses; min, max: what is allowed.""")

EncoderInfo = record("EncoderInfo", _lib.nd_encoder_info, """What an encoder is.

params: all hyper-parameters as text; n_parameters: trainable numbers; n_tensors: parameters and buffers with a name; multiply_adds: for one
trial, forward; metadata: a JSON object as text, see Encoder.metadata.""")

TensorInfo = record("TensorInfo", _lib.nd_tensor_info, """One named parameter or buffer.

name: as in the state dict; shape: the n_dims extents; n_values: their product; trainable: 0 = a buffer, such as a running mean.""")


def encoder_kinds():
    """The architectures there are, a list of EncoderKind."""
    return table(EncoderKind, _lib.nd_encoder_kind_info, lib.nd_encoder_kind_get_info)


def encoder_params(kind):
    """The hyper-parameters of an architecture, a list of Param."""
    known = any(row.name == kind for row in encoder_kinds())
    return table(Param, _lib.nd_param_info, lib.nd_encoder_kind_get_param, text(kind), empty=known)


def subject_ids(subjects, count):
    """One id for all trials or one for each, as C numbers."""
    subjects = [subjects] * count if np.ndim(subjects) == 0 else list(subjects)
    if len(subjects) != count:
        raise ValueError(f"subjects: got {len(subjects)} ids, expected {count}")
    return (ctypes.c_int32 * count)(*(fitting("subjects", subject, ctypes.c_int32) for subject in subjects))


class Encoder(Handle):
    """A named architecture with its parameters.

    The keyword options of the constructors are those of the C struct nd_encoder_options: n_channels, n_samples, embed_dim, params (a text
    "maps=40 dropout=0.5" or a dict; `recipe=reference` sets all to what the reference system uses), seed, n_threads (0 = all).
    """

    _type = _lib.ENCODER
    _free = free_function("nd_encoder_free")
    _sizes = None

    def __init__(self, kind, dataset=None, **keywords):
        """Builds an encoder with initial weights. Channels and samples are those of `dataset`, whose channel names, rate and window it
        remembers, or the options n_channels and n_samples; embed_dim is always needed."""
        given = options(nd_encoder_options, keywords)
        if dataset is None:
            lib.nd_encoder_create(self._slot(), text(kind), given)
        else:
            lib.nd_encoder_create_for(self._slot(), text(kind), dataset, given)

    @classmethod
    def open(cls, file, **keywords):
        """Opens an encoder written by save(): everything is in the file."""
        return cls._made(lib.nd_encoder_open, path(file), options(nd_encoder_options, keywords))

    @classmethod
    def ensemble(cls, members, mode="average"):
        """Joins encoders over the same input into one, with copies of their weights: "average" gives the mean of their normalised embeddings,
        "concatenate" puts these one behind the other. It embeds, trains, is saved and opened as any encoder."""
        members = list(members)
        modes = {"average": _lib.ENUMS["ND_ENSEMBLE_AVERAGE"], "concatenate": _lib.ENUMS["ND_ENSEMBLE_CONCATENATE"]}
        if mode not in modes:
            raise ValueError(f"mode: got {mode!r}, expected one of: {', '.join(modes)}")
        pointers = (_lib.ENCODER * len(members))(*(member._open() for member in members))
        return cls._made(lib.nd_ensemble_create, pointers, len(members), modes[mode])

    @classmethod
    def open_weights(cls, kind, file, **keywords):
        """Opens weights without metadata: a PyTorch state dict in a checkpoint (.pth), .safetensors, .npz or a pickled dict. The options n_channels and
        n_samples are needed."""
        return cls._made(lib.nd_encoder_open_weights, text(kind), path(file), options(nd_encoder_options, keywords))

    def save(self, file):
        """Writes parameters, buffers and metadata as safetensors, whole or not at all."""
        lib.nd_encoder_save(self, path(file))

    @property
    def info(self):
        """What the encoder is, an EncoderInfo."""
        return fetched(EncoderInfo, _lib.nd_encoder_info, lib.nd_encoder_get_info, self)

    @property
    def metadata(self):
        """How the encoder was trained, on what and with which library version, a dict; empty if unknown."""
        return json.loads(self.info.metadata)

    def __repr__(self):
        if not self._pointer:
            return "<Encoder, closed>"
        info = self.info
        return f"<Encoder {info.kind}, {info.n_channels} x {info.n_samples} -> {info.embed_dim}, {info.n_parameters} parameters>"

    @property
    def layers(self):
        """A table as text, one line per layer: name, output shape, parameters, multiply-adds."""
        return written_text(lib.nd_encoder_get_layers, self)

    @property
    def tensors(self):
        """All named parameters and buffers, a list of TensorInfo."""
        found = [fetched(TensorInfo, _lib.nd_tensor_info, lib.nd_encoder_get_tensor, self, index) for index in range(self.info.n_tensors)]
        return [tensor._replace(shape=tensor.shape[: tensor.n_dims]) for tensor in found]

    def values(self, name):
        """The values of a tensor, float32 of its shape."""
        out = room(self._shape(name))
        lib.nd_encoder_get_values(self, text(name), pointer(out), out.size)
        return out

    def set_values(self, name, values):
        """Sets the values of a tensor; `values` must have its shape."""
        values = floats(values, name)
        if values.shape != self._shape(name):
            raise ValueError(f"{name}: got shape {values.shape}, expected {self._shape(name)}")
        lib.nd_encoder_set_values(self, text(name), pointer(values), values.size)

    def state(self):
        """All tensors by name, a dict of float32 arrays: the PyTorch state dict."""
        return {tensor.name: self.values(tensor.name) for tensor in self.tensors}

    def embed(self, trials, subjects=None, out=None, progress=None):
        """Embeds trials in evaluation mode.

        trials: an array (n, channels, samples) gives (n, embed_dim), one trial (channels, samples) gives (embed_dim,); where there is one
        sample per trial, (n, voxels) is n trials. A Dataset gives (n_trials, embed_dim), and its channels, rate and window must be those
        the encoder was trained with. subjects: for arrays, the id of each trial's subject as in the data set the encoder was made for, or
        one id for all; None and ids it does not know are unknown people. Written into `out` if given. A float32 array in C order is read where it is; others are converted
        first. progress counts for a Dataset.
        """
        if self._sizes is None:
            info = self.info
            self._sizes = info.n_channels, info.n_samples, info.embed_dim
        n_channels, n_samples, embed_dim = self._sizes
        if isinstance(trials, Dataset):
            if subjects is not None:
                raise ValueError("subjects: a Dataset knows its own")
            out = room((len(trials), embed_dim), out)
            watched(progress, lib.nd_encoder_embed_dataset, self, trials, pointer(out), out.size)
            return out
        data = floats(trials, "trials")
        if data.shape == (n_channels, n_samples):
            shape, count = (embed_dim,), 1
        elif data.shape[1:] == (n_channels, n_samples) or (n_samples == 1 and data.shape[1:] == (n_channels,)):
            shape, count = (len(data), embed_dim), len(data)
        else:
            raise ValueError(f"trials: got shape {data.shape}, expected (n, {n_channels}, {n_samples}) or ({n_channels}, {n_samples})")
        out = room(shape, out)
        if subjects is None:
            lib.nd_encoder_embed(self, pointer(data), count, pointer(out), out.size)
        else:
            lib.nd_encoder_embed_subjects(self, pointer(data), subject_ids(subjects, count), count, pointer(out), out.size)
        return out

    def embed_bank(self, bank):
        """Embeds the vectors of the first layer of a bank: a Bank of the same images. With the projector of a training, n_channels = length of
        the vectors and n_samples = 1, it makes the gallery for what the encoder trained with it embeds."""
        return Bank._made(lambda slot: lib.nd_encoder_embed_bank(self, bank, slot))

    def _shape(self, name):
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor.shape
        raise ValueError(f"no tensor '{name}', expected one of: {', '.join(tensor.name for tensor in self.tensors)}")
