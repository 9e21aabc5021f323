"""A step as a function of its variables' values, as the bridge wants it where no device holds them.

While such a function is traced, tensors stand in for variables: reading one returns its current value,
assigning to one replaces that. A value that is read before it is assigned to becomes an argument.
"""

from collections.abc import Callable

import tensorflow as tf
from tensorflow.core.function.capture import capture_container
from tensorflow.python.eager import record
from tensorflow.python.ops.resource_variable_ops import ResourceVariable

_PATCHED = ("_read_variable_op", "assign", "assign_add", "assign_sub", "sparse_read")


class StandIns:
    """A context in which variables are tensors; for one function that is being traced.

    Attributes:
      assigned: values of the variables that were assigned to, in the order of their first assignment.
    """

    def __init__(self):
        self._values: dict[int, tf.Tensor] = {}
        self._handles: dict[int, ResourceVariable] = {}
        self.assigned: dict[int, tf.Tensor] = {}

    def read(self, variable: ResourceVariable) -> tf.Tensor:
        """Return the variable's current value."""
        if id(variable) not in self._values:
            with tf.init_scope():
                self._values[id(variable)] = self._before["_read_variable_op"](variable)
        value = tf.identity(self._values[id(variable)])
        # Gradients with respect to the variable are asked for by its handle.
        record.record_operation("ReadVariableOp", [value], [variable.handle], lambda dy: [dy])
        return value

    def put(self, variable: ResourceVariable, value) -> tf.Tensor:
        """Set the variable."""
        self._values[id(variable)] = self.assigned[id(variable)] = tf.cast(value, variable.dtype)
        return self._values[id(variable)]

    def _momentum(self, var, accum, lr, grad, momentum, **_) -> None:
        """Do what ResourceApplyMomentum does."""
        variable, velocity = self._handles[id(var)], self._handles[id(accum)]
        moved = self.put(velocity, momentum * self.read(velocity) + grad)
        self.put(variable, self.read(variable) - lr * moved)

    def __enter__(self) -> "StandIns":
        self._before = {name: getattr(ResourceVariable, name) for name in _PATCHED}
        self._own = {name: vars(ResourceVariable).get(name) for name in _PATCHED}
        self._raw, self._handle = tf.raw_ops.ResourceApplyMomentum, ResourceVariable.handle

        def handle(variable: ResourceVariable):
            found = self._handle.fget(variable)
            self._handles[id(found)] = variable
            return found

        ResourceVariable._read_variable_op = lambda v, no_copy=False: self.read(v)
        ResourceVariable.assign = lambda v, value, *_, **__: self.put(v, value)
        ResourceVariable.assign_add = lambda v, d, *_, **__: self.put(v, self.read(v) + tf.cast(d, v.dtype))
        ResourceVariable.assign_sub = lambda v, d, *_, **__: self.put(v, self.read(v) - tf.cast(d, v.dtype))
        ResourceVariable.sparse_read = lambda v, indices, name=None: tf.gather(self.read(v), indices)
        ResourceVariable.handle = property(handle)
        tf.raw_ops.ResourceApplyMomentum = self._momentum
        # Small values would become constants of the program instead of arguments.
        self._threshold, capture_container._EAGER_CONST_THRESHOLD = (
            capture_container._EAGER_CONST_THRESHOLD,
            -1,
        )
        return self

    def __exit__(self, *_) -> None:
        for name, method in self._own.items():
            if method is None:
                delattr(ResourceVariable, name)
            else:
                setattr(ResourceVariable, name, method)
        del ResourceVariable.handle
        tf.raw_ops.ResourceApplyMomentum = self._raw
        capture_container._EAGER_CONST_THRESHOLD = self._threshold


def functional(function: Callable) -> Callable:
    """Return a function of the same arguments that returns its result and the values that it assigned."""

    def pure(*arguments):
        with StandIns() as standing_in:
            result = function(*arguments)
        return result, list(standing_in.assigned.values())

    return pure
