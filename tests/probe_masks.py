"""Probes in the plain way, by whole passes with masked mixing weights: what shared probes have to equal."""

import numpy as np
import tensorflow as tf

from tf_darts.selection.probe_pass import mask_without


class ProbeMasks:
    """Has an architecture's mixing weights multiplied with masks, variables that compiled functions see.

    Args:
      architecture: its method `mixing_weights` is replaced.
    """

    def __init__(self, architecture):
        self._architecture, unmasked = architecture, architecture.mixing_weights
        self._masks = {
            t: tf.Variable(np.ones((len(rows), len(rows[0])), np.float32), trainable=False)
            for t, rows in architecture.computed.items()
        }
        architecture.mixing_weights = lambda probabilities=None: {
            t: weights * self._masks[t] for t, weights in unmasked(probabilities).items()
        }

    def probe(self, cell_type, edge, operation):
        """Removes one operation of an edge, or (None) the whole edge, until the next probe or `end`."""
        self.end()
        self._masks[cell_type].assign(mask_without(self._architecture, cell_type, edge, operation))

    def end(self):
        """Puts back what the last probe removed."""
        for mask in self._masks.values():
            mask.assign(tf.ones_like(mask))
