"""The trained network of a work directory, read back."""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any

import ml_collections

from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.config.depends import PRECISION
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.genotype import Genotype
from tf_darts.models.network import Network
from tf_darts.models.residual_network import ResidualNetwork
from tf_darts.runtime import command, process
from tf_darts.runtime.strategy import FLOATS
from tf_darts.spaces import Space
from tf_darts.workdir import checkpoints
from tf_darts.workdir.data_record import DataRecord
from tf_darts.workdir.records import read_config, read_json


@dataclasses.dataclass(frozen=True)
class TrainedNetwork:
    """What a training left.

    Attributes:
      name: its folder under training/.
      folder: that folder.
      config: the config that it was made with.
      space: the search space.
      genotype: of the network.
      result: the content of result.json.
      record: what it was trained on; None: it is of version 1.0, which kept nothing of that.
      residual: its size, where it is the rival of another network; None: it is none.
    """

    name: str
    folder: pathlib.Path
    config: ml_collections.ConfigDict
    space: Space
    genotype: Genotype
    result: dict[str, Any]
    record: DataRecord | None
    residual: ResidualNetwork | None = None

    def with_record(self, make: Callable[[], DataRecord]) -> "TrainedNetwork":
        """Return the same; where it has no record of what it was trained on, with the one that is made."""
        return self if self.record is not None else dataclasses.replace(self, record=make())

    @property
    def images(self) -> DataRecord:
        """What it was trained on.

        Raises:
          ValueError: it has no record of that.
        """
        if self.record is None:
            raise ValueError(f"{self.folder} has no record of its images")
        return self.record

    def network(self) -> Network:
        """Return the network with the weights after the last epoch; it computes in float32 throughout.

        Raises:
          UserError: the checkpoint is missing or damaged.
        """
        recorded = FLOATS[self.config.runtime.precision]
        with process.floats(recorded):
            network = self._new()
            checkpoints.load_from(self.folder, network=network)
        if recorded == "float32":
            return network
        with process.floats("float32"):
            rounded = self._new()
        for variable, value in zip(rounded.variables, network.variables, strict=True):
            variable.assign(value.numpy())
        return rounded

    def _new(self) -> Network:
        """Return the network as it was before its training."""
        training = self.config.training
        return Network(
            spaces.with_stem(self.space, training.stem),
            self.genotype,
            training.channels,
            training.cells,
            self.images.num_classes,
            self.images.image_shape[-1],
            bool(training.auxiliary_weight),
        )


def finished(workdir: str) -> list[str]:
    """Return the names of the work directory's finished trainings."""
    return sorted(path.parent.name for path in pathlib.Path(workdir).glob("training/*/result.json"))


def read(workdir: str, name: str, config: ml_collections.ConfigDict) -> TrainedNetwork:
    """Read what the training of this name left.

    Args:
      workdir: the work directory.
      name: the folder under training/.
      config: for what the training does not depend on (extensions).

    Raises:
      UserError: there is no such training, or it has not finished; the message names those that have.
    """
    folder = pathlib.Path(workdir) / "training" / name
    if not (folder / "result.json").exists():
        names = finished(workdir)
        allowed = f"allowed: {', '.join(names)}" if names else f"run {command.of('train')} there first"
        raise UserError(f"--workdir: {folder} holds no finished training; {allowed}")
    recorded = read_config(folder / "config.json")
    text, rival = recorded.pop("genotype"), recorded.pop("rival", {})
    precision = recorded.pop(PRECISION, "float32")
    config = config_lib.validate(ml_collections.ConfigDict(config.to_dict() | recorded))
    if FLOATS[precision] != FLOATS[config.runtime.precision]:  # the work directory was begun with another
        config.runtime.precision = precision
    space = spaces.with_stem(spaces.of(config), config.training.stem)
    residual = ResidualNetwork.of_record(rival["network"]) if "network" in rival else None
    space = space if residual is None else residual.space(space)
    genotype = genotype_lib.from_text(text, space)
    result, record = read_json(folder / "result.json"), DataRecord.read(folder)
    return TrainedNetwork(name, folder, config, space, genotype, result, record, residual)
