"""Networks whose every part matters: running statistics, scales and offsets are drawn, too."""

import keras
import numpy as np

from tf_darts.data.transform import Transform
from tf_darts.export import functional
from tf_darts.models.network import Network

MEAN, STD = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.25, 0.3], np.float32)


def make(space, genotype, channels=4, cells=1, classes=5) -> Network:
    """Make a network of drawn weights."""
    network, rng = Network(space, genotype, channels, cells, classes), np.random.default_rng(0)
    for variable in network.variables:
        if variable.name in ("moving_variance", "gamma"):
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif variable.name in ("moving_mean", "beta"):
            variable.assign(rng.normal(0.0, 0.5, variable.shape))
    return network


def images(count=6, side=8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


def logits(network: Network, batch: np.ndarray) -> np.ndarray:
    """Return the network's own logits of images."""
    return network(Transform(MEAN, STD).test(batch), training=False)[0].numpy()


def exported(network: Network, side=8) -> keras.Model:
    return functional.functional(network, (side, side, 3), MEAN, STD)


def exported_logits(model: keras.Model, batch: np.ndarray) -> np.ndarray:
    """Return an exported model's logits: what its softmax gets."""
    before = keras.Model(model.inputs[0], model.get_layer("head_classifier").output)
    return before(batch).numpy()
