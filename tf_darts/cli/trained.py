"""What bin/export and bin/predict share: a trained network by its name, and its data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from absl import flags

from tf_darts.cli import shared_flags
from tf_darts.errors import UserError
from tf_darts.runtime.quiet import quiet_start
from tf_darts.workdir import stage_folders

if TYPE_CHECKING:
    from tf_darts.export.sample import Data
    from tf_darts.training.trained_network import TrainedNetwork

_NAME = flags.DEFINE_string(
    "name", None, "The folder under training/; left out, that of the selection that the config names."
)
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def load() -> tuple[TrainedNetwork, Data]:
    """Load the trained network that the flags name, and the data that it was trained on.

    Raises:
      UserError: there is none, or the data are not where they were.
    """
    workdir, config = shared_flags.workdir(), shared_flags.load_config()
    with quiet_start():
        from tf_darts.data import sources
        from tf_darts.runtime import strategy
        from tf_darts.training import trained_network
    found = trained_network.read(workdir, _NAME.value or stage_folders.selection_name(config), config)
    if found.config.data.stream:
        raise UserError(
            f"--workdir: {found.folder} was trained with data.stream; allowed: data held in memory"
        )
    if flags.FLAGS.data_dir is not None:
        found.config.data.path = config.data.path  # they may have been moved
    strategy.prepare()  # first: the data may use TensorFlow
    return found, sources.load(found.config.data, found.config.seed)
