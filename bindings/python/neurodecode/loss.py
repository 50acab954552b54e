"""Contrastive losses between brain and image embeddings."""
from collections import namedtuple

from . import _lib
from ._call import Handle, byref, free_function, lib, matrix, options, pointer, room, text

Evaluation = namedtuple("Evaluation", "value grad_v grad_z grad_log_scale")
Evaluation.__doc__ = """A loss with its exact gradients.

value: float; grad_v: dL/dv and grad_z: dL/dz, float32 (n, dim); grad_log_scale: dL/dlog(1 / temperature), float."""


class Loss(Handle):
    """Symmetric InfoNCE.

    The keyword options are those of the C struct nd_loss_options: temperature (default 0.04), learn_temperature, sum_directions, vectors
    ("l2" or "centred_l2").
    """

    _type = _lib.LOSS
    _free = free_function("nd_loss_free")

    def __init__(self, kind="infonce", **keywords):
        lib.nd_loss_create(self._slot(), text(kind), options(_lib.nd_loss_options, keywords))

    @property
    def temperature(self):
        """Current temperature, a float."""
        value = _lib.c_double()
        lib.nd_loss_get_temperature(self, byref(value))
        return value.value

    def __call__(self, v, z):
        """The loss of brain embeddings v (n, dim) and image embeddings z (n, dim), row i of one being the partner of row i of the other; a float."""
        return self._evaluate(v, z, gradients=False).value

    def evaluate(self, v, z):
        """The same with gradients, an Evaluation."""
        return self._evaluate(v, z, gradients=True)

    def _evaluate(self, v, z, gradients):
        v = matrix(v, "v")
        z = matrix(z, "z", v.shape[1])
        if len(z) != len(v):
            raise ValueError(f"z: got {len(z)} rows, expected {len(v)} as in v")
        grad_v, grad_z = (room(v.shape), room(v.shape)) if gradients else (None, None)
        value, grad_log_scale = _lib.c_double(), _lib.c_double()
        lib.nd_loss_evaluate(self, pointer(v), pointer(z), *v.shape, byref(value), pointer(grad_v), pointer(grad_z),
                             byref(grad_log_scale) if gradients else None)
        return Evaluation(value.value, grad_v, grad_z, grad_log_scale.value)
