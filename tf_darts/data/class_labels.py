"""Labels as people hold them, as integers from 0 on, and the names of their classes."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_darts.errors import UserError, listed, show

MOST_CLASSES = 65536  # beyond it the labels are surely something else, and the classifier would not fit
ALLOWED = "integer labels"


class Labels(NamedTuple):
    """Labels, int64 or text [N], and the number of columns where they were one-hot, else 0."""

    values: np.ndarray
    columns: int


class Names(NamedTuple):
    """Names of classes, in their order, and the label of each; None: labels are the places in that order."""

    names: tuple[str, ...]
    labels: tuple[Any, ...] | None


def labels_of(name: str, labels: Any) -> Labels:
    """Check labels and return them as int64, or as text where they are names.

    Args:
      name: what they are called in messages.
      labels: [N] or [N, 1], integers, whole floats, bool or text; or one-hot, [N, classes].

    Raises:
      UserError: another shape or type, or values that are surely something else.
    """
    try:
        array = np.asarray(labels)
        if array.dtype == object:
            array = np.array(array.tolist())
    except Exception as error:  # rows of several lengths, or whatever an object does
        raise UserError(f"{name} are no array ({type(error).__name__}); allowed: {ALLOWED} [N]") from error
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and array.dtype.kind in "biuf" and len(array):
        return _of_one_hot(name, array)
    if array.ndim != 1:
        raise UserError(f"{name} has the shape {array.shape}; allowed: [N], [N, 1], or one-hot [N, classes]")
    kind = array.dtype.kind
    if kind in "US":
        return Labels(np.array([_text(name, label) for label in array.tolist()], dtype=str), 0)
    whole = kind != "f" or (np.isfinite(array) & (array == np.rint(array))).all()
    if kind not in "biuf" or not whole:
        fault = f"{name} has the type {array.dtype}"
        raise UserError(f"{fault}; allowed: {ALLOWED}, whole floats or names")
    if array.size and not (array.min() >= 0 and array.max() < 2**53):
        fault = f"{name} has labels from {array.min()} to {array.max()}"
        raise UserError(f"{fault}; allowed: labels from 0 on; leave out images without a label")
    return Labels(array.astype(np.int64), 0)


def _of_one_hot(name: str, array: np.ndarray) -> Labels:
    one = ((array == 0) | (array == 1)).all() and (array.sum(1, dtype=np.float64) == 1).all()
    if not one:
        fault = f"{name} has the shape {array.shape}"
        raise UserError(f"{fault}; allowed: [N], [N, 1], or one-hot [N, classes] with one 1 in each row")
    return Labels(array.argmax(1).astype(np.int64), array.shape[1])


def are_given(class_names: Any) -> bool:
    """Return whether there are names, of use or not."""
    return class_names is not None and not (hasattr(class_names, "__len__") and len(class_names) == 0)


def names_of(class_names: Any, unique: bool = False) -> Names | None:
    """Check names of classes: a sequence, or a mapping from labels to names or from names to labels.

    Args:
      class_names: names of text or bytes.
      unique: whether no two may be the same.

    Returns:
      None where there are none.

    Raises:
      UserError: they are something else.
    """
    if isinstance(class_names, Mapping):
        found = _of_mapping(class_names)
    elif isinstance(class_names, str | bytes) or not isinstance(class_names, Sequence | np.ndarray):
        raise UserError(f"class_names is {show(class_names)}; allowed: a list of names, or {{label: name}}")
    else:
        found = Names(
            tuple(_text("class_names", name) for name in np.asarray(class_names, object).ravel()), None
        )
    if unique and len(found.names) != len(set(found.names)):
        twice = sorted({name for name in found.names if found.names.count(name) > 1})
        raise UserError(f"class_names has {listed(twice)} more than once; allowed: a different name for each")
    return found if found.names else None


def _of_mapping(class_names: Mapping[Any, Any]) -> Names:
    keys, values = list(class_names), list(class_names.values())
    if not _are_integers(keys) and _are_integers(values):  # as Keras's class_indices
        keys, values = values, keys
    if not _are_integers(keys) or len(set(map(int, keys))) != len(keys):
        allowed = "{label: name} or {name: label} with labels of integers"
        raise UserError(f"class_names is {show(class_names)}; allowed: {allowed}")
    pairs = sorted((int(key), _text("class_names", value)) for key, value in zip(keys, values, strict=True))
    return Names(tuple(name for _, name in pairs), tuple(label for label, _ in pairs))


def _are_integers(values: list[Any]) -> bool:
    return all(isinstance(v, int | np.integer) and not isinstance(v, bool) for v in values)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if not isinstance(value, str | int | np.generic):
        raise UserError(f"{name} has {show(value)}; allowed: names")
    return str(value)


def classes_of(
    train: Labels, test: Labels | None, names: Names | None
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...] | None]:
    """Return labels as numbers of classes from 0, in the order of the labels or of the names.

    Args:
      train: labels of the training images.
      test: labels of the test images; None: none are given.
      names: of the classes.

    Returns:
      Both labels, int64 (none of no test images), and names: None where the labels are numbered without gaps
      and have no names.

    Raises:
      UserError: a label has no name, or there are both text and integers.
    """
    parts = [train] if test is None else [train, test]
    kinds = {part.values.dtype.kind for part in parts if part.values.size}
    if len(kinds) > 1:
        raise UserError("labels are names in one part and numbers in the other; allowed: the same in both")
    distinct = np.unique(np.concatenate([part.values for part in parts]))
    columns = max(part.columns for part in parts)
    order = _order(distinct, columns, names)
    if order is None:
        made = [part.values for part in parts]
        text = names.names if names else None
        if text is None and columns and columns > len(distinct):
            text = tuple(map(str, range(columns)))
    else:
        where = {label: number for number, label in enumerate(order)}
        if missing := [str(label) for label in distinct.tolist() if label not in where]:
            raise UserError(
                f"labels: {listed(missing)} is not among class_names; allowed: a name for each label"
            )
        made = [np.array([where[label] for label in part.values.tolist()], np.int64) for part in parts]
        text = names.names if names else tuple(map(str, order))
        if distinct.dtype.kind != "U":
            print(
                f"data: labels {listed(order, 5)} are classes 0 to {len(order) - 1}",
                file=sys.stderr,
            )
    return made[0], made[1] if test is not None else np.zeros(0, np.int64), text


def _order(distinct: np.ndarray, columns: int, names: Names | None) -> Sequence[Any] | None:
    """Return the labels of the classes in the order of these; None: they are numbered from 0 already."""
    if len(distinct) > MOST_CLASSES:
        raise UserError(f"labels: {len(distinct)} different ones; allowed: at most {MOST_CLASSES} classes")
    if distinct.dtype.kind == "U":
        if names is None:
            return distinct.tolist()
        return names.names
    if names is None:
        gaps = len(distinct) and distinct[-1] != len(distinct) - 1
        return distinct.tolist() if gaps and not columns else None
    if names.labels is not None:
        return None if names.labels == tuple(range(len(names.labels))) else names.labels
    inside = not len(distinct) or distinct[-1] < len(names.names)
    return None if inside or len(distinct) != len(names.names) else distinct.tolist()
