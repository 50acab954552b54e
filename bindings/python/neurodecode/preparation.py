"""From the published files of a data set to stores."""
from . import _lib
from ._call import Handle, free_function, lib, options, path, record, table, text, written_json
from .encoder import Param
from .progress import watched

PreparationKind = record("PreparationKind", _lib.nd_preparation_kind_info,
                         "One row of the table of data sets: name, title (one line), source (who published the files, and where).")


def preparation_kinds():
    """The data sets whose published files can be prepared, a list of PreparationKind."""
    return table(PreparationKind, _lib.nd_preparation_kind_info, lib.nd_preparation_kind_get_info)


def preparation_params(kind):
    """The parameters of a preparation, a list of Param."""
    return table(Param, _lib.nd_param_info, lib.nd_preparation_kind_get_param, text(kind))


class Preparation(Handle):
    """What is to be made of the files of one data set for one person. Making the object looks at names, sizes and headers only; run() does the work
    and goes on where an earlier one was stopped."""

    _type = _lib.PREPARATION
    _free = free_function("nd_preparation_free")

    def __init__(self, kind, source, output, **keywords):
        """kind: name of a row of preparation_kinds(); source: folder of the published files; output: folder for the stores. The keyword options are
        those of the C struct nd_preparation_options: params (a text "subject=2 rate=100" or a dict) and n_threads (0 = all)."""
        keywords["output"] = output
        lib.nd_preparation_create(self._slot(), text(kind), path(source), options(_lib.nd_preparation_options, keywords))

    @property
    def report(self):
        """The plan and how far it has come, a dict: found, missing, steps, outputs, memory_bytes, disk_bytes, done and more."""
        return written_json(lib.nd_preparation_get_report, self)

    def run(self, progress=None):
        """Works off the steps that are left. progress: see Dataset.open()."""
        watched(progress, lib.nd_preparation_run, self)
