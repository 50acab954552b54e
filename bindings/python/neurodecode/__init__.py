"""neurodecode: decoding viewed images from brain recordings, by way of the C library libneurodecode.

Datasets hold trials x channels x samples with image ids, banks hold image embeddings by id; a trainer fits an encoder to a bank with a
contrastive loss, a retrieval finds the seen image among candidates, and metrics(), top_k() and report() say how sure one can be of it.
"""
import json as _json

from ._call import lib as _c
from .bank import Bank, BankInfo
from .cross import Fold, cross_embed, cross_run
from .dataset import Dataset, DatasetInfo, Trial
from .encoder import Encoder, EncoderInfo, EncoderKind, Param, TensorInfo, encoder_kinds, encoder_params
from .errors import (
    ArgumentError, CancelledError, FileError, FormatError, InternalError, NeurodecodeError, NumericError, OutOfMemoryError,
    SmallBufferError, StateError, UnsupportedError,
)
from .file import FormatInfo, convert_file, describe, formats, read_array, write_array
from .loss import Evaluation, Loss, LossKind, loss_kinds
from .preparation import Preparation, PreparationKind, preparation_kinds, preparation_params
from .progress import Progress, set_log
from .recording import Channel, EpochReport, Event, Recording, RecordingInfo
from .retrieval import Comparison, Estimate, Found, KWay, Metrics, Retrieval, compare, k_way, metrics, report, top_k
from .simulate import simulate
from .train import Trainer, TrainInfo, augmentations

__version__ = "0.1.0"


def library_version():
    """Version of the C library that runs, "major.minor.patch"."""
    return _c.nd_version().decode()


def build_info():
    """What the C library was built with and what it uses on this machine, a dict."""
    return _json.loads(_c.nd_build_info())
