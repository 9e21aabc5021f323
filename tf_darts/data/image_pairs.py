"""Images with labels as a caller of the library holds them: a pair, or something that yields pairs."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tf_darts.errors import UserError, first_line, show

Given: TypeAlias = tuple[Any, Any] | list[Any] | Mapping[str, Any] | tf.data.Dataset | keras.utils.PyDataset
"""Images and labels: two arrays, a dictionary of them, or a dataset of such pairs, batched or not."""

KINDS = "(images, labels), or a tf.data.Dataset, a PyDataset or a dictionary of them"
IMAGE_KEYS, LABEL_KEYS = ("image", "images", "x"), ("label", "labels", "y")
# Where a dataset does not say how many elements it has, so many images are read at most.
MOST_IMAGES = 500_000
# From so many elements on, one whose elements come again in the same order, three times over, has no end.
CYCLE = 1000
MEMORY_SHARE = 0.5  # of the machine's, that images may take


class Pairs(NamedTuple):
    """Images and labels as they were given, and names of the classes, where a dataset has some."""

    images: Any
    labels: Any
    class_names: tuple[str, ...] = ()


def parts_of(data: Any, test: Any) -> tuple[Any, Any]:
    """Return training and test images: both may stand in `data`, as ((x, y), (x_test, y_test)).

    Raises:
      UserError: there are test images in both.
    """
    if not (isinstance(data, tuple | list) and len(data) == 2 and all(map(_is_part, data))):
        return data, test
    if test is not None:
        raise UserError("test is given, and data has a test part; allowed: one of them")
    return data[0], data[1]


def _is_part(value: Any) -> bool:
    if isinstance(value, tf.data.Dataset | keras.utils.PyDataset):
        return True
    if isinstance(value, Mapping):
        return _key(value, IMAGE_KEYS) is not None
    if not isinstance(value, tuple | list) or len(value) != 2:
        return False
    images, labels = value
    try:  # a list of two images has an image for `labels`: three axes, or two
        return len(np.shape(images[0])) >= 2 and len(np.shape(labels)) <= 2 and len(images) == len(labels)
    except Exception:
        return hasattr(images, "__len__") and hasattr(labels, "__len__") and not isinstance(images, str)


def read(given: Any, what: str) -> Pairs:
    """Read images and labels.

    Args:
      given: as `Given`.
      what: its name in messages.

    Raises:
      UserError: it is something else, or a dataset of something else, without an end, or one that fails.
    """
    if isinstance(given, tf.data.Dataset):
        return _of_dataset(given, what)
    if isinstance(given, keras.utils.PyDataset):
        return _of_py_dataset(given, what)
    if isinstance(given, Mapping):
        return Pairs(*_pair(given, what))
    if isinstance(given, tuple | list):
        if len(given) != 2:
            raise UserError(f"{what} is a {type(given).__name__} of {len(given)}; allowed: {KINDS}")
        return Pairs(*given)
    raise UserError(f"{what} is a {type(given).__name__}; allowed: {KINDS}")


def _key(element: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    return next((key for key in keys if key in element), None)


def _pair(element: Any, what: str) -> tuple[Any, Any]:
    """Return images and labels of an element, or of what says how elements are made."""
    if isinstance(element, Mapping):
        image, label = _key(element, IMAGE_KEYS), _key(element, LABEL_KEYS)
        if image is not None and label is not None:
            return element[image], element[label]
        fault = f"has the keys {show(sorted(map(str, element)))}"
        raise UserError(f"{what} {fault}; allowed: the keys 'image' and 'label'")
    if isinstance(element, tuple | list) and len(element) == 2:
        return element[0], element[1]
    if isinstance(element, tuple | list) and len(element) == 3:
        raise UserError(f"{what} has three parts, as with sample weights; allowed: (images, labels)")
    raise UserError(f"{what} is {show(element, 200)}; allowed: (images, labels)")


def _of_dataset(dataset: tf.data.Dataset, what: str) -> Pairs:
    """Read all elements of a dataset."""
    known = int(dataset.cardinality())
    if known == tf.data.INFINITE_CARDINALITY:
        raise UserError(f"{what}: the dataset has no end; allowed: one pass over the images (without repeat)")
    spec = dataset.element_spec
    if not isinstance(spec, Mapping | tuple | list):
        raise UserError(f"{what}: the dataset's elements are {show(spec, 200)}; allowed: (images, labels)")
    _pair(spec, f"{what}: an element of the dataset")
    bound = None if known != tf.data.UNKNOWN_CARDINALITY else MOST_IMAGES
    elements = ((_numpy(image), _numpy(label)) for image, label in map(_pair_of, dataset))
    names = tuple(map(str, getattr(dataset, "class_names", None) or ()))
    return Pairs(*_collected(elements, what, bound), names)


def _pair_of(element: Any) -> tuple[Any, Any]:
    return _pair(element, "an element")


def _of_py_dataset(dataset: keras.utils.PyDataset, what: str) -> Pairs:
    """Read all batches of a PyDataset."""

    def elements() -> Iterator[tuple[Any, Any]]:
        for k in range(number):
            image, label = _pair(dataset[k], f"{what}: a batch of the dataset")
            yield np.asarray(image), np.asarray(label)

    try:
        number = len(dataset)
    except Exception as error:  # whatever the caller's code raises
        raise UserError(
            f"{what}: the dataset has no length ({first_line(error)}); allowed: one with an end"
        ) from error
    return Pairs(*_collected(elements(), what, None))


def _numpy(value: Any) -> Any:
    """Return a tensor as an array, or as a list of arrays where it is ragged."""
    if isinstance(value, tf.RaggedTensor):
        return [row.to_tensor().numpy() if isinstance(row, tf.RaggedTensor) else row.numpy() for row in value]
    if isinstance(value, tf.SparseTensor):
        return tf.sparse.to_dense(value).numpy()
    return value.numpy()


def _collected(elements: Iterator[tuple[Any, Any]], what: str, bound: int | None) -> tuple[Any, Any]:
    """Read pairs, each of an image and a label or of as many of both.

    Args:
      elements: the pairs.
      what: for messages.
      bound: images that are read at most; None: the dataset says how many there are.
    """
    images: list[Any] = []
    labels: list[Any] = []
    memory = MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cycle = _Cycle() if bound is not None else None
    size = count = 0
    while True:
        try:
            pair = next(elements, None)
        except UserError:
            raise
        except Exception as error:  # whatever the pipeline or the caller's code raises
            reason = f"{type(error).__name__}: {first_line(error)}"
            fault = f"the dataset failed after {len(images)} elements: {reason}"
            raise UserError(f"{what}: {fault}; allowed: one that can be read") from error
        if pair is None:
            break
        image, label = pair
        images.append(image)
        labels.append(label)
        size += sum(row.nbytes for row in image) if isinstance(image, list) else image.nbytes
        count += len(image) if np.ndim(label) else 1
        if cycle is not None and cycle.closed(image, label):
            fault = f"the dataset seems to have no end: after {cycle.length} elements they come again"
            raise UserError(f"{what}: {fault}; allowed: one pass over the images (without repeat)")
        if bound is not None and count > bound:
            fault = f"the dataset does not say how large it is, and has more than {bound} images"
            cure = "tf.data.experimental.assert_cardinality, where it has an end"
            raise UserError(f"{what}: {fault}; allowed: one that says so ({cure})")
        if size > memory:
            fault = f"the first {count} images take {size / 2**30:.1f} GiB, half of this machine's memory"
            raise UserError(f"{what}: {fault}; allowed: fewer or smaller ones, or a folder and data.stream")
    if not images:
        raise UserError(f"{what}: the dataset is empty; allowed: at least one image")
    if not _are_batches(images, labels):
        return images, np.stack(labels) if len({np.shape(label) for label in labels}) == 1 else labels
    if any(len(image) != len(label) for image, label in zip(images, labels, strict=True)):
        fault = f"{what}: a batch has other numbers of images and labels"
        raise UserError(f"{fault}; allowed: one label for each")
    return _joined(images), _joined(labels)


def _joined(batches: list[Any]) -> Any:
    """Return batches as one array, or as a list of their rows where these differ."""
    if (
        all(isinstance(b, np.ndarray) for b in batches)
        and len({(b.shape[1:], b.dtype) for b in batches}) == 1
    ):
        return np.concatenate(batches)
    return [row for batch in batches for row in batch]


def _are_batches(images: list[Any], labels: list[Any]) -> bool:
    """Return whether elements are batches, and not one image and its label each."""
    if any(isinstance(image, list) for image in images):
        return True
    ranks, label_ranks = {image.ndim for image in images}, {np.ndim(label) for label in labels}
    if label_ranks == {0}:
        return False
    if max(ranks) >= 4 or max(label_ranks) >= 2:
        return True
    if ranks == {2}:
        return False
    # Rank 3 and labels of rank 1: an image [H, W, C] with a one-hot label or one of shape [1], or a batch of
    # grey images [B, H, W] with B labels.
    if all(len(label) == 1 for label in labels):
        return all(len(image) == 1 for image in images)
    one_hot = len({len(label) for label in labels}) == 1 and all(
        (label == label.astype(bool)).all() and label.sum() == 1 for label in labels
    )
    fits = all(len(image) == len(label) for image, label in zip(images, labels, strict=True))
    return fits and not one_hot


class _Cycle:
    """Notices where elements come again in the same order.

    Attributes:
      length: elements of the cycle that is looked at; 0: none.
    """

    def __init__(self) -> None:
        self.length = 0
        self._seen: list[bytes] = []

    def closed(self, image: Any, label: Any) -> bool:
        """Take an element; return whether enough of them have repeated what came before."""
        content = hashlib.blake2b(np.asarray(label).tobytes(), digest_size=16)
        for row in image if isinstance(image, list) else [image]:
            content.update(np.ascontiguousarray(row).tobytes())
        self._seen.append(content.digest())
        last, seen = self._seen[-1], self._seen
        if self.length and last != seen[-1 - self.length]:
            self.length = 0
        if not self.length and len(seen) > 1 and last == seen[0]:
            self.length = len(seen) - 1
        return bool(self.length) and len(seen) >= max(CYCLE, 3 * self.length + 1)
