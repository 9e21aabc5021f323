"""A look at a data set before any work: what is in it, and what in it will cost accuracy or mislead.

Only what is certain is found: pixels are compared for equality, and labels are counted. 50,000 images take
seconds.
"""

import collections
import dataclasses
import hashlib
import math
from collections.abc import Iterator, Sequence

import numpy as np

from tf_darts.data.image_data import ImageData
from tf_darts.data.image_stream import StreamedData

FEW = 50  # training images of a class, below which a network learns them rather than the class
UNBALANCED = 5.0  # times as many images in the largest class as in the smallest
POINTS = 3.0  # of accuracy: 1.96 standard errors of 80 %, beyond which a test set is small
FLAT = 4  # grey levels between the darkest and the brightest pixel of a channel, in an image without content
SURE = 0.95  # probability of another class at which a label is doubted
_NAMED = 3  # examples that a sentence names
_BLOCK = 1000  # images that are looked at together

_Place = tuple[str, int]  # "training" or "test", and the number of an image in it


@dataclasses.dataclass(frozen=True)
class Remark:
    """Something about a data set that its owner should know.

    Attributes:
      kind: what it is, one of "few", "unbalanced", "small_test", "flat", "copies", "leak", "contradiction".
      count: how many classes or images it is about.
      text: one sentence that says what was found, and what to do.
    """

    kind: str
    count: int
    text: str


@dataclasses.dataclass(frozen=True)
class Look:
    """What a look at a data set found.

    Attributes:
      train: number of training images.
      test: number of test images.
      image_shape: height, width and channels of an image.
      class_names: a name for each label.
      of_class: number of training images of each class; empty where that is not known before they are read.
      remarks: what its owner should know.
    """

    train: int
    test: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    of_class: tuple[int, ...]
    remarks: tuple[Remark, ...]

    @property
    def summary(self) -> str:
        """One sentence: number, size and classes."""
        size = "x".join(map(str, self.image_shape))
        whole = f"{self.train:,} training and {self.test:,} test images of {size} in"
        whole += f" {len(self.class_names):,} classes"
        if not self.of_class:
            return f"{whole}."
        least, most = min(self.of_class), max(self.of_class)
        if least == most:
            return f"{whole}, {most:,} training images each."
        names = [self.class_names[self.of_class.index(count)] for count in (least, most)]
        return f"{whole}, from {least:,} training images ({names[0]}) to {most:,} ({names[1]})."

    def sentences(self) -> list[str]:
        """Return the summary, and a sentence for each remark."""
        return [self.summary, *(remark.text for remark in self.remarks)]


def look(data: ImageData | StreamedData) -> Look:
    """Look at a data set; at the pixels only where they are in memory.

    Args:
      data: the data set.
    """
    train, test = data.record.train, data.record.test
    found = list(_of_counts(train.of_class, data.class_names, test.images))
    if isinstance(data, ImageData):
        found += _of_pixels(data)
    return Look(train.images, test.images, data.image_shape, data.class_names, train.of_class, tuple(found))


def contradicted(data: ImageData, probabilities: np.ndarray, sure: float = SURE) -> Remark | None:
    """Find training images whose label a trained network contradicts though it has learnt from it.

    Args:
      data: what it was trained on.
      probabilities: its answers to the training images, float [N, classes].
      sure: the least probability of another class.

    Returns:
      The images as a remark of kind "contradiction", the surest first; None: there are none.
    """
    predicted, highest = probabilities.argmax(-1), probabilities.max(-1)
    places = np.flatnonzero((predicted != data.y_train) & (highest >= sure))
    if not len(places):
        return None
    places = places[np.argsort(-highest[places], kind="stable")]
    named = [
        f"{_name(data, ('training', i))} ({_class(data, ('training', i))}, or"
        f" {data.class_names[predicted[i]]}?)"
        for i in places.tolist()
    ]
    text = (
        "Training images whose label the network contradicts, with a probability of at least"
        f" {sure:g}: {_as(named, len(places))}; look at them and correct what is wrong."
    )
    return Remark("contradiction", len(places), text)


