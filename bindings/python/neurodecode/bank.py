"""Image embeddings by image id."""
from . import _lib
from ._call import Handle, byref, fetched, free_function, got_text, lib, matrix, names, number, options, path, pointer, record, room, text, texts
from .progress import watching

BankInfo = record("BankInfo", _lib.nd_bank_info, """Sizes of a bank.

dim: length of the vectors of the first layer; hash: two banks with the same hash are the same.""")


class Bank(Handle):
    """One vector per image id and named layer. Trials find their vector by image id, never by position. A bank never changes."""

    _type = _lib.BANK
    _free = free_function("nd_bank_free")

    def __init__(self, vectors, image_ids=None, layer=None):
        """Copies vectors (images, dim) as a bank of one layer, named "embedding" by default. image_ids: one text per row; None = "0", "1", ..."""
        vectors = matrix(vectors, "vectors")
        lib.nd_bank_create(self._slot(), pointer(vectors), *vectors.shape, texts(image_ids, len(vectors), "image_ids"), text(layer))

    @classmethod
    def one_hot(cls, dataset):
        """A bank that tells the images of a dataset apart and nothing else: the vector of image i is the i-th unit vector."""
        return cls._made(lib.nd_bank_create_one_hot, dataset)

    @classmethod
    def open(cls, file, progress=None, **keywords):
        """Reads .npy (images, dim), .npz, .safetensors, .csv, a pickled dict, or a folder of one .npy per image named <id>_<suffix>.npy.

        Options: variable, images (a file of ids), partition, suffix, layer.
        """
        return cls._made(watching(progress, lib.nd_bank_open), path(file), options(_lib.nd_bank_options, keywords))

    @classmethod
    def open_things_eeg2(cls, folder, partition, suffix=None, progress=None):
        """Opens the embeddings of a partition, "training", "test" or "all", of a folder laid out as THINGS-EEG2. suffix: name of the image model."""
        return cls._made(watching(progress, lib.nd_bank_open_things_eeg2), path(folder), text(partition), text(suffix))

    def save(self, file, precision="float32"):
        """Writes the bank as a safetensors file that open() reads. precision "bfloat16" takes half the space."""
        lib.nd_bank_save_as(self, path(file), number("precision", precision, _lib.c_int32))

    @property
    def info(self):
        """Sizes, a BankInfo."""
        return fetched(BankInfo, _lib.nd_bank_info, lib.nd_bank_get_info, self)

    def __len__(self):
        return self.info.n_images

    def __repr__(self):
        if not self._pointer:
            return "<Bank, closed>"
        return f"<Bank of {len(self)} images, layers " + ", ".join(f"{name} ({dim})" for name, dim in self.layers.items()) + ">"

    @property
    def layers(self):
        """Name of each layer with the length of its vectors, a dict in the bank's order."""
        found = {}
        for index in range(self.info.n_layers):
            name, dim = _lib.c_char_p(), _lib.c_size_t()
            lib.nd_bank_get_layer(self, index, byref(name), byref(dim))
            found[name.value.decode()] = dim.value
        return found

    @property
    def images(self):
        """Ids of the images in row order, a list."""
        return [got_text(lib.nd_bank_get_image, self, index) for index in range(len(self))]

    def vectors(self, layer=None, out=None):
        """All vectors of a layer (None = the first), float32 (images, dim), written into `out` if given."""
        dim = self.info.dim if layer is None else self.layers.get(layer, 0)
        out = room((len(self), dim), out)
        lib.nd_bank_get_vectors(self, text(layer), pointer(out), out.size)
        return out

    def select(self, image_ids):
        """Keeps the images named, in that order."""
        image_ids = list(image_ids)
        return self._made(lib.nd_bank_select, self, texts(image_ids, len(image_ids), "image_ids"), len(image_ids))

    def select_for(self, dataset):
        """The images of a dataset, in its order: the gallery for its trials."""
        return self._made(lib.nd_bank_select_for, self, dataset)

    def append(self, second):
        """The rows of this bank, then those of `second`; layers must agree, ids must differ."""
        return self._made(lib.nd_bank_append, self, second)

    def add_layers(self, second):
        """The layers of both banks over the images of this one."""
        return self._made(lib.nd_bank_add_layers, self, second)

    def concat_layers(self, layers=None, unit_length=False):
        """One layer out of several (None = all), side by side; unit_length: each part is scaled to length 1 first."""
        return self._made(lib.nd_bank_concat_layers, self, names(layers), bool(unit_length))

    def standardise(self, fit=None):
        """Each dimension to mean 0 and deviation 1 as measured on the bank `fit` (None = on this one)."""
        return self._made(lib.nd_bank_standardise, self, fit)

    def align(self, transform):
        """Applies a human-alignment transform y = ((x - mean) / std) W + b from an .npz file to every layer whose length fits."""
        return self._made(lib.nd_bank_align, self, path(transform))
