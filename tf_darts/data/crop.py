"""One encoded image to a square of pixels: ImageNet's training and test crops, on the host.

As in the authors' release (torchvision): in training a random part of the image, of 8 to 100 % of its area
and 3:4 to 4:3 in shape, resized to the square, then colours changed at random; in tests the shorter side
resized and the centre cut out. Every draw is stateless.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_darts.data import image_file

AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)
# Numbers folded into the seed of an image, one for each kind of draw.
BOX, ORDER, BRIGHTNESS, CONTRAST, SATURATION, HUE = range(6)


@dataclasses.dataclass(frozen=True)
class Crop:
    """What is made of an encoded image.

    Attributes:
      side: of the square, pixels.
      test_resize: what the shorter side is resized to in tests, pixels.
      color_jitter: brightness, contrast and saturation are multiplied by 1 - this to 1 + this.
      hue_jitter: the hue moves by at most this share of the colour circle.
    """

    side: int
    test_resize: int
    color_jitter: float = 0.0
    hue_jitter: float = 0.0

    # For pipelines: each pass over a set makes one anew, and would trace all operations below again.
    @functools.cached_property
    def traced_train(self) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """`train`, traced once."""
        return tf.function(self.train, autograph=False)

    @functools.cached_property
    def traced_test(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """`test`, traced once."""
        return tf.function(self.test, autograph=False)

    def train(self, encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Cut, resize and colour at random: an encoded image (string scalar) -> uint8 [side, side, 3].

        Args:
          encoded: string scalar.
          seed: int32 [2].
        """
        image = tf.image.resize(_random_part(encoded, _folded(seed, BOX)), [self.side] * 2, antialias=True)
        if self.color_jitter or self.hue_jitter:
            image = self._jittered(tf.clip_by_value(image, 0.0, 255.0), seed)
        return _pixels(image, self.side)

    def test(self, encoded: tf.Tensor) -> tf.Tensor:
        """Resize and cut the centre out: an encoded image (string scalar) -> uint8 [side, side, 3]."""
        image = _decoded(encoded)
        shape = tf.shape(image)[:2]
        shorter = tf.reduce_min(shape)
        resized = shape * self.test_resize // shorter  # the longer side rounded down
        image = tf.image.resize(image, resized, antialias=True)
        return _pixels(tf.image.resize_with_crop_or_pad(image, self.side, self.side), self.side)

    def _jittered(self, image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Make the four changes in random order; image: float32 [side, side, 3], 0 to 255."""

        def factor(kind: int) -> tf.Tensor:
            return _uniform(seed, kind, 1.0 - self.color_jitter, 1.0 + self.color_jitter)

        def blended(image: tf.Tensor, other: tf.Tensor, kind: int) -> tf.Tensor:
            return tf.clip_by_value(other + factor(kind) * (image - other), 0.0, 255.0)

        def hue(image: tf.Tensor) -> tf.Tensor:
            moved = tf.image.adjust_hue(image / 255.0, _uniform(seed, HUE, -self.hue_jitter, self.hue_jitter))
            return tf.clip_by_value(moved * 255.0, 0.0, 255.0)

        changes = (
            lambda image: blended(image, tf.zeros_like(image), BRIGHTNESS),
            lambda image: blended(image, tf.reduce_mean(tf.image.rgb_to_grayscale(image)), CONTRAST),
            lambda image: blended(image, tf.image.rgb_to_grayscale(image), SATURATION),
            hue,
        )
        keys = tf.random.stateless_uniform([len(changes)], _folded(seed, ORDER), alg="philox")
        order = tf.argsort(keys)
        for place in range(len(changes)):
            branches = [lambda image=image, change=change: change(image) for change in changes]
            image = tf.switch_case(order[place], branches)
        return image


def _folded(seed: tf.Tensor, kind: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, kind, alg="philox")


def _uniform(seed: tf.Tensor, kind: int, low: float, high: float) -> tf.Tensor:
    return tf.random.stateless_uniform([], _folded(seed, kind), low, high, alg="philox")


def _in_python(function: Callable[[bytes], Any], encoded: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Return what a function of an encoded image gives: a step of a pipeline that others may run beside."""

    def of_content(content: bytes | np.ndarray) -> Any:  # in a graph, and outside of one
        return function(content if isinstance(content, bytes) else content.item())

    # A tensor: of bytes NumPy would leave out zeros at the end. Stateless: else they run one after the other.
    return tf.numpy_function(of_content, [tf.convert_to_tensor(encoded)], dtype, stateful=False)


def _is_upright_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Return whether TensorFlow decodes an image as it is shown: bool scalar."""
    return tf.ensure_shape(_in_python(image_file.is_upright_jpeg, encoded, tf.bool), [])


def _by_pillow(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a whole image that is no JPEG, or is to be turned: uint8 [H, W, 3]."""
    return tf.ensure_shape(_in_python(image_file.pixels, encoded, tf.uint8), [None, None, 3])


def _decoded(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a whole image, upright: uint8 [H, W, 3]."""
    return tf.cond(
        _is_upright_jpeg(encoded),
        lambda: tf.io.decode_image(encoded, 3, expand_animations=False),
        lambda: _by_pillow(encoded),
    )


def _random_part(encoded: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Decode a random part: uint8 [h, w, 3]; of an upright JPEG, only that part is decoded."""

    def box(shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            shape,
            tf.zeros([1, 0, 4]),
            seed,
            min_object_covered=0.0,
            aspect_ratio_range=ASPECT,
            area_range=AREA,
            max_attempts=10,
            use_image_if_no_bounding_boxes=True,
        )
        return begin, size

    def of_jpeg() -> tf.Tensor:
        begin, size = box(tf.image.extract_jpeg_shape(encoded))
        return tf.image.decode_and_crop_jpeg(encoded, tf.concat([begin[:2], size[:2]], 0), channels=3)

    def of_other() -> tf.Tensor:
        image = _by_pillow(encoded)
        begin, size = box(tf.shape(image))
        return tf.slice(image, begin, size)

    return tf.cond(_is_upright_jpeg(encoded), of_jpeg, of_other)


def _pixels(image: tf.Tensor, side: int) -> tf.Tensor:
    """Round floats [side, side, 3], 0 to 255, to uint8 with a static shape."""
    rounded = tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)
    return tf.ensure_shape(rounded, [side, side, 3])
