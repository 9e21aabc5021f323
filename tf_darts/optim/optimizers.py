"""SGD and Adam as PyTorch defines them, which the published results were obtained with.

They differ from Keras's in what changes results: L2 is added to the gradient (coupled), after clipping;
the momentum buffer does not contain the learning rate; Adam's epsilon is added after bias correction.
Keras's `apply` also clips per replica and sums afterwards; here gradients are first summed over replicas.
"""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def sum_over_replicas(gradients: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return the gradients of the global batch, on every replica. Call it in replica context."""
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return gradients
    return context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)


def _update(variables: Sequence[tf.Variable], function: Callable[..., Any], *arguments: Sequence) -> None:
    """Call function(variable, *arguments of that variable) on every replica's own copies."""

    def in_cross_replica_context(strategy: tf.distribute.Strategy, *columns: Sequence) -> None:
        for variable, *rest in zip(variables, *columns, strict=True):
            strategy.extended.update(variable, function, args=tuple(rest), group=False)

    context, strategy = tf.distribute.get_replica_context(), tf.distribute.get_strategy()
    # What XLA compiles for several GPUs is a program for each; they meet in sums, and nowhere else.
    mirrored = isinstance(strategy, tf.distribute.MirroredStrategy)
    if mirrored and not strategy.extended._use_merge_call():
        for variable, *rest in zip(variables, *arguments, strict=True):
            function(variable, *rest)
    else:
        context.merge_call(in_cross_replica_context, args=arguments)


def assign(variables: list[tf.Variable], values: list[tf.Tensor]) -> None:
    """Set variables on every replica, in replica context, with values that are the same on each."""
    _update(variables, lambda variable, value: variable.assign(value), values)


def _slots(variables: Sequence[tf.Variable], name: str) -> list[tf.Variable]:
    return [
        tf.Variable(tf.zeros(v.shape, v.dtype), trainable=False, name=f"{name}/{i}")
        for i, v in enumerate(variables)
    ]


class SGD(tf.Module):
    """Momentum SGD with clipping of the global norm and coupled L2.

    g <- g * min(1, clip_norm / (|g| + 1e-6));  d = g + weight_decay * w;  v <- momentum * v + d;
    w <- w - learning_rate * v

    Args:
      variables: what is trained.
      momentum: mu.
      weight_decay: L2 coefficient, on every variable.
      clip_norm: largest global norm, over all variables together; 0: no clipping.
    """

    def __init__(self, variables: list[tf.Variable], momentum: float, weight_decay: float, clip_norm: float):
        super().__init__(name="sgd")
        self._variables, self._momentum = variables, momentum
        self._weight_decay, self._clip_norm = weight_decay, clip_norm
        self.velocity = _slots(variables, "velocity")

    def apply(self, gradients: list[tf.Tensor], learning_rate: tf.Tensor | float) -> tf.Tensor:
        """Update the variables once, in replica context, with gradients already summed over replicas.

        Returns:
          The global norm before clipping, a scalar.
        """
        norm = tf.linalg.global_norm(gradients)
        scale = tf.ones([], norm.dtype)
        if self._clip_norm:
            scale = tf.minimum(scale, self._clip_norm / (norm + 1e-6))
        learning_rate = tf.convert_to_tensor(learning_rate, norm.dtype)

        def update(
            variable: tf.Variable,
            gradient: tf.Tensor,
            velocity: tf.Variable,
            scale: tf.Tensor,
            learning_rate: tf.Tensor,
        ) -> None:
            tf.raw_ops.ResourceApplyMomentum(
                var=variable.handle,
                accum=velocity.handle,
                lr=learning_rate,
                grad=scale * gradient + self._weight_decay * variable,
                momentum=self._momentum,
            )

        count = len(self._variables)
        _update(self._variables, update, gradients, self.velocity, [scale] * count, [learning_rate] * count)
        return norm

    def after_step(self, gradients: list[tf.Tensor], learning_rate: tf.Tensor | float) -> list[tf.Tensor]:
        """Return where a step without clipping would take the variables (DARTS, second order)."""
        return [
            w - learning_rate * (self._momentum * v + g + self._weight_decay * w)
            for w, v, g in zip(self._variables, self.velocity, gradients, strict=True)
        ]


class Adam(tf.Module):
    """Adam with coupled L2; alpha's optimiser.

    d = g + weight_decay * a;  m <- b1 m + (1-b1) d;  s <- b2 s + (1-b2) d^2;
    a <- a - lr/(1-b1^t) * m / (sqrt(s)/sqrt(1-b2^t) + epsilon)

    Args:
      variables: what is trained.
      learning_rate: constant.
      beta1: b1.
      beta2: b2.
      epsilon: added after bias correction.
      weight_decay: L2 coefficient.
    """

    def __init__(
        self,
        variables: list[tf.Variable],
        learning_rate: float,
        beta1: float,
        beta2: float,
        epsilon: float,
        weight_decay: float,
    ):
        super().__init__(name="adam")
        self._variables, self._learning_rate = variables, learning_rate
        self._beta1, self._beta2 = beta1, beta2
        self._epsilon, self._weight_decay = epsilon, weight_decay
        self.first, self.second = _slots(variables, "first"), _slots(variables, "second")
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")

    def apply(self, gradients: list[tf.Tensor]) -> None:
        """Update the variables once, in replica context, with gradients already summed over replicas."""
        _update([self.step], lambda step: step.assign_add(1))
        correction_1, correction_2 = self._correction(self._beta1), self._correction(self._beta2)

        def update(
            variable: tf.Variable,
            gradient: tf.Tensor,
            first: tf.Variable,
            second: tf.Variable,
            correction_1: tf.Tensor,
            correction_2: tf.Tensor,
        ) -> None:
            d = gradient + self._weight_decay * variable
            m = first.assign(self._beta1 * first + (1.0 - self._beta1) * d)
            s = second.assign(self._beta2 * second + (1.0 - self._beta2) * tf.square(d))
            denominator = tf.sqrt(s) / tf.sqrt(correction_2) + self._epsilon
            variable.assign_sub(self._learning_rate / correction_1 * m / denominator)

        count = len(self._variables)
        _update(
            self._variables,
            update,
            gradients,
            self.first,
            self.second,
            [correction_1] * count,
            [correction_2] * count,
        )

    def _correction(self, beta: float) -> tf.Tensor:
        """Return 1 - beta^t, a scalar, with expm1, which keeps its digits where beta^t is near 1."""
        dtype = self._variables[0].dtype
        if not beta:
            return tf.ones([], dtype)
        return -tf.math.expm1(tf.cast(self.step.read_value(), dtype) * tf.math.log(tf.constant(beta, dtype)))
