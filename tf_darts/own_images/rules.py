"""The rules by which `own_images.plan` picks scale, epochs and batches from the images; without TensorFlow.

docs/own_images.md says them in words, with the experiments behind them.
"""

import dataclasses
import math
from collections.abc import Collection
from typing import Any

import ml_collections

LARGEST_SIDE = 96  # pixels: from there on a pretrained network is the better start
POOLED_FROM = 24  # pixels of a side: smaller images would leave the last cells less than 3x3
SEARCH_STEPS = 1_250  # of the recipe for minutes, configs/recommended_small.py
TRAINING_STEPS = 4_000
BATCHES = (64, 32, 16, 8, 4, 2)
STEPS_AN_EPOCH = 8  # at least, while batches of `BATCHES` allow it
WARMUP = 2  # epochs, of longer trainings
CHANNELS = tuple(range(4, 129))  # of the trained network
SEARCH_EPOCHS, TRAINING_EPOCHS = (5, 100), (10, 300)  # fewest and most
FEW_PARAMETERS, MANY_PARAMETERS, MANY_IMAGES = 200_000, 1_000_000, 20_000


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the rules look at.

    Attributes:
      images: training images.
      height: pixels.
      width: pixels.
      classes: number of classes.
    """

    images: int
    height: int
    width: int
    classes: int


def side_of(sides: list[int]) -> int:
    """Return the side to which images of several sizes are resized: their median, at most `LARGEST_SIDE`.

    Args:
      sides: the shorter side of each image, pixels.
    """
    return min(sorted(sides)[len(sides) // 2], LARGEST_SIDE)


def budget(facts: Facts) -> dict[str, float]:
    """Return the budget where none is given: the more images, the more parameters they can fit."""
    few = facts.images < MANY_IMAGES
    return {"max_parameters": FEW_PARAMETERS if few else MANY_PARAMETERS}


def settings(facts: Facts, train_fraction: float) -> dict[str, Any]:
    """Return fields of the config by their whole names: what depends on the images alone.

    Args:
      facts: of the images.
      train_fraction: share of the training images that fits the weights in the search.
    """
    half = math.floor(facts.images * min(train_fraction, 1 - train_fraction))
    search_batch, training_batch = _batch(half), _batch(facts.images)
    stem = "pooled" if min(facts.height, facts.width) >= POOLED_FROM else "plain"
    padding = min(facts.height, facts.width) // 8
    return {
        "search.stem": stem,
        "training.stem": stem,
        "data.crop_padding": padding,
        "training.cutout_length": 4 * padding,
        "search.batch_size": search_batch,
        "training.batch_size": training_batch,
        "search.epochs": _epochs(SEARCH_STEPS, half, search_batch, SEARCH_EPOCHS),
        "training.epochs": _epochs(TRAINING_STEPS, facts.images, training_batch, TRAINING_EPOCHS),
    }


def length(epochs: int, given: Collection[str]) -> dict[str, int]:
    """Return the fields that say how long a network is trained.

    Args:
      epochs: how many epochs.
      given: names of fields that the user has set.
    """
    warmup = {} if "training.warmup_epochs" in given else {"training.warmup_epochs": min(WARMUP, epochs - 1)}
    return {"training.epochs": epochs, **warmup}


def _batch(images: int) -> int:
    """Return the largest batch that leaves an epoch enough steps."""
    return next((b for b in BATCHES if images // b >= STEPS_AN_EPOCH), BATCHES[-1])


def _epochs(steps: int, images: int, batch: int, bounds: tuple[int, int]) -> int:
    """Return the epochs of about so many steps, within bounds."""
    low, high = bounds
    return min(max(round(steps * batch / max(images, 1)), low), high)


def said(facts: Facts, config: ml_collections.ConfigDict) -> list[str]:
    """Say in sentences what was picked.

    Args:
      facts: of the images.
      config: the whole config, as the run has it.
    """
    search, training = config.search, config.training
    stem = {
        "plain": "the cells see every pixel",
        "pooled": "one convolution sees every pixel, and the cells work at half the resolution",
        "imagenet": "three convolutions halve the images before the cells",
    }[training.stem]
    limits = {text: config.selection[name] for name, text in _LIMITS.items()}
    network = ", ".join(text.format(limit) for text, limit in limits.items() if limit)
    size = f"{facts.height}x{facts.width}"
    if config.data.source == "folder":
        size += f" (made so by data.image_size and data.fit={config.data.fit})"
    return [
        f"Images of {size}: {stem}.",
        f"The network may have at most {network}." if network else "The network has no budget.",
        f"Search: {search.method}, {search.epochs} epochs in batches of {search.batch_size}.",
        f"Training: {training.epochs} epochs in batches of {training.batch_size}.",
    ]


def said_of_network(channels: int, epochs: int) -> str:
    """Say how wide the network is, and how long it is trained."""
    wide = f"The network has {channels} channels, as many as its budget allows"
    return f"{wide}, and is trained for {epochs} epochs."


_LIMITS = {
    "max_parameters": "{:,.0f} parameters",
    "max_multiply_adds": "{:,.0f} multiply-adds",
    "max_tflite_kilobytes": "{:,.0f} kB as a TFLite file",
    "max_latency_ms": "{:g} ms for an image",
}
