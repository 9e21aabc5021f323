"""Many small variables kept as few: all of one shape in one variable.

A supernet has some 1,400 kernels and 2,000 batch norms. As variables of their own, every one costs a
handful of nodes of the graph in each forward pass and in each update, which makes the graph three times as
large and takes as much longer to start.

Each is a row of its packed variable, whatever its shape: a TPU chooses by its shape how a variable lies in
memory, and the last two of [number, 5, 5, channels, 1] it fills up to 8 x 128. For many kernels of few
channels it would rather have their number last, a layout in which libtpu (0.0.21, 0.0.42.1) cannot compute
gradients of depthwise kernels: in float32 it ends with "Check failed: !conv_->output_batch_is_most_minor_".
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_darts.errors import UserError
from tf_darts.layers.row import Row


def _over_replicas(variable: keras.Variable) -> tuple[str, str]:
    """Return aggregation and synchronization; a statistic that says nothing of them is as a `BatchNorm`'s."""
    if not variable.trainable and variable.aggregation == "none":
        return "mean", "on_read"
    return variable.aggregation, variable.synchronization


class PackedVariables:
    """The float variables of a model, those of one shape and kind as the rows of one variable.

    Layers go on using their own variables, which hold `Row`s. A pass cuts all rows at once, and moves their
    running statistics at once: in `unpacked` each variable stands for its part (Keras: `StatelessScope`).

    Args:
      variables: what is packed, made in `variables_as_rows`; those that are not of floats are left to their
        layers.

    Attributes:
      variables: the packed variables, float [number, size].
      members: for each of them, the variables in it, in order.
      others: variables that are not of floats and stay with their layers (counters).

    Raises:
      UserError: one of floats was not made so, or is packed already.
    """

    def __init__(self, variables: list[keras.Variable]):
        groups: dict[tuple, list[keras.Variable]] = {}
        floats = keras.config.floatx()
        self.others = [v for v in variables if v.dtype != floats]
        for v in variables:
            if v.dtype != floats:
                continue
            if not isinstance(v.value, Row) or v.value.rows is not None:
                raise UserError(
                    f"variable {v.path} was there before its supernet; allowed: layers made anew for each"
                )
            # What is assigned to is kept apart by name, and by how replicas treat it.
            kind = "" if v.trainable else (v.name, *_over_replicas(v))
            groups.setdefault((v.trainable, kind, tuple(v.shape)), []).append(v)
        self.variables: list[keras.Variable] = []
        self.members: list[tuple[keras.Variable, list[keras.Variable]]] = []
        for (trainable, _, shape), group in groups.items():
            aggregation, synchronization = _over_replicas(group[0])
            name = "weights" if trainable else group[0].name
            packed = keras.Variable(
                np.stack([v.numpy().reshape(-1) for v in group]),
                dtype=floats,
                trainable=trainable,
                autocast=False,  # a part is cast as its layer asks
                aggregation=aggregation,
                synchronization=synchronization,
                name=f"{name}_{'x'.join(map(str, shape))}",
            )
            self.variables.append(packed)
            self.members.append((packed, group))
            for i, v in enumerate(group):
                v.value.place(packed.value, i)

    def unpacked(self, trained: Sequence[tf.Tensor] | None = None) -> keras.StatelessScope:
        """Return a scope in which the variables have their current values; it only notes what is assigned.

        Args:
          trained: values of the trainable packed variables, in their order; None: their own.
        """
        given = iter(trained or ())
        parts = [
            pair
            for packed, group in self.members
            for pair in zip(
                group,
                _parts(next(given) if trained is not None and packed.trainable else packed.value, group),
                strict=True,
            )
        ]
        self._started_with = {id(v): value for v, value in parts}
        return keras.StatelessScope(parts, initialize_variables=False)

    def keep(self, scope: keras.StatelessScope, statistics: bool = True) -> None:
        """Write what was assigned in the scope to the variables outside of it.

        Args:
          scope: what `unpacked` returned.
          statistics: whether packed variables are written (running statistics); others always are.
        """
        for variable in self.others:
            if (value := scope.get_current_value(variable)) is not None:
                variable.assign(value)
        if not statistics:
            return
        for packed, group in self.members:
            now = [scope.get_current_value(v) for v in group]
            if any(value is not self._started_with[id(v)] for v, value in zip(group, now, strict=True)):
                packed.assign(tf.reshape(tf.stack(now), packed.shape))

    def parts(self, values: list[tf.Tensor]) -> list[tuple[keras.Variable, tf.Tensor]]:
        """Return each trainable variable with its part of `values` (gradients, say) of the packed ones."""
        trained = [group for packed, group in self.members if packed.trainable]
        return [
            pair
            for group, value in zip(trained, values, strict=True)
            for pair in zip(group, _parts(value, group), strict=True)
        ]


def _parts(rows: tf.Tensor, group: list[keras.Variable]) -> list[tf.Tensor]:
    """Return the rows [number, size], each in the shape of its variable."""
    return tf.unstack(tf.reshape(rows, [len(group), *group[0].shape]))
