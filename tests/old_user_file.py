"""A user's parts as docs/extending.md of version 1.0 shows them, with the imports of that version."""

import math

import keras
import numpy as np
import tensorflow as tf
from tf_darts.derive import read_genotype
from tf_darts.layers.base import Operation
from tf_darts.layers.own_operation import keras_operation
from tf_darts.search.describe import entropy
from tf_darts.search.methods.base import Method

from tf_darts.layers import primitives


class GatedConv(Operation):
    """ReLU, 3x3 convolution, BN, times a sigmoid gate."""

    def __init__(self, channels, stride=1, **kwargs):
        super().__init__(channels, stride, **kwargs)
        self.conv = self.kernel("conv", 3, 3, channels, channels)
        self.gate = self.kernel("gate", 1, 1, channels, channels)
        self.norm = self.batch_norm("norm", channels)

    def call(self, node, weight=None, training=False):
        x = node.then(tf.nn.relu).x
        y = self.norm(primitives.conv(x, self.conv.value, self.stride), training=training)
        gate = tf.sigmoid(primitives.conv(x, self.gate.value, self.stride))
        return self.weigh(gate * y, weight)


@keras_operation
def plain_conv(channels, stride, affine):
    return keras.Sequential(
        [
            keras.layers.ReLU(),
            keras.layers.Conv2D(channels, 3, stride, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, center=affine, scale=affine),
        ]
    )


class Sharpened(Method):
    """DARTS with a temperature of the softmax that falls from 1 to 0.2."""

    def mix(self, bilevel, now):
        architecture, temperature = bilevel.architecture, 1.0 - 0.8 * now.progress
        rows = {
            cell_type: self.normalise(alpha / temperature, architecture.open_operations[cell_type])
            for cell_type, alpha in architecture.alpha.items()
        }
        return architecture.mixing_weights(rows)

    def fit_alpha(self, bilevel, train, valid, now):
        return bilevel.alpha_step(valid, now.valid_total, lambda: self.mix(bilevel, now))

    def fit_weights(self, bilevel, train, now):
        return bilevel.weight_step(train, now.train_total, now.learning_rate, lambda: self.mix(bilevel, now))


def odds(score):
    """Log-odds of a wrong answer: a per cent more counts for more where few are wrong."""
    return math.log((score.images - score.correct + 0.5) / (score.correct + 0.5))


def doubting_skips(setup, folder):
    """By magnitude, with skip connections taken at half their weight."""
    space, weights = setup.space, {}
    for cell_type, rows in setup.bilevel.architecture.mixing_weights().items():
        weights[cell_type] = np.array(rows)
        for edge, names in enumerate(space.candidates[cell_type]):
            if "skip_connect" in names:
                weights[cell_type][edge, names.index("skip_connect")] *= 0.5
    return read_genotype(space, weights)


def undecided(study):
    """How far alpha is from a decision, by cell type."""
    architecture = study.setup.bilevel.architecture
    found = {t: entropy(p.numpy()) for t, p in architecture.probabilities().items()}
    study.leave({"entropy": found}, figures={})
    return "\n".join(f"{t}: entropy of the mixing weights {value:.3f} nats" for t, value in found.items())
