"""Trials of brain activity."""
import numpy as np

from . import _lib
from ._call import Handle, fetched, floats, free_function, got_text, lib, names, number, options, path, pointer, record, room, sizes, text, texts
from ._lib import nd_dataset_options, nd_label_options
from .progress import watched, watching

DatasetInfo = record("DatasetInfo", _lib.nd_dataset_info, """Sizes and timing of a dataset.

rate: samples per second; start: time of the first sample in seconds; normalise: code of how trials were normalised (0 none, 1 zscore, 2 reference);
averaged: repetitions averaged into one trial (the largest number), 1 = single trials.""")

Trial = record("Trial", _lib.nd_trial, """What is known of one trial.

image: its id; image_index: index into Dataset.images; concept_index: in order of first appearance; subject: 0 = unknown; repetition: from 0; session, run:
0 = unknown.""")


class Dataset(Handle):
    """Trials x channels x samples, float32, each trial with the id of the image that was seen: EEG, MEG (channels x samples) or fMRI (voxels x 1).

    A dataset never changes; select(), window() and so on return new ones that share data with the old where they can.

    The keyword options of the constructors are those of the C struct nd_dataset_options: variable, axes, images (a file of ids or
    "column:NAME"), partition, channels (names in a list or a text), rate, start, subject, normalise ("none", "zscore", "reference"), average, n_threads,
    mask (an image, for NIfTI), session, run, precision ("float32", "bfloat16": of a store that is made).
    """

    _type = _lib.DATASET
    _free = free_function("nd_dataset_free")

    def __init__(self, data, image_ids=None, **keywords):
        """Copies an array (trials, channels, samples), or (trials, voxels) for one sample per trial.

        image_ids: one text per trial, as "00001_aardvark/aardvark_01b"; None = "0", "1", ... The options channels, rate, start, subject,
        session, run and normalise count.
        """
        data = floats(data, "data")
        if data.ndim == 2:
            data = data[:, :, np.newaxis]
        if data.ndim != 3:
            raise ValueError(f"data: got shape {data.shape}, expected (trials, channels, samples) or (trials, voxels)")
        ids = texts(image_ids, len(data), "image_ids")
        lib.nd_dataset_create(self._slot(), pointer(data), *data.shape, ids, options(nd_dataset_options, keywords))

    @classmethod
    def open(cls, file, progress=None, **keywords):
        """Reads a store written by save() (mapped, not loaded) or any file with a numeric array: .npy, .npz, .safetensors, pickled dict,
        .csv, .tsv."""
        return cls._made(watching(progress, lib.nd_dataset_open), path(file), options(nd_dataset_options, keywords))

    @classmethod
    def import_file(cls, source, file, progress=None, **keywords):
        """Reads `source` as open() does, but straight into the store `file`, in constant memory, and opens that."""
        return cls._made(watching(progress, lib.nd_dataset_import), path(source), path(file), options(nd_dataset_options, keywords))

    @classmethod
    def open_things_eeg2(cls, folder, subject, partition, store_dir=None, progress=None, **keywords):
        """Opens one partition, "training" or "test", of one subject (from 1) of a folder laid out as THINGS-EEG2.

        store_dir: a folder for the float32 store, made once and used again; None = load into memory. Options: normalise, average (default
        1), n_threads.
        """
        given = options(nd_dataset_options, {"average": 1, **keywords})
        return cls._made(watching(progress, lib.nd_dataset_open_things_eeg2), path(folder), subject, text(partition), path(store_dir), given)

    def save(self, file, progress=None, precision="float32"):
        """Writes the dataset as a store: a safetensors file that open() maps. precision "bfloat16" takes half the space."""
        watched(progress, lib.nd_dataset_save_as, self, path(file), number("precision", precision, _lib.c_int32))

    @property
    def info(self):
        """Sizes and timing, a DatasetInfo."""
        return fetched(DatasetInfo, _lib.nd_dataset_info, lib.nd_dataset_get_info, self)

    @property
    def shape(self):
        """(trials, channels, samples)"""
        info = self.info
        return info.n_trials, info.n_channels, info.n_samples

    def __len__(self):
        return self.info.n_trials

    def __repr__(self):
        if not self._pointer:
            return "<Dataset, closed>"
        info = self.info
        return f"<Dataset of {info.n_trials} trials x {info.n_channels} channels x {info.n_samples} samples, {info.n_images} images>"

    @property
    def channels(self):
        """Names of the channels, a list."""
        return [got_text(lib.nd_dataset_get_channel, self, index) for index in range(self.info.n_channels)]

    @property
    def images(self):
        """Ids of the images in order of first appearance, a list of `n_images`."""
        return [got_text(lib.nd_dataset_get_image, self, index) for index in range(self.info.n_images)]

    @property
    def times(self):
        """Time of each sample in seconds, float64 (samples,)."""
        info = self.info
        return info.start + np.arange(info.n_samples) / info.rate

    def trial(self, index):
        """What is known of trial `index`, a Trial."""
        return fetched(Trial, _lib.nd_trial, lib.nd_dataset_get_trial, self, index)

    def trials(self):
        """What is known of every trial, a list of Trial."""
        return [self.trial(index) for index in range(len(self))]

    def data(self, first=0, count=None, out=None):
        """Trials first .. first + count - 1 (None = to the end), float32 (count, channels, samples), written into `out` if given."""
        n_trials, n_channels, n_samples = self.shape
        count = max(n_trials - first, 0) if count is None else count
        out = room((count, n_channels, n_samples), out)
        lib.nd_dataset_get_data(self, first, count, pointer(out), out.size)
        return out

    def select(self, trials):
        """Keeps the trials listed, in that order; a trial may be listed several times. A boolean mask (trials,) works too."""
        chosen = np.asarray(trials)
        if chosen.dtype.kind == "b" and chosen.shape != (len(self),):
            raise ValueError(f"trials: got a mask of shape {chosen.shape}, expected ({len(self)},)")
        chosen = sizes(chosen, "trials")
        return self._made(lib.nd_dataset_select, self, pointer(chosen), chosen.size)

    def select_channels(self, channels):
        """Keeps the channels named, in that order: names or the regions frontal, central, temporal, parietal, occipital."""
        return self._made(lib.nd_dataset_select_channels, self, names(channels))

    def window(self, start, end, step=1):
        """Keeps the samples with start <= t < end, seconds, then every `step`-th of them."""
        return self._made(lib.nd_dataset_window, self, start, end, step)

    def baseline(self, start, end):
        """Subtracts from each channel of each trial its mean over start <= t < end, seconds."""
        return self._made(lib.nd_dataset_baseline, self, start, end)

    def average(self):
        """Averages the trials of each (subject, image) into one."""
        return self._made(lib.nd_dataset_average, self)

    def label(self, table, **keywords):
        """Gives the trials the labels of a table as image ids, and runs and sessions where it has them: a row for each trial, or events in seconds
        as BIDS has them. Options: column, rest, interval, shift (seconds), session, run."""
        return self._made(lib.nd_dataset_label, self, path(table), options(nd_label_options, keywords))

    def select_labels(self, keep=None, drop=None):
        """Keeps the trials whose image or concept is listed in `keep` (None = all) and not in `drop`."""
        return self._made(lib.nd_dataset_select_labels, self, names(keep), names(drop))

    def average_blocks(self):
        """Averages consecutive trials of the same image, within a run."""
        return self._made(lib.nd_dataset_average_blocks, self)

    def detrend(self, degree=1, group="run"):
        """Subtracts from each channel's series of trials its least-squares polynomial, group by group (None = all trials are one)."""
        return self._made(lib.nd_dataset_detrend, self, degree, text(group))

    def standardise(self, group="run", label=None):
        """Brings each channel's series of trials to mean 0 and deviation 1, group by group, both taken from the trials of `label` (None = all)."""
        return self._made(lib.nd_dataset_standardise, self, text(group), text(label))

    def normalise(self, how="zscore"):
        """Normalises each channel of each trial over its samples: "zscore" or "reference"."""
        return self._made(lib.nd_dataset_normalise, self, number("normalise", how, _lib.c_int32))

    def resample(self, rate, progress=None):
        """Changes the rate by way of the frequencies, as mne.Epochs.resample does."""
        return self._made(watching(progress, lib.nd_dataset_resample), self, rate)

    def whiten(self, *fits, per="epochs", progress=None):
        """Multivariate noise normalisation by the covariance of the datasets `fits` (None given: of this one), over the samples of each trial
        ("epochs") or over the repetitions at each time point ("time")."""
        fits = fits or (self,)
        pointers = (_lib.DATASET * len(fits))(*(fit._open() for fit in fits))
        return self._made(watching(progress, lib.nd_dataset_whiten), self, pointers, len(fits), number("per", per, _lib.c_int32))

    def concat(self, second):
        """These trials, then those of `second`; channels, samples and rate must agree."""
        return self._made(lib.nd_dataset_concat, self, second)

    def split(self, fraction, group="concept", seed=42):
        """Splits at random into two datasets, (most, about `fraction` of the groups), all trials of one "image", "concept", "subject",
        "session" or "run" on the same side."""
        first, second = Dataset.__new__(Dataset), Dataset.__new__(Dataset)
        lib.nd_dataset_split(first._slot(), second._slot(), self, fraction, text(group), seed)
        return first, second
