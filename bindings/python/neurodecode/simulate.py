"""A world shaped like THINGS-EEG2, made without any download."""
from . import _lib
from ._call import lib, options, path
from .progress import watched


def simulate(folder, progress=None, **keywords):
    """Writes recordings, image_metadata.npy and image embeddings ("aligned" and "unaligned") into `folder`, which is made if need be.

    The keyword options are those of the C struct nd_simulate_options: n_subjects, n_concepts, images_per_concept, n_test,
    train_repetitions, test_repetitions, n_channels (63 or 17), n_samples (at 250 Hz), embed_dim, n_sessions (0, or raw recordings
    of 1, 2 or 4 sessions), snr, seed.
    """
    watched(progress, lib.nd_simulate, path(folder), options(_lib.nd_simulate_options, keywords))
