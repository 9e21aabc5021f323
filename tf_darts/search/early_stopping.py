"""Early stopping by the largest eigenvalue of alpha's Hessian (Zela et al., ICLR 2020, section 4.2).

Where the validation loss becomes sharply curved in alpha, discretization costs much. The search stops after
an epoch i where mean(i - k) / mean(i) is below a ratio, `mean` being that of the eigenvalue over the k + 1
epochs up to its argument, and the supernet of epoch i - k is taken.
"""

import contextlib
import math
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from tf_darts.data.batches import Batches
from tf_darts.layers.depthwise import no_kernel_gradients
from tf_darts.native import choice
from tf_darts.optim.losses import loss_and_correct
from tf_darts.runtime.seeds import fold
from tf_darts.search.setup import SearchSetup
from tf_darts.workdir.checkpoints import Checkpoints

METRIC = "hessian/largest_eigenvalue"
TOLERANCE = 1e-3  # of an eigenvalue, relative

Product = Callable[[np.ndarray], np.ndarray]  # a vector -> a matrix times it


class Never:
    """The search ends after its last epoch."""

    def measure(self) -> dict[str, float]:
        """Return what is measured after an epoch."""
        return {}

    def save(self, step: int) -> None:
        """Keep what may be gone back to."""

    def stops(self, epochs: list[dict]) -> bool:
        """Return whether the search is over, by the rows of the epochs so far."""
        return False

    def go_back(self, epochs: list[dict]) -> int | None:
        """Take the supernet of an earlier epoch and return its number; None: the last one's is kept."""
        return None


class ByEigenvalue(Never):
    """Stops where the eigenvalue rises.

    Args:
      setup: supernet and data.
      folder: the search's folder.
    """

    def __init__(self, setup: SearchSetup, folder: pathlib.Path):
        self._setup, early = setup, setup.config.early_stopping
        self._window, self._ratio = early.window, early.ratio
        # An epoch that is done again after a kill is saved twice: hence one place more than the window asks.
        self._checkpoints = Checkpoints(
            folder / "epochs", 0.0, ("step",), kept=self._window + 3, leaves=False, **setup.state()
        )
        self._product = hessian_times(setup)

    def measure(self) -> dict[str, float]:
        return {
            METRIC: largest_eigenvalue(self._product, alpha_entries(self._setup), self._setup.config.seed)
        }

    def save(self, step: int) -> None:
        self._checkpoints.save(step=step)

    def stops(self, epochs: list[dict]) -> bool:
        return stops([row[METRIC] for row in epochs], self._window, self._ratio)

    def go_back(self, epochs: list[dict]) -> int | None:
        if not self.stops(epochs):
            return None
        row = epochs[-1 - self._window]
        self._checkpoints.restore_where(step=row["step"])
        return row["finished_epoch"]


def make(setup: SearchSetup, folder: pathlib.Path) -> Never:
    """Return what the config asks for."""
    return ByEigenvalue(setup, folder) if setup.config.early_stopping.window else Never()


def stops(eigenvalues: list[float], window: int, ratio: float) -> bool:
    """Return whether the search stops after the latest epoch.

    Args:
      eigenvalues: after every epoch so far.
      window: k.
      ratio: mean(i - k) / mean(i) below which the search stops.
    """
    if len(eigenvalues) < 2 * window + 1:
        return False
    now = np.mean(eigenvalues[-1 - window :])
    before = np.mean(eigenvalues[-1 - 2 * window : len(eigenvalues) - window])
    return bool(now > 0 and before / now < ratio)


def largest_eigenvalue(product: Product, size: int, seed: int) -> float:
    """Return the largest eigenvalue of a matrix that is known by its products (see `eigenvalues`)."""
    return eigenvalues(product, size, seed, "LA", 1)[0]


