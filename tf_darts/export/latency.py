"""How long networks take with TFLite on this machine: the parts of a table, and whole networks to check it.

A part is a file of its own, timed in rounds that come back to every part: what disturbs the machine for a
while disturbs a round of each, and the quietest round counts.
"""

import dataclasses
import pathlib
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import ml_collections
import numpy as np
import tensorflow as tf

from tf_darts import spaces
from tf_darts.export import formats
from tf_darts.export.formats import on_cpu
from tf_darts.export.functional import functional, write_head
from tf_darts.export.stock_layers import Stock, write, write_stem
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Genotype
from tf_darts.layers.node_output import NodeOutput
from tf_darts.models import genotype_costs, latency_table
from tf_darts.models.latency_table import LatencyTable, Part
from tf_darts.models.network import Network
from tf_darts.plots.table import markdown
from tf_darts.runtime import host, progress
from tf_darts.runtime.seeds import fold
from tf_darts.selection.sampling import random_mixing_weights
from tf_darts.spaces import Space

ROUNDS, SECONDS, CALLS = 9, 0.01, 5  # of every file: rounds; at least so long and so many calls in each
SCALED_BY = 3  # whole networks


@dataclasses.dataclass(frozen=True)
class CheckedNetwork:
    """What a network was estimated to take, and what it takes.

    Attributes:
      genotype: its text form.
      parameters: trainable weights.
      predicted_ms: by the table, of a call with one image.
      measured_ms: of its TFLite file.
      predicted_bytes: the size that the file was estimated to have.
      measured_bytes: that it has.
    """

    genotype: str
    parameters: int
    predicted_ms: float
    measured_ms: float
    predicted_bytes: int
    measured_bytes: int

    @property
    def latency_error(self) -> float:
        """By which share of the measured time the predicted one is above it."""
        return self.predicted_ms / self.measured_ms - 1

    @property
    def size_error(self) -> float:
        """The same of the file's size."""
        return self.predicted_bytes / self.measured_bytes - 1


def measure(parts: Mapping[Part, Any], threads: int = 1) -> LatencyTable:
    """Measure how long every part takes on this machine.

    Args:
      parts: from `genotype_costs.parts_of`.
      threads: of the interpreter.

    Raises:
      UserError: an operation cannot be exported.
    """
    with on_cpu():
        contents = [formats.tflite_of_part(model_of(part, layer)) for part, layer in parts.items()]
    taken = [1000 * seconds for seconds in seconds_of(contents, threads)]
    machine = host.about()
    about = {
        "processor": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        "threads": str(threads),
        "tensorflow": tf.__version__,
    }
    return LatencyTable(dict(zip(parts, taken, strict=True)), about)


def check(
    space: Space,
    genotypes: Sequence[Genotype],
    channels: int,
    cells: int,
    classes: int,
    image_shape: Sequence[int],
    table: LatencyTable,
) -> list[CheckedNetwork]:
    """Compare predictions with whole networks, converted and timed on this machine.

    Args:
      space: the search space with the networks' stem.
      genotypes: of the networks.
      channels: initial channels.
      cells: depth.
      classes: number of logits.
      image_shape: height, width and channels of the images.
      table: what predicts.
    """
    costs = genotype_costs.count(space, channels, cells, classes, image_shape, table)
    contents = []
    with on_cpu():
        for genotype in genotypes:
            network = Network(space, genotype, channels, cells, classes, image_shape[-1])
            contents.append(formats.tflite(functional(network, image_shape, *_neutral(image_shape[-1]))))
    found = []
    for genotype, content, seconds in zip(
        genotypes, contents, seconds_of(contents, table.threads), strict=True
    ):
        cost = costs.of(genotype)
        found.append(
            CheckedNetwork(
                genotype.to_text(space),
                cost.parameters,
                cost.nanoseconds / 1e6,
                1000 * seconds,
                cost.tflite_bytes,
                len(content),
            )
        )
    return found


def random_genotypes(space: Space, seed: int, number: int, purpose: str = "latency") -> list[Genotype]:
    """Draw genotypes without `none`: a converter leaves out what nothing reads, which no sum can know.

    Args:
      space: the search space.
      seed: of the draw.
      number: how many.
      purpose: those of one have nothing to do with those of another.
    """
    draw, found = np.random.default_rng(fold(seed, purpose)), []
    for _ in range(100 * number):
        genotype = read_genotype(space, random_mixing_weights(space, draw))
        if len(found) < number and all(c.operation != "none" for t in genotype.cells.values() for c in t):
            found.append(genotype)
    return found


def scaled(
    table: LatencyTable,
    space: Space,
    channels: int,
    cells: int,
    classes: int,
    image_shape: Sequence[int],
    seed: int = 0,
) -> LatencyTable:
    """Return a table that knows what whole networks take, in sums of their parts, on this machine.

    A part by itself finds its weights and its image in the processor's cache, which the other parts of a
    network have taken. So a sum is too small, by a share that depends on space, size and machine.

    Args:
      table: of all parts.
      space: the search space with the networks' stem.
      channels: initial channels.
      cells: depth.
      classes: number of logits.
      image_shape: height, width and channels of the images.
      seed: of the networks that are timed.
    """
    drawn = random_genotypes(space, seed, SCALED_BY, "scale of latency")
    found = check(space, drawn, channels, cells, classes, image_shape, table)
    if not found:
        return table
    scale = statistics.median(network.measured_ms / network.predicted_ms for network in found)
    return dataclasses.replace(table, about={**table.about, latency_table.SCALE: f"{scale:.4f}"})


