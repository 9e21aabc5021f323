"""The CNN of TensorFlow's image tutorial: three convolutions, two max poolings, a dense layer of 64.

It is trained with random crops and mirrored images as the found network is, by Adam as the tutorial has it,
until it has taken as many CPU seconds as it is given.
"""

import resource

import keras
import numpy as np
import tensorflow as tf

BATCH = 64
LEARNING_RATE = 1e-3  # Adam's default, as in the tutorial
WIDTHS = (32, 64, 64)


def cpu_seconds() -> float:
    """Return user and system seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def make(shape: tuple[int, ...], classes: int, share: float = 1.0) -> keras.Model:
    """Return the network for images [H, W, C]; `share` scales its widths."""
    first, second, third = (max(round(width * share), 2) for width in WIDTHS)
    pooling = [keras.layers.MaxPooling2D()] if min(shape[:2]) >= 16 else []
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(first, 3, activation="relu"),
            *pooling,
            keras.layers.Conv2D(second, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(third, 3, activation="relu", padding="same"),
            keras.layers.Flatten(),
            keras.layers.Dense(third, activation="relu"),
            keras.layers.Dense(classes),
        ]
    )


def within(parameters: int, shape: tuple[int, ...], classes: int) -> keras.Model:
    """Return the widest that has no more parameters, at most the tutorial's own widths."""
    for share in np.arange(1.0, 0.05, -0.01):
        model = make(shape, classes, float(share))
        if model.count_params() <= parameters:
            return model
    raise ValueError(f"there is none of {parameters} parameters")


def train(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    seconds: float,
    padding: int,
    mirrored: bool,
    seed: int,
) -> int:
    """Train for a given number of CPU seconds; return the number of epochs.

    Args:
      model: from `make`.
      images: uint8 [N, H, W, C].
      labels: int [N].
      seconds: CPU seconds, building and tracing included.
      padding: pixels of black padding before the random crop.
      mirrored: whether every second image is mirrored.
      seed: of order and augmentation.
    """
    begun, draw = cpu_seconds(), np.random.default_rng(seed)
    optimizer = keras.optimizers.Adam(LEARNING_RATE)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    mean, std = images.mean((0, 1, 2)), images.std((0, 1, 2))
    side = images.shape[1:3]

    @tf.function(reduce_retracing=True)
    def step(batch: tf.Tensor, answers: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            value = loss(answers, model((tf.cast(batch, tf.float32) - mean) / std, training=True))
        optimizer.apply_gradients(
            zip(tape.gradient(value, model.trainable_variables), model.trainable_variables, strict=True)
        )

    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, side, axis=(1, 2))
    epochs = 0
    while cpu_seconds() - begun < seconds:
        order = draw.permutation(len(images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            rows, columns = draw.integers(0, 2 * padding + 1, (2, BATCH))
            batch = np.moveaxis(windows[chosen, rows, columns], 1, -1).copy()
            if mirrored:
                turned = draw.random(BATCH) < 0.5
                batch[turned] = batch[turned][:, :, ::-1]
            step(tf.constant(batch), tf.constant(labels[chosen]))
            if cpu_seconds() - begun >= seconds:
                break
        epochs += 1
    return epochs


def accuracy(model: keras.Model, train_images: np.ndarray, images: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of test images that the model gets right."""
    mean, std = train_images.mean((0, 1, 2)), train_images.std((0, 1, 2))
    answers = [
        model((images[i : i + 500].astype(np.float32) - mean) / std, training=False).numpy()
        for i in range(0, len(images), 500)
    ]
    return float((np.concatenate(answers).argmax(-1) == labels).mean())
