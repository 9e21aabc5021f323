"""What tests of methods share: an architecture in the middle of things, and the mixing weights of a step."""

import dataclasses

import numpy as np
import tensorflow as tf

from tests.search import tiny
from tf_darts.models.architecture import Architecture, softmax
from tf_darts.spaces import Space

THREE = ("skip_connect", "nor_conv_1x1", "avg_pool_3x3")

# Six edges of three operations, but the first has two.
SPACE: Space = dataclasses.replace(
    tiny.SPACE,
    input_nodes=2,
    nodes=2,
    candidates={"normal": (THREE[:2], *(THREE,) * 4)},
    output_nodes=(2, 3),
)
DECIDED, REMOVED = 1, 3  # edges


def architecture(normalise=softmax, seed=3) -> Architecture:
    """Alpha of all sizes; edge 1 decided for its last operation, edge 3 removed."""
    made = Architecture(SPACE, alpha_scale=1.0, seed=seed, normalise=normalise)
    made.decide_operation("normal", DECIDED, 2)
    made.remove_edges("normal", [REMOVED])
    return made


def setup(space=SPACE, strategy=None, **fields):
    """A supernet whose architecture stands as above."""
    made = tiny.setup(tiny.config(search__alpha_scale=1.0, **fields), space, strategy)
    made.bilevel.architecture.decide_operation("normal", DECIDED, 2)
    made.bilevel.architecture.remove_edges("normal", [REMOVED])
    return made


def batch(number, size=8):
    """Images and labels that no data set has."""
    images = tf.random.stateless_normal([size, 8, 8, 1], [number, 0])
    return images, tf.range(size) % 10


def mixing_weights_of(made, number=0, **fields) -> dict[str, dict[str, np.ndarray]]:
    """The mixing weights that the two halves of a step forward with: {"alpha" or "weights": {...}}.

    The step itself is made; `fields` are those of `tiny.now`.
    """
    bilevel, used = made.bilevel, {}
    original = bilevel.gradients

    def gradients(batch, total, variables, mix=None, label_smoothing=0.0):
        weights = (mix or bilevel.architecture.mixing_weights)()
        half = "weights" if variables is bilevel.weights else "alpha"
        used[half] = {t: w.numpy() for t, w in weights.items()}
        return original(batch, total, variables, mix, label_smoothing)

    bilevel.gradients = gradients
    try:
        tiny.one_device().run(
            lambda: made.method.step(bilevel, batch(1), batch(2), tiny.now(number, **fields))
        )
    finally:
        del bilevel.gradients
    return used
