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
    "name", None, "The folder under training/; by default the one of the selection that the config names."
)
flags.adopt_module_key_flags(shared_flags)  # --help lists the shared flags too


def load() -> TrainedNetwork:
    """Load the trained network that the flags name; its images only where it keeps nothing of them.

    Raises:
      UserError: there is none; or it is of version 1.0, and its images are not where they were.
    """
    workdir, config = shared_flags.workdir(), shared_flags.load_config()
    with quiet_start():
        from tf_darts.runtime import strategy
        from tf_darts.training import trained_network
    found = trained_network.read(workdir, _NAME.value or stage_folders.selection_name(config), config)
    if flags.FLAGS.data_dir is not None:
        found.config.data.path = config.data.path  # they may have been moved
    strategy.prepare()  # first: the data may use TensorFlow
    return found.with_record(lambda: images_of(found).record)


def images_of(found: TrainedNetwork) -> Data:
    """Load the images of a training from where its config says that they are.

    Raises:
      UserError: they are not there, or others are; the message says what differs.
    """
    from tf_darts.data import sources

    data = sources.load(found.config.data, found.config.seed)
    if found.record is not None and (changed := found.record.changes(data.record)):
        raise UserError(f"the images have changed since the training: {'; '.join(changed)}")
    return data
