"""Cross-validation: every group of trials is decoded by an encoder that has not seen it."""
from ctypes import byref, pointer as pointer_to
from typing import NamedTuple

import numpy as np

from . import _lib
from ._call import lib, options, pointer, room, text
from .dataset import Dataset
from .encoder import Encoder
from .errors import CancelledError
from .progress import watched
from .train import train_options


class Fold(NamedTuple):
    """One fold, after its training. The handles are closed when the function that is given the fold returns.

    index: from 0; encoder: fresh, trained on all other groups; projector: trained with it, or None; train: trials of all other groups;
    held: trials to decode; trials: where these stand in `test`, or in the dataset.
    """

    index: int
    n_folds: int
    encoder: Encoder
    projector: Encoder
    train: Dataset
    held: Dataset
    trials: np.ndarray


def cross_run(fold, kind, dataset, bank, group="subject", test=None, encoder=None, loss="infonce", loss_options=None, train=None, recipe=None,
              projector=None, projector_options=None, progress=None):
    """Trains one encoder per group of `dataset`, on the trials of all others, and calls fold(Fold) with each; what it returns is collected in a list.

    group: "trial", "image", "concept", "subject" or "repetition" is left out together; test: trials to decode, those of the subject left out
    (group "subject" only), None = the trials left out themselves; encoder, loss_options, train, projector_options: dicts of the options of
    Encoder, Loss, Trainer and Encoder; projector: kind of an image-side projector, fresh for every fold.
    """
    results, failure = [], None

    def use(seen, _):
        nonlocal failure
        told, made = seen.contents, []

        def borrowed(kind, pointer):
            handle = kind.__new__(kind)
            handle._pointer = pointer
            made.append(handle)
            return handle

        try:
            results.append(fold(Fold(
                told.index, told.n_folds, borrowed(Encoder, told.encoder), borrowed(Encoder, told.projector) if told.projector else None,
                borrowed(Dataset, told.train), borrowed(Dataset, told.held), np.array(told.trials[:told.n_trials], dtype=np.intp))))
        except BaseException as error:
            failure = error
        for handle in made:
            handle._pointer = None
        return failure is not None

    given = _lib.nd_cross_options()
    lib.nd_cross_options_init(byref(given), _lib.ctypes.sizeof(given))
    parts = {
        "encoder_options": options(_lib.nd_encoder_options, encoder or {}), "loss_options": options(_lib.nd_loss_options, loss_options or {}),
        "train_options": train_options(train or {}, recipe), "projector_options": options(_lib.nd_encoder_options, projector_options or {}),
    }
    for name, part in parts.items():
        setattr(given, name, pointer_to(part))
    given.encoder, given.loss, given.group, given.projector = text(kind), text(loss), text(group), text(projector)
    if test is not None:
        given.test = test._open()
    callback = _lib.nd_fold_fn(use)

    def run(report, user):
        given.progress, given.user = report, user
        lib.nd_cross_run(dataset, bank, byref(given), callback, None)

    try:
        watched(progress, run)
    except CancelledError as error:
        raise failure or error
    return results


def cross_embed(kind, dataset, bank, group="concept", encoder=None, loss=None, train=None, recipe=None, progress=None):
    """Embeds every trial by an encoder that has not seen its group, float32 (n_trials, dim of the bank's first layer).

    group: "trial", "image", "concept", "subject" or "repetition" is left out together; encoder, loss, train: dicts of the options of
    Encoder, Loss and Trainer.
    """
    out = room((len(dataset), bank.info.dim))
    watched(progress, lib.nd_cross_embed, text(kind), dataset, bank, text(group), options(_lib.nd_encoder_options, encoder or {}),
            options(_lib.nd_loss_options, loss or {}), train_options(train or {}, recipe), pointer(out), out.size)
    return out
