"""The image transforms, on whole batches and on the device: crop, flip, normalise, cutout.

Every draw is stateless and made with one fixed generator, Philox, so that compiled (XLA) and plain
functions draw the same numbers.
"""

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tf_darts.errors import UserError

# Numbers folded into the seed of a batch, one for each kind of draw, so that they are independent.
CROP_ROW, CROP_COLUMN, FLIP, CUTOUT_ROW, CUTOUT_COLUMN = range(5)


@dataclasses.dataclass(frozen=True, eq=False)
class Transform:
    """Turns uint8 images into the network's input.

    Attributes:
      mean: [C], mean of each channel, in the scale [0, 1].
      std: [C], standard deviation of each channel in that scale; 0 (a constant channel) counts as 1.
      crop_padding: pixels of black padding on each side before the random crop; 0: no crop.
      flip: whether half of the images, at random, are mirrored left to right.
      cutout_length: side of the square that is blanked, pixels; 0: none.
    """

    mean: np.ndarray
    std: np.ndarray
    crop_padding: int = 0
    flip: bool = False
    cutout_length: int = 0

    def train(
        self, images: tf.Tensor, seed: tf.Tensor, total: int | None = None, offset: tf.Tensor | int = 0
    ) -> tf.Tensor:
        """Crop and flip at random, each drawn per image, then normalise, then cut out.

        The images may be a slice of a larger batch: the draws are then made for the whole batch and the
        slice's part of them is used, so that a batch does not depend on how it is shared out.

        Args:
          images: uint8 [B, H, W, C], with a static shape.
          seed: int32 [2], the seed of the whole batch.
          total: size of the whole batch; by default B.
          offset: integer scalar, place of the first of these images in the whole batch.

        Returns:
          Float [B, H, W, C].
        """
        batch, height, width, _ = images.shape
        total = batch if total is None else total

        def draw(kind: int, below: int) -> tf.Tensor:
            """Draw uniform int32 [B, 1] in [0, below), one for each image."""
            kind_seed = tf.random.experimental.stateless_fold_in(seed, kind, alg="philox")
            drawn = tf.random.stateless_uniform([total], kind_seed, 0, below, tf.int32, alg="philox")
            return tf.slice(drawn, [tf.cast(offset, tf.int32)], [batch])[:, None]

        rows = tf.range(height)[None]  # [1 or B, H]: for each row of the output, its row in the image
        columns = tf.range(width)[None]
        if self.flip:
            columns = tf.where(draw(FLIP, 2) == 1, width - 1 - columns, columns)
        if self.crop_padding:
            rows += draw(CROP_ROW, 2 * self.crop_padding + 1)
            columns += draw(CROP_COLUMN, 2 * self.crop_padding + 1)
            # Padded as raw pixels: black becomes -mean / std.
            around = [self.crop_padding, self.crop_padding]
            images = tf.gather(tf.pad(images, [[0, 0], around, around, [0, 0]]), rows, batch_dims=1, axis=1)
        if self.flip or self.crop_padding:
            images = tf.gather(images, columns, batch_dims=1, axis=2)
        out = self.test(images)
        if self.cutout_length:
            inside = _covered(draw(CUTOUT_ROW, height), height, self.cutout_length)[:, :, None, None]
            inside &= _covered(draw(CUTOUT_COLUMN, width), width, self.cutout_length)[:, None, :, None]
            out = tf.where(inside, tf.zeros_like(out), out)  # 0 is the mean colour here
        return out

    def test(self, images: tf.Tensor) -> tf.Tensor:
        """Normalise images, and nothing else.

        Args:
          images: uint8 [B, H, W, C].

        Returns:
          Float [B, H, W, C]: (images / 255 - mean) / std.
        """
        floats = keras.config.floatx()
        mean, std = np.asarray(self.mean, floats), np.asarray(self.std, floats)
        std = np.where(std == 0, std.dtype.type(1), std)
        return (tf.cast(images, floats) / 255 - mean) / std


def check_crops(padding: int, image_shape: Sequence[int]) -> None:
    """Check that every random crop can hold something of its image.

    Args:
      padding: `data.crop_padding`, pixels.
      image_shape: height, width and channels of the images.

    Raises:
      UserError: the padding is wider than the images are (4, the default, suits any).
    """
    most = max(4, *image_shape[:2])
    if padding > most:
        raise UserError(
            f"config: data.crop_padding is {padding} with images of {image_shape[0]}x{image_shape[1]};"
            f" allowed: at most {most}: a crop further out holds nothing of the image"
        )


def _covered(centre: tf.Tensor, size: int, length: int) -> tf.Tensor:
    """Find which of `size` pixels lie in [centre - length // 2, + length): bool [B, size], centre [B, 1]."""
    distance = tf.range(size)[None] - (centre - length // 2)
    return (distance >= 0) & (distance < length)
