"""Parts of a set of labelled images: a share of every class, and the two halves of a search."""

from collections.abc import Sequence

import ml_collections
import numpy as np

from tf_darts.data.arrays import bad
from tf_darts.errors import listed
from tf_darts.runtime import seeds

HALVES = ("training half", "validation half")  # what their seeds are folded by
APART = "images of trainings alone"  # the same


def size_of(fraction: float, number: int) -> int:
    """Return how many images a fraction of a number of them is."""
    # The small term undoes the rounding of the product: 0.29 * 100 is 28.999999999999996.
    return int(fraction * number + 1e-9)


def sizes(config_data: ml_collections.ConfigDict, number: int) -> tuple[int, int]:
    """Return how many training images a search sees, and how many a training of a network.

    Args:
      config_data: `config.data`: training_only.
      number: of training images.

    Raises:
      UserError: one of them would see none.
    """
    share = config_data.training_only
    if not share:
        return number, number
    apart = size_of(share, number)
    if not 0 < apart < number:
        raise bad(
            "data.training_only", share, f"of {number} training images", "0, or a share that leaves both some"
        )
    return number - apart, apart


def places(
    labels: np.ndarray, config_data: ml_collections.ConfigDict, seed: int
) -> tuple[np.ndarray | slice, np.ndarray | slice]:
    """Return the places of the training images that a search sees, and of those that a training sees.

    Args:
      labels: integer [N].
      config_data: `config.data`: training_only and split.
      seed: the run's seed.

    Raises:
      UserError: as `sizes`.
    """
    searched, _ = sizes(config_data, len(labels))
    if searched == len(labels):
        return slice(None), slice(None)
    return split(labels, searched, config_data.split, seeds.fold(seed, APART))


def share_of(labels: np.ndarray, share: float, seed: int, class_names: Sequence[str]) -> np.ndarray:
    """Draw which training images `data.share` keeps: of every class its share, rounded.

    Args:
      labels: integer [N].
      share: of the images.
      seed: the run's seed.
      class_names: a name for each label.

    Returns:
      Their places, ascending: int [n].

    Raises:
      UserError: a class is left without an image.
    """
    draw = np.random.default_rng(seeds.fold(seed, "share"))
    kept = _of_each_class(labels, size_of(share, len(labels)), draw)
    if gone := set(labels.tolist()) - set(labels[kept].tolist()):
        fault = (
            f"of {len(labels)} training images none of class {listed([class_names[k] for k in sorted(gone)])}"
        )
        least = 1 / np.bincount(labels)[sorted(gone)].min()
        allowed = f"a share that leaves images of every class, as {min(1.0, 1.01 * least):.2g}"
        raise bad("data.share", share, f"{fault} is left", allowed)
    return kept


def split(labels: np.ndarray, first: int, how: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split images in two.

    Args:
      labels: integer [N].
      first: images of the first part.
      how: as `data.split`.
      seed: the run's seed.

    Returns:
      The places of each part's images, int, in the order in which the part has them.
    """
    number = len(labels)
    if how == "order":
        order = np.arange(number)
        return order[:first], order[first:]
    draw = np.random.default_rng(seeds.fold(seed, "halves"))
    if how == "seed":
        order = draw.permutation(number)
        return order[:first], order[first:]
    chosen = _of_each_class(labels, first, draw)
    return draw.permutation(chosen), draw.permutation(np.setdiff1d(np.arange(number), chosen))


def _of_each_class(labels: np.ndarray, count: int, draw: np.random.Generator) -> np.ndarray:
    """Draw `count` images, of every class its share: the places, ascending."""
    labels = np.asarray(labels)
    sizes = np.bincount(labels)
    exact = sizes * count / len(labels)
    wanted = np.floor(exact + 1e-9).astype(int)
    # What rounding left goes to the classes that lost most by it.
    wanted[np.argsort(wanted - exact, kind="stable")[: count - wanted.sum()]] += 1
    by_class = np.argsort(labels, kind="stable")
    ends = np.cumsum(sizes)
    parts = [
        draw.permutation(by_class[end - size : end])[:number]
        for end, size, number in zip(ends, sizes, wanted, strict=True)
    ]
    return np.sort(np.concatenate(parts))
