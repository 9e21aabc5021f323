"""DARTS, second order: alpha's gradient through one step of the weights (Liu et al., ICLR 2019, section 2.3).

For w' = w - xi (mu v + grad_w L_train(w, alpha) + lambda w), with learning rate xi, momentum mu, velocity v
and L2 coefficient lambda, alpha descends d/d alpha L_valid(w'(alpha), alpha)
    = grad_alpha L_valid(w', alpha) - xi grad^2_{alpha,w} L_train(w, alpha) u,   u = grad_w' L_valid(w',
    alpha).
There is no clipping in the step to w', as in the DARTS release. In regularised fine-tuning L_train is the
loss that the weights are fitted to there, with its label smoothing, noise and drop path.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.native import choice
from tf_darts.optim.losses import Batch, loss_and_correct
from tf_darts.optim.optimizers import assign, sum_over_replicas
from tf_darts.search.bilevel import Bilevel, Evaluated
from tf_darts.search.methods.method import Method
from tf_darts.search.now import Now

FINITE_DIFFERENCE = 0.01  # how far along u: R = 0.01 / |u| (DARTS, section 2.3)


class SecondOrder(Method):
    """With the second derivative as a finite difference along u, as published (DARTS, equation 8)."""

    alpha_passes = 4  # to w', of the validation loss there, and two for the second derivative

    def fit_alpha(self, bilevel: Bilevel, train: Batch, valid: Batch, now: Now) -> Evaluated:
        evaluated = second_order_gradients(bilevel, train, valid, now, self.mixed)
        bilevel.alpha_optimizer.apply(sum_over_replicas(evaluated.gradients))
        return evaluated

    def mixed(self, *arguments: Any) -> list[tf.Tensor]:
        """Return grad^2_{alpha,w} L_train u, as `second_order_gradients` asks for it."""
        return finite_difference(*arguments)


class ExactSecondOrder(SecondOrder):
    """With the exact second derivative, a gradient of a gradient."""

    differentiates_twice = True

    def mixed(self, *arguments: Any) -> list[tf.Tensor]:
        return nested_gradients(*arguments)


def second_order_gradients(
    bilevel: Bilevel, train: Batch, valid: Batch, now: Now, mixed: Callable[..., list[tf.Tensor]]
) -> Evaluated:
    """Return the validation loss at w' and the second-order gradients of alpha: this replica's share.

    Args:
      bilevel: supernet and architecture; they are as before when this is over.
      train: training batch.
      valid: validation batch.
      now: where the step is.
      mixed: (bilevel, train, now, u) -> grad^2_{alpha,w} L_train(w, alpha) u, one tensor per alpha.
    """
    weights, alphas = bilevel.weights, list(bilevel.alphas.values())
    with bilevel.untracked():  # derivatives of one function: the operation noise has to draw the same
        # Of the global batch, because they move the weights, which are the same on every replica.
        of_train = sum_over_replicas(bilevel.weight_gradients(train, now.train_total).gradients)
        start = [tf.identity(w) for w in weights]
        assign(weights, bilevel.weight_optimizer.after_step(of_train, now.learning_rate))
        evaluated = bilevel.gradients(valid, now.valid_total, alphas + weights)
        of_alpha, direction = evaluated.gradients[: len(alphas)], evaluated.gradients[len(alphas) :]
        assign(weights, start)
        second = mixed(bilevel, train, now, sum_over_replicas(direction))
    gradients = [g - now.learning_rate * h for g, h in zip(of_alpha, second, strict=True)]
    return evaluated._replace(gradients=gradients)


def finite_difference(
    bilevel: Bilevel, train: Batch, now: Now, direction: list[tf.Tensor]
) -> list[tf.Tensor]:
    """Return (grad_alpha L_train(w + R u) - grad_alpha L_train(w - R u)) / 2R, with R = 0.01 / |u|."""
    start, alphas = [tf.identity(w) for w in bilevel.weights], list(bilevel.alphas.values())
    norm = tf.linalg.global_norm(direction)
    length = FINITE_DIFFERENCE / tf.maximum(norm, 1e-12)  # along nothing the difference is 0
    sides = []
    for signed in (length, -length):
        assign(bilevel.weights, [w + signed * u for w, u in zip(start, direction, strict=True)])
        with no_kernel_gradients():
            sides.append(bilevel.training_gradients(train, now.train_total, alphas).gradients)
    assign(bilevel.weights, start)
    return [(plus - minus) / (2.0 * length) for plus, minus in zip(*sides, strict=True)]


def nested_gradients(bilevel: Bilevel, train: Batch, now: Now, direction: list[tf.Tensor]) -> list[tf.Tensor]:
    """Return grad_alpha <grad_w L_train(w, alpha), u>."""
    images, labels = train
    alphas = list(bilevel.alphas.values())
    with (
        choice.tensorflow_alone(),
        tf.GradientTape(watch_accessed_variables=False) as outer,
    ):
        outer.watch(alphas)
        with tf.GradientTape(watch_accessed_variables=False) as inner:
            inner.watch(bilevel.weights)
            logits = bilevel.forward(images, training=True, mixing_weights=bilevel.training_mix()())
            loss, _ = loss_and_correct(logits, labels, now.train_total, bilevel.label_smoothing)
        zero = tf.UnconnectedGradients.ZERO
        gradients = inner.gradient(loss, bilevel.weights, unconnected_gradients=zero)
        along = tf.add_n([tf.reduce_sum(g * u) for g, u in zip(gradients, direction, strict=True)])
    return outer.gradient(along, alphas, unconnected_gradients=zero)
