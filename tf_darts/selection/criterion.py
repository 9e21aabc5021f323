"""Criteria that look at more than the score of a probe: at masks, gradients and activations.

A criterion of one number is a function of a `Score` (`selection.criteria`). One that needs more is a subclass
of `Criterion`: it is given a `View` of the supernet on a batch.
"""

import abc
from collections.abc import Mapping

import tensorflow as tf

from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.native import choice
from tf_darts.optim.losses import losses_and_hits
from tf_darts.search.bilevel import Bilevel, MixingWeights


class View:
    """A batch, and the supernet with something removed from it or not, for compiled functions.

    Nothing that a criterion does with it changes the supernet: running statistics and counters of draws stay.

    Attributes:
      images: float [B, H, W, C], normalised.
      labels: int32 [B].
      mixing_weights: {cell type: float [edges, operations]}; zero where something is closed or removed.
      weights: the supernet's trained variables, float [number, size]: those of one shape in one tensor.

    Args:
      bilevel: the supernet and its architecture.
      images: as above.
      labels: as above.
      mixing_weights: as above.
    """

    def __init__(self, bilevel: Bilevel, images: tf.Tensor, labels: tf.Tensor, mixing_weights: MixingWeights):
        self._bilevel = bilevel
        self.images, self.labels, self.mixing_weights = images, labels, dict(mixing_weights)
        self.weights = [variable.read_value() for variable in bilevel.weights]

    def logits(
        self,
        images: tf.Tensor | None = None,
        mixing_weights: Mapping[str, tf.Tensor] | None = None,
        weights: list[tf.Tensor] | None = None,
        batch_statistics: bool = True,
    ) -> tf.Tensor:
        """Compute logits, float [B, classes].

        Args:
          images: None: the batch's.
          mixing_weights: None: those of the view.
          weights: None: the supernet's.
          batch_statistics: whether batch norms use the batch's statistics, or the running ones.
        """
        return self._bilevel.supernet(
            self.images if images is None else images,
            self.mixing_weights if mixing_weights is None else mixing_weights,
            training=batch_statistics,
            computed=self._bilevel.architecture.computed,
            tracks=False,
            trained=self.weights if weights is None else weights,
        )

    def loss(self, logits: tf.Tensor) -> tf.Tensor:
        """Return the mean cross-entropy of the batch's labels."""
        return tf.reduce_mean(losses_and_hits(logits, self.labels)[0])

    def activations(self, batch_statistics: bool = True) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Compute logits, and the output of every ReLU on the way, [B, H, W, C] each, in their order.

        A ReLU that operations share is there once. One of an operation that is removed is there too: its
        mixing weight is zero, but it is computed. `selection.compact` leaves out what decisions have closed.
        """
        graph = tf.compat.v1.get_default_graph()
        before = len(graph.get_operations())
        with choice.tensorflow_alone():
            logits = self.logits(batch_statistics=batch_statistics)
        made = graph.get_operations()[before:]
        return logits, [operation.outputs[0] for operation in made if operation.type == "Relu"]

    def mixing_gradients(self) -> dict[str, tf.Tensor]:
        """Return the gradient of the loss in every mixing weight, of the form of `mixing_weights`."""
        with no_kernel_gradients(), tf.GradientTape() as tape:
            tape.watch(self.mixing_weights)
            loss = self.loss(self.logits())
        zero = tf.UnconnectedGradients.ZERO  # of a cell type that the supernet does not have
        return tape.gradient(loss, self.mixing_weights, unconnected_gradients=zero)

    def weight_gradients(self) -> list[tf.Tensor]:
        """Return the gradient of the loss in the weights, of the form of `weights`."""
        with tf.GradientTape() as tape:
            tape.watch(self.weights)
            loss = self.loss(self.logits())
        zero = tf.UnconnectedGradients.ZERO
        return tape.gradient(loss, self.weights, unconnected_gradients=zero)

    def hessian_times(self, vectors: list[tf.Tensor] | None = None) -> list[tf.Tensor]:
        """Return the Hessian of the loss in the weights times some vectors, of the form of `weights`.

        Args:
          vectors: of the form of `weights`; None: the gradient itself.
        """
        # It is the gradient of the gradient's product with the vectors.
        with choice.tensorflow_alone(), tf.GradientTape() as outer:
            outer.watch(self.weights)
            gradients = self.weight_gradients()
            pairs = zip(gradients, gradients if vectors is None else vectors, strict=True)
            product = tf.add_n([tf.reduce_sum(g * tf.stop_gradient(v)) for g, v in pairs])
        return outer.gradient(product, self.weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def by_layer(self, values: list[tf.Tensor]) -> list[tf.Tensor]:
        """Take values of the form of `weights` apart: a tensor for each kernel, of its shape."""
        return [part for _, part in self._bilevel.supernet.packed.parts(values)]


class Criterion(abc.ABC):
    """Base of criteria that look at more than the score of a probe.

    `measure` is called in a compiled function, for each batch; the mean over the images is what decides. It
    either judges one removal at a time, or (`one_pass`) everything at once.

    Attributes:
      one_pass: whether one call judges all operations of the whole supernet. An edge is then as important as
        its operations together.
      batches: how many batches a decision looks at; None: all of the probe images.
      passes: what a call costs, in passes forward: a backward pass counts as two.
    """

    one_pass = False
    batches: int | None = None
    passes = 1

    @abc.abstractmethod
    def measure(self, view: View) -> tf.Tensor | Mapping[str, tf.Tensor]:
        """Return how important it is what `view.mixing_weights` lacks, a scalar: the larger, the more.

        With `one_pass` nothing is removed. The answer is the importance of every operation, of the form of
        `view.mixing_weights`.
        """
