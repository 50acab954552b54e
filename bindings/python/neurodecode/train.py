"""Training an encoder against a bank of image embeddings."""
import functools

from . import _lib
from ._call import Handle, byref, fetched, free_function, lib, options, path, record, table, text
from .encoder import Param
from .progress import watched

TrainInfo = record("TrainInfo", _lib.nd_train_info, """Where a training stands.

epoch: finished epochs; step: finished steps in all; best_epoch: with the lowest validation loss, from 1, 0 = none yet; train_loss: mean
over the last finished epoch; validation_loss and best_validation_loss: NaN without validation; learning_rate: of the next step; n_train and
n_validation: trials; finished: 1 = all epochs done or stopped early.""")


def augmentations():
    """What the option `augment` of Trainer can hold, a list of Param."""
    return table(Param, _lib.nd_param_info, lib.nd_augmentation_get_info)


class Trainer(Handle):
    """AdamW, Adam or SGD on a contrastive loss, or the closed form of a linear encoder. Random choices depend on the seed and the step only.

    The keyword options are those of the C struct nd_train_options: epochs, batch_size, learning_rate, min_learning_rate, weight_decay,
    beta1, beta2, epsilon, clip_norm, validation_fraction, plateau_factor, schedule ("constant", "cosine", "plateau", "reference"),
    warmup_steps, plateau_patience, patience, validation_batch, split_by_image, seed, n_threads, checkpoint_every, checkpoint (a file),
    optimiser ("adamw", "adam", "sgd"), momentum, nesterov, no_decay (parts of parameters' names, or "vectors"), ema_decay, augment (a text
    "shift=5 noise=0.1" or a dict, see augmentations()), projector (an Encoder of the bank's vectors, trained too).
    """

    _type = _lib.TRAINER
    _free = free_function("nd_trainer_free")

    def __init__(self, encoder, loss, dataset, bank, recipe=None, **keywords):
        """Prepares a training of `encoder`, in place. The bank must hold every image of the dataset; its first layer is the target.

        recipe: None or "default", or "reference" for what the reference code does; keywords change single values of it.
        """
        lib.nd_trainer_create(self._slot(), encoder, loss, dataset, bank, train_options(keywords, recipe))

    def run(self, progress=None):
        """Steps until finished, then puts the best weights into encoder and projector; returns the TrainInfo.

        Stopped by the progress function or by Ctrl-C, everything stays as at the last finished step, and run() may be called again.
        """
        watched(progress, lib.nd_trainer_run, self)
        return self.info

    def step(self):
        """One optimiser step, at the end of an epoch also validation and schedule; returns the loss of the batch. StateError when finished."""
        loss = _lib.c_double()
        lib.nd_trainer_step(self, byref(loss))
        return loss.value

    def take_best(self):
        """Puts the weights with the lowest validation loss into the encoder; run() does it by itself."""
        lib.nd_trainer_take_best(self)

    def save(self, checkpoint):
        """Writes a checkpoint, whole or not at all."""
        lib.nd_trainer_save(self, path(checkpoint))

    def resume(self, checkpoint):
        """Continues from a checkpoint; encoder, data and options must be those it was made with."""
        lib.nd_trainer_resume(self, path(checkpoint))

    @property
    def info(self):
        """Where the training stands, a TrainInfo."""
        return fetched(TrainInfo, _lib.nd_train_info, lib.nd_trainer_get_info, self)


def train_options(keywords, recipe=None):
    """The C struct of options: the recipe, and what the keywords say."""
    init = functools.partial(_init_recipe, text(recipe)) if recipe else None
    return options(_lib.nd_train_options, keywords, init)


def _init_recipe(recipe, given, size):
    lib.nd_train_options_init_recipe(given, size, recipe)
