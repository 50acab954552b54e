"""Continuous recordings."""
import ctypes

import numpy as np

from . import _lib
from ._call import Handle, byref, fetched, free_function, lib, options, path, record, text
from ._lib import nd_epoch_options, nd_events_options, nd_filter_options, nd_recording_options
from .dataset import Dataset
from .progress import watching

RecordingInfo = record("RecordingInfo", _lib.nd_recording_info, """Sizes and timing of a recording; format: of the file it came from, "memory" for
arrays and copies.""")

Channel = record("Channel", _lib.nd_channel, """What is known of one channel: name, type ("eeg", "stim", ...), unit of the values ("V"; "" = unknown), bad.""")

Event = record("Event", _lib.nd_event, """One event: sample (from 0), duration in samples, text ("" for triggers), code, previous value of the trigger.""")

EpochReport = record("EpochReport", _lib.nd_epoch_report, """What became of the events.

n_kept became trials; n_outside, n_bad, n_peak_to_peak and n_flat were dropped; worst_channel: index of the channel that most often was the first
to have a trial dropped, worst_count times.""")


def doubles(values, what, n_dims):
    values = np.ascontiguousarray(values, dtype=np.float64)
    if values.ndim != n_dims:
        raise ValueError(f"{what}: got {values.ndim} dimensions, expected {n_dims}")
    return values


def at(values):
    return values.ctypes.data_as(_lib.DOUBLE)


def listed(channels):
    """Names in a list, or one text; names may hold blanks, then commas separate them."""
    return text(channels if channels is None or isinstance(channels, str) else ",".join(channels))


class Recording(Handle):
    """A continuous signal, its channels and its events.

    A recording never changes: operations return new ones. Values are in volts or tesla where the file says its unit.
    The keyword options of the constructors are those of the C struct nd_recording_options: variable, channels, types, unit, rate,
    bids (True = events and channels from the tables of BIDS beside the file).
    """

    _type = _lib.RECORDING
    _free = free_function("nd_recording_free")

    def __init__(self, data, **keywords):
        """Copies an array (channels, samples)."""
        data = doubles(data, "data", 2)
        lib.nd_recording_create(self._slot(), at(data), *data.shape, options(nd_recording_options, keywords))

    @classmethod
    def open(cls, file, **keywords):
        """Opens EDF, BDF, BrainVision (.vhdr), FIF, a table with a column per channel, or arrays such as the raw files of THINGS-EEG2."""
        return cls._made(lib.nd_recording_open, path(file), options(nd_recording_options, keywords))

    @property
    def info(self):
        """Sizes and timing, a RecordingInfo."""
        return fetched(RecordingInfo, _lib.nd_recording_info, lib.nd_recording_get_info, self)

    def __len__(self):
        return self.info.n_samples

    def __repr__(self):
        if not self._pointer:
            return "<Recording, closed>"
        info = self.info
        return f"<Recording of {info.n_channels} channels x {info.n_samples} samples at {info.rate:g} Hz, {info.n_events} events>"

    @property
    def channels(self):
        """What is known of each channel, a list of Channel."""
        return [fetched(Channel, _lib.nd_channel, lib.nd_recording_get_channel, self, index) for index in range(self.info.n_channels)]

    @property
    def events(self):
        """The events in the order of time, a list of Event."""
        return [fetched(Event, _lib.nd_event, lib.nd_recording_get_event, self, index) for index in range(self.info.n_events)]

    def data(self, first=0, count=None):
        """Samples first .. first + count - 1 (None = to the end), float64 (channels, count)."""
        info = self.info
        count = max(info.n_samples - first, 0) if count is None else count
        out = np.empty((info.n_channels, count))
        lib.nd_recording_get_data(self, first, count, at(out), out.size)
        return out

    def select_channels(self, channels):
        """Keeps the channels named, in that order: names, types ("eeg"), regions ("occipital") or regular expressions ("/^(O|P)/")."""
        return self._made(lib.nd_recording_select_channels, self, listed(channels))

    def crop(self, start, end):
        """Keeps the samples with start <= t < end, seconds."""
        return self._made(lib.nd_recording_crop, self, start, end)

    def find_events(self, **keywords):
        """Looks for events on trigger channels, as mne.find_events does. Options: channels, min_duration, consecutive, initial_event, mask, mask_not."""
        return self._made(lib.nd_recording_find_events, self, options(nd_events_options, keywords))

    def set_events(self, samples, codes):
        """Gives the recording these events in place of the ones it has."""
        samples, codes = np.ascontiguousarray(samples, dtype=np.uint64), np.ascontiguousarray(codes, dtype=np.int32)
        if samples.shape != codes.shape or samples.ndim != 1:
            raise ValueError(f"events: got {samples.shape} samples and {codes.shape} codes")
        first, second = samples.ctypes.data_as(ctypes.POINTER(ctypes.c_uint64)), codes.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        return self._made(lib.nd_recording_set_events, self, first, second, samples.size)

    def rereference(self, reference="average"):
        """Subtracts from the EEG channels the mean of the channels named, or of all of them."""
        return self._made(lib.nd_recording_rereference, self, listed(reference))

    def filter(self, low=0, high=0, progress=None, **keywords):
        """Removes what is slower than `low` and faster than `high` Hz. Options: kind ("fir", "butterworth"), order, n_threads."""
        given = options(nd_filter_options, {"low": low, "high": high, **keywords})
        return self._made(watching(progress, lib.nd_recording_filter), self, given)

    def notch(self, *frequencies, progress=None):
        """Removes narrow bands around the frequencies."""
        values = doubles(frequencies, "frequencies", 1)
        return self._made(watching(progress, lib.nd_recording_notch), self, at(values), values.size)

    def resample(self, rate, progress=None):
        """Changes the rate by way of the frequencies, as mne.io.Raw.resample does."""
        return self._made(watching(progress, lib.nd_recording_resample), self, rate)

    def epoch(self, progress=None, **keywords):
        """Cuts out a trial for each event: (Dataset, EpochReport).

        Options: start, end, baseline_start, baseline_end, baseline (0 none, 1 mean, 2 z-score), decimate, events ("house=1 face=2"), drop, images,
        partition, channels, reject ("eeg=150e-6"), flat, subject, n_threads.
        """
        report = _lib.nd_epoch_report(size=ctypes.sizeof(_lib.nd_epoch_report))
        if isinstance(keywords.get("channels"), (list, tuple)):
            keywords["channels"] = ",".join(keywords["channels"])
        made = Dataset._made(watching(progress, lib.nd_recording_epoch), self, options(nd_epoch_options, keywords), byref(report))
        return made, EpochReport.of(report)
