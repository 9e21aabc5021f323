"""Takes a supernet that was searched elsewhere, so that a selection can go on from it."""

import pathlib
from collections.abc import Mapping

import ml_collections
import numpy as np

from tf_darts.data.image_data import ImageData
from tf_darts.data.image_stream import StreamedData
from tf_darts.errors import UserError
from tf_darts.models import torch_weights
from tf_darts.runtime.progress import Progress
from tf_darts.search import loop, pictures, supernet_file
from tf_darts.search.alpha_summary import describe
from tf_darts.search.setup import SearchSetup
from tf_darts.spaces import Space
from tf_darts.workdir.records import as_json, finish
from tf_darts.workdir.stage_run import StageRun


def check(
    config: ml_collections.ConfigDict,
    space: Space,
    data: ImageData | StreamedData,
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Check that a file's supernet has the sizes that the config and the data say.

    Raises:
      UserError: it has not, or is of another space.
    """
    state = {n: v for n, v in arrays.items() if not n.startswith((supernet_file.ALPHA, supernet_file.ADAM))}
    found = torch_weights.shape_of(state, space)
    for size in ("channels", "cells"):
        if found[size] != config.search[size]:
            raise UserError(
                f"config: search.{size} is {config.search[size]}; allowed: {found[size]}, as in the file"
            )
    for size, ours in (("classes", data.num_classes), ("channels_in", data.image_shape[-1])):
        if found[size] != ours:
            raise UserError(f"file: its supernet has {size}={found[size]}; allowed: {ours}, as the data have")


def run(setup: SearchSetup, folder: pathlib.Path, origin: dict[str, str]) -> dict[str, float]:
    """Make the folder of a finished search; return what its evaluation measured.

    Args:
      setup: as a search has it, with the imported supernet and alpha.
      folder: the stage's folder.
      origin: what result.json says of where the supernet is from.
    """
    values = describe(setup.bilevel.architecture)
    if setup.config.search.evaluate_every:
        values |= loop.evaluation(setup)()
    stage = StageRun(folder, setup.config, "search", setup.state())
    stage.begin(Progress(folder.name, total=0))
    stage.metrics.epoch(0, 0, values)
    pictures.histograms(stage.metrics, setup.bilevel.architecture, 0)
    pictures.pictures(stage.metrics, setup.bilevel.architecture, 0, "as imported")
    stage.close()
    stage.save()
    content = {"imported": origin, **loop.result(setup, 0, stage.metrics.epochs, None)}
    finish(folder / "result.json", as_json(content))
    return values