def check_table(found: Sequence[CheckedNetwork]) -> str:
    """Return predictions beside what was measured, as Markdown."""
    head = ("network", "parameters", "predicted", "measured", "error", "file predicted", "file", "error")
    rows = [
        (
            str(number),
            f"{network.parameters:,}",
            f"{network.predicted_ms:.3f} ms",
            f"{network.measured_ms:.3f} ms",
            f"{100 * network.latency_error:+.1f} %",
            f"{network.predicted_bytes / 1000:,.1f} kB",
            f"{network.measured_bytes / 1000:,.1f} kB",
            f"{100 * network.size_error:+.1f} %",
        )
        for number, network in enumerate(found, 1)
    ]
    return markdown(head, rows, texts=1)


def write_files(
    place: pathlib.Path, space: Space, channels: int, cells: int, classes: int, image_shape: Sequence[int]
) -> int:
    """Write a TFLite file for each row of a table, and the rows without their times; return how many.

    Args:
      place: the table; the files lie beside it.
      space: the search space with the networks' stem.
      channels: initial channels.
      cells: depth.
      classes: number of logits.
      image_shape: height, width and channels of the images.
    """
    parts = genotype_costs.parts_of(space, channels, cells, classes, image_shape)
    place.parent.mkdir(parents=True, exist_ok=True)
    with on_cpu():
        for part, layer in parts.items():
            path = place.parent / f"{'_'.join(map(str, part))}.tflite"
            path.write_bytes(formats.tflite_of_part(model_of(part, layer)))
    rows = [",".join(map(str, [*part, ""])) for part in sorted(parts)]
    place.write_text("\n".join([",".join(latency_table.COLUMNS), *rows, ""]), encoding="utf-8")
    return len(parts)


_WRITTEN_ALONE = (
    latency_table.PREPROCESS,
    latency_table.REDUCE,
    latency_table.BLOCK,
    latency_table.POOLED_BLOCK,
)


def model_of(part: Part, layer: Any) -> keras.Model:
    """Return a model that holds one part alone, of images [1, height, width, inputs]."""
    kind, size = part.operation, (part.height, part.width, part.inputs)
    if kind.startswith(latency_table.STEM):
        images = keras.Input(size, dtype="uint8")
        x = keras.layers.Rescaling(1 / 255)(images)
        return keras.Model(images, write_stem(layer, x, Stock(kind), 1))
    if kind == latency_table.JOIN:
        inputs = [keras.Input(size) for _ in range(part.channels // part.inputs)]
        return keras.Model(inputs, keras.layers.Concatenate()(inputs))
    x = keras.Input(size)
    if kind == latency_table.CALL:
        return keras.Model(x, keras.layers.ReLU()(x))
    if kind in (latency_table.HEAD, latency_table.BARE_HEAD):
        return keras.Model(x, write_head(layer, x))
    if kind in _WRITTEN_ALONE:
        return keras.Model(x, write(layer, NodeOutput(x), Stock(kind)))
    other = keras.Input((part.height // part.stride, part.width // part.stride, part.channels))
    y = x if kind == latency_table.SUM else write(layer, NodeOutput(x), Stock("edge"))
    return keras.Model([x, other], keras.layers.Add()([y, other]))


def seconds_of(contents: Sequence[bytes], threads: int = 1) -> list[float]:
    """Measure how long calls of TFLite files with one image take.

    Args:
      contents: of the files.
      threads: of the interpreter.

    Returns:
      For each the smallest over the rounds of the round's median, seconds.
    """
    calls = [_call_of(content, threads) for content in contents]
    least = [float("inf")] * len(calls)
    for _ in range(ROUNDS):
        for i, call in enumerate(calls):
            call()  # what ran before has taken the caches
            taken, start = [], time.perf_counter()
            while len(taken) < CALLS or time.perf_counter() - start < SECONDS:
                begun = time.perf_counter()
                call()
                taken.append(time.perf_counter() - begun)
            least[i] = min(least[i], statistics.median(taken))
    return least


def _call_of(content: bytes, threads: int) -> Callable[[], None]:
    """Return the call of a file's interpreter, with one image of noise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where its interpreter will move to
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=threads)
    for place in interpreter.get_input_details():
        interpreter.resize_tensor_input(place["index"], [1, *place["shape"][1:]])
    interpreter.allocate_tensors()
    draw = np.random.default_rng(0)
    for place in interpreter.get_input_details():
        pixels = draw.integers(0, 255, place["shape"], endpoint=True)
        values = pixels if place["dtype"] == np.uint8 else pixels / 127.5 - 1
        interpreter.set_tensor(place["index"], values.astype(place["dtype"]))
    return interpreter.invoke


def _neutral(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a mean and a deviation of images, for networks whose answers nobody asks for."""
    return np.full(channels, 0.5), np.full(channels, 0.25)


def of_config(
    config: ml_collections.ConfigDict,
    space: Space,
    classes: int,
    image_shape: Sequence[int],
    known: LatencyTable | None = None,
    threads: int = 1,
) -> LatencyTable:
    """Return a table of all parts that networks of a config can have, measured where it is not known.

    Args:
      config: the whole config.
      space: its search space.
      classes: of the data.
      image_shape: height, width and channels of the images.
      known: what was measured before; None: nothing.
      threads: of the interpreter, where nothing was.

    Raises:
      UserError: an operation cannot be exported.
    """
    training = config.training
    space = spaces.with_stem(space, training.stem)
    parts = genotype_costs.parts_of(space, training.channels, training.cells, classes, image_shape)
    lacking = {part: layer for part, layer in parts.items() if known is None or part not in known.ms}
    if known is not None and not lacking:
        return known
    progress.tell(f"latency: measuring {len(lacking)} operations with TFLite on this machine")
    found = measure(lacking, threads if known is None else known.threads)
    if known is not None:
        return known.with_more(found)
    return scaled(found, space, training.channels, training.cells, classes, image_shape, config.seed)
