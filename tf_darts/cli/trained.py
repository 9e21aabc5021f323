"""What bin/export and bin/predict share: a trained network by its name, and its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from tf_darts import folders
from tf_darts.cli import common
from tf_darts.errors import UserError
from tf_darts.runtime.quiet import quiet_start

if TYPE_CHECKING:
    from tf_darts.export.sample import Data
    from tf_darts.training.trained import Trained

_NAME = flags.DEFINE_string(
    "name", None, "The folder under training/; left out, that of the selection that the config names."
)
flags.adopt_module_key_flags(common)  # --help lists the shared flags too


def load() -> tuple[Trained, Data]:
    """The trained network that the flags name, and the data that it was trained on.

    Raises:
      UserError: there is none, or the data are not where they were.
    """
    workdir, config = common.workdir(), common.load_config()
    with quiet_start():
        from tf_darts.data import sources
        from tf_darts.runtime import strategy
        from tf_darts.training import trained
    found = trained.read(workdir, _NAME.value or folders.selection_name(config), config)
    if found.config.data.stream:
        raise UserError(
            f"--workdir: {found.folder} was trained with data.stream; allowed: data held in memory"
        )
    if flags.FLAGS.data_dir is not None:
        found.config.data.path = config.data.path  # they may have been moved
    strategy.prepare()  # first: the data may use TensorFlow
    return found, sources.load(found.config.data, found.config.seed)