def eigenvalues(product: Product, size: int, seed: int, which: str, count: int) -> list[float]:
    """Return some eigenvalues of a symmetric matrix that is known by its products, ascending.

    Args:
      product: float [size] -> the matrix times it, float64.
      size: number of rows.
      seed: of the iteration's start.
      which: "LA", the largest; or "BE", half of them from either end.
      count: how many; as many as there are rows at most.

    Returns:
      Zeros for a matrix of zeros, NaN where a product is not finite.
    """
    start = np.random.default_rng(fold(seed, "hessian")).standard_normal(size)
    image = product(start)
    if not image.any():  # every edge is decided; the iteration refuses a matrix of zeros
        return [0.0] * count
    if not np.isfinite(image).all():
        return [math.nan] * count
    if size > 2:  # fewer are too small for the iteration
        operator = LinearOperator((size, size), matvec=lambda v: product(v.ravel()), dtype=np.float64)
        # Where these are next to nothing beside others, rounding keeps the iteration from an end.
        with contextlib.suppress(ArpackNoConvergence):
            # Two digits are enough to see a rise; rounding in float32 allows few more.
            found = eigsh(operator, k=count, which=which, v0=start, tol=TOLERANCE, return_eigenvectors=False)
            return sorted(found.tolist())
    matrix = np.stack([product(row) for row in np.eye(size)])
    every = np.linalg.eigvalsh((matrix + matrix.T) / 2).tolist()
    from_below = count // 2 if which == "BE" else 0
    return every[:from_below] + every[size - (count - from_below) :]


def alpha_entries(setup: SearchSetup) -> int:
    """Return how many entries alpha has, that of edges too: rows of its Hessian."""
    return sum(alpha.shape.num_elements() for alpha in setup.bilevel.alphas.values())


def hessian_times(setup: SearchSetup) -> Callable[..., np.ndarray]:
    """Return the Hessian of the validation loss in alpha, as a function that multiplies with it.

    Returns:
      (vector float [entries], batch=0) -> the Hessian times it, float64 [entries]. Entries are those of
      `Bilevel.alphas`, one after the other. `batch` numbers random validation batches of the search's size;
      the search measures on batch 0 at every epoch. Running statistics move.
    """
    bilevel, batch = setup.bilevel, setup.config.search.batch_size
    alphas, replicas = list(bilevel.alphas.values()), setup.strategy.num_replicas_in_sync

    batches = Batches(setup.valid, "search/hessian", batch, replicas)

    def on_replica(vector: tf.Tensor, number: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        images, labels = batches(number, tf.cast(replica, tf.int32), given)
        parts = tf.split(vector, [alpha.shape.num_elements() for alpha in alphas])
        zero = tf.UnconnectedGradients.ZERO
        with (
            bilevel.untracked(),
            no_kernel_gradients(),
            choice.tensorflow_alone(),
            tf.GradientTape(watch_accessed_variables=False) as outer,
        ):
            outer.watch(alphas)
            with tf.GradientTape(watch_accessed_variables=False) as inner:
                inner.watch(alphas)
                loss, _ = loss_and_correct(bilevel.forward(images, training=True), labels, batch)
            gradients = inner.gradient(loss, alphas, unconnected_gradients=zero)
            along = tf.add_n(
                [
                    tf.reduce_sum(g * tf.reshape(part, g.shape))
                    for g, part in zip(gradients, parts, strict=True)
                ]
            )
        products = outer.gradient(along, alphas, unconnected_gradients=zero)
        return tf.concat([tf.reshape(p, [-1]) for p in products], 0)

    @tf.function(autograph=False)
    def product(vector: tf.Tensor, number: tf.Tensor, *given: tf.Tensor) -> tf.Tensor:
        shares = setup.strategy.run(on_replica, args=(vector, number, *given))
        return setup.strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None)

    def times(vector: np.ndarray, batch: int = 0) -> np.ndarray:
        given = batches.given(batch)
        vector = tf.constant(vector, keras.config.floatx())
        return product(vector, tf.constant(batch), *given).numpy().astype(np.float64)

    return times
