"""A variable that is a row of another one, and how Keras comes to make such."""

import contextlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Row(tf.Variable):
    """What a Keras variable holds in place of a variable of TensorFlow's own: a row of a packed one.

    Until it is placed it has the value that it was made with, and TensorFlow knows nothing of it.

    Attributes:
      rows: the variable that it is a row of, float [number, size]; None: it is not placed.
      index: which row.

    Args:
      value: the initial value, of any shape.
      name: its name.
    """

    def __init__(self, value: np.ndarray, name: str):
        self._first, self._name = value, name
        self._shape, self._dtype = tf.TensorShape(value.shape), tf.as_dtype(value.dtype)
        self.rows: tf.Variable | None = None
        self.index = -1

    def place(self, rows: tf.Variable, index: int) -> None:
        """Make it a row of a variable that has its value there."""
        self.rows, self.index = rows, index
        del self._first

    @property
    def name(self) -> str:
        return self._name

    @property
    def shape(self) -> tf.TensorShape:
        return self._shape

    @property
    def dtype(self) -> tf.DType:
        return self._dtype

    def value(self) -> tf.Tensor:
        if self.rows is None:
            return tf.constant(self._first)
        return tf.reshape(tf.convert_to_tensor(self.rows)[self.index], self._shape)

    read_value = value

    def numpy(self) -> np.ndarray:
        return self._first if self.rows is None else self.value().numpy()

    def assign(self, value: Any, **_: Any) -> "Row":
        if self.rows is None:
            self._first = np.asarray(value)
        else:
            row = tf.reshape(value, [1, -1])
            self.rows.assign(tf.tensor_scatter_nd_update(self.rows, [[self.index]], row))
        return self

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.value(), dtype, name=name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype, copy=copy)

    def __repr__(self) -> str:
        return f"<Row {self.index} {self._name!r} shape={self._shape} dtype={self._dtype.name}>"


def variables_as_rows() -> contextlib.AbstractContextManager[None]:
    """Let the float variables that Keras makes in this block hold rows; those are still to be placed."""

    def make(following: Callable[..., tf.Variable], **given: Any) -> tf.Variable:
        # Keras always says whether a variable is trained. One that a layer makes without Keras stays its own:
        # no model knows of it.
        if given["dtype"] != keras.config.floatx() or given["trainable"] is None:
            return following(**given)
        value = given["initial_value"]
        return Row(np.asarray(value() if callable(value) else value), given["name"])

    return tf.variable_creator_scope(make)


def set_values(values: list[tuple[keras.Variable, np.ndarray]]) -> None:
    """Set variables; those that are rows of one variable, together."""
    new: dict[int, tuple[tf.Variable, np.ndarray]] = {}
    for variable, value in values:
        row = variable.value
        if isinstance(row, Row) and row.rows is not None:
            if id(row.rows) not in new:
                new[id(row.rows)] = row.rows, row.rows.numpy().copy()
            new[id(row.rows)][1][row.index].reshape(row.shape)[...] = value  # a view of the row
        else:
            variable.assign(value)
    for rows, arrays in new.values():
        rows.assign(arrays)
