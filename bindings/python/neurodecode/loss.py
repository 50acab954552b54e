"""Losses between brain and image embeddings."""
import ctypes
from collections import namedtuple

from . import _lib
from ._call import Handle, byref, floats, free_function, lib, matrix, options, pointer, record, room, sizes, table, text

Evaluation = namedtuple("Evaluation", "value grad_v grad_z grad_log_scale grad_bias")
Evaluation.__doc__ = """A loss with its exact gradients.

value: float; grad_v: dL/dv and grad_z: dL/dz, float32 (n, dim); grad_log_scale: dL/dlog(1 / temperature) and grad_bias: dL/dbias, floats."""

LossKind = record("LossKind", _lib.nd_loss_kind_info, """One row of the table of losses: name, title (one line), source (the paper).

temperature and bias: defaults; 0 = it has none.""")


def loss_kinds():
    """The losses there are, a list of LossKind."""
    return table(LossKind, _lib.nd_loss_kind_info, lib.nd_loss_kind_get_info)


class Loss(Handle):
    """A loss between brain and image embeddings, by name: see loss_kinds().

    The keyword options are those of the C struct nd_loss_options: temperature (0 = that of the kind), learn_temperature, sum_directions,
    vectors ("l2" or "centred_l2"), mask_same_image, reference, bias.
    """

    _type = _lib.LOSS
    _free = free_function("nd_loss_free")

    def __init__(self, kind="infonce", **keywords):
        lib.nd_loss_create(self._slot(), text(kind), options(_lib.nd_loss_options, keywords))

    @property
    def temperature(self):
        """Current temperature, a float; 1 for a loss without."""
        return self._number(lib.nd_loss_get_temperature)

    @property
    def bias(self):
        """Current bias, a float; 0 for a loss without."""
        return self._number(lib.nd_loss_get_bias)

    def _number(self, function):
        value = _lib.c_double()
        function(self, byref(value))
        return value.value

    def __call__(self, v, z, **rows):
        """The loss of brain embeddings v (n, dim) and image embeddings z (n, dim), row i of one being the partner of row i of the other; a float.

        images: n whole numbers, equal ones are the same image; partner and share (mixco): row i of v embeds share[i] of its own trial and the
        rest of the trial of row partner[i].
        """
        return self._evaluate(v, z, gradients=False, **rows).value

    def evaluate(self, v, z, **rows):
        """The same with gradients, an Evaluation."""
        return self._evaluate(v, z, gradients=True, **rows)

    def _evaluate(self, v, z, gradients, images=None, partner=None, share=None):
        v = matrix(v, "v")
        z = matrix(z, "z", v.shape[1])
        images, partner = (None if x is None else sizes(x, what) for x, what in ((images, "images"), (partner, "partner")))
        share = None if share is None else floats(share, "share")
        for rows, what in ((z, "z"), (images, "images"), (partner, "partner"), (share, "share")):
            if rows is not None and len(rows) != len(v):
                raise ValueError(f"{what}: got {len(rows)} rows, expected {len(v)} as in v")
        grad_v, grad_z = (room(v.shape), room(v.shape)) if gradients else (None, None)
        batch = _lib.nd_loss_batch(ctypes.sizeof(_lib.nd_loss_batch), pointer(v), pointer(z), *v.shape, pointer(images), pointer(partner), pointer(share))
        result = _lib.nd_loss_result(ctypes.sizeof(_lib.nd_loss_result))
        lib.nd_loss_evaluate_batch(self, byref(batch), byref(result), pointer(grad_v), pointer(grad_z))
        return Evaluation(result.value, grad_v, grad_z, result.grad_log_scale, result.grad_bias)
