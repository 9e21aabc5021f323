"""Zero-cost proxies: scores of a network that need no training, each as a criterion in its own right.

An operation is the more important, the lower the score of the supernet without it (Zero-Cost-PT: Xiang et
al., AAAI 2023). Each looks at one batch. What is scored is the supernet with its mixing weights as they are.
"""

import abc

import keras
import tensorflow as tf

from tf_darts.selection.criterion import Criterion, View

JACOBIAN_EPSILON = 1e-5  # that the authors' code adds to eigenvalues


class Proxy(Criterion):
    """Base of the proxies: minus the score of what is left."""

    batches = 1

    @abc.abstractmethod
    def score(self, view: View) -> tf.Tensor:
        """Return the score of the supernet on the batch, a scalar: larger is better."""

    def measure(self, view: View) -> tf.Tensor:
        return -self.score(view)


class Nwot(Proxy):
    """log|det K|, K how many ReLUs are alike, for each two images of the batch (Mellor et al., ICML 2021).

    With C the codes of a ReLU, 1 where it passes something, K is the sum over ReLUs of C Cᵀ + (1-C)(1-C)ᵀ.
    Batch norms use running statistics. Where K is singular the score is the lowest there is.
    """

    def score(self, view: View) -> tf.Tensor:
        _, outputs = view.activations(batch_statistics=False)
        size = view.images.shape[0]
        alike = tf.zeros([size, size], tf.float64)
        for output in outputs:
            codes = tf.cast(tf.reshape(output, [size, -1]) > 0, tf.float32)
            both = tf.matmul(codes, codes, transpose_b=True)
            neither = tf.matmul(1 - codes, 1 - codes, transpose_b=True)
            alike += tf.cast(both + neither, tf.float64)
        return tf.maximum(tf.linalg.slogdet(alike).log_abs_determinant, tf.float32.min)


class Snip(Proxy):
    """Sum of |w * dL/dw| over the weights (Lee et al., ICLR 2019)."""

    passes = 3

    def score(self, view: View) -> tf.Tensor:
        pairs = zip(view.weights, view.weight_gradients(), strict=True)
        return tf.add_n([tf.reduce_sum(tf.abs(weights * gradient)) for weights, gradient in pairs])


class GradientNorm(Proxy):
    """Sum over the layers of the Euclidean norm of the loss's gradient (Abdelfattah et al., ICLR 2021)."""

    passes = 3

    def score(self, view: View) -> tf.Tensor:
        return tf.add_n([tf.norm(gradient) for gradient in view.by_layer(view.weight_gradients())])


class SynFlow(Proxy):
    """Sum of w * dR/dw at |w|, R the sum of the logits for an image of ones (Tanaka et al., NeurIPS 2020).

    Batch norms use running statistics. No image of the batch is looked at.
    """

    passes = 3

    def score(self, view: View) -> tf.Tensor:
        weights = [tf.abs(tensor) for tensor in view.weights]
        with tf.GradientTape() as tape:
            tape.watch(weights)
            logits = view.logits(tf.ones_like(view.images[:1]), weights=weights, batch_statistics=False)
            total = tf.reduce_sum(logits)
        gradients = tape.gradient(total, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return tf.add_n([tf.reduce_sum(w * g) for w, g in zip(weights, gradients, strict=True)])


class Fisher(Proxy):
    """Half the sum over the channels of all ReLUs of the mean over images of (sum of a * dL/da)² there.

    a is a ReLU's output in one position (Theis et al., 2018; Turner et al., ICLR 2020).
    """

    passes = 3

    def score(self, view: View) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(view.weights)
            logits, outputs = view.activations()
            loss = view.loss(logits)
        gradients = tape.gradient(loss, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        found = []
        for output, gradient in zip(outputs, gradients, strict=True):
            product = tf.cast(output * gradient, keras.config.floatx())
            of_channels = tf.reduce_sum(product, list(range(1, len(product.shape) - 1)))
            found.append(tf.reduce_sum(tf.reduce_mean(tf.square(of_channels), 0)) / 2)
        return tf.add_n(found) if found else tf.zeros([])  # what decisions leave may have no ReLU


class Grasp(Proxy):
    """Minus the sum of w * (H g), g the loss's gradient and H its Hessian in the weights.

    From Wang et al., ICLR 2020.
    """

    passes = 9

    def score(self, view: View) -> tf.Tensor:
        flow = view.hessian_times()
        return -tf.add_n([tf.reduce_sum(w * h) for w, h in zip(view.weights, flow, strict=True)])


class JacobianCovariance(Proxy):
    """-Σ (log(λ + k) + 1 / (λ + k)), λ the eigenvalues of the correlations between images of dΣlogits/dx.

    From the first version of Mellor et al. (2020); k is 1e-5. Where a gradient is constant the correlation is
    taken as zero.
    """

    passes = 3

    def score(self, view: View) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(view.images)
            total = tf.reduce_sum(view.logits(view.images))
        gradient = tape.gradient(total, view.images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        rows = tf.cast(tf.reshape(gradient, [view.images.shape[0], -1]), tf.float64)
        rows -= tf.reduce_mean(rows, 1, keepdims=True)
        rows = tf.math.divide_no_nan(rows, tf.norm(rows, axis=1, keepdims=True))
        eigenvalues = tf.linalg.eigvalsh(tf.matmul(rows, rows, transpose_b=True)) + JACOBIAN_EPSILON
        return -tf.reduce_sum(tf.math.log(eigenvalues) + 1 / eigenvalues)
