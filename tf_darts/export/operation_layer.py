"""A user's own operation as a layer of an exported Keras model.

A Keras file that holds one is read where tf_darts is: `import tf_darts.export.operation_layer` first. The
file only says where the operation is: it is loaded from there where `tf_darts.extend.trust` has named that,
and not needed where an operation is registered under its name.
"""

from typing import Any

import keras
import tensorflow as tf

from tf_darts import trust
from tf_darts.layers import operations
from tf_darts.layers.operation import Operation
from tf_darts.registry import OPERATIONS


@keras.saving.register_keras_serializable("tf_darts")
class OperationLayer(keras.layers.Layer):
    """An operation that is not built in, as it computes outside of training.

    Args:
      operation: its name.
      reference: where it is, "FILE.py:attribute" or "module:attribute"; None: it has to be registered
        under its name before the file is read.
      channels: channels in and out.
      stride: 1 or 2.
    """

    def __init__(self, operation: str, reference: str | None, channels: int, stride: int, **kwargs):
        super().__init__(**kwargs)
        if reference is not None and operation not in OPERATIONS:
            trust.demand(reference, f"layer {self.name!r}: operation {operation!r}")
            OPERATIONS.register(operation, reference)
        self.reference = reference
        self._made_from = {
            "operation": operation,
            "reference": reference,
            "channels": channels,
            "stride": stride,
        }
        self.operation = operations.make(operation, channels, stride, affine=True, seed=0)
        self.built = True

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "OperationLayer":
        """Make a layer of what a file says; Keras's own would make many lines of a `UserError`.

        Raises:
          UserError: the file names code that the user did not.
        """
        return cls(**config)

    @classmethod
    def of(cls, operation: Operation, name: str) -> "OperationLayer":
        """Make a layer with the weights of an operation."""
        reference = OPERATIONS[operation.name]
        made = cls(
            operation.name,
            reference if isinstance(reference, str) else None,
            operation.channels,
            operation.stride,
            name=name,
        )
        for ours, theirs in zip(made.operation.variables, operation.variables, strict=True):
            ours.assign(theirs.value)
        return made

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return self.operation(x, training=False)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        stride = self.operation.stride
        return (shape[0], *(None if side is None else side // stride for side in shape[1:3]), shape[3])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | self._made_from


@keras.saving.register_keras_serializable("tf_darts")
class OwnOperation(OperationLayer):
    """The layer under the name that it has in Keras files of version 1.0.

    A file says of which class a layer is, and keeps its weights under that class's name: reading an old file
    takes a class that is called as it was then.
    """