def _of_counts(of_class: Sequence[int], names: Sequence[str], test: int) -> Iterator[Remark]:
    """Yield what the numbers of images say."""
    if few := [f"{name} ({count})" for name, count in zip(names, of_class, strict=False) if 0 < count < FEW]:
        text = (
            f"Classes of fewer than {FEW} training images: {_as(few, len(few))}; collect more, put classes"
            " together, or start from a network that was trained on other images."
        )
        yield Remark("few", len(few), text)
    there = [count for count in of_class if count]
    if there and max(there) >= UNBALANCED * min(there):
        large, small = names[of_class.index(max(there))], names[of_class.index(min(there))]
        text = (
            f"{large} has {max(there) / min(there):.0f} times as many training images as {small}: accuracy"
            " hides what happens to small classes, so look at the confusion matrix, and collect more of them."
        )
        yield Remark("unbalanced", 1, text)
    half = 196 * math.sqrt(0.8 * 0.2 / test)
    if half > POINTS:
        wanted = math.ceil(0.8 * 0.2 * (196 / POINTS) ** 2)
        text = (
            f"With {test:,} test images an accuracy of 80 % is known to within {half:.1f} points: do not"
            f" trust smaller differences. {wanted:,} test images would give it to within {POINTS:g}."
        )
        yield Remark("small_test", test, text)


def _of_pixels(data: ImageData) -> Iterator[Remark]:
    """Yield what the pixels say."""
    parts = {"training": data.x_train, "test": data.x_test}
    flat = {(part, int(i)) for part, images in parts.items() for i in np.flatnonzero(_flat(images))}
    if flat:
        flat_names = [_name(data, place) for place in sorted(flat)]
        text = f"Images of one colour: {_as(flat_names, len(flat))}; remove those that show nothing."
        yield Remark("flat", len(flat), text)
    same: dict[bytes, list[_Place]] = collections.defaultdict(list)
    for part, images in parts.items():
        for i, image in enumerate(images):
            if (part, i) not in flat:
                same[hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()].append(
                    (part, i)
                )
    groups = [group for group in same.values() if len(group) > 1]
    odd = [group for group in groups if len({_class(data, place) for place in group}) > 1]
    if odd:
        named = [
            " and ".join(f"{_name(data, place)} ({_class(data, place)})" for place in _differing(data, group))
            for group in odd
        ]
        text = f"Images under more than one label: {_as(named, len(odd))}; keep the right ones."
        yield Remark("contradiction", len(odd), text)
    leaked = [group for group in groups if len({part for part, _ in group}) > 1]
    if leaked:
        count = sum(part == "test" for group in leaked for part, _ in group)
        named = [_name(data, next(place for place in group if place[0] == "test")) for group in leaked]
        text = (
            f"Test images that are training images too: {_as(named, count)}; remove them from one of the"
            " two parts, or the test accuracy will be too high."
        )
        yield Remark("leak", count, text)
    copied = [places for group in groups if len(places := [p for p in group if p[0] == "training"]) > 1]
    if copied:
        count = sum(len(places) - 1 for places in copied)
        named = [_name(data, places[1]) for places in copied]
        text = (
            f"Copies among the training images: {_as(named, count)}; remove them, since the two halves of a"
            " search should have no image in common."
        )
        yield Remark("copies", count, text)


def _flat(images: np.ndarray) -> np.ndarray:
    """Return which images uint8 [N, H, W, C] have next to no content in any channel: bool [N]."""
    found = [np.zeros(0, bool)]
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        low, high = block.min(1), block.max(1)  # rows first: whole rows are compared at once
        spread = high.max(1).astype(np.int16) - low.min(1)
        found.append((spread < FLAT).all(-1))
    return np.concatenate(found)


def _differing(data: ImageData, group: Sequence[_Place]) -> list[_Place]:
    """Return one place of a group for each label."""
    return list({_class(data, place): place for place in reversed(group)}.values())[::-1]


def _name(data: ImageData, place: _Place) -> str:
    """Return what its owner knows an image by: its file, or its number."""
    part, i = place
    files = data.files[("training", "test").index(part)] if data.files else ()
    return files[i] if files else f"{part} image {i}"


def _class(data: ImageData, place: _Place) -> str:
    part, i = place
    return data.class_names[(data.y_train if part == "training" else data.y_test)[i]]


def _as(examples: Sequence[str], count: int) -> str:
    """Return how many there are, and some of them."""
    return f"{count:,}, as {', '.join(examples[:_NAMED])}"
