"""What the device can do: the most multiply-adds per second, and how fast memory is read and written.

Measured with TensorFlow in a process of its own, in the same run as everything that is compared with it.
"""

import time
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tf_darts.runtime.strategy import ACTIVATIONS
from tf_darts.tools.benchmark import device
from tf_darts.tools.benchmark.cases import BenchmarkCase

# Sides of square matrix products, and (images, side, channels) of 3x3 convolutions.
PRODUCTS = (1024, 2048, 4096)
CONVOLUTIONS = ((64, 32, 64), (64, 32, 128), (64, 16, 256))
MEMORY_BYTES = 2**28  # far beyond the caches
SECONDS = 0.6  # for how long each is repeated

peak_memory = device.peak_memory


def best_seconds(work: Callable[[], tf.Tensor], seconds: float = SECONDS) -> float:
    """Return the shortest time that `work` takes, repeated for so many seconds after a first time."""
    work()
    device.finish()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        device.finish()
        best = min(best, time.perf_counter() - start)
    return best


def product(side: int, dtype: str) -> float:
    """Measure the multiply-adds per second of a matrix product [side, side] x [side, side]."""
    a = tf.cast(tf.random.stateless_uniform([side, side], [0, side]), dtype)
    return side**3 / best_seconds(lambda: tf.matmul(a, a))


def convolution(images: int, side: int, channels: int, dtype: str) -> float:
    """Measure the multiply-adds per second of a 3x3 convolution, channels to channels."""
    x = tf.cast(tf.random.stateless_uniform([images, side, side, channels], [0, channels]), dtype)
    kernel = tf.cast(tf.random.stateless_uniform([3, 3, channels, channels], [1, channels]), dtype)
    work = images * side**2 * 9 * channels**2
    return work / best_seconds(lambda: tf.nn.conv2d(x, kernel, 1, "SAME"))


def memory(size: int) -> float:
    """Measure the bytes per second, read and written together, of the better of a copy and an addition."""
    x = tf.ones([size // 4])
    y = tf.ones([size // 4])
    copy = 2 * size / best_seconds(lambda: tf.raw_ops.DeepCopy(x=x))
    return max(copy, 3 * size / best_seconds(lambda: x + y))


class Limit:
    """The task of measuring the limit, as `worker.py` runs it.

    Args:
      case: not used.
      settings: the benchmark's config as a plain dictionary.
    """

    def __init__(self, case: BenchmarkCase, settings: dict[str, Any]):
        device.use(settings)
        self._sizes = settings["limit_size"]
        self._dtype = ACTIVATIONS[settings["precision"]]

    about = staticmethod(device.about)

    def measure(self) -> dict[str, Any]:
        """Return multiply_adds_per_second (the best), bytes_per_second, and every result in `tried`."""
        tried = {}
        for side in PRODUCTS:
            side = max(int(side * self._sizes), 8)
            tried[f"matrix product {side}x{side}"] = product(side, self._dtype)
        for images, side, channels in CONVOLUTIONS:
            images = max(int(images * self._sizes), 1)
            name = f"convolution 3x3, {images} images {side}x{side}, {channels} channels"
            tried[name] = convolution(images, side, channels, self._dtype)
        return {
            "multiply_adds_per_second": max(tried.values()),
            "bytes_per_second": memory(int(MEMORY_BYTES * self._sizes)),
            "tried": tried,
        }


TASKS = {"limit": Limit}  # by the name that a worker is told
